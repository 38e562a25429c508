"""Hold a script or a style sheet that stands in HTML until it is known what its text leads to."""

from __future__ import annotations

import re

from consent.gate.document import Document
from consent.gate.scanner import CAP, Bytes, Mode
from consent.gate.tags import Judged

_TOO_LONG = Judged(name=b"", held=("",))


class Texts(Document):
    """Judge an element together with its text; a text past the cap is held, whatever it leads to."""

    def _hold_text(self, pos: int, end: int) -> int:
        self._keep = pos
        self._boundary = end - pos
        return end

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
            judged = (
                self._join(held.judged, held.tag, _TOO_LONG) if over else self._joined(held, bytes(buf[start:known]))
            )
            self._write_start(buf, self._keep, start, judged, held.insertable)
        self._held = None
        if end < 0:
            self._mode = stream
            return resume
        self._mode = None
        return end

    def _script_element(self, match: re.Match[bytes]) -> Judged:
        """Judge a whole script, start tag and text together."""
        tag = bytes(match[1])
        judged = self._memory.get(tag)
        if judged is None:
            judged = self._judge.tag(tag, len(b"<script"))
            self._memory.keep(tag, judged)
        if judged.text:
            judged = self._join(judged, tag, self._judge.text(judged.text, self._spelled(bytes(match[2]))))
        self._memory.keep(bytes(match[0]), judged)
        return judged
