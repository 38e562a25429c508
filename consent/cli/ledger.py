"""Look after the ledger: its database, signing again after a restore or a lost key, and records kept for a court."""

from __future__ import annotations

import argparse
import sys
import time

from consent.cli import database
from consent.cli.dates import day_of, end_of
from consent.cli.main import WRONG_USE
from consent.cli.opened import existing_ledger
from consent.ledger import retention
from consent.ledger.entry import rfc3339
from consent.ledger.ledger import Ledger
from consent.ledger.retention import Hold
from consent.settings import ConsentSettings


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent ledger` with its actions."""
    parser = subparsers.add_parser(
        "ledger", help="make, migrate and copy the ledger, sign again after a restore, hold records for a court"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    database.add(actions)

    again = actions.add_parser("resume", help="sign again after a backup was restored or the key was lost")
    again.add_argument("--yes", action="store_true", help="append what happened to the log, for ever")
    again.set_defaults(act=_resume)

    held = actions.add_parser("hold", help="list, add or remove what keeps records from being pruned")
    held.add_argument("what", choices=("list", "add", "remove"))
    held.add_argument("name", nargs="?", default="", help="its name: small letters, digits and hyphens")
    held.add_argument("--since", type=day_of, metavar="DATE", help="from this date or time on (UTC), as recorded")
    held.add_argument("--until", type=end_of, metavar="DATE", help="to the end of this date, or before this time (UTC)")
    held.set_defaults(act=_hold)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one action on the ledger of the settings; return the exit status."""
    with existing_ledger(ConsentSettings()) as ledger:
        status: int = args.act(ledger, args)
    return status


def _resume(ledger: Ledger, args: argparse.Namespace) -> int:
    fault = ledger.fault()
    if fault is None:
        print("nothing keeps the ledger from being signed")
        return 0
    if not args.yes:
        print(f"{fault}.\nIf a newer copy of the database, or the key that was used before, can be had, restore that")
        print("instead. --yes goes on from here, and appends for ever that it did.")
        return 1
    appended = ledger.resume()
    # What the database itself contradicts, nobody may go on from.
    if not appended:
        print(f"consent: {fault}", file=sys.stderr)
        return 1
    for one in appended:
        print(f"signed again; entry {one.index} says what happened")
    return 0


def _hold(ledger: Ledger, args: argparse.Namespace) -> int:
    now = int(time.time())
    if args.what == "list":
        held = retention.holds(ledger.store)
        if not held:
            print("there is no hold")
        for one in held.values():
            since = "the beginning" if one.since is None else rfc3339(one.since)
            until = "further notice" if one.until is None else rfc3339(one.until)
            print(f"{one.name}: what was recorded from {since} until {until}")
        return 0
    try:
        if args.what == "add":
            appended = retention.hold(ledger.store, Hold(name=args.name, since=args.since, until=args.until), now=now)
        else:
            appended = retention.release(ledger.store, args.name, now=now)
    except ValueError as error:
        print(f"consent: {error}", file=sys.stderr)
        return WRONG_USE
    print(f"recorded as entry {appended.index}")
    return 0
