"""Tell the operator, once each, what a page loads or sets that nobody declared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from consent.gate.address import Address
from consent.gate.rules import Rules, Undeclared
from consent.ledger.store import HOUR
from consent.ledger.totals import OTHER

logger = logging.getLogger("consent")

MOST = 1000
"""How many different things are told about in the life of a process."""
MOST_HOSTS = 200
"""How many different reported hosts are told of in the life of a process, and counted by name in an hour of it."""
MOST_ORIGINS = 20
"""How many different refused origins are told of in the life of a process: anybody can make them up."""
REPORT = "report"
"""Begins the names under which reports are counted; the directive follows, and the subject is the host."""


class Reports:
    """Remember what was told, and tell only what is new; nothing about a visitor is kept."""

    def __init__(
        self, rules: Rules, *, denied: bool, count: Callable[[str, str], None], clock: Callable[[], float]
    ) -> None:
        """Know what is declared.

        Args:
            rules: who owns which host.
            denied: whether our own Content-Security-Policy is enforced.
            count: counts something under a name and a subject.
            clock: gives Unix seconds.
        """
        catalogue = rules.catalogue
        self._rules = rules
        self._denied = denied
        self._count = count
        self._clock = clock
        self._declared = frozenset(service.key for service in catalogue.services)
        self._known = frozenset(service.key for service in catalogue.known)
        self._purposes = frozenset(purpose.key for purpose in catalogue.purposes)
        self._held = rules.undeclared is Undeclared.HOLD
        self._told: set[tuple[str, str]] = set()
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._hour, self._counted = 0, set[str]()

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

    def violations(self, found: Iterable[tuple[str, str]]) -> None:
        """Count the directive and host of what browsers report, and tell once of each host.

        Anybody can send reports: past a number of hosts, neither the log nor the ledger learns new ones.
        """
        hour = int(self._clock()) // HOUR
        if hour != self._hour:
            self._hour, self._counted = hour, set()
        for directive, host in found:
            if host not in self._counted and len(self._counted) >= MOST_HOSTS:
                self._count(f"{REPORT}.{directive}", OTHER)
                continue
            self._counted.add(host)
            self._count(f"{REPORT}.{directive}", host)
            if host not in self._asked and len(self._asked) < MOST_HOSTS:
                self._asked.add(host)
                self._tell(host, self._reported(host))

    def _reported(self, host: str) -> str:
        what = "was denied to a page's own scripts" if self._denied else "is loaded by a page's own scripts"
        asked = Address(host=host)
        owners = [owner.service for owner in self._rules.claimants(asked) if owner.service]
        if not owners and self._rules.owner_of(asked) is None:
            return f"{what}, browsers report, and is a sub-domain that our policy does not name. Add it to origins"
        if not owners:
            return f"{what}, browsers report, and no service names this host. Declare it in [services]"
        if self._declared.isdisjoint(owners):
            return f"{what}, browsers report. Add [services.{owners[0]}] to ask for it"
        return f"{what} for {owners[0]!r} without a yes, browsers report"

    def refused_origin(self, origin: str, *, origins: Iterable[str]) -> None:
        """Tell of an origin whose page tried to make a choice: an attack, or one of ours that is not configured."""
        if origin not in self._refused and len(self._refused) >= MOST_ORIGINS:
            return
        self._refused.add(origin)
        known = ", ".join(origins) or "none are set"
        self._tell(origin or "another site", f"is not in origins ({known}), so that a choice made there was refused")

    def _tell(self, what: str, why: str) -> None:
        if (what, why) not in self._told and len(self._told) < MOST:
            self._told.add((what, why))
            logger.warning("%.200r %s", what, why)
