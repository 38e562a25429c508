"""Test the SQLite store: order, durability, idempotency, several processes, and what happens when it fails."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from consent.choice.canonical import parse
from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.database import MEMORY, migrations
from consent.ledger.entry import Draft, pseudonym
from consent.ledger.sqlite import PAGE, SqliteStore
from consent.ledger.store import Document

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]
ID = b"i" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)
WRITER = """
import sys
from consent.ledger.entry import Draft
from consent.ledger.sqlite import SqliteStore
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SqliteStore(path, origin="https://meridian.example")
for number in range(count):
    draft = Draft(kind="gap", content={"writer": name, "number": number}, request_id=f"{name} {number}")
    print(store.append([draft], now=1_000)[0].index, flush=True)
store.close()
"""


def seal(store: SqliteStore) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def root_of(store: SqliteStore) -> bytes:
    """Compute the root from the stored bytes alone."""
    tree = merkle.Frontier()
    for body in store.entries():
        tree.append(merkle.leaf_hash(body))
    return tree.root()


@pytest.mark.parametrize("place", ["file", "memory"])
def test_append(make_store: MakeStore, make_draft: MakeDraft, place: str) -> None:
    """Entries get contiguous indices in the order given, and tree and rows agree."""
    store = make_store(MEMORY if place == "memory" else None)
    assert store.head().root == merkle.EMPTY_ROOT
    appended = store.append([make_draft(), make_draft()], now=5) + store.append([make_draft()], now=6)
    assert [entry.index for entry in appended] == [0, 1, 2]
    assert [entry.recorded_at for entry in appended] == [5, 5, 6]
    bodies = list(store.entries())
    assert [merkle.leaf_hash(body) for body in bodies] == [entry.leaf_hash for entry in appended]
    assert [parse(body)["record"] for body in bodies] == [str(entry.record) for entry in appended]
    assert store.head().size == 3
    assert store.head().root == root_of(store)


def test_append_nothing(make_store: MakeStore) -> None:
    """Appending no drafts changes nothing."""
    store = make_store()
    assert store.append([], now=1) == []
    assert store.head().size == 0


def test_same_request_is_one_entry(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A request id appended again, in the same batch or later, gives the entry there is."""
    store = make_store()
    first, second = store.append([make_draft(request_id="r"), make_draft(request_id="r")], now=5)
    (third,) = store.append([make_draft(request_id="r", late=True)], now=9)
    assert first == second == third
    assert store.head().size == 1


def test_unique_name_is_one_entry(make_store: MakeStore) -> None:
    """A publication appended by several workers is one entry, listed under its name with the bytes of the first."""
    store = make_store()
    for title in ("first", "second"):
        store.append([Draft(kind="policy-published", content={"title": title}, unique="privacy/1/en")], now=5)
    store.append([Draft(kind="policy-published", content={"title": "third"}, unique="cookies/1/en")], now=5)
    assert [(name, parse(body)["title"]) for name, body in store.publications().items()] == [
        ("privacy/1/en", "first"),
        ("cookies/1/en", "third"),
    ]


def test_a_request_is_no_unique_name(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A request id that is spelled like a unique name is another entry."""
    store = make_store()
    store.append([make_draft(unique="same"), make_draft(request_id="same")], now=5)
    assert store.head().size == 2


def test_time_never_goes_back(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A clock that is set back does not make an entry older than the one before it."""
    store = make_store()
    times = [store.append([make_draft()], now=now)[0].recorded_at for now in (100, 50, 101)]
    assert times == [100, 100, 101]


def test_index_at(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The first entry at or after a moment is found, and the size if there is none."""
    store = make_store()
    for now in (10, 10, 20, 30):
        store.append([make_draft()], now=now)
    assert [store.index_at(moment) for moment in (0, 10, 11, 20, 30, 31)] == [0, 0, 2, 2, 3, 4]


def test_index_of(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """An entry is found by its record id."""
    store = make_store()
    entries = store.append([make_draft(), make_draft()], now=5)
    assert [store.index_of(entry.record) for entry in entries] == [0, 1]
    assert store.index_of(UUID(int=1)) is None


def test_pages(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Ranges of entries and of hashes come out whole across pages and kept nodes, and proofs from them verify."""
    store, count = make_store(), 2 * PAGE + 300
    appended = store.append([make_draft() for _ in range(count)], now=5)
    bodies = list(store.entries(PAGE - 1, last=2 * PAGE + 1))
    assert [merkle.leaf_hash(body) for body in bodies] == [e.leaf_hash for e in appended[PAGE - 1 : 2 * PAGE + 1]]
    assert merkle.root(store, size=count) == store.head().root == root_of(store)
    for index in (0, 255, 256, PAGE, count - 1):
        proof = merkle.inclusion_proof(store, index=index, size=count)
        leaf = appended[index].leaf_hash
        assert merkle.includes(leaf, index=index, size=count, proof=proof, root=store.head().root)


def test_reopened(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """What was appended is there after the file is closed and opened, and appending goes on."""
    make_store().append([make_draft(request_id="r")], now=5)
    again = make_store()
    again.append([make_draft(request_id="r"), make_draft()], now=6)
    assert again.head().size == 2
    assert again.head().root == root_of(again)


def test_subject_lies_beside_the_log(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """An entry holds a pseudonym that only the salt beside the log ties to the consent id, another one each time."""
    store = make_store()
    store.append([make_draft(subject=ID), make_draft(), make_draft(subject=ID)], now=5)
    records = store.records_of(ID)
    assert [record.index for record in records] == [0, 2]
    subjects = [parse(record.body)["subject"] for record in records]
    assert subjects == [pseudonym(ID, salt=record.salt) for record in records]
    assert subjects[0] != subjects[1]
    assert all(ID not in body and ID.hex().encode() not in body for body in store.entries())
    assert [parse(body)["subject"] is None for body in store.entries()] == [False, True, False]


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


def test_receipt_code(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A receipt code leads to the consent id until it is erased."""
    store, digest = make_store(), hashlib.sha256(b"code").digest()
    store.append([make_draft(subject=ID), make_draft(subject=ID)], now=5)
    assert store.consent_id_of(digest) is None
    assert store.give_code(ID, digest=digest) == 2
    assert store.consent_id_of(digest) == ID
    store.erase(ID, draft=Draft(kind="erased", content={"reason": "asked"}), now=6)
    assert store.consent_id_of(digest) is None


def test_revocations(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Revocations are kept under a keyed hash, in order, and can be forgotten by age."""
    store = make_store()
    store.append([make_draft(subject=ID, revokes=True, decided_at=5), make_draft(subject=ID)], now=5)
    store.append([make_draft(subject=b"o" * 16, ends=True, decided_at=8)], now=8)
    first, second = store.revocations()
    assert first.key == hmac.digest(store.revocation_key(), ID, "sha256")
    assert (first.before, second.before) == (5, 9)
    assert store.revocations(first.position) == [second]
    store.forget_revocations(9)
    assert store.revocations() == [second]


def test_one_revocation_an_id(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Of one id the newest revocation alone is kept, as far back as any reached, and readers of the older see it."""
    store = make_store()
    position = 0
    for before, kept in ((20, 20), (10, 20), (30, 30)):
        store.append([make_draft(subject=ID, revokes=True, decided_at=before)] * 2, now=before)
        store.append([make_draft(subject=ID, revokes=True, decided_at=before)], now=before)
        (revocation,) = store.revocations(position)
        assert revocation.before == kept
        position = revocation.position
    erased = Draft(kind="erased", content={"reason": "asked"}, decided_at=40, subject=ID, revokes=True)
    store.erase(ID, draft=erased, now=40)
    assert [revocation.before for revocation in store.revocations()] == [40]


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


def test_documents(make_store: MakeStore) -> None:
    """Documents are kept once by digest and found by the beginning of it, of odd length too."""
    store = make_store()
    documents = [Document(kind="notice", media_type="text/plain", data=b"%d" % n, language="en") for n in range(40)]
    for document in [*documents, *documents]:
        assert store.archive(document) == document.digest == hashlib.sha256(document.data).hexdigest()
    store.archive(Document(kind="rendering", media_type="text/css", data=b"css"))
    assert store.document(documents[3].digest) == documents[3]
    assert store.document("0" * 64) is None
    for prefix in ("", "4", documents[7].digest[:9], documents[7].digest):
        found = store.documents(prefix, kind="notice")
        expected = sorted((d for d in documents if d.digest.startswith(prefix)), key=lambda d: d.digest)
        assert found == expected


def test_seal(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A checkpoint is signed when there is news, and only then."""
    store = make_store()
    assert store.checkpoint() is None
    empty = seal(store)
    assert (empty.size, empty.root) == (0, merkle.EMPTY_ROOT)
    store.append([make_draft()], now=5)
    sealed = seal(store)
    assert (sealed.size, sealed.root) == (1, store.head().root)
    assert seal(store) == sealed
    assert store.checkpoint() == sealed.note


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


def test_another_origin(make_store: MakeStore) -> None:
    """A ledger opens for its own origin alone."""
    make_store().open()
    with pytest.raises(
        ConfigurationError, match=r"belongs to 'https://meridian.example', not to 'https://other.example'"
    ):
        make_store(origin="https://other.example").open()


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


def test_two_processes_write_at_once(make_store: MakeStore, tmp_path: Path) -> None:
    """Two writing processes get every index once, and tree and rows agree."""
    make_store().open()
    path = str(tmp_path / "consent.db")
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, name, "60"], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    indices = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(indices) == list(range(120))
    store = make_store()
    assert store.head().root == root_of(store)
    for name in ("a", "b"):
        numbers = [parse(body)["number"] for body in store.entries() if parse(body)["writer"] == name]
        assert numbers == list(range(60))


def test_killed_writer(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """What a process acknowledged before it was killed is there, tree and rows agree, and appending goes on."""
    path = str(tmp_path / "consent.db")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path, "a", "1000000"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    store = make_store()
    size = store.head().size
    assert acknowledged == list(range(len(acknowledged)))
    assert size >= len(acknowledged)
    assert [parse(body)["number"] for body in store.entries()] == list(range(size))
    assert store.head().root == root_of(store) == merkle.root(store, size=size)
    assert store.append([make_draft()], now=5)[0].index == size


def test_forked_process(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A child of a fork opens a connection of its own, even if another thread was writing when it forked."""
    store, stop = make_store(), threading.Event()
    store.append([make_draft()], now=5)

    def write() -> None:
        while not stop.is_set():
            store.append([make_draft()], now=5)

    thread = threading.Thread(target=write)
    thread.start()
    child = os.fork()
    if child == 0:
        done = 1
        try:
            done = 0 if store.append([make_draft(content={"scope": "child"})], now=6)[0].index > 0 else 1
        finally:
            os._exit(done)
    stop.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(parse(body)["scope"] == "child" for body in store.entries()) == 1
    assert store.head().root == root_of(store)


def test_readers_do_not_stop_the_writer(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Entries can be appended while a reader is half through, and the reader sees the range it asked for."""
    store = make_store()
    store.append([make_draft() for _ in range(3)], now=5)
    reader = store.entries()
    next(reader)
    store.append([make_draft()], now=5)
    assert len(list(reader)) == 2


def test_representation(make_store: MakeStore) -> None:
    """A store shows where it lies and whose it is."""
    assert repr(make_store(MEMORY)) == "<SqliteStore :memory: of https://meridian.example>"
