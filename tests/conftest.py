"""Build sites, clients and single exchanges for the tests; everything made here is taken down again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import uvicorn
from hypothesis import settings
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent import ConsentMiddleware, ConsentSettings, testing
from consent.site import Site

# How long an example takes says nothing on a machine that others use.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ORIGIN = "https://meridian.example"
SERVICES: dict[str, dict[str, Any]] = {
    "reader-stats": {
        "title": "Reader statistics",
        "provider": "Meridian Media Ltd",
        "purpose": "analytics",
        "hosts": ["stats.meridian-metrics.example"],
        "cookies": [{"name": "_rs", "lifetime": "P30D"}, {"name": "_rs_*", "lifetime": "session", "path": "/news"}],
        "storage": ["rs.queue"],
        "patterns": ["readerStats("],
        "country": "IE",
    },
    "lantern-ads": {
        "title": "Lantern Ads",
        "provider": "Lantern & Sons",
        "purpose": "marketing",
        "hosts": ["ads.lantern.example"],
        "cookies": [{"name": "_la", "lifetime": "P90D"}],
        "sells_or_shares": True,
    },
    "lantern-video": {
        "title": "Lantern Video",
        "provider": "Lantern & Sons",
        "purpose": "media",
        "hosts": ["player.lantern.example"],
        "policy_url": "https://lantern.example/privacy",
    },
    "harbour-maps": {"provider": "Harbour Maps", "purpose": "media", "hosts": ["maps.harbour.example"]},
}
"""The services of The Meridian: one of its own, one that sells data, and two under one purpose."""

PAGE = (
    '<!doctype html><html lang="en"><head><title>The Meridian</title></head><body><h1>Night ferry</h1>'
    '<script src="https://stats.meridian-metrics.example/s.js"></script>'
    '<iframe src="https://player.lantern.example/1"></iframe></body></html>'
)
"""An article with a tag of two services."""


async def page_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with the article."""
    await HTMLResponse(PAGE)(scope, receive, send)


@dataclass(frozen=True)
class Answer:
    """Hold what one exchange sent: status, raw headers in order, body, and all messages."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    messages: list[Message] = field(repr=False)

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == name.encode()]

    def one(self, name: str) -> str | None:
        """Return the only value of a header, None without one."""
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None


class MakeSite(Protocol):
    """Build a site of The Meridian with a ledger in memory."""

    def __call__(self, **values: Any) -> Site: ...


class MakeClient(Protocol):
    """Build a client of an app behind the middleware."""

    def __call__(self, site: Site | None = None, app: ASGIApp = page_app, **values: Any) -> TestClient: ...


class Ask(Protocol):
    """Send one request past every client's conveniences, and return what came back."""

    def __call__(
        self,
        app: ASGIApp,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes | list[bytes] = b"",
        query: bytes = b"",
        **scope: Any,
    ) -> Answer: ...


@pytest.fixture
def make_site() -> Iterator[MakeSite]:
    """Return a function that builds sites, and closes them at the end."""
    made: list[Site] = []

    def make(**values: Any) -> Site:
        given = {
            "site_name": "The Meridian",
            "origins": (ORIGIN,),
            "controller": {"name": "Meridian Media Ltd", "contact": "privacy@meridian.example"},
            "services": SERVICES,
        }
        site = testing.site(**(given | values))
        made.append(site)
        return site

    yield make
    for site in made:
        site.close()


@pytest.fixture
def make_client(make_site: MakeSite) -> MakeClient:
    """Return a function that builds clients; each has a cookie jar of its own."""

    def make(site: Site | None = None, app: ASGIApp = page_app, **values: Any) -> TestClient:
        middleware = ConsentMiddleware(app, site=site or make_site(**values))
        return TestClient(middleware, base_url="https://testserver", follow_redirects=False)

    return make


@pytest.fixture
def make_stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Return a function that builds sites whose ledger is a file, for the settings given."""
    made: list[Site] = []

    def make(settings: ConsentSettings | None = None, **values: Any) -> Site:
        chosen = settings or testing.settings(
            site_name="The Meridian", origins=(ORIGIN,), **({"services": SERVICES} | values)
        )
        site = Site(
            chosen,
            clock=testing.Clock(),
        )
        made.append(site)
        return site

    yield make
    for site in made:
        site.close()


@pytest.fixture
def ask() -> Ask:
    """Return a function that runs one exchange with an ASGI app."""

    def run(
        app: ASGIApp,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes | list[bytes] = b"",
        query: bytes = b"",
        **scope: Any,
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else list(body)
        incoming: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": n < len(chunks)} for n, chunk in enumerate(chunks, 1)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        pairs = [(_raw(name), _raw(value)) for name, value in headers]
        if not any(name == b"host" for name, _ in pairs):
            pairs.insert(0, (b"host", b"meridian.example"))
        whole: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(errors="replace"),
            "query_string": query,
            "root_path": "",
            "headers": pairs,
            "client": ("127.0.0.1", 50000),
            "server": ("meridian.example", 443),
        } | scope
        asyncio.run(app(whole, receive, send))  # type: ignore[arg-type]
        start = next((message for message in sent if message["type"] == "http.response.start"), None)
        assert start is not None, "nothing was answered"
        bodies = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
        return Answer(start["status"], list(start["headers"]), b"".join(bodies), sent)

    return run


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Return a function that serves an app on loopback, in a thread, and returns its port.

    With a `certificate` it speaks TLS, and so HTTP/2: browsers take early hints in no other way.
    """
    with contextlib.ExitStack() as stack:

        def start(app: ASGIApp, *, certificate: Path | None = None) -> int:
            listening = socket.socket()
            listening.bind(("127.0.0.1", 0))
            port: int = listening.getsockname()[1]
            config = uvicorn.Config(app, log_level="warning", ws="none")
            if certificate is not None:
                config = uvicorn.Config(
                    app, log_level="warning", ws="none", http="zttp", http2=True, ssl_certfile=str(certificate)
                )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(10)
                listening.close()

            stack.callback(stop)
            deadline = time.monotonic() + 10
            while not server.started:
                assert time.monotonic() < deadline, "the site did not start"
                time.sleep(0.02)
            return port

        yield start


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
