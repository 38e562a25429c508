"""Measure acknowledged appends a second: `python -m bench.ledger`.

SQLite, and PostgreSQL alone and with a standby it waits for; the store by itself and the ledger with so many visitors
in flight, beside one commit a row and beside raw batches. Wall and processor time of this process are both shown, since
only the second means much on a machine that others use.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.postgres import PostgresStore
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Durability, Store
from tests.ledger.cluster import Server, replicated, running

ORIGIN = "https://meridian.example"
NOW = 1_795_343_400
SIGNER = Signer("meridian.example", seed=b"b" * 32)
NOTICE = Document(kind="notice", media_type="application/json", data=b'{"schema":1}', language="en")
BODY = bytes(900)
FLIGHTS = (1, 64, 256, 1024)
SERVICES = ("comments", "donations", "fonts", "maps", "reader-stats", "video")


def draft(number: int) -> Draft:
    """Return a record as a site of six services makes it; every third refuses, and so has no subject."""
    refused = number % 3 == 0
    answers = {service: not refused and (number >> place) & 1 == 0 for place, service in enumerate(SERVICES)}
    return Draft(
        kind="consent",
        decided_at=NOW + number // 100,
        subject=None if refused else number.to_bytes(16, "big"),
        content={
            "status": "refused" if refused else "given",
            "method": "reject_all" if refused else "save",
            "scope": "site",
            "purposes": {"analytics": not refused, "marketing": False, "media": not refused},
            "services": answers,
            "notice": NOTICE.digest,
            "rendering": NOTICE.digest,
            "policies": [{"slug": "privacy", "version": "1", "language": "en", "sha256": NOTICE.digest}],
            "language": "en",
            "regime": "opt-in",
            "country": None,
            "signals": {"gpc": False},
        },
    )


@contextmanager
def measured(what: str, *, count: int) -> Iterator[None]:
    """Print how many a second were done meanwhile."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<44} {count / wall:>10,.0f} /s wall {count / cpu:>10,.0f} /s processor", flush=True)


def store_in(folder: Path, *, name: str) -> SqliteStore:
    """Return a new store."""
    return SqliteStore(folder / name, origin=ORIGIN)


def bench_store(make: Callable[[str], Store], *, what: str, count: int) -> None:
    """Compare one commit a record with many in a commit."""
    for size in (1, 64, 512):
        drafts = [draft(number) for number in range(count if size > 1 else max(1, count // 16))]
        with closing(make(f"store-{size}.db")) as store:
            store.open()
            with measured(f"{what}, {size} in a commit", count=len(drafts)):
                for first in range(0, len(drafts), size):
                    store.append(drafts[first : first + size], now=NOW)


def bench_ledger(what: str, *, make: Callable[[str], Store], count: int, flights: Sequence[int]) -> None:
    """Record from coroutines, so many in flight, with the time each waits."""
    for flight in flights:
        total = max(flight, count if flight > 1 else count // 16)
        ledger = Ledger(make(f"ledger-{flight}.db"), signer=SIGNER)
        ledger.start()
        waits: list[float] = []

        async def visitor(first: int, *, flight: int = flight, total: int = total, ledger: Ledger = ledger) -> None:
            for number in range(first, total, flight):
                started = time.perf_counter()
                await ledger.record(draft(number))
                waits.append(time.perf_counter() - started)  # noqa: B023 - read before the next round

        async def crowd(*, flight: int = flight) -> None:
            await asyncio.gather(*[visitor(first) for first in range(flight)])

        with measured(f"{what}, {flight} in flight", count=total):
            asyncio.run(crowd())
        cuts = statistics.quantiles(waits, n=100)
        print(f"{'':<44} p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms", flush=True)
        ledger.close()


def bench_postgres(*, count: int, flights: Sequence[int]) -> None:
    """Record in PostgreSQL, alone and with a standby to wait for, beside one commit a row and beside raw batches."""
    with running() as server:
        compare(server, what="PostgreSQL alone", durability=Durability.SINGLE, count=count, flights=flights)
    with replicated() as (primary, *_):
        what = "PostgreSQL + standby"
        compare(primary, what=what, durability=Durability.SYNCHRONOUS, count=count, flights=flights)


def compare(server: Server, *, what: str, durability: Durability, count: int, flights: Sequence[int]) -> None:
    """Insert rows without a ledger, then append to a store, then record from coroutines."""

    def make(_: str) -> Store:
        return PostgresStore(server.address(server.database()), origin=ORIGIN, durability=durability)

    bench_rows(server, what=what, count=count)
    bench_store(make, what=what, count=count)
    bench_ledger(what, make=make, count=count, flights=flights)


def bench_rows(server: Server, *, what: str, count: int) -> None:
    """Insert rows of the size of an entry without any ledger: one in a commit, and 512."""
    few = max(1, count // 16)
    with server.connect(server.database()) as connection:
        connection.execute("CREATE TABLE raw (number bigint PRIMARY KEY, body bytea)")
        with measured(f"{what}, rows, one commit each", count=few):
            for number in range(few):
                connection.execute("INSERT INTO raw VALUES (%s, %s)", (number, BODY))
        with measured(f"{what}, rows, 512 in a statement", count=count):
            for first in range(few, few + count, 512):
                numbers = list(range(first, min(first + 512, few + count)))
                connection.execute(
                    "INSERT INTO raw SELECT * FROM unnest(%b::bigint[], %b)", (numbers, [BODY] * len(numbers))
                )


def bench_rows_sqlite(folder: Path, *, count: int) -> None:
    """Insert rows of the size of an entry into a file as durable as a ledger's: one in a commit, and 512."""
    few = max(1, count // 16)
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=FULL").fetchall()
        connection.execute("CREATE TABLE raw (number integer PRIMARY KEY, body blob)")
        with measured("SQLite, rows, one commit each", count=few):
            for number in range(few):
                connection.execute("INSERT INTO raw VALUES (?, ?)", (number, BODY))
        with measured("SQLite, rows, 512 in a commit", count=count):
            for first in range(few, few + count, 512):
                connection.execute("BEGIN")
                rows = [(number, BODY) for number in range(first, min(first + 512, few + count))]
                connection.executemany("INSERT INTO raw VALUES (?, ?)", rows)
                connection.execute("COMMIT")


def main() -> None:
    """Run everything, or a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=16_000, help="appends for one figure (16000)", metavar="N")
    parser.add_argument("--flights", type=int, nargs="+", default=FLIGHTS, help="how many at once", metavar="N")
    parser.add_argument("--only", choices=("sqlite", "postgres"), nargs="+", default=("sqlite", "postgres"))
    args = parser.parse_args()
    if "sqlite" in args.only:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bench_store(lambda name: store_in(folder, name=name), what="SQLite", count=args.entries)
            bench_rows_sqlite(folder, count=args.entries)
            bench_ledger(
                "SQLite", make=lambda name: store_in(folder, name=name), count=args.entries, flights=args.flights
            )
    if "postgres" in args.only:
        bench_postgres(count=args.entries, flights=args.flights)


if __name__ == "__main__":
    main()
