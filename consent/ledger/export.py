"""Say which range of entries is exported, and write entries out as they are, as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from consent.ledger.store import Store, Stored

BATCH = 1_000
"""How many entries are written at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Hold a range of entries: `first` to `last`, which is excluded."""

    first: int
    last: int


def moment(text: str, *, end: bool = False) -> int:
    """Read a date (`2026-11-22`) or time (`2026-11-22T10:00:00Z`) as Unix seconds; without an offset it is UTC.

    As the `end` of a span a date means the end of that day. Raises ValueError for anything else.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        when = datetime.fromisoformat(text)
    else:
        when = datetime.combine(day + timedelta(days=1) if end else day, time())
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def span(store: Store, *, size: int, since: int | None = None, until: int | None = None) -> Span:
    """Return which of the first `size` entries were recorded from `since` to before `until`, both in Unix seconds."""
    first = 0 if since is None else min(store.index_at(since), size)
    last = size if until is None else min(store.index_at(until), size)
    return Span(first=first, last=max(first, last))


def batches(places: Iterable[Stored], *, size: int = BATCH) -> Iterator[list[Stored]]:
    """Yield places in lists of at most `size`, none of them empty."""
    left = iter(places)
    while batch := list(islice(left, size)):
        yield batch


def as_jsonl(places: Iterable[Stored]) -> Iterator[bytes]:
    """Yield the exact bytes of entries, one a line, many lines at a time; those that were pruned are left out."""
    for batch in batches(places):
        if bodies := [place.body for place in batch if place.body is not None]:
            yield b"\n".join(bodies) + b"\n"
