"""Say which elements and attributes load something, and what an element's text is."""

from __future__ import annotations

from enum import IntEnum

from consent.gate.tokens import RAW, STRUCTURE

FRAMES = frozenset((b"iframe", b"frame"))
"""Elements that are documents even without an address."""
EMBEDS = frozenset((b"iframe", b"embed", b"object", b"video", b"audio"))
CONTENTS = frozenset(("src", "srcdoc", "data"))
PREVIEW = "data-consent-preview"
DESCRIBES = ("class", "title", "width", "height", "data-consent-title", PREVIEW, "data-consent-fallback")
"""Attributes of an embed that say how large it is and what it shows."""
_NO_SIZE = frozenset(("0", "1", "0px", "1px"))

ONE = frozenset(("src", "poster", "background", "lowsrc", "dynsrc"))
SETS = frozenset(("srcset", "imagesrcset"))
LISTS = frozenset(("ping", "attributionsrc", "archive"))
BY_NAME: dict[bytes, frozenset[str]] = {
    b"script": frozenset(("href", "xlink:href")),
    b"image": frozenset(("href", "xlink:href")),
    b"use": frozenset(("href", "xlink:href")),
    b"feimage": frozenset(("href", "xlink:href")),
    b"link": frozenset(("href",)),
    b"base": frozenset(("href",)),
    b"object": frozenset(("data", "codebase", "classid")),
    b"applet": frozenset(("code", "codebase", "object")),
}
TRACKED = frozenset((b"svg", b"math", b"select", b"frameset", b"template", b"col", b"table", b"body"))
NEVER_PLAIN = STRUCTURE | TRACKED
TEXTUAL = RAW | {b"script", b"noscript"}
ANIMATIONS = frozenset((b"animate", b"set", b"animatetransform", b"animatemotion"))
DOCUMENTS = frozenset((b"iframe", b"frame", b"object", b"embed", b"portal", b"fencedframe"))
# Link types that name a relation and load nothing (https://html.spec.whatwg.org/multipage/links.html#linkTypes).
QUIET = frozenset(
    (
        *("alternate", "amphtml", "author", "bookmark", "canonical", "edituri", "external", "help", "hub", "license"),
        *("me", "nofollow", "noopener", "noreferrer", "pingback", "privacy-policy", "prev", "self", "shortlink"),
        *("shorturl", "tag", "terms-of-service", "webmention", "wlwmanifest"),
    )
)
CONNECTS = frozenset(("preconnect", "dns-prefetch"))
# https://mimesniff.spec.whatwg.org/#javascript-mime-type
CODE = frozenset(
    (
        *("", "module", "application/ecmascript", "application/javascript", "application/x-ecmascript"),
        *("application/x-javascript", "text/ecmascript", "text/javascript", "text/jscript", "text/livescript"),
        *("text/x-ecmascript", "text/x-javascript", *(f"text/javascript1.{minor}" for minor in range(6))),
    )
)
MAPS = frozenset(("importmap", "speculationrules", "webbundle"))


class Text(IntEnum):
    """Say what the text of an element is, and so how it is judged."""

    NONE = 0
    CODE = 1
    MAP = 2
    STYLE = 3


def paints(label: str) -> bool:
    """Tell whether an SVG attribute may hold a `url()`."""
    return label in (
        "fill",
        "stroke",
        "filter",
        "mask",
        "clip-path",
        "cursor",
        "marker",
        "marker-start",
        "marker-mid",
        "marker-end",
    )


def unseen(first: dict[str, str]) -> bool:
    """Tell whether an element with these attributes takes no room, so that nothing is missing where it is parked."""
    style = first.get("style", "").lower().replace(" ", "")
    sizes = {first.get(label, "").strip().lower() for label in ("width", "height")}
    return (
        "hidden" in first or "display:none" in style or "visibility:hidden" in style or not sizes.isdisjoint(_NO_SIZE)
    )


def text_kind(name: bytes, first: dict[str, str]) -> Text:
    """Return what the text of an element with these attributes is."""
    if name == b"style":
        return Text.STYLE if first.get("type", "").strip().lower() in ("", "text/css") else Text.NONE
    if name != b"script" or first.get("src"):
        return Text.NONE
    kind = first.get("type")
    if kind is None:
        language = first.get("language", "")
        kind = f"text/{language}" if language else ""
    kind = kind.partition(";")[0].strip().lower()
    if kind in MAPS:
        return Text.MAP
    return Text.CODE if kind in CODE else Text.NONE
