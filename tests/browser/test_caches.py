"""Browse pages that caches keep: back and forward, from the browser's own cache, and with the companion cookie."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent import ConsentMiddleware
from consent.testing import site
from tests.browser.conftest import Window

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
Open = Callable[..., Window]
CHOICE, COMPANION = "__Host-consent", "__Host-consent-bits"
TRACKERS = {"stats.localhost", "ads.localhost", "video.localhost"}
with_and_without_script = pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
both_modes = pytest.mark.parametrize("cache", ["private", "shared"])


class Paper:
    """Serve a paper of a few cacheable pages with three third parties, and count what is asked of it."""

    def __init__(self, serve: Serve, *, cache: str, policy: bool = False) -> None:
        self.asked: list[str] = []
        at = serve(Starlette(routes=[Route("/x.js", _script), Route("/frame", _frame)]))
        sources = " ".join(f"http://{host}:{at}" for host in sorted(TRACKERS))
        own = {"Cache-Control": "public, max-age=600", "ETag": '"v1"'}
        if policy:
            own["Content-Security-Policy"] = f"script-src 'self' {sources}; frame-src {sources}"

        async def page(request: Request) -> Response:
            self.asked.append(request.url.path)
            if request.headers.get("if-none-match") == '"v1"':
                return Response(status_code=304, headers=own)
            language = "uk" if request.url.path == "/uk" else "en"
            body = f"""<!doctype html><html lang={language}><head><meta charset=utf-8><title>t</title>
            <link rel=icon href=data:,>
            <script src="http://stats.localhost:{at}/x.js"></script></head><body><a href="/other">next</a>
            <script data-consent="marketing" src="http://ads.localhost:{at}/x.js"></script>
            <iframe src="http://video.localhost:{at}/frame"></iframe></body></html>"""
            return HTMLResponse(body, headers=own)

        routes = [Route(path, page) for path in ("/", "/other", "/uk")]
        services = {
            name: {"title": name, "provider": f"{name} Ltd", "purpose": purpose, "hosts": [f"{name}.localhost"]}
            for name, purpose in (("stats", "analytics"), ("ads", "marketing"), ("video", "media"))
        }
        made = site(
            cache=cache,
            services=services,
            undeclared="hold",
            origins=("http://site.localhost",),
            languages=("en", "uk"),
        )
        self.port = serve(ConsentMiddleware(Starlette(routes=routes), site=made))

    def window(self, window: Open, *, script: bool = True) -> Window:
        """Open a window on the paper."""
        return window(f"http://site.localhost:{self.port}", script=script)


async def _script(request: Request) -> Response:
    return PlainTextResponse("window.ran = (window.ran || 0) + 1;", media_type="text/javascript")


async def _frame(request: Request) -> Response:
    return HTMLResponse("<!doctype html><p>frame")


def press(visitor: Window, value: str) -> None:
    """Press a button of the banner."""
    visitor.choose(visitor.page.locator(f'#cst button[value="{value}"]'))


def take_back(visitor: Window) -> None:
    """Withdraw everything on the choices page."""
    visitor.page.goto(f"{visitor.site}/privacy/choices")
    visitor.choose(visitor.page.locator('button[value="withdraw"]'))


def test_a_shared_page_brings_back_what_was_granted(serve: Serve, window: Open) -> None:
    """First visit, yes, second visit: the page comes out of the browser's cache, asks nobody, and loads what may."""
    paper = Paper(serve, cache="shared")
    visitor = paper.window(window)
    visitor.open("/")
    assert visitor.page.locator("#cst").is_visible()
    assert (visitor.foreign, visitor.cookie_names) == ([], set())
    press(visitor, "accept_all")
    assert visitor.foreign_hosts == TRACKERS
    assert visitor.cookie_names == {CHOICE, COMPANION}
    for path, asked in (("/other", 1), ("/", 0), ("/other", 0)):
        visitor.forget()
        paper.asked.clear()
        with visitor.page.expect_request(lambda request: "stats.localhost" in request.url):
            visitor.page.goto(visitor.site + path)
        visitor.settle()
        assert visitor.foreign_hosts == TRACKERS
        assert not visitor.page.locator("#cst").is_visible()
        assert visitor.page.locator(".cst-link a").is_visible()
        assert visitor.page.evaluate("window.ran") == 2, "each script runs once"
        assert len(paper.asked) == asked
    assert visitor.problems == []


def test_a_shared_page_under_a_policy(serve: Serve, window: Open) -> None:
    """A page's own policy lets in what is granted, though the page in the cache was made for somebody who had not."""
    paper = Paper(serve, cache="shared", policy=True)
    visitor = paper.window(window)
    visitor.open("/")
    assert visitor.foreign == []
    press(visitor, "accept_all")
    visitor.forget()
    visitor.open("/")
    assert visitor.foreign_hosts == TRACKERS
    assert visitor.problems == []


def test_a_shared_page_in_another_language(serve: Serve, window: Open) -> None:
    """An answer to the English banner holds on the Ukrainian page, and the server is not asked about it."""
    paper = Paper(serve, cache="shared")
    visitor = paper.window(window)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.forget()
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.open("/uk")
    assert visitor.foreign_hosts == TRACKERS
    assert not any("/privacy/state" in address for address in asked)


def test_a_shared_page_after_a_refusal(serve: Serve, window: Open) -> None:
    """A no hides the banner on every page out of the cache, and loads nothing."""
    visitor = Paper(serve, cache="shared").window(window)
    visitor.open("/")
    press(visitor, "reject_all")
    for path in ("/other", "/"):
        visitor.open(path)
        assert not visitor.page.locator("#cst").is_visible()
        assert visitor.page.locator(".cst-link a").is_visible()
    assert visitor.foreign == []


def test_a_shared_page_with_the_opt_out_signal(serve: Serve, window: Open) -> None:
    """What was granted and then objected to by Global Privacy Control does not load from a page in the cache."""
    visitor = Paper(serve, cache="shared").window(window)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { get: () => true })")
    visitor.forget()
    visitor.open("/")
    assert visitor.foreign_hosts == TRACKERS - {"ads.localhost"}


def test_a_companion_of_another_day(serve: Serve, window: Open) -> None:
    """Where the digest is another, the script asks the server once, and the next page need not."""
    visitor = Paper(serve, cache="shared").window(window)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.page.evaluate(f"document.cookie = '{COMPANION}=0123456789abcdef.0; Path=/; Secure'")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    for count in (1, 1):
        visitor.forget()
        visitor.open("/")
        assert visitor.foreign_hosts == TRACKERS
        assert not visitor.page.locator("#cst").is_visible()
        assert sum("/privacy/state" in address for address in asked) == count


def test_a_shared_page_without_script(serve: Serve, window: Open) -> None:
    """Without JavaScript everything stays parked and the banner stays, whatever was answered."""
    visitor = Paper(serve, cache="shared").window(window, script=False)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.open("/other")
    assert visitor.page.locator("#cst").is_visible()
    assert visitor.foreign == []


@both_modes
@with_and_without_script
def test_pages_in_caches_after_a_withdrawal(serve: Serve, window: Open, cache: str, script: bool) -> None:
    """Neither going back and forth, nor visiting, nor reloading brings back what was withdrawn."""
    visitor = Paper(serve, cache=cache).window(window, script=script)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.open("/other")
    visitor.open("/")
    opened = TRACKERS if script else {"video.localhost"} if cache == "private" else set()
    assert visitor.foreign_hosts == opened
    take_back(visitor)
    visitor.forget()
    for step in ("goto /other", "goto /", "back", "back", "back", "reload"):
        action, _, path = step.partition(" ")
        if action == "goto":
            visitor.page.goto(visitor.site + path)
        elif action == "back":
            visitor.page.go_back()
        elif action == "forward":
            visitor.page.go_forward()
        else:
            visitor.page.reload()
        visitor.settle()
        assert visitor.foreign == [], step
    assert visitor.cookie_names <= {CHOICE, COMPANION}


@both_modes
def test_a_page_that_was_frozen_before_a_withdrawal(serve: Serve, window: Open, cache: str) -> None:
    """A page that comes back alive from the back/forward cache notices the withdrawal made meanwhile."""
    visitor = Paper(serve, cache=cache).window(window)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.open("/other")
    visitor.page.evaluate("addEventListener('pageshow', (event) => { sessionStorage.back = event.persisted })")
    take_back(visitor)
    visitor.forget()
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.settle()
    visitor.page.wait_for_function("!document.querySelector('iframe[src]')")
    assert visitor.foreign == []
    assert "/other" in visitor.page.url
