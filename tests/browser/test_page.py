"""Serve small pages of our own making to a real browser: order of revival, policies, caches, fragments."""

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
HEAD = "<!doctype html><html lang=en><head><meta charset=utf-8><title>t</title>"


def trackers() -> Starlette:
    """Return third parties: a script that says its name, slowly if asked to, and a frame."""

    async def script(request: Request) -> Response:
        name = request.path_params["name"]
        return PlainTextResponse(f"(window.ran = window.ran || []).push('{name}');", media_type="text/javascript")

    async def frame(request: Request) -> Response:
        return HTMLResponse("<!doctype html><p>frame")

    return Starlette(routes=[Route("/{name}.js", script), Route("/frame", frame)])


def guarded(page: Callable[[Request], Response], port: int) -> ASGIApp:
    """Return a site of one page behind consent, with one third party for each of two purposes."""
    app = Starlette(routes=[Route("/", page), Route("/other", page)])
    services = {
        "stats": {"title": "Stats", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["stats.localhost"]},
        "video": {"title": "Video", "provider": "Video Ltd", "purpose": "media", "hosts": ["video.localhost"]},
    }
    services["stats"]["patterns"] = ["statsNow("]
    made = site(services=services, undeclared="hold", origins=("http://site.localhost",))
    return ConsentMiddleware(app, site=made)


def open_site(
    serve: Serve, window: Open, page: Callable[[int], Callable[[Request], Response]], *, script: bool
) -> Window:
    """Serve a site and its third parties, and open a window on it."""
    tracker_port = serve(trackers())
    port = serve(guarded(page(tracker_port), tracker_port))
    return window(f"http://site.localhost:{port}", script=script)


def press(visitor: Window, value: str) -> None:
    """Press a button of the banner."""
    visitor.choose(visitor.page.locator(f'#cst button[value="{value}"]'))


def test_scripts_come_back_in_document_order(serve: Serve, window: Open) -> None:
    """After a yes external and inline scripts run as they stand in the page, each once, data blocks never."""

    def page(port: int) -> Callable[[Request], Response]:
        at = f"http://stats.localhost:{port}"
        body = f"""{HEAD}<script src="{at}/first.js"></script></head><body>
        <script>(window.ran = window.ran || []).push('second'); function statsNow() {{}} statsNow();</script>
        <script type="application/json">{{"statsNow(": 1}}</script>
        <script src="{at}/third.js" defer></script>
        <script data-consent="analytics">window.ran.push('fourth');</script>
        <script data-consent="media">window.ran.push('fifth');</script>
        <script>window.own = true;</script></body>"""
        return lambda request: HTMLResponse(body)

    visitor = open_site(serve, window, page, script=True)
    visitor.open("/")
    assert visitor.page.evaluate("[window.ran, window.own]") == [None, True]
    visitor.page.evaluate("window.stayed = true")
    press(visitor, "accept_all")
    assert visitor.page.evaluate("window.stayed"), "the page was reloaded"
    assert visitor.page.evaluate("window.ran") == ["first", "second", "third", "fourth", "fifth"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_policy_of_the_page_is_narrowed_and_widened(serve: Serve, window: Open, script: bool) -> None:
    """The browser itself denies a script that the page adds later; after a yes the page comes anew and may load it."""

    def page(port: int) -> Callable[[Request], Response]:
        policy = f"script-src 'self' 'nonce-abc' http://stats.localhost:{port}; frame-src http://video.localhost:{port}"
        body = f"""{HEAD}</head><body><script nonce="abc">
        const late = document.createElement('script');
        late.src = 'http://' + 'stats' + '.localhost:' + {port} + '/late.js';
        document.body.append(late);</script><iframe src="http://video.localhost:{port}/frame"></iframe></body>"""
        return lambda request: HTMLResponse(body, headers={"Content-Security-Policy": policy})

    visitor = open_site(serve, window, page, script=script)
    visitor.open("/")
    assert visitor.foreign_hosts <= {"stats.localhost"}, "what was added may be tried, and is denied"
    if script:
        assert visitor.page.evaluate("window.ran") is None
        assert any("Content Security Policy" in problem for problem in visitor.problems)
    visitor.forget()
    press(visitor, "accept_all")
    assert "video.localhost" in visitor.foreign_hosts
    if script:
        assert visitor.page.evaluate("window.ran") == ["late"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_page_that_has_not_changed_after_a_withdrawal(serve: Serve, window: Open, script: bool) -> None:
    """The app says 304 whenever it can; after a withdrawal the browser still gets the page gated."""
    answered = []

    def page(port: int) -> Callable[[Request], Response]:
        body = f'{HEAD}</head><body><iframe src="http://video.localhost:{port}/frame"></iframe></body>'

        def answer(request: Request) -> Response:
            tag = '"always-the-same"'
            known = request.headers.get("if-none-match") == tag
            answered.append(304 if known else 200)
            return (
                Response(status_code=304, headers={"ETag": tag}) if known else HTMLResponse(body, headers={"ETag": tag})
            )

        return answer

    visitor = open_site(serve, window, page, script=script)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.open("/")
    visitor.open("/")
    assert 304 in answered, "the browser's own copy was never confirmed"
    visitor.page.locator(".cst-link a").click()
    visitor.choose(visitor.page.locator('button[value="withdraw"]'))
    visitor.forget()
    visitor.open("/")
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.settle()
    assert visitor.foreign == []


def test_a_frame_that_was_allowed_is_not_filled_from_history(serve: Serve, window: Open) -> None:
    """Two frames, one of them withdrawn: going back fills neither with the other's address, nor with its own."""

    def page(port: int) -> Callable[[Request], Response]:
        body = f"""{HEAD}</head><body><iframe src="http://video.localhost:{port}/frame"></iframe>
        <iframe src="http://stats.localhost:{port}/frame"></iframe></body>"""
        return lambda request: HTMLResponse(body)

    visitor = open_site(serve, window, page, script=False)
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.open("/other")
    visitor.page.locator(".cst-link a").click()
    visitor.page.locator('input[name="purpose"][value="media"]').uncheck(force=True)
    visitor.choose(visitor.page.locator('button[value="save"]'))
    visitor.forget()
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.settle()
    assert "/other" in visitor.page.url
    assert visitor.foreign_hosts == {"stats.localhost"}


@pytest.mark.parametrize("place", ["http://evil.localhost:{port}/x", "/upload", "javascript:window.hit=1"])
def test_a_link_in_a_pages_own_text_opens_the_choices_alone(serve: Serve, window: Open, place: str) -> None:
    """Text written by users may carry `data-consent-open`: what it links to is never made a part of the page."""

    async def attack(request: Request) -> Response:
        return HTMLResponse(
            '<h2>x</h2><img src="x" onerror="window.hit=1">', headers={"Access-Control-Allow-Origin": "*"}
        )

    evil = serve(Starlette(routes=[Route("/x", attack)]))

    def page(port: int) -> Callable[[Request], Response]:
        link = f'<a id="link" data-consent-open href="{place.format(port=evil)}">read on</a>'
        return lambda request: HTMLResponse(f"{HEAD}</head><body>{link}</body>")

    app = Starlette(routes=[Route("/", page(evil)), Route("/upload", attack)])
    made = site(services={"stats": {"purpose": "analytics", "hosts": ["stats.localhost"]}}, undeclared="hold")
    visitor = window(f"http://site.localhost:{serve(ConsentMiddleware(app, site=made))}")
    visitor.open("/")
    visitor.page.locator("#link").click()
    visitor.settle()
    visitor.page.locator("dialog h2").wait_for()
    assert visitor.page.evaluate("window.hit") is None
    assert visitor.page.locator("dialog img").count() == 0
