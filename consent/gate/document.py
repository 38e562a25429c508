"""Hold what the gates of HTML and of XML share: verdicts, and what is written in place of a tag."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

from consent.gate.address import Address
from consent.gate.elements import FRAMES
from consent.gate.insert import Insert
from consent.gate.rules import View
from consent.gate.scanner import Bytes, Scanner, end_at
from consent.gate.tags import Judge, Judged
from consent.gate.tokens import NAME

DEPTH = 8
"""How many documents and readings may be nested in one another."""


@dataclass(slots=True)
class Held:
    """Keep a start tag back until the text after it is known."""

    judged: Judged
    tag: bytes
    insertable: bool


class Document(Scanner):
    """Judge the tags of one document, and write what takes their place.

    `parked` holds the keys of the services something was parked for ("" for undeclared hosts), `found` the
    undeclared third-party hosts that were seen.
    """

    def __init__(self, view: View, *, charset: str, insert: Insert, depth: int, bases: tuple[Address, ...]) -> None:
        super().__init__()
        self.parked: set[str] = set()
        self.found: set[str] = set()
        self._view = view
        self._charset = charset
        self._insert = insert
        self._depth = depth
        self._first_due = bool(insert.first_gated)
        self._held: Held | None = None
        self._frames = 0
        self._rebase(bases)

    def _rebase(self, bases: tuple[Address, ...]) -> None:
        self._bases = bases
        self._memory = self._view.memory(self._charset, self._depth, bases)

    def _spelled(self, content: bytes) -> str:
        """Return the text that an element's content means."""
        return content.decode(self._charset, "replace")

    @abstractmethod
    def _nested(self, text: str, xml: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Gate a document that stands inside an attribute."""

    @property
    def _judge(self) -> Judge:
        # Made when it is needed: kept, it would be a cycle for every page, and most pages never need it.
        return Judge(self._view, self._charset, self._bases, self._nested)

    @property
    def _ambiguous(self) -> bool:
        """Tell whether the bytes at hand can be read in two ways."""
        return False

    def _write_start(self, buf: Bytes, pos: int, end: int, judged: Judged, insertable: bool) -> None:
        if self._observer is not None:
            left = self._beyond + len(buf) - pos
            self._observer.tag(left, bytes(buf[pos:end]), judged, two_readings=self._ambiguous)
        if judged.plain:
            return
        if judged.found:
            self.found.update(judged.found)
        if judged.held:
            self.parked.update(judged.held)
        before = self._before(judged, insertable) if insertable else b""
        if judged.rewritten is not None:
            self._put(
                buf,
                pos,
                before + (self._apart(judged.name, judged.rewritten) if judged.held else judged.rewritten),
                end,
            )
        elif before:
            self._put(buf, pos, before, pos)

    def _apart(self, name: bytes, parked: bytes) -> bytes:
        """Give a parked frame a name that no earlier visit of the page has seen.

        Going back, Chromium loads into a frame what its history has for the frame's name or, where it has none, its
        place among the frames, whatever address the frame has now: a frame without an address is no frame at rest.
        """
        if name not in FRAMES:
            return parked
        self._frames += 1
        end = len(name) + 1
        return parked[:end] + b' name="consent-%d"' % self._frames + parked[end:]

    def _before(self, judged: Judged, insertable: bool) -> bytes:
        """Return what is written before a tag."""
        before = b""
        if self._first_due and (judged.held or (judged.granted and self._insert.also_granted)):
            self._first_due = False
            before = self._insert.first_gated
        if judged.held and judged.leaves_hole:
            before += self._insert.placeholder(judged.held[0], judged.name.decode("ascii"), judged.about)
        return before

    def _joined(self, held: Held, content: bytes) -> Judged:
        """Return what is known about a start tag together with what its text leads to."""
        key = b"\0" + held.tag + content
        judged = self._memory.get(key)
        if judged is None:
            judged = self._join(held.judged, held.tag, self._judge.text(held.judged.text, self._spelled(content)))
            self._memory.keep(key, judged)
        return judged

    def _join(self, judged: Judged, tag: bytes, text: Judged) -> Judged:
        return replace(
            judged,
            rewritten=self._judge.park(tag, end_at(NAME.match(tag)), " ".join(text.held))
            if text.held
            else judged.rewritten,
            held=judged.held + text.held,
            found=judged.found + text.found,
            granted=judged.granted or text.granted,
        )
