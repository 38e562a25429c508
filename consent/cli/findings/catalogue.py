"""Look at purposes and services: what contradicts itself, and what a notice or a receipt would lack."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from consent.choice import cookie
from consent.choice.catalogue import STANDARD_PURPOSES, Catalogue, Purpose, Service, Text, claimed_twice
from consent.choice.choice import acceptance, identified
from consent.choice.notice import build
from consent.cli.findings.finding import Finding, error, info, raised, warning
from consent.declared import OWN_SERVICE, catalogue_of, known_services
from consent.errors import CatalogueError
from consent.settings import ConsentSettings

LARGE_COOKIE = 120
"""Bytes, name included, that a choice takes at sixty services."""
_TRACKING = ("analytics", "marketing")
_RIGHT: dict[str, Any] = {"purpose": "functional", "patterns": ["a"]}
_SHOWN = ("title", "provider", "country", "data")
_IN_RECEIPT = ("policy_url", "retention")


def find(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what is wrong with purposes and services."""
    refused: list[Finding] = []
    catalogue = _catalogue(settings, refused)
    yield from refused
    services = [service for service in catalogue.services if service.key != OWN_SERVICE]
    if not settings.services:
        yield info(
            "C212", "services", "there is none, so visitors are asked nothing", "Add what the site loads or stores"
        )
    for purpose in catalogue.purposes:
        yield from _purpose(purpose, settings)
    for service in services:
        yield from _facts(service, settings)
        yield from _necessity(service)
        yield from _known_hosts(service, settings)
    yield from _size(catalogue, settings)


def _catalogue(settings: ConsentSettings, refused: list[Finding]) -> Catalogue:
    """Return the catalogue of all that can be understood, and note everything that cannot."""
    try:
        return catalogue_of(settings, cookies=())
    except CatalogueError:
        # The first refusal says nothing about the tables after it, so each is now looked at by itself.
        purposes = _understood_purposes(settings, refused)
    services: dict[str, Service | None] = {}
    for key, table in settings.services.items():
        try:
            services[key] = _of(settings, purposes=purposes, services={key: table}).service(key)
        except CatalogueError as wrong:
            refused.append(_refused(wrong, f"services.{key}"))
            refused += _more(settings, key, table, purposes=purposes, first=wrong)
    twice = set()
    for host, first, second in claimed_twice(one for _, one in sorted(services.items()) if one is not None):
        place = f"services.{second}"
        what = f"host {host!r} is already claimed by {first!r}"
        refused.append(error("C201", place, what, "Leave the host to one of the two services"))
        twice.add(second)
    kept = {key: table for key, table in settings.services.items() if key in services and key not in twice}
    return _of(settings, purposes=purposes, services=kept)


def _more(
    settings: ConsentSettings,
    key: str,
    table: Mapping[str, Any],
    *,
    purposes: Mapping[str, Mapping[str, Any]],
    first: CatalogueError,
) -> Iterator[Finding]:
    """Yield what else is wrong inside one table: each field is tried alone, in a table that is right otherwise."""
    told = {str(first)}
    for name, value in table.items():
        alone = _RIGHT | {name: value}
        try:
            _of(settings, purposes=purposes, services={key: alone})
        except CatalogueError as wrong:
            if str(wrong) not in told:
                told.add(str(wrong))
                yield _refused(wrong, f"services.{key}")


def _understood_purposes(settings: ConsentSettings, refused: list[Finding]) -> dict[str, Mapping[str, Any]]:
    """Return the tables that can be understood, and an empty one where only the key can: services may name it."""
    purposes: dict[str, Mapping[str, Any]] = {}
    for key, table in settings.purposes.items():
        for number, attempt in enumerate((table, {})):
            try:
                _of(settings, purposes={key: attempt})
            except CatalogueError as wrong:
                if number == 0:
                    refused.append(_refused(wrong, f"purposes.{key}"))
            else:
                purposes[key] = attempt
                break
    return purposes


def _refused(wrong: CatalogueError, place: str) -> Finding:
    return raised("C200", wrong, place=place, remedy="Correct this table")


def _of(
    settings: ConsentSettings,
    *,
    purposes: Mapping[str, Mapping[str, Any]],
    services: Mapping[str, Mapping[str, Any]] | None = None,
) -> Catalogue:
    part = settings.model_copy(update={"purposes": purposes, "services": services or {}})
    return catalogue_of(part, cookies=())


def _purpose(purpose: Purpose, settings: ConsentSettings) -> Iterator[Finding]:
    place = f"purposes.{purpose.key}"
    missing = [name for name in ("title", "description") if not getattr(purpose, name)]
    if missing and purpose.key not in STANDARD_PURPOSES:
        yield warning("C213", place, f"has no {' and no '.join(missing)} to show to visitors", "Add it")
    for name in ("title", "description"):
        yield from _languages(getattr(purpose, name), f"{place}.{name}", settings)


def _facts(service: Service, settings: ConsentSettings) -> Iterator[Finding]:
    place = f"services.{service.key}"
    for code, finding, names, who in (("C202", warning, _SHOWN, "notice"), ("C203", info, _IN_RECEIPT, "receipt")):
        missing = [name for name in names if not getattr(service, name)]
        if missing:
            yield finding(code, place, f"has no {', no '.join(missing)} for the {who}", "Add it to its table")
    yield from _languages(service.description, f"{place}.description", settings)
    if not isinstance(service.title, str):
        yield from _languages(service.title, f"{place}.title", settings)
    for entry in settings.services[service.key].get("cookies", ()):
        if "lifetime" not in entry:
            yield warning(
                "C205",
                f"{place}.cookies",
                f"{entry['name']!r} has no lifetime, so visitors are told that it ends with the browser's session",
                'Add one, such as lifetime = "P30D", or "session" if that is true',
            )


def _languages(text: Text, place: str, settings: ConsentSettings) -> Iterator[Finding]:
    given: Iterable[str] = (settings.default_language,) if isinstance(text, str) else text
    missing = [language for language in settings.spoken if language not in given]
    if text and missing:
        yield warning(
            "C204",
            place,
            f"has no text in {', '.join(missing)}, so visitors read it in another language",
            f'Write it once for each language: {{ {settings.default_language} = "…", {missing[0]} = "…" }}',
        )


def _necessity(service: Service) -> Iterator[Finding]:
    place = f"services.{service.key}"
    justified = bool(service.justification.strip())
    if service.required and not justified:
        yield error(
            "C206",
            place,
            "loads and stores without being asked for, and nothing says why it must",
            "Say so in justification, or give it the purpose it really has",
        )
    elif service.exemption != "none" and not justified:
        yield warning(
            "C207",
            place,
            f"claims the exemption {service.exemption!r}, and nothing says why it holds",
            "Say so in justification, or remove exemption",
        )
    if not service.required:
        return
    for known in known_services().values():
        if known.purpose not in _TRACKING:
            continue
        if known.purpose == "analytics" and service.exemption == "statistics" and justified:
            continue
        names = [one.name for one in service.cookies if _tracks(one.name, known)]
        if names or known.key == service.key:
            yield error(
                "C208",
                place,
                f"is declared as necessary, but {', '.join(map(repr, names)) or 'it'} serves {known.purpose}"
                f" ({known.title})",
                f'Set purpose = "{known.purpose}"',
            )


def _tracks(name: str, known: Service) -> bool:
    """Tell whether a cookie name, or its beginning before a `*`, is one that a known service uses."""
    plain = name.rstrip("*")
    return any(one.matches(plain) or (plain != name and one.name.startswith(plain)) for one in known.cookies)


def _known_hosts(service: Service, settings: ConsentSettings) -> Iterator[Finding]:
    if service.key in known_services():
        return
    for host in service.hosts:
        near = _hosts_by_domain().get(_domain(host), ())
        keys = [key for other, key in near if key not in settings.services and _overlap(host, other)]
        owners = [f"[services.{key}]" for key in dict.fromkeys(keys)]
        if owners:
            yield warning(
                "C209",
                f"services.{service.key}.hosts",
                f"{host!r} also stands for what is built in as {', '.join(owners)}, whose facts are then not shown",
                "Switch that on by its key, and change its fields there; or name a narrower host",
            )


@cache
def _hosts_by_domain() -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return the hosts of the known services with their keys, by the last two labels, which related hosts share."""
    domains: dict[str, list[tuple[str, str]]] = {}
    for known in known_services().values():
        for host in known.hosts:
            domains.setdefault(_domain(host), []).append((host, known.key))
    return domains


def _domain(host: str) -> str:
    return ".".join(host.partition("/")[0].partition(":")[0].split(".")[-2:])


def _overlap(first: str, second: str) -> bool:
    """Tell whether two hosts, each with its sub-domains and perhaps a path, can mean the same address."""
    (host, _, path), (other, _, other_path) = first.partition("/"), second.partition("/")
    host, other = host.partition(":")[0], other.partition(":")[0]
    related = host == other or host.endswith(f".{other}") or other.endswith(f".{host}")
    steps: Sequence[Sequence[str]] = [[step for step in one.split("/") if step] for one in (path, other_path)]
    return related and all(a == b for a, b in zip(*steps, strict=False))


def _size(catalogue: Catalogue, settings: ConsentSettings) -> Iterator[Finding]:
    notice = build(
        catalogue,
        language=settings.default_language,
        default_language=settings.default_language,
        site=settings.name,
        controller={},
        policies=(),
        wording={},
        validity=settings.validity,
        revision=settings.notice_revision,
    )
    choice = identified(acceptance(notice, now=0), consent_id=os.urandom(cookie.ID_BYTES))
    value = cookie.seal(choice, notice=notice, by=cookie.signer([secrets.token_hex()], purpose="choice"))
    marked = "" if settings.insecure_cookies else "__Secure-" if settings.cookie_domain else "__Host-"
    size = len(f"{marked}{cookie.NAME}={value}")
    asked = f"{len(notice.services)} services in {len(notice.purposes)} purposes make the cookie {size} bytes"
    remedy = "Merge services that always come together"
    if len(value) > cookie.MAX_BYTES:
        yield error("C211", "services", f"{asked}, and over {cookie.MAX_BYTES} none is read", remedy)
    elif size > LARGE_COOKIE:
        yield warning("C210", "services", f"{asked}, which every request carries", remedy)
