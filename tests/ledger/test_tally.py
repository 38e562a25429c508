"""Test the counting of answers: each record once, whoever counts it, over both kinds of store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from consent.ledger import tally as tallies
from consent.ledger.entry import Draft
from consent.ledger.store import Store
from consent.ledger.tally import KIND, Tally, monday

DAY = 86_400


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a chunk be done after eight entries, which are counted three at a time."""
    monkeypatch.setattr(tallies, "CHUNK", 8)
    monkeypatch.setattr(tallies, "PIECE", 3)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, close_later: Callable[..., None]) -> Store:
    """Return an empty store of either kind."""
    if request.param == "sqlite":
        made: Store = request.getfixturevalue("make_store")()
        return made
    from consent.ledger.postgres import PostgresStore

    postgres = PostgresStore(request.getfixturevalue("make_database")(), origin="https://meridian.example")
    close_later(postgres)
    return postgres


def total(tally: Tally) -> Counter[Any]:
    """Return all cells."""
    return sum(tally.weeks.values(), Counter())


def test_each_record_is_counted_once(store: Store, make_draft: Callable[..., Draft]) -> None:
    """However the log grows between two looks, the counts are those of all its records, and of nothing else."""
    tally, expected = Tally(store), 0
    for batch in (1, 4, 11, 2, 16):
        store.append([make_draft() for _ in range(batch)], now=DAY * 20_000 + batch)
        once = make_draft(content={"scope": "once"})
        event = Draft(kind="exported", content={"format": "csv", "by": "audit-page"})
        store.append([once, event], now=DAY * 20_000 + batch)
        expected += batch
        assert tally.catch_up() == tally.counted == store.head().size
        assert total(tally).total() == tally.hours.total() == expected
    ((cell, count),) = total(tally).items()
    assert (cell.language, cell.regime, cell.yes, cell.no) == ("en", "opt-in", ("analytics",), ("media",))
    assert count == expected


def test_a_new_reader_counts_only_what_no_chunk_holds(store: Store, make_draft: Callable[..., Draft]) -> None:
    """Finished chunks are read from the archive, the same for whoever made them; only the rest is read from the log."""
    store.append([make_draft() for _ in range(21)], now=DAY * 20_000)
    first, second = Tally(store), Tally(store)
    first.catch_up()
    chunks = store.documents("", kind=KIND)
    assert sorted(json.loads(one.data)["first"] for one in chunks) == [0, 8]
    read: list[int] = []
    entries = store.entries

    class Watched:
        def entries(self, begin: int = 0, *, last: int | None = None) -> Any:
            read.append(begin)
            return entries(begin, last=last)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    third = Tally(Watched())
    third.catch_up()
    assert min(read) == 16
    second.catch_up()
    assert total(first) == total(second) == total(third)
    assert third.hours == first.hours
    assert store.documents("", kind=KIND) == chunks


def test_counting_stops_when_its_time_is_over(store: Store, make_draft: Callable[..., Draft]) -> None:
    """A page that has no time counts nothing, and says how far it is."""
    store.append([make_draft() for _ in range(20)], now=DAY * 20_000)
    tally = Tally(store)
    assert tally.catch_up(seconds=0) == 20
    assert tally.counted == 0
    tally.catch_up()
    assert tally.counted == 20


@pytest.mark.parametrize(("day", "first"), [(1, 1), (7, 1), (8, 8), (739_943, 739_943), (739_949, 739_943)])
def test_weeks_begin_on_monday(day: int, first: int) -> None:
    """The first of January of the year 1 was a Monday, and every seventh day since is one."""
    assert monday(day) == first
