"""Make drafts, stores and ledgers for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Store
from tests.ledger.cluster import Server, running

ORIGIN = "https://meridian.example"
NAME = "meridian.example"
DIGEST = "ab" * 32
CONTENT: dict[str, Any] = {
    "status": "given",
    "method": "save",
    "scope": "site",
    "purposes": {"analytics": True, "media": False},
    "services": {"reader-stats": True, "youtube": False},
    "notice": None,
    "rendering": None,
    "policies": [],
    "language": "en",
    "regime": "opt-in",
    "country": "IE",
    "signals": {"gpc": False},
}


@pytest.fixture
def make_draft() -> Callable[..., Draft]:
    """Return a function that makes the draft of a consent record; arguments replace its fields, `content` a part."""

    def make(**fields: Any) -> Draft:
        content = CONTENT | fields.pop("content", {})
        return Draft(**{"kind": "consent", "decided_at": 1_000, "content": content} | fields)

    return make


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Return a function that makes stores, each closed after the test."""
    stores = []

    def make(path: Path | str | None = None, **options: Any) -> SqliteStore:
        options.setdefault("origin", ORIGIN)
        store = SqliteStore(tmp_path / "consent.db" if path is None else path, **options)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def close_later() -> Iterator[Callable[..., None]]:
    """Return a function that takes stores to be closed after the test."""
    stores: list[Store] = []
    yield stores.append
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a running PostgreSQL server."""
    with running() as server:
        yield server


@pytest.fixture
def make_database(postgres: Server) -> Callable[[], str]:
    """Return a function that makes an empty database, and returns its address."""
    return lambda: postgres.address(postgres.database())


@pytest.fixture
def make_ledger(make_store: Callable[..., SqliteStore], tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """Return a function that makes ledgers, with a queue folder unless told otherwise, each closed after the test."""
    ledgers = []

    def make(store: SqliteStore | None = None, **options: Any) -> Ledger:
        options.setdefault("signer", Signer(NAME, seed=b"s" * 32))
        options.setdefault("queue_dir", tmp_path / "queue")
        options.setdefault("clock", lambda: 2_000.0)
        ledger = Ledger(store or make_store(), **options)
        ledgers.append(ledger)
        return ledger

    yield make
    for ledger in ledgers:
        ledger.close()
