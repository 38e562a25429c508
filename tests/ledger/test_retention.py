"""Test pruning: what has outlived its time goes, what is held stays, and an auditor can tell it from a hole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consent import verify
from consent.choice.canonical import parse
from consent.errors import LedgerCorruptError
from consent.ledger import retention as module
from consent.ledger.bundle import write_bundle
from consent.ledger.entry import Draft
from consent.ledger.export import Span, as_jsonl
from consent.ledger.gaps import pruned, within
from consent.ledger.ledger import Ledger
from consent.ledger.retention import Hold, Retention, hold, holds, outlived, prune, release
from consent.ledger.selection import Selection
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Stored
from consent.ledger.table import as_csv

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]
MakeStore = Callable[..., SqliteStore]
KEPT = Retention.of({"opt-in": "P3Y", "opt-out": "P2Y"}, validity="P6M")


def at(text: str) -> int:
    """Return a day as Unix seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def fill(store: SqliteStore, make_draft: MakeDraft, *rows: tuple[str, dict[str, Any]]) -> None:
    """Append a record for each day, with what it says otherwise than the others."""
    for day, content in rows:
        store.append([make_draft(content=content)], now=at(day))


def found(store: SqliteStore, now: str) -> list[int]:
    """Return which entries have outlived their time on a day."""
    return [index for _, index in outlived(store, KEPT, now=at(now))]


def test_the_time_counts_from_the_end_of_validity(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A record is kept for its regime's time after its choice's validity, to the day; a regime without one for ever."""
    store = make_store()
    fill(
        store,
        make_draft,
        ("2020-01-31", {"regime": "opt-out"}),
        ("2020-01-31", {"regime": "opt-in"}),
        ("2020-01-31", {"regime": "notice-only"}),
        ("2020-01-31", {"regime": "opt-in", "scope": "once"}),
    )
    assert found(store, "2022-07-30") == []
    assert found(store, "2022-07-31") == [0]
    assert found(store, "2023-01-31") == [0, 3]
    assert found(store, "2023-07-30") == [0, 3]
    assert found(store, "2023-07-31") == [0, 1, 3]
    assert found(store, "2099-01-01") == [0, 1, 3]
    assert list(outlived(store, Retention.of({}, validity="P6M"), now=at("2099-01-01"))) == []


def test_the_validity_is_that_of_the_notice(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A choice made when choices held longer is kept accordingly."""
    store = make_store()
    digest = store.archive(Document(kind="notice", media_type="application/json", data=b'{"validity":"P12M"}'))
    fill(store, make_draft, ("2020-01-01", {"notice": digest}), ("2020-01-01", {"notice": "cd" * 32}))
    assert found(store, "2023-07-01") == [1]
    assert found(store, "2024-01-01") == [0, 1]


def test_events_stay(make_store: MakeStore) -> None:
    """Only consent records are pruned."""
    store = make_store()
    store.append([Draft(kind="gap", content={"count": 1}), Draft(kind="exported", content={})], now=at("2000-01-01"))
    assert found(store, "2099-01-01") == []


def test_holds(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """What was recorded within a hold stays until the hold is lifted, and the log has both."""
    store = make_store()
    fill(store, make_draft, *((f"2020-0{month}-01", {}) for month in (1, 2, 3)))
    one = Hold(name="case-7", since=at("2020-02-01"), until=at("2020-03-01"))
    hold(store, one, now=at("2020-04-01"))
    assert holds(store) == {"case-7": one}
    assert found(store, "2099-01-01") == [0, 2]
    for name, why in (("case-7", "already"), ("Case 7", "cannot name"), ("", "cannot name")):
        with pytest.raises(ValueError, match=why):
            hold(store, Hold(name=name), now=5)
    with pytest.raises(ValueError, match="ends before"):
        hold(store, Hold(name="x", since=5, until=5), now=5)
    release(store, "case-7", now=at("2020-05-01"))
    assert (holds(store), found(store, "2099-01-01")) == ({}, [0, 1, 2])
    with pytest.raises(ValueError, match="no hold"):
        release(store, "case-7", now=5)
    hold(store, Hold(name="case-7"), now=at("2020-06-01"))
    assert found(store, "2099-01-01") == []
    actions = [(e["action"], e["name"]) for e in map(parse, store.entries()) if e["kind"] == "hold"]
    assert actions == [("add", "case-7"), ("remove", "case-7"), ("add", "case-7")]


def test_prune(make_store: MakeStore, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log reports every index that was pruned, in parts of a bounded size; doing it again does nothing."""
    monkeypatch.setattr(module, "MOST_RANGES", 3)
    store = make_store()
    fill(store, make_draft, *(("2020-01-01", {"regime": ("opt-in", "opt-out")[n % 2]}) for n in range(10)))
    assert prune(store, KEPT, now=at("2022-07-01")) == {"opt-in": 0, "opt-out": 5}
    assert pruned(store) == [(n, n + 1) for n in (1, 3, 5, 7, 9)]
    assert prune(store, KEPT, now=at("2023-07-01")) == {"opt-in": 5, "opt-out": 0}
    assert pruned(store) == [(0, 10)]
    assert prune(store, KEPT, now=at("2023-07-01")) == {"opt-in": 0, "opt-out": 0}
    events = [parse(body) for body in store.entries()]
    assert [(one["regime"], one["retention"], one["count"], len(one["ranges"])) for one in events] == [
        ("opt-out", "P2Y", 3, 3),
        ("opt-out", "P2Y", 2, 2),
        ("opt-in", "P3Y", 3, 3),
        ("opt-in", "P3Y", 2, 2),
    ]
    assert within(pruned(store), first=3, last=5) == 2


def places(store: SqliteStore, *, last: int, status: tuple[str, ...] = ()) -> Iterator[Stored]:
    """Choose entries for an export."""
    return Selection(status=status).places(store, of=Span(first=0, last=last))


def test_exports_state_the_gaps(
    make_store: MakeStore, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """A bundle of a pruned ledger verifies and says how many were pruned; a table keeps the numbers of the others."""
    store = make_store()
    fill(store, make_draft, ("2019-01-01", {}), ("2019-01-01", {}), ("2022-01-01", {}), ("2022-01-01", {}))
    ledger = make_ledger(store)
    prune(store, KEPT, now=at("2023-01-01"))
    write_bundle(ledger, tmp_path / "bundle")
    report = verify.verify(tmp_path / "bundle")
    assert report.problems == []
    assert "2 of these entries were pruned, as others report" in report.facts
    text = b"".join(as_csv(places(store, last=5))).decode("utf-8-sig")
    assert [line.split(",")[0] for line in text.splitlines()] == ["index", "2", "3", "4"]
    assert b"".join(as_jsonl(places(store, last=5))) == b"".join(body + b"\n" for body in store.entries())


def test_a_hole_is_found(make_store: MakeStore, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Bytes that somebody made look pruned, and that no entry reports, are a hole for every export and the verifier."""
    store = make_store()
    fill(store, make_draft, *(("2019-01-01", {}) for _ in range(3)))
    fill(store, make_draft, ("2023-01-01", {}), ("2023-01-01", {}))
    ledger = make_ledger(store)
    prune(store, KEPT, now=at("2023-01-01"))
    write_bundle(ledger, tmp_path / "bundle")
    path = tmp_path / "bundle" / "entries.jsonl"
    entries = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*entries[:3], b"", *entries[4:]]))
    report = verify.verify(tmp_path / "bundle")
    assert report.index == 3
    assert "no entry of the bundle reports that it was pruned" in report.problems[0]
    with store._database.writing() as connection:
        connection.execute("UPDATE entry SET body=x'' WHERE idx=4")
    for write in (
        lambda: write_bundle(ledger, tmp_path / "other"),
        lambda: list(places(store, last=6)),
        lambda: list(places(store, last=6, status=("given",))),
    ):
        with pytest.raises(LedgerCorruptError, match="the bytes of 4 are gone, and the log reports that 3"):
            write()


def test_a_pruning_reports_only_what_came_before(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The ranges of an entry are whole numbers, in order, and end before the entry itself."""
    store = make_store()
    fill(store, make_draft, *(("2019-01-01", {}) for _ in range(3)))
    prune(store, KEPT, now=at("2023-01-01"))
    (event,) = [json.loads(body) for body in store.entries()]
    assert event["ranges"] == [[0, 3]]
