"""Slow down guessing without knowing who guesses."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Let `burst` tries through at once and one more every `seconds`, all visitors of a process together.

    No address is looked at or kept. `clock` gives seconds; while they go back, nothing more is let through.
    """

    def __init__(self, *, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._seconds = seconds
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    @property
    def open(self) -> bool:
        """Tell whether another try is let through."""
        now = self._clock()
        self._left = min(self._burst, self._left + max(0.0, now - self._at) / self._seconds)
        self._at = now
        return self._left >= 1

    def count(self) -> None:
        """Count one try that failed."""
        self._left -= 1
