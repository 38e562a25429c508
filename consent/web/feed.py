"""Write the versions of policies as an Atom feed, which carries the newest signed checkpoint out of the house.

Source: RFC 4287; the checkpoint is an extension element (§6.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree

ATOM = "http://www.w3.org/2005/Atom"
CONSENT = "urn:asgi-consent:feed"
MEDIA_TYPE = "application/atom+xml"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

ElementTree.register_namespace("", ATOM)
ElementTree.register_namespace("consent", CONSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one version: its lasting address, title, its first day in force, and the addresses of its texts."""

    address: str
    title: str
    effective: date
    summary: str
    texts: Sequence[tuple[str, str]]


def write(
    *, address: str, home: str, title: str, author: str, language: str, entries: Sequence[Entry], checkpoint: str | None
) -> bytes:
    """Return a feed, the newest entry first; `address` is its own, `home` that of the page it belongs to.

    A feed is as old as its newest entry, so that a reader is not told of news when only the checkpoint is new.
    """
    feed = ElementTree.Element(_atom("feed"), {XML_LANG: language})
    _add(feed, "id", address)
    _add(feed, "title", title)
    _add(feed, "updated", _moment(max((entry.effective for entry in entries), default=date(1970, 1, 1))))
    _add(_add(feed, "author"), "name", author)
    _add(feed, "link", rel="self", type=MEDIA_TYPE, href=address)
    _add(feed, "link", rel="alternate", type="text/html", href=home)
    if checkpoint is not None:
        ElementTree.SubElement(feed, f"{{{CONSENT}}}checkpoint").text = checkpoint
    for entry in entries:
        element = _add(feed, "entry")
        _add(element, "id", entry.address)
        _add(element, "title", entry.title)
        _add(element, "updated", _moment(entry.effective))
        _add(element, "summary", entry.summary)
        for tag, href in entry.texts:
            _add(element, "link", rel="alternate", type="text/html", hreflang=tag, href=href)
    return bytes(ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True))


def _atom(name: str) -> str:
    return f"{{{ATOM}}}{name}"


def _add(parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, _atom(name), attributes)
    element.text = text
    return element


def _moment(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
