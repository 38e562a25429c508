"""Put nginx's own cache between visitors and a site, on loopback."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware
from consent.site import Site
from tests.caches import nginx
from tests.conftest import PAGE, MakeSite

pytestmark = pytest.mark.skipif(not nginx.is_there(), reason="optional, see README: there is no nginx here")

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"
NAVIGATION = {"sec-fetch-dest": "document", "accept": "text/html,*/*;q=0.8"}
COOKIE, COMPANION = "consent", "consent-bits"
IGNORES = "proxy_ignore_headers Vary;"
"""Makes nginx serve one page to everybody whatever it varies by."""
Reader = Callable[[], httpx2.Client]


class Door:
    """Stand where the middleware is put, and count what reaches the site."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] == "http":
            self.asked.append(scope["path"])
        await self.app(scope, receive, send)


def news(*, cache_control: str) -> ASGIApp:
    """Return a site of articles with tags and dates, which says 304 wherever it can."""

    async def article(request: Request) -> Response:
        own = {"etag": '"v1"', "last-modified": DATE, "cache-control": cache_control}
        tags = request.headers.get("if-none-match", "")
        if tags == '"v1"' or (not tags and request.headers.get("if-modified-since") == DATE):
            return Response(status_code=304, headers=own)
        return Response(PAGE, headers=own, media_type="text/html")

    return Starlette(routes=[Route("/{path:path}", article)])


class Network:
    """Hold a site behind nginx, with readers who have cookie jars of their own."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self.door = door
        self.reader = reader

    def install(self, app: ASGIApp, site: Site) -> None:
        """Put the middleware in front of the app."""
        self.door.app = ConsentMiddleware(app, site=site)


MakeNetwork = Callable[..., Network]


@pytest.fixture
def network(serve: Callable[[ASGIApp], int], tmp_path: Path) -> Iterator[MakeNetwork]:
    """Return a function that puts nginx in front of an app."""
    with ExitStack() as stack:

        def make(app: ASGIApp, *, more: str = "") -> Network:
            door = Door(app)
            port = stack.enter_context(nginx.cache(serve(door), folder=tmp_path, more=more))
            address = f"http://127.0.0.1:{port}"
            return Network(door, lambda: stack.enter_context(httpx2.Client(base_url=address, headers=NAVIGATION)))

        yield make


def site_of(make_site: MakeSite, cache: str) -> Site:
    """Return a site whose cookies travel over plain HTTP."""
    return make_site(cache=cache, insecure_cookies=True, origins=())


def answer(reader: httpx2.Client, choice: str) -> None:
    """Answer as the script does."""
    notice = reader.get("/privacy/state").json()["notice"]
    assert reader.post("/privacy/choices", json={"choice": choice, "notice": notice}).status_code == 200


def held(page: str) -> bool:
    """Tell whether a page keeps the statistics script back."""
    assert "stats.meridian-metrics.example" in page
    return 'data-consent-src="https://stats.meridian-metrics.example/s.js"' in page


@pytest.mark.parametrize("more", ["", IGNORES], ids=["honours everything", "ignores Vary"])
def test_private_pages_are_not_kept(network: MakeNetwork, make_site: MakeSite, more: str) -> None:
    """In private mode nginx keeps no page, however public the app called it, and hands none to anybody else."""
    app = news(cache_control="public, max-age=600")
    between = network(app, more=more)
    between.install(app, site_of(make_site, "private"))
    agreed, undecided, refused = between.reader(), between.reader(), between.reader()
    answer(agreed, "accept_all")
    answer(refused, "reject_all")
    for _ in range(2):
        for reader, gated, asked in ((agreed, False, False), (undecided, True, True), (refused, True, False)):
            response = reader.get("/article")
            assert response.headers["x-cache-status"] != "HIT"
            assert (held(response.text), 'id="cst"' in response.text) == (gated, asked)
            # nginx passes no condition on where it might keep the answer.
            again = reader.get("/article", headers={"if-none-match": response.headers["etag"]})
            assert again.content == response.content
    stale = agreed.get("/article").headers["etag"]
    answer(agreed, "withdraw")
    response = agreed.get("/article", headers={"if-none-match": stale})
    assert (response.status_code, held(response.text)) == (200, True)


@pytest.mark.parametrize("more", ["", IGNORES], ids=["honours everything", "ignores Vary"])
def test_one_page_is_kept_for_everybody(network: MakeNetwork, make_site: MakeSite, more: str) -> None:
    """In shared mode the site is asked once; everybody gets the same bytes, and nobody a cookie with them."""
    app = news(cache_control="public, max-age=600")
    between = network(app, more=more)
    between.install(app, site_of(make_site, "shared"))
    agreed, undecided, refused = between.reader(), between.reader(), between.reader()
    answer(agreed, "accept_all")
    answer(refused, "reject_all")
    between.door.asked.clear()
    pages = []
    for reader in (agreed, undecided, refused, agreed):
        response = reader.get("/article")
        assert "set-cookie" not in response.headers
        pages.append(response.content)
        assert reader.get("/article", headers={"if-none-match": response.headers["etag"]}).status_code == 304
    assert between.door.asked == ["/article"]
    assert len(set(pages)) == 1
    assert held(pages[0].decode())
    assert set(agreed.cookies) == {COOKIE, COMPANION}
    assert set(undecided.cookies) == set()


@pytest.mark.parametrize("cache", ["private", "shared"])
def test_a_page_from_before_the_middleware(network: MakeNetwork, make_site: MakeSite, cache: str) -> None:
    """What nginx kept of the bare site is asked for again once it is stale, and does not come back by a 304."""
    app = news(cache_control="public, max-age=1")
    between = network(app)
    early = between.reader()
    before = early.get("/article")
    assert not re.search("data-consent", before.text)
    between.install(app, site_of(make_site, cache))
    deadline = time.monotonic() + 20
    while not between.door.asked[1:]:
        assert time.monotonic() < deadline, "nginx never asked again"
        after = early.get("/article", headers={"if-none-match": before.headers["etag"], "if-modified-since": DATE})
        time.sleep(0.2)
    assert after.status_code == 200
    assert held(after.text)
    for condition in ({"if-modified-since": DATE}, {"if-none-match": '"v1"'}, {"range": "bytes=0-9"}):
        again = early.get("/article", headers=condition)
        assert again.status_code == 200 or (again.status_code, "range" in condition) == (206, True)
        assert condition.get("range") or held(again.text)


def test_a_stale_page_is_confirmed_for_everybody(network: MakeNetwork, make_site: MakeSite) -> None:
    """When a shared page goes stale, one 304 of the app's freshens it for all, whoever happened to ask."""
    app = news(cache_control="public, max-age=1")
    between = network(app)
    between.install(app, site_of(make_site, "shared"))
    agreed, undecided = between.reader(), between.reader()
    answer(agreed, "accept_all")
    first = undecided.get("/article")
    deadline = time.monotonic() + 20
    while (response := agreed.get("/article")).headers["x-cache-status"] != "REVALIDATED":
        assert time.monotonic() < deadline, "nginx never asked again"
        time.sleep(0.2)
    assert response.content == first.content
    assert "set-cookie" not in response.headers
    assert undecided.get("/article").content == first.content


def test_cookies_of_the_app_keep_a_page_from_everybody(network: MakeNetwork, make_site: MakeSite) -> None:
    """A page that opens a session is its visitor's own, though the app called it public."""

    async def article(request: Request) -> Response:
        return Response(
            PAGE, headers={"set-cookie": "session=1", "cache-control": "max-age=600"}, media_type="text/html"
        )

    app = Starlette(routes=[Route("/{path:path}", article)])
    between = network(app, more="proxy_ignore_headers Set-Cookie;")
    between.install(app, site_of(make_site, "shared"))
    agreed, undecided = between.reader(), between.reader()
    answer(agreed, "accept_all")
    assert not held(agreed.get("/article").text)
    assert held(undecided.get("/article").text)
