"""Ask the trackers what they saw, from the site's own server, so that the reader's browser need not."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.concurrency import run_in_threadpool

from consent.demo.trackers.log import HOSTS, Sighting

LOG_PATH = "/log"
_SECONDS = 3


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Hold what the trackers saw up to request number `last`; `counts` also counts what the log no longer holds."""

    last: int
    counts: Mapping[str, int]
    sightings: tuple[Sighting, ...]

    def by_host(self) -> dict[str, tuple[Sighting, ...]]:
        """Return the requests of every tracker, newest first, with an empty list for one that saw nothing."""
        newest_first = sorted(self.sightings, key=lambda sighting: sighting.number, reverse=True)
        return {host: tuple(s for s in newest_first if s.host == host) for host in HOSTS}

    @property
    def total(self) -> int:
        """Return how many requests reached all trackers together."""
        return sum(self.counts.values())


class TrackerLog(Protocol):
    """Describe what the news site needs from the trackers' log."""

    async def read(self) -> Seen | None:
        """Return what was seen, None while the trackers do not answer."""

    async def clear(self) -> bool:
        """Forget what was seen and tell whether that worked."""


@dataclass(frozen=True, kw_only=True)
class TrackerProcess:
    """Read the log of trackers that run as a process of their own on this machine."""

    host: str
    port: int

    async def read(self) -> Seen | None:
        """Return what was seen, None while the trackers do not answer."""
        answer = await run_in_threadpool(self._ask, "GET")
        return None if answer is None else seen_from_json(answer)

    async def clear(self) -> bool:
        """Forget what was seen and tell whether that worked."""
        return await run_in_threadpool(self._ask, "DELETE") is not None

    def _ask(self, method: str) -> bytes | None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_SECONDS)
        try:
            connection.request(method, LOG_PATH)
            response = connection.getresponse()
            return response.read() if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def seen_from_json(data: bytes) -> Seen:
    """Read the answer of the trackers' log."""
    content = json.loads(data)
    return Seen(
        last=content["last"],
        counts=content["counts"],
        sightings=tuple(Sighting(**sighting) for sighting in content["sightings"]),
    )
