"""Test what is known of withdrawn cookies without asking the database."""

from __future__ import annotations

from collections.abc import Callable

from consent.ledger.entry import Draft
from consent.ledger.revocations import KEPT, Revocations
from consent.ledger.sqlite import SqliteStore

ID = b"i" * 16


def test_newest_counts() -> None:
    """Of several revocations of one id the newest counts, in whatever order they come."""
    revocations = Revocations()
    for before in (10, 30, 20):
        revocations.add(ID, before=before)
    assert revocations.cover(ID, decided_at=29)
    assert not revocations.cover(ID, decided_at=30)
    assert not revocations.cover(b"o" * 16, decided_at=1)


def test_refresh_reads_on(make_store: Callable[..., SqliteStore], make_draft: Callable[..., Draft]) -> None:
    """Each refresh takes over what is new, from whichever process it came."""
    store, revocations = make_store(), Revocations()
    for before in (20, 10, 30):
        store.append([make_draft(subject=ID, revokes=True, decided_at=before)], now=before)
        revocations.refresh(store, now=before)
        assert revocations.cover(ID, decided_at=max(before, 20) - 1)
        assert not revocations.cover(ID, decided_at=max(before, 20))
    assert len(revocations) == 1


def test_old_ones_are_forgotten(make_store: Callable[..., SqliteStore], make_draft: Callable[..., Draft]) -> None:
    """Revocations that no cookie can be old enough for are deleted from the store."""
    store = make_store()
    store.append([make_draft(subject=ID, revokes=True, decided_at=20)], now=20)
    Revocations().refresh(store, now=20 + KEPT)
    assert len(store.revocations()) == 1
    Revocations().refresh(store, now=21 + KEPT)
    assert store.revocations() == []
