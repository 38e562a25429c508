"""Test the hourly totals: counted in memory, kept in the store, about nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.errors import LedgerUnavailableError
from consent.ledger.checkpoint import Signer
from consent.ledger.ledger import Ledger
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import HOUR, Total
from consent.ledger.totals import MOST, OTHER, Totals

MakeStore = Callable[..., SqliteStore]
NOON = 490_000 * HOUR


def test_totals_are_added_up_by_hour(make_store: MakeStore) -> None:
    """What two hand-overs of one hour counted is one total; another hour is another one."""
    store, now = make_store(), [float(NOON)]
    totals = Totals(clock=lambda: now[0])
    totals.add("shown", subject="en")
    totals.hand_over(store)
    now[0] += HOUR - 1
    totals.add("shown", subject="en", count=2)
    now[0] += 1
    totals.add("shown", subject="uk")
    totals.hand_over(store)
    totals.hand_over(store)
    assert store.totals("shown") == [
        Total(hour=NOON, name="shown", subject="en", count=3),
        Total(hour=NOON + HOUR, name="shown", subject="uk", count=1),
    ]


def test_totals_below_a_name_and_in_a_span(make_store: MakeStore) -> None:
    """A name finds itself and what follows it after a dot, never a longer word; a span ends before its last hour."""
    store = make_store()
    names = ("report", "report.img-src", "report.script-src", "reported", "repor")
    store.add_totals([Total(hour=NOON + HOUR * n, name=name, subject="", count=1) for n, name in enumerate(names)])
    assert [total.name for total in store.totals("report")] == ["report", "report.img-src", "report.script-src"]
    assert [total.name for total in store.totals("report.img-src")] == ["report.img-src"]
    assert [total.name for total in store.totals("report", first=NOON + HOUR, last=NOON + 2 * HOUR)] == [
        "report.img-src"
    ]


def test_totals_wait_for_the_store(make_store: MakeStore, tmp_path: Path) -> None:
    """What the store cannot take is neither lost nor counted twice."""
    store = make_store(tmp_path / "no folder" / "consent.db")
    totals = Totals(clock=lambda: float(NOON))
    totals.add("shown", count=5)
    with pytest.raises(LedgerUnavailableError):
        totals.hand_over(store)
    totals.add("shown")
    (tmp_path / "no folder").mkdir()
    totals.hand_over(store)
    totals.hand_over(store)
    assert [total.count for total in store.totals("shown")] == [6]


def test_totals_are_bounded(make_store: MakeStore) -> None:
    """Whoever invents subjects fills neither memory nor the store: the rest counts as one."""
    store = make_store()
    totals = Totals(clock=lambda: float(NOON))
    for number in range(MOST + 50):
        totals.add("report", subject=f"{number}.example")
    totals.hand_over(store)
    kept = store.totals("report")
    assert len(kept) == MOST + 1
    assert [total.count for total in kept if total.subject == OTHER] == [50]


def test_a_child_does_not_count_what_its_parent_counted() -> None:
    """After a fork, what waits is the parent's alone."""
    totals = Totals(clock=lambda: float(NOON))
    totals.add("shown")
    child = os.fork()
    if child == 0:
        os._exit(len(totals._counts))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(totals._counts) == 1


def test_a_ledger_hands_over_at_its_end(make_store: MakeStore, tmp_path: Path) -> None:
    """What was counted is in the store once the ledger is closed."""
    ledger = Ledger(make_store(), signer=Signer.generate("meridian.example"), clock=lambda: float(NOON))
    ledger.start()
    ledger.count("shown", "en", count=3)
    ledger.close()
    assert [total.count for total in make_store().totals("shown")] == [3]
