"""Open the ledger of a site for a command that only reads: one that is not there is never made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from consent.errors import ConfigurationError
from consent.ledger.ledger import Ledger
from consent.settings import CONFIG_VARIABLE, ConsentSettings
from consent.site import ledger_from


def ledger_file(settings: ConsentSettings) -> Path | None:
    """Return where the ledger of the settings lies; None where it is no file."""
    scheme, _, path = settings.ledger.partition(":///")
    return settings.path(Path(path)) if scheme == "sqlite" and path else None


@contextmanager
def existing_ledger(settings: ConsentSettings) -> Iterator[Ledger]:
    """Give the ledger of the settings; raise ConfigurationError where there is none."""
    ledger = ledger_from(settings)
    path = ledger_file(settings)
    if path is not None and not path.exists():
        raise ConfigurationError(
            f"no ledger at {path}: go to the site's folder, or name its file in {CONFIG_VARIABLE}",
        )
    with closing(ledger):
        yield ledger
