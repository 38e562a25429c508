"""Look at the layers a visitor meets, in a real browser: what they cover, how they open, how a yes is taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route as Intercepted
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent import ConsentMiddleware
from consent.testing import site
from tests.browser.conftest import Demo, Window
from tests.shown import STATIC

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
Open = Callable[..., Window]
ARTICLE = "/en/articles/night-ferry"
STRICT = (
    "default-src 'none'; script-src 'nonce-abc'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-src *; require-trusted-types-for 'script'; trusted-types consent"
)
SHIFT = """new Promise((done) => {
  let sum = 0, largest = '';
  new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; })
    .observe({ type: 'layout-shift', buffered: true });
  const placed = (entry) => entry.element?.closest('#cst') ? 'banner' : 'page';
  new PerformanceObserver((list) => { largest = placed(list.getEntries().at(-1)); })
    .observe({ type: 'largest-contentful-paint', buffered: true });
  setTimeout(() => done([sum, largest]), 500);
})"""


def press(visitor: Window, value: str, *, layer: str = "#cst") -> None:
    """Press a button that answers."""
    visitor.choose(visitor.page.locator(f'{layer} button[value="{value}"]'))


def open_choices(visitor: Window) -> None:
    """Open the second layer in place."""
    visitor.page.locator("[data-consent-open]:visible").first.click()
    visitor.page.locator("dialog[open] h2").wait_for()


def video_site(serve: Serve, *, headers: dict[str, str] | None = None, many: int = 0, **settings: Any) -> str:
    """Serve a page with one frame of another company, and return its address."""

    async def frame(request: Request) -> Response:
        return HTMLResponse("<!doctype html><p>frame")

    port = serve(Starlette(routes=[Route("/frame", frame)]))
    body = f"""<!doctype html><html lang=en><head><meta charset=utf-8><title>t</title></head><body>
    <p>Before.</p><iframe src="http://video.localhost:{port}/frame" width="400" height="300"></iframe><p>After.</p>"""

    async def page(request: Request) -> Response:
        return HTMLResponse(body, headers=headers)

    services: dict[str, Any] = {
        "video": {
            **{"title": "Video", "provider": "Video Ltd", "purpose": "media", "hosts": ["video.localhost"]},
            **{"storage": ["video.*", "indexeddb:video-*"]},
        }
    }
    services |= {
        f"other-{n}": {
            "title": f"Other {n}",
            "provider": "Other Ltd",
            "purpose": "analytics",
            "hosts": [f"o{n}.example"],
        }
        for n in range(many)
    }
    made = site(services=services, undeclared="hold", origins=("http://site.localhost",), **settings)
    app = Starlette(routes=[Route("/", page), Route("/other", page)])
    return f"http://site.localhost:{serve(ConsentMiddleware(app, site=made))}"


def parked(visitor: Window) -> bool:
    """Tell whether the frame is parked, and its placeholder is there."""
    held = visitor.page.locator("iframe[data-consent-service]").count()
    assert held == visitor.page.locator("[data-cst-for]").count()
    return held == 1


@pytest.mark.parametrize("large", [False, True], ids=["text", "large-text"])
def test_the_banner_covers_a_third_at_most(demo: Demo, window: Open, large: bool) -> None:
    """On 320 by 640, a third of the screen, with text at 200 % two thirds; all three answers are in view."""
    visitor = window(demo.site)
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    if large:
        visitor.page.add_init_script(
            "addEventListener('DOMContentLoaded', () => { document.documentElement.style.fontSize = '200%'; })"
        )
    visitor.open(ARTICLE)
    covered, seen = visitor.page.evaluate(
        """() => [document.querySelector('#cst').getBoundingClientRect().height,
        [...document.querySelectorAll('#cst button')].filter((b) => {
          const r = b.getBoundingClientRect();
          return r.top >= 0 && r.bottom <= innerHeight && b.contains(document.elementFromPoint(r.x + 9, r.y + 9));
        }).length]"""
    )
    assert covered <= (640 * 2 if large else 640) / 3 + 1
    assert seen == 3
    assert visitor.page.evaluate("document.querySelector('#cst').scrollWidth") <= 320


def test_the_banner_shifts_nothing_and_is_not_the_largest_paint(demo: Demo, window: Open) -> None:
    """Neither banner nor script move the article, and the largest thing painted is the article's."""
    visitor = window(demo.site, size="phone")
    visitor.open(ARTICLE)
    shifted, largest = visitor.page.evaluate(SHIFT)
    assert shifted == 0
    assert largest == "page"


def test_the_banner_never_hides_what_has_the_focus(demo: Demo, window: Open) -> None:
    """Tab through a whole article: no focused element of the page lies wholly under the banner."""
    visitor = window(demo.site, size="phone")
    visitor.open(ARTICLE)
    first = visitor.page.evaluate("document.body.firstElementChild.nextElementSibling.id")
    assert first == "cst", "first in the page, after its style sheet"
    reached = 0
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        top = visitor.page.evaluate(
            """() => { const on = document.activeElement; if (on === document.body) return null;
            if (on.closest('#cst')) return -1;
            return on.getBoundingClientRect().top - document.querySelector('#cst').getBoundingClientRect().top; }"""
        )
        if top is None:
            break
        assert top < 0
        reached += 1
    assert reached > 20


def test_it_says_how_much_is_held_back(demo: Demo, window: Open) -> None:
    """With the script the banner counts the parked items of the page, and the companies they come from."""
    visitor = window(demo.site)
    visitor.open(ARTICLE)
    items = visitor.page.locator("[data-consent-service]").count()
    line = visitor.page.locator(".cst-held").inner_text()
    assert line == f"Held back on this page: {items}. Companies: 7."


def test_the_second_layer_opens_in_place(demo: Demo, window: Open) -> None:
    """It is a modal dialog with a name; Escape, the back button and its own button leave it, and are no answer."""
    visitor = window(demo.site)
    visitor.open(ARTICLE)
    page = visitor.page
    leaves: list[Callable[[], object]] = [
        lambda: page.keyboard.press("Escape"),
        lambda: page.go_back(),
        lambda: page.locator("dialog .cst-plain").click(),
    ]
    for leave in leaves:
        open_choices(visitor)
        assert page.get_by_role("dialog", name="Your privacy choices").is_visible()
        assert page.evaluate("document.activeElement.id") == "cst-heading"
        assert page.locator("dialog input:checked").count() == 0
        leave()
        page.wait_for_function("!document.querySelector('dialog').open && !history.state?.cst")
        assert ARTICLE in page.url
        assert page.evaluate("document.activeElement.hasAttribute('data-consent-open')"), "the focus goes back"
    assert page.locator("#cst").is_visible()
    assert visitor.cookie_names == set()
    assert visitor.problems == []


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_answering_moves_nothing(demo: Demo, window: Open, size: str) -> None:
    """From before the banner until after a refusal no part of the page moves, not even where moving is forgiven."""
    visitor = window(demo.site, size=size)
    visitor.page.add_init_script(
        "window.moved = []; new PerformanceObserver((list) => window.moved.push(...list.getEntries().map((one) =>"
        " one.value))).observe({ type: 'layout-shift', buffered: true })"
    )
    visitor.open("/en/")
    visitor.page.evaluate("window.stayed = true")
    press(visitor, "reject_all")
    assert visitor.page.locator("#cst").count() == 0
    assert visitor.page.evaluate("window.stayed")
    assert visitor.page.locator(".cst-link a").is_visible()
    assert visitor.page.evaluate("window.moved") == []


def test_what_is_chosen_in_the_dialog_starts_without_a_reload(demo: Demo, window: Open) -> None:
    """Save one purpose in the dialog: the page stays, and only that starts."""
    visitor = window(demo.site)
    visitor.open(ARTICLE)
    visitor.page.evaluate("window.stayed = true")
    open_choices(visitor)
    visitor.page.locator('dialog input[name="purpose"][value="analytics"]').check(force=True)
    press(visitor, "save", layer="dialog")
    assert visitor.page.evaluate("window.stayed")
    assert visitor.foreign_hosts == {"stats.localhost"}
    assert visitor.page.locator("#cst, dialog[open]").count() == 0
    assert visitor.page.evaluate("document.activeElement.closest('.cst-link') !== null")


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_placeholder_is_as_large_as_what_it_stands_for(demo: Demo, window: Open, size: str) -> None:
    """Loading the embeds moves nothing: each takes exactly the room its placeholder had."""
    visitor = window(demo.site, size=size)
    visitor.open(ARTICLE)
    measure = """(selector) => [...document.querySelectorAll(selector)].map((node) => {
      const { width, height } = node.getBoundingClientRect(); return [Math.round(width), Math.round(height)]; })"""
    before = visitor.page.evaluate(measure, "[data-cst-for]")
    press(visitor, "accept_all")
    after = visitor.page.evaluate(measure, ".embed > iframe.video, .support > iframe")
    assert len(before) == 2
    assert before == after


def test_a_withdrawn_embed_is_parked_again_in_place(serve: Serve, window: Open) -> None:
    """Accept, withdraw in the dialog: the placeholder is back, the page stays, what cannot be deleted is said."""
    visitor = window(video_site(serve))
    visitor.open("/")
    visitor.page.evaluate("window.stayed = true")
    press(visitor, "accept_all")
    assert not parked(visitor)
    assert visitor.foreign_hosts == {"video.localhost"}
    open_choices(visitor)
    press(visitor, "withdraw", layer="dialog")
    assert visitor.page.evaluate("window.stayed"), "the page was reloaded"
    assert parked(visitor)
    assert visitor.page.locator("dialog[open]").get_by_text("Video Ltd").first.is_visible()
    assert visitor.page.evaluate("window.consent.allows('video')") is False
    visitor.forget()
    visitor.open("/other")
    assert parked(visitor)
    assert visitor.foreign == []


def test_one_service_is_always_loaded(serve: Serve, window: Open) -> None:
    """The placeholder's second button grants that service for good, in place, and leaves the rest to be asked."""
    visitor = window(video_site(serve, many=2))
    visitor.open("/")
    visitor.choose(visitor.page.locator("[data-cst-for] button", has_text="Always load"))
    assert visitor.foreign_hosts == {"video.localhost"}
    assert visitor.page.locator("#cst").is_visible()
    visitor.open("/other")
    assert visitor.page.locator("iframe[data-consent-service]").count() == 0
    assert visitor.page.locator("#cst").is_visible()


def test_storage_of_a_withdrawn_service_is_cleared(serve: Serve, window: Open) -> None:
    """Keys in both storages and databases go, by name and by pattern; what is not the service's stays."""
    visitor = window(video_site(serve))
    visitor.open("/")
    press(visitor, "accept_all")
    visitor.page.evaluate(
        """async () => { localStorage['video.a'] = localStorage.mine = sessionStorage['video.b'] = '1';
        for (const name of ['video-1', 'own']) await new Promise((done) => {
          indexedDB.open(name).onsuccess = (event) => { event.target.result.close(); done(); }; }); }"""
    )
    open_choices(visitor)
    press(visitor, "withdraw", layer="dialog")
    visitor.page.wait_for_function("async () => (await indexedDB.databases()).map((one) => one.name).join() === 'own'")
    assert visitor.page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == ["mine"]


def test_other_tabs_learn_of_a_choice(serve: Serve, window: Open) -> None:
    """A yes loads in both tabs, a withdrawal parks in both, and of two answers at once the later one holds in both."""
    first = window(video_site(serve))
    first.open("/")
    page = first.context.new_page()
    page.goto(first.site + "/other")
    second = Window(page, first.site)
    press(first, "accept_all")
    page.wait_for_function("!document.querySelector('#cst') && !document.querySelector('[data-cst-for]')")
    open_choices(second)
    press(second, "withdraw", layer="dialog")
    first.page.wait_for_function("document.querySelector('[data-cst-for]')")
    assert parked(first)
    for tab in (first, second):
        tab.page.keyboard.press("Escape")
        open_choices(tab)
    press(first, "accept_all", layer="dialog")
    press(second, "reject_all", layer="dialog")
    for tab in (first, second):
        tab.page.wait_for_function("!window.consent.allows('video')")
        tab.open("/")
        assert parked(tab)


def test_a_strict_policy_is_kept(serve: Serve, window: Open) -> None:
    """Banner, dialog, saving, loading and withdrawing cause no violation under nonces and Trusted Types."""
    visitor = window(video_site(serve, headers={"Content-Security-Policy": STRICT}))
    visitor.open("/")
    assert visitor.page.evaluate("getComputedStyle(document.querySelector('#cst')).position") == "fixed"
    open_choices(visitor)
    press(visitor, "accept_all", layer="dialog")
    assert visitor.foreign_hosts == {"video.localhost"}
    open_choices(visitor)
    press(visitor, "withdraw", layer="dialog")
    assert parked(visitor)
    assert visitor.problems == []


def test_with_script_and_style_blocked_the_link_still_works(serve: Serve, window: Open) -> None:
    """A content blocker that takes our files away leaves everything parked, and every form and link at work."""
    visitor = window(video_site(serve))

    def block(route: Intercepted) -> None:
        route.abort()

    visitor.page.route("**/privacy/assets/*", block)
    visitor.page.goto(visitor.site + "/")
    assert parked(visitor)
    visitor.page.locator("#cst [data-consent-open]").click()
    visitor.page.wait_for_url(re.compile("/privacy/choices"))
    visitor.page.locator('button[value="reject_all"]').click()
    visitor.page.goto(visitor.site + "/")
    assert visitor.page.locator("#cst").count() == 0
    visitor.page.locator(".cst-link a").click()
    visitor.page.wait_for_url(re.compile("/privacy/choices"))
    assert visitor.foreign == []


def test_sixty_services_can_be_searched(serve: Serve, window: Open) -> None:
    """The search narrows the list, opens what it finds, says how many there are, and changes no answer."""
    visitor = window(video_site(serve, many=60))
    visitor.open("/")
    open_choices(visitor)
    visitor.page.locator('dialog input[name="purpose"][value="media"]').check(force=True)
    visitor.page.locator("#cst-find").fill("other 42")
    assert visitor.page.locator("dialog .cst-service:visible h4").all_inner_texts() == ["Other 42"]
    assert visitor.page.locator("dialog .cst-search [role=status]").inner_text() == "Services found: 1"
    visitor.page.locator("#cst-find").press("Enter")
    assert visitor.cookie_names == set()
    press(visitor, "save", layer="dialog")
    assert visitor.foreign_hosts == {"video.localhost"}


@pytest.mark.parametrize(
    ("cookie", "signal", "loaded", "asked"),
    [
        ("", False, [], True),
        ("c0ffee.11", False, ["stats", "ads"], False),
        ("c0ffee.11", True, ["stats"], False),
        ("c0ffee.00", False, [], False),
        ("facade.11", False, ["stats"], False),
    ],
    ids=["none", "granted", "signal", "refused", "other-notice"],
)
def test_a_page_for_everybody_learns_from_the_readable_cookie(
    serve: Serve, window: Open, cookie: str, signal: bool, loaded: list[str], asked: bool
) -> None:
    """Hide the banner and bring back what the cookie's bits allow; under another digest ask the server once."""
    body = """<!doctype html><meta charset=utf-8><title>t</title><section id=cst>?</section>
    <nav class=cst-link><a href=/privacy/choices>Choices</a></nav>
    <script src=/consent.js defer data-prefix=/privacy data-status=unknown data-allowed=necessary
      data-companion="cst-seen c0ffee stats ads!"></script>
    <script type=text/plain data-consent-service=stats>(window.ran = window.ran || []).push('stats')</script>
    <script type=text/plain data-consent-service=ads>(window.ran = window.ran || []).push('ads')</script>"""
    states = []

    async def page(request: Request) -> Response:
        return HTMLResponse(body)

    async def script(request: Request) -> Response:
        return PlainTextResponse((STATIC / "consent.js").read_text(), media_type="text/javascript")

    async def state(request: Request) -> Response:
        states.append(request)
        return Response(
            '{"status": "given", "answered": true, "allowed": ["necessary", "stats"], "storage": []}',
            media_type="application/json",
        )

    routes = [Route("/", page), Route("/consent.js", script), Route("/privacy/state", state)]
    visitor = window(f"http://site.localhost:{serve(Starlette(routes=routes))}")
    if signal:
        visitor.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { get: () => true })")
    if cookie:
        visitor.context.add_cookies([{"name": "cst-seen", "value": cookie, "url": visitor.site}])
    visitor.open("/")
    assert (visitor.page.evaluate("window.ran") or []) == loaded
    assert (visitor.page.locator("#cst").count() == 1) is asked
    assert len(states) == (1 if cookie.startswith("facade") else 0)
