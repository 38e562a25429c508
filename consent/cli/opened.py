"""Open the ledger of a site for a command that only reads: one that is not there is never made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from consent.errors import ConfigurationError
from consent.ledger.ledger import Ledger
from consent.opening import MEMORY, ledger_from
from consent.settings import CONFIG_VARIABLE, ConsentSettings


def ledger_file(settings: ConsentSettings, address: str | None = None) -> Path | None:
    """Return where the ledger at an address lies, that of the settings by default; None where it is no file."""
    scheme, _, path = (address or settings.ledger).partition(":///")
    return settings.path(Path(path)) if scheme == "sqlite" and path and path != MEMORY else None


@contextmanager
def existing_ledger(settings: ConsentSettings) -> Iterator[Ledger]:
    """Give the ledger of the settings; raise ConfigurationError where there is none."""
    ledger = ledger_from(settings)
    if not ledger.store.exists():
        raise ConfigurationError(
            f"no ledger at {ledger.store.place}: go to the site's folder, or name its file in {CONFIG_VARIABLE}",
        )
    with closing(ledger):
        yield ledger
