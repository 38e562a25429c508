"""Put together what gates a body of one kind, in one encoding."""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from xml.parsers import expat

from consent.gate import charset, sheet
from consent.gate.document import Document
from consent.gate.html import Gate, nested
from consent.gate.inquest import gated_rules
from consent.gate.insert import NOTHING, Attributes, Insert
from consent.gate.rules import View
from consent.gate.sheet import SheetGate
from consent.gate.xml import XmlGate
from consent.kinds import Kind

logger = logging.getLogger("consent")


class Finished:
    """Stand for the gate of a body that is known whole."""

    parked: frozenset[str] = frozenset()
    found: frozenset[str] = frozenset()

    def feed(self, chunk: bytes) -> bytes:
        """Return nothing: nothing comes after the end."""
        return b""

    def end(self) -> bytes:
        """Return nothing."""
        return b""


FINISHED = Finished()


class Gating:
    """Gate a body as each of the things that a browser may take it for, one after the other."""

    def __init__(self, kind: Kind, view: View, *, encoding: str, address: str, insert: Insert = NOTHING) -> None:
        wide = charset.decodable(encoding) is charset.Kind.TRANSCODE
        codec = "utf-8" if wide else charset.codec(encoding)
        xml = kind in (Kind.XHTML, Kind.XML, Kind.SNIFFED_XML)
        self._documents: list[Document] = []
        self._streams: list[charset.Stream] = []
        if xml:
            written = NOTHING if kind is Kind.XML else _well_formed(insert)
            bases = view.rules.page(address)
            opened = partial(nested, view, 0)
            self._add(XmlGate(view, charset=codec, nested=opened, insert=written, bases=bases), encoding, wide)
        if kind in (Kind.HTML, Kind.SNIFFED_XML):
            self._add(Gate(view, charset=codec, insert=NOTHING if xml else insert, address=address), encoding, wide)

    def _add(self, document: Document, encoding: str, wide: bool) -> None:
        self._documents.append(document)
        self._streams.append(charset.Transcoder(document, charset=encoding) if wide else document)

    @property
    def parked(self) -> set[str]:
        """Return the keys of the services something was parked for, "" for undeclared hosts."""
        return set().union(*(document.parked for document in self._documents))

    @property
    def found(self) -> set[str]:
        """Return the undeclared hosts that were seen."""
        return set().union(*(document.found for document in self._documents))

    def feed(self, chunk: bytes) -> bytes:
        """Take in the next bytes and return those that are ready to be sent."""
        for stream in self._streams:
            chunk = stream.feed(chunk)
        return chunk

    def end(self) -> bytes:
        """Return what was still held."""
        out = b""
        for stream in self._streams:
            out = (stream.feed(out) if out else b"") + stream.end()
        return out


def encoding_of(kind: Kind, content_type: str | None, body: bytes) -> str:
    """Return the encoding in which a browser reads a body, from its header and its first bytes."""
    if kind is Kind.SHEET:
        return sheet.encoding_of(content_type or "", body)
    if kind is Kind.RULES:
        return "utf-8"
    return charset.sniff(content_type, body) if kind is Kind.HTML else charset.sniff_xml(content_type, body)


def gated_whole(
    kind: Kind, view: View, body: bytes, *, encoding: str, address: str
) -> tuple[bytes, set[str], set[str]]:
    """Return a whole body gated, for whom something in it is held, and the undeclared hosts in it."""
    if kind is Kind.SHEET:
        gate = SheetGate(view, encoding=encoding, bases=view.rules.page(address))
        return gate.gated(body), gate.parked, gate.found
    if kind is Kind.RULES:
        return gated_rules(view, body, view.rules.page(address))
    gating = Gating(kind, view, encoding=encoding, address=address)
    out = gating.feed(body) + gating.end()
    return out, gating.parked, gating.found


def _well_formed(insert: Insert) -> Insert:
    """Return what can be written into XML: with a mistake in it, nobody could read the page."""

    def placeholder(service: str, tag: str, about: Attributes) -> bytes:
        return _checked(insert.placeholder(service, tag, about))

    return Insert(
        banner=_checked(insert.banner),
        first_gated=_checked(insert.first_gated),
        placeholder=placeholder,
        also_granted=insert.also_granted,
    )


@lru_cache(maxsize=256)
def _checked(fragment: bytes) -> bytes:
    try:
        expat.ParserCreate().Parse(b"<x>" + fragment + b"</x>", True)
    except expat.ExpatError as error:
        logger.error("a fragment was left out of an XHTML page, because its template is not well-formed: %s", error)
        return b""
    return fragment
