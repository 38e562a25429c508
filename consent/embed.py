"""Read from a parked embed's own attributes how large it is, and what the site says about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 2000
_SIZE = re.compile(r"\s*(\d{1,5}(?:\.\d{1,3})?)(?:px|(%))?\s*", re.IGNORECASE)
_OWN = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")
_LINK = re.compile(r"(?:https?://[^/\\]|/(?![/\\]))[^\x00-\x20\\]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Hold what its placeholder takes over: size, classes, a title, a picture of the site's own, and a link."""

    width: str = ""
    height: str = ""
    classes: str = ""
    title: str = ""
    preview: str = ""
    fallback: str = ""

    @property
    def ratio(self) -> str:
        """Return width and height where both are known in pixels, so that one can follow the other."""
        known = self.width and self.height and not (self.width + self.height).count("%")
        return f"{self.width} {self.height}" if known else ""


def described(attributes: Iterable[tuple[str, str]]) -> Embed:
    """Return what attributes say; what is no size, no path of this site, or no link a visitor can follow is left out.

    A preview is a path from the root of the site, so that showing it asks nobody else.
    """
    given = {label: " ".join(value.split()) for label, value in attributes if len(value) <= LONGEST}
    return Embed(
        width=_size(given.get("width", "")),
        height=_size(given.get("height", "")),
        classes=given.get("class", ""),
        title=given.get("data-consent-title", "") or given.get("title", ""),
        preview=_matching(_OWN, given.get("data-consent-preview", "")),
        fallback=_matching(_LINK, given.get("data-consent-fallback", "")),
    )


def _size(value: str) -> str:
    match = _SIZE.fullmatch(value)
    return match[1] + (match[2] or "") if match else ""


def _matching(pattern: re.Pattern[str], value: str) -> str:
    return value if pattern.fullmatch(value) else ""
