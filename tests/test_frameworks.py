"""Embed the middleware in each framework, and under a real server on loopback."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware, ConsentSettings, testing
from consent.integrations.jinja import consent_context
from consent.site import Site
from tests.conftest import PAGE, MakeSite

PARKED = 'data-consent-src="https://stats.meridian-metrics.example/s.js"'
LIVE = '<script src="https://stats.meridian-metrics.example/s.js">'
ASK = '{{ consent.allows("analytics") }}'


def starlette_app(site: Site) -> ASGIApp:
    """Return a Starlette app behind the middleware."""

    async def page(request: StarletteRequest) -> Response:
        allowed = request.state.consent.allows("analytics")
        return Response(PAGE, headers={"x-analytics": str(allowed)}, media_type="text/html")

    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(ConsentMiddleware, site=site)
    return app


def fastapi_app(site: Site) -> ASGIApp:
    """Return a FastAPI app behind the middleware."""
    app = FastAPI()
    app.add_middleware(ConsentMiddleware, site=site)

    @app.get("/", response_class=HTMLResponse)
    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"x-analytics": str(request.state.consent.allows("analytics"))})

    return app


def bare_app(site: Site) -> ASGIApp:
    """Return a plain ASGI callable behind the middleware."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"x-analytics", str(scope["state"]["consent"].allows("analytics")).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE.encode()})

    return ConsentMiddleware(app, site=site)


APPS: dict[str, Callable[[Site], ASGIApp]] = {"starlette": starlette_app, "fastapi": fastapi_app, "bare": bare_app}


@pytest.mark.parametrize("build", APPS.values(), ids=APPS)
def test_the_whole_way(make_site: MakeSite, build: Callable[[Site], ASGIApp]) -> None:
    """In each framework a page is gated, a choice is taken, the app knows of it, and a withdrawal counts."""
    with TestClient(build(make_site()), base_url="https://testserver") as client:
        first = client.get("/")
        assert PARKED in first.text
        assert first.headers["x-analytics"] == "False"
        testing.grant(client, "analytics")
        second = client.get("/")
        assert LIVE in second.text
        assert second.headers["x-analytics"] == "True"
        testing.withdraw(client)
        assert PARKED in client.get("/").text


def test_a_sites_own_tests_are_told_what_is_wrong(make_site: MakeSite) -> None:
    """The test kit says why a choice did not hold: nothing has that key, or its cookie cannot come back over HTTP."""
    app = starlette_app(make_site())
    with pytest.raises(ValueError, match="'no-such-service' cannot be granted"):
        testing.grant(TestClient(app, base_url="https://testserver"), "no-such-service")
    for choose in (testing.refuse, testing.withdraw):
        with pytest.raises(AssertionError, match="https://testserver"):
            choose(TestClient(app))


def test_templates_know_the_visitor(make_site: MakeSite, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With the Jinja helper a template asks for itself."""
    folder = tmp_path_factory.mktemp("templates")
    (folder / "page.html").write_text(f"<p>{ASK}</p>")
    templates = Jinja2Templates(folder, context_processors=[consent_context])

    async def page(request: StarletteRequest) -> Response:
        return templates.TemplateResponse(request, "page.html")

    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(ConsentMiddleware, site=make_site())
    client = TestClient(app, base_url="https://testserver")
    assert client.get("/").text == "<p>False</p>"
    testing.grant(client, "analytics")
    assert "<p>True</p>" in client.get("/").text


# -- under a real server

LifespanMode = str


@contextmanager
def served(app: ASGIApp, *, lifespan: LifespanMode = "auto", **options: object) -> Iterator[int]:
    """Serve an app with uvicorn on a free port of loopback; yield the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, lifespan=lifespan, log_config=None, ws="none", **options)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


class Browser:
    """Send requests over a real connection, and keep cookies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookies: dict[str, str] = {}

    def __call__(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, /, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        """Send one request, and return the response and its text."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        body = urlencode(fields) if fields is not None else None
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent | headers)
        response = connection.getresponse()
        text = response.read().decode()
        for value in response.headers.get_all("set-cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        connection.close()
        return response, text


@pytest.mark.parametrize("lifespan", ["on", "off"])
@pytest.mark.parametrize("build", APPS.values(), ids=APPS)
def test_under_uvicorn(make_site: MakeSite, build: Callable[[Site], ASGIApp], lifespan: LifespanMode) -> None:
    """Under a real server, with and without the lifespan protocol, a visit goes from the banner to the withdrawal."""
    with served(build(make_site()), lifespan=lifespan) as port:
        ask = Browser(port)
        response, page = ask("GET", "/")
        assert response.status == 200
        assert PARKED in page
        assert int(response.headers["content-length"]) == len(page.encode())
        notice = json.loads(ask("GET", "/privacy/state")[1])["notice"]
        response, _ = ask("POST", "/privacy/choices", {"choice": "accept_all", "notice": notice, "next": "/?a=1"})
        assert (response.status, response.headers["location"]) == (303, "/?a=1")
        assert LIVE in ask("GET", "/")[1]
        assert ask("HEAD", "/")[1] == ""
        response, _ = ask("POST", "/privacy/choices", {"choice": "withdraw"})
        assert response.status == 303
        assert PARKED in ask("GET", "/")[1]


def test_streams_and_files_under_uvicorn(make_site: MakeSite, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A streamed page, a file, a part of a file and a broken request come out of a real server as they should."""
    file = tmp_path_factory.mktemp("files") / "page.html"
    file.write_text(PAGE)
    film = file.with_name("film.mp4")
    film.write_bytes(bytes(range(256)))

    async def stream(request: StarletteRequest) -> Response:
        return StreamingResponse((bytes([byte]) for byte in PAGE.encode()), media_type="text/html")

    async def page(request: StarletteRequest) -> Response:
        return FileResponse(file)

    async def part(request: StarletteRequest) -> Response:
        return FileResponse(film)

    app = Starlette(routes=[Route("/stream", stream), Route("/page", page), Route("/film", part)])
    with served(ConsentMiddleware(app, site=make_site())) as port:
        ask = Browser(port)
        response, streamed = ask("GET", "/stream")
        assert response.headers["transfer-encoding"] == "chunked"
        assert streamed.count(PARKED) == 1
        response, whole = ask("GET", "/page", Range="bytes=0-9")
        assert (response.status, whole.count(PARKED)) == (200, 1)
        again, _ = ask("GET", "/page", **{"If-None-Match": str(response.headers["etag"])})
        assert again.status in (200, 304)
        response, _ = ask("HEAD", "/page")
        assert response.headers["content-type"].startswith("text/html")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/film", headers={"Range": "bytes=10-19", "Sec-Fetch-Dest": "video"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (206, bytes(range(10, 20)))
        connection.close()


def test_a_bad_configuration_under_uvicorn(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without the lifespan protocol a site without a secret answers 503 and not 500, and its log has one line."""
    monkeypatch.chdir(testing.settings().folder)
    monkeypatch.delenv("CONSENT_SECRET_KEYS", raising=False)
    app = Starlette(routes=[Route("/", lambda request: Response(PAGE, media_type="text/html"))])
    app.add_middleware(ConsentMiddleware)
    with served(app, lifespan="off") as port:
        for _ in range(2):
            response, text = Browser(port)("GET", "/")
            assert response.status == 503
            assert "Night ferry" not in text
    assert sum(record.name == "consent" for record in caplog.records) == 1


def test_a_bad_configuration_stops_uvicorn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the lifespan protocol uvicorn does not start such a site, and says why in the middleware's own line."""
    monkeypatch.chdir(testing.settings().folder)
    monkeypatch.delenv("CONSENT_SECRET_KEYS", raising=False)
    app = Starlette()
    app.add_middleware(ConsentMiddleware)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    with pytest.raises(SystemExit) as ending:
        server.run()
    assert ending.value.code != 0
    assert not server.started
    assert "CONSENT_SECRET_KEYS: no secret to sign cookies with" in caplog.text
    assert "Traceback" not in caplog.text + capsys.readouterr().err


def test_an_app_starts_again_after_it_has_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A yes and a no are recorded in every life of one app, and a ledger in memory leaves nothing to another."""
    settings = ConsentSettings(
        **{"secret_keys": ["k" * 32], "origins": ["https://meridian.example"], "ledger": "sqlite:///:memory:"},
        **{"services": {"youtube": {}}, "policies_dir": tmp_path / "policies", "queue_dir": tmp_path / "queue"},
    )
    app = ConsentMiddleware(Starlette(), settings)
    for _ in range(3):
        with TestClient(app, base_url="https://meridian.example") as client:
            testing.grant(client, "youtube")
            testing.refuse(client)
            assert app.site is not None
            assert app.site.ledger.store.head().size >= 2
            assert app.site.ledger.queued == 0
    assert [record.message for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
