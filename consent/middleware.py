"""Stand in front of an ASGI app: know the visitor, call the app, gate its answer, or serve the pages of our own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent.asked import is_framed_elsewhere, is_style_sheet
from consent.codings import DECODERS
from consent.errors import ConfigurationError
from consent.gate import headers as gate_headers
from consent.instead import answer_in_words
from consent.responder import Responder
from consent.settings import ConsentSettings
from consent.sharing import Watched
from consent.site import Site
from consent.visitors import Headers, RawHeaders, Visitor, Visitors, gathered
from consent.web import application

logger = logging.getLogger("consent")

SUBRESOURCES = frozenset(
    {
        b"audio",
        b"audioworklet",
        b"font",
        b"image",
        b"json",
        b"manifest",
        b"paintworklet",
        b"script",
        b"serviceworker",
        b"sharedworker",
        b"track",
        b"video",
        b"worker",
    }
)
"""Values of `Sec-Fetch-Dest` for which a browser never makes a page of the answer. Source: Fetch §2.2.7."""
PAGES = frozenset({b"document", b"embed", b"fencedframe", b"frame", b"iframe", b"object"})
"""Values of `Sec-Fetch-Dest` for which it does."""
CACHED_METHODS = frozenset({"GET", "HEAD"})
"""Methods whose answers a shared cache keeps. Source: RFC 9110 §9.2.3."""
GPC_PATH = "/.well-known/gpc.json"
"""Where a site says that it honours the signal. Source: Global Privacy Control specification, section 5."""
DAILY = "public, max-age=86400"
UNSCANNED = "http.response.zerocopysend"
"""The extension by which an app hands the server a file descriptor, whose bytes would pass us by. Source: ASGI spec."""
CONDITIONS = frozenset({b"range", b"if-range", b"if-modified-since", b"if-none-match"})
"""What an app may not see as it came, where its answer could be a page; nor every coding its visitor accepts."""
_LAST_WORDS = frozenset({"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"})
_UNAVAILABLE = "This site is not set up completely. Its operator finds the reason in the log.\n"


class ConsentMiddleware:
    """Serve the privacy pages, record choices, and gate every response on what its visitor agreed to.

    `settings` are read from environment, `.env` and `consent.toml` where none are given. A configuration that cannot be
    served raises ConfigurationError if it was given explicitly; else the server's start fails, or, where the server
    does not speak the lifespan protocol, every request is answered 503, and the log says why.
    """

    def __init__(self, app: ASGIApp, settings: ConsentSettings | None = None, *, site: Site | None = None) -> None:
        self.app = app
        self.error: ConfigurationError | None = None
        self.site: Site | None = site
        try:
            self.site = site or Site(settings or ConsentSettings())
        except ConfigurationError as error:
            if settings is not None:
                raise
            self._refuse(error)
        if self.site is not None:
            self._visitors = Visitors(self.site)
            self._web = application.build(self.site)
            self._prefix = self.site.settings.prefix
            since = self.site.settings.gpc_since
            self._declared = None if since is None else _declared(since)
        self._started = False
        self._starting = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        site = self.site
        if scope["type"] != "http":
            await self._no_request(scope, receive, send)
            return
        if not self._started:
            await asyncio.to_thread(self._start)
        if site is None or self.error is not None:
            await answer_in_words(send, 503, _UNAVAILABLE, (b"retry-after", b"60"))
            return
        path = scope["path"]
        headers = gathered(scope["headers"])
        # Asked first, since a coroutine costs more than the answer.
        visitor = self._visitors.recall(headers, path=path) or await self._visitors.visitor(headers, path=path)
        scope.setdefault("state", {})["consent"] = visitor.consent
        if self._declared is not None and path == GPC_PATH and scope["method"] in CACHED_METHODS:
            await self._declared(scope, receive, send)
            return
        if path.startswith(self._prefix) and path.removeprefix(self._prefix)[:1] in ("", "/"):
            scope["state"]["consent_visitor"] = visitor
            # Below a mount the app's paths begin at its root path; ours begin with the whole prefix.
            await self._web({**scope, "root_path": ""}, receive, send)
            return
        if b"cross-site" in headers.get(b"sec-fetch-site", b"") and is_framed_elsewhere(scope):
            # Without its banner, and so no page for the same visitor outside of the frame.
            visitor = replace(visitor, fleeting=True)
        nobody = watched = confirming = None
        if site.shared and scope["method"] in CACHED_METHODS and not visitor.fleeting:
            nobody, watched = self._visitors.nobody, Watched(visitor.consent)
            scope["state"]["consent"] = watched
        if headers.get(b"sec-fetch-dest") not in SUBRESOURCES:
            if (
                b"if-none-match" in headers
                or b"if-modified-since" in headers
                or b"range" in headers
                or b"if-range" in headers
            ):
                gated_for = [one for one in (nobody, visitor) if one is not None and not one.fleeting]
                kept, confirming = _for_a_page(
                    scope["headers"], navigation=_is_navigation(headers), gated_for=gated_for
                )
                scope = {**scope, "headers": kept}
            elif (accepted := headers.get(b"accept-encoding")) is not None and (
                narrow := _narrowed(accepted)
            ) != accepted:
                scope = {**scope, "headers": _replaced(scope["headers"], b"accept-encoding", narrow)}
        if "extensions" in scope and UNSCANNED in (scope["extensions"] or ()):
            offered = {name: value for name, value in scope["extensions"].items() if name != UNSCANNED}
            scope = {**scope, "extensions": offered}
        responder = Responder(site, visitor, send, scope)
        sheet = is_style_sheet(headers)
        if sheet or nobody is not None or confirming is not None:
            responder.expect(nobody=nobody, watched=watched, confirming=confirming, sheet=sheet)
        await self.app(scope, receive, responder)

    async def _no_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "websocket" and self.site is not None:
            if not self._started:
                await asyncio.to_thread(self._start)
            visitor = await self._visitors.visitor(gathered(scope["headers"]), path=scope["path"])
            scope.setdefault("state", {})["consent"] = visitor.consent
            await self.app(scope, receive, Responder(self.site, visitor, send, scope))
        else:
            await self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the ledger before the app starts, and close it after the app has ended.

        For an app that does not speak the protocol this goes on alone: without a shutdown the ledger's last words, a
        checkpoint among them, would wait for the next start.
        """
        first: Message | None = await receive()
        await asyncio.to_thread(self._start)
        if self.error is not None or self.site is None:
            await send({"type": "lifespan.startup.failed", "message": f"consent: {self.error}"})
            if self.error is not None:
                # As Starlette does: Starlette's own test client waits for ever on an app that failed and did not raise.
                raise self.error
            return
        site = self.site

        spoken = False

        async def receive_again() -> Message:
            nonlocal first
            message, first = first, None
            return message if message is not None else await receive()

        async def send_on(message: Message) -> None:
            nonlocal spoken
            spoken = True
            if message["type"] in _LAST_WORDS:
                await asyncio.to_thread(self._stop, site)
            await send(message)

        try:
            await self.app(scope, receive_again, send_on)
        except Exception as error:
            if spoken:
                raise
            # As every server takes it. Source: ASGI specification, Lifespan Protocol, "Scope".
            logger.info("the app does not speak the lifespan protocol: %r", error)
        if not spoken:
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.to_thread(self._stop, site)
            await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> None:
        """Open the ledger and publish, once: in the lifespan, or at the first request where the server has none.

        Blocks, for whoever else asks meanwhile too: before that, nobody knows which ids have been withdrawn.
        """
        with self._starting:
            if self.site is not None and not self._started:
                try:
                    self.site.start()
                except ConfigurationError as error:
                    self._refuse(error)
            self._started = True

    def _stop(self, site: Site) -> None:
        """Close the ledger until the app is started again, as tests do with one app many times."""
        with self._starting:
            site.close()
            self._started = False

    def _refuse(self, error: ConfigurationError) -> None:
        self.error = error
        logger.critical("consent is not configured, so every request is answered 503: %s", error)


def _is_navigation(headers: Headers) -> bool:
    """Tell whether a request could be one for a page."""
    destination, accepted = headers.get(b"sec-fetch-dest", b""), headers.get(b"accept", b"*/*")
    return destination in PAGES or b"text/html" in accepted or (not destination and b"*/*" in accepted)


def _for_a_page(
    headers: RawHeaders, *, navigation: bool, gated_for: Sequence[Visitor]
) -> tuple[list[tuple[bytes, bytes]], Visitor | None]:
    """Return a request's headers as the app may see them if its answer could be a page, and whose page it confirms.

    An answer to a condition that was made for none of `gated_for` could bring back a page from before a withdrawal; a
    part of a page, or one in a content coding we cannot undo, cannot be gated. Conditions of what is no `navigation`
    stay.
    """
    kept, confirming = [], None
    for name, value in headers:
        if name == b"accept-encoding":
            value = _narrowed(value)
        elif name in CONDITIONS and navigation:
            confirmed = _confirmed(value.decode("latin-1"), gated_for) if name == b"if-none-match" else None
            if confirmed is None:
                continue
            value, confirming = confirmed
        kept.append((name, value))
    return kept, confirming


def _confirmed(tags: str, gated_for: Sequence[Visitor]) -> tuple[bytes, Visitor] | None:
    """Return the tags of the first of these visitors that has any, as the app wrote them; None for none."""
    for visitor in gated_for:
        own = gate_headers.none_match(tags, visitor.state_tag)
        if own is not None:
            return own.encode("latin-1"), visitor
    return None


def _replaced(headers: RawHeaders, name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    """Return a request's headers with one line of a name, at the end."""
    kept = [header for header in headers if header[0] != name]
    kept.append((name, value))
    return kept


@lru_cache(maxsize=256)
def _narrowed(accepted: bytes) -> bytes:
    codings = [coding.strip() for coding in accepted.decode("latin-1").split(",")]
    kept = [coding for coding in codings if coding.partition(";")[0].strip().lower() in (*DECODERS, "identity")]
    return ", ".join(kept).encode("latin-1") or b"identity"


def _declared(since: date) -> Response:
    """Return what a site says of the opt-out preference signal; the same to everybody, and so made once."""
    said = {"gpc": True, "lastUpdate": since.isoformat()}
    return JSONResponse(said, headers={"cache-control": DAILY, "access-control-allow-origin": "*"})
