"""Remember what was gated whole: a page that many visitors in one state ask for is gated once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

BUDGET = 16_000_000
LONGEST = 1_000_000
_SAMPLE = 64

Key = tuple[object, ...]
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Page:
    """Hold what became of a page: of the headers that were looked at, and of its body; and who is asked in it.

    `asked` is the notice, language and regime of the banner, empty where there is none.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    asked: str = ""


class Bodies(Generic[Kept]):
    """Keep what became of bodies: of those used most recently, within a number of bytes, both as they came and gated.

    A body is found by a `key`, of all else that decides what becomes of it, and by its own bytes.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[Key, tuple[Kept, bytes, int]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Return how much is kept."""
        return len(self._kept)

    def get(self, key: Key, source: bytes) -> Kept | None:
        """Return what became of a body."""
        alike = (*key, *_likeness(source))
        known = self._kept.get(alike)
        if known is None or known[1] != source:
            return None
        self._kept.move_to_end(alike)
        return known[0]

    def keep(self, key: Key, source: bytes, gated: Kept, *, size: int) -> None:
        """Keep what became of a body, and let go of what was not asked for longest.

        It takes the place of a body of this key that was much like it. `size` is what it takes, in bytes, beside the
        body itself.
        """
        size += len(source)
        if size > 2 * LONGEST:
            return
        alike = (*key, *_likeness(source))
        if alike in self._kept:
            self._size -= self._kept.pop(alike)[2]
        self._kept[alike] = (gated, source, size)
        self._size += size
        while self._size > self._budget:
            self._size -= self._kept.popitem(last=False)[1][2]


def _likeness(body: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Return what two bodies that differ mostly differ in: comparing the two takes a tenth of hashing one."""
    middle = len(body) // 2
    return len(body), body[:_SAMPLE], body[middle : middle + _SAMPLE], body[-_SAMPLE:]
