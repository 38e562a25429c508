"""Tell entries whose bytes were deleted lawfully, which the log itself reports, from holes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from consent.errors import LedgerCorruptError
from consent.ledger.store import Store


def events(store: Store, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of one kind that were appended under a unique name, in order of index."""
    mark = f'"kind":"{kind}"'.encode()
    return (json.loads(body) for body in store.publications().values() if mark in body)


def pruned(store: Store) -> list[tuple[int, int]]:
    """Return the ranges of entries whose pruning the log reports (the second index excluded), sorted and merged."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((first, last) for entry in events(store, "pruned") for first, last in entry["ranges"]):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def within(ranges: list[tuple[int, int]], *, first: int, last: int) -> int:
    """Return how many indices of these ranges lie between `first` and `last` (excluded)."""
    return sum(max(0, min(end, last) - max(begin, first)) for begin, end in ranges)


def refuse_holes(store: Store, *, first: int, last: int, missing: int) -> int:
    """Return how many entries between two indices are missing, given as `missing`.

    Raises LedgerCorruptError if the log does not report that they were pruned.
    """
    reported = within(pruned(store), first=first, last=last)
    if missing != reported:
        raise LedgerCorruptError(
            f"of the entries {first} to {last} (excluded) the bytes of {missing} are gone, and the log reports that"
            f" {reported} were pruned"
        )
    return missing
