"""Decide which service an address or a script belongs to, and whether it may pass."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consent.choice.catalogue import Catalogue, Service
from consent.gate import code, skip
from consent.gate.address import Address, normal_host, normal_path, read

_VIEWS = 64
_MEMORIES = 16
_MEMORY_BYTES = 4_000_000
_ENTRY_BYTES = 65_536
_LONGEST_HOST = 253
_LOADS = re.compile(
    r"createElement|document\s*\.\s*write|\bimport\s*\(|\.\s*src(?:doc|set)?\s*=|src[\"']\s*\]\s*=|\bImage\s*\("
    r"|new\s+(?:Image|\w*Worker|EventSource|WebSocket|XMLHttpRequest)\b|\bfetch\s*\(|XMLHttpRequest|sendBeacon"
    r"|importScripts|innerHTML|outerHTML|insertAdjacentHTML|setAttribute|\blocation\s*=|location\s*\.|\bopen\s*\("
)
"""What a script that loads something cannot well do without."""
_ESCAPED = re.compile(r"\\[xu0-7]")
_HOST_END = re.compile(r"[:/]")
_BEFORE_HOST = re.compile(r"""(?:\A|["'`/@\\=(\s])([a-z0-9._-]*+)\Z""")
_AFTER_HOST = re.compile(r"(?![a-z0-9_-]|\.[a-z0-9_])\.?(?::[0-9]{1,5})?(?:/[^\s\"'`<>()\\]{0,200}+)?")


class Undeclared(StrEnum):
    """Say what happens to a third-party host that no service claims."""

    ALLOW = "allow"
    REPORT = "report"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Owner:
    """Name whose an address is: the key of a declared or known service, or None for a host that nobody declared."""

    service: str | None
    host: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say for whom something is held: the key of a declared or known service, or None for an undeclared host."""

    service: str | None


@dataclass(frozen=True, slots=True)
class _Claim:
    key: str | None
    port: int | None
    path: str
    rank: int


_DECLARED, _SITE, _KNOWN = 0, 1, 2


class Memory:
    """Remember verdicts by the exact bytes they were given for, within a bounded number of bytes."""

    __slots__ = ("_size", "entries", "get")

    def __init__(self) -> None:
        self.entries: dict[bytes, Any] = {}
        self.get = self.entries.get
        self._size = 0

    def keep(self, key: bytes, value: object) -> None:
        """Keep `value` for `key`; forget everything once the bound is reached, and never keep a very long key."""
        if len(key) > _ENTRY_BYTES:
            return
        self._size += 2 * len(key) + 256
        if self._size > _MEMORY_BYTES:
            self.entries.clear()
            self._size = 2 * len(key) + 256
        self.entries[key] = value


class Rules:
    """Hold who owns which host, path and snippet; built once per edition, never changed after."""

    def __init__(
        self, catalogue: Catalogue, *, site_hosts: Collection[str], undeclared: Undeclared = Undeclared.REPORT
    ) -> None:
        """Read the claims of `catalogue` and of the site itself.

        Args:
            catalogue: the declared services, and the known ones that are held.
            site_hosts: the site's own hosts; each stands for its sub-domains too, and may carry a port.
            undeclared: what happens to hosts that nobody claims.
        """
        self.catalogue = catalogue
        self.undeclared = Undeclared(undeclared)
        self._claims: dict[str, list[_Claim]] = {}
        for rank, services in ((_DECLARED, catalogue.services), (_KNOWN, catalogue.known)):
            for service in services:
                for host in service.hosts:
                    self._claim(host, service.key, rank)
        for host in site_hosts:
            self._claim(host, None, _SITE)
        for claims in self._claims.values():
            claims.sort(key=lambda claim: (claim.rank, claim.port is None, -len(claim.path)))
        self._own_paths = [
            claim
            for claims in self._claims.values()
            if any(claim.rank == _SITE for claim in claims)
            for claim in claims
            if claim.rank == _DECLARED and claim.path
        ]
        self._patterns = tuple(
            (pattern, service.key)
            for service in (*catalogue.services, *catalogue.known)
            for pattern in service.patterns
        )
        self._views: OrderedDict[frozenset[str], View] = OrderedDict()
        self.skip = self._skip()

    def _claim(self, host: str, key: str | None, rank: int) -> None:
        name, slash, path = host.partition("/")
        name, _, port = name.partition(":")
        path = normal_path(slash + path).rstrip("/") if slash else ""
        claim = _Claim(key, int(port) if port else None, path, rank)
        self._claims.setdefault(normal_host(name), []).append(claim)

    def _skip(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        """Return the patterns of what needs no look on this site."""
        if self._own_paths:
            return skip.patterns()
        own, others = set(), set()
        for host, claims in self._claims.items():
            if any(claim.rank == _SITE and claim.port is None for claim in claims):
                own.add(host.encode("ascii", "replace"))
            if any(claim.rank == _DECLARED for claim in claims):
                others.add(host.encode("ascii", "replace"))
        others = {other for other in others if any(other == host or other.endswith(b"." + host) for host in own)}
        return skip.patterns(frozenset(own), frozenset(others))

    @property
    def has_own_paths(self) -> bool:
        """Tell whether a service is claimed to be on a path of the site's own host."""
        return bool(self._own_paths)

    def page(self, address: str) -> tuple[Address, ...]:
        """Return what relative addresses of the page at `address` start from, where that may decide an owner."""
        if not address or not self._own_paths:
            return ()
        path = read(address).path
        # Only the folder counts, so that its pages share what is remembered.
        return (Address(path=path.rpartition("/")[0] + "/"),)

    def owner(self, address: str, *, base: str | None = None) -> Owner | None:
        """Return whose `address` is, or None where it is the site's own or asks nobody.

        The longest host wins, then the longest path; a declared service goes before the site, the site before a
        known service. `base` is the address that relative ones are resolved against.
        """
        return self.owner_of(read(address, base=read(base) if base else None))

    def is_site(self, host: str) -> bool:
        """Tell whether a host is exactly one of the site's own."""
        return any(claim.rank == _SITE for claim in self._claims.get(host, ()))

    def owner_of(self, address: Address) -> Owner | None:
        """Return whose an address is that has been read already."""
        if not address.host:
            return self._own(address) if address.relative and self._own_paths else None
        known: Owner | None = None
        for name in _suffixes(address.host):
            for claim in self._claims.get(name, ()):
                if not _fits(claim, address):
                    continue
                if claim.rank == _SITE:
                    return None
                owner = Owner(claim.key, address.host)
                if claim.rank == _DECLARED:
                    return known or owner
                known = known or owner
        return known or Owner(None, address.host)

    def _own(self, address: Address) -> Owner | None:
        if address.path[:1] not in ("/", "\\"):
            return None
        path = normal_path(address.path)
        fitting = [claim for claim in self._own_paths if _under(claim.path, path)]
        return Owner(max(fitting, key=lambda claim: len(claim.path)).key) if fitting else None

    def claimants(self, address: Address) -> tuple[Owner, ...]:
        """Return everybody who claims any path of an address's host: whom a mere connection to it could serve."""
        for name in _suffixes(address.host):
            claims = [claim for claim in self._claims.get(name, ()) if _at(claim, address)]
            if any(claim.rank == _SITE for claim in claims) and not any(claim.rank == _DECLARED for claim in claims):
                return ()
            if claims:
                return tuple(Owner(claim.key, address.host) for claim in claims if claim.rank != _SITE)
        return (Owner(None, address.host),) if address.host else ()

    def inline_owners(self, text: str) -> frozenset[str]:
        """Return the keys of the services whose patterns stand in `text`."""
        return frozenset(key for pattern, key in self._patterns if pattern in text)

    def view(self, allowed: frozenset[str]) -> View:
        """Return these rules for one set of allowed service keys; the most recent sets are kept."""
        view = self._views.get(allowed)
        if view is None:
            view = self._views[allowed] = View(self, allowed)
            while len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return view


class View:
    """Join rules and one set of allowed services, with the verdicts that have been given under them."""

    def __init__(self, rules: Rules, allowed: frozenset[str]) -> None:
        self.rules = rules
        catalogue = rules.catalogue
        self._given = allowed
        self.allowed = frozenset(s.key for s in catalogue.services if s.key in allowed or s.required)
        held = [service for service in catalogue.services if service.key not in self.allowed]
        self.held_services: tuple[Service, ...] = (*held, *catalogue.known)
        self.held_patterns = _patterns(self.held_services)
        self._held_hosts = self._literal_hosts()
        self._granted_patterns = _patterns(s for s in catalogue.services if s.key in allowed and not s.required)
        self._memories: dict[tuple[str, int, tuple[Address, ...]], Memory] = {}

    @property
    def everything(self) -> bool:
        """Tell whether nothing can be held and nothing be reported, so that a body need not be looked at."""
        return not self.held_services and self.rules.undeclared is Undeclared.ALLOW

    @property
    def undeclared_held(self) -> bool:
        """Tell whether hosts that nobody declared are held."""
        return self.rules.undeclared is Undeclared.HOLD

    @property
    def anywhere(self) -> tuple[str, ...]:
        """Return for whom is held what could ask anybody: service keys, and "" for undeclared hosts."""
        declared = [service for service in self.rules.catalogue.services if service.key not in self.allowed]
        return (*(service.key for service in declared if service.hosts), *("",) * self.undeclared_held)

    def verdict(self, owner: Owner | None) -> Verdict | None:
        """Return for whom something of this owner is held, or None where it passes."""
        if owner is None:
            return None
        if owner.service is None:
            return Verdict(None) if self.rules.undeclared is Undeclared.HOLD else None
        return None if owner.service in self.allowed else Verdict(owner.service)

    def marked(self, key: str) -> Verdict | None:
        """Return for whom an element marked `data-consent="key"` is held, or None where it passes.

        A service's key asks for that service, a purpose's key for that purpose. An unknown key is held.
        """
        key = key.strip()
        purpose = self.rules.catalogue.purpose(key)
        passes = key in self.allowed or (purpose is not None and (purpose.required or key in self._given))
        return None if passes else Verdict(key)

    def held_inline(self, text: str) -> tuple[str, ...]:
        """Return the keys of the services not allowed that a script gives away, sorted.

        A pattern does, and so does a host in a script that can load something: a script that only holds data, as many
        pages have one, may speak of any host.
        """
        held = {key for pattern, key in self.held_patterns if pattern in text}
        spelled = [text.replace("\\/", "/"), *([code.plain(text)] if _ESCAPED.search(text) else ())]
        if any(_LOADS.search(one) for one in spelled):
            held.update(key for one in spelled for key in self._named(one))
        return tuple(sorted(held))

    def held_spelled(self, text: str) -> tuple[str, ...]:
        """Return the keys of the services not allowed whose hosts or patterns stand in `text`, sorted."""
        held = {key for pattern, key in self.held_patterns if pattern in text}
        return tuple(sorted(held.union(self._named(text))))

    def _literal_hosts(self) -> tuple[str, ...]:
        """Return the hosts of the services not allowed, as scripts spell them, but for the site's own."""
        hosts = {normal_host(_HOST_END.split(host, 1)[0]) for service in self.held_services for host in service.hosts}
        return tuple(sorted(host for host in hosts if host and not self.rules.is_site(host)))

    def _named(self, text: str) -> Iterator[str]:
        """Yield whose addresses not allowed are spelled out in a script: after a quote, a slash or an `@`."""
        text = text.lower()
        for host in self._held_hosts:
            at = text.find(host)
            while at >= 0:
                rest = _AFTER_HOST.match(text, at + len(host))
                before = _BEFORE_HOST.search(text, max(0, at - _LONGEST_HOST), at)
                end = at + len(host)
                if rest is not None and before is not None:
                    end = rest.end()
                    owner = self.rules.owner_of(read("//" + text[before.start(1) : end].lstrip(".")))
                    if owner is not None and owner.service is not None and owner.service not in self.allowed:
                        yield owner.service
                at = text.find(host, end)

    def grants(self, service: str | None) -> bool:
        """Tell whether a service is allowed because it was granted, not because it is strictly necessary."""
        declared = self.rules.catalogue.service(service) if service is not None else None
        return declared is not None and not declared.required and declared.key in self.allowed

    def grants_inline(self, text: str) -> bool:
        """Tell whether `text` carries a pattern of a granted service."""
        return any(pattern in text for pattern, _ in self._granted_patterns)

    def memory(self, charset: str, depth: int, bases: tuple[Address, ...]) -> Memory:
        """Return the verdicts given so far on pages of one charset and one set of bases, at one depth of nesting."""
        key = (charset, depth, bases)
        memory = self._memories.get(key)
        if memory is None:
            memory = Memory()
            if len(self._memories) < _MEMORIES:
                self._memories[key] = memory
        return memory


def _patterns(services: Iterable[Service]) -> tuple[tuple[str, str], ...]:
    return tuple((pattern, service.key) for service in services for pattern in service.patterns)


def _suffixes(host: str) -> Iterable[str]:
    yield host
    if host.startswith("[") or host.replace(".", "").isdigit():
        return
    while "." in host:
        host = host.partition(".")[2]
        yield host


def _at(claim: _Claim, address: Address) -> bool:
    return claim.port is None or claim.port in address.ports


def _under(claimed: str, path: str) -> bool:
    return not claimed or path == claimed or path.startswith(claimed + "/")


def _fits(claim: _Claim, address: Address) -> bool:
    return _at(claim, address) and _under(claim.path, address.path)
