"""Measure whether the ledger stays as fast as it grows: `python -m bench.growth`, up to 5,000,000 entries if asked.

One SQLite ledger is filled with raw batches, without what recording does, and looked at on its way: an append of 64,
the auditor's newest page and one from the middle, a record by its id, a proof. All must stay flat.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from bench.ledger import NOTICE, NOW, ORIGIN, draft
from consent.ledger import merkle
from consent.ledger.database import Database
from consent.ledger.entry import leaf
from consent.ledger.sqlite import SqliteStore
from consent.ledger.transfer import Line
from consent.web.entries import PAGE as ON_PAGE

RAW = 10_000
"""Entries in a raw batch."""
VARIETY = 384
"""How many entries differ in more than their record id."""
TURNS = 50
"""How often each thing is done for one figure."""


def record_of(index: int) -> bytes:
    """Return the record id of an entry of a raw batch."""
    name = hashlib.blake2b(index.to_bytes(8, "big"), digest_size=16).digest()
    return uuid.UUID(bytes=name, version=4).bytes


def lines(first: int, *, last: int) -> Iterator[Line]:
    """Yield entries of the usual size, each with a record id and a hash of its own."""
    parts = []
    for number in range(VARIETY):
        one = draft(number)
        record = uuid.UUID(int=number)
        subject = None if one.subject is None else "0" * 64
        body = leaf(one, record=record, origin=ORIGIN, recorded_at=NOW, subject=subject)
        parts.append(body.split(str(record).encode()))
    for index in range(first, last):
        made = record_of(index)
        before, after = parts[index % VARIETY]
        whole = b"".join((before, str(uuid.UUID(bytes=made)).encode(), after))
        yield Line(index=index, hash=merkle.leaf_hash(whole), record=made, recorded_at=NOW, body=whole)


def grow(path: Path, *, count: int) -> None:
    """Let the ledger in a file have so many entries, in raw batches."""
    with closing(Database(path, origin=ORIGIN)) as database, database.using() as connection:
        size, roots = connection.execute("SELECT size, roots FROM head").fetchone()
        tree = merkle.Frontier.from_bytes(roots, size=size)
        # Nobody waits for what is made here, and nobody misses it.
        for pragma in ("synchronous=OFF", "cache_size=-400000", "wal_autocheckpoint=50000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        for first in range(size, count, RAW):
            batch = list(lines(first, last=min(first + RAW, count)))
            nodes = [node for line in batch for node in tree.append(line.hash)]
            with database.writing():
                connection.executemany(
                    "INSERT INTO leaf VALUES (?, ?, ?)", [(x.index, x.hash, x.record) for x in batch]
                )
                connection.executemany(
                    "INSERT INTO entry VALUES (?, ?, ?)", [(x.index, x.recorded_at, x.body) for x in batch]
                )
                connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
                connection.execute("UPDATE head SET size=?, roots=?, recorded_at=?", (tree.size, bytes(tree), NOW))


def took(work: Callable[[int], object]) -> tuple[float, float]:
    """Return the median wall and processor time of something, in milliseconds."""
    walls, processors = [], []
    for turn in range(TURNS):
        wall, processor = time.perf_counter(), time.process_time()
        work(turn)
        walls.append((time.perf_counter() - wall) * 1e3)
        processors.append((time.process_time() - processor) * 1e3)
    return statistics.median(walls), statistics.median(processors)


def look(path: Path) -> None:
    """Print what things take in the ledger as it is."""
    with closing(SqliteStore(path, origin=ORIGIN)) as store:
        size = store.head().size
        things: dict[str, Callable[[int], object]] = {
            "append of 64": lambda turn: store.append([draft(size + turn * 64 + n) for n in range(64)], now=NOW),
            "newest page": lambda _: list(store.stored(size - ON_PAGE, last=size)),
            "page amid": lambda turn: list(store.stored(size // 2 + turn, last=size // 2 + turn + ON_PAGE)),
            "by record id": lambda turn: store.index_of(uuid.UUID(bytes=record_of(size // 3 + turn))),
            "proof": lambda turn: merkle.inclusion_proof(store, index=size // 3 + turn, size=size),
        }
        for what, work in things.items():
            wall, processor = took(work)
            print(f"{size:>10,} entries   {what:<14} {wall:>9.2f} ms wall {processor:>9.2f} ms processor", flush=True)


def main() -> None:
    """Grow one ledger from size to size, and look at it at each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--entries", type=int, nargs="+", default=[10_000, 100_000], help="the sizes (10000 100000)", metavar="N"
    )
    parser.add_argument("--folder", type=Path, help="where the ledger is made, and deleted afterwards")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        path = Path(name) / "growing.db"
        with closing(SqliteStore(path, origin=ORIGIN)) as store:
            store.archive(NOTICE)
        for count in sorted(args.entries):
            began = time.perf_counter()
            grow(path, count=count)
            print(f"{count:>10,} entries   filled in {time.perf_counter() - began:,.0f} s", flush=True)
            look(path)


if __name__ == "__main__":
    main()
