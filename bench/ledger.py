"""Measure the ledger: appends beside one commit a record, export and verification with peak memory.

    python bench/ledger.py [ENTRIES]

Wall and processor time are both shown, since only the second means much on a machine that others use.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from consent import verify
from consent.ledger.bundle import write_bundle
from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.formats import FORMATS, pieces
from consent.ledger.ledger import Ledger
from consent.ledger.merkle import Frontier, leaf_hash
from consent.ledger.postgres import PostgresStore
from consent.ledger.selection import Selection
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Durability, Store
from tests.ledger.cluster import Server, replicated

ORIGIN = "https://meridian.example"
SIGNER = Signer("meridian.example", seed=b"b" * 32)
NOTICE = Document(kind="notice", media_type="application/json", data=b'{"schema":1}', language="en")
SERVICES = ("comments", "donations", "fonts", "maps", "reader-stats", "video")


def draft(number: int) -> Draft:
    """Return a record as a site of six services makes it; every third refuses, and so has no subject."""
    refused = number % 3 == 0
    answers = {service: not refused and (number >> place) & 1 == 0 for place, service in enumerate(SERVICES)}
    return Draft(
        kind="consent",
        decided_at=1_795_343_400 + number // 100,
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
    print(f"{what:<44} {count / wall:>10,.0f} /s wall {count / cpu:>10,.0f} /s processor")


def store_in(folder: Path, *, name: str) -> SqliteStore:
    """Return a new store."""
    return SqliteStore(folder / name, origin=ORIGIN)


def bench_store(folder: Path) -> None:
    """Compare one commit a record with 64 in a commit."""
    for size, count in ((1, 1_000), (64, 16_000), (512, 30_000)):
        drafts = [draft(number) for number in range(count)]
        with closing(store_in(folder, name=f"store-{size}.db")) as store:
            store.open()
            with measured(f"store, {size} in a commit", count=count):
                for first in range(0, count, size):
                    store.append(drafts[first : first + size], now=1_795_343_400)


def bench_ledger(what: str, *, make: Callable[[str], Store]) -> None:
    """Record from coroutines, so many in flight, with the time each waits."""
    for flight, count in ((1, 1_000), (64, 16_000), (256, 32_000)):
        ledger = Ledger(make(f"ledger-{flight}.db"), signer=SIGNER)
        ledger.start()
        waits: list[float] = []

        async def visitor(first: int, *, flight: int = flight, count: int = count, ledger: Ledger = ledger) -> None:
            for number in range(first, count, flight):
                started = time.perf_counter()
                await ledger.record(draft(number))
                waits.append(time.perf_counter() - started)  # noqa: B023 - read before the next round

        async def crowd(*, flight: int = flight) -> None:
            await asyncio.gather(*[visitor(first) for first in range(flight)])

        with measured(f"{what}, {flight} in flight", count=count):
            asyncio.run(crowd())
        cuts = statistics.quantiles(waits, n=100)
        print(f"{'':<44} p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms")
        ledger.close()


def bench_postgres() -> None:
    """Record in PostgreSQL, alone and with a standby to wait for, beside one commit a row and beside raw batches."""
    with replicated() as (primary, *_):
        for what, names in (("alone", ""), ("standby", "ANY 1 (b, c)")):
            primary.configure(synchronous_standby_names=names)
            durability = Durability.SYNCHRONOUS if names else Durability.SINGLE
            bench_rows(primary, what=f"rows, {what}")

            def make(name: str, *, durability: Durability = durability) -> Store:
                return PostgresStore(primary.address(primary.database()), origin=ORIGIN, durability=durability)

            bench_ledger(f"PostgreSQL, {what}", make=make)
            drafts = [draft(number) for number in range(51_200)]
            with closing(make("store")) as store:
                store.open()
                with measured(f"PostgreSQL, {what}, 512 in a statement", count=len(drafts)):
                    for first in range(0, len(drafts), 512):
                        store.append(drafts[first : first + 512], now=1_795_343_400)


def bench_rows(server: Server, *, what: str) -> None:
    """Insert rows of the size of an entry without any ledger: one in a commit, and 512."""
    body = bytes(900)
    with server.connect(server.database()) as connection:
        connection.execute("CREATE TABLE raw (number bigint PRIMARY KEY, body bytea)")
        with measured(f"{what}, one commit each", count=500):
            for number in range(500):
                connection.execute("INSERT INTO raw VALUES (%s, %s)", (number, body))
        with measured(f"{what}, 512 in a statement", count=51_200):
            for first in range(500, 51_700, 512):
                connection.execute(
                    "INSERT INTO raw SELECT * FROM unnest(%b::bigint[], %b)",
                    (list(range(first, first + 512)), [body] * 512),
                )


def fill(folder: Path, *, count: int) -> None:
    """Fill a ledger for the exports."""
    with closing(store_in(folder, name="full.db")) as store:
        store.archive(NOTICE)
        for first in range(0, count, 1_000):
            store.append([draft(number) for number in range(first, min(first + 1_000, count))], now=1_795_343_400)


def stage(name: str, folder: Path) -> None:
    """Do one stage in a process of its own, so that its peak memory is its own."""
    store = store_in(folder, name="full.db")
    count = store.head().size
    sink = folder / name
    stages: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        **{form: partial(to_file, store, sink, form=form) for form in FORMATS},
        "sqlite3": lambda: by_sqlite(folder),
        "bundle": lambda: write_bundle(Ledger(store, signer=SIGNER), sink),
        "leaves": lambda: leaves(folder / "bundle"),
        "verify": lambda: report(folder / "bundle"),
    }
    with measured(f"{name} of {count:,} entries", count=count):
        stages[name]()
    store.close()
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    print(f"{'':<44} peak memory {int(status.partition('VmHWM:')[2].split()[0]) / 1024:.0f} MB")


def to_file(store: SqliteStore, path: Path, *, form: str) -> None:
    """Export everything in one form."""
    ledger = Ledger(store, signer=SIGNER)
    checkpoint, everything = ledger.seal(), Selection()
    places = everything.places(store, of=everything.span(store, size=checkpoint.size))
    with path.open("wb") as out:
        for piece in pieces(store, form=form, places=places, checkpoint=checkpoint):
            out.write(piece)


def by_sqlite(folder: Path) -> None:
    """Let SQLite's own shell write the same bytes as CSV, to compare with; nothing where it is not installed."""
    shell = shutil.which("sqlite3")
    if shell is None:
        print("the sqlite3 shell is not installed")
        return
    with (folder / "shell.csv").open("wb") as out:
        words = [shell, "-readonly", "-csv", str(folder / "full.db"), "SELECT idx, CAST(body AS text) FROM entry"]
        subprocess.run(words, stdout=out, check=True)  # noqa: S603 - a program of the system


def leaves(bundle: Path) -> None:
    """Compute the root of the entries alone, as the least that any verification does."""
    tree = Frontier()
    with (bundle / "entries.jsonl").open("rb") as entries:
        for line in entries:
            tree.append(leaf_hash(line[:-1]))
    proof = json.loads((bundle / "proof.json").read_bytes())
    if tree.size != proof["size"]:
        raise SystemExit("the bundle is not whole")


def report(bundle: Path) -> None:
    """Verify everything."""
    if problems := verify.verify(bundle, key=SIGNER.verifier.text).problems:
        raise SystemExit(str(problems))


def main() -> None:
    """Run everything, or one stage where it is named."""
    if len(sys.argv) == 3:
        stage(sys.argv[1], Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) == 2 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench_store(folder)
        bench_ledger("SQLite", make=lambda name: store_in(folder, name=name))
        bench_postgres()
        fill(folder, count=count)
        for stage_name in ("nothing", *FORMATS, "sqlite3", "bundle", "leaves", "verify"):
            subprocess.run([sys.executable, __file__, stage_name, name], check=True)  # noqa: S603 - our own file


if __name__ == "__main__":
    main()
