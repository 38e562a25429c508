"""Talk to an application in this process, as a browser would over the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
from starlette.applications import Starlette
from starlette.types import ASGIApp

from consent.demo.pages import create_site
from consent.demo.sightings import Seen, seen_from_json
from consent.demo.trackers.app import create_trackers

TRACKER_PORT = 8001
SITE = "http://meridian.localhost:8000"


class _Direct(httpx2.BaseTransport):
    """Hand each request to the application, and its answer back as it came."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx2.ASGITransport(app)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Run the application for one request."""

        async def answered() -> httpx2.Response:
            response = await self._transport.handle_async_request(request)
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            body = b"".join([chunk async for chunk in response.stream])
            return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(body))

        return asyncio.run(answered())


def client(app: ASGIApp, *, at: str = SITE) -> httpx2.Client:
    """Return a browser without scripts, on one application."""
    return httpx2.Client(transport=_Direct(app), base_url=at)


class InProcess:
    """Read the log of trackers that run in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def read(self) -> Seen | None:
        """Return what was seen."""
        return seen_from_json((await self._ask("GET")).content)

    async def clear(self) -> bool:
        """Forget what was seen."""
        return (await self._ask("DELETE")).is_success

    async def _ask(self, method: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001") as asking:
            return await asking.request(method, "/log")


class Silent:
    """Stand for trackers whose process has ended."""

    async def read(self) -> Seen | None:
        """Return nothing."""
        return None

    async def clear(self) -> bool:
        """Fail."""
        return False


def site(folder: Path, *, trackers: ASGIApp | None = None, headline: str = "a") -> Starlette:
    """Return the news site with nothing in front of it."""
    return create_site(
        trackers=InProcess(trackers or create_trackers()),
        tracker_port=TRACKER_PORT,
        corrections=folder / "corrections.jsonl",
        choose=lambda letters: letters[letters.index(headline)],
        clock=lambda: 1_795_000_000.5,
    )
