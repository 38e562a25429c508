"""Hold all purposes and services of a site: what may load or store, for what, and who provides it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from consent.choice.lifetime import Lifetime
from consent.errors import CatalogueError

NECESSARY = "necessary"
STANDARD_PURPOSES = (NECESSARY, "functional", "analytics", "marketing", "media")
KEY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::\d+)?(?:/[^\s?#]*)?")
REVIVE = ("in-place", "reload")
ROLES = ("controller", "joint-controller", "processor")
EXEMPTIONS = ("none", "communication", "strictly-necessary", "statistics", "appearance", "emergency")

Text = str | Mapping[str, str]
"""A text in the site's default language, or one text per language tag."""


def in_language(text: Text, language: str, default: str) -> str:
    """Return `text` in `language`, else in `default`, else in whichever language it has."""
    if isinstance(text, str):
        return text
    return text.get(language) or text.get(default) or next(iter(text.values()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """Describe one first-party cookie of a service; a trailing `*` in the name stands for any ending."""

    name: str
    lifetime: str
    path: str = "/"
    domain: str = ""

    def matches(self, name: str) -> bool:
        """Tell whether a cookie of this name is described here."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Say what data is used for. An empty title or description means the standard wording of that key."""

    key: str
    title: Text = ""
    description: Text = ""

    @property
    def required(self) -> bool:
        """Tell whether this purpose is strictly necessary, and so never asked for."""
        return self.key == NECESSARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Describe one thing that loads or stores.

    `hosts` stand for themselves and their sub-domains; one may carry a path (`www.google.com/maps`), for providers that
    serve several services from one host. `patterns` are plain substrings that give an inline script away.
    `source` and `checked` (a date) say where the facts of a built-in service come from.
    """

    key: str
    purpose: str
    title: Text = ""
    description: Text = ""
    provider: str = ""
    country: str = ""
    hosts: tuple[str, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    storage: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    transfer: str = ""
    role: str = ""
    retention: str = ""
    exemption: str = "none"
    justification: str = ""
    sells_or_shares: bool = False
    revive: str = "in-place"
    policy_url: str = ""
    source: str = ""
    checked: str = ""

    @property
    def required(self) -> bool:
        """Tell whether this service is strictly necessary, and so always allowed."""
        return self.purpose == NECESSARY

    def terms(self) -> dict[str, Any]:
        """Return what decides whether somebody must be asked again: the facts of this service, without any language."""
        return {
            "purpose": self.purpose,
            "provider": self.provider,
            "country": self.country,
            "hosts": sorted(self.hosts),
            "cookies": sorted([c.name, c.lifetime, c.path, c.domain] for c in self.cookies),
            "storage": sorted(self.storage),
            "data": sorted(self.data),
            "recipients": sorted(self.recipients),
            "transfer": self.transfer,
            "role": self.role,
            "retention": self.retention,
            "sells_or_shares": self.sells_or_shares,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Hold a site's purposes, in the order they are shown, and its services, sorted by key.

    `known` are the built-in services the site has not declared: their tags are held, and reported.
    """

    purposes: tuple[Purpose, ...]
    services: tuple[Service, ...]
    known: tuple[Service, ...] = ()
    _services: dict[str, Service] = field(init=False, repr=False, compare=False)
    _purposes: dict[str, Purpose] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "services", tuple(sorted(self.services, key=lambda service: service.key)))
        object.__setattr__(self, "_services", {service.key: service for service in self.services})
        object.__setattr__(self, "_purposes", {purpose.key: purpose for purpose in self.purposes})
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if len(self._services) != len(self.services) or len(self._purposes) != len(self.purposes):
            raise CatalogueError(
                "a key is used twice in the catalogue", remedy="Give every purpose and service a key of its own"
            )
        for service in self.services:
            place = f"services.{service.key}"
            if service.purpose not in self._purposes:
                raise CatalogueError(
                    f"purpose {service.purpose!r} does not exist",
                    place=place,
                    remedy=f"Use one of {', '.join(self._purposes)}, or add [purposes.{service.purpose}]",
                )
            if service.key in self._purposes:
                raise CatalogueError(
                    "a service may not have the key of a purpose", place=place, remedy="Rename the service"
                )
        for host, first, second in claimed_twice(self.services):
            raise CatalogueError(
                f"host {host!r} is already claimed by {first!r}",
                place=f"services.{second}",
                remedy="Leave the host to one of the two services",
            )

    def service(self, key: str) -> Service | None:
        """Return the declared service of this key."""
        return self._services.get(key)

    def purpose(self, key: str) -> Purpose | None:
        """Return the purpose of this key."""
        return self._purposes.get(key)

    def of(self, purpose: str) -> tuple[Service, ...]:
        """Return the declared services of one purpose, sorted by key."""
        return tuple(service for service in self.services if service.purpose == purpose)

    @property
    def asked(self) -> tuple[Purpose, ...]:
        """Return the purposes that are asked for: in use by at least one service, and not strictly necessary."""
        used = {service.purpose for service in self.services}
        return tuple(purpose for purpose in self.purposes if purpose.key in used and not purpose.required)

    @property
    def optional(self) -> tuple[Service, ...]:
        """Return the services that need a yes, sorted by key."""
        return tuple(service for service in self.services if not service.required)

    @property
    def objectionable(self) -> frozenset[str]:
        """Return the keys of the services that an opt-out preference signal turns off."""
        return frozenset(s.key for s in self.optional if s.sells_or_shares or s.purpose == "marketing")


def claimed_twice(services: Iterable[Service]) -> Iterator[tuple[str, str, str]]:
    """Yield every host that two services claim, with the keys of both."""
    owners: dict[str, str] = {}
    for service in services:
        for host in service.hosts:
            owner = owners.setdefault(host.rstrip("/"), service.key)
            if owner != service.key:
                yield host, owner, service.key


_TUPLES = ("hosts", "storage", "patterns", "data", "recipients")
_FIELDS = {f.name for f in fields(Service)} - {"key"}
_COOKIE_FIELDS = {f.name for f in fields(Cookie)}


def service_from_table(key: str, table: Mapping[str, Any], *, base: Service | None = None) -> Service:
    """Build a service from its TOML table, over the built-in one of the same key where there is one.

    Raises CatalogueError, naming the place and the remedy, for an unknown field or a value that is not allowed.
    """
    place = f"services.{key}"
    if not KEY.fullmatch(key):
        raise CatalogueError(
            f"{key!r} is not a key", place=place, remedy="Use lower-case letters, digits and single hyphens"
        )
    unknown = sorted(set(table) - _FIELDS)
    if unknown:
        raise CatalogueError(
            f"unknown field {unknown[0]!r}", place=place, remedy=f"Allowed are {', '.join(sorted(_FIELDS))}"
        )
    values: dict[str, Any] = {f.name: getattr(base, f.name) for f in fields(Service)} if base else {}
    values |= table
    for name in _TUPLES:
        if name in values:
            values[name] = _texts(values[name], f"{place}.{name}")
    if "cookies" in table:
        values["cookies"] = tuple(
            _cookie(entry, f"{place}.cookies[{n}]")
            for n, entry in enumerate(_list(table["cookies"], f"{place}.cookies"))
        )
    for name in ("title", "description"):
        if isinstance(values.get(name, ""), Mapping) and all(isinstance(text, str) for text in values[name].values()):
            continue
        _must(
            isinstance(values.get(name, ""), str),
            f"{place}.{name}",
            "is not a text",
            "Write a string, or one string per language",
        )
    for name in _FIELDS - set(_TUPLES) - {"title", "description", "cookies", "sells_or_shares"}:
        _must(
            isinstance(values.get(name, ""), str),
            f"{place}.{name}",
            f"{values.get(name)!r} is not a text",
            "Write a string",
        )
    _must(
        isinstance(values.get("sells_or_shares", False), bool),
        f"{place}.sells_or_shares",
        "is not true or false",
        "Write true or false",
    )
    _must("purpose" in values, place, "has no purpose", 'Add purpose = "analytics" (or another purpose)')
    for name, allowed in (("revive", REVIVE), ("exemption", EXEMPTIONS), ("role", ("", *ROLES))):
        _must(
            values.get(name, allowed[0]) in allowed,
            f"{place}.{name}",
            f"{values.get(name)!r} is not allowed",
            f"Use one of {', '.join(filter(None, allowed))}",
        )
    values["hosts"] = tuple(host.lower() for host in values.get("hosts", ()))
    for host in values["hosts"]:
        _must(
            HOST.fullmatch(host) is not None,
            f"{place}.hosts",
            f"{host!r} is not a host",
            "Write a bare host such as 'stats.example.com', without scheme",
        )
    _must(
        bool(values["hosts"] or values.get("cookies") or values.get("patterns") or values.get("storage")),
        place,
        "has neither hosts, cookies nor patterns",
        "Name at least one, so that the gate knows the service when it sees it",
    )
    return Service(**{**values, "key": key})


def _must(held: bool, place: str, message: str, remedy: str) -> None:
    if not held:
        raise CatalogueError(message, place=place, remedy=remedy)


def _list(value: Any, place: str) -> list[Any]:
    _must(isinstance(value, list | tuple), place, "is not a list", "Write a list in square brackets")
    return list(value)


def _texts(value: Any, place: str) -> tuple[str, ...]:
    texts = _list(value, place)
    _must(
        all(isinstance(text, str) and text for text in texts),
        place,
        "holds something other than texts",
        "Write a list of non-empty strings",
    )
    return tuple(texts)


def _cookie(entry: Any, place: str) -> Cookie:
    _must(
        isinstance(entry, Mapping) and "name" in entry and set(entry) <= _COOKIE_FIELDS,
        place,
        "is not a cookie",
        'Write { name = "_id", lifetime = "P30D" }',
    )
    _must(
        all(isinstance(value, str) for value in entry.values()),
        place,
        "holds something other than texts",
        "Write strings",
    )
    lifetime = entry.get("lifetime", "session")
    try:
        Lifetime.parse(lifetime)
    except ValueError as error:
        raise CatalogueError(str(error), place=place) from None
    _must(
        entry["name"].rstrip("*") != "" and "*" not in entry["name"][:-1],
        f"{place}.name",
        f"{entry['name']!r} would match too much",
        "A * may stand only at the end of a name",
    )
    return Cookie(**{**entry, "lifetime": lifetime})
