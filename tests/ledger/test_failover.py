"""Test what replication is for: nothing acknowledged is lost with the primary, nothing is acknowledged without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from consent.choice.canonical import parse
from consent.errors import LedgerUnavailableError
from consent.ledger import merkle, server
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Appended, Draft
from consent.ledger.postgres import PostgresStore
from consent.ledger.store import Durability
from tests.ledger.cluster import USER, Server, replicated

ORIGIN = "https://meridian.example"
SIGNER = Signer("meridian.example", seed=b"s" * 32)
Cluster = tuple[Server, Server, Server]
MakeStore = Callable[..., PostgresStore]


def address(*servers: Server) -> str:
    """Return the address of a ledger that any of these servers may hold."""
    return f"postgresql://{USER}@/postgres?host={','.join(str(each.sockets) for each in servers)}"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a primary and two standbys, one of which it waits for."""
    with replicated() as servers:
        yield servers


@pytest.fixture
def make_store(close_later: Callable[..., None]) -> MakeStore:
    """Return a function that makes stores on any of some servers, which must be synchronous."""

    def make(*servers: Server, durability: Durability = Durability.SYNCHRONOUS) -> PostgresStore:
        store = PostgresStore(address(*servers), origin=ORIGIN, durability=durability)
        close_later(store)
        return store

    return make


def seal(store: PostgresStore) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def drafts(name: str, *, count: int = 7) -> list[Draft]:
    """Return drafts with request ids of their own."""
    return [Draft(kind="gap", content={"name": f"{name} {n}"}, request_id=f"{name} {n}") for n in range(count)]


class Load:
    """Append from several threads, each with a store of its own, and remember what was acknowledged."""

    def __init__(self, stores: list[PostgresStore]) -> None:
        self.acknowledged: list[tuple[Draft, Appended]] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(store, number)) for number, store in enumerate(stores)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, store: PostgresStore, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            batch = drafts(f"{number}/{turn}")
            try:
                # What fails is tried again with the same request ids, as who waits for an answer does.
                self.acknowledged += zip(batch, store.append(batch, now=1_000), strict=True)
                turn += 1
            except LedgerUnavailableError:
                time.sleep(0.05)

    def wait_for(self, count: int) -> None:
        """Wait until so many are acknowledged."""
        deadline = time.monotonic() + 90
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop appending."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def assert_whole(store: PostgresStore, acknowledged: list[tuple[Draft, Appended]]) -> None:
    """See that every acknowledged entry stands where it was said to, once, and that tree and rows agree."""
    bodies = list(store.entries())
    tree = merkle.Frontier()
    for body in bodies:
        tree.append(merkle.leaf_hash(body))
    assert (tree.size, tree.root()) == (store.head().size, store.head().root)
    names = [parse(body)["name"] for body in bodies]
    assert len(names) == len(set(names))
    assert acknowledged
    for draft, appended in acknowledged:
        assert merkle.leaf_hash(bodies[appended.index]) == appended.leaf_hash
        assert names[appended.index] == draft.content["name"]


def most_advanced(*standbys: Server) -> Server:
    """Return the standby that has received most, as a failover manager would choose it."""
    received = {}
    for standby in standbys:
        with standby.connect() as connection:
            row = connection.execute("SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn").fetchone()
            received[standby] = row[0] if row else 0
    return max(received, key=lambda standby: received[standby])


def fail_over(cluster: Cluster) -> Server:
    """Kill the primary, promote a standby, let the other follow it, and return the new primary."""
    primary, *standbys = cluster
    primary.kill()
    chosen = most_advanced(*standbys)
    (other,) = (standby for standby in standbys if standby is not chosen)
    chosen.configure(synchronous_standby_names=f"ANY 1 ({other.name})")
    chosen.promote()
    other.turn_to(chosen)
    other.reload()
    return chosen


def test_primary_killed_under_load(cluster: Cluster, make_store: MakeStore) -> None:
    """A primary killed under load, and a standby promoted: what was acknowledged is there, and proofs go on."""
    store = make_store(*cluster)
    assert store.doubts() == []
    load = Load([make_store(*cluster) for _ in range(3)])
    load.wait_for(300)
    old = seal(store)
    load.wait_for(600)
    fail_over(cluster)
    load.wait_for(len(load.acknowledged) + 300)
    load.stop()
    assert_whole(store, load.acknowledged)
    new = seal(store)
    proof = merkle.consistency_proof(store, old=old.size, new=new.size)
    assert merkle.consistent(old=old.size, old_root=old.root, new=new.size, new_root=new.root, proof=proof)


@pytest.mark.long
def test_no_standby_no_acknowledgement(
    cluster: Cluster, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all standbys stopped nothing is acknowledged and no checkpoint appears; later each entry is there once."""
    monkeypatch.setattr(server.Connection, "patience", 1.0)
    monkeypatch.setattr(server, "DOUBT", 1.5)
    primary, *standbys = cluster
    store = make_store(primary)
    first = drafts("first")
    acknowledged = list(zip(first, store.append(first, now=1_000), strict=True))
    sealed = seal(store)
    for standby in standbys:
        standby.stop()
    second = drafts("second")
    for _ in range(2):
        with pytest.raises(LedgerUnavailableError):
            store.append(second, now=1_000)
        assert seal(store) == sealed
    assert store.checkpoint() == sealed.note
    for standby in standbys:
        standby.start()
    acknowledged += zip(second, store.append(second, now=1_000), strict=True)
    assert_whole(store, acknowledged)
    assert seal(store).size == 14


@pytest.mark.long
@pytest.mark.parametrize("careless", [False, True], ids=["plain", "careless"])
def test_a_commit_that_only_warned(
    cluster: Cluster, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, careless: bool
) -> None:
    """A commit whose wait was cancelled is no acknowledgement, though its entry can be seen, nor is a second try.

    Nor where the role is set to wait for no commit, and to hear of no warning.
    """
    monkeypatch.setattr(server.Connection, "patience", 2.0)
    monkeypatch.setattr(server, "DOUBT", 0.0)
    primary, *standbys = cluster
    if careless:
        with primary.connect() as connection:
            connection.execute(f"ALTER ROLE {USER} SET synchronous_commit = off".encode())
            connection.execute(f"ALTER ROLE {USER} SET client_min_messages = error".encode())
    store = make_store(primary)
    store.append(drafts("first"), now=1_000)
    for standby in standbys:
        standby.stop()
    failed: list[BaseException] = []

    def append() -> None:
        try:
            store.append(drafts("second"), now=1_000)
        except LedgerUnavailableError as error:
            failed.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    primary.wait_for(
        "SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        " AND application_name = 'consent'"
    )
    thread.join()
    assert "not acknowledged" in str(failed[0])
    assert len(list(store.entries())) == 14
    with pytest.raises(LedgerUnavailableError):
        store.append(drafts("second"), now=1_000)
    with pytest.raises(LedgerUnavailableError):
        seal(store)
    assert store.checkpoint() is None


@pytest.mark.long
def test_a_primary_that_waits_for_nobody_any_more(cluster: Cluster, make_store: MakeStore) -> None:
    """Where a failover manager turns synchronous replication off, nothing is acknowledged any more."""
    store = make_store(cluster[0])
    store.append(drafts("first"), now=1_000)
    cluster[0].configure(synchronous_standby_names="")
    cluster[0].wait_for("SELECT current_setting('synchronous_standby_names') = ''")
    with pytest.raises(LedgerUnavailableError, match="no standby is synchronous"):
        store.append(drafts("second"), now=1_000)
    with pytest.raises(LedgerUnavailableError, match="no standby is synchronous"):
        seal(store)
    assert store.head().size == 7


@pytest.mark.long
def test_two_sealers(cluster: Cluster, make_store: MakeStore) -> None:
    """Two processes that seal at once, with different clocks of what is new, sign beginnings of one log."""
    load = Load([make_store(*cluster) for _ in range(2)])
    sealers = [make_store(*cluster) for _ in range(2)]
    sealed: list[Checkpoint] = []
    load.wait_for(10)

    def run(store: PostgresStore) -> None:
        for number in range(15):
            load.wait_for(20 * number)
            sealed.append(seal(store))

    threads = [threading.Thread(target=run, args=(store,)) for store in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.stop()
    store = sealers[0]
    newest = seal(store)
    assert len({checkpoint.size for checkpoint in sealed}) > 1
    for checkpoint in sealed:
        proof = merkle.consistency_proof(store, old=checkpoint.size, new=newest.size)
        assert merkle.consistent(
            old=checkpoint.size, old_root=checkpoint.root, new=newest.size, new_root=newest.root, proof=proof
        )
    assert_whole(store, load.acknowledged)


@pytest.mark.long
def test_asynchronous_standbys_are_noticed(make_store: MakeStore, caplog: pytest.LogCaptureFixture) -> None:
    """Standbys that PostgreSQL does not wait for are noticed at start; with `synchronous` nothing is acknowledged."""
    with replicated(synchronous=False) as (primary, *_):
        store = make_store(primary, durability=Durability.SINGLE)
        store.open()
        assert "its standbys are asynchronous" in caplog.text
        assert store.append(drafts("first"), now=1_000)[-1].index == 6
        strict = make_store(primary)
        (doubt,) = strict.doubts()
        assert "nothing is acknowledged" in doubt
        with pytest.raises(LedgerUnavailableError, match="no standby is synchronous"):
            strict.append(drafts("second"), now=1_000)
