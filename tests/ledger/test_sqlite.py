"""Test the SQLite store: order, durability, idempotency, several processes, and what happens when it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.choice.canonical import parse
from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.database import MEMORY, migrations
from consent.ledger.entry import Draft
from consent.ledger.sqlite import SqliteStore

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]
ID = b"i" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)


def seal(store: SqliteStore) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def root_of(store: SqliteStore) -> bytes:
    """Compute the root from the stored bytes alone."""
    tree = merkle.Frontier()
    for body in store.entries():
        tree.append(merkle.leaf_hash(body))
    return tree.root()


def test_erase(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """After an erasure nothing leads to the person, no byte of the id is left in the file, and every proof verifies."""
    store = make_store()
    store.append([make_draft(subject=ID), make_draft(subject=b"o" * 16), make_draft(subject=ID)], now=5)
    before = seal(store)
    draft = Draft(
        kind="erased", content={"reason": "asked"}, decided_at=9, subject=ID, request_id="e", revokes=True, ends=True
    )
    erased = store.erase(ID, draft=draft, now=9)
    assert parse(next(store.entries(erased.index)))["count"] == 2
    assert store.records_of(ID) == []
    assert len(store.records_of(b"o" * 16)) == 1
    assert all(ID not in file.read_bytes() for file in tmp_path.iterdir())
    proof = merkle.consistency_proof(store, old=before.size, new=4)
    assert merkle.consistent(old=3, old_root=before.root, new=4, new_root=store.head().root, proof=proof)
    assert [revocation.before for revocation in store.revocations()] == [10]


def test_older_revocations_are_merged(
    make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocations of a ledger from before become one for each id, the one that reaches furthest."""
    whole = migrations()
    monkeypatch.setattr("consent.ledger.database.migrations", lambda: whole[:1])
    make_store().open()
    connection = sqlite3.connect(tmp_path / "consent.db")
    rows = [(b"a", 5), (b"b", 1), (b"a", 9), (b"a", 7), (b"a", 9)]
    connection.executemany("INSERT INTO revocation (key, before) VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    monkeypatch.undo()
    kept = make_store().revocations()
    assert [(revocation.position, revocation.key, revocation.before) for revocation in kept] == [
        (2, b"b", 1),
        (5, b"a", 9),
    ]


def test_sweeping_waits_for_nobody(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """An erasure is done although a reader keeps the write-ahead log, which a later sweep empties."""
    store, log = make_store(), tmp_path / "consent.db-wal"
    store.append([make_draft(subject=ID)], now=5)
    reader = sqlite3.connect(tmp_path / "consent.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subject").fetchall()
    store.erase(ID, draft=Draft(kind="erased", content={"reason": "asked"}), now=6)
    store.sweep()
    assert log.stat().st_size > 0
    reader.close()
    store.sweep()
    assert log.stat().st_size == 0
    store.append([make_draft()], now=7)
    store.sweep()
    assert log.stat().st_size > 0


def test_a_ledger_gone_from_beside_its_key(
    make_store: MakeStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A ledger begun where only the key of an older one lies is begun, loudly; a first one, and an old one, quietly."""
    for _ in range(2):
        store = make_store()
        store.open()
        store.close()
        (tmp_path / "consent.db.key").write_text("key")
    assert caplog.records == []
    (tmp_path / "consent.db").unlink()
    make_store().open()
    (told,) = caplog.records
    assert told.levelname == "ERROR"
    assert "cookies that were withdrawn count again" in told.getMessage()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE head SET size=1, roots=(SELECT hash FROM leaf WHERE idx=0)",
        "UPDATE leaf SET hash=zeroblob(32) WHERE idx=0",
        "DELETE FROM leaf WHERE idx=1",
        "UPDATE checkpoint SET note=x'00'",
        "UPDATE checkpoint SET size=1",
    ],
    ids=["rolled-back", "changed", "removed", "note", "size"],
)
def test_seal_refuses_what_does_not_extend(
    make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path, damage: str
) -> None:
    """No checkpoint is signed for a tree that does not contain the last one."""
    store = make_store()
    store.append([make_draft(), make_draft()], now=5)
    seal(store)
    store.append([make_draft()], now=5)
    store.close()
    connection = sqlite3.connect(tmp_path / "consent.db")
    with connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(LedgerCorruptError):
        seal(store)


def test_missing_entry_is_noticed(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Reading over a row that is gone is an error, not a shorter log."""
    store = make_store()
    store.append([make_draft() for _ in range(3)], now=5)
    store.close()
    connection = sqlite3.connect(tmp_path / "consent.db")
    with connection:
        connection.execute("DELETE FROM entry WHERE idx=1")
    connection.close()
    with pytest.raises(LedgerCorruptError, match="missing"):
        list(store.entries())
    with pytest.raises(LedgerCorruptError, match="missing"):
        store.index_at(5)


def test_file_is_private(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """The ledger and what SQLite lays beside it are for its owner alone, whatever the umask."""
    old = os.umask(0)
    try:
        make_store().append([make_draft()], now=5)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"consent.db": 0o600, "consent.db-wal": 0o600, "consent.db-shm": 0o600}


def test_a_file_of_something_else(make_store: MakeStore, tmp_path: Path) -> None:
    """The database of an application is not taken for a ledger, nor changed."""
    connection = sqlite3.connect(tmp_path / "consent.db")
    connection.execute("CREATE TABLE article (title TEXT)")
    connection.close()
    with pytest.raises(ConfigurationError, match="not a ledger"):
        make_store().open()
    connection = sqlite3.connect(tmp_path / "consent.db")
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("article",)]
    connection.close()


def test_a_newer_ledger(make_store: MakeStore, tmp_path: Path) -> None:
    """A ledger that a newer version has migrated is left alone."""
    make_store().open()
    connection = sqlite3.connect(tmp_path / "consent.db")
    connection.execute(f"PRAGMA user_version={len(migrations()) + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        make_store().open()


def test_failed_migration(make_store: MakeStore, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails half way leaves nothing behind, and is carried out when it can be."""
    whole = migrations()
    monkeypatch.setattr("consent.ledger.database.migrations", lambda: [*whole, "CREATE TABLE leaf (again);\n"])
    with pytest.raises(LedgerUnavailableError, match="already exists"):
        make_store().open()
    monkeypatch.undo()
    assert make_store().append([make_draft()], now=5)[0].index == 0


def test_migration_of_an_older_ledger(
    make_store: MakeStore, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of an older version is migrated when it is opened, and keeps its origin, its keys and its entries."""
    first = make_store()
    first.append([make_draft(request_id="r")], now=5)
    key = first.revocation_key()
    first.close()
    whole = migrations()
    monkeypatch.setattr("consent.ledger.database.migrations", lambda: [*whole, "CREATE TABLE newer (one);\n"])
    again = make_store()
    again.append([make_draft(request_id="r")], now=6)
    assert (again.head().size, again.revocation_key()) == (1, key)
    again.close()
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match="newer version"):
        make_store().open()


def test_missing_folder(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Without its folder the ledger is unavailable, and used as soon as the folder is there."""
    store = make_store(tmp_path / "later" / "consent.db")
    with pytest.raises(LedgerUnavailableError):
        store.append([make_draft()], now=5)
    (tmp_path / "later").mkdir()
    assert store.append([make_draft()], now=5)[0].index == 0


def test_a_ledger_that_is_taken_away(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A file that vanishes is noticed and never begun again; it is used when it is back, and another one is not."""
    store, path = make_store(), tmp_path / "consent.db"
    store.append([make_draft()], now=5)
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("consent.db*"):
        file.rename(away / file.name)
    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            store.append([make_draft()], now=5)
    assert not path.exists()
    other = make_store(tmp_path / "other")
    other.append([make_draft()], now=5)
    other.close()
    (tmp_path / "other").rename(path)
    with pytest.raises(LedgerUnavailableError, match="another ledger"):
        store.append([make_draft()], now=5)
    path.unlink()
    for file in away.iterdir():
        file.rename(tmp_path / file.name)
    assert store.append([make_draft()], now=5)[0].index == 1


def test_full_disk(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """When the file cannot grow the ledger is unavailable, and nothing acknowledged is lost or half there."""
    store = make_store(max_pages=60)
    acknowledged = []

    def fill() -> None:
        while True:
            acknowledged.append(store.append([make_draft() for _ in range(7)], now=5)[-1])

    with pytest.raises(LedgerUnavailableError, match="full"):
        fill()
    assert acknowledged
    assert store.head().size == acknowledged[-1].index + 1 == len(list(store.entries()))
    assert store.head().root == root_of(store)


def test_locked(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the lock for too long the ledger is unavailable."""
    monkeypatch.setattr("consent.ledger.database.PATIENCE", 0.01)
    store = make_store()
    store.open()
    other = sqlite3.connect(tmp_path / "consent.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailableError, match="locked"):
        store.append([make_draft()], now=5)
    other.execute("ROLLBACK")
    other.close()
    assert store.append([make_draft()], now=5)[0].index == 0


def test_damaged_file(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A file that is no database is not written to."""
    (tmp_path / "consent.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerUnavailableError, match="not a database"):
        make_store().append([make_draft()], now=5)


def test_read_only_folder(tmp_path: Path) -> None:
    """A folder that cannot be written to makes the ledger unavailable, for who has no root's rights to ignore it."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    script = (
        "import os, sys\nfrom consent.errors import LedgerUnavailableError\n"
        "from consent.ledger.sqlite import SqliteStore\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: SqliteStore(sys.argv[1], origin='https://meridian.example').open()\n"
        "except LedgerUnavailableError as error: sys.exit(f'unavailable: {error}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "consent.db")], capture_output=True, text=True, check=False
    )
    assert "unavailable: " in done.stderr
    assert "Permission denied" in done.stderr


def test_representation(make_store: MakeStore) -> None:
    """A store shows where it lies and whose it is."""
    assert repr(make_store(MEMORY)) == "<SqliteStore :memory: of https://meridian.example>"
