"""Take bytes in chunks and give bytes back, wherever the cuts lie."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from consent.gate.observer import Observer
from consent.gate.tokens import CLOSED, COMMENT_END, NAME, SCRIPT_STEP, UNFINISHED, end_of

Bytes = bytes | bytearray
Mode = Callable[[Bytes, int, bool], int]
"""Scans from an offset; the flag says that no more bytes come. Returns where to go on, or WAIT."""

CAP = 1 << 20
"""Bytes of one tag, or of one held text, past which it is neutralised unread."""

WAIT = -1
CDATA_END = re.compile(rb"\]\]>")
_ANY = re.compile(rb"[\x00-\xff]")
_NAME_ENDS = re.compile(rb"[\t\n\f\r />]")
_GT, _BANG, _DASH, _SLASH = b">!-/"

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


class Scanner(ABC):
    """Hold what is not decided yet, and scan the texts whose end alone matters.

    A mode is a method that scans one kind of bytes. It sends nothing itself: what lies between the last replacement
    and the offset that it says is to be kept goes out as it came.
    """

    def __init__(self) -> None:
        self._mode: Mode | None = None
        self._observer: Observer | None = None
        self._beyond = 0
        self._name = NAME
        self._end_name = b""
        self._script_state = 0
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

    @abstractmethod
    def _data(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Scan markup."""

    @abstractmethod
    def _bare(self, buf: Bytes, pos: int, end: int, opening: bytes) -> int:
        """Leave a tag that is past the cap its name and nothing else."""

    def feed(self, chunk: bytes) -> bytes:
        """Take in the next bytes of the document and return those that are ready to be sent."""
        if not self._rest:
            return self._run(chunk, False)
        rest = self._rest
        rest += chunk
        return self._run(rest, False)

    def end(self) -> bytes:
        """Return what was still held; a tag that never ended is dropped."""
        out = self._run(self._rest, True)
        self._mode = None
        return out

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
                pos = WAIT
            else:
                pos = self._data(buf, pos, eof)
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
        return WAIT

    def _put(self, buf: Bytes, start: int, data: bytes, end: int) -> None:
        """Send what lies before `start` as it came, then `data` in place of what lies between `start` and `end`."""
        self._out += (bytes(buf[self._last : start]), data)
        self._last = end

    def _tell_emptied(self, buf: Bytes, start: int, end: int) -> None:
        """Tell whoever watches that nothing of these bytes goes on."""
        if self._observer is not None:
            self._observer.emptied(self._beyond + len(buf) - start, bytes(buf[start:end]))

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
            self._tell_emptied(buf, keep, n)
            self._put(buf, keep, b"", n)
            return self._hold(n, n)
        state = ""
        if self._until.search(buf, pos) is not None:
            if self._boundary == 0:
                self._boundary = end_at(self._name.match(buf, keep)) - keep
            pos = end_at(CLOSED.match(buf, keep + self._boundary))
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
            self._neutral = bytes(buf[keep : end_at(self._name.match(buf, keep))])
        self._put(buf, keep, b"", n)
        self._stand_in = b"<x " + _STATES[self._state][1] if self._boundary else b"<x"
        self._boundary = 3 if self._boundary else 0
        return self._hold(n, n)

    def _discard(self, resume: int, until: re.Pattern[bytes]) -> int:
        self._until = until
        self._mode = self._drop
        return resume

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
        self._last = match.end() if self._until is CDATA_END else match.start()
        return self._last


def end_at(match: re.Match[bytes] | None) -> int:
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
