"""Tell whether what lies in a database is the ledger that is looked for, in a form that this version knows."""

from __future__ import annotations

from collections.abc import Mapping

from consent.errors import ConfigurationError, LedgerUnavailableError
from consent.ledger.transfer import COPYING


def refuse_newer(done: int, *, known: int, place: str) -> None:
    """Raise ConfigurationError where more migrations are done than are known."""
    if done > known:
        raise ConfigurationError(
            f"this ledger was made by a newer version (schema {done}, known are {known})",
            place=place,
            remedy="Upgrade asgi-consent",
        )


def refuse_other(
    settings: Mapping[str, bytes], *, before: Mapping[str, bytes], origin: str, copying: bool, place: str
) -> None:
    """Raise ConfigurationError for the ledger of another origin, or one into which a copy is not finished.

    `settings` are those found, `before` those found earlier, if any: where they differ LedgerUnavailableError is
    raised. `copying` takes an unfinished copy.
    """
    found = settings["origin"].decode()
    if found != origin:
        raise ConfigurationError(
            f"this ledger belongs to {found!r}, not to {origin!r}",
            place=place,
            remedy="Put its origin first in `origins`, or use a new ledger",
        )
    if COPYING in settings and not copying:
        raise ConfigurationError(
            "a copy into this ledger is not finished", place=place, remedy="Run `consent ledger copy` again"
        )
    if before and before != settings:
        raise LedgerUnavailableError(f"{place}: another ledger lies there now")
