"""Check a bundle with the same code that lies inside it, or a visitor's receipt."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from consent import verify
from consent.errors import VerificationError
from consent.ledger import receipt
from consent.ledger.checkpoint import Checkpoint, Verifier

LARGEST = 2**26
"""Bytes of a receipt that are read."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent verify`."""
    parser = subparsers.add_parser("verify", help="check an exported bundle, or a visitor's receipt, offline")
    verify.parse(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Check what was given, print what came of it, and return the exit status."""
    if given.bundle.suffix != ".json" or not given.bundle.is_file():
        return verify.run(given)
    try:
        facts = _receipt(given.bundle, key=given.key, earlier=given.checkpoint)
    except OSError as error:
        verify.say(f"{error.filename}: {error.strerror}", to=sys.stderr)
        return 2
    except VerificationError as error:
        verify.say(str(error), "NOT VERIFIED", to=sys.stderr)
        return 1
    verify.say(*facts, "verified", to=sys.stdout)
    return 0


def _receipt(path: Path, *, key: verify.Key | None, earlier: Path | None) -> list[str]:
    """Return what can be said of a receipt; raise VerificationError unless it verifies."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(LARGEST))
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{path.name} is not JSON: {error}") from None
    verifier = None if key is None else Verifier.from_text(str(key))
    checkpoint, entries = receipt.check(told, verifier=verifier)
    level, tried = 0 if verifier is None else 1, []
    if earlier is not None:
        known = Checkpoint.opened(earlier.read_bytes(), verifier=verifier or Verifier.from_text(told["consent:key"]))
        if known.size != checkpoint.size:
            tried.append("the earlier checkpoint cannot be tried: it is of another size, and a receipt holds one only")
        elif known.root != checkpoint.root:
            raise VerificationError("the checkpoint is not the one that was kept earlier")
        else:
            level = 2
    return [
        f"{len(entries)} records of the {checkpoint.size} entries in the ledger of {checkpoint.name}",
        *(f"{entry['decided_at']} {entry['status']}, record {entry['record']}" for entry in entries),
        *tried,
        f"key: {told['consent:key'] if key is None else key}",
        f"evidence: {verify.LEVELS[level]}",
    ]
