"""Make, migrate, copy and look at the ledger's database."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, cast

from consent.cli.opened import existing_ledger, ledger_file
from consent.cli.progress import Bar
from consent.errors import ConfigurationError, LedgerCorruptError, VerificationError
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.database import KEY_SUFFIX
from consent.ledger.sealer import RESUME
from consent.ledger.sqlite_transfer import SqliteMovable
from consent.ledger.store import Durability
from consent.ledger.transfer import Movable, copy
from consent.opening import NO_ORIGIN, is_postgres, store_from
from consent.settings import ConsentSettings

if TYPE_CHECKING:
    from consent.ledger.postgres import PostgresStore


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the actions of `consent ledger` that are about its database."""
    migrate = actions.add_parser("migrate", help="make the ledger, or bring it up to date")
    migrate.add_argument("--dry-run", action="store_true", help="show what would be done to PostgreSQL, as SQL")
    migrate.add_argument("--roles", action="store_true", help="show the SQL that makes the roles, and end")
    migrate.set_defaults(run=_migrate)
    copied = actions.add_parser("copy", help="copy the ledger to another file or database")
    copied.add_argument("source", metavar="FROM", help="such as sqlite:///consent.db")
    copied.add_argument("target", metavar="TO", help="such as postgresql://user@host/database")
    copied.set_defaults(run=_copy)
    status = actions.add_parser("status", help="say where the ledger is, how long, and how far it is signed")
    status.set_defaults(run=_status)


def _origin(settings: ConsentSettings) -> str:
    return settings.origins[0] if settings.origins else NO_ORIGIN


def _migrate(args: argparse.Namespace) -> int:
    if args.roles:
        from consent.ledger.server import roles

        print(f"CREATE ROLE consent_web LOGIN;\n{roles()}", end="")
        return 0
    settings = ConsentSettings()
    with closing(store_from(settings.ledger, settings=settings, origin=_origin(settings))) as store:
        if is_postgres(settings.ledger):
            return _migrate_postgres(cast("PostgresStore", store), dry=args.dry_run)
        if args.dry_run:
            print("An SQLite ledger is brought up to date whenever it is opened.")
            return 0
        store.open()
    print("The ledger is up to date.")
    return 0


def _migrate_postgres(store: PostgresStore, *, dry: bool) -> int:
    pending = store.pending()
    if dry:
        print("\n".join(pending) if pending else "-- Nothing is to be done.")
        return 0
    granted = store.migrate()
    print(f"{len(pending)} migrations applied to {store.place}." if pending else f"{store.place} is up to date.")
    if granted:
        print("consent_web may read it and add to it.")
    else:
        print("There is no role consent_web: `consent ledger migrate --roles` shows the SQL that makes it.")
    return 0


def _copy(args: argparse.Namespace) -> int:
    settings = ConsentSettings()
    origin = _origin(settings)
    with closing(store_from(args.source, settings=settings, origin=origin)) as store:
        if not store.exists():
            raise ConfigurationError(f"no ledger at {store.place}")
    with ExitStack() as stack:
        source, target = (_movable(address, settings=settings) for address in (args.source, args.target))
        stack.enter_context(closing(source))
        stack.enter_context(closing(target))
        if source.place == target.place:
            raise ConfigurationError("FROM and TO are the same ledger", place=source.place)
        bar = stack.enter_context(Bar("Copying"))
        size = copy(source, target, progress=bar)
    print(f"{size} entries, and all that lies beside them, are in {target.place}, under the same root.")
    path = ledger_file(settings, args.source)
    if path is not None and settings.ledger_key is None:
        key = path.with_name(path.name + KEY_SUFFIX)
        then = (
            f"set CONSENT_LEDGER_KEY to what stands in {key}"
            if is_postgres(args.target)
            else f"copy {key} to {ledger_file(settings, args.target)}{KEY_SUFFIX}"
        )
        print(f"Its key was not copied: {then}.")
    elif not is_postgres(args.target):
        print(
            "Its key was not copied: keep CONSENT_LEDGER_KEY, or write its value to"
            f" {ledger_file(settings, args.target)}{KEY_SUFFIX} (mode 600)."
        )
    if is_postgres(args.target):
        print("Let the site's role in: run `consent ledger migrate` with CONSENT_LEDGER set to that address.")
    print("Now set `ledger` to the new address, and start the site.")
    return 0


def _movable(address: str, *, settings: ConsentSettings) -> Movable:
    origin = _origin(settings)
    # Says what is wrong with the address, or that PostgreSQL cannot be used.
    store_from(address, settings=settings, origin=origin)
    if is_postgres(address):
        from consent.ledger.postgres_transfer import PostgresMovable

        # Durability is for acknowledgements: a copy that is lost is made again.
        return PostgresMovable(address, origin=origin, durability=Durability.SINGLE)
    path = ledger_file(settings, address)
    if path is None:
        raise ConfigurationError("a ledger in memory cannot be copied", place=address)
    return SqliteMovable(path, origin=origin)


def _status(args: argparse.Namespace) -> int:
    with existing_ledger(ConsentSettings()) as ledger:
        head, fault = ledger.store.head(), ledger.fault()
        # After a fault the newest signature may be of a key that this log does not know.
        checkpoint = ledger.checkpoint() if fault is None else None
        print(f"ledger      {ledger.store.place}")
        print(f"origin      {ledger.store.origin}")
        print(f"entries     {head.size}")
        print(f"root        {head.root.hex()}")
        print(f"checkpoint  {_signed(checkpoint, fault=fault)}")
        print(f"queued      {ledger.queued}")
        for doubt in ledger.store.doubts():
            print(f"doubt       {doubt}")
    if checkpoint is not None and checkpoint.size > head.size:
        raise LedgerCorruptError(f"the checkpoint covers {checkpoint.size} entries, and there are {head.size}")
    if fault is not None:
        raise VerificationError(f"{fault}: {RESUME}")
    return 0


def _signed(checkpoint: Checkpoint | None, *, fault: str | None) -> str:
    if fault is not None:
        return "nothing is signed any more"
    return "none" if checkpoint is None else f"at {checkpoint.size} entries"
