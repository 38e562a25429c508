"""Count what happens by the hour, with nobody's id, until the store takes it over."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable

from consent.errors import LedgerUnavailableError
from consent.ledger.store import HOUR, Store, Total

MOST = 2_000
"""How many different totals wait at most; whoever asks for more counts under OTHER."""
OTHER = "other"


class Totals:
    """Hold what was counted since the last hand-over; `clock` gives Unix seconds. Any thread may count."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Begin anew: in the child of a fork, what the parent counted is the parent's to hand over."""
        self._counting = threading.Lock()
        self._counts: Counter[tuple[int, str, str]] = Counter()

    def add(self, name: str, *, subject: str = "", count: int = 1) -> None:
        """Count something under a name and, where it matters, a subject such as a host."""
        key = (int(self._clock()) // HOUR * HOUR, name, subject)
        with self._counting:
            if key not in self._counts and len(self._counts) >= MOST:
                key = (key[0], name, OTHER)
            self._counts[key] += count

    def hand_over(self, store: Store) -> None:
        """Add what was counted to the store; what it cannot take now waits on."""
        with self._counting:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            store.add_totals([Total(hour=h, name=n, subject=s, count=c) for (h, n, s), c in counts.items()])
        except LedgerUnavailableError:
            with self._counting:
                self._counts.update(counts)
            raise


_all: weakref.WeakSet[Totals] = weakref.WeakSet()


def _after_in_child() -> None:
    for totals in list(_all):
        totals.reset()


os.register_at_fork(after_in_child=_after_in_child)
