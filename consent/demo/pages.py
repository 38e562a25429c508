"""Serve the news site: pages, corrections, and what the trackers saw."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from consent.demo.articles import LANGUAGES, SECTIONS, SITE, Paper, read_paper
from consent.demo.corrections import MAX_BODY, keep, read_form
from consent.demo.security import content_security_policy
from consent.demo.sightings import TrackerLog
from consent.demo.words import preferred, read_words
from consent.integrations.jinja import consent_context

Endpoint = Callable[[Request], Awaitable[Response]]
HEADLINE_COOKIE = "_mab"
HEADLINE_COOKIE_SECONDS = 30 * 86_400
SHOWN = 40
"""How many requests the log page lists for each tracker."""


def create_site(
    *,
    trackers: TrackerLog,
    tracker_port: int,
    corrections: Path,
    choose: Callable[[str], str] = secrets.choice,
    clock: Callable[[], float] = time.time,
    csp: bool = True,
) -> Starlette:
    """Return the news site as a bare application, with nothing in front of it.

    `corrections` is the file that readers' reports go to. `choose` picks one letter, for the headline test. Without
    `csp` its pages send no Content-Security-Policy.
    """
    newsroom = Newsroom(
        trackers=trackers, tracker_port=tracker_port, corrections=corrections, choose=choose, clock=clock, csp=csp
    )
    pages: tuple[tuple[str, Endpoint, str], ...] = (
        ("/", newsroom.front, "GET"),
        ("/articles/{slug}", newsroom.article, "GET"),
        ("/sections/{name}", newsroom.section, "GET"),
        ("/about", newsroom.about, "GET"),
        ("/corrections", newsroom.corrections_form, "GET"),
        ("/corrections", newsroom.take_correction, "POST"),
        ("/corrections/thanks", newsroom.thanks, "GET"),
        ("/what-the-trackers-saw", newsroom.saw, "GET"),
        ("/what-the-trackers-saw.json", newsroom.saw_json, "GET"),
        ("/what-the-trackers-saw/clear", newsroom.clear, "POST"),
    )
    return Starlette(
        routes=[
            Route("/", newsroom.choose_language),
            Mount("/static", StaticFiles(directory=SITE / "static")),
            *(Route(f"/{{language}}{path}", endpoint, methods=[method]) for path, endpoint, method in pages),
        ],
        exception_handlers={HTTPStatus.NOT_FOUND: newsroom.not_found},
    )


class Newsroom:
    """Hold what every page is made of, and answer for each."""

    def __init__(
        self,
        *,
        trackers: TrackerLog,
        tracker_port: int,
        corrections: Path,
        choose: Callable[[str], str],
        clock: Callable[[], float],
        csp: bool,
    ) -> None:
        self._paper: Paper = read_paper()
        self._words = read_words()
        self._trackers = trackers
        self._tracker_port = tracker_port
        self._corrections = corrections
        self._choose = choose
        self._clock = clock
        self._csp = csp
        environment = Environment(
            loader=FileSystemLoader(SITE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        environment.globals |= {
            "sections": SECTIONS,
            "tracker": lambda name: f"http://{name}.localhost:{tracker_port}",
        }
        self._templates = Jinja2Templates(env=environment, context_processors=[_consent])

    async def choose_language(self, request: Request) -> Response:
        """Send a reader to the front page in the language their browser asks for."""
        language = preferred(request.headers.get("accept-language", ""))
        return RedirectResponse(f"/{language}/", HTTPStatus.FOUND, headers={"Vary": "Accept-Language"})

    async def front(self, request: Request) -> Response:
        """Show the newest articles, the first one under one of two headlines."""
        lead, *others = self._paper.all(self._language(request))
        shown = request.cookies.get(HEADLINE_COOKIE)
        headline = lead.second_title if shown == "b" else lead.title
        response = self._page(request, "front.html", lead=lead, headline=headline, others=others)
        return self._remember_headline(request, response)

    async def article(self, request: Request) -> Response:
        """Show one article with everything it embeds."""
        article = self._paper.article(request.path_params["slug"], self._language(request))
        if article is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        response = self._page(request, "article.html", article=article, related=self._paper.related(article))
        return self._remember_headline(request, response)

    async def section(self, request: Request) -> Response:
        """Show the articles of one section."""
        name, language = request.path_params["name"], self._language(request)
        if name not in SECTIONS:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return self._page(request, "section.html", name=name, articles=self._paper.section(name, language))

    async def about(self, request: Request) -> Response:
        """Show who makes the paper, and on which terms it may be reprinted."""
        return self._page(request, "about.html")

    async def corrections_form(self, request: Request) -> Response:
        """Show the form for a correction, with the article chosen that the reader comes from."""
        return self._form(request, {"article": [request.query_params.get("article", "")]})

    async def take_correction(self, request: Request) -> Response:
        """Keep a correction and say thanks, or show the form again with what is missing."""
        language = self._language(request)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return self._form(request, {}, problem="corrections.foreign", status=HTTPStatus.FORBIDDEN)
        body = await _bounded_body(request, MAX_BODY)
        if body is None:
            return self._form(request, {}, problem="corrections.too_large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        slugs = {article.slug for article in self._paper.all(language)}
        read = read_form(fields, articles=slugs, language=language, now=int(self._clock()))
        if isinstance(read, str):
            return self._form(request, fields, problem=read, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        await run_in_threadpool(keep, read, self._corrections)
        return RedirectResponse(f"/{language}/corrections/thanks", HTTPStatus.SEE_OTHER)

    async def thanks(self, request: Request) -> Response:
        """Thank for a correction."""
        return self._page(request, "thanks.html")

    async def saw(self, request: Request) -> Response:
        """Show what reached the trackers, by tracker."""
        response = self._page(request, "saw.html", seen=await self._trackers.read(), shown=SHOWN)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def saw_json(self, request: Request) -> Response:
        """Answer with what reached the trackers as JSON, for the page's script and for tests."""
        self._language(request)
        seen = await self._trackers.read()
        return JSONResponse(
            None if seen is None else asdict(seen),
            HTTPStatus.SERVICE_UNAVAILABLE if seen is None else HTTPStatus.OK,
            headers={"Cache-Control": "no-store"},
        )

    async def clear(self, request: Request) -> Response:
        """Let the trackers forget what they saw, and show the empty list."""
        language = self._language(request)
        await self._trackers.clear()
        return RedirectResponse(f"/{language}/what-the-trackers-saw", HTTPStatus.SEE_OTHER)

    async def not_found(self, request: Request, _: Exception) -> Response:
        """Say that there is no such page, in the language of the address or else of the browser."""
        first = request.url.path.split("/")[1]
        language = first if first in LANGUAGES else preferred(request.headers.get("accept-language", ""))
        return self._page(request, "not_found.html", status=HTTPStatus.NOT_FOUND, language=language)

    def _language(self, request: Request) -> str:
        language: str = request.path_params["language"]
        if language not in LANGUAGES:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return language

    def _page(
        self,
        request: Request,
        template: str,
        *,
        status: int = HTTPStatus.OK,
        language: str | None = None,
        **context: Any,
    ) -> Response:
        language = language or self._language(request)
        nonce = secrets.token_urlsafe(16)
        policy = content_security_policy(nonce=nonce, tracker_port=self._tracker_port)
        path = request.url.path
        other = next(tag for tag in LANGUAGES if tag != language)
        return self._templates.TemplateResponse(
            request,
            template,
            {
                "t": self._words[language],
                "language": language,
                "other_language": other,
                "twin": f"/{other}/" if status == HTTPStatus.NOT_FOUND else path.replace(language, other, 1),
                "path": path,
                "nonce": nonce,
                **context,
            },
            status_code=status,
            headers={
                **({"Content-Security-Policy": policy} if self._csp else {}),
                "Content-Language": language,
                "Referrer-Policy": "no-referrer-when-downgrade",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _form(
        self,
        request: Request,
        fields: Mapping[str, Sequence[str]],
        *,
        problem: str | None = None,
        status: int = HTTPStatus.OK,
    ) -> Response:
        entered = {name: next(iter(fields.get(name, ())), "") for name in ("article", "text", "reply_to")}
        articles = self._paper.all(self._language(request))
        return self._page(
            request, "corrections.html", status=status, articles=articles, entered=entered, problem=problem
        )

    def _remember_headline(self, request: Request, response: Response) -> Response:
        """Set the headline test's cookie for everybody: keeping it from who did not agree is the gate's work."""
        if HEADLINE_COOKIE not in request.cookies:
            response.set_cookie(
                HEADLINE_COOKIE, self._choose("ab"), max_age=HEADLINE_COOKIE_SECONDS, httponly=True, samesite="lax"
            )
        return response


def _consent(request: Request) -> dict[str, Any]:
    """Give templates `consent`, None where the site runs with nothing in front of it."""
    return {**consent_context(request)} if hasattr(request.state, "consent") else {"consent": None}


async def _bounded_body(request: Request, limit: int) -> bytes | None:
    """Return a request's body, None as soon as it turns out longer than the limit, in bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return body
