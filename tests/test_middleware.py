"""Drive the middleware by hand: start and end, every kind of connection, and what an app behind it sees."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from consent import Consent, ConsentMiddleware, testing
from consent.errors import ConfigurationError
from consent.ledger.entry import Draft
from consent.site import Site
from tests.conftest import Ask, MakeClient, MakeSite, page_app


def lifespan(app: ConsentMiddleware, *received: str, fails: bool = False) -> list[Message]:
    """Send an app these lifespan messages, and return what it answered."""
    incoming = [{"type": f"lifespan.{name}"} for name in received]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(ConfigurationError) if fails else contextlib.nullcontext():
        asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    return sent


def unlucky(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Make a site fail to start, as one with an edited policy does."""

    def start() -> None:
        raise ConfigurationError("the published policy was edited", place="privacy/1.en.md", remedy="Restore it")

    monkeypatch.setattr(site, "start", start)
    return site


# -- start and end


def test_lifespan_opens_and_closes_the_ledger(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is opened before the app starts, and closed after it has ended."""
    site, order = make_site(), []
    monkeypatch.setattr(site, "start", lambda: order.append("open"))
    monkeypatch.setattr(site, "close", lambda: order.append("close"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message = await receive()
            order.append(message["type"])
            await send({"type": f"{message['type']}.complete"})

    sent = lifespan(ConsentMiddleware(app, site=site), "startup", "shutdown")
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert order == ["open", "lifespan.startup", "lifespan.shutdown", "close"]


@pytest.mark.parametrize("last", ["startup.failed", "shutdown.failed"])
def test_a_failing_app_still_closes_the_ledger(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """The ledger is closed too where the app's own start or end fails."""
    site, closed = make_site(), []
    monkeypatch.setattr(site, "close", lambda: closed.append(True))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": f"lifespan.{last}", "message": "no harbour"})

    assert lifespan(ConsentMiddleware(app, site=site), "startup")[-1]["message"] == "no harbour"
    assert closed == [True]


def test_an_app_without_lifespan(make_client: MakeClient) -> None:
    """Around an app that does not speak the lifespan protocol everything works, as it would without us."""

    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await HTMLResponse("<p>bare</p>")(scope, receive, send)

    client = make_client(app=bare)
    assert client.get("/").text == "<p>bare</p>"
    assert testing.grant(client, "analytics").json()["status"] == "given"
    with make_client(app=bare) as client:
        assert client.get("/").text == "<p>bare</p>"


@pytest.mark.parametrize("error", [AssertionError("http only"), KeyError("path"), None], ids=repr)
def test_the_ledger_says_its_last_words_without_the_app(
    make_stored: Callable[..., Site], error: Exception | None
) -> None:
    """An app that rejects the lifespan, or ignores it, keeps the newest entry from no checkpoint at the end."""
    site, sent = make_stored(), list[str]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if error is not None:
            raise error

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == "lifespan.startup.complete":
            content = {"action": "signed-in", "token": "firm", "scopes": ["stats"]}
            await site.ledger.record(Draft(kind="audit", content=content, decided_at=1))

    async def run() -> None:
        incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Message:
            return incoming.pop(0)

        await ConsentMiddleware(app, site=site)({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    checkpoint = site.ledger.checkpoint()
    assert checkpoint is not None
    assert checkpoint.size == site.ledger.store.head().size


def test_an_app_that_fails_after_it_spoke(make_site: MakeSite) -> None:
    """What an app raises once it has taken part in the lifespan is the server's to know."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise OSError("no harbour")

    with pytest.raises(OSError, match="no harbour"):
        lifespan(ConsentMiddleware(app, site=make_site()), "startup", "shutdown")


def test_a_site_that_cannot_start_says_so(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ask: Ask
) -> None:
    """Where the start fails, the server is told in one line, and every request is answered 503."""
    middleware = ConsentMiddleware(page_app, site=unlucky(make_site(), monkeypatch))
    (failed,) = lifespan(middleware, "startup", fails=True)
    assert failed["type"] == "lifespan.startup.failed"
    assert "privacy/1.en.md: the published policy was edited. Restore it" in failed["message"]
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    for path in ("/", "/privacy/choices"):
        answer = ask(middleware, path)
        assert (answer.status, answer.one("cache-control")) == (503, "no-store")
        assert answer.one("content-length") == str(len(answer.body))
        assert b"policy" not in answer.body
    assert len(caplog.records) == 1


def test_a_site_that_cannot_start_without_lifespan(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ask: Ask
) -> None:
    """Without the lifespan protocol, the first request finds out, and one line is logged for all of them."""
    middleware = ConsentMiddleware(page_app, site=unlucky(make_site(), monkeypatch))
    assert [ask(middleware).status for _ in range(3)] == [503, 503, 503]
    assert len(caplog.records) == 1


def test_nobody_is_answered_before_the_start_is_done(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lifespan protocol, requests that come at once wait until withdrawn ids are known; one starts."""
    site, steps = make_site(), []
    start = site.start

    def slowly() -> None:
        steps.append("begin")
        start()
        steps.append("end")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        steps.append("page")
        await page_app(scope, receive, send)

    monkeypatch.setattr(site, "start", slowly)
    middleware = ConsentMiddleware(app, site=site)

    async def request() -> None:
        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            return None

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        await middleware(scope, receive, send)

    async def crowd() -> None:
        await asyncio.gather(*(request() for _ in range(4)))

    asyncio.run(crowd())
    assert steps == ["begin", "end", *["page"] * 4]


# -- what the app sees


def seen(request: Request) -> JSONResponse:
    """Tell what the app knows of the visitor."""
    consent: Consent = request.state.consent
    return JSONResponse(
        {
            "analytics": consent.allows("analytics"),
            "reader-stats": consent.allows("reader-stats"),
            "necessary": consent.allows("necessary"),
            "nonsense": consent.allows("nonsense"),
            "answered": consent.answered,
            "status": consent.status,
            "regime": consent.regime,
            "language": consent.language,
            "chosen": consent.choice is not None,
        }
    )


def test_the_app_asks_for_consent(make_client: MakeClient) -> None:
    """The app reads the visitor's choice from `request.state.consent`, and finds no consent id in it."""
    client = make_client(app=Starlette(routes=[Route("/", seen)]))
    before = client.get("/").json()
    assert before == {
        "analytics": False,
        "reader-stats": False,
        "necessary": True,
        "nonsense": False,
        "answered": False,
        "status": "unknown",
        "regime": "opt-in",
        "language": "en",
        "chosen": False,
    }
    testing.grant(client, "analytics")
    after = client.get("/").json()
    assert {key for key in after if after[key] != before[key]} == {
        *("analytics", "reader-stats", "answered", "status", "chosen")
    }
    assert after["status"] == "given"


def test_an_unknown_key_is_logged_once(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt key is a no, and one line in the log, however often it is asked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["state"]["consent"].allows("harbour-typo") is False
        await page_app(scope, receive, send)

    client = make_client(app=app)
    client.get("/")
    client.get("/")
    assert sum("harbour-typo" in record.getMessage() for record in caplog.records) == 1


def test_the_consent_id_is_nowhere_in_the_scope(make_client: MakeClient) -> None:
    """Nothing that an app or a template can print of the consent shows the consent id."""
    found: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(repr(scope["state"]))
        assert scope["state"]["consent"].choice is None or scope["state"]["consent"].choice.consent_id is None
        await page_app(scope, receive, send)

    secret = b"\xabMeridianSecret\xcd"
    client = make_client(testing_site(secret), app=app)
    testing.grant(client, "analytics")
    client.get("/")
    assert "Status.GIVEN" in found[-1]
    for spelling in (repr(secret)[2:-1], secret.hex()):
        assert spelling not in found[-1]


def testing_site(secret: bytes) -> Site:
    """Return a site whose visitors all get the same consent id."""
    return testing.site(
        random=lambda n: secret, services={"reader-stats": {"purpose": "analytics", "hosts": ["a.example"]}}
    )


testing_site.__test__ = False  # type: ignore[attr-defined]


def test_websockets_know_the_visitor(make_client: MakeClient) -> None:
    """A websocket's app sees the visitor's choice too, and its messages pass."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            await socket.accept()
            await socket.send_json({"analytics": scope["state"]["consent"].allows("analytics")})
            assert await socket.receive_text() == "hello"
            await socket.close()
        else:
            await page_app(scope, receive, send)

    client = make_client(app=app)
    answers = []
    for _ in range(2):
        with client.websocket_connect("wss://testserver/live") as socket:
            answers.append(socket.receive_json()["analytics"])
            socket.send_text("hello")
        testing.grant(client, "analytics")
    assert answers == [False, True]


def test_other_kinds_of_connections_pass(make_site: MakeSite) -> None:
    """What is neither HTTP, websocket nor lifespan is left to the app."""
    got: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(scope)

    async def nothing(*message: Any) -> Any:
        raise AssertionError("nothing is sent or received")

    asyncio.run(ConsentMiddleware(app, site=make_site())({"type": "mqtt"}, nothing, nothing))
    assert got == [{"type": "mqtt"}]


# -- where our own pages lie


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/privacy/", True),
        ("/privacy/choices", True),
        ("/privacy/nothing", True),
        ("/privacy", True),
        ("/privacyx", False),
        ("/x/privacy/", False),
        ("//privacy/", False),
        ("/Privacy/", False),
        ("/", False),
    ],
)
def test_the_prefix_is_anchored(make_client: MakeClient, path: str, ours: bool) -> None:
    """Only what lies under the prefix is ours."""
    client = make_client()
    assert ("Night ferry" not in client.get(f"https://testserver{path}").text) is ours


def test_the_bare_prefix_leads_to_the_index(make_client: MakeClient) -> None:
    """The prefix without a slash leads to the index, on whatever scheme and host the visitor is."""
    response = make_client().get("/privacy", headers={"host": "evil.example"})
    assert (response.status_code, response.headers["location"]) == (308, "/privacy/")


@pytest.mark.parametrize("path", ["/privacy/choices/", "/privacy/receipt/", "/privacy/nothing/"])
def test_no_other_address_is_guessed(make_client: MakeClient, path: str) -> None:
    """An address with a slash too much is not found; no redirect is made from the request's own host header."""
    assert make_client().get(path).status_code == 404


def test_another_prefix(make_client: MakeClient) -> None:
    """All our pages move with the prefix, and all links in them."""
    client = make_client(prefix="/about/data")
    assert client.get("/about/data/choices").status_code == 200
    assert "Night ferry" in client.get("/privacy/choices").text
    page = client.get("/").text
    assert 'action="/about/data/choices"' in page
    assert "/privacy/" not in page
    assert testing.grant(client, "analytics", prefix="/about/data").json()["status"] == "given"


def test_a_mounted_site(make_site: MakeSite) -> None:
    """Below a mount, or behind a server's root path, the prefix is the whole path."""
    site = make_site(prefix="/news/privacy")
    app = Starlette(routes=[Mount("/news", app=ConsentMiddleware(page_app, site=site))])
    client = TestClient(app, base_url="https://testserver")
    assert 'action="/news/privacy/choices"' in client.get("/news/").text
    assert client.get("/news/privacy/choices").status_code == 200
    assert testing.grant(client, "analytics", prefix="/news/privacy").json()["status"] == "given"


# -- beside other middleware


@pytest.mark.parametrize("outside", [True, False], ids=["gzip outside", "gzip inside"])
def test_beside_compression(make_site: MakeSite, outside: bool) -> None:
    """Compression works outside of the middleware, and is undone inside of it."""
    layers = [Middleware(GZipMiddleware, minimum_size=10), Middleware(ConsentMiddleware, site=make_site())]
    app = Starlette(
        routes=[Route("/", lambda request: HTMLResponse("<!doctype html><body>" + "<p>Harbour</p>" * 200))],
        middleware=layers if outside else layers[::-1],
    )
    response = TestClient(app, base_url="https://testserver").get("/")
    assert response.text.count("<p>Harbour</p>") == 200
    assert 'id="cst"' in response.text
    assert ("content-encoding" in response.headers) is outside


def test_one_line_embeds_it(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """`add_middleware(ConsentMiddleware)` is enough where the environment has the secret."""
    settings = testing.settings()
    monkeypatch.chdir(settings.folder)
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["for tests only"]')
    monkeypatch.setenv("CONSENT_SERVICES", '{"matomo-cloud": {}}')
    app = Starlette(routes=[Route("/", lambda request: HTMLResponse("<!doctype html><body><p>Hello"))])
    app.add_middleware(ConsentMiddleware)
    with TestClient(app, base_url="https://testserver") as client:
        assert 'id="cst"' in client.get("/").text
        assert testing.grant(client, "matomo-cloud").json()["status"] == "given"


def test_explicit_settings_raise_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in settings given as an argument is an exception where they are given."""
    settings = testing.settings(services={"no-such-service": {}})
    with pytest.raises(ConfigurationError, match="no-such-service"):
        ConsentMiddleware(page_app, settings=settings)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[], ConsentMiddleware]:
    """Return a function that builds the middleware from an environment without a secret."""

    def build() -> ConsentMiddleware:
        monkeypatch.chdir(testing.settings().folder)
        monkeypatch.delenv("CONSENT_SECRET_KEYS", raising=False)
        return ConsentMiddleware(page_app)

    return build


def test_a_test_client_is_told(broken: Callable[[], ConsentMiddleware]) -> None:
    """A site's own tests end with the configuration error, and do not wait for ever."""
    with pytest.raises(ConfigurationError, match="CONSENT_SECRET_KEYS"), TestClient(broken()):
        pass


def test_implicit_settings_do_not_raise(
    broken: Callable[[], ConsentMiddleware], caplog: pytest.LogCaptureFixture, ask: Ask
) -> None:
    """A mistake in the environment is kept: the lifespan fails, HTTP answers 503, the log has one line."""
    middleware = broken()
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert "CONSENT_SECRET_KEYS: no secret to sign cookies with. Set it to" in caplog.text
    (failed,) = lifespan(middleware, "startup", fails=True)
    assert failed["type"] == "lifespan.startup.failed"
    assert "CONSENT_SECRET_KEYS" in failed["message"]
    answer = ask(middleware)
    assert answer.status == 503
    assert b"Night ferry" not in answer.body
    assert b"SECRET" not in answer.body
    assert len(caplog.records) == 1
