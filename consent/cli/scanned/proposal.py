"""Draft entries of the catalogue for what a scan saw and nobody declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from consent.choice.catalogue import HOST
from consent.cli.scanned.observed import Kept, Stored, host_of
from consent.cli.scanned.report import Scan

_UNFIT = re.compile(r"[^a-z0-9]+")
_DAY = 86_400


def proposal(scan: Scan) -> str:
    """Return TOML to complete and to add to `consent.toml`; empty where everything is declared.

    Built-in services are switched on by their key. For everything else the strictest purpose is written down, for
    somebody who knows to correct.
    """
    known: dict[str, None] = {}
    hosts: dict[str, None] = {}
    cookies: dict[str, Kept] = {}
    storage: dict[str, Stored] = {}
    foreign: dict[str, None] = {}
    for visit in (visit for page in scan.seen for visit in page.visits):
        for asked in visit.asked:
            owned = scan.owners.of_request(asked)
            if owned.declared or asked.denied:
                continue
            known.update(dict.fromkeys(owned.keys))
            if not owned.keys:
                hosts[_bare(host_of(asked.url))] = None
        for cookie in visit.cookies:
            owned = scan.owners.of_cookie(cookie, page=visit.page)
            if owned.declared:
                continue
            known.update(dict.fromkeys(owned.keys))
            if not owned.keys and scan.owners.own_domain(cookie.domain, page=visit.page):
                cookies.setdefault(cookie.name, cookie)
            elif not owned.keys:
                foreign[cookie.domain.lstrip(".")] = None
        for stored in visit.stored:
            owned = scan.owners.of_stored(stored)
            if owned.declared:
                continue
            known.update(dict.fromkeys(owned.keys))
            if not owned.keys and scan.owners.own_origin(stored.origin):
                storage.setdefault(stored.name, stored)
            elif not owned.keys:
                foreign[_bare(host_of(stored.origin))] = None
    taken = {service.key for service in (*scan.owners.catalogue.services, *scan.owners.catalogue.known)}
    taken |= {purpose.key for purpose in scan.owners.catalogue.purposes}
    tables = [f"[services.{key}]  # built-in\n" for key in sorted(known)]
    tables += [_of_host(host, taken) for host in _highest({**hosts, **foreign})]
    if cookies or storage:
        tables.append(_of_site(cookies, storage, taken))
    return "\n".join(filter(None, tables))


def _bare(host: str) -> str:
    return host if host.startswith("[") else host.partition(":")[0]


def _highest(hosts: Iterable[str]) -> list[str]:
    """Return the hosts that no other one stands for."""
    every = sorted(host for host in set(hosts) if HOST.fullmatch(host))
    return [host for host in every if not any(host.endswith(f".{other}") for other in every)]


def _key(text: str, taken: set[str]) -> str:
    plain = _UNFIT.sub("-", text.lower()).strip("-") or "service"
    key, n = plain, 2
    while key in taken:
        key, n = f"{plain}-{n}", n + 1
    taken.add(key)
    return key


def _of_host(host: str, taken: set[str]) -> str:
    return (
        f"[services.{_key(host, taken)}]\n"
        f"title = {json.dumps(host)}  # what visitors know it as\n"
        'provider = ""  # whose it is\n'
        'country = ""  # where the provider is established, such as "IE"\n'
        'purpose = "marketing"  # the strictest; correct it: necessary, functional, analytics, marketing, media\n'
        f"hosts = [{json.dumps(host)}]\n"
        "data = []  # what it learns\n"
    )


def _of_site(cookies: dict[str, Kept], storage: dict[str, Stored], taken: set[str]) -> str:
    listed = ", ".join(
        f"{{ name = {_toml(one.name)}, lifetime = {json.dumps(_lifetime(one))}"
        + (f", path = {_toml(one.path)}" if one.path != "/" else "")
        + " }"
        for _, one in sorted(cookies.items())
        if one.name and "*" not in one.name
    )
    keys = ", ".join(_toml(name) for name in sorted(storage) if name)
    if not listed and not keys:
        return ""
    return (
        f"[services.{_key('own-storage', taken)}]\n"
        'title = "Storage of this site"  # split it by what each is for\n'
        'provider = ""  # you, or whose script keeps it\n'
        'purpose = "marketing"  # the strictest; correct it: necessary, functional, analytics, marketing, media\n'
        + (f"cookies = [{listed}]\n" if listed else "")
        + (f"storage = [{keys}]\n" if keys else "")
    )


def _toml(text: str) -> str:
    """Return a text as a basic TOML string, whose escapes are those of JSON but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lifetime(cookie: Kept) -> str:
    if cookie.lifetime is None:
        return "session"
    if cookie.lifetime >= _DAY:
        return f"P{round(cookie.lifetime / _DAY)}D"
    return f"PT{max(1, cookie.lifetime)}S"
