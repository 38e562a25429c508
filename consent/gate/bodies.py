"""Remember whole pages as they were gated: a page that many visitors in one state ask for is gated once."""

from __future__ import annotations

from collections import OrderedDict

BUDGET = 16_000_000
LONGEST = 1_000_000

Key = tuple[object, ...]


class Bodies:
    """Keep the most recently used pages within a number of bytes; a key holds the page's own bytes."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._pages: OrderedDict[Key, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: Key) -> bytes | None:
        """Return the gated page of a key."""
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
        return page

    def keep(self, key: Key, page: bytes) -> None:
        """Keep a gated page, and let go of those that were not asked for longest."""
        size = _size(key, page)
        if size > 2 * LONGEST or key in self._pages:
            return
        self._pages[key] = page
        self._size += size
        while self._size > self._budget:
            self._size -= _size(*self._pages.popitem(last=False))


def _size(key: Key, page: bytes) -> int:
    """Return the bytes that an entry holds: its body may be long where nothing of it is left."""
    return len(page) + sum(len(part) for part in key if isinstance(part, bytes))
