"""Scan HTML as it streams, park what may not load, and pass every other byte as it came."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from consent.gate.address import Address
from consent.gate.context import Context
from consent.gate.rules import View
from consent.gate.tags import PLACED, Judge, Judged, Text
from consent.gate.tokens import (
    CLOSED,
    COMMENT_END,
    HEAD,
    NAME,
    RAW,
    SCRIPT_STEP,
    SKIP,
    SKIP_HEAD,
    TAG,
    UNFINISHED,
    end_of,
)

Bytes = bytes | bytearray
Mode = Callable[[Bytes, int, bool], int]

CAP = 1 << 20
"""Bytes of one tag, or of one held text, past which it is neutralised unread."""

_LONGEST_NAME = 64
_DEPTH = 8
_BASES = 4
_WAIT = -1
_SPACE = re.compile(rb"[\t\n\f\r ]*+")
_LEADING = re.compile(rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*+")
_ANY = re.compile(rb"[\x00-\xff]")
_NAME_ENDS = re.compile(rb"[\t\n\f\r />]")
_CDATA_END = re.compile(rb"\]\]>")
_GT, _BANG, _DASH, _SLASH = b">!-/"
_DOCTYPE = b"<!doctype"
_CDATA = b"<![CDATA["

# What an unfinished attribute waits for, by the state it is in, and the shortest bytes that are in the same state.
_STATES = {
    "name": (re.compile(rb"[\t\n\f\r />=]"), b"x"),
    "after": (re.compile(rb"[^\t\n\f\r ]"), b"x "),
    "value": (re.compile(rb"[^\t\n\f\r ]"), b"x="),
    "bare": (re.compile(rb"[\t\n\f\r >]"), b"x=y"),
    '"': (re.compile(rb'"'), b'x="'),
    "'": (re.compile(rb"'"), b"x='"),
    "between": (_ANY, b""),
}


def _no_placeholder(service: str, tag: str) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """Hold what is written into a page; all of it ASCII.

    `banner` goes after the opening `<body>` of a whole document. `first_gated` goes once before the first parked tag,
    and with `also_granted` before the first tag of a granted service. `placeholder(service, tag name)` goes before a
    parked frame, object or player. The last two only where the bytes can be read in one way.
    """

    banner: bytes = b""
    first_gated: bytes = b""
    placeholder: Callable[[str, str], bytes] = _no_placeholder
    also_granted: bool = False


NOTHING = Insert()
_TOO_LONG = Judged(name=b"", held=("",))


class _Phase(IntEnum):
    START = 0
    HEAD = 1
    BODY = 2


@dataclass(slots=True)
class _Held:
    """Keep a start tag back until the text after it is known."""

    judged: Judged
    tag: bytes
    insertable: bool


class Gate:
    """Gate one document, or one fragment, fed in any number of chunks; the cuts between them change nothing.

    `parked` holds the keys of the services something was parked for ("" for undeclared hosts), `found` the
    undeclared third-party hosts that were seen.
    """

    def __init__(
        self, view: View, *, charset: str, insert: Insert = NOTHING, depth: int = 0, bases: tuple[Address, ...] = ()
    ) -> None:
        """Start a document.

        Args:
            view: the rules, for one set of allowed services.
            charset: a Python codec under which ASCII bytes mean ASCII (`consent.gate.charset` knows which do).
            insert: what to write into the page.
            depth: how many documents or readings this one is nested in.
            bases: where a `base` of the surrounding document may send relative addresses.
        """
        self.parked: set[str] = set()
        self.found: set[str] = set()
        self._view = view
        self._charset = charset
        self._insert = insert
        self._depth = depth
        self._phase = _Phase.START if insert.banner else _Phase.BODY
        self._fresh = True
        self._first_due = bool(insert.first_gated)
        self._context = Context()
        self._open = False
        self._nested_reading = False
        self._rebase(bases)
        self._mode: Mode | None = None
        self._end_name = b""
        self._script_state = 0
        self._held: _Held | None = None
        self._neutral: bytes | None = None
        self._stand_in = b""
        self._state = "between"
        self._boundary = 0
        self._until = _ANY
        self._rest = bytearray()
        self._resume = 0
        self._keep = 0
        self._out: list[bytes] = []
        self._last = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take in the next bytes of the document and return those that are ready to be sent."""
        if not self._rest:
            return self._run(chunk, False)
        rest = self._rest
        rest += chunk
        return self._run(rest, False)

    def end(self) -> bytes:
        """Return what was still held; a tag that never ended is dropped."""
        return self._run(self._rest, True)

    def _rebase(self, bases: tuple[Address, ...]) -> None:
        self._bases = bases
        self._judge = Judge(self._view, self._charset, bases, self._nested)
        self._memory = self._view.memory(self._charset, self._depth, bases)

    # -- the loop

    def _run(self, buf: Bytes, eof: bool) -> bytes:
        n = len(buf)
        self._out = []
        self._last = 0
        pos = self._resume
        while True:
            if self._mode is not None:
                pos = self._mode(buf, pos, eof)
            elif pos >= n:
                self._hold(n, n)
                pos = _WAIT
            else:
                pos = self._data(buf, pos, n, eof)
            if pos < 0:
                break
        keep = n if eof else self._keep
        self._out.append(bytes(buf[self._last : keep]))
        if self._stand_in and not eof:
            self._rest = bytearray(self._stand_in)
            self._resume = keep + len(self._stand_in)
            self._stand_in = b""
        elif keep >= n:
            self._rest = bytearray()
        elif isinstance(buf, bytearray):
            del buf[:keep]
            self._rest = buf
        else:
            self._rest = bytearray(buf[keep:])
        self._resume = 0 if eof else self._resume - keep
        self._keep = 0
        return b"".join(self._out)

    def _hold(self, keep: int, resume: int) -> int:
        self._keep = keep
        self._resume = resume
        return _WAIT

    def _put(self, buf: Bytes, start: int, data: bytes, end: int) -> None:
        """Send what lies before `start` as it came, then `data` in place of what lies between `start` and `end`."""
        self._out += (bytes(buf[self._last : start]), data)
        self._last = end

    def _data(self, buf: Bytes, pos: int, n: int, eof: bool) -> int:
        skip = SKIP.match
        tag = TAG.match
        known = self._memory.get
        while self._mode is None:
            if self._open:
                pos = buf.find(b"<", pos)
                if pos < 0:
                    return self._hold(n, n)
            elif self._phase is _Phase.BODY:
                pos = _end(skip(buf, pos))
            else:
                pos = self._leading(buf, pos, eof)
                if pos < 0:
                    return pos
            if pos >= n:
                return self._hold(n, n)
            following = buf[pos + 1 : pos + 2]
            if following.isalpha() or (following == b"/" and buf[pos + 2 : pos + 3].isalpha()):
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
                    self._end(bytes(match[2]).lower())
                    pos = end
                else:
                    judged = known(bytes(match[0]))
                    if judged is not None and judged.plain and not self._open and self._phase is _Phase.BODY:
                        pos = end
                        continue
                    pos = self._start(buf, pos, match.end(2), end, judged)
                    known = self._memory.get
            else:
                pos = self._other(buf, pos, n, eof)
                if pos < 0:
                    return pos
        return pos

    def _leading(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Go on to the first tag that tells whether this is a document, or where its body begins."""
        if self._phase is _Phase.HEAD:
            return _end(SKIP_HEAD.match(buf, pos))
        if self._fresh:
            if not eof and len(buf) < 3 and b"\xef\xbb\xbf".startswith(buf):
                return self._hold(0, 0)
            self._fresh = False
            pos = _end(_LEADING.match(buf, pos))
        else:
            pos = _end(_SPACE.match(buf, pos))
        ahead = bytes(buf[pos : pos + 9]).lower()
        if not eof and len(ahead) < 9 and _DOCTYPE.startswith(ahead):
            return self._hold(pos, pos)
        if ahead == _DOCTYPE:
            self._phase = _Phase.HEAD
        elif ahead[:1] != b"<" or (ahead[1:2] not in b"!?" and not ahead.startswith(b"<html")):
            self._phase = _Phase.BODY
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
        if ahead == _CDATA and self._context.foreign:
            self._mode = self._cdata
            self._keep = pos
            return pos
        if ahead[1:2] in (b"!", b"?", b"/"):
            self._mode = self._bogus
            return pos + 2
        return pos + 1

    # -- tags

    def _start(self, buf: Bytes, pos: int, name_end: int, end: int, judged: Judged | None) -> int:
        tag = bytes(buf[pos:end])
        if judged is None:
            judged = self._judge.tag(tag, name_end - pos)
            self._memory.keep(tag, judged)
        return self._enter(buf, pos, end, judged, tag)

    def _enter(self, buf: Bytes, pos: int, end: int, judged: Judged, tag: bytes) -> int:
        """Take in a start tag that has been judged."""
        context = self._context
        name = judged.name
        was_ambiguous = context.ambiguous
        insertable = not (was_ambiguous or context.templates or self._nested_reading)
        after = self._banner(buf, pos, name) if self._phase is not _Phase.BODY and insertable else b""
        if judged.base is not None and judged.base not in self._bases:
            self._rebase((*self._bases, judged.base)[-_BASES:])
        foreign = context.in_foreign
        context.start(name, closes=judged.closes, breaks_out=judged.breaks_out)
        self._open = context.open
        ambiguous = was_ambiguous and context.ambiguous
        childless = ambiguous and judged.closes and foreign
        if name in RAW or name in (b"script", b"noscript"):
            if (ambiguous and not childless) or name == b"noscript":
                self._held = _Held(judged, tag, insertable)
                self._end_name = name
                self._mode = self._two_readings
                return self._hold_text(pos, end)
            if not childless:
                self._end_name = name
                self._script_state = 0
                if judged.text and judged.rewritten is None:
                    self._held = _Held(judged, tag, insertable)
                    self._mode = self._script_text if name == b"script" else self._style_text
                    return self._hold_text(pos, end)
                self._mode = self._script if name == b"script" else self._raw
        elif name == b"plaintext" and not ambiguous:
            self._mode = self._plain
        self._write_start(buf, pos, end, judged, insertable)
        if after:
            self._put(buf, end, after, end)
        return end

    def _hold_text(self, pos: int, end: int) -> int:
        self._keep = pos
        self._boundary = end - pos
        return end

    def _write_start(self, buf: Bytes, pos: int, end: int, judged: Judged, insertable: bool) -> None:
        if judged.plain:
            return
        if judged.found:
            self.found.update(judged.found)
        if judged.held:
            self.parked.update(judged.held)
        before = self._before(judged, insertable) if insertable else b""
        if judged.rewritten is not None:
            self._put(buf, pos, before + judged.rewritten, end)
        elif before:
            self._put(buf, pos, before, pos)

    def _before(self, judged: Judged, insertable: bool) -> bytes:
        """Return what is written before a tag."""
        before = b""
        if self._first_due and (judged.held or (judged.granted and self._insert.also_granted)):
            self._first_due = False
            before = self._insert.first_gated
        if judged.held and judged.name in PLACED:
            before += self._insert.placeholder(judged.held[0], judged.name.decode("ascii"))
        return before

    def _banner(self, buf: Bytes, pos: int, name: bytes) -> bytes:
        """Write the banner before the first element of the body, or return it to be written after `<body>`."""
        if self._phase is _Phase.START:
            self._phase = _Phase.HEAD if name == b"html" else _Phase.BODY
            return b""
        if name in HEAD:
            return b""
        self._phase = _Phase.BODY
        if name == b"frameset":
            return b""
        if name == b"body":
            return self._insert.banner
        self._put(buf, pos, self._insert.banner, pos)
        return b""

    def _end(self, name: bytes) -> None:
        self._context.end(name)
        self._open = self._context.open

    # -- tags that the chunk, or the cap, cuts

    def _unfinished(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Wait for the rest of a tag; at the end of the document, drop it."""
        self._mode = self._tag_rest
        self._neutral = None
        self._boundary = 0
        self._until = _NAME_ENDS
        self._keep = pos
        self._state = "between"
        return self._tag_rest(buf, pos + 2, eof)

    def _tag_rest(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Go on with an unfinished tag from its last whole attribute, so that no byte is read more than a few times."""
        n = len(buf)
        keep = self._keep
        if eof:
            self._mode = None
            self._put(buf, keep, b"", n)
            return self._hold(n, n)
        state = ""
        if self._until.search(buf, pos) is not None:
            if self._boundary == 0:
                self._boundary = _end(NAME.match(buf, keep)) - keep
            pos = _end(CLOSED.match(buf, keep + self._boundary))
            self._boundary = pos - keep
            if pos < n and buf[pos] == _GT:
                self._mode = None
                return keep if self._neutral is None else self._bare(buf, keep, pos + 1, self._neutral)
            state = _state(buf, pos, n)
            self._until = _STATES[state][0]
            self._state = state
        if self._neutral is None and n - keep <= CAP:
            return self._hold(keep, n)
        if self._neutral is None:
            self._neutral = bytes(buf[keep : _end(NAME.match(buf, keep))])
        self._put(buf, keep, b"", n)
        self._stand_in = b"<x " + _STATES[self._state][1] if self._boundary else b"<x"
        self._boundary = 3 if self._boundary else 0
        return self._hold(n, n)

    def _bare(self, buf: Bytes, pos: int, end: int, opening: bytes) -> int:
        """Leave a tag that is past the cap its name and nothing else."""
        self._neutral = None
        if len(opening) > _LONGEST_NAME:
            self._put(buf, pos, b"", end)
            return end
        if opening.startswith(b"</"):
            self._put(buf, pos, opening + b">", end)
            self._end(opening[2:].lower())
            return end
        name = opening[1:].lower()
        parked = b' type="text/plain" data-consent-service=""' if name in (b"script", b"style") else b""
        judged = Judged(name=name, rewritten=opening + parked + b">", held=("",))
        return self._enter(buf, pos, end, judged, opening)

    # -- texts that are held until they are known

    def _script_text(self, buf: Bytes, pos: int, eof: bool) -> int:
        end, resume = self._script_end(buf, pos)
        return self._text_until(buf, end, resume, eof, self._script)

    def _style_text(self, buf: Bytes, pos: int, eof: bool) -> int:
        end, resume = self._raw_end(buf, pos)
        return self._text_until(buf, end, resume, eof, self._raw)

    def _text_until(self, buf: Bytes, end: int, resume: int, eof: bool, stream: Mode) -> int:
        n = len(buf)
        start = self._keep + self._boundary
        known = end if end >= 0 else n
        over = known - start > CAP
        if end < 0 and not eof and not over:
            return self._hold(self._keep, resume)
        held = self._held
        if held is not None:
            verdict = _TOO_LONG if over else self._judge_text(held.judged.text, bytes(buf[start:known]))
            self._write_start(buf, self._keep, start, self._joined(held, verdict), held.insertable)
        self._held = None
        if end < 0:
            self._mode = stream
            return resume
        self._mode = None
        return end

    def _judge_text(self, kind: Text, content: bytes) -> Judged:
        key = b"<%d<" % kind + content
        judged = self._memory.get(key)
        if judged is None:
            judged = self._judge.text(kind, content)
            self._memory.keep(key, judged)
        return judged

    def _joined(self, held: _Held, text: Judged) -> Judged:
        """Return what is known about a start tag together with what its text led to."""
        judged = held.judged
        rewritten = judged.rewritten
        if text.held and rewritten is None:
            rewritten = self._judge.park(held.tag, _end(NAME.match(held.tag)), text.held[0])
        return replace(
            judged,
            rewritten=rewritten,
            held=judged.held + text.held,
            found=judged.found + text.found,
            granted=judged.granted or text.granted,
        )

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
        if not over and judged.text and judged.rewritten is None:
            judged = self._joined(held, self._judge_text(judged.text, inner))
        gated = None if over else self._reading(inner) if b"<" in inner else inner
        self._write_start(buf, self._keep, start, judged, held.insertable)
        if gated is None:
            self.parked.add("")
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
        match = _CDATA_END.search(buf, pos)
        end = match.start() if match else n
        over = end - keep > CAP
        if match is None and not eof and not over:
            return self._hold(keep, max(pos, n - 2))
        self._mode = None
        if match is None or over:
            self.parked.add("")
            self._put(buf, keep, b"", match.end() if match else n)
            if match is None and not eof:
                return self._discard(max(pos, n - 2), _CDATA_END)
            return match.end() if match else n
        comment = buf.find(b">", keep)
        if comment < end:
            inner = bytes(buf[comment + 1 : end])
            gated = self._reading(inner)
            if gated is None:
                self.parked.add("")
                self._put(buf, keep, b"", match.end())
            elif gated != inner:
                self._put(buf, comment + 1, gated, end)
        return match.end()

    def _discard(self, resume: int, until: re.Pattern[bytes]) -> int:
        self._until = until
        self._mode = self._drop
        return resume

    def _reading(self, inner: bytes) -> bytes | None:
        """Gate `inner` as markup; return None where that reading does not end in step with the other."""
        if self._depth >= _DEPTH:
            return None
        gate = Gate(self._view, charset=self._charset, depth=self._depth + 1, bases=self._bases)
        gate._context = self._context.copy()
        gate._open = gate._context.open
        gate._nested_reading = True
        out = gate.feed(inner)
        if gate._rest or gate._mode is not None or not gate._context.in_step(self._context):
            return None
        self.parked |= gate.parked
        self.found |= gate.found
        self._context.take(gate._context)
        self._open = self._context.open
        if gate._bases != self._bases:
            self._rebase(gate._bases)
        return out

    def _nested(self, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Gate a document that stands inside an attribute."""
        if self._depth >= _DEPTH:
            return ("",), ()
        gate = Gate(self._view, charset="utf-8", depth=self._depth + 1, bases=self._bases)
        gate.feed(text.encode("utf-8", "replace"))
        gate.end()
        return tuple(sorted(gate.parked)), tuple(sorted(gate.found))

    # -- texts that stream

    def _script_end(self, buf: Bytes, pos: int) -> tuple[int, int]:
        """Return where a script's end tag begins, or -1 and where to go on; follows its escaped states."""
        while True:
            match = SCRIPT_STEP.search(buf, pos)
            if match is None:
                return -1, max(pos, len(buf) - 8)
            step = buf[match.start() + 1]
            pos = match.end()
            if step == _BANG:
                self._script_state = self._script_state or 1
                pos -= 2
            elif step == _DASH:
                self._script_state = 0
            elif step != _SLASH:
                self._script_state = 2 if self._script_state else 0
            elif self._script_state < 2:
                return match.start(), pos
            else:
                self._script_state = 1

    def _raw_end(self, buf: Bytes, pos: int) -> tuple[int, int]:
        match = end_of(self._end_name).search(buf, pos)
        return (match.start(), pos) if match else (-1, max(pos, len(buf) - len(self._end_name) - 2))

    def _script(self, buf: Bytes, pos: int, eof: bool) -> int:
        return self._stream(*self._script_end(buf, pos))

    def _raw(self, buf: Bytes, pos: int, eof: bool) -> int:
        return self._stream(*self._raw_end(buf, pos))

    def _stream(self, end: int, resume: int) -> int:
        if end < 0:
            return self._hold(resume, resume)
        self._mode = None
        return end

    def _plain(self, buf: Bytes, pos: int, eof: bool) -> int:
        return self._hold(len(buf), len(buf))

    def _comment(self, buf: Bytes, pos: int, eof: bool) -> int:
        match = COMMENT_END.search(buf, pos)
        return self._stream(match.end() if match else -1, max(pos, len(buf) - 3))

    def _bogus(self, buf: Bytes, pos: int, eof: bool) -> int:
        end = buf.find(b">", pos)
        return self._stream(end + 1 if end >= 0 else -1, len(buf))

    def _drop(self, buf: Bytes, pos: int, eof: bool) -> int:
        match = self._until.search(buf, pos)
        if match is None:
            tail = len(buf) if eof else max(pos, len(buf) - len(self._end_name) - 2)
            self._last = tail
            return self._hold(tail, tail)
        self._mode = None
        self._last = match.end() if self._until is _CDATA_END else match.start()
        return self._last


def _end(match: re.Match[bytes] | None) -> int:
    return match.end() if match else 0


def _state(buf: Bytes, pos: int, n: int) -> str:
    """Return which state an unfinished tag is in, from its last whole attribute on."""
    match = UNFINISHED.match(buf, pos)
    if pos == n or match is None:
        return "between"
    if match[3]:
        return match[3].decode("ascii")
    if match[2]:
        return "bare" if match[4] else "value"
    return "after" if match[1] else "name"
