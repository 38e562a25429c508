"""Answer as the third parties a news site usually has, each under a name of its own."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Route, Router

from consent.demo.trackers.font import CLOSING, END_MARK, FAMILY, OPENING, make_font
from consent.demo.trackers.log import Log, LogMiddleware

HERE = Path(__file__).parent
YEAR = 365 * 86_400
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of one pixel."""
LANGUAGES = ("en", "uk")

Answer = Callable[[Request], Response]
_pages = Environment(
    loader=FileSystemLoader(HERE / "pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_content: Mapping[str, Any] = tomllib.loads((HERE / "content.toml").read_text(encoding="utf-8"))
_font = make_font()


def create_trackers(log: Log | None = None) -> Starlette:
    """Return the application of all pretend third parties.

    What reaches them is noted in `log`, and read at `/log` under the machine's own name.
    """
    log = log or Log()

    async def show_log(request: Request) -> Response:
        """Answer with everything noted, or forget it."""
        if request.method == "DELETE":
            log.clear()
        return JSONResponse(log.as_json(), headers={"Cache-Control": "no-store"})

    parties: dict[str, list[BaseRoute]] = {
        "stats.localhost": [
            Route("/rs.js", _with_cookie("rs_uid", _script("stats.js"))),
            Route("/collect", _with_cookie("rs_uid", _nothing), methods=["GET", "POST"]),
            Route("/noscript.gif", _with_cookie("rs_uid", _pixel)),
        ],
        "ads.localhost": [
            Route("/pixel.gif", _with_cookie("adq_uid", _pixel)),
            Route("/slot.js", _with_cookie("adq_uid", _script("ads.js"))),
            Route("/creative", _with_cookie("adq_sync", _page("creative.html", "adverts"))),
        ],
        "video.localhost": [
            Route("/embed/{name}", _with_cookie("ln_viewer", _page("video.html", "videos"))),
            Route("/poster/{name}.svg", _with_cookie("ln_viewer", _poster)),
            Route("/heartbeat", _with_cookie("ln_viewer", _nothing), methods=["POST"]),
        ],
        "social.localhost": [
            Route("/widgets.js", _with_cookie("chp_guest", _script("social.js"))),
            Route("/card/{name}", _with_cookie("chp_guest", _page("card.html", "posts"))),
            Route("/post/{name}", _with_cookie("chp_guest", _page("card.html", "posts"))),
        ],
        "donate.localhost": [
            Route("/widget", _with_cookie("kp_session", _page("donate.html", "donate"))),
            Route("/give", _with_cookie("kp_session", _page("thanks.html", "donate")), methods=["POST"]),
        ],
        "comments.localhost": [
            Route("/embed.js", _with_cookie("ut_reader", _script("comments.js"))),
            Route("/thread/{name}.json", _with_cookie("ut_reader", _thread)),
        ],
        "fonts.localhost": [
            Route("/css", _with_cookie("cf_client", _font_style)),
            Route("/files/ornaments.ttf", _font_file),
        ],
    }
    routes: list[BaseRoute] = [Host(host, app=Router(routes=answers)) for host, answers in parties.items()]
    routes.append(Route("/log", show_log, methods=["GET", "DELETE"]))
    return Starlette(routes=routes, middleware=[Middleware(LogMiddleware, log=log)])


def _with_cookie(name: str, answer: Answer) -> Answer:
    """Let an answer set two cookies: one that every embedding site sends back, and one that only this site does.

    Browsers that refuse the first kind still keep the second. Source: Cookies Having Independent Partitioned State.
    """

    def answered(request: Request) -> Response:
        response = answer(request)
        for cookie, attribute in ((name, ""), (f"{name}_here", "; Partitioned")):
            value = request.cookies.get(cookie) or secrets.token_hex(8)
            written = f"{cookie}={value}; Max-Age={YEAR}; Path=/; Secure; HttpOnly; SameSite=None{attribute}"
            response.headers.append("Set-Cookie", written)
        response.headers["Cache-Control"] = "no-store"
        return response

    return answered


def _language(request: Request) -> str:
    asked = request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else LANGUAGES[0]


def _nothing(_: Request) -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _pixel(_: Request) -> Response:
    return Response(PIXEL, media_type="image/gif")


def _script(name: str) -> Answer:
    text = (HERE / "scripts" / name).read_text(encoding="utf-8")

    def answer(_: Request) -> Response:
        return Response(text, media_type="text/javascript")

    return answer


def _page(template: str, kind: str) -> Answer:
    """Return what answers with a page about one of the things of a kind, or with 404."""

    def answer(request: Request) -> Response:
        things = _content[kind]
        name = request.path_params.get("name")
        thing = things if name is None else things.get(name)
        if thing is None:
            return PlainTextResponse("not here", HTTPStatus.NOT_FOUND)
        language = _language(request)
        return HTMLResponse(
            _pages.get_template(template).render(
                language=language, name=name, thing=thing, say=thing[language], words=_content["words"][language]
            )
        )

    return answer


def _poster(request: Request) -> Response:
    video = _content["videos"].get(request.path_params["name"])
    if video is None:
        return PlainTextResponse("not here", HTTPStatus.NOT_FOUND)
    return Response(_pages.get_template("poster.svg").render(video=video), media_type="image/svg+xml")


def _thread(request: Request) -> Response:
    """Answer the script on the embedding site, which sends this party's cookie along."""
    thread = _content["threads"].get(request.path_params["name"], {})
    language = _language(request)
    response = JSONResponse({"words": _content["words"][language], "comments": thread.get(language, [])})
    if origin := request.headers.get("origin"):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Vary"] = "Origin"
    return response


def _font_style(request: Request) -> Response:
    codes = ", ".join(f"U+{ord(character):04X}" for character in (END_MARK, OPENING, CLOSING))
    file = request.url.replace(path="/files/ornaments.ttf", query="")
    text = (
        f'@font-face {{ font-family: "{FAMILY}"; src: url("{file}") format("truetype");'
        f" font-display: swap; unicode-range: {codes}; }}\n"
    )
    return Response(text, media_type="text/css")


def _font_file(_: Request) -> Response:
    return Response(
        _font, media_type="font/ttf", headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    )
