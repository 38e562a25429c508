"""Say whose a request, a cookie or a storage key is, by the site's catalogue and the built-in services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent.choice.catalogue import Catalogue, Service
from consent.choice.regimes import Regime
from consent.cli.scanned.observed import Asked, Kept, State, Stored
from consent.gate.address import read
from consent.gate.headers import cookie_owners
from consent.gate.rules import Rules

SITE = "(the site)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Hold whose something is: keys of declared services, else of built-in ones (`known`), else nobody's.

    `site` tells that it is the site's own and needs no service.
    """

    keys: tuple[str, ...] = ()
    known: bool = False
    site: bool = False

    @property
    def declared(self) -> bool:
        """Tell whether the site answers for it."""
        return self.site or (bool(self.keys) and not self.known)

    def __str__(self) -> str:
        """Return the keys as they stand in a report."""
        if self.site:
            return SITE
        return " ".join(self.keys) if self.declared else f"(undeclared: {' '.join(self.keys) or 'unknown'})"


class Owners:
    """Know whose is what on the pages of one site."""

    def __init__(self, catalogue: Catalogue, *, site_hosts: Iterable[str], pages: Iterable[str]) -> None:
        """Read the catalogue; `pages` are addresses whose hosts are the site's own, too."""
        own = (urlsplit(page).hostname or "" for page in pages)
        self.catalogue = catalogue
        self._rules = Rules(catalogue, site_hosts=tuple(dict.fromkeys((*site_hosts, *own))))

    def allowed(self, state: State, regime: Regime) -> frozenset[str]:
        """Return the services that may load and store in a state."""
        required = {service.key for service in self.catalogue.services if service.required}
        optional = {service.key for service in self.catalogue.optional}
        objected = self.catalogue.objectionable
        unasked = optional if regime.open else set()
        return frozenset(
            required
            | {
                State.BEFORE: unasked,
                State.REFUSED: set(),
                State.ACCEPTED: optional,
                State.WITHDRAWN: set(),
                State.GPC: unasked - objected,
                State.GPC_ACCEPTED: optional - objected,
            }[state]
        )

    def of_request(self, asked: Asked) -> Owned:
        """Return whose a request is."""
        return self._of_address(asked.url)

    def of_cookie(self, cookie: Kept, *, page: str) -> Owned:
        """Return whose a cookie is: on the site's own domains by its name, on others by the domain."""
        if self.own_domain(cookie.domain, page=page):
            return self._owned(cookie_owners(cookie.name, self.catalogue))
        domain = cookie.domain.lstrip(".")
        by_host = [owner.service for owner in self._rules.claimants(read(f"//{domain}")) if owner.service]
        if not by_host:
            # A cookie may be kept for a domain above the host that set it.
            every = (*self.catalogue.services, *self.catalogue.known)
            by_host = [one.key for one in every if any(_host(host).endswith(f".{domain}") for host in one.hosts)]
        declared = tuple(dict.fromkeys(key for key in by_host if self.catalogue.service(key)))
        return Owned(keys=declared or tuple(dict.fromkeys(by_host)), known=not declared and bool(by_host))

    def of_stored(self, stored: Stored) -> Owned:
        """Return whose a storage key is: on the site's own origins by its name, on others by the host."""
        owned = self._of_address(stored.origin)
        if not owned.site:
            return owned
        for services in (self.catalogue.services, self.catalogue.known):
            found = [one for one in services if any(_fits(pattern, stored.name) for pattern in one.storage)]
            if found:
                return self._owned(found)
        return Owned()

    def own_domain(self, domain: str, *, page: str) -> bool:
        """Tell whether cookies of a domain reach the page's own host."""
        host, domain = urlsplit(page).hostname or "", domain.lstrip(".")
        return host == domain or host.endswith(f".{domain}") or self._of_address(f"//{domain}").site

    def own_origin(self, origin: str) -> bool:
        """Tell whether an origin is the site's own."""
        return self._of_address(origin).site

    def _of_address(self, address: str) -> Owned:
        owner = self._rules.owner(address)
        if owner is None:
            return Owned(site=True)
        if owner.service is None:
            return Owned()
        return Owned(keys=(owner.service,), known=self.catalogue.service(owner.service) is None)

    def _owned(self, services: Iterable[Service]) -> Owned:
        keys = tuple(service.key for service in services)
        return Owned(keys=keys, known=any(self.catalogue.service(key) is None for key in keys))


def _host(declared: str) -> str:
    return declared.partition("/")[0].partition(":")[0]


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
