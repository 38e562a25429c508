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
class Whole:
    """Hold what became of a style sheet or of XML, beside how it came."""

    source: bytes
    gated: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Hold what became of a page: of the headers that were looked at, and of its body; and who is asked in it.

    `source` is the body as it came; `asked` is the notice, language and regime of the banner, empty where there is
    none.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    source: bytes
    asked: str = ""


def likeness(body: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Return what two bodies that differ mostly differ in: comparing the two takes a tenth of hashing one."""
    middle = len(body) // 2
    return len(body), body[:_SAMPLE], body[middle : middle + _SAMPLE], body[-_SAMPLE:]


class Bodies(Generic[Kept]):
    """Keep what was used most recently, within a number of bytes, that of each with its key."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Return how much is kept."""
        return len(self._kept)

    def get(self, key: Key) -> Kept | None:
        """Return what is kept for a key."""
        known = self._kept.get(key)
        if known is None:
            return None
        self._kept.move_to_end(key)
        return known[0]

    def keep(self, key: Key, gated: Kept, *, size: int) -> None:
        """Keep what takes `size` bytes in place of what had this key, and let go of what was not asked for longest."""
        if size > 2 * LONGEST:
            return
        if key in self._kept:
            self._size -= self._kept.pop(key)[1]
        self._kept[key] = (gated, size)
        self._size += size
        while self._size > self._budget:
            self._size -= self._kept.popitem(last=False)[1][1]
