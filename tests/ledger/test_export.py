"""Test the exports for machines and for people, and the choice of a range."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from pyarrow import parquet

from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.export import Span, as_jsonl, moment, span
from consent.ledger.formats import pieces
from consent.ledger.ledger import Ledger
from consent.ledger.parquet import SCHEMA, as_parquet
from consent.ledger.progress import STEP
from consent.ledger.selection import Selection
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Stored
from consent.ledger.table import COLUMNS, as_csv

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]


def table(store: SqliteStore, **of: int) -> list[dict[str, str]]:
    """Export as CSV and read it back."""
    data = b"".join(as_csv(store.stored(**of)))
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_jsonl_is_exact(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Each line is the exact bytes of an entry."""
    store = make_store()
    store.append([make_draft(content={"scope": scope}) for scope in ("«один»", "two", "three\n")], now=5)
    assert b"".join(as_jsonl(store.stored(1, last=3))) == b"".join(body + b"\n" for body in store.entries(1))


def test_csv(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A row says what the record says, in words, and no column holds a pseudonym."""
    store = make_store()
    policy = {"slug": "privacy", "version": "3", "language": "en", "sha256": "cd" * 32}
    content = {"purposes": {"media": True, "analytics": True}, "services": {}, "policies": [policy]}
    (appended,) = store.append([make_draft(subject=b"i" * 16, content=content)], now=5)
    (row,) = table(store)
    assert list(row) == list(COLUMNS)
    assert row["index"] == "0"
    assert row["record"] == str(appended.record)
    assert row["late"] == "no"
    assert (row["purposes_yes"], row["purposes_no"], row["services_yes"]) == ("analytics media", "", "")
    assert row["policies"] == f"privacy/3.en:{'cd' * 32}"
    assert row["signals"] == '{"gpc": false}'
    assert row["other"] == ""
    (record,) = store.records_of(b"i" * 16)
    assert record.body.split(b'"subject":"')[1][:64].decode() not in str(row)


def test_csv_of_events(make_store: MakeStore) -> None:
    """What an event says beside the header stands in the last column."""
    store = make_store()
    store.append([Draft(kind="gap", content={"count": 2, "reason": "queue-unavailable"})], now=5)
    assert table(store)[0]["other"] == '{"count": 2, "reason": "queue-unavailable"}'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_csv_has_no_formulas(make_store: MakeStore, make_draft: MakeDraft, text: str) -> None:
    """A cell that a spreadsheet would run is made text."""
    store = make_store()
    store.append([make_draft(content={"method": text, "purposes": {text: True}})], now=5)
    (row,) = table(store)
    assert row["method"] == row["purposes_yes"] == f"'{text}"


def test_progress(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Progress is told every thousand entries and at the end."""
    store, told = make_store(), list[tuple[int, int]]()
    store.append([make_draft() for _ in range(STEP + 1)], now=5)
    everything = Selection()
    of = everything.span(store, size=STEP + 1)
    assert len(list(everything.places(store, of=of, progress=lambda *done: told.append(done)))) == STEP + 1
    assert told == [(STEP, STEP + 1), (STEP + 1, STEP + 1)]


@pytest.mark.parametrize(
    ("text", "end", "seconds"),
    [
        ("1970-01-02", False, 86_400),
        ("1970-01-02", True, 172_800),
        ("1970-01-02T00:00:01", False, 86_401),
        ("1970-01-02T00:00:01Z", True, 86_401),
        ("1970-01-02T02:00:00+02:00", False, 86_400),
    ],
)
def test_moment(text: str, end: bool, seconds: int) -> None:
    """Dates stand for whole days, times for themselves, in UTC unless they say otherwise."""
    assert moment(text, end=end) == seconds


def test_moment_refuses() -> None:
    """What is neither date nor time is refused."""
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0, 4)),
        ({"since": 10}, (0, 4)),
        ({"since": 11}, (2, 4)),
        ({"until": 20}, (0, 2)),
        ({"since": 10, "until": 21}, (0, 3)),
        ({"since": 99}, (4, 4)),
        ({"since": 30, "until": 10}, (3, 3)),
    ],
    ids=str,
)
def test_span(make_store: MakeStore, make_draft: MakeDraft, given: dict[str, Any], expected: tuple[int, int]) -> None:
    """A range of time becomes a contiguous range of indices, within the checkpoint."""
    store = make_store()
    for now in (10, 10, 20, 30):
        store.append([make_draft()], now=now)
    of = span(store, size=4, **given)
    assert (of.first, of.last) == expected
    assert span(store, size=1, since=99) == Span(first=1, last=1)


def test_records_that_look_alike(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """What many records share is read once, and each keeps its own number and times."""
    store = make_store()
    drafts = [
        make_draft(decided_at=at, subject=subject) for at in (1_000, 2_000, None) for subject in (b"i" * 16, None)
    ]
    appended = [*store.append(drafts, now=5), *store.append([make_draft(content={"signals": {"record": "=1"}})], now=9)]
    rows = table(store)
    assert [row["record"] for row in rows] == [str(one.record) for one in appended]
    assert [row["decided_at"][14:16] for row in rows] == ["16", "16", "33", "33", "", "", "16"]
    assert [row["recorded_at"][-3:] for row in rows] == ["05Z"] * 6 + ["09Z"]
    assert {row["method"] for row in rows} == {"save"}


def test_parquet(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The columns are typed, those of records that look alike too, and none holds a pseudonym."""
    store = make_store()
    policy = {"slug": "privacy", "version": 3, "language": "en", "sha256": "cd" * 32}
    drafts = [make_draft(subject=b"i" * 16, content={"policies": [policy]}), make_draft(), make_draft(decided_at=None)]
    drafts.append(Draft(kind="gap", content={"count": 2, "reason": "queue-unavailable"}))
    appended = store.append(drafts, now=5)
    read = parquet.read_table(io.BytesIO(b"".join(as_parquet(store.stored()))))
    assert read.schema.names == SCHEMA.names
    first, _, third, last = read.to_pylist()
    assert (first["index"], first["record"]) == (0, str(appended[0].record))
    assert first["decided_at"] == datetime.fromtimestamp(1_000, UTC)
    assert third["decided_at"] is None
    assert dict(first["purposes"]) == {"analytics": True, "media": False}
    assert first["policies"] == [policy | {"version": "3"}]
    assert (last["kind"], last["purposes"], last["other"]) == (
        "gap",
        None,
        '{"count": 2, "reason": "queue-unavailable"}',
    )
    assert "subject" not in read.schema.names


class Repeated:
    """Be a store of many entries that holds only a page of them."""

    def __init__(self, places: list[Stored], *, times: int) -> None:
        self._places = places
        self._times = times

    def stored(self, first: int, *, last: int) -> Iterator[Stored]:
        """Yield the same page over and over."""
        return chain.from_iterable(self._places for _ in range(self._times))

    def publications(self) -> dict[str, bytes]:
        """Return none."""
        return {}


@pytest.mark.long
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_memory_stays_flat(make_store: MakeStore, make_draft: MakeDraft, form: str) -> None:
    """An export of 200,000 entries holds no more in memory than a few pages of them."""
    store = make_store()
    store.append([make_draft() for _ in range(1_000)], now=5)
    checkpoint = Ledger(store, signer=Signer("meridian.example", seed=b"s" * 32)).seal()
    many: Any = Repeated(list(store.stored()), times=200)
    places = Selection().places(many, of=Span(first=0, last=200_000))
    tracemalloc.start()
    try:
        for _ in pieces(store, form=form, places=places, checkpoint=checkpoint):
            pass
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
