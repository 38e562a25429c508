"""Export the ledger for an auditor, also while a server writes to it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from consent.cli.main import FAILED, WRONG_USE
from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.ledger.bundle import write_bundle
from consent.ledger.formats import CCPA, PARQUET, PROOFS, pieces
from consent.ledger.gaps import pruned, within
from consent.ledger.ledger import Ledger
from consent.ledger.selection import FIELDS, Selection, SelectionError
from consent.ledger.store import Stored
from consent.settings import ConsentSettings

FORMATS = ("bundle", "jsonl", "csv", PARQUET, CCPA)
FILTERS = {
    "kind": "what an entry reports, such as consent or erased",
    "status": "the status of a choice, such as given or withdrawn",
    "purpose": "choices that answer about this purpose",
    "service": "choices that answer about this service",
    "language": "what was shown or published in this language",
    "policy": "choices under this policy, SLUG or SLUG/VERSION, and its publications",
    "notice": "choices under the notice of this digest, or the first 8 or more hex digits of it",
}
PROOFS_SUFFIX = ".proofs.jsonl"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent export`."""
    parser = subparsers.add_parser("export", help="export the ledger for an auditor")
    parser.add_argument("--format", choices=FORMATS, default="bundle", help="what to write (default: bundle)")
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
    """Write one export and say what it holds; return the exit status."""
    try:
        with Bar("Exporting") as bar:
            if form == "bundle":
                checkpoint, of = write_bundle(ledger, out, selection=selection, progress=bar)
                count = of.last - of.first - within(pruned(ledger.store), first=of.first, last=of.last)
            else:
                checkpoint = ledger.seal()
                of = selection.span(ledger.store, size=checkpoint.size)
                wanted = {out: form} | ({out.with_name(out.name + PROOFS_SUFFIX): PROOFS} if proofs else {})
                for path in wanted:
                    if path.exists():
                        raise FileExistsError(errno.EEXIST, "it exists already")
                for path, one in wanted.items():
                    places = _Counted(selection.places(ledger.store, of=of, progress=bar))
                    _write(path, pieces(ledger.store, form=one, places=places, checkpoint=checkpoint))
                    count = places.count
    except OSError as error:
        print(f"cannot write {out}: {error.strerror or error}", file=sys.stderr)
        return WRONG_USE if isinstance(error, FileExistsError | FileNotFoundError) else FAILED
    gone = within(pruned(ledger.store), first=of.first, last=of.last)
    said = f"; {gone} more were pruned, as the log reports" if gone else ""
    if form == "bundle" and selection.filters:
        chosen = f"those of {count} entries that fit the filter, of {checkpoint.size} in all,"
    else:
        chosen = f"{count} of {checkpoint.size} entries"
    print(f"{chosen} written to {out}{said}")
    return 0


class _Counted:
    """Pass places on, and count those that hold an entry."""

    def __init__(self, places: Iterator[Stored]) -> None:
        self._places = places
        self.count = 0

    def __iter__(self) -> Iterator[Stored]:
        for place in self._places:
            self.count += place.body is not None
            yield place


def _write(out: Path, data: Iterator[bytes]) -> None:
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("xb") as file:
            for piece in data:
                file.write(piece)
        unfinished.rename(out)
    finally:
        unfinished.unlink(missing_ok=True)
