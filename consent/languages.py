"""Load the languages this package speaks, from gettext catalogues beside the code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from importlib import resources
from io import BytesIO

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations

from consent.choice.wording import Plural, Wording
from consent.errors import ConfigurationError

SOURCE = "en"
AUDITORS = "audit."
"""What the keys of the auditor's pages begin with: a catalogue has all of them, or none and these pages are English."""
REVIEWED = re.compile(rb'^"X-Speaker-Reviewed: yes\\n"$', re.MULTILINE)
"""The header of a catalogue once somebody who speaks the language has read all of it; Babel keeps no such header."""


def available() -> tuple[str, ...]:
    """Return the language tags there is a wording for, sorted."""
    folder = resources.files("consent") / "locale"
    return tuple(sorted({SOURCE, *(f.name.removesuffix(".po") for f in folder.iterdir() if f.name.endswith(".po"))}))


def wording(language: str, overrides: Mapping[str, str] | None = None) -> Wording:
    """Return the texts of one language, with a site's own instead where it gives any.

    Raises ConfigurationError for a language there is no catalogue of.
    """
    if language == SOURCE:
        return Wording(language=language, overrides=overrides or {})
    translations = _translations(language)

    def translate(key: str, text: str) -> str:
        return str(translations.upgettext(key, text))

    def translate_plural(key: str, texts: Plural, n: int) -> str:
        return str(translations.unpgettext(key, *texts, n))

    return Wording(
        language=language,
        translate=translate,
        translate_plural=translate_plural,
        number=partial(format_decimal, locale=Locale.parse(language, sep="-")),
        overrides=overrides or {},
    )


@lru_cache(maxsize=64)
def for_auditors(language: str) -> bool:
    """Tell whether a language has words for the auditor's pages, and not for visitors alone."""
    return language == SOURCE or any(str(message.context).startswith(AUDITORS) for message in catalogue(language))


def direction(language: str) -> str:
    """Return `ltr` or `rtl`, the way a language is written."""
    return Locale.parse(language, sep="-").text_direction


def reviewed(language: str) -> bool:
    """Tell whether somebody who speaks a language has read all of its texts, as its catalogue says.

    Raises ConfigurationError for a language there is no catalogue of.
    """
    return language == SOURCE or REVIEWED.search(_source(language)) is not None


def catalogue(language: str) -> Catalog:
    """Return the gettext catalogue of one language; the context of each message is its key.

    Raises ConfigurationError for a language there is no catalogue of.
    """
    return read_po(BytesIO(_source(language)), locale=language.replace("-", "_"))


def _source(language: str) -> bytes:
    if language == SOURCE or language not in available():
        raise ConfigurationError(
            f"there is no wording in {language!r}",
            place="languages",
            remedy=f"Choose from {', '.join(available())}",
        )
    return (resources.files("consent") / "locale" / f"{language}.po").read_bytes()


@lru_cache(maxsize=64)
def _translations(language: str) -> Translations:
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)
