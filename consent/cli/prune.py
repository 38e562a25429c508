"""Delete the records whose time is over, as the setting `retention` says; every proof still verifies."""

from __future__ import annotations

import argparse
import time
from collections import Counter

from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.ledger.retention import Retention, holds, outlived, prune
from consent.settings import ConsentSettings


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent prune`."""
    parser = subparsers.add_parser(
        "prune", help="delete the records whose time is over, and keep every proof", description=__doc__
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prune the ledger of the settings; return the exit status."""
    settings = ConsentSettings()
    retention = Retention.of({str(one): kept for one, kept in settings.retention.items()}, validity=settings.validity)
    now = int(time.time())
    with existing_ledger(settings) as ledger:
        for one in holds(ledger.store):
            print(f"hold {one} is in force")
        with Bar("Pruning") as bar:
            if args.dry_run:
                found = Counter(regime for regime, _ in outlived(ledger.store, retention, now=now, progress=bar))
            else:
                found = Counter(prune(ledger.store, retention, now=now, progress=bar))
    done = "would be deleted" if args.dry_run else "deleted"
    for regime, kept in retention.written.items():
        print(f"{regime}: {found[regime]} records {done}, kept for {kept} after their choice no longer held")
    return 0
