"""Tell the operator, once each, what a page loads or sets that nobody declared."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from difflib import get_close_matches

from consent.choice.catalogue import Catalogue
from consent.gate.rules import Undeclared

logger = logging.getLogger("consent")

MOST = 1000
"""How many different things are told about in the life of a process."""


class Reports:
    """Remember what was told, and tell only what is new; nothing about a visitor is kept."""

    def __init__(self, catalogue: Catalogue, *, undeclared: Undeclared) -> None:
        self._declared = frozenset(service.key for service in catalogue.services)
        self._known = frozenset(service.key for service in catalogue.known)
        self._purposes = frozenset(purpose.key for purpose in catalogue.purposes)
        self._held = undeclared is Undeclared.HOLD
        self._told: set[tuple[str, str]] = set()

    def hosts(self, found: Iterable[str]) -> None:
        """Tell of third-party hosts that no service names."""
        what = "is held" if self._held else "loads before any choice"
        for host in found:
            self._tell(host, f"{what}: no service names this host. Declare it in [services], whatever its purpose")

    def parked(self, keys: Iterable[str]) -> None:
        """Tell of built-in services that the site uses without declaring them, and of marks that name nothing."""
        for key in keys:
            if key in self._known:
                self._tell(key, f"is held: the site uses this built-in service. Add [services.{key}] to ask for it")
            elif key and key not in self._declared and key not in self._purposes:
                similar = get_close_matches(key, self._declared | self._purposes, n=1)
                remedy = f"did you mean {similar[0]!r}?" if similar else "use the key of a purpose or service"
                self._tell(f'data-consent="{key}"', f"names nothing, and is held for ever: {remedy}")

    def cookies(self, names: Iterable[str]) -> None:
        """Tell of cookies that the app sets and no service names."""
        for name in names:
            self._tell(name, "is a cookie that no service names. Add it to the service, or to one that is necessary")

    def undenied(self, reasons: Iterable[str]) -> None:
        """Tell why a page's own Content-Security-Policy cannot deny what is not agreed to."""
        for reason in reasons:
            self._tell("Content-Security-Policy", f'{reason}. Set csp = "enforce", with undeclared = "hold"')

    def refused_origin(self, origin: str, *, origins: Iterable[str]) -> None:
        """Tell of an origin whose page tried to make a choice: an attack, or one of ours that is not configured."""
        known = ", ".join(origins) or "none are set"
        self._tell(origin or "another site", f"is not in origins ({known}), so that a choice made there was refused")

    def _tell(self, what: str, why: str) -> None:
        if (what, why) not in self._told and len(self._told) < MOST:
            self._told.add((what, why))
            logger.warning("%.200r %s", what, why)
