"""Note every request that reaches a tracker."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS = (
    "stats.localhost",
    "ads.localhost",
    "video.localhost",
    "social.localhost",
    "donate.localhost",
    "comments.localhost",
    "fonts.localhost",
)
"""The names the pretend third parties answer to; browsers resolve each to this machine."""
HELD = 1000
_LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Hold one request as the tracker saw it; `at` is in milliseconds since 1970."""

    number: int
    at: int
    host: str
    method: str
    path: str
    page: str
    cookies: str
    destination: str


class Log:
    """Hold the newest requests in memory, and count all of them."""

    def __init__(self, *, held: int = HELD, clock: Callable[[], float] = time.time) -> None:
        self._sightings: deque[Sighting] = deque(maxlen=held)
        self._counts: Counter[str] = Counter()
        self._last = 0
        self._clock = clock

    def note(self, *, host: str, method: str, path: str, page: str, cookies: str, destination: str) -> None:
        """Add one request."""
        self._last += 1
        self._counts[host] += 1
        self._sightings.append(
            Sighting(
                number=self._last,
                at=int(self._clock() * 1000),
                host=host,
                method=method,
                path=path[:_LONGEST],
                page=page[:_LONGEST],
                cookies=cookies[:_LONGEST],
                destination=destination[:_LONGEST],
            )
        )

    def clear(self) -> None:
        """Forget all requests; numbers go on, so that a reader notices."""
        self._last += 1
        self._sightings.clear()
        self._counts.clear()

    def as_json(self) -> dict[str, Any]:
        """Return everything held, as the log's address answers it."""
        return {
            "last": self._last,
            "counts": {host: self._counts[host] for host in HOSTS},
            "sightings": [asdict(sighting) for sighting in self._sightings],
        }


class LogMiddleware:
    """Note a request before a tracker answers it."""

    def __init__(self, app: ASGIApp, *, log: Log) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note requests to a tracker's name, and pass everything on."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "").rsplit(":", 1)[0].lower()
            if host in HOSTS:
                query = scope["query_string"].decode("latin-1")
                self.log.note(
                    host=host,
                    method=scope["method"],
                    path=f"{scope['path']}?{query}" if query else scope["path"],
                    page=headers.get("referer", ""),
                    cookies=headers.get("cookie", ""),
                    destination=headers.get("sec-fetch-dest", ""),
                )
        await self.app(scope, receive, send)
