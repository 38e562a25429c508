"""Forget which entries of the ledger are about a person: withdraw, then erase, for good."""

from __future__ import annotations

import argparse
import re
import sys
import time

from consent.cli.opened import existing_ledger
from consent.errors import LedgerUnavailableError
from consent.ledger import code
from consent.ledger.ledger import REASONS, Ledger
from consent.settings import ConsentSettings

TERMINAL = "/dev/tty"
"""Where somebody can be asked although standard input holds something else."""
_CONSENT_ID = re.compile(r"[0-9a-f]{32}")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent erase`."""
    parser = subparsers.add_parser(
        "erase",
        help="forget which entries are about a person",
        description=f"{__doc__} Reads consent ids (32 hex digits) or receipt codes from standard input, one a line.",
    )
    parser.add_argument("--reason", choices=REASONS, default="request", help="why (default: %(default)s)")
    parser.add_argument("--yes", action="store_true", help="do not ask again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Erase whom standard input names; return 1 if one of them could not be found, 2 for wrong use."""
    if sys.stdin.isatty():
        print("Consent id or receipt code, then Ctrl-D:", file=sys.stderr)
    named = [line.strip() for line in sys.stdin if line.strip()]
    if not named:
        print("consent: nobody was named: give a consent id or a receipt code on standard input", file=sys.stderr)
        return 2
    with existing_ledger(ConsentSettings()) as ledger:
        found = [_consent_id(ledger, one) for one in named]
        if None in found:
            # What was typed is not repeated: it may be a code.
            print(f"consent: line {found.index(None) + 1} leads to no entry; nothing was erased", file=sys.stderr)
            return 1
        consent_ids = dict.fromkeys(one for one in found if one is not None)
        if not args.yes and not _confirmed(len(consent_ids)):
            return 2
        for consent_id in consent_ids:
            _erase(ledger, consent_id, reason=args.reason)
    return 0


def _consent_id(ledger: Ledger, named: str) -> bytes | None:
    if not _CONSENT_ID.fullmatch(named.lower()):
        return ledger.store.consent_id_of(code.digest(named))
    consent_id = bytes.fromhex(named)
    try:
        return consent_id if ledger.records_of(consent_id) else None
    except LedgerUnavailableError:
        # It can be withdrawn and queued all the same.
        return consent_id


def _confirmed(count: int) -> bool:
    """Ask at the terminal, which standard input may not be."""
    what = "one person" if count == 1 else f"{count} people"
    print(
        f"This takes back every yes of {what}, and deletes for good what leads from them to their entries. The site can"
        " then no longer prove that they agreed.",
        file=sys.stderr,
    )
    try:
        with open(TERMINAL, "w", encoding="utf-8") as shown, open(TERMINAL, encoding="utf-8") as terminal:
            shown.write("Type erase to go on: ")
            shown.flush()
            answer = terminal.readline()
    except OSError:
        print("consent: nobody can be asked here: say --yes; nothing was erased", file=sys.stderr)
        return False
    if answer.strip() != "erase":
        print("consent: nothing was erased", file=sys.stderr)
        return False
    return True


def _erase(ledger: Ledger, consent_id: bytes, *, reason: str) -> None:
    appended = ledger.erase(consent_id, reason=reason, decided_at=int(time.time()))
    if appended is None:
        print("withdrawn; the ledger cannot be written now, and the erasure waits for it")
    else:
        print(f"erased, which is entry {appended.index}")
