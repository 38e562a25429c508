"""Narrow a page's Content-Security-Policy to what the visitor has agreed to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from consent.gate.address import normal_host, normal_path, read

_LISTS = frozenset(
    (
        *("default-src", "script-src", "script-src-elem", "style-src", "style-src-elem", "img-src", "font-src"),
        *("connect-src", "media-src", "object-src", "frame-src", "child-src", "worker-src", "manifest-src"),
        *("prefetch-src", "fenced-frame-src"),
    )
)
_SCRIPTS = frozenset(("default-src", "script-src", "script-src-elem", "worker-src"))
_SOURCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*)://)?([^/:\s]+)(?::(\d+|\*))?(/\S*)?")
_SCHEMES = frozenset(("*", "http:", "https:", "ws:", "wss:"))
_STRICT = "'strict-dynamic'"
_WHITE = re.compile(r"[\t\n\f\r ]+")


class _Held:
    """Hold one host of a service not allowed, as its service declares it."""

    def __init__(self, declared: str) -> None:
        name, slash, path = declared.partition("/")
        name, _, port = name.partition(":")
        self.declared = declared
        self.host = normal_host(name)
        self.port = port
        self.path = normal_path(slash + path).rstrip("/") if slash else ""

    def covers(self, source: _Source) -> bool:
        """Tell whether everything a source allows belongs to this host."""
        name = source.host.removeprefix("*.")
        if name != self.host and not name.endswith("." + self.host):
            return False
        if self.port and source.port != self.port:
            return False
        path = normal_path(source.path).rstrip("/") if source.path else ""
        return not self.path or path == self.path or path.startswith(self.path + "/")

    def reached_by(self, source: _Source) -> bool:
        """Tell whether a source allows something of this host."""
        if self.port and source.port not in (self.port, "*"):
            return False
        if source.host.startswith("*."):
            return self.host.endswith(source.host[1:])
        return source.host == self.host and (bool(self.path) or bool(self.port)) and not self.covers(source)


class _Source:
    """Hold one host source of a list."""

    def __init__(self, host: str, port: str, path: str) -> None:
        self.host = host
        self.port = port
        self.path = path


def narrow(policy: str, *, held_hosts: Iterable[str], enforce: Iterable[str] | None = None) -> tuple[str, list[str]]:
    """Return a policy without the host sources of services not allowed, and what it still cannot deny.

    A list that this empties becomes `'none'`; everything else keeps its place and spelling. `*`, schemes, host
    wildcards and `'strict-dynamic'` allow held hosts without naming them: each is a finding, unless `enforce` spells
    out what they are to be replaced with.

    Args:
        policy: the value of a header; several policies may stand in it, with commas between them.
        held_hosts: the hosts of the services not allowed, as services declare them.
        enforce: the sources allowed now, to stand in the place of the open ones; None leaves those as they are.
    """
    held = [_Held(host) for host in sorted(set(held_hosts))]
    if not held:
        return policy, []
    spelled = None if enforce is None else list(dict.fromkeys(enforce))
    findings: list[str] = []
    policies = [";".join(_directives(part.split(";"), held, spelled, findings)) for part in policy.split(",")]
    return ",".join(policies), list(dict.fromkeys(findings))


def _directives(
    directives: list[str], held: list[_Held], spelled: list[str] | None, findings: list[str]
) -> Iterable[str]:
    seen: set[str] = set()
    for directive in directives:
        words = _WHITE.split(directive.strip("\t\n\f\r "))
        name = words[0].lower()
        if name in seen or (name not in _LISTS and name != "report-uri"):
            yield directive
            continue
        seen.add(name)
        if name == "report-uri":
            kept = [word for word in words[1:] if not _reports_to(word, held)]
            changed = len(kept) < len(words) - 1
            if changed and not kept:
                continue
        else:
            kept, changed = _sources(name, words[1:], held, spelled, findings)
        if not changed:
            yield directive
            continue
        lead = directive[: len(directive) - len(directive.lstrip("\t\n\f\r "))]
        yield lead + " ".join((words[0], *kept))


def _sources(
    name: str, sources: list[str], held: list[_Held], spelled: list[str] | None, findings: list[str]
) -> tuple[list[str], bool]:
    kept: list[str] = []
    changed = False
    replaced = False
    for source in sources:
        if _named(source, held):
            changed = True
            continue
        reason = _open(name, source, held)
        if reason and spelled is None:
            findings.append(f"{name} allows {source}, so the policy cannot deny {reason}")
        if not reason or spelled is None:
            kept.append(source)
            continue
        changed = True
        if not replaced:
            replaced = True
            kept += [word for word in ("'self'", *spelled) if word not in sources and word not in kept]
    return kept or (["'none'"] if changed else kept), changed


def _parsed(source: str) -> _Source | None:
    match = _SOURCE.fullmatch(source)
    if match is None or source.startswith("'"):
        return None
    host = match[2].lower()
    wild = "*." if host.startswith("*.") else ""
    return _Source(wild + normal_host(host.removeprefix("*.")), match[3] or "", match[4] or "")


def _named(source: str, held: list[_Held]) -> bool:
    parsed = _parsed(source)
    return parsed is not None and parsed.host != "*" and any(host.covers(parsed) for host in held)


def _open(name: str, source: str, held: list[_Held]) -> str:
    """Return a held host that a source allows without naming it, or nothing."""
    lower = source.lower()
    if lower == _STRICT:
        return held[0].declared if name in _SCRIPTS else ""
    parsed = None if lower in _SCHEMES else _parsed(source)
    if lower in _SCHEMES or (parsed is not None and parsed.host == "*"):
        return held[0].declared
    return next((host.declared for host in held if parsed is not None and host.reached_by(parsed)), "")


def _reports_to(word: str, held: list[_Held]) -> bool:
    address = read(word)
    if not address.host:
        return False
    source = _Source(address.host, str(address.port or ""), address.path)
    return any(host.covers(source) for host in held)
