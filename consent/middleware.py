"""Stand in front of an ASGI app: know the visitor, call the app, gate its answer, or serve the pages of our own."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent.errors import ConfigurationError
from consent.gate import headers as gate_headers
from consent.responder import DECODERS, Responder
from consent.settings import ConsentSettings
from consent.site import Site
from consent.visitors import RawHeaders, Visitors
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
        b"style",
        b"track",
        b"video",
        b"worker",
        b"xslt",
    }
)
"""Values of `Sec-Fetch-Dest` for which a browser never shows the answer as a page. Source: Fetch §2.2.7."""
PAGES = frozenset({b"document", b"embed", b"fencedframe", b"frame", b"iframe", b"object"})
"""Values of `Sec-Fetch-Dest` for which it does."""
CONDITIONS = frozenset({b"range", b"if-range", b"if-modified-since", b"if-none-match"})
_UNAVAILABLE = b"This site is not set up completely. Its operator finds the reason in the log.\n"


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
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "websocket" and self.site is not None:
            visitor = await self._visitors.visitor(scope["headers"], path=scope["path"])
            scope.setdefault("state", {})["consent"] = visitor.consent
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = self.site
        if not self._started:
            await self._start_late()
        if site is None or self.error is not None:
            await _answer_unavailable(send)
            return
        path, prefix = scope["path"], site.settings.prefix
        visitor = await self._visitors.visitor(scope["headers"], path=path)
        scope.setdefault("state", {})["consent"] = visitor.consent
        if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
            scope["state"]["consent_visitor"] = visitor
            await self._web(scope, receive, send)
            return
        confirming = False
        destination, accept, host, asked = b"", b"*/*", b"", False
        for name, value in scope["headers"]:
            if name == b"sec-fetch-dest":
                destination = value
            elif name == b"accept":
                accept = value
            elif name == b"host":
                host = value
            elif name in CONDITIONS or name == b"accept-encoding":
                asked = True
        if asked and destination not in SUBRESOURCES:
            navigation = destination in PAGES or b"text/html" in accept or (not destination and b"*/*" in accept)
            tag = visitor.state_tag if navigation else None
            kept, confirming = _for_a_page(scope["headers"], state_tag=tag)
            scope = {**scope, "headers": kept}
        query = scope.get("query_string", b"").decode("latin-1")
        address = quote(path, safe="/@:!$&'()*+,;=~") + (f"?{query}" if query else "")
        responder = Responder(
            site,
            visitor,
            send,
            path=address,
            host=host.decode("latin-1").rpartition(":")[0] or host.decode("latin-1"),
            confirming=confirming,
        )
        await self.app(scope, receive, responder)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the ledger before the app starts, and close it after the app has ended."""
        first: Message | None = await receive()
        await self._start()
        if self.error is not None or self.site is None:
            await send({"type": "lifespan.startup.failed", "message": f"consent: {self.error}"})
            return
        site = self.site

        async def receive_again() -> Message:
            nonlocal first
            message, first = first, None
            return message if message is not None else await receive()

        async def send_on(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await asyncio.to_thread(site.close)
            await send(message)

        await self.app(scope, receive_again, send_on)

    async def _start(self) -> None:
        self._started = True
        if self.site is None:
            return
        try:
            await asyncio.to_thread(self.site.start)
        except ConfigurationError as error:
            self._refuse(error)

    async def _start_late(self) -> None:
        """Start at the first request, for a server that does not speak the lifespan protocol."""
        await self._start()

    def _refuse(self, error: ConfigurationError) -> None:
        self.error = error
        logger.critical("consent is not configured, so every request is answered 503: %s", error)


def _for_a_page(headers: RawHeaders, *, state_tag: str | None) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Return a request's headers as the app may see them if its answer could be a page, and whether it confirms one.

    An answer to a condition that was not made for this visitor's state could bring back a page from before a
    withdrawal; a part of a page, or one in a content coding we cannot undo, cannot be gated. Without a `state_tag` the
    request is no navigation, and its conditions stay.
    """
    kept, confirming = [], False
    for name, value in headers:
        if name == b"accept-encoding":
            value = _narrowed(value)
        elif name in CONDITIONS and state_tag is not None:
            own = gate_headers.none_match(value.decode("latin-1"), state_tag) if name == b"if-none-match" else None
            if own is None:
                continue
            value, confirming = own.encode("latin-1"), True
        kept.append((name, value))
    return kept, confirming


def _narrowed(accepted: bytes) -> bytes:
    codings = [coding.strip() for coding in accepted.decode("latin-1").split(",")]
    kept = [coding for coding in codings if coding.partition(";")[0].strip().lower() in (*DECODERS, "identity")]
    return ", ".join(kept).encode("latin-1") or b"identity"


async def _answer_unavailable(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_UNAVAILABLE)).encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"60"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _UNAVAILABLE})
