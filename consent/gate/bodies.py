"""Remember what was gated whole: a page that many visitors in one state ask for is gated once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

BUDGET = 16_000_000
LONGEST = 1_000_000

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
    """Keep what was used most recently, within a number of bytes; a key holds the bytes as they were before."""

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
        """Keep what takes `size` bytes with its key, and let go of what was not asked for longest."""
        if size > 2 * LONGEST or key in self._kept:
            return
        self._kept[key] = (gated, size)
        self._size += size
        while self._size > self._budget:
            self._size -= self._kept.popitem(last=False)[1][1]
