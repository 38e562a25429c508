"""Test what the PostgreSQL store alone must do: sessions, roles, partitions, lost answers, damage, and addresses."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from consent import testing
from consent.cli.findings import storage
from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger import merkle, server
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.postgres import PostgresStore
from consent.ledger.server import migrations
from consent.ledger.store import Durability
from tests.ledger.cluster import Server

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., PostgresStore]
ORIGIN = "https://meridian.example"
ID = b"i" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)
DECEMBER, JANUARY = 1_796_083_200, 1_798_761_600


@pytest.fixture
def address(make_database: Callable[[], str]) -> str:
    """Return the address of an empty database."""
    return make_database()


@pytest.fixture
def make_store(address: str, close_later: Callable[..., None]) -> MakeStore:
    """Return a function that makes stores of one ledger, each closed after the test."""

    def make(
        where: str = address, *, origin: str = ORIGIN, durability: Durability = Durability.SINGLE
    ) -> PostgresStore:
        store = PostgresStore(where, origin=origin, durability=durability)
        close_later(store)
        return store

    return make


def seal(store: PostgresStore) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def execute(address: str, statement: str) -> None:
    """Do something to a database behind the store's back."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.encode())


class Cut:
    """Pass a client's bytes on to a server, and hang up once instead of passing on an answer that holds `marker`."""

    def __init__(self, folder: Path, *, server: Server) -> None:
        self._behind = str(server.sockets / ".s.PGSQL.5432")
        self.address = f"postgresql://consent_owner@/{{}}?host={folder}"
        self.marker = b""
        self.cut = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            behind = socket.socket(socket.AF_UNIX)
            self._sockets += [client, behind]
            behind.connect(self._behind)
            for one, other, answers in ((client, behind, False), (behind, client, True)):
                thread = threading.Thread(target=self._pass, args=(one, other, answers))
                self._threads.append(thread)
                thread.start()

    def _pass(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        while True:
            try:
                data = one.recv(65536)
                if answers and self.marker and self.marker in data:
                    self.marker, self.cut, data = b"", self.cut + 1, b""
                if not data:
                    break
                other.sendall(data)
            except OSError:
                break
        for each in (one, other):
            # Whoever reads it in the other thread wakes up.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more clients, and hang up on those there are."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


@contextmanager
def cutting(server: Server) -> Iterator[Cut]:
    """Run a connection cutter in front of a server."""
    folder = server.folder.path / f"cut-{os.urandom(4).hex()}"
    folder.mkdir()
    cut = Cut(folder, server=server)
    try:
        yield cut
    finally:
        cut.close()


def test_a_lost_acknowledgement(postgres: Server, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A connection cut between commit and answer is made again, and gives the one entry there is."""
    with cutting(postgres) as cut:
        store = make_store(cut.address.format(postgres.database()))
        store.append([make_draft(request_id="first")], now=5)
        cut.marker = b"SELECT 2\0"
        appended = store.append([make_draft(request_id="second"), make_draft(request_id="third")], now=5)
        again = store.append([make_draft(request_id="second"), make_draft(request_id="third")], now=6)
        assert cut.cut == 1
        assert again == appended
        assert [entry.index for entry in appended] == [1, 2]
        assert store.head().size == len(list(store.entries())) == 3
        store.close()


def test_a_server_that_is_away(postgres: Server, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """While the server cannot be reached the ledger is unavailable at once, and it is used when it is back."""
    away = postgres.folder.path / "away"
    database = postgres.database()
    store = make_store(f"postgresql://consent_owner@/{database}?host={away}")
    with pytest.raises(LedgerUnavailableError):
        store.append([make_draft()], now=5)
    away.symlink_to(postgres.sockets)
    assert store.append([make_draft()], now=5)[0].index == 0
    away.unlink()


def test_sessions_that_were_ended(postgres: Server, address: str, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Connections that the server has closed are replaced without anybody noticing."""
    store = make_store()
    store.append([make_draft()], now=5)
    execute(
        address,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert store.append([make_draft()], now=5)[0].index == 1


def test_nothing_lives_in_a_session(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """After everything a store does, its sessions hold no prepared statement, no lock and no setting of their own."""
    store = make_store()
    for number in range(12):
        store.append([make_draft(request_id=f"{number}", subject=ID)], now=5)
    seal(store)
    store.erase(ID, draft=Draft(kind="erased", content={"reason": "asked"}), now=6)
    for query in (
        "SELECT count(*) FROM pg_prepared_statements",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "SELECT count(*) FROM pg_settings WHERE source = 'session' AND name IN ('lock_timeout', 'synchronous_commit')",
    ):
        assert store._rows(query) == [(0,)]


def test_months(address: str, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Entries lie in the partition of their month, which is there ahead, and are read across partitions."""
    store = make_store()
    for now in (DECEMBER - 1, DECEMBER, JANUARY - 1, JANUARY):
        store.append([make_draft()], now=now)
    with psycopg.connect(address) as connection:
        rows = connection.execute("SELECT tableoid::regclass::text, idx FROM consent.entry ORDER BY idx").fetchall()
        ahead = connection.execute("SELECT to_regclass('consent.entry_2027_03') IS NOT NULL").fetchone()
    assert rows == [
        (f"consent.entry_{month}", n) for n, month in enumerate(("2026_11", "2026_12", "2026_12", "2027_01"))
    ]
    assert ahead == (True,)
    assert len(list(store.entries())) == 4


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM consent.leaf WHERE idx > 0",
        "UPDATE consent.leaf SET hash = decode(repeat('00', 32), 'hex') WHERE idx = 0",
        "DELETE FROM consent.leaf WHERE idx = 1",
        "UPDATE consent.checkpoint SET note = '\\x00'",
        "UPDATE consent.checkpoint SET size = 1",
    ],
    ids=["rolled-back", "changed", "removed", "note", "size"],
)
def test_seal_refuses_what_does_not_extend(
    address: str, make_store: MakeStore, make_draft: MakeDraft, damage: str
) -> None:
    """No checkpoint is signed for a tree that does not contain the last one."""
    store = make_store()
    store.append([make_draft(), make_draft()], now=5)
    seal(store)
    store.append([make_draft()], now=5)
    execute(address, damage)
    with pytest.raises(LedgerCorruptError):
        seal(store)


def test_missing_entry_is_noticed(address: str, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Reading over a row that is gone is an error, not a shorter log."""
    store = make_store()
    store.append([make_draft() for _ in range(3)], now=5)
    execute(address, "DELETE FROM consent.entry WHERE idx = 1")
    with pytest.raises(LedgerCorruptError, match="missing"):
        list(store.entries())


def test_sealing_keeps_nodes(address: str, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The roots of complete subtrees are kept when the tree is sealed, and are those that the leaves give."""
    store = make_store()
    store.append([make_draft() for _ in range(600)], now=5)
    before = store.hashes(merkle.STRIDE, first=0, last=2)
    seal(store)
    with psycopg.connect(address) as connection:
        kept = connection.execute("SELECT hash FROM consent.node WHERE height = 8 ORDER BY number").fetchall()
    assert [row[0] for row in kept] == before == store.hashes(merkle.STRIDE, first=0, last=2)


def test_a_schema_of_something_else(address: str, make_store: MakeStore) -> None:
    """A schema of an application that has our name is not taken for a ledger, nor changed."""
    execute(address, "CREATE SCHEMA consent CREATE TABLE article (title text)")
    with pytest.raises(ConfigurationError, match="not a ledger"):
        make_store().open()
    assert not make_store().exists()


def test_a_newer_ledger(address: str, make_store: MakeStore) -> None:
    """A ledger that a newer version has migrated is left alone."""
    make_store().open()
    execute(address, f"INSERT INTO consent.migration VALUES ({len(migrations()) + 1})")
    with pytest.raises(ConfigurationError, match="newer version"):
        make_store().open()


def test_the_check_migrates_nothing(address: str, make_store: MakeStore) -> None:
    """A ledger from before an upgrade is a finding, and stays as it is."""
    make_store().open()
    newest = f"WHERE number = {len(migrations())}"
    execute(address, f"DELETE FROM consent.migration {newest}")
    settings = testing.settings(ledger=address, origins=(ORIGIN,))
    _, (found,) = storage.publications(settings)
    assert (found.code, found.what) == (
        "C410",
        "1 migration is pending, as after an upgrade, so nothing in it was looked at",
    )
    with psycopg.connect(address) as connection:
        query = f"SELECT count(*) FROM consent.migration {newest}".encode()
        assert connection.execute(query).fetchone() == (0,)


def test_many_make_it_at_once(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Processes that begin on an empty database together end with one ledger."""
    stores, failed = [make_store() for _ in range(6)], list[BaseException]()

    def begin(store: PostgresStore) -> None:
        try:
            store.append([make_draft()], now=5)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert stores[0].head().size == 6


def test_a_locked_head(
    address: str, make_store: MakeStore, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process keeps the head for too long the ledger is unavailable."""
    monkeypatch.setattr(server.Connection, "patience", 0.5)
    monkeypatch.setattr(server, "DOUBT", 0.1)
    store = make_store()
    store.append([make_draft()], now=5)
    with psycopg.connect(address) as other:
        other.execute("SELECT pg_advisory_xact_lock(1131367527)")
        with pytest.raises(LedgerUnavailableError):
            store.append([make_draft(request_id="waits")], now=5)
    assert store.append([make_draft(request_id="waits")], now=5)[0].index == 1
    assert store.head().size == 2


@pytest.mark.parametrize(
    "address", ["postgresql://a:s3cret/x@host/db", "postgresql://h/db?secret=s3cret", "postgresql://["]
)
def test_an_address_that_is_none(address: str) -> None:
    """An address that cannot be read is refused without being shown."""
    with pytest.raises(ConfigurationError, match="not the address") as refused:
        PostgresStore(address, origin=ORIGIN)
    assert "s3cret" not in str(refused.value)


def test_representation() -> None:
    """A store shows where it lies and whose it is, and no password."""
    store = PostgresStore("postgresql://web:s3cret@db.example/site", origin=ORIGIN)
    assert repr(store) == "<PostgresStore postgresql://web@db.example/site of https://meridian.example>"
