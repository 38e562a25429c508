"""Check a bundle, or a visitor's receipt, with the same code that lies inside every bundle; its time stamps here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from cryptography import x509

from consent import verify
from consent.errors import VerificationError
from consent.ledger import timestamp

OUTSIDE = 3
"""The level of evidence of an outside time stamp, after those that `verify.LEVELS` names."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent verify`."""
    parser = subparsers.add_parser(
        "verify",
        parents=[verify.PARSER],
        add_help=False,
        help="check an exported bundle, or a visitor's receipt, offline",
    )
    parser.add_argument(
        "--tsa",
        type=_certificates,
        metavar="CERT.pem",
        help="check the bundle's time stamps: what the authority's certificate leads to (needs the extra `timestamp`)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify what was given, with its time stamps if a certificate was."""
    if args.tsa is None:
        return verify.run(args)
    timestamp.refuse_without_client(place="--tsa")
    return verify.run(args, partial(_stamped, trusted=args.tsa))


def _stamped(
    path: Path, *, key: str | None, earlier: Path | None, trusted: Sequence[x509.Certificate]
) -> verify.Report:
    report = verify.verify(path, key=key, earlier=earlier)
    if report.problems:
        return report
    try:
        seen = _seen(verify.opened(path), trusted)
    except (VerificationError, verify.Failed) as error:
        report.problems.append(str(error))
        return report
    size, moment = max(seen)
    report.facts = [fact for fact in report.facts if verify.UNCHECKED not in fact]
    report.facts.append(f"{len(seen)} time stamps checked against the certificate you gave")
    report.facts.append(
        f"evidence: outside time stamp: the first {size} entries were there at {moment:%Y-%m-%dT%H:%M:%SZ}, as an "
        "authority saw, but what came after them could have changed"
    )
    # A stamp tells when and not whose: without a key that came another way the ledger may be anybody's.
    report.level = OUTSIDE if report.level else report.level
    return report


def _seen(files: verify.Files, trusted: Sequence[x509.Certificate]) -> list[tuple[int, datetime]]:
    """Return how many entries each stamped checkpoint has, and when it was seen; raise if one stamp is wrong."""
    seen = []
    for name in sorted(name for name in files if name.endswith(".token")):
        note = verify.read(files, f"{name.removesuffix('.token')}.note")
        try:
            moment = timestamp.seen_at(verify.read(files, name), note=note, trusted=trusted)
        except VerificationError as error:
            raise VerificationError(f"{name}: {error}") from None
        seen.append((int(note.split(b"\n")[1]), moment))
    if not seen:
        raise VerificationError("there is no time stamp to check: bundles carry those of their checkpoints, if any")
    return seen


def _certificates(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{path!r} holds no certificate in PEM: {error}") from None
