"""Gate response headers: cookies, links, refreshes, reporting endpoints; and keep caches honest."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence

from consent.choice.catalogue import Catalogue, Cookie, Service
from consent.gate.address import Address
from consent.gate.inquest import refresh_target, verdict_of_address, verdict_of_link
from consent.gate.rules import View

OWN_COOKIE = "consent"
_EXPIRED = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
_HOST, _SECURE = "__Host-", "__Secure-"
_MAX_PARENTS = 4
_MAX_EXPIRED = 60
_UNFIT = re.compile(r"[\x00-\x20\x7f-\uffff;=]")
_LINK = re.compile(r"""\s*+<([^>]*+)>((?:"(?:[^"\\]|\\.)*+"|[^,"]|"(?=[^"]*\Z))*+)""", re.DOTALL)
_PARAMETER = re.compile(r""";\s*+([^\s=;,]++)\s*+(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^\s;,"]*+)))?+""", re.DOTALL)
_REPORT_URI = re.compile(r"(?:\A|(?<=[;,]))([\t\n\f\r ]*report-uri)([\t\n\f\r ][^;,]*)(;?)", re.IGNORECASE)
_INSIDE = re.compile(r"<([^>]*+)")
_MEMBER = re.compile(r"""[^,"]*+(?:"((?:[^"\\]|\\.)*+)"?[^,"]*+)*+""", re.DOTALL)
_ETAG = re.compile(r'(W/)?"([^"]*)"')

POLICIES = frozenset({b"content-security-policy", b"content-security-policy-report-only"})
"""The headers that carry a Content-Security-Policy, enforced or only reported on."""

Headers = list[tuple[bytes, bytes]]
Bases = tuple[Address, ...]


def cookie_name(value: str) -> str:
    """Return the name under which a `Set-Cookie` value comes back in requests.

    A cookie without a name comes back as its bare value, which then looks like the cookie that the value spells
    (RFC 6265bis §5.7 and §5.8.3).
    """
    pair = value.partition(";")[0]
    name, equals, rest = pair.partition("=")
    if not equals:
        return name.strip(" \t")
    return name.strip(" \t") or rest.partition("=")[0].strip(" \t")


def cookie_owners(name: str, catalogue: Catalogue) -> tuple[Service, ...]:
    """Return the services a cookie belongs to: declared ones before known ones, an exact name before a prefix."""
    for services in (catalogue.services, catalogue.known):
        best = -1
        owners: list[Service] = []
        for service in services:
            for cookie in service.cookies:
                if not cookie.matches(name):
                    continue
                rank = len(cookie.name) - 1 if cookie.name.endswith("*") else len(name) + 1
                if rank > best:
                    best, owners = rank, []
                if rank == best and service not in owners:
                    owners.append(service)
        if owners:
            return tuple(owners)
    return ()


def _held(owners: Sequence[Service], catalogue: Catalogue, allowed: Collection[str]) -> bool:
    return bool(owners) and not any(
        (service.key in allowed or service.required) and catalogue.service(service.key) is not None
        for service in owners
    )


def _own(name: str, own: str) -> bool:
    return name.removeprefix(_HOST).removeprefix(_SECURE).startswith(own)


def hold_cookies(
    values: Iterable[str],
    catalogue: Catalogue,
    allowed: Collection[str],
    *,
    hold_undeclared: bool = False,
    own: str = OWN_COOKIE,
) -> tuple[list[str], list[str], list[str]]:
    """Sort `Set-Cookie` values into kept values, names held back, and names that no service declares.

    Args:
        values: the values of the `Set-Cookie` headers, in order.
        catalogue: who owns which cookie.
        allowed: the keys of the services allowed now.
        hold_undeclared: hold back what nobody declares, too.
        own: how the names of our own cookies begin, after a `__Host-`; those that no service declares always pass.
    """
    kept: list[str] = []
    held: list[str] = []
    undeclared: list[str] = []
    for value in values:
        name = cookie_name(value)
        owners = cookie_owners(name, catalogue)
        unknown = not owners and not _own(name, own)
        if unknown:
            undeclared.append(name)
        if _held(owners, catalogue, allowed) or (unknown and hold_undeclared):
            held.append(name)
        else:
            kept.append(value)
    return kept, held, undeclared


def expire_cookies(
    names: Iterable[str],
    catalogue: Catalogue,
    allowed: Collection[str],
    *,
    host: str,
    consent_cookie: str = OWN_COOKIE,
) -> list[str]:
    """Return the `Set-Cookie` values that delete every cookie of a service not allowed.

    A deletion works only with the path and domain the cookie was set with, which a request does not tell: so there
    is one for the host alone and for each domain above it, under the declared path and under `/`. At most 60 come
    back; the next response sees to the rest.

    Args:
        names: the names of the cookies in the request.
        catalogue: who owns which cookie.
        allowed: the keys of the services allowed now.
        host: the host the request was made to, with or without a port.
        consent_cookie: the name of the cookie with the choice, which stays.
    """
    found: dict[str, None] = {}
    for name in dict.fromkeys(names):
        if not name or _UNFIT.search(name) or name == consent_cookie:
            continue
        owners = cookie_owners(name, catalogue)
        if not _held(owners, catalogue, allowed):
            continue
        cookies = [cookie for service in owners for cookie in service.cookies if cookie.matches(name)]
        found.update(dict.fromkeys(_deletions(name, cookies, host)))
    return list(found)[:_MAX_EXPIRED]


def _deletions(name: str, cookies: Sequence[Cookie], host: str) -> Iterable[str]:
    secure = "; Secure" if name.startswith((_HOST, _SECURE)) else ""
    if name.startswith(_HOST):
        yield f"{name}=; {_EXPIRED}; Path=/{secure}"
        return
    parents = _domains(host)
    declared = [cookie.domain.lstrip(".").lower() for cookie in cookies if cookie.domain]
    parents = [domain for domain in declared if domain in parents] or parents
    for path in dict.fromkeys(("/", *(cookie.path for cookie in cookies if not _unfit_path(cookie.path)))):
        yield f"{name}=; {_EXPIRED}; Path={path}{secure}"
        for domain in parents:
            yield f"{name}=; {_EXPIRED}; Path={path}; Domain={domain}{secure}"


def _unfit_path(path: str) -> bool:
    return not path.startswith("/") or re.search(r"[\x00-\x1f\x7f;]", path) is not None


def _domains(host: str) -> list[str]:
    """Return the host and the domains above it that a cookie could have been set for."""
    name = host.strip().lower().rstrip(".")
    if name.startswith("["):
        return []
    name = name.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        if not re.fullmatch(r"[a-z0-9._-]+", name):
            return []
        return [".".join(labels[at:]) for at in range(len(labels) - 1)][-_MAX_PARENTS:]
    return []


def hold_links(value: str, view: View, bases: Bases = ()) -> str | None:
    """Return a `Link` header without the links that would ask a held host, or None where none is left (RFC 8288)."""
    kept: list[str] = []
    pos = 0
    changed = False
    while pos < len(value):
        match = _LINK.match(value, pos)
        if match is None:
            comma = value.find(",", pos)
            end = comma if comma >= 0 else len(value)
            target, rest = "", value[pos:end]
        else:
            end = match.end()
            target, rest = match[1], match[2]
        if _link_held(target, rest, view, bases):
            changed = True
        else:
            kept.append(value[pos:end])
        pos = end + 1
    if not changed:
        return value
    return ",".join(kept).strip() or None


def _link_held(target: str, rest: str, view: View, bases: Bases) -> bool:
    # What looks like a link inside the parameters is one for a reader that ends the quotes elsewhere.
    if any(verdict_of_address(view, inner, bases=bases) for inner in _INSIDE.findall(rest)):
        return True
    first: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(rest):
        first.setdefault(name.lower().rstrip("*"), re.sub(r"\\(.)", r"\1", quoted or bare))
    return verdict_of_link(view, {**first, "href": target}, bases=bases) is not None


def hold_refresh(value: str, view: View, bases: Bases = ()) -> str | None:
    """Return a `Refresh` header, or None where it would send the visitor to a held host."""
    target = refresh_target(value)
    return None if target is not None and verdict_of_address(view, target, bases=bases) else value


def hold_members(value: str, view: View, bases: Bases = ()) -> str | None:
    """Return a header that lists quoted addresses without those of held hosts, or None where none is left.

    `Reporting-Endpoints` and `Speculation-Rules` are such lists (RFC 9651).
    """
    kept = []
    members = [match for match in _MEMBER.finditer(value) if match[0].strip()]
    for match in members:
        strings = re.findall(r'"((?:[^"\\]|\\.)*+)', match[0])
        addresses = (re.sub(r"\\(.)", r"\1", string) for string in strings)
        if not any(verdict_of_address(view, address, bases=bases) for address in addresses):
            kept.append(match[0])
    if len(kept) == len(members):
        return value
    return ",".join(kept).strip() or None


def hold_report_to(value: str, view: View, bases: Bases = ()) -> str | None:
    """Return a `Report-To` header in which the groups that report to a held host are forgotten.

    Browsers remember a group for as long as it says, and so beyond a withdrawal: an age of 0 makes them forget it
    (Reporting API of 25 September 2018, §3.2). What is no list of groups comes back as None.
    """
    groups = _objects(value)
    if groups is None:
        return None
    held = [any(verdict_of_address(view, text, bases=bases) for text in _texts(group, 4)) for group in groups]
    if not any(held):
        return value
    passing = (_forgotten(group) if is_held else group for group, is_held in zip(groups, held, strict=True))
    return ", ".join(json.dumps(group) for group in passing if group is not None) or None


def _objects(value: str) -> list[object] | None:
    try:
        found: list[object] = json.loads(f"[{value}]")
    except (ValueError, RecursionError):
        return None
    return found


def _forgotten(group: object) -> object:
    name = group.get("group", "default") if isinstance(group, dict) else None
    return {"group": name, "max_age": 0, "endpoints": []} if isinstance(name, str) else None


def hold_error_logging(value: str, report_to: str | None) -> str:
    """Return a `NEL` header that makes browsers forget to log errors to a group that is forgotten.

    Follows Network Error Logging of 25 September 2018, §5.1: an age of 0 removes what was remembered.

    Args:
        value: the header.
        report_to: the `Report-To` header as it passes, None where nothing of it does.
    """
    left = [group for group in _objects(report_to or "") or [] if isinstance(group, dict)]
    forgotten = {str(group.get("group")) for group in left if group.get("max_age") == 0}
    named = [policy.get("report_to") for policy in _objects(value) or [] if isinstance(policy, dict)]
    is_sure = bool(left) and all(isinstance(name, str) and name not in forgotten for name in named)
    return value if is_sure else '{"max_age": 0}'


def hold_reports(policy: str, view: View, bases: Bases = ()) -> str:
    """Return a Content-Security-Policy that reports to no held host: a report is a request like any other."""

    def left(match: re.Match[str]) -> str:
        places = match[2].split()
        kept = [place for place in places if verdict_of_address(view, place, bases=bases) is None]
        if len(kept) == len(places):
            return match[0]
        return f"{match[1]} {' '.join(kept)}{match[3]}" if kept else ""

    return _REPORT_URI.sub(left, policy) if "report-uri" in policy.lower() else policy


def _texts(value: object, depth: int) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, depth - 1)


Hold = Callable[[str, View, Bases], str | None]

_HELD: dict[bytes, Hold] = {
    b"link": hold_links,
    b"refresh": hold_refresh,
    b"report-to": hold_report_to,
    b"reporting-endpoints": hold_members,
    b"speculation-rules": hold_members,
}

_READINGS = (("utf-8", "surrogateescape"), ("latin-1", "strict"))
"""How browsers read addresses in headers: Chromium takes those of redirects and early hints for UTF-8, others not."""


def readings(value: bytes) -> list[str]:
    """Return a header's value as browsers may read it."""
    return [value.decode(*reading) for reading in _ways_to_read(value)]


def _ways_to_read(value: bytes) -> tuple[tuple[str, str], ...]:
    return _READINGS[1:] if value.isascii() else _READINGS


def hold_headers(headers: Headers, view: View, *, bases: Bases = ()) -> Headers:
    """Return raw headers without what would make the browser ask a held host; cookies and CSP are not looked at.

    What a browser remembers of reporting and error logging is made to be forgotten.

    Args:
        headers: pairs of lower-case name and value.
        view: the rules, for one set of allowed services.
        bases: what relative addresses start from, where that may decide an owner (`Rules.page`).
    """
    kept: Headers = []
    reporting: list[bytes | None] = []
    for name, value in headers:
        hold = _HELD.get(name.lower())
        if hold is None:
            kept.append((name, value))
            continue
        passing = _passing(value, hold, view, bases)
        if passing is not None:
            kept.append((name, passing))
        if passing != value and name.lower() == b"report-to":
            reporting.append(passing)
    # Network error logging names a reporting group.
    for passing in reporting:
        report_to = None if passing is None else passing.decode("latin-1")
        kept = [(name, _unlogged(value, report_to) if name.lower() == b"nel" else value) for name, value in kept]
    return kept


def _unlogged(value: bytes, report_to: str | None) -> bytes:
    return hold_error_logging(value.decode("latin-1"), report_to).encode("latin-1")


def hold_reporting(headers: Headers, view: View, *, bases: Bases = ()) -> Headers:
    """Return raw headers in which no Content-Security-Policy reports to a held host.

    On what is no page: documents of other kinds that a browser shows, and scripts of workers, report as pages do.
    """
    kept: Headers = []
    for name, value in headers:
        policy = value.decode("latin-1")
        kept.append((name, hold_reports(policy, view, bases).encode("latin-1")) if name in POLICIES else (name, value))
    return kept


def _passing(value: bytes, hold: Hold, view: View, bases: Bases) -> bytes | None:
    """Return what of a value passes however it is read, None for nothing."""
    for reading in _ways_to_read(value):
        text = value.decode(*reading)
        passing = hold(text, view, bases)
        if passing is None:
            return None
        if passing != text:
            value = passing.encode(*reading)
    return value


def vary(existing: str | None, names: Iterable[str]) -> str:
    """Return a `Vary` value that holds what it held and these names, each once, in order."""
    present = [name.strip() for name in (existing or "").split(",") if name.strip()]
    if "*" in present:
        return "*"
    seen = {name.lower() for name in present}
    return ", ".join((*present, *(name for name in dict.fromkeys(names) if name.lower() not in seen)))


def etag_with(etag: str, suffix: str) -> str:
    """Return an entity tag with a state suffix; what is no entity tag comes back as it is."""
    match = _ETAG.fullmatch(etag.strip())
    return f'{match[1] or ""}"{match[2]}{suffix}"' if match else etag


def etag_without(etag: str, suffix: str) -> str | None:
    """Return an entity tag without its state suffix, or None where it has another or none."""
    match = _ETAG.fullmatch(etag.strip())
    if match is None or not suffix or not match[2].endswith(suffix):
        return None
    return f'{match[1] or ""}"{match[2].removesuffix(suffix)}"'


def none_match(value: str, suffix: str) -> str | None:
    """Return an `If-None-Match` value with the tags of this state only, as the app wrote them; None for none."""
    tags = (etag_without(match[0], suffix) for match in _ETAG.finditer(value))
    return ", ".join(tag for tag in tags if tag is not None) or None
