"""Scan XML as it streams: XHTML, SVG, and whatever else a browser makes a live document of.

A browser reads these with an XML parser: no element's content is mere text, prefixes name what they like, sections and
references stand inside of scripts, and a document type may define entities. Past the first mistake it reads no more, so
that only what is well-formed has to be read rightly. Source: https://www.w3.org/TR/xml/, seen in Chromium.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from consent.gate import references
from consent.gate.address import Address
from consent.gate.document import Document, Held
from consent.gate.elements import BY_NAME, LISTS, ONE, SETS
from consent.gate.insert import NOTHING, Insert
from consent.gate.observer import Observer
from consent.gate.rules import Memory, View
from consent.gate.scanner import CAP, Bytes, end_at
from consent.gate.tags import Dialect, Judge, Judged, attributes
from consent.gate.tokens import ATTRIBUTES_PART

Nested = Callable[[tuple[Address, ...], str, bool], tuple[tuple[str, ...], tuple[str, ...]]]
"""Gates a document inside an attribute: the bases, its text, whether it is XML."""

XHTML = "http://www.w3.org/1999/xhtml"
TRANSFORM = "http://www.w3.org/1999/XSL/Transform"
DOCTYPE_CAP = 65_536
"""Bytes of a document type past which it is dropped."""

_NAME_PART = rb"[^\t\n\f\r />!?=<][^\t\n\f\r />]*+"
_NAME = re.compile(rb"</?+" + _NAME_PART)
_TAG = re.compile(rb"<(/?+)(" + _NAME_PART + rb")(" + ATTRIBUTES_PART + rb")>")
_QUOTED = rb"""(?:"[^"]*+"|'[^']*+')"""
_COMMENT = rb"<!--(?:[^-]++|-(?!->))*+-->"
_PI = rb"<\?(?:[^?]++|\?(?!>))*+\?>"
_DOCTYPE = re.compile(
    rb"(<![dD][oO][cC][tT][yY][pP][eE](?:[^\[>\"']++|" + _QUOTED + rb")*+)"
    rb"(?:\[((?:[^\]\"'<]++|" + _QUOTED + rb"|" + _COMMENT + rb"|" + _PI + rb"|<(?!!--|\?))*+)\][\t\n\r ]*+)?+>"
)
_ENTITY = re.compile(
    rb"[\t\n\r ]*+(?:<!ENTITY[\t\n\r ]++([^\t\n\r %&;\"'<>]++)[\t\n\r ]++"
    rb"""(?:"([^"&%<]*+)"|'([^'&%<]*+)')[\t\n\r ]*+>|""" + _COMMENT + rb")"
)
_LOADING = {
    *(
        label.encode()
        for label in {*ONE, *SETS, *LISTS}.union(*BY_NAME.values())
        if label.isalpha() and label != "href"
    ),
    *(b"srcdoc", b"style", b"content", b"value", b"values", b"to", b"from", b"by"),
}
_SECTION = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|([^<]++|<)", re.DOTALL)
_INSIDE = ((b"<![CDATA[", b"]]>"), (b"<!--", b"-->"), (b"<?", b"?>"))
_INTEREST = re.compile(
    rb"^<(?:[^\s/>:]*+:)?(?:script|style|svg|math|body|html)(?=[\s/>])|"
    rb"""[\s"'](?:[^\s=:"']*+:)?(?:href\s*+=\s*+["'](?!#)|(?:"""
    + b"|".join(sorted(_LOADING))
    + rb")\s*+=|on[a-z]|data-consent|xmlns)|[ltc]\(|[&\\]",
    re.IGNORECASE,
)
"""What a tag has that could load, hide or change something; only paths into the document itself are told apart."""
_SHEET = b"<?xml-stylesheet"
_NO_NAME = frozenset((b"", *(b"%c" % char for char in b"\t\n\f\r />!?=<")))
_FOREIGN = frozenset((b"svg", b"math"))
_UNSURE = Judged(name=b"", held=("",))


class XmlGate(Document):
    """Gate one XML document, fed in any number of chunks; the cuts between them change nothing."""

    def __init__(
        self,
        view: View,
        *,
        charset: str,
        nested: Nested,
        insert: Insert = NOTHING,
        bases: tuple[Address, ...] = (),
        observer: Observer | None = None,
    ) -> None:
        """Start a document.

        Args:
            view: the rules, for one set of allowed services.
            charset: a Python codec under which ASCII bytes mean ASCII.
            nested: gates the documents inside attributes.
            insert: what to write into the page if it is XHTML: well-formed, each element with its namespace.
            bases: what relative addresses start from.
            observer: is told what becomes of every tag that is looked at.
        """
        self._dialect = Dialect(xml=True)
        self._opened = nested
        super().__init__(view, charset=charset, insert=insert, depth=0, bases=bases)
        self._observer = observer
        self._name = _NAME
        self._typed = False
        self._root = False
        self._page = False
        self._foreign = 0
        self._close_by = b""

    def _rebase(self, bases: tuple[Address, ...]) -> None:
        self._bases = bases
        own = self._dialect != Dialect(xml=True)
        self._memory = Memory() if own else self._view.memory(f"xml {self._charset}", self._depth, bases)

    def _speak(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._rebase(self._bases)

    @property
    def _judge(self) -> Judge:
        return Judge(self._view, self._charset, self._bases, self._nested, self._dialect)

    def _nested(self, text: str, xml: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._opened(self._bases, text, xml)

    def _data(self, buf: Bytes, pos: int, eof: bool) -> int:
        n = len(buf)
        while self._mode is None:
            if self._dialect.transforms is not None and buf[pos : pos + 1] not in (b"<", b""):
                self._keep = pos
                self._mode = self._speech
                return pos
            pos = buf.find(b"<", pos)
            if pos < 0:
                return self._hold(n, n)
            ahead = bytes(buf[pos : pos + 9])
            if not eof and len(ahead) < 9 and ahead[1:2] in (b"", b"!", b"?", b"/"):
                return self._hold(pos, pos)
            if ahead[1:2] in (b"!", b"?"):
                pos = self._other(buf, pos, ahead)
                continue
            if ahead[2:3] in _NO_NAME if ahead[1:2] == b"/" else ahead[1:2] in _NO_NAME:
                pos += 1
                continue
            match = _TAG.match(buf, pos)
            if match is None:
                return self._unfinished(buf, pos, eof)
            if match.end() - pos > CAP:
                pos = self._bare(buf, pos, match.end(), bytes(buf[pos : match.end(2)]))
            elif match[1]:
                self._close(bytes(match[2]))
                pos = match.end()
            elif (
                self._root
                and not (self._bases or self._dialect.transforms is not None)
                and _INTEREST.search(match[0]) is None
            ):
                pos = match.end()
            else:
                pos = self._start_tag(buf, match)
        return pos

    def _other(self, buf: Bytes, pos: int, ahead: bytes) -> int:
        """Take in what is no tag."""
        self._keep = pos
        if ahead[:9].upper() == b"<!DOCTYPE" and not self._typed:
            # A second one ends the document for every reader.
            self._typed = True
            self._mode = self._doctype
            return pos + 9
        if ahead.startswith(b"<?"):
            self._mode = self._instruction
            return pos + 2
        for opening, closing in _INSIDE:
            if ahead.startswith(opening):
                self._close_by = closing
                self._mode = self._section
                return pos + len(opening)
        self._mode = self._bogus
        return pos + 2

    # -- tags

    def _start_tag(self, buf: Bytes, match: re.Match[bytes]) -> int:
        tag, pos, end = bytes(match[0]), match.start(), match.end()
        if b"xmlns" in tag:
            for label, value, *_ in attributes(tag[match.end(2) - pos : -1], self._charset, self._dialect):
                if label.startswith("xmlns") and value.strip() == TRANSFORM:
                    prefix = label.partition(":")[2].encode(self._charset, "replace")
                    known = self._dialect.transforms or frozenset()
                    if prefix not in known:
                        self._speak(replace(self._dialect, transforms=known | {prefix}))
        judged = self._memory.get(tag)
        if judged is None:
            judged = self._judge.tag(tag, match.end(2) - pos)
            self._memory.keep(tag, judged)
        name = judged.name
        if not self._root:
            self._root = True
            self._page = name == b"html" and XHTML.encode() in tag
        if judged.base is not None and judged.base not in self._bases:
            self._rebase((*self._bases, judged.base))
        insertable = self._page and not self._foreign
        if name in _FOREIGN and not judged.closes:
            self._foreign += 1
        if judged.text and not judged.closes:
            self._held = Held(judged, tag, insertable)
            self._close_by = b""
            self._mode = self._text
            self._keep = pos
            self._boundary = end - pos
            return end
        self._write_start(buf, pos, end, judged, insertable)
        if name == b"body" and self._page and not judged.closes and self._insert.banner:
            self._put(buf, end, self._insert.banner, end)
            self._insert = replace(self._insert, banner=b"")
        return end

    def _close(self, name: bytes) -> None:
        if self._foreign and name.lower().rpartition(b":")[2] in _FOREIGN:
            self._foreign -= 1

    def _bare(self, buf: Bytes, pos: int, end: int, opening: bytes) -> int:
        """Leave a tag that is past the cap its name and nothing else."""
        self._neutral = None
        self.parked.add("")
        self._tell_emptied(buf, pos, end)
        name = opening[1:].lower().rpartition(b":")[2]
        still = b' type="text/plain" data-consent-service=""' if name in (b"script", b"style") else b""
        self._put(buf, pos, opening + still + b">", end)
        return end

    # -- texts

    def _text(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Hold the text of a script or a style sheet until it is known; with an element inside nobody can be sure."""
        n = len(buf)
        start = self._keep + self._boundary
        end = -1
        while end < 0:
            if self._close_by:
                at = buf.find(self._close_by, pos)
                if at < 0:
                    pos = max(pos, n - 2)
                    break
                pos, self._close_by = at + len(self._close_by), b""
            at = buf.find(b"<", pos)
            if at < 0:
                pos = n
                break
            ahead = bytes(buf[at : at + 9])
            for opening, closing in _INSIDE:
                if ahead.startswith(opening):
                    pos, self._close_by = at + len(opening), closing
                    break
            else:
                if len(ahead) < 9 and ahead[1:2] in (b"", b"!") and not eof:
                    pos = at
                    break
                end = at
        if end < 0 and not eof and n - start <= CAP:
            return self._hold(self._keep, pos)
        held = self._held
        if held is not None:
            sure = end >= 0 and buf[end + 1 : end + 2] == b"/" and end - start <= CAP
            judged = self._joined(held, bytes(buf[start:end])) if sure else self._join(held.judged, held.tag, _UNSURE)
            self._write_start(buf, self._keep, start, judged, held.insertable)
        self._held = None
        self._mode = None
        self._close_by = b""
        # What could not be held as one text is markup like everything else.
        return start if end < 0 or end - start > CAP else end

    def _spelled(self, content: bytes) -> str:
        """Return the text that an element's content means."""
        text = content.decode(self._charset, "replace")
        resolve = partial(references.resolve, more=self._dialect.entities)
        return "".join(match[1] or (resolve(match[2]) if match[2] else "") for match in _SECTION.finditer(text))

    def _speech(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Hold a text of a transformation until it is known."""
        n, keep = len(buf), self._keep
        at = buf.find(b"<", pos)
        over = (at if at >= 0 else n) - keep > CAP
        if at < 0 and not eof and not over:
            return self._hold(keep, n)
        end = at if at >= 0 else n
        if over:
            self.parked.add("")
            self._tell_emptied(buf, keep, end)
            self._put(buf, keep, b"", end)
        else:
            self._said(buf, keep, end)
        if at < 0 and not eof:
            return self._hold(n, n)
        self._mode = None
        return end

    def _said(self, buf: Bytes, start: int, end: int) -> None:
        """Empty a text of a transformation that spells a held host: it may become anybody's attribute."""
        if start < end and self._view.held_spelled(self._spelled(bytes(buf[start:end]))):
            self.parked.add("")
            self._tell_emptied(buf, start, end)
            self._put(buf, start, b"", end)

    # -- what is no element

    def _section(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Pass a comment as it is, and a CDATA section, unless a transformation could make something of it."""
        at = buf.find(self._close_by, pos)
        said = self._close_by == b"]]>" and self._dialect.transforms is not None
        if at < 0 and not eof:
            resume = max(pos, len(buf) - 2)
            return self._hold(self._keep if said and len(buf) - self._keep <= CAP else resume, resume)
        self._mode = None
        end = at + len(self._close_by) if at >= 0 else len(buf)
        if said:
            self._said(buf, self._keep, end)
        return end

    def _instruction(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Rename the instruction that asks for a style sheet of a held host."""
        at = buf.find(b"?>", pos)
        n, keep = len(buf), self._keep
        sheet = bytes(buf[keep : keep + len(_SHEET)]).lower()
        if at < 0 and not eof:
            resume = max(pos, n - 1)
            if not _SHEET.startswith(sheet):
                return self._hold(resume, resume)
            if n - keep <= CAP:
                return self._hold(keep, resume)
            self._tell_emptied(buf, keep, n)
            self._put(buf, keep, b"<?consent-", keep + 2)
            self.parked.add("")
            return self._hold(resume, resume)
        self._mode = None
        end = at + 2 if at >= 0 else n
        if sheet == _SHEET:
            judged = self._judge.sheet(bytes(buf[keep + len(_SHEET) : at if at >= 0 else n]))
            self.found.update(judged.found)
            if judged.held:
                self.parked.update(judged.held)
                self._tell_emptied(buf, keep, end)
                self._put(buf, keep, b"<?consent-", keep + 2)
        return end

    def _doctype(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Pass a document type; drop what it defines where that is more than names for plain texts."""
        n, keep = len(buf), self._keep
        known = eof or buf.find(b">", pos) >= 0
        match = _DOCTYPE.match(buf, keep) if known else None
        if match is None and not eof and n - keep <= DOCTYPE_CAP:
            return self._hold(keep, n)
        self._mode = None
        if match is None:
            self.parked.add("")
            self._tell_emptied(buf, keep, min(n, keep + 9))
            self._put(buf, keep, b"", min(n, keep + 9))
            return min(n, keep + 9)
        if match[2] is not None:
            entities = _entities(bytes(match[2]), self._charset)
            if entities is None:
                self.parked.add("")
                self._tell_emptied(buf, keep, match.end())
                self._put(buf, keep, bytes(match[1]) + b">", match.end())
            elif entities:
                self._speak(replace(self._dialect, entities=entities))
        return match.end()


def _entities(subset: bytes, charset: str) -> Mapping[str, str] | None:
    """Return the entities that a document type defines, or None where it does more than naming plain texts."""
    found: dict[str, str] = {}
    pos = 0
    while (match := _ENTITY.match(subset, pos)) is not None:
        if match[1] is not None:
            value = match[2] if match[2] is not None else match[3]
            found.setdefault(match[1].decode(charset, "replace"), value.decode(charset, "replace"))
        pos = end_at(match)
    return None if subset[pos:].strip(b"\t\n\r ") else found
