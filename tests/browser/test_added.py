"""Let a page's own script load from a third party in every way there is, and count what arrives there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent import ConsentMiddleware
from consent.site import Site
from consent.testing import site
from tests.browser.conftest import Window

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
Open = Callable[..., Window]

WAYS = {
    "script": "const s = make('script'); s.src = at; document.body.append(s);",
    "script-inserted-first": "const s = make('script'); document.body.append(s); s.src = at;",
    "script-typed-late": "const s = make('script'); s.src = at; s.type = 'text/javascript'; document.body.append(s);",
    "script-attribute": "const s = make('script'); s.setAttribute('SRC', at); document.head.appendChild(s);",
    "script-attribute-node": """const s = make('script'); const a = document.createAttribute('src'); a.value = at;
        s.setAttributeNode(a); document.body.insertBefore(s, document.body.firstChild);""",
    "script-cloned": """const s = make('script'); const a = document.createAttribute('src'); a.value = at;
        s.setAttributeNode(a); document.body.firstElementChild.before(s.cloneNode());""",
    "script-from-markup": """document.body.append(document.createRange().createContextualFragment(
        `<p><script src='${at}'></script>`));""",
    "image": "window.kept = new Image(); window.kept.src = at;",
    "image-set": "const i = make('img'); i.srcset = `${at} 1x, /own.png 2x`; document.body.prepend(i);",
    "frame": "const f = make('iframe'); f.name = 'mine'; f.src = at; document.body.append(f);",
    "frame-navigated": "const f = make('iframe'); document.body.append(f); f.setAttribute('src', at);",
    "frame-in-a-tree": """const d = make('div'); const f = make('iframe'); f.src = at; d.append(f);
        document.body.replaceChildren(d);""",
    "style-sheet": "const l = make('link'); l.href = at; l.rel = 'stylesheet'; document.head.append(l);",
    "preload": "const l = make('link'); l.rel = 'preload'; l.as = 'image'; l.href = at; document.head.append(l);",
    "video": "const v = make('video'); v.src = at; v.preload = 'auto'; document.body.append(v);",
    "source": """const v = make('video'); const s = make('source'); s.src = at; v.append(s); v.preload = 'auto';
        document.body.append(v);""",
    "object": "const o = make('object'); o.data = at; o.type = 'text/html'; document.body.append(o);",
    "embed": "const e = make('embed'); e.src = at; e.type = 'text/html'; document.body.append(e);",
    "image-in-markup": "document.querySelector('#own').innerHTML = `<img src='${at}'>`;",
    "frame-in-markup": "document.body.insertAdjacentHTML('beforeend', `<iframe src='${at}'></iframe>`);",
    "written": "document.write(`<script src='${at}'><` + '/script>');",
    "sheet-import": "const s = make('style'); s.textContent = `@import '${at}';`; document.head.append(s);",
    "background": "document.body.style.backgroundImage = `url('${at}')`;",
    "fetch": "fetch(at, { mode: 'no-cors' }).catch(() => 0);",
    "request": "const r = new XMLHttpRequest(); r.open('GET', at); r.send();",
    "beacon": "navigator.sendBeacon(at, 'x');",
    "socket": "new WebSocket(at.replace('http', 'ws'));",
    "events": "new EventSource(at);",
    "module": "import(at).catch(() => 0);",
    "worker": "new Worker(URL.createObjectURL(new Blob([`importScripts('${at}')`])));",
}
"""What a script does to load from `at`."""
UNWATCHED = {
    *("written", "sheet-import", "background", "fetch", "request", "beacon", "socket", "events", "module", "worker"),
}
"""What the watching script cannot stop, as docs/gate.md says."""
LATE = {"image-in-markup", "frame-in-markup"}
"""What it stops only if the browser has not asked yet: now this, now that."""


@dataclass
class Tracker:
    """Hold which of the ways have reached a third party."""

    reached: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        """Return the third party."""

        async def take(request: Request) -> Response:
            way = request.path_params["way"]
            self.reached.add(way)
            if way.startswith("script") or way in ("module", "worker", "written"):
                return PlainTextResponse(f"self.ran = (self.ran || []).concat('{way}')", media_type="text/javascript")
            return HTMLResponse("<!doctype html><p>frame")

        return Starlette(routes=[Route("/{way}", take, methods=["GET", "POST"])])


@dataclass
class Place:
    """Hold a window on a site whose own script loads from a tracker."""

    visitor: Window
    tracker: Tracker
    site: Site

    def open(self, way: str = "all") -> set[str]:
        """Open the page on which one way is tried, or all; return which have arrived."""
        self.tracker.reached.clear()
        self.visitor.page.goto(f"{self.visitor.site}/{way}")
        self.visitor.page.wait_for_load_state("load")
        self.visitor.page.wait_for_timeout(700)
        return set(self.tracker.reached)

    def accept(self) -> None:
        """Say yes to everything in the banner."""
        self.tracker.reached.clear()
        self.visitor.choose(self.visitor.page.locator('#cst button[value="accept_all"]'))
        self.visitor.page.wait_for_timeout(500)


@pytest.fixture
def place(serve: Serve, window: Open) -> Callable[..., Place]:
    """Return a function that serves a site with these settings, whose pages come with these headers."""

    def make(*, headers: dict[str, str] | None = None, head: str = "", **settings: Any) -> Place:
        tracker = Tracker()
        at = f"http://stats.localhost:{serve(tracker.app())}"

        async def script(request: Request) -> Response:
            way = request.path_params["way"]
            chosen = WAYS if way == "all" else {way: WAYS[way]}
            steps = [
                f"try {{ const at = {json.dumps(f'{at}/{name}')}; {text} }} catch (error) {{ console.log(error); }}"
                for name, text in chosen.items()
                if way != "all" or name not in ALONE
            ]
            text = "const make = (name) => document.createElement(name);\n" + "\n".join(steps)
            return PlainTextResponse(text, media_type="text/javascript")

        async def page(request: Request) -> Response:
            way = request.path_params["way"]
            markup = (
                f"<!doctype html><html lang=en><head><meta charset=utf-8><title>t</title>"
                f"{head.replace('AT', at)}</head>"
                f"<body><div id=own></div><script nonce=abc src='/own/{way}.js'></script></body></html>"
            )
            return HTMLResponse(markup, headers={k: v.replace("AT", at) for k, v in (headers or {}).items()})

        app = Starlette(routes=[Route("/own/{way}.js", script), Route("/{way}", page)])
        stats = {"title": "Stats", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["stats.localhost"]}
        made = site(
            **({"services": {"stats": stats}, "undeclared": "hold", "origins": ("http://site.localhost",)} | settings)
        )
        port = serve(ConsentMiddleware(app, site=made))
        return Place(window(f"http://site.localhost:{port}"), tracker, made)

    return make


ALONE = frozenset({"written", "frame-in-a-tree"})
"""Ways that leave nothing of the page for others: tried each on a page of its own."""
TOGETHER = frozenset(WAYS) - ALONE


def test_without_csp_and_watching_everything_arrives(place: Callable[..., Place]) -> None:
    """The ways are what they are said to be: each reaches the third party, for no server can see them."""
    made = place()
    assert made.open() == TOGETHER
    assert made.open("written") == {"written"}
    assert made.open("frame-in-a-tree") == {"frame-in-a-tree"}


@pytest.mark.parametrize("watch", [False, True], ids=["plain", "watched"])
def test_a_policy_of_ours_denies_every_way(place: Callable[..., Place], watch: bool) -> None:
    """Before a yes nothing arrives by any way; after it the page comes anew, and everything does."""
    made = place(csp="enforce", watch=watch)
    assert made.open("written") == set()
    assert made.open("frame-in-a-tree") == set()
    assert made.open() == set()
    made.accept()
    assert made.tracker.reached == TOGETHER


def test_what_the_watching_script_parks(place: Callable[..., Place]) -> None:
    """It stops what goes through the document's own elements, and nothing else; docs/gate.md says which."""
    made = place(watch=True)
    assert made.open() - LATE == UNWATCHED - ALONE
    assert made.open("written") == {"written"}
    assert made.open("frame-in-a-tree") == set()


def test_an_undeclared_host_is_watched_too(place: Callable[..., Place]) -> None:
    """With `undeclared = "hold"` what nobody claims is parked for ever; with `report` it loads."""
    other = {"other": {"title": "O", "provider": "O", "purpose": "analytics", "hosts": ["other.localhost"]}}
    assert place(watch=True, services=other).open() - LATE == UNWATCHED - ALONE
    assert place(watch=True, services=other, undeclared="report").open() == TOGETHER


def test_what_was_parked_comes_back_after_a_yes(place: Callable[..., Place]) -> None:
    """What stands in the page is revived in place, once; what is added after the yes loads at once."""
    made = place(watch=True)
    made.open()
    page = made.visitor.page
    page.evaluate("window.stayed = true")
    made.accept()
    assert page.evaluate("window.stayed")
    assert made.tracker.reached - LATE == TOGETHER - UNWATCHED - LATE - {"image"}
    ran = page.evaluate("window.ran")
    assert sorted(one for one in ran if one.startswith("script")) == sorted(
        way for way in WAYS if way.startswith("script")
    )
    assert page.evaluate("document.querySelector('iframe').name") == "mine"
    made.tracker.reached.clear()
    address = page.evaluate("document.querySelector('iframe').src").rpartition("/")[0]
    page.evaluate(f"(() => {{ const at = '{address}/image'; {WAYS['image']} }})()")
    page.wait_for_timeout(300)
    assert made.tracker.reached == {"image"}


@pytest.mark.parametrize("watch", [False, True], ids=["plain", "watched"])
def test_a_page_that_declares_a_policy_itself(place: Callable[..., Place], watch: bool) -> None:
    """A policy in a `meta` element stays as it is; ours denies beside it, and a strict one of a header stays strict."""
    strict = "script-src 'nonce-abc' 'strict-dynamic'; require-trusted-types-for 'script'; trusted-types consent own"
    head = "<meta http-equiv=content-security-policy content=\"img-src 'self' AT; frame-src 'none'\">"
    made = place(csp="enforce", watch=watch, headers={"Content-Security-Policy": strict}, head=head)
    assert made.open("image") == set()
    made.accept()
    assert made.tracker.reached == {"image"}
    assert made.open("frame") == set()
    assert made.open("script") == set(), "trusted types refuse the page's own plain text"


def test_the_watching_script_fits_the_strictest_policy(place: Callable[..., Place]) -> None:
    """Under nonces and trusted types it runs without a violation, and parks what a nonce would have let in."""
    strict = (
        "default-src 'self'; script-src 'nonce-abc' 'strict-dynamic'; style-src 'self'; img-src *; "
        "require-trusted-types-for 'script'; trusted-types consent"
    )
    made = place(watch=True, headers={"Content-Security-Policy": strict})
    assert made.open("image") == set()
    assert made.visitor.problems == []


def test_a_browser_reports_and_the_site_counts(place: Callable[..., Place]) -> None:
    """With `report-only` nothing is denied, and what arrives is told by host and kind of load."""
    made = place(csp="report-only")
    assert made.open("script") == {"script"}
    assert made.open("image") == {"image"}
    made.visitor.page.wait_for_timeout(300)
    store = made.site.ledger.store
    made.site.ledger._totals.hand_over(store)
    assert {(total.name, total.subject) for total in store.totals("report")} == {
        ("report.script-src-elem", "stats.localhost"),
        ("report.img-src", "stats.localhost"),
    }


def test_an_undeclared_sub_domain_and_content_of_its_own_load(place: Callable[..., Place]) -> None:
    """`data:`, `blob:` and the site's own sub-domains ask nobody else, and pass policy and watching script."""
    made = place(csp="enforce", watch=True, origins=("http://site.localhost", "http://stats.localhost"), services={})
    arrived = made.open()
    assert arrived == TOGETHER
    loaded = made.visitor.page.evaluate(
        """async () => {
            const shown = (src) => new Promise((done) => {
                const image = new Image();
                image.onload = () => done(true);
                image.onerror = () => done(false);
                image.src = src;
            });
            const svg = '<svg xmlns="http://www.w3.org/2000/svg"/>';
            const blob = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
            return [await shown('data:image/svg+xml,' + encodeURIComponent(svg)), await shown(blob)];
        }"""
    )
    assert loaded == [True, True]
