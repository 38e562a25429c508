"""Test that a ledger moved from one engine to another is the same ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from consent.errors import ConfigurationError, LedgerCorruptError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.postgres import PostgresStore
from consent.ledger.postgres_transfer import PostgresMovable
from consent.ledger.sqlite import SqliteStore
from consent.ledger.sqlite_transfer import SqliteMovable
from consent.ledger.store import Document, Durability, Store, Total
from consent.ledger.transfer import Movable, copy

MakeDraft = Callable[..., Draft]
Places = tuple[str, str]
ORIGIN = "https://meridian.example"
ID = b"i" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)
DOCUMENT = Document(kind="notice", media_type="text/plain", data=b"notice", language="en")


@pytest.fixture(params=["to-postgres", "to-sqlite", "among-postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path, make_database: Callable[[], str]) -> Places:
    """Return where a ledger lies and where it is to go."""
    file = str(tmp_path / "consent.db")
    if request.param == "to-postgres":
        return file, make_database()
    return make_database(), file if request.param == "to-sqlite" else make_database()


@pytest.fixture
def make_store(close_later: Callable[..., None]) -> Callable[[str], Store]:
    """Return a function that makes the store at a place, closed after the test."""

    def make(place: str) -> Store:
        kind = PostgresStore if place.startswith("postgresql:") else SqliteStore
        store = kind(place, origin=ORIGIN)
        close_later(store)
        return store

    return make


@pytest.fixture
def make_movable(close_later: Callable[..., None]) -> Callable[[str], Movable]:
    """Return a function that opens what lies at a place for copying."""

    def make(place: str) -> Movable:
        movable: Movable
        if place.startswith("postgresql:"):
            movable = PostgresMovable(place, origin=ORIGIN, durability=Durability.SINGLE)
        else:
            movable = SqliteMovable(Path(place), origin=ORIGIN)
        close_later(movable)
        return movable

    return make


def ignore(done: int, total: int) -> None:
    """Show no progress."""


def fill(store: Store, make_draft: MakeDraft, *, count: int) -> Checkpoint:
    """Put something into every table."""
    store.append(
        [make_draft(request_id=f"{n}", subject=ID if n % 7 == 0 else None) for n in range(count)], now=1_795_000_000
    )
    store.append([make_draft(request_id="w", subject=ID, revokes=True, decided_at=9)], now=1_798_761_600)
    store.append([Draft(kind="policy-published", content={"n": 1}, unique="privacy/1/en")], now=1_798_761_600)
    store.archive(DOCUMENT)
    store.prune([(3, 5)], draft=Draft(kind="pruned", content={"policy": "P2Y"}), now=1_798_761_600)
    store.erase(b"e" * 16, draft=Draft(kind="erased", content={"reason": "asked"}), now=1_798_761_600)
    store.give_code(ID, digest=b"d" * 32)
    store.add_totals([Total(hour=3600, name="shown", subject=subject, count=2) for subject in ("en", "uk")])
    checkpoint = seal(store)
    store.publish_checkpoint(checkpoint, at=9, after=0)
    return checkpoint


def seal(store: Store) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def damage(place: str, statement: str) -> None:
    """Change something behind the back of a store."""
    if place.startswith("postgresql:"):
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement.replace("entry", "consent.entry").replace("leaf", "consent.leaf").encode())
        return
    file = sqlite3.connect(place)
    with file:
        file.execute(statement)
    file.close()


def test_copied_whole(
    places: Places,
    make_store: Callable[[str], Store],
    make_movable: Callable[[str], Movable],
    make_draft: MakeDraft,
) -> None:
    """A copy has the same entries, root, keys and all that lies beside, and goes on where the original ended."""
    source = make_store(places[0])
    sealed = fill(source, make_draft, count=2_300)
    assert copy(make_movable(places[0]), make_movable(places[1]), progress=ignore) == 2_304
    target = make_store(places[1])
    assert target.head() == source.head()
    assert list(target.stored()) == list(source.stored())
    assert target.erased() == source.erased() != frozenset()
    assert target.published_checkpoint() == source.published_checkpoint()
    assert target.hashes(merkle.STRIDE, first=0, last=8) == source.hashes(merkle.STRIDE, first=0, last=8)
    assert target.records_of(ID) == source.records_of(ID)
    assert target.consent_id_of(b"d" * 32) == ID
    assert target.publications() == source.publications()
    assert target.document(DOCUMENT.digest) == DOCUMENT
    assert target.totals("shown") == source.totals("shown")
    assert target.revocation_key() == source.revocation_key()
    assert target.revocations() == source.revocations()
    assert target.checkpoint() == sealed.note
    again = target.append([make_draft(request_id="0"), make_draft(subject=ID, ends=True, decided_at=20)], now=5)
    assert [entry.index for entry in again] == [0, 2_304]
    (revocation,) = target.revocations(source.revocations()[-1].position)
    assert revocation.before == 21
    assert seal(target).size == 2_305


def test_interrupted(
    places: Places,
    make_store: Callable[[str], Store],
    make_movable: Callable[[str], Movable],
    make_draft: MakeDraft,
) -> None:
    """A copy that was interrupted cannot be used, goes on when it is run again, and is not made twice."""
    source = make_store(places[0])
    fill(source, make_draft, count=2_300)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(make_movable(places[0]), make_movable(places[1]), progress=interrupt)
    with pytest.raises(ConfigurationError, match="is not finished"):
        make_store(places[1]).open()
    done = list[int]()
    copy(make_movable(places[0]), make_movable(places[1]), progress=lambda so_far, _: done.append(so_far))
    assert done == [2_000, 2_304]
    assert make_store(places[1]).head() == source.head()
    with pytest.raises(ConfigurationError, match="holds this ledger already"):
        copy(make_movable(places[0]), make_movable(places[1]), progress=ignore)


def test_another_ledger(
    places: Places,
    make_store: Callable[[str], Store],
    make_movable: Callable[[str], Movable],
    make_draft: MakeDraft,
) -> None:
    """What lies in the target already is never overwritten; an empty ledger, freshly made, is."""
    fill(make_store(places[0]), make_draft, count=3)
    other = make_store(places[1])
    other.open()
    other.archive(DOCUMENT)
    with pytest.raises(ConfigurationError, match="another ledger"):
        copy(make_movable(places[0]), make_movable(places[1]), progress=ignore)
    assert other.head().size == 0


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entry SET body = (SELECT body FROM entry WHERE idx = 0) WHERE idx = 1", "DELETE FROM leaf WHERE idx = 1"],
    ids=["changed", "missing"],
)
def test_a_damaged_ledger(
    places: Places,
    make_store: Callable[[str], Store],
    make_movable: Callable[[str], Movable],
    make_draft: MakeDraft,
    statement: str,
) -> None:
    """An entry that was changed or is missing is not copied on, and the copy stays unusable."""
    source = make_store(places[0])
    source.append([make_draft() for _ in range(3)], now=5)
    source.close()
    damage(places[0], statement)
    with pytest.raises(LedgerCorruptError):
        copy(make_movable(places[0]), make_movable(places[1]), progress=ignore)
    with pytest.raises(ConfigurationError, match="is not finished"):
        make_store(places[1]).open()
