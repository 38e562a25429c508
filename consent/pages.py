"""Render templates: in a language, with a site's own in place of ours where it has any."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError

from consent import languages
from consent.assets import Asset
from consent.choice.choice import DAY
from consent.choice.wording import Wording
from consent.errors import ConfigurationError
from consent.policies.tables import lifetime_in_words
from consent.shipped import TEMPLATES

FOR_AUDITORS = "consent_audit"
"""What the names of templates that only auditors see begin with."""


class Pages:
    """Render every page and fragment a visitor or auditor sees.

    `overrides` are a site's own texts by language and key; `templates` is a folder searched before ours.
    """

    def __init__(
        self,
        *,
        site_name: str,
        prefix: str,
        assets: Mapping[str, Asset],
        spoken: tuple[str, ...],
        overrides: Mapping[str, Mapping[str, str]],
        templates: Path | None = None,
    ) -> None:
        self._environment = _environment(templates)
        if templates is not None:
            self._refuse_broken(templates)
        self._constants: dict[str, Any] = {
            "site_name": site_name,
            "prefix": prefix,
            "asset": lambda name: f"{prefix}/assets/{assets[name].address}",
        }
        self.spoken = spoken
        self._wordings = {
            tag: replace(languages.wording(tag, overrides.get(tag)), fields={"site": site_name}) for tag in spoken
        }
        english = replace(
            languages.wording(languages.SOURCE, overrides.get(languages.SOURCE)), fields={"site": site_name}
        )
        self._speech = {
            tag: _speech(words) | _carried(tag if len(spoken) > 1 else "")
            for tag, words in {languages.SOURCE: english, **self._wordings}.items()
        }

    def _refuse_broken(self, folder: Path) -> None:
        """Raise ConfigurationError for a template of the site's own that replaces none of ours, or does not compile."""
        ours = [path.name for path in TEMPLATES.glob("*.html")]
        for path in sorted(folder.glob("*.html")):
            if path.name not in ours:
                similar = get_close_matches(path.name, ours, n=1)
                remedy = f"Did you mean {similar[0]}?" if similar else f"There are {', '.join(sorted(ours))}"
                raise ConfigurationError("takes the place of no template of ours", place=str(path), remedy=remedy)
            try:
                self._environment.get_template(path.name)
            except TemplateSyntaxError as error:
                place = f"{path}, line {error.lineno}"
                raise ConfigurationError(str(error.message), place=place, remedy="Mend the template") from None

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 over all templates as they are found, in hex."""
        loader = self._environment.loader
        sources = (
            [] if loader is None else [loader.get_source(self._environment, n)[0] for n in loader.list_templates()]
        )
        return hashlib.sha256("\0".join(sources).encode()).hexdigest()

    def wording(self, language: str) -> Wording:
        """Return the texts of one of the site's languages."""
        return self._wordings[language]

    def language_of(self, template: str, *, language: str) -> str:
        """Return the language a template is rendered in for who reads `language`: some are for auditors alone."""
        return (
            language if not template.startswith(FOR_AUDITORS) or languages.for_auditors(language) else languages.SOURCE
        )

    def render(self, template: str, *, language: str, **context: Any) -> str:
        """Return a template filled in one of the site's languages."""
        return str(self._environment.get_template(template).render(self._constants | self._speech[language] | context))

    def fragment(self, template: str, *, language: str, **context: Any) -> bytes:
        """Return a template for a page in any ASCII-compatible charset: what is not ASCII becomes a reference."""
        return self.render(template, language=language, **context).strip().encode("ascii", "xmlcharrefreplace")


@lru_cache(maxsize=16)
def _environment(templates: Path | None) -> Environment:
    """Return what finds and compiles templates, once for all sites that have the same ones."""
    folders = [str(folder) for folder in (templates, TEMPLATES) if folder is not None]
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _carried(language: str) -> dict[str, str]:
    """Return how links out of a page carry its language, as the whole of a query and as the end of one."""
    return {"in_language": language and f"?lang={language}", "and_language": language and f"&lang={language}"}


def _speech(words: Wording) -> dict[str, Any]:
    locale = Locale.parse(words.language, sep="-")

    def moment(seconds: int) -> str:
        when = datetime.fromtimestamp(seconds, UTC)
        if seconds % DAY == 0:
            # The time of a refusal is rounded to its day.
            return day(when.date())
        return f"{format_date(when, 'long', locale=locale)}, {format_time(when, 'short', locale=locale)} UTC"

    def day(value: date) -> str:
        return str(format_date(value, "long", locale=locale))

    def country(code: str) -> str:
        return str(locale.territories.get(code.upper(), code))

    return {
        "t": words,
        "language": words.language,
        "dir": languages.direction(words.language),
        "date": moment,
        "day": day,
        "day_of": lambda ordinal: day(date.fromordinal(ordinal)),
        "percent": lambda share: format_percent(share, format="#,##0.#%", locale=locale),
        "country": country,
        "direction": languages.direction,
        "tongue_name": lambda tag: Locale.parse(tag, sep="-").get_display_name(locale) or tag,
        "lifetime": lambda iso: lifetime_in_words(iso, language=words.language, words=words),
    }
