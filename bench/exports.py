"""Measure exports, bundles and their verification with peak memory: `python -m bench.exports`.

The ledger is filled with raw batches; each export is made in a process of its own, so that its peak memory is its own.
The `sqlite3` shell writes the same bytes as CSV to compare with, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.growth import grow
from bench.ledger import NOTICE, ORIGIN, SIGNER, measured
from consent import verify
from consent.ledger.bundle import write_bundle
from consent.ledger.formats import FORMATS, pieces
from consent.ledger.ledger import Ledger
from consent.ledger.merkle import Frontier, leaf_hash
from consent.ledger.selection import Selection
from consent.ledger.sqlite import SqliteStore

STAGES = ("nothing", *FORMATS, "sqlite3", "bundle", "leaves", "verify")
LEDGER = "full.db"


def main() -> None:
    """Run every stage, each in a process of its own; or the one that is named, in this one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=50_000, help="how many to export (50000)", metavar="N")
    parser.add_argument("--only", choices=STAGES, nargs="+", default=STAGES, help="run these alone", metavar="STAGE")
    parser.add_argument("--folder", type=Path, help="where the ledger is made, and deleted afterwards")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        stage(args.only[0], args.inside)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        path = Path(name) / LEDGER
        with closing(SqliteStore(path, origin=ORIGIN)) as store:
            store.archive(NOTICE)
        grow(path, count=args.entries)
        for each in args.only:
            words = [sys.executable, "-m", "bench.exports", "--only", each, "--inside", name]
            subprocess.run(words, check=True)  # noqa: S603 - our own


def stage(name: str, folder: Path) -> None:
    """Do one stage in a process of its own, so that its peak memory is its own."""
    store = SqliteStore(folder / LEDGER, origin=ORIGIN)
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
        words = [shell, "-readonly", "-csv", str(folder / LEDGER), "SELECT idx, CAST(body AS text) FROM entry"]
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


if __name__ == "__main__":
    main()
