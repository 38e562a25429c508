"""Export the ledger for an auditor, also while a server writes to it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from pathlib import Path

from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.ledger.bundle import write_bundle
from consent.ledger.export import Span, moment, span, write_csv, write_jsonl
from consent.ledger.gaps import pruned, within
from consent.ledger.ledger import Ledger
from consent.ledger.progress import Progress
from consent.ledger.requests import write_requests
from consent.settings import ConsentSettings

TABLES = {"csv": write_csv, "ccpa": write_requests}
FORMATS = ("jsonl", "csv", "bundle", "ccpa")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent export`."""
    parser = subparsers.add_parser("export", help="export the ledger for an auditor")
    parser.add_argument("--format", choices=FORMATS, default="bundle", help="what to write (default: bundle)")
    parser.add_argument("--out", type=Path, required=True, help="where to; a bundle is zipped if the name ends in .zip")
    parser.add_argument("--since", type=day_of, metavar="DATE", help="from this date or time on (UTC), as recorded")
    parser.add_argument(
        "--until", type=end_of, metavar="DATE", help="to the end of this date, or before this time (UTC)"
    )
    parser.set_defaults(run=run)


def day_of(text: str, *, end: bool = False) -> int:
    """Read a date or time of the command line as Unix seconds."""
    try:
        return moment(text, end=end)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date: write it as 2026-11-01, or with a time as 2026-11-01T10:00:00Z"
        ) from None


def end_of(text: str) -> int:
    """Read a date or time before which something ends."""
    return day_of(text, end=True)


def run(args: argparse.Namespace) -> int:
    """Export from the ledger of the settings; return the exit status."""
    with existing_ledger(ConsentSettings()) as ledger:
        return export(ledger, args.out, form=args.format, since=args.since, until=args.until)


def export(ledger: Ledger, out: Path, *, form: str, since: int | None, until: int | None) -> int:
    """Write one export and say what it holds; return the exit status."""
    if since is not None and until is not None and since >= until:
        print("--since is not before --until", file=sys.stderr)
        return 2
    try:
        with Bar("Exporting") as bar:
            if form == "bundle":
                checkpoint, of = write_bundle(ledger, out, since=since, until=until, progress=bar)
            else:
                checkpoint = ledger.seal()
                of = span(ledger.store, size=checkpoint.size, since=since, until=until)
                _write(ledger, out, form=form, of=of, progress=bar)
    except OSError as error:
        print(f"cannot write {out}: {error.strerror or error}", file=sys.stderr)
        return 2 if isinstance(error, FileExistsError | FileNotFoundError) else 1
    gone = within(pruned(ledger.store), first=of.first, last=of.last)
    said = f"; {gone} more were pruned, as the log reports" if gone else ""
    print(f"{of.last - of.first - gone} of {checkpoint.size} entries written to {out}{said}")
    return 0


def _write(ledger: Ledger, out: Path, *, form: str, of: Span, progress: Progress) -> None:
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    if out.exists():
        raise FileExistsError(errno.EEXIST, "it exists already")
    try:
        if form in TABLES:
            # A byte order mark, without which spreadsheets take UTF-8 for something older.
            with unfinished.open("x", encoding="utf-8-sig", newline="") as table:
                TABLES[form](ledger.store, table, of=of, progress=progress)
        else:
            with unfinished.open("xb") as lines:
                write_jsonl(ledger.store, lines, of=of, progress=progress)
        unfinished.rename(out)
    finally:
        unfinished.unlink(missing_ok=True)
