"""Export the ledger for an auditor, also while a server writes to it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from consent.cli.main import FAILED, WRONG_USE
from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.errors import ConfigurationError, LedgerUnavailableError
from consent.ledger.bundle import write_bundle
from consent.ledger.entry import Draft
from consent.ledger.export import Span
from consent.ledger.formats import CCPA, PARQUET, PROOFS, pieces
from consent.ledger.gaps import pruned, within
from consent.ledger.ledger import Ledger
from consent.ledger.selection import FIELDS, Selection, SelectionError
from consent.ledger.store import Store, Stored
from consent.settings import ConsentSettings

BUNDLE = "bundle"
FORMATS = (BUNDLE, "jsonl", "csv", PARQUET, CCPA)
FILTERS = {
    "kind": "what an entry reports, such as consent or erased",
    "status": "the status of a choice, such as given or withdrawn",
    "purpose": "choices that answer about this purpose",
    "service": "choices that answer about this service",
    "language": "what was shown or published in this language",
    "policy": "choices under this policy, SLUG or SLUG/VERSION, and its publications",
    "notice": "choices under the notice of this digest, or the first 8 or more hex digits of it",
}
BY = "command-line"
PROOFS_SUFFIX = ".proofs.jsonl"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent export`."""
    parser = subparsers.add_parser("export", help="export the ledger for an auditor")
    parser.add_argument("--format", choices=FORMATS, default=BUNDLE, help="what to write (default: bundle)")
    parser.add_argument("--out", type=Path, required=True, help="where to; a bundle is zipped if the name ends in .zip")
    parser.add_argument("--since", metavar="DATE", help="from this date or time on (UTC), as recorded")
    parser.add_argument("--until", metavar="DATE", help="to the end of this date, or before this time (UTC)")
    parser.add_argument("--first", metavar="INDEX", help="from this index on")
    parser.add_argument("--last", metavar="INDEX", help="before this index")
    for name, what in FILTERS.items():
        parser.add_argument(f"--{name}", metavar=name.upper(), action="append", help=f"only {what}; may be repeated")
    parser.add_argument(
        "--proofs",
        action="store_true",
        help=f"(jsonl) also write OUT{PROOFS_SUFFIX}: the checkpoint, and what proves each entry under it",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export from the ledger of the settings; return the exit status."""
    given = {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    try:
        selection = Selection.read({name: one if isinstance(one, list) else [one] for name, one in given.items()})
    except SelectionError as error:
        print(f"consent: --{error.field}: {error}", file=sys.stderr)
        return WRONG_USE
    if args.proofs and args.format != "jsonl":
        print("consent: --proofs goes with --format jsonl", file=sys.stderr)
        return WRONG_USE
    with existing_ledger(ConsentSettings()) as ledger:
        return export(ledger, args.out, form=args.format, selection=selection, proofs=args.proofs)


def export(ledger: Ledger, out: Path, *, form: str, selection: Selection, proofs: bool = False) -> int:
    """Record one export, write it, and say what it holds; return the exit status."""
    wanted = {out: form} | ({out.with_name(out.name + PROOFS_SUFFIX): PROOFS} if proofs else {})
    try:
        for path in wanted:
            _refuse_unfit(path)
        checkpoint = ledger.seal()
        of = selection.span(ledger.store, size=checkpoint.size)
        with Bar("Exporting") as bar:
            planned = []
            for path, one in () if form == BUNDLE else wanted.items():
                places = _Counted(selection.places(ledger.store, of=of, progress=bar))
                planned.append((path, places, pieces(ledger.store, form=one, places=places, checkpoint=checkpoint)))
            # Before anything is written: no export leaves that the log does not know of.
            _record(ledger.store, form, of, selection=selection, size=checkpoint.size)
            requests = ""
            if form == BUNDLE:
                checkpoint, of = write_bundle(ledger, out, selection=selection, progress=bar)
                count = of.last - of.first - within(pruned(ledger.store), first=of.first, last=of.last)
            for path, places, data in planned:
                ends = _write(path, data)
                count = places.count
                if form == CCPA:
                    requests = f"{ends - 1} {'request' if ends == 2 else 'requests'} in "
    except OSError as error:
        print(f"consent: cannot write {out}: {error.strerror or error}", file=sys.stderr)
        wrong = isinstance(error, FileExistsError | FileNotFoundError | NotADirectoryError)
        return WRONG_USE if wrong else FAILED
    gone = within(pruned(ledger.store), first=of.first, last=of.last)
    said = f"; {gone} more were pruned, as the log reports" if gone else ""
    if form == BUNDLE and selection.filters:
        chosen = f"those of {count} entries that fit the filter, of {checkpoint.size} in all,"
    else:
        chosen = f"{requests}{count} of {checkpoint.size} entries"
    print(f"{chosen} written to {out}{said}")
    return 0


def _refuse_unfit(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "it exists already")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}")


def _record(store: Store, form: str, of: Span, *, selection: Selection, size: int) -> None:
    """Append that this is exported, as exports over HTTP are; say so and go on where nothing can be appended."""
    content = {
        "format": form,
        "by": BY,
        "first": of.first,
        "last": of.last,
        "size": size,
        # Not by which values: they may name somebody, and this stays for ever.
        "filters": list(selection.filters),
    }
    now = int(time.time())
    try:
        store.append([Draft(kind="exported", content=content, decided_at=now)], now=now)
    except (LedgerUnavailableError, ConfigurationError) as error:
        print(
            f"consent: the log does not say that this was exported, since nothing can be added: {error}",
            file=sys.stderr,
        )


class _Counted:
    """Pass places on, and count those that hold an entry."""

    def __init__(self, places: Iterator[Stored]) -> None:
        self._places = places
        self.count = 0

    def __iter__(self) -> Iterator[Stored]:
        for place in self._places:
            self.count += place.body is not None
            yield place


def _write(out: Path, data: Iterator[bytes]) -> int:
    """Write a file, whole or not at all; return how many lines end in it as CSV has it (RFC 4180)."""
    ends = 0
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("xb") as file:
            for piece in data:
                file.write(piece)
                ends += piece.count(b"\r\n")
        unfinished.rename(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return ends
