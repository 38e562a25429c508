"""Test what a store may let go of: erased ids, pruned bodies, and the checkpoints that everybody may see."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.choice.canonical import parse
from consent.errors import LedgerCorruptError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.sqlite import SqliteStore

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]
ID, OTHER = b"i" * 16, b"o" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)


def erasing(consent_id: bytes | None = None) -> Draft:
    """Return the draft of an erasure."""
    known = consent_id is not None
    content = {"reason": "visitor"}
    return Draft(kind="erased", content=content, decided_at=9, subject=consent_id, revokes=known, ends=known)


def pruning() -> Draft:
    """Return the draft of a pruning."""
    return Draft(kind="pruned", content={"ranges": []})


def test_erased_ids_are_known_by_their_hash(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """An erasure leaves the keyed hash of the id, and nothing else of it."""
    store = make_store()
    store.append([make_draft(subject=ID)], now=5)
    assert store.erased() == frozenset()
    store.erase(ID, draft=erasing(ID), now=9)
    store.erase(ID, draft=erasing(ID), now=9)
    assert store.erased() == {hmac.digest(store.revocation_key(), ID, hashlib.sha256)}


def test_erase_again(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """What a restored backup brought back is erased by the keyed hashes alone, and its cookies are no choice."""
    store = make_store()
    store.append([make_draft(subject=ID), make_draft(subject=OTHER), make_draft(subject=ID)], now=5)
    key = hmac.digest(store.revocation_key(), ID, hashlib.sha256)
    appended = store.erase_again({key: 7, b"k" * 32: 8}, draft=erasing(), now=9)
    assert parse(next(store.entries(appended.index)))["count"] == 2
    assert (len(store.records_of(ID)), len(store.records_of(OTHER))) == (0, 1)
    assert store.erased() == {key, b"k" * 32}
    assert {one.key: one.before for one in store.revocations()} == {key: 7, b"k" * 32: 8}


def test_prune(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Pruning takes bytes and side rows, and leaves index, time, leaf hash, root and every proof."""
    store, mark = make_store(), "pruned-by-retention"
    drafts = [make_draft(subject=ID, request_id=f"{n}", content={"method": mark}) for n in range(4)]
    for number, draft in enumerate(drafts):
        store.append([draft], now=10 + number)
    root, hashes = store.head().root, store.hashes(0, first=0, last=4)
    old = store.seal(signed, name=SIGNER.name)
    appended = store.prune([(0, 2), (3, 4)], draft=pruning(), now=20)
    assert parse(next(store.entries(appended.index)))["count"] == 3
    assert [(one.index, one.body is None) for one in store.stored()] == [
        (0, True),
        (1, True),
        (2, False),
        (3, True),
        (4, False),
    ]
    assert [one.leaf_hash for one in store.stored(last=4)] == hashes
    assert len(list(store.entries())) == 2
    assert len(store.records_of(ID)) == 1
    assert [store.index_at(moment) for moment in (10, 11, 13, 14, 21)] == [0, 1, 3, 4, 5]
    assert store.append([drafts[0]], now=30)[0].index == 0
    assert merkle.root(store, size=4) == root
    proof = merkle.consistency_proof(store, old=4, new=5)
    assert merkle.consistent(old=4, old_root=old.root, new=5, new_root=store.head().root, proof=proof)
    again = store.prune([(0, 3)], draft=pruning(), now=20)
    assert parse(next(store.entries(again.index)))["count"] == 1
    store.sweep()
    assert all(mark.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_hole_is_no_pruning(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Reading every place of the log over a row that is gone is an error."""
    store = make_store()
    store.append([make_draft() for _ in range(3)], now=5)
    with store._database.writing() as connection:
        connection.execute("DELETE FROM entry WHERE idx=1")
    with pytest.raises(LedgerCorruptError, match="missing"):
        list(store.stored())


def test_publish_checkpoint(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """One process in turn publishes, at the pace it is told, and only what is new; a token lies beside the note."""
    store = make_store()
    store.append([make_draft()], now=5)
    first = Checkpoint.signed(SIGNER, size=1, root=b"1" * 32)
    second = Checkpoint.signed(SIGNER, size=2, root=b"2" * 32)
    assert store.published_checkpoint() is None
    assert store.publish_checkpoint(first, at=100, after=40)
    assert not store.publish_checkpoint(first, at=500, after=440)
    assert not store.publish_checkpoint(second, at=150, after=90)
    store.stamp_checkpoint(1, token=b"token")
    published = store.published_checkpoint()
    assert published is not None
    assert (published.size, published.at, published.note, published.token) == (1, 100, first.note, b"token")
    assert store.publish_checkpoint(second, at=160, after=100)
    newest = store.published_checkpoint()
    assert newest is not None
    assert (newest.size, newest.token) == (2, None)


def signed(size: int, root: bytes) -> Checkpoint:
    """Sign a tree head with the key of the tests."""
    return Checkpoint.signed(SIGNER, size=size, root=root)


def test_earlier_checkpoints(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Checkpoints of before are kept, and found by size."""
    store, notes = make_store(), []
    for now in (5, 6, 7):
        store.append([make_draft()], now=now)
        notes.append(store.seal(signed, name=SIGNER.name).note)
    assert [store.checkpoint(limit=limit) for limit in (0, 1, 2, 9, None)] == [None, *notes[:2], notes[2], notes[2]]
