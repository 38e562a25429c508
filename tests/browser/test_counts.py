"""Count, in a real browser, what each element, attribute and header asks for: before a choice, after it, without us."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent import ConsentMiddleware
from consent.testing import site
from tests.browser.conftest import Window
from tests.gate.example import gated

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
Open = Callable[..., Window]

TOGETHER = {
    "script": "<script src='{}'></script>",
    "script-module": "<script type=module src='{}'></script>",
    "script-import": "<script type=module>import '{}'</script>",
    "script-inline": "<script>new Image().src = '{}'</script>",
    "script-handler": "<img src=/none.png onerror=\"new Image().src='{}'\">",
    "script-svg": "<svg><script href='{}'></script></svg>",
    "script-svg-xlink": "<svg><script xlink:href='{}'></script></svg>",
    "script-import-map": '<script type=importmap>{{"imports":{{"mapped":"{}"}}}}</script>'
    "<script type=module>import 'mapped'</script>",
    "iframe": "<iframe src='{}'></iframe>",
    "iframe-srcdoc": "<iframe srcdoc='&lt;img src={}&gt;'></iframe>",
    "iframe-data": "<iframe src='data:text/html,<img src={}>'></iframe>",
    "img": "<img src='{}'>",
    "img-srcset": "<img srcset='{} 1x'>",
    "image": "<image src='{}'>",
    "picture-source": "<picture><source srcset='{}'><img alt=''></picture>",
    "video": "<video src='{}' preload=auto></video>",
    "video-poster": "<video poster='{}'></video>",
    "video-source": "<video preload=auto><source src='{}'></video>",
    "audio": "<audio src='{}' preload=auto></audio>",
    "track": "<video crossorigin src=/own.webm><track default kind=subtitles src='{}'></video>",
    "embed": "<embed src='{}'>",
    "object": "<object data='{}'></object>",
    "link-stylesheet": "<link rel=stylesheet href='{}'>",
    "link-preload": "<link rel=preload as=image href='{}'>",
    "link-preload-set": "<link rel=preload as=image imagesrcset='{} 1x'>",
    "link-modulepreload": "<link rel=modulepreload href='{}'>",
    "link-prefetch": "<link rel=prefetch href='{}'>",
    "background": "<table background='{}'><td>x</table>",
    "input-image": "<input type=image src='{}'>",
    "svg-image": "<svg><image href='{}' width=9 height=9 /></svg>",
    "svg-image-xlink": "<svg><image xlink:href='{}' width=9 height=9 /></svg>",
    "svg-feimage": "<svg><filter id=f><feImage href='{}'/></filter><rect width=9 height=9 filter='url(#f)'/></svg>",
    "style-import": "<style>@import '{}';</style>",
    "style-url": "<style>.su{{background:url('{}')}}</style><p class=su>x</p>",
    "style-set": "<style>.ss{{background:image-set('{}' 1x)}}</style><p class=ss>x</p>",
    "style-attribute": "<p style=\"background:url('{}')\">x</p>",
    "shadow-root": "<div><template shadowrootmode=open><img src='{}'></template></div>",
    "redirect-image": "<img src='/go?{}'>",
    "redirect-script": "<script src='/go?{}'></script>",
    "redirect-frame": "<iframe src='/go?{}'></iframe>",
    "own-sheet": "<link rel=stylesheet href='/sheet?{}'><p class=sheet>x</p>",
    "own-drawing": "<iframe src='/drawing?{}'></iframe>",
}
"""Stand on one page; `{}` is the tracker's address."""
ALONE = {
    "base": "<base href='{}/'><img src=image>",
    "refresh": "<meta http-equiv=refresh content='0;url={}'>",
    "frame": "<frameset><frame src='{}'></frameset>",
}
HEADERS = {
    "link-header": ("link", "<{}>; rel=preload; as=image"),
    "refresh-header": ("refresh", "0; url={}"),
}
LOADED_ELSEWHERE = {
    "nomodule": "<script nomodule src='{}'></script>",
    "applet": "<applet code=a codebase='{}'></applet>",
    "icon": "<link rel=icon href='{}'>",
    "manifest": "<link rel=manifest href='{}'>",
    "prerender": "<link rel=prerender href='{}'>",
    "ping": "<a href=/ ping='{}'>x</a>",
    "use": "<svg><use href='{}#a'/></svg>",
    "use-xlink": "<svg><use xlink:href='{}#a'/></svg>",
    "template": "<template><img src='{}'></template>",
    "low-source": "<img lowsrc='{}'>",
}
"""What Chromium asks for at no time, or not before a click, a bookmark or an installation."""
WITHOUT_SCRIPT = {"noscript": "<noscript><img src='{}'></noscript>"}
NEED_SCRIPT = {name for name in TOGETHER if name.startswith("script") or name == "link-modulepreload"} | {
    "redirect-script",
    "shadow-root",
}


def _page(body: str, **headers: str) -> Response:
    return HTMLResponse(f"<!doctype html><html lang=en><head><title>t</title></head>{body}</html>", headers=headers)


class _Tracker:
    """Answer everything, and write down the name of what was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    async def answer(self, request: Request) -> Response:
        """Answer whatever is asked."""
        self.asked.add(request.url.path.split("/")[1])
        headers = {"set-cookie": "tr=1; Path=/", "cache-control": "no-store", "access-control-allow-origin": "*"}
        return Response(b"", media_type="text/plain", headers=headers)


def _site(tracker: str, script: bool) -> Starlette:
    markup = TOGETHER | ({} if script else WITHOUT_SCRIPT)

    async def together(_: Request) -> Response:
        return _page("<body>" + "".join(tag.format(f"{tracker}/{name}") for name, tag in markup.items()) + "</body>")

    async def alone(request: Request) -> Response:
        name = request.path_params["name"]
        return _page(ALONE.get(name, "").format(f"{tracker}/{name}"))

    async def header(request: Request) -> Response:
        name = request.path_params["name"]
        field, value = HEADERS[name]
        return _page("<body>x</body>", **{field: value.format(f"{tracker}/{name}")})

    async def go(request: Request) -> Response:
        return RedirectResponse(request.url.query)

    async def sheet(request: Request) -> Response:
        return Response(f".sheet{{background:url({request.url.query})}}", media_type="text/css")

    async def drawing(request: Request) -> Response:
        body = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{request.url.query}" width="9" height="9"/></svg>'
        return Response(body, media_type="image/svg+xml")

    async def cookies(_: Request) -> Response:
        answer = _page("<body>x</body>")
        for cookie in ("_st=1; Path=/", "_st_x = 2 ; path=/", "sid=4; Path=/; HttpOnly"):
            answer.headers.append("set-cookie", cookie)
        return answer

    routes = [("/", together), ("/alone/{name}", alone), ("/header/{name}", header), ("/cookies", cookies)]
    return Starlette(
        routes=[Route(path, page) for path, page in (*routes, ("/go", go), ("/sheet", sheet), ("/drawing", drawing))]
    )


def _visit_all(visitor: Window) -> None:
    for path in ("/", *(f"/alone/{name}" for name in ALONE), *(f"/header/{name}" for name in HEADERS), "/cookies"):
        visitor.page.goto(visitor.site + path, wait_until="commit")
        visitor.settle()


def _own_cookies(visitor: Window) -> set[str]:
    return {cookie["name"] for cookie in visitor.context.cookies(visitor.site)}


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_every_element_attribute_and_header(serve: Serve, window: Open, script: bool) -> None:
    """Nothing is asked and stored before a choice; after it everything that is without us."""
    tracker = _Tracker()
    port = serve(Starlette(routes=[Route("/{path:path}", tracker.answer)]))
    address = f"http://stats.localhost:{port}"
    bare = serve(_site(address, script))
    service = {
        **{"title": "Stats", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["stats.localhost"]},
        "cookies": [{"name": "_st", "lifetime": "P1D"}, {"name": "_st_*", "lifetime": "P1D"}],
    }
    made = site(services={"stats": service}, undeclared="hold", origins=("http://site.localhost",))
    guarded = serve(ConsentMiddleware(_site(address, script), site=made))

    without_us = window(f"http://site.localhost:{bare}", script=script)
    _visit_all(without_us)
    expected, tracker.asked = tracker.asked, set()
    everything = {*TOGETHER, *ALONE, *HEADERS} - (NEED_SCRIPT if not script else set())
    assert expected >= everything

    visitor = window(f"http://site.localhost:{guarded}", script=script)
    _visit_all(visitor)
    assert tracker.asked == set()
    assert _own_cookies(visitor) == {"sid"}

    visitor.page.goto(visitor.site + "/cookies")
    visitor.choose(visitor.page.locator('button[value="accept_all"]'))
    tracker.asked = set()
    _visit_all(visitor)
    assert tracker.asked == expected
    assert _own_cookies(visitor) - {"__Host-consent"} == _own_cookies(without_us) == {"_st", "_st_x", "sid"}


@pytest.mark.parametrize("name", LOADED_ELSEWHERE)
def test_what_this_browser_leaves_alone_is_held_all_the_same(name: str) -> None:
    """An address that another browser, or another moment, would load is parked, too."""
    out, gate = gated(LOADED_ELSEWHERE[name].format("https://tracker.test/").encode())
    assert gate.parked == {"tracker"}
    assert b"data-consent-" in out.partition(b"tracker.test")[0]
