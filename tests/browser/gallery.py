"""Serve every state a visitor or auditor can meet, for browsers and checkers to look at."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware, languages
from consent.testing import site
from tests import shown

CSP = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"
PARTS = ("link", "placeholder", "once form", "script", "assets", "page", "choices, in place")
"""Cases that are no state of their own: they stand in the pages of the live site."""
STATES = tuple(name for name in shown.every("en") if not name.startswith(PARTS))
SERVICES = {
    "vidbox": {"title": "Vidbox", "provider": "Vidbox SA", "purpose": "media", "hosts": ["video.localhost"]},
    "stats": {"title": "Statistics", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["stats.localhost"]},
    "adverts": {"title": "Adverts", "provider": "Adverts Ltd", "purpose": "marketing", "hosts": ["ads.localhost"]},
}
PAGE = """<!doctype html>
<html lang="{language}" dir="{dir}"><head><meta charset="utf-8"><title>Night ferry</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body>{start}<header><a href="/">The Meridian</a></header>
<main><h1>The night ferry</h1><p>The last boat leaves at ten, and nobody is in a hurry.</p>
<p><button type="button" id="own">A button of the site</button></p>{body}</main></body></html>"""
FRAME = '<iframe title="Player" src="http://video.localhost:9/embed" width="280" height="320"></iframe>'


def on_a_page(language: str, *, start: str = "", body: str = "", head: str = "") -> str:
    """Return a page of a site with our fragments after `<body>` and in its text."""
    direction = languages.direction(language)
    return PAGE.format(language=language, dir=direction, start=start, body=body, head=head)


def address(name: str, language: str) -> str:
    """Return the path at which a state is served."""
    return f"/states/{language}/{quote(name)}"


def gallery(spoken: tuple[str, ...], *, head: str = "", **settings: Any) -> ASGIApp:
    """Return a site whose page `/pages/{language}` asks and holds a video back, and that shows every state by name."""

    async def article(request: Request) -> Response:
        return HTMLResponse(on_a_page(request.path_params["language"], body=FRAME, head=head))

    async def state(request: Request) -> Response:
        language = request.path_params["language"]
        template, context = shown.every(language)[request.path_params["name"]]
        html = made.pages.render(template, language=language, **context)
        if not html.lstrip().startswith("<!doctype"):
            html = on_a_page(language, start=html, head=head)
        return HTMLResponse(html, headers={"Content-Security-Policy": CSP})

    made = site(
        services=SERVICES,
        undeclared="hold",
        origins=("http://site.localhost",),
        default_language=spoken[0],
        languages=spoken,
        **settings,
    )
    live = ConsentMiddleware(Starlette(routes=[Route("/pages/{language}", article)]), site=made)
    states = Starlette(routes=[Route("/states/{language}/{name}", state)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (states if scope.get("path", "").startswith("/states/") else live)(scope, receive, send)

    return app
