"""Find where a document's head and its body begin, and write there what is inserted."""

from __future__ import annotations

import re
from enum import IntEnum

from consent.gate import skip
from consent.gate.address import Address
from consent.gate.insert import Insert
from consent.gate.rules import View
from consent.gate.scanner import CAP, Bytes, end_at
from consent.gate.texts import Texts
from consent.gate.tokens import HEAD, TAG

_SPACE = re.compile(rb"[\t\n\f\r ]*+")
_LEADING = re.compile(rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*+")
_OUTERMOST = (b"html", b"head")
_DOCTYPE, _HTML = b"<!doctype", b"<html"


class Phase(IntEnum):
    """Say how far a document has come; what is no whole document, or gets nothing, is all body."""

    START = 0
    HEAD = 1
    BODY = 2


class Beginning(Texts):
    """Go through a document's beginning, of which nothing is known until its first tags are there."""

    def __init__(self, view: View, *, charset: str, insert: Insert, depth: int, bases: tuple[Address, ...]) -> None:
        super().__init__(view, charset=charset, insert=insert, depth=depth, bases=bases)
        self._phase = Phase.START if insert.banner or insert.watch else Phase.BODY
        self._watch = insert.watch
        self._fresh = True

    def _rebase(self, bases: tuple[Address, ...]) -> None:
        super()._rebase(bases)
        # Where a base sends relative addresses elsewhere, none of them is the site's own for certain.
        body, head = skip.patterns() if bases else self._view.rules.skip
        self._skip, self._skip_head = body.match, head.match

    def _leading(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Go on to the first tag that tells whether this is a document, or where its body begins."""
        if self._phase is Phase.HEAD:
            if self._watch:
                pos = self._watched(buf, pos, eof)
                if self._watch:
                    return pos
            return end_at(self._skip_head(buf, pos, pos + CAP))
        if self._fresh:
            if not eof and len(buf) < 3 and b"\xef\xbb\xbf".startswith(buf):
                return self._hold(0, 0)
            self._fresh = False
            pos = end_at(_LEADING.match(buf, pos))
        else:
            pos = end_at(_SPACE.match(buf, pos))
        ahead = bytes(buf[pos : pos + 9]).lower()
        if not eof and len(ahead) < 9 and (_DOCTYPE.startswith(ahead) or _HTML.startswith(ahead)):
            return self._hold(pos, pos)
        if ahead == _DOCTYPE:
            self._phase = Phase.HEAD
        elif ahead[:1] != b"<" or (ahead[1:2] not in b"!?" and not ahead.startswith(_HTML)):
            self._phase = Phase.BODY
            return end_at(self._skip(buf, pos, pos + CAP))
        return pos

    def _watched(self, buf: Bytes, pos: int, eof: bool) -> int:
        """Write what watches a document's scripts before its first element but `html` and `head`."""
        pos = end_at(_SPACE.match(buf, pos))
        ahead = bytes(buf[pos : pos + 2])
        if ahead == b"<" and not eof:
            return self._hold(pos, pos)
        match = TAG.match(buf, pos)
        if match is None:
            waits = not ahead or ahead in (b"<!", b"<?") or (ahead[:1] == b"<" and ahead[1:].isalpha())
        else:
            waits = not match[1] and bytes(match[2]).lower() in _OUTERMOST
        if not waits:
            self._put(buf, pos, self._watch, pos)
            self._watch = b""
        return pos

    def _banner(self, buf: Bytes, pos: int, name: bytes) -> bytes:
        """Write the banner before the first element of the body, or return it to be written after `<body>`."""
        if self._phase is Phase.START:
            self._phase = Phase.HEAD if name == b"html" else Phase.BODY
            return b""
        if name in HEAD:
            return b""
        self._phase = Phase.BODY
        if name == b"frameset":
            return b""
        if name == b"body":
            return self._insert.banner
        self._put(buf, pos, self._insert.banner, pos)
        return b""
