"""Spell out where a page may load from, as a Content-Security-Policy of our own beside whatever policy it has."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote

from consent.choice.catalogue import Catalogue
from consent.gate.address import normal_path

NEEDS = ("data:", "blob:", "'unsafe-inline'", "'unsafe-eval'")
"""What a page may need without asking any host. This policy denies hosts; against injected code it does nothing."""
_DECLARED_FIRST, _DECLARED_LAST = 0, 1
_PATH_SAFE = "/!$&'()*+:=@-._~%"


def policy(
    catalogue: Catalogue,
    allowed: Collection[str],
    *,
    own_hosts: Collection[str],
    secure: bool = True,
    reports: str = "",
) -> str:
    """Return the policy that denies every host but the site's own and those of the services allowed.

    It stands beside a policy of the site's own and never in its place: a browser loads only what both allow, so that
    nothing becomes looser, and `*`, `https:` and `'strict-dynamic'` there open nothing any more.

    Args:
        catalogue: the services of the site.
        allowed: the keys of the services that may load now.
        own_hosts: the site's own hosts.
        secure: whether the site is served by HTTPS, and so its web sockets.
        reports: the path that violations are reported to, under the endpoint name `consent` too where `secure`.
    """
    hosts = list(dict.fromkeys((*_own(catalogue, own_hosts), *_allowed(catalogue, allowed))))
    sockets = [f"{'wss' if secure else 'ws'}://{host}" for host in hosts]
    directives = [["default-src", "'self'", *NEEDS, *hosts], ["connect-src", "'self'", *NEEDS[:2], *hosts, *sockets]]
    if reports:
        directives.append(["report-uri", reports])
    if reports and secure:
        directives.append(["report-to", "consent"])
    return "; ".join(map(" ".join, directives))


def claims(catalogue: Catalogue, allowed: Collection[str], *, own_hosts: Collection[str]) -> str:
    """Return who claims which host, as the watching script reads it: the first claim that fits an address decides.

    Each is a pattern for host, port and path; after an equals sign comes the key of a service that is not allowed.
    """
    found = [(own, _DECLARED_LAST, "") for own in own_hosts]
    for service in catalogue.services:
        key = "" if service.required or service.key in allowed else service.key
        found += [(host, _DECLARED_FIRST, key) for host in service.hosts]
    spelled = []
    for declared, rank, key in found:
        host, _, path = declared.partition("/")
        name, _, port = host.partition(":")
        # Browsers leave out the ports of the schemes themselves.
        ported = rf":{port}" if port not in ("", "80", "443") else r"(:\d+)?"
        path = normal_path(f"/{path}").rstrip("/")
        pattern = re.escape(name) + ported + re.escape(quote(path)).replace("=", ".")
        spelled.append((-len(name), name, rank, not port, -len(path), path, f"{pattern}={key}" if key else pattern))
    return " ".join(dict.fromkeys(one[-1] for one in sorted(spelled)))


def shared_hosts(catalogue: Catalogue, own_hosts: Collection[str]) -> dict[str, str]:
    """Return the site's own hosts below which a service lies, each with one such service's key.

    The other sub-domains of such a host cannot be allowed all at once: a policy has no way to except one.
    """
    found: dict[str, str] = {}
    for own in own_hosts:
        for service in catalogue.optional:
            if any(_name(host).endswith(f".{own}") for host in service.hosts):
                found.setdefault(own, service.key)
    return found


def _own(catalogue: Catalogue, own_hosts: Collection[str]) -> Iterator[str]:
    shared = shared_hosts(catalogue, own_hosts)
    for host in own_hosts:
        yield f"{host}:*"
        if host not in shared and _has_sub_domains(host):
            yield f"*.{host}:*"


def _allowed(catalogue: Catalogue, allowed: Collection[str]) -> Iterator[str]:
    held = [
        _name(host)
        for service in (*catalogue.optional, *catalogue.known)
        if service.key not in allowed
        for host in service.hosts
    ]
    for service in catalogue.services:
        if service.key not in allowed and not service.required:
            continue
        for declared in service.hosts:
            name = _name(declared)
            wild = _has_sub_domains(name) and not any(host.endswith(f".{name}") for host in held)
            for spelled in (name, f"*.{name}") if wild else (name,):
                yield from _sources(spelled, declared)


def _sources(name: str, declared: str) -> Iterator[str]:
    """Yield the sources for one declared host, spelled as `name`: a path without a slash at its end is one address."""
    host, _, path = declared.partition("/")
    source = f"{name}:{host.partition(':')[2] or '*'}"
    path = quote(path.rstrip("/"), safe=_PATH_SAFE)
    yield from (f"{source}/{path}", f"{source}/{path}/") if path else (source,)


def _name(host: str) -> str:
    return host.partition("/")[0].partition(":")[0]


def _has_sub_domains(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
