"""Tell from an answer's headers and first bytes what a browser makes of its body."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

SNIFFED_TYPES = frozenset({"unknown/unknown", "application/unknown", "*/*"})
"""Media types that, like none at all, make a browser look at the body itself. Source: WHATWG MIME Sniffing §7."""
XML_TYPES = frozenset({"text/xml", "application/xml", "text/xsl"})
FEEDS = frozenset({"application/atom+xml", "application/rdf+xml", "application/rss+xml"})
"""XML that Chromium shows as text or downloads, and that programs read whose users never see a banner."""

_TYPE_END = re.compile(r"[\s;(]")
_SPACE = b"\t\n\f\r \xef\xbb\xbf"
_WIDE_XML = (b"<\0?\0", b"\0<\0?")


class Kind(Enum):
    """Say how a body is gated."""

    OTHER = "other"
    """Passes as it is."""
    UNKNOWN = "unknown"
    """Its first bytes tell."""
    HTML = "html"
    XHTML = "xhtml"
    XML = "xml"
    """Live where it is shown, and in most cases nobody's."""
    SNIFFED_XML = "sniffed"
    """A browser that guesses takes it for XML, or else for HTML."""
    SHEET = "a style sheet"
    RULES = "a file of speculation rules"
    """Speculation rules: which addresses a browser loads ahead of time."""

    @property
    def page(self) -> bool:
        """Tell whether its headers are marked as a visitor's own from the start."""
        return self in (Kind.HTML, Kind.XHTML, Kind.UNKNOWN)

    @property
    def marked(self) -> bool:
        """Tell whether its headers are surely marked as a visitor's own later."""
        return self in (Kind.HTML, Kind.XHTML)

    @property
    def markup(self) -> bool:
        """Tell whether it is gated as elements."""
        return self in (Kind.HTML, Kind.XHTML, Kind.XML)

    @property
    def held_whole(self) -> bool:
        """Tell whether it is held to its end, so that one in which nothing is anybody's keeps its headers."""
        return self in (Kind.XML, Kind.SHEET, Kind.RULES)


@lru_cache(maxsize=256)
def kind_of(lines: str) -> Kind:
    """Return what a browser takes a response for, HTML where any of its `Content-Type` lines could mean it.

    Browsers cut a type at a space, a semicolon or a parenthesis, skip what has no slash, and take the last one.
    Source: Fetch §3.3.4; Chromium's `HttpUtil::ParseContentType`.
    """
    found: list[str] = []
    for part in lines.lower().split(","):
        media_type = _TYPE_END.split(part.strip(), maxsplit=1)[0]
        if "/" in media_type and media_type not in SNIFFED_TYPES:
            found.append(media_type)
    if "text/html" in found:
        return Kind.HTML
    if "application/xhtml+xml" in found:
        return Kind.XHTML
    if any(_is_xml(media_type) for media_type in found):
        return Kind.XML
    if "text/css" in found:
        return Kind.SHEET
    if "application/speculationrules+json" in found:
        return Kind.RULES
    return Kind.OTHER if found else Kind.UNKNOWN


def _is_xml(media_type: str) -> bool:
    return media_type in XML_TYPES or (media_type.endswith("+xml") and media_type not in FEEDS)


def sniffed(body: bytes) -> Kind:
    """Return what a browser that guesses takes a body for. Source: WHATWG MIME Sniffing §7.1."""
    start = body.lstrip(_SPACE)[:5]
    if start.lower() == b"<?xml" or start.startswith(_WIDE_XML):
        return Kind.SNIFFED_XML
    return Kind.HTML if start.startswith(b"<") else Kind.OTHER
