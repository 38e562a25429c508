"""Ask for consent, keep the answer, and let nothing load before it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from consent.version import __version__

if TYPE_CHECKING:
    from consent.choice.consent import Consent
    from consent.middleware import ConsentMiddleware
    from consent.settings import ConsentSettings

__all__ = ["Consent", "ConsentMiddleware", "ConsentSettings", "__version__"]

# Hidden from type checkers, for which every name would else be one of ours.
if not TYPE_CHECKING:
    _HOMES = {
        "Consent": "consent.choice.consent",
        "ConsentMiddleware": "consent.middleware",
        "ConsentSettings": "consent.settings",
    }

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for, so that a command loads no more than it uses (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return found

    def __dir__() -> list[str]:
        """Name what can be asked for, imported or not."""
        return sorted({*globals(), *__all__})
