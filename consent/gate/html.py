"""Scan HTML as it streams, park what may not load, and pass every other byte as it came."""

from __future__ import annotations

from functools import partial

from consent.gate.address import Address
from consent.gate.beginning import Beginning, Phase
from consent.gate.context import Context
from consent.gate.document import DEPTH, Document, Held
from consent.gate.elements import TEXTUAL, TRACKED
from consent.gate.insert import NOTHING, Insert
from consent.gate.observer import Observer
from consent.gate.rules import View
from consent.gate.scanner import CAP, CDATA_END, Bytes, end_at
from consent.gate.tags import STYLE_STOP, Judged
from consent.gate.tokens import SCRIPT, TAG, end_of
from consent.gate.xml import XmlGate

__all__ = ["NOTHING", "Gate", "Insert"]

_LONGEST_NAME = 64
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_S, _SLASH = b"s/"
_BASES = 16
_CDATA = b"<![CDATA["
_ORDINARY = Context()
"""Where most of a page is: nothing changes how its next bytes are read."""


class Gate(Beginning):
    """Gate one document, or one fragment, fed in any number of chunks; the cuts between them change nothing."""

    def __init__(
        self,
        view: View,
        *,
        charset: str,
        insert: Insert = NOTHING,
        address: str = "",
        depth: int = 0,
        bases: tuple[Address, ...] = (),
        observer: Observer | None = None,
    ) -> None:
        """Start a document.

        Args:
            view: the rules, for one set of allowed services.
            charset: a Python codec under which ASCII bytes mean ASCII (`consent.gate.charset` knows which do).
            insert: what to write into the page.
            address: the page's own absolute address, which its relative addresses start from.
            depth: how many documents or readings this one is nested in.
            bases: where a `base` of the surrounding document may send relative addresses.
            observer: is told what becomes of every tag that is looked at.
        """
        super().__init__(view, charset=charset, insert=insert, depth=depth, bases=(*view.rules.page(address), *bases))
        self._observer = observer
        self._context = Context()
        self._open = False
        self._nested_reading = False

    @property
    def _ambiguous(self) -> bool:
        return self._nested_reading or self._context.ambiguous

    def _data(self, buf: Bytes, pos: int, eof: bool) -> int:
        n = len(buf)
        run = self._skip
        tag = TAG.match
        script = SCRIPT.match
        known = self._memory.get
        while self._mode is None:
            if self._open:
                pos = buf.find(b"<", pos)
                if pos < 0:
                    return self._hold(n, n)
            elif self._phase is Phase.BODY:
                # No further than the cap, so that a tag past it is seen whether it comes whole or in pieces.
                pos = end_at(run(buf, pos, pos + CAP))
            else:
                pos = self._leading(buf, pos, eof)
                if pos < 0:
                    return pos
            if pos >= n:
                return self._hold(n, n)
            following = buf[pos + 1] if pos + 1 < n else 0
            if following == _S and not self._open:
                match = script(buf, pos)
                if match is not None and match.end() - pos <= CAP:
                    judged = known(bytes(match[0])) or self._script_element(match)
                    if not judged.passes or self._observer is not None:
                        self._write_start(buf, pos, match.end(1), judged, not self._nested_reading)
                    pos = match.end()
                    continue
            if following not in _LETTERS and not (following == _SLASH and buf[pos + 2 : pos + 3].isalpha()):
                pos = self._other(buf, pos, n, eof)
                if pos < 0:
                    return pos
                continue
            match = tag(buf, pos)
            if match is None:
                pos = self._unfinished(buf, pos, eof)
                if pos < 0:
                    return pos
                continue
            end = match.end()
            if end - pos > CAP:
                pos = self._bare(buf, pos, end, bytes(buf[pos : match.end(2)]))
            elif match[1]:
                self._close(bytes(match[2]).lower())
                pos = end
            else:
                whole = bytes(match[0])
                judged = known(whole)
                if judged is None:
                    judged = self._judge.tag(whole, match.end(2) - pos)
                    self._memory.keep(whole, judged)
                elif judged.plain and not self._open and self._phase is Phase.BODY:
                    pos = end
                    continue
                pos = self._enter(buf, pos, end, judged, whole)
                known, run = self._memory.get, self._skip
        return pos

    def _other(self, buf: Bytes, pos: int, n: int, eof: bool) -> int:
        """Take in a comment, a doctype, CDATA, or a `<` that is text."""
        ahead = bytes(buf[pos : pos + 9])
        if not eof and len(ahead) < 9 and (_CDATA.startswith(ahead) or b"<!--".startswith(ahead) or ahead == b"</"):
            return self._hold(pos, pos)
        if ahead.startswith(b"<!--"):
            after = bytes(buf[pos + 4 : pos + 6])
            if not eof and len(after) < 2 and after in (b"", b"-"):
                return self._hold(pos, pos)
            if after[:1] == b">":
                return pos + 5
            if after == b"->":
                return pos + 6
            self._mode = self._comment
            return pos + 4
        if ahead == _CDATA and self._context.ambiguous:
            self._mode = self._cdata
            self._keep = pos
            return pos
        if ahead[1:2] in (b"!", b"?", b"/"):
            self._mode = self._bogus
            return pos + 2
        return pos + 1

    # -- tags

    def _enter(self, buf: Bytes, pos: int, end: int, judged: Judged, tag: bytes) -> int:
        """Take in a start tag that has been judged."""
        context = self._context
        name = judged.name
        # Outside of what is `open` there is one reading, and most tags do not change that.
        was_ambiguous = self._open and context.ambiguous
        insertable = not (was_ambiguous or self._nested_reading or (self._open and context.templates))
        after = self._banner(buf, pos, name) if self._phase is not Phase.BODY and insertable else b""
        if judged.base is not None and judged.base not in self._bases:
            self._rebase((*self._bases, judged.base)[:_BASES])
        childless = False
        if self._open or judged.tracked:
            foreign = context.surely_foreign
            context.start(name, closes=judged.closes, breaks_out=judged.breaks_out)
            self._open = context.open
            childless = was_ambiguous and context.ambiguous and judged.closes and foreign
        ambiguous = was_ambiguous and context.ambiguous
        if judged.textual:
            if (ambiguous and not childless) or name == b"noscript":
                self._held = Held(judged, tag, insertable)
                self._end_name = name
                self._mode = self._two_readings
                return self._hold_text(pos, end)
            if not childless:
                self._end_name = name
                self._script_state = 0
                if judged.text:
                    self._held = Held(judged, tag, insertable)
                    self._mode = self._script_text if name == b"script" else self._style_text
                    return self._hold_text(pos, end)
                self._mode = self._script if name == b"script" else self._raw
        elif name == b"plaintext" and not ambiguous:
            self._mode = self._plain
        self._write_start(buf, pos, end, judged, insertable)
        if after:
            self._put(buf, end, after, end)
        return end

    def _close(self, name: bytes) -> None:
        if name != self._end_name or self._context.foreign:
            self._context.end(name)
            self._open = self._context.open
        # The end of a text, which is no stray tag. The next one of its name would be.
        self._end_name = b""

    def _bare(self, buf: Bytes, pos: int, end: int, opening: bytes) -> int:
        """Leave a tag that is past the cap its name and nothing else."""
        self._neutral = None
        if len(opening) > _LONGEST_NAME:
            self._put(buf, pos, b"", end)
            return end
        if opening.startswith(b"</"):
            self._put(buf, pos, opening + b">", end)
            self._close(opening[2:].lower())
            return end
        name = opening[1:].lower()
        parked = b' type="text/plain" data-consent-service=""' if name in (b"script", b"style") else b""
        stop = STYLE_STOP if name == b"style" else b""
        judged = Judged(
            name=name,
            rewritten=opening + parked + b">" + stop,
            held=("",),
            textual=name in TEXTUAL,
            tracked=name in TRACKED,
        )
        return self._enter(buf, pos, end, judged, opening)

    # -- what is read in two ways

    def _two_readings(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Gate an element whose content is text to one reader and markup to another, as both."""
        n = len(buf)
        held = self._held
        start = self._keep + self._boundary
        end, resume = self._raw_end(buf, pos)
        known = end if end >= 0 else n
        over = known - start > CAP
        if held is None or (end < 0 and not eof and not over):
            return self._hold(self._keep, resume)
        inner = bytes(buf[start:known])
        judged = held.judged
        if not over and judged.text:
            judged = self._joined(held, inner)
        self._write_start(buf, self._keep, start, judged, held.insertable)
        gated = None if over else self._reading(inner, len(buf) - known) if b"<" in inner else inner
        if gated is None:
            self.parked.add("")
            self._tell_emptied(buf, start, known)
        self._held = None
        self._mode = None
        if gated != inner:
            self._put(buf, start, gated or b"", known)
        if end < 0 and not eof:
            return self._discard(resume, end_of(self._end_name))
        return known

    def _cdata(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Gate a CDATA section as what it is in foreign content, and as the bogus comment it is elsewhere."""
        n = len(buf)
        keep = self._keep
        match = CDATA_END.search(buf, pos)
        end = match.start() if match else n
        over = end - keep > CAP
        if match is None and not eof and not over:
            return self._hold(keep, max(pos, n - 2))
        self._mode = None
        if match is None or over:
            self.parked.add("")
            self._tell_emptied(buf, keep, end)
            self._put(buf, keep, b"", match.end() if match else n)
            if match is None and not eof:
                return self._discard(max(pos, n - 2), CDATA_END)
            return match.end() if match else n
        comment = buf.find(b">", keep)
        if comment < end:
            inner = bytes(buf[comment + 1 : end])
            gated = self._reading(inner, len(buf) - end)
            if gated is None:
                self.parked.add("")
                self._tell_emptied(buf, keep, end)
                self._put(buf, keep, b"", match.end())
            elif gated != inner:
                self._put(buf, comment + 1, gated, end)
        return match.end()

    def _reading(self, inner: bytes, beyond: int) -> bytes | None:
        """Gate `inner` as markup; return None where that reading does not end in step with the other.

        `beyond` is how many bytes that were fed lie behind it.
        """
        if self._depth >= DEPTH:
            return None
        key = b"\0\0%d " % self._frames + inner
        if known := self._observer is None and self._context == _ORDINARY and self._memory.get(key):
            out, parked, found, self._frames = known
            self.parked |= parked
            self.found |= found
            return bytes(out)
        gate = Gate(self._view, charset=self._charset, depth=self._depth + 1, bases=self._bases)
        gate._observer = self._observer
        gate._beyond = self._beyond + beyond
        gate._context = self._context.copy()
        gate._open = gate._context.open
        gate._nested_reading = True
        gate._frames = self._frames
        out = gate.feed(inner)
        if gate._rest or gate._mode is not None or not gate._context.in_step(self._context):
            return None
        self.parked |= gate.parked
        self.found |= gate.found
        if gate._bases == self._bases and self._context == gate._context == _ORDINARY:
            self._memory.keep(key, (out, gate.parked, gate.found, gate._frames))
        self._frames = gate._frames
        self._context.take(gate._context)
        self._open = self._context.open
        if gate._bases != self._bases:
            self._rebase(gate._bases)
        return out

    def _nested(self, text: str, xml: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return nested(self._view, self._depth, self._bases, text, xml)


def nested(
    view: View, depth: int, bases: tuple[Address, ...], text: str, xml: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gate a document that stands inside an attribute: for whom something in it is held, the undeclared hosts it asks.

    Args:
        view: the rules, for one set of allowed services.
        depth: how many documents it stands inside of.
        bases: where relative addresses may lead.
        text: the document.
        xml: whether a browser reads it as XML.
    """
    if depth >= DEPTH:
        return ("",), ()
    gate: Document
    if xml:
        gate = XmlGate(view, charset="utf-8", nested=partial(nested, view, depth + 1), bases=bases)
    else:
        gate = Gate(view, charset="utf-8", depth=depth + 1, bases=bases)
    gate.feed(text.encode("utf-8", "replace"))
    gate.end()
    return tuple(sorted(gate.parked)), tuple(sorted(gate.found))
