"""Say how far a long work over the log has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Take how many entries are done, of how many."""
STEP = 1_000
T = TypeVar("T")


def silent(done: int, total: int) -> None:
    """Show no progress."""


def watched(entries: Iterable[T], *, total: int, progress: Progress) -> Iterator[T]:
    """Pass entries on, telling `progress` about every thousandth and the last."""
    done = 0
    for one in entries:
        yield one
        done += 1
        if done % STEP == 0:
            progress(done, total)
    progress(done, total)
