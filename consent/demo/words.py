"""Give the news site's own words in each of its languages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from babel.dates import format_date, format_time

from consent.demo.articles import LANGUAGES, SITE

_LOCALES = {"en": "en_GB", "uk": "uk"}


@dataclass(frozen=True)
class Words:
    """Hold the texts of one language by key."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **fields: object) -> str:
        """Return a text with its `{fields}` filled in. Raises KeyError for a key that does not exist."""
        return self.texts[key].format(**fields)

    def day(self, moment: date) -> str:
        """Return a date as it is written in this language."""
        return format_date(moment, format="long", locale=_LOCALES[self.language])

    def clock(self, milliseconds: int) -> str:
        """Return the time of day, UTC, of a moment given in milliseconds since 1970."""
        return format_time(datetime.fromtimestamp(milliseconds / 1000, UTC), "HH:mm:ss", locale=_LOCALES[self.language])


def read_words() -> dict[str, Words]:
    """Read the words of every language."""
    return {
        language: Words(language, tomllib.loads((SITE / "words" / f"{language}.toml").read_text(encoding="utf-8")))
        for language in LANGUAGES
    }


def preferred(accept_language: str) -> str:
    """Return the site's language that an `Accept-Language` header likes best, English where it likes none.

    Source: RFC 9110 §12.5.4.
    """
    best, weight = LANGUAGES[0], 0.0
    for choice in accept_language.split(","):
        tag, _, parameter = choice.strip().partition(";")
        language = tag.split("-")[0].strip().lower()
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best
