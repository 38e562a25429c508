"""Load the languages this package speaks, from gettext catalogues beside the code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from io import BytesIO

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from consent.choice.wording import Plural, Wording
from consent.errors import ConfigurationError

SOURCE = "en"
RIGHT_TO_LEFT = "rtl"


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
    catalogue = _translations(language)

    def translate(key: str, text: str) -> str:
        return str(catalogue.upgettext(key, text))

    def translate_plural(key: str, texts: Plural, n: int) -> str:
        return str(catalogue.unpgettext(key, *texts, n))

    return Wording(language=language, translate=translate, translate_plural=translate_plural, overrides=overrides or {})


def direction(language: str) -> str:
    """Return `ltr` or `rtl`, the way a language is written."""
    return RIGHT_TO_LEFT if Locale.parse(language, sep="-").character_order == "right-to-left" else "ltr"


@lru_cache(maxsize=64)
def _translations(language: str) -> Translations:
    file = resources.files("consent") / "locale" / f"{language}.po"
    if language not in available():
        raise ConfigurationError(
            f"there is no wording in {language!r}",
            place="languages",
            remedy=f"Choose from {', '.join(available())}",
        )
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(file.read_bytes()), locale=language.replace("-", "_")))
    compiled.seek(0)
    return Translations(compiled)
