"""Let somebody watch what the gate does, tag by tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from consent.gate.tags import Judged


class Observer(Protocol):
    """Be told what becomes of a page; what is done does not depend on it.

    `left` counts the bytes from the beginning of what is told about to the end of all that was fed so far.
    """

    def tag(self, left: int, tag: bytes, judged: Judged, *, two_readings: bool) -> None:
        """Take in a start tag that was looked at, with what is known about it and its text."""

    def emptied(self, left: int, content: bytes) -> None:
        """Take in what nothing goes on of: an unfinished tag, or what two readings do not end in step."""
