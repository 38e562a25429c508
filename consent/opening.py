"""Make what the settings name: the ledger, its store, and what signs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from consent.choice.lifetime import Lifetime
from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Signer, key_beside, note_name
from consent.ledger.ledger import Ledger
from consent.ledger.publisher import Outlets
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Store
from consent.ledger.timestamp import refuse_without_client
from consent.settings import ConsentSettings

MEMORY = ":memory:"
NO_ORIGIN = "http://localhost"
"""Names the ledger of a site that has not said where it lives."""


def ledger_from(
    settings: ConsentSettings, *, clock: Callable[[], float] = time.time, store: Store | None = None
) -> Ledger:
    """Return the ledger of the settings, not opened yet."""
    origin = settings.origins[0] if settings.origins else NO_ORIGIN
    if store is None:
        store = store_from(settings.ledger, settings=settings, origin=origin)
    return Ledger(
        store,
        # Without a folder to make a key in there is nothing to wait for: what is missing is said at once.
        signer=signer_from(settings, origin=origin)
        if is_postgres(settings.ledger)
        else lambda: signer_from(settings, origin=origin),
        queue_dir=queue_of(settings),
        outside=outside_of(settings),
        outlets=outlets_of(settings),
        clock=clock,
    )


def queue_of(settings: ConsentSettings) -> Path | None:
    """Return where refusals wait for the ledger; nowhere for one in memory, lest they outlive it and reach another."""
    in_memory = settings.ledger.partition(":///")[2] == MEMORY
    return None if in_memory and "queue_dir" not in settings.model_fields_set else settings.path(settings.queue_dir)


def outside_of(settings: ConsentSettings) -> Path | None:
    """Return where the newest checkpoint is kept outside the database, None for a ledger in memory."""
    _, _, path = settings.ledger.partition(":///")
    if settings.checkpoint_copy is not None:
        return settings.path(settings.checkpoint_copy)
    if path == MEMORY:
        return None
    beside = f"{path}.checkpoint" if settings.ledger.startswith("sqlite:") else "consent-checkpoint"
    return settings.path(Path(beside))


def outlets_of(settings: ConsentSettings) -> Outlets:
    """Return where and how often checkpoints are published; raise ConfigurationError if time stamps cannot be had."""
    if settings.timestamp_url:
        refuse_without_client()
    file = settings.checkpoint_file
    return Outlets(
        every=Lifetime.parse(settings.publish_every).seconds,
        file=None if file is None else settings.path(file),
        url=settings.checkpoint_url,
        timestamp_url=settings.timestamp_url,
    )


def store_from(address: str, *, settings: ConsentSettings, origin: str) -> Store:
    """Return the store at an address such as `sqlite:///consent.db`, whose path starts from the settings' folder.

    Raises ConfigurationError for anything else than an SQLite file and a PostgreSQL database.
    """
    if is_postgres(address):
        try:
            from consent.ledger.postgres import PostgresStore
        except ImportError as error:
            raise ConfigurationError(
                f"PostgreSQL cannot be used ({error})", place="ledger", remedy="pip install 'asgi-consent[postgres]'"
            ) from None
        return PostgresStore(address, origin=origin, durability=settings.durability)
    scheme, separator, path = address.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        # What is not understood is not shown: it may hold a password.
        raise ConfigurationError(
            f"{scheme.partition(':')[0]!r} is not the beginning of a ledger's address",
            place="ledger",
            remedy="Write it as 'sqlite:///consent.db' or 'postgresql://user@host/database'",
        )
    return SqliteStore(path if path == MEMORY else settings.path(Path(path)), origin=origin)


def is_postgres(address: str) -> bool:
    """Tell whether an address is meant for PostgreSQL, by its scheme."""
    return address.partition(":")[0] in ("postgresql", "postgres")


def signer_from(settings: ConsentSettings, *, origin: str) -> Signer:
    """Return what signs checkpoints: the configured key, else one kept beside an SQLite ledger."""
    if settings.ledger_key is not None:
        return Signer.from_text(settings.ledger_key.get_secret_value())
    if is_postgres(settings.ledger):
        raise ConfigurationError(
            "a ledger in PostgreSQL has no folder to keep its key in",
            place="CONSENT_LEDGER_KEY",
            remedy="Set it to the key that signs this ledger, PRIVATE+KEY+name+id+key; all workers share one",
        )
    _, _, path = settings.ledger.partition(":///")
    if path == MEMORY:
        return Signer.generate(note_name(origin))
    return key_beside(settings.path(Path(f"{path}.key")), name=note_name(origin))
