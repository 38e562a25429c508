"""Gate one response: hold its start until it is known what its body is, then let through only what is agreed to."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, MutableMapping
from typing import Protocol

import anyio
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from consent.choice.consent import Consent
from consent.gate import charset, csp, headers
from consent.gate.html import Gate, Insert
from consent.site import Site
from consent.visitors import Visitor

logger = logging.getLogger("consent")

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
SNIFFED_TYPES = frozenset({"", "unknown/unknown", "application/unknown", "*/*"})
"""Media types that make a browser look at the body itself. Source: WHATWG MIME Sniffing §7."""
WITHOUT_BODY = frozenset({204, 304})
GATED_HEADERS = frozenset(
    {b"set-cookie", b"link", b"refresh", b"report-to", b"reporting-endpoints", b"nel", b"speculation-rules"}
)
CACHE_HEADERS = ("last-modified", "cdn-cache-control", "surrogate-control")
CSP_HEADERS = ("content-security-policy", "content-security-policy-report-only")
HEAD_START = 1024
"""How many bytes a browser, too, looks at to find out the charset. Source: HTML §13.2.3.2."""
FILE_CHUNK = 65_536

_LANGUAGE = re.compile(rb"<html\b[^>]*?\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,35})", re.IGNORECASE)
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'")


class Decoder(Protocol):
    """Undo a content coding, piece by piece."""

    def decompress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


DECODERS: MutableMapping[str, Callable[[], Decoder]] = {
    "gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "x-gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "deflate": lambda: zlib.decompressobj(),
}


class Responder:
    """Stand between the app and the server for one request.

    `path` is the page's own address, with its query; `host` the name the visitor asked for; `confirming` tells that the
    request asked whether a page that was gated for this very state still holds.
    """

    def __init__(
        self, site: Site, visitor: Visitor, send: Send, *, path: str, host: str, confirming: bool = False
    ) -> None:
        self._site = site
        self._visitor = visitor
        self._consent = visitor.consent
        self._send = send
        self._path = path
        self._host = host
        self._confirming = confirming
        self._start: Message | None = None
        self._gate: charset.Stream | None = None
        self._decoder: Decoder | None = None
        self._waiting = bytearray()
        self._nonce = ""
        self._refused = False
        self._negotiated = False

    async def __call__(self, message: Message) -> None:
        """Take one message from the app, and send on what may pass."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._begin(message)
        elif self._start is None and self._gate is None:
            if not self._refused:
                await self._send(message)
        elif kind == "http.response.body":
            await self._body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.pathsend":
            await self._file(message["path"])
        else:
            await self._send(message)

    # -- the start

    async def _begin(self, message: Message) -> None:
        content_type, gated = "", False
        for name, value in message["headers"]:
            name = name.lower()
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name in GATED_HEADERS:
                gated = True
        media_type = content_type.partition(";")[0].strip().lower()
        if gated:
            self._gate_headers(message)
        if media_type not in HTML_TYPES and media_type not in SNIFFED_TYPES:
            await self._send(message)
        elif message["status"] in WITHOUT_BODY or media_type == "":
            await self._begin_untyped(message)
        else:
            await self._begin_html(message)

    async def _begin_untyped(self, message: Message) -> None:
        """Send a start without a body, or one whose body will tell what it is."""
        response = MutableHeaders(raw=message["headers"])
        if message["status"] in WITHOUT_BODY:
            if self._confirming and message["status"] == 304:
                self._mend_caching(response)
            await self._send(message)
        elif response.get("x-content-type-options", "").strip().lower() == "nosniff":
            await self._send(message)
        else:
            await self._begin_html(message)

    async def _begin_html(self, message: Message) -> None:
        response = MutableHeaders(raw=message["headers"])
        coding = response.get("content-encoding", "identity").strip().lower()
        if coding != "identity":
            maker = DECODERS.get(coding)
            if maker is None:
                await self._refuse(f"the body's content coding {coding!r} cannot be undone")
                return
            self._decoder = maker()
        if message["status"] == 206:
            await self._refuse("a part of a page cannot be gated")
            return
        self._start = message

    async def _refuse(self, reason: str) -> None:
        """Answer 502: a page that cannot be gated is not passed."""
        logger.error("a response was not passed on: %s", reason)
        self._refused = True
        body = b"This page could not be prepared safely. Please try again later.\n"
        raw = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self._send(
            {"type": "http.response.start", "status": 502, "headers": [*raw, (b"cache-control", b"no-store")]}
        )
        await self._send({"type": "http.response.body", "body": body})

    # -- the body

    async def _body(self, body: bytes, *, more: bool) -> None:
        if self._decoder is not None:
            try:
                body = self._decoder.decompress(body) + (b"" if more else self._decoder.flush())
            except zlib.error:
                if self._gate is None:
                    self._start = None
                    await self._refuse("the body is not in the content coding it is said to be in")
                return
        if self._gate is None:
            self._waiting += body
            if more and not self._ready():
                return
            body = bytes(self._waiting)
            self._waiting.clear()
            await self._open(body, whole=not more)
            return
        out = self._gate.feed(body) + (b"" if more else self._gate.end())
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    def _ready(self) -> bool:
        """Tell whether enough of the body is there to know its charset."""
        start = self._start
        declared = start is not None and b"charset" in dict(start["headers"]).get(b"content-type", b"").lower()
        return len(self._waiting) >= (3 if declared else HEAD_START)

    async def _open(self, body: bytes, *, whole: bool) -> None:
        """Send the held start, then the first piece of the body."""
        start = self._start
        assert start is not None  # noqa: S101 - _body is only reached while a start is held
        response = MutableHeaders(raw=start["headers"])
        content_type = response.get("content-type")
        if content_type is None and not _looks_like_html(body):
            self._start = None
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body, "more_body": not whole})
            return
        consent = self._in_language_of(body, response)
        view = self._site.rules.view(consent.allowed)
        self._mend_headers(response, consent)
        encoding = charset.sniff(content_type, body)
        if charset.decodable(encoding) is charset.Kind.TRANSCODE:
            inner = Gate(view, charset="utf-8", insert=self._insert(consent))
            self._gate = charset.Transcoder(inner, charset=encoding)
        else:
            self._gate = Gate(view, charset=encoding, insert=self._insert(consent))
        out = self._gate.feed(body) + (self._gate.end() if whole else b"")
        response["content-length"] = str(len(out))
        if not whole:
            del response["content-length"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": out, "more_body": not whole})

    async def _file(self, path: str) -> None:
        async with await anyio.open_file(path, "rb") as file:
            while chunk := await file.read(FILE_CHUNK):
                await self._body(chunk, more=True)
        await self._body(b"", more=False)

    # -- what is inserted

    def _in_language_of(self, body: bytes, response: MutableHeaders) -> Consent:
        """Return the visitor's consent with the notice in the page's own language, where the site has it."""
        found = _LANGUAGE.search(body, 0, 4096)
        tag = found[1].decode("ascii") if found else response.get("content-language", "")
        language = self._site.spoken(tag)
        if language is None:
            self._negotiated = len(self._site.settings.spoken) > 1
            return self._consent
        return self._visitor.in_language(self._site.edition(self._site.now()).notices[language])

    def _insert(self, consent: Consent) -> Insert:
        fragments, path = self._site.fragments, self._path
        after_body = fragments.link if consent.answered else fragments.banner
        return Insert(
            banner=self._with_nonce(after_body(consent, next_path=path)),
            first_gated=self._with_nonce(fragments.assets(consent)) if consent.answered else b"",
            also_granted=True,
            placeholder=lambda service, tag: fragments.placeholder(consent, service=service, tag=tag, next_path=path),
        )

    def _with_nonce(self, html: bytes) -> bytes:
        """Give our script and style the nonce that the page's own policy asks for."""
        if not self._nonce:
            return html
        nonce = self._nonce.encode("ascii")
        return html.replace(b"<script ", b'<script nonce="%s" ' % nonce).replace(
            b"<link ", b'<link nonce="%s" ' % nonce
        )

    # -- headers

    def _gate_headers(self, message: Message) -> None:
        """Keep back what headers would store or load for services that are not allowed."""
        site, consent = self._site, self._consent
        response = MutableHeaders(raw=message["headers"])
        cookies = response.getlist("set-cookie")
        if cookies:
            kept, held, _ = headers.hold_cookies(
                cookies, site.catalogue, consent.allowed, hold_undeclared=site.settings.undeclared_cookies == "hold"
            )
            if held:
                del response["set-cookie"]
                for value in kept:
                    response.append("set-cookie", value)
        message["headers"] = headers.hold_headers(message["headers"], site.rules.view(consent.allowed))

    def _mend_headers(self, response: MutableHeaders, consent: Consent) -> None:
        """Say of a gated page whom it is for, narrow its policy, and expire what may not be stored any more."""
        site, visitor = self._site, self._visitor
        del response["content-encoding"]
        self._mend_caching(response)
        hosts = site.held_hosts(consent.allowed)
        for name in CSP_HEADERS:
            values = response.getlist(name)
            if not values:
                continue
            nonce = _NONCE.search(values[0])
            self._nonce = self._nonce or (nonce[1] if nonce else "")
            del response[name]
            for value in values:
                narrowed, _ = csp.narrow(value, held_hosts=hosts)
                response.append(name, narrowed)
        for value in headers.expire_cookies(
            visitor.cookies, site.catalogue, consent.allowed, host=self._host, consent_cookie=site.cookie_name
        ):
            response.append("set-cookie", value)
        if visitor.once:
            response["cache-control"] = "no-store"
            response.append("set-cookie", site.cookie_header(site.once_cookie_name, "", expires_at=0))

    def _mend_caching(self, response: MutableHeaders) -> None:
        """Mark a page as this visitor's own."""
        etag = response.get("etag")
        if etag is not None:
            response["etag"] = headers.etag_with(etag, self._visitor.state_tag)
        for name in CACHE_HEADERS:
            del response[name]
        if "no-store" not in response.get("cache-control", "").lower():
            response["cache-control"] = "private, no-cache"
        country = self._site.settings.country_header
        names = [
            "Cookie",
            "Sec-GPC",
            *(["Accept-Language"] if self._negotiated else []),
            *([country] if country else []),
        ]
        response["vary"] = headers.vary(response.get("vary"), names)


def _looks_like_html(body: bytes) -> bool:
    return body.lstrip(b"\t\n\f\r \xef\xbb\xbf").startswith(b"<")
