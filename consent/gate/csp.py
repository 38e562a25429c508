"""Narrow a page's Content-Security-Policy to what the visitor has agreed to, and find what it still cannot deny."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from consent.gate.address import normal_host, normal_path, read

DIRECTIVES = frozenset(
    (
        *("default-src", "script-src", "script-src-elem", "style-src", "style-src-elem", "img-src", "font-src"),
        *("connect-src", "media-src", "object-src", "frame-src", "child-src", "worker-src", "manifest-src"),
        *("prefetch-src", "fenced-frame-src"),
    )
)
_SCRIPTS = frozenset(("default-src", "script-src", "script-src-elem", "worker-src"))
_ASKED: dict[str, tuple[str, ...]] = {
    "script-src": ("script-src-elem", "script-src", "default-src"),
    "style-src": ("style-src-elem", "style-src", "default-src"),
    "img-src": ("img-src", "default-src"),
    "font-src": ("font-src", "default-src"),
    "connect-src": ("connect-src", "default-src"),
    "media-src": ("media-src", "default-src"),
    "object-src": ("object-src", "default-src"),
    "frame-src": ("frame-src", "child-src", "default-src"),
    "worker-src": ("worker-src", "child-src", "script-src", "default-src"),
}
"""Which directive a browser asks about a load, first to last. Source: CSP3 §6.8.3."""
_SOURCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*)://)?([^/:\s]+)(?::(\d+|\*))?(/\S*)?")
_SCHEMES = frozenset(("*", "http:", "https:", "ws:", "wss:"))
_STRICT = "'strict-dynamic'"
_WHITE = re.compile(r"[\t\n\f\r ]+")
_NONCE = re.compile(r"'nonce-[A-Za-z0-9+/_=-]+'")
_ANY_NONCE = "'\0'"
"""Stands for a nonce, which is another one in every response, in what is remembered. No header can hold it."""
_REMEMBERED = 128


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


class Narrowing:
    """Narrow policies for one set of services not allowed; what was worked out for a policy is remembered."""

    def __init__(self, held_hosts: Iterable[str], *, declared: Iterable[str] = ()) -> None:
        """Read the hosts to deny.

        Args:
            held_hosts: the hosts of all services not allowed, as services declare them.
            declared: those of them that belong to services of the site's own catalogue.
        """
        self._held: dict[str, list[_Held]] = {}
        for host in sorted(set(held_hosts)):
            held = _Held(host)
            self._held.setdefault(held.host, []).append(held)
        self._declared = [_Held(host) for host in sorted(set(declared))]
        self._narrowed = lru_cache(maxsize=_REMEMBERED)(self._narrow)
        self._open = lru_cache(maxsize=_REMEMBERED)(self._undenied)

    def narrow(self, policy: str) -> str:
        """Return a policy without the host sources of services not allowed.

        A list that this empties becomes `'none'`; everything else keeps its place and spelling. `*`, schemes, host
        wildcards and `'strict-dynamic'` allow held hosts without naming them, and stay.

        Args:
            policy: the value of a header; several policies may stand in it, with commas between them.
        """
        if not self._held:
            return policy
        nonces = iter(_NONCE.findall(policy))
        narrowed = self._narrowed(_NONCE.sub(_ANY_NONCE, policy))
        # Narrowing takes no nonce away and changes no order.
        return re.sub(_ANY_NONCE, lambda match: next(nonces, match[0]), narrowed)

    def undenied(self, policies: Iterable[str]) -> tuple[str, ...]:
        """Return why the enforced policies of one page together cannot deny the declared services not allowed.

        A load is denied where one of them denies it. Without any policy there is nothing to say.
        """
        if not self._declared:
            return ()
        return self._open(tuple(_NONCE.sub(_ANY_NONCE, policy) for policy in policies))

    def _narrow(self, policy: str) -> str:
        return ",".join(";".join(self._directives(part.split(";"))) for part in policy.split(","))

    def _directives(self, directives: list[str]) -> Iterator[str]:
        seen: set[str] = set()
        for directive in directives:
            words = _WHITE.split(directive.strip("\t\n\f\r "))
            name = words[0].lower()
            if name in seen or (name not in DIRECTIVES and name != "report-uri"):
                yield directive
                continue
            seen.add(name)
            reports = name == "report-uri"
            kept = [word for word in words[1:] if not (self._reports_to(word) if reports else self._names(word))]
            if len(kept) == len(words) - 1:
                yield directive
            elif kept or not reports:
                lead = directive[: len(directive) - len(directive.lstrip("\t\n\f\r "))]
                yield lead + " ".join((words[0], *(kept or ["'none'"])))

    def _names(self, word: str) -> bool:
        source = _parsed(word)
        return source is not None and source.host != "*" and self._covers(source)

    def _reports_to(self, word: str) -> bool:
        address = read(word)
        return bool(address.host) and self._covers(_Source(address.host, str(address.port or ""), address.path))

    def _covers(self, source: _Source) -> bool:
        name = source.host.removeprefix("*.")
        while name:
            if any(held.covers(source) for held in self._held.get(name, ())):
                return True
            name = name.partition(".")[2]
        return False

    def _undenied(self, headers: tuple[str, ...]) -> tuple[str, ...]:
        parts = [_lists(part) for header in headers for part in header.split(",")]
        # A policy that says nothing of any load was not made to deny one.
        policies = [policy for policy in parts if not DIRECTIVES.isdisjoint(policy)]
        found: dict[str, None] = {}
        silent = []
        for kind, asked in _ASKED.items():
            open_in = [self._opens(asked, policy) for policy in policies]
            if None in open_in:
                continue
            named = next((reason for reason in open_in if reason), None)
            if named is not None:
                found[named] = None
            elif open_in:
                silent.append(kind)
        if silent:
            found[f"says nothing of {', '.join(silent)}, and cannot deny {self._declared[0].declared}"] = None
        return tuple(found)

    def _opens(self, asked: tuple[str, ...], policy: dict[str, list[str]]) -> str | None:
        """Return how one policy opens a kind of load: by a source, or (empty) by silence; None where it does not."""
        name = next((name for name in asked if name in policy), None)
        if name is None:
            return ""
        for source in policy[name]:
            host = _opened(name, source, self._declared)
            if host:
                return f"has {name} with {source}, and cannot deny {host}"
        return None


def _lists(policy: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for directive in policy.split(";"):
        words = _WHITE.split(directive.strip("\t\n\f\r "))
        found.setdefault(words[0].lower(), words[1:])
    return found


def _parsed(source: str) -> _Source | None:
    match = _SOURCE.fullmatch(source)
    if match is None or source.startswith("'"):
        return None
    host = match[2].lower()
    wild = "*." if host.startswith("*.") else ""
    return _Source(wild + normal_host(host.removeprefix("*.")), match[3] or "", match[4] or "")


def _opened(name: str, source: str, held: list[_Held]) -> str:
    """Return a held host that a source allows without naming it, or nothing."""
    lower = source.lower()
    if lower == _STRICT:
        return held[0].declared if name in _SCRIPTS else ""
    parsed = None if lower in _SCHEMES else _parsed(source)
    if lower in _SCHEMES or (parsed is not None and parsed.host == "*"):
        return held[0].declared
    return next((host.declared for host in held if parsed is not None and host.reached_by(parsed)), "")
