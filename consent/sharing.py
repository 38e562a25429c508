"""Decide whether a page may be everybody's, where the site keeps one gated page for all of its visitors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from consent.choice.consent import Consent

FOR_SHARED_CACHES = frozenset(
    {
        b"cdn-cache-control",
        b"cloudflare-cdn-cache-control",
        b"edge-control",
        b"netlify-cdn-cache-control",
        b"surrogate-control",
        b"vercel-cdn-cache-control",
        b"x-accel-expires",
    }
)
"""Headers that speak to shared caches over the head of `Cache-Control`. Source: RFC 9213, and the vendors' manuals."""
_OWN = re.compile(rb"(?:\A|[,\s])(?:private|no-store)(?:\Z|[,;=\s])", re.IGNORECASE)


class Watched:
    """Stand for a visitor's consent while an answer may still become everybody's, and tell whether the app looked.

    An app that looked gets its page marked as this visitor's own. Once the page has gone out as everybody's, whoever
    looks late sees the consent of nobody.
    """

    __slots__ = ("_consent", "_looked")

    def __init__(self, consent: Consent) -> None:
        self._consent = consent
        self._looked = False

    def __getattr__(self, name: str) -> Any:
        self._looked = True
        return getattr(self._consent, name)

    def __copy__(self) -> Consent:
        # It never changes, so that it is its own copy.
        self._looked = True
        return self._consent

    def __deepcopy__(self, _: dict[int, Any]) -> Consent:
        return self.__copy__()

    @staticmethod
    def looked_at(watched: Watched) -> bool:
        """Tell whether anything was read."""
        return watched._looked

    @staticmethod
    def settle(watched: Watched, nobody: Consent) -> None:
        """Answer as for nobody from now on."""
        watched._consent = nobody


def is_private(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether an app keeps an answer from shared caches, given pairs of lower-case name and value."""
    spoken: dict[bool, list[bool]] = {True: [], False: []}
    for name, value in headers:
        if name == b"cache-control" or name in FOR_SHARED_CACHES:
            spoken[name in FOR_SHARED_CACHES].append(_OWN.search(value) is not None)
    return any(spoken[True] or spoken[False])
