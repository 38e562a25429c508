"""Gate one response: hold its start until it is known what its body is, then let through only what is agreed to."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from consent.choice.consent import Consent
from consent.gate import charset, headers
from consent.gate.html import Gate, Insert
from consent.marking import Marked, marked
from consent.sharing import Watched, is_private
from consent.site import Site
from consent.visitors import Visitor
from consent.web.origin import safe_path

logger = logging.getLogger("consent")

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
SNIFFED_TYPES = frozenset({"unknown/unknown", "application/unknown", "*/*"})
"""Media types that, like none at all, make a browser look at the body itself. Source: WHATWG MIME Sniffing §7."""
WITHOUT_BODY = frozenset({204, 304})
GATED_HEADERS = frozenset(
    {b"set-cookie", b"link", b"refresh", b"report-to", b"reporting-endpoints", b"nel", b"speculation-rules"}
)
FRAMES = frozenset({b"embed", b"fencedframe", b"frame", b"iframe", b"object"})
HEAD_START = 1024
"""How many bytes a browser, too, looks at to find out the charset. Source: HTML §13.2.3.2."""
FILE_CHUNK = 65_536

_ROOT = re.compile(rb"<html\b[^>]*>", re.IGNORECASE)
_LANGUAGE = re.compile(rb"\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,35})", re.IGNORECASE)
_TYPE_END = re.compile(r"[\s;(]")


class Decoder(Protocol):
    """Undo a content coding, piece by piece."""

    def decompress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


DECODERS: MutableMapping[str, Callable[[], Decoder]] = {
    "gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "x-gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "deflate": lambda: _Deflate(),
}


class _Finished:
    """Stand for the gate of a page that is known whole."""

    def feed(self, chunk: bytes) -> bytes:
        """Return nothing: nothing comes after the end."""
        return b""

    def end(self) -> bytes:
        """Return nothing."""
        return b""


FINISHED = _Finished()


class _Deflate:
    """Undo the coding `deflate` with zlib's wrapper or without it: servers send either, and browsers read both."""

    def __init__(self) -> None:
        self._head = b""
        self._inner: Decoder | None = None

    def decompress(self, data: bytes, /) -> bytes:
        """Return what the next bytes hold."""
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data = self._head
            wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._inner = zlib.decompressobj(wbits=zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        return self._inner.decompress(data)

    def flush(self) -> bytes:
        """Return what is left at the end."""
        return self._inner.flush() if self._inner is not None else b""


class Responder:
    """Stand between the app and the server for one request.

    `nobody` is given where the answer may be everybody's: for whom it is gated then. `watched` tells whether the app
    asked about the visitor before it answered. `confirming` is for whom a page was gated that the request asks about.
    """

    def __init__(
        self,
        site: Site,
        visitor: Visitor,
        send: Send,
        *,
        scope: Scope,
        nobody: Visitor | None = None,
        watched: Watched | None = None,
        confirming: Visitor | None = None,
    ) -> None:
        self._site = site
        self._visitor = visitor
        self._consent = visitor.consent
        self._send = send
        self._scope = scope
        self._nobody = nobody
        self._watched = watched
        self._confirming = confirming
        self._start: Message | None = None
        self._gate: charset.Stream | None = None
        self._scanner: Gate | None = None
        self._decoder: Decoder | None = None
        self._waiting = bytearray()
        self._untyped = False
        self._coded = bytearray()
        self._refused = False
        self._negotiated = False

    async def __call__(self, message: Message) -> None:
        """Take one message from the app, and send on what may pass."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._begin(message)
        elif self._start is None and self._gate is None:
            if kind == "http.response.early_hint":
                message = {**message, "links": self._links(message["links"])}
            elif kind == "websocket.accept" and message.get("headers"):
                message = self._with_gated_headers(message)
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
        sent = message.get("headers", ())
        raw = [(name.lower(), value) for name, value in sent]
        if raw != sent:
            # The protocol allows any iterable, and asks for lower case only with a "should".
            message = {**message, "headers": raw}
        for name, value in raw:
            if name == b"content-type":
                content_type += f",{value.decode('latin-1')}"
            elif name in GATED_HEADERS:
                gated = True
        media_type = _media_type(content_type)
        page = not media_type or media_type in HTML_TYPES
        if self._nobody is not None:
            self._share(raw, self._nobody, page=page)
        if gated:
            message = self._with_gated_headers(message, page=page)
        if media_type and media_type not in HTML_TYPES:
            await self._send(message)
        elif message["status"] in WITHOUT_BODY or not media_type:
            await self._begin_untyped(message)
        else:
            await self._begin_html(message)

    def _share(self, raw: list[tuple[bytes, bytes]], nobody: Visitor, *, page: bool) -> None:
        """Make this answer everybody's, unless the app keeps it to the visitor, or made it for them."""
        if is_private(raw) or (self._watched is not None and Watched.looked_at(self._watched)):
            return
        cookies = [value.decode("latin-1") for name, value in raw if name == b"set-cookie"] if page else []
        if cookies:
            hold_undeclared = self._site.settings.undeclared_cookies == "hold"
            allowed = nobody.consent.allowed
            if headers.hold_cookies(cookies, self._site.catalogue, allowed, hold_undeclared=hold_undeclared)[0]:
                return
        self._visitor, self._consent = nobody, nobody.consent
        if self._watched is not None:
            Watched.settle(self._watched, nobody.consent)

    async def _begin_untyped(self, message: Message) -> None:
        """Send a start without a body, or one whose body will tell what it is."""
        response = MutableHeaders(raw=message["headers"])
        self._untyped = True
        if message["status"] in WITHOUT_BODY:
            whose = self._confirming
            if whose is not None and message["status"] == 304:
                # What the app keeps to the visitor stays theirs, though the page it confirms was everybody's.
                owner = self._visitor if whose.shared else whose
                page = marked(
                    message["headers"],
                    site=self._site,
                    visitor=owner,
                    consent=owner.consent,
                    confirming=True,
                    tag=whose.state_tag,
                )
                message = {**message, "headers": page.headers}
            await self._send(message)
        elif response.get("x-content-type-options", "").strip().lower() == "nosniff":
            await self._send(message)
        else:
            await self._begin_html(message)

    async def _begin_html(self, message: Message) -> None:
        response = MutableHeaders(raw=message["headers"])
        coding = ",".join(response.getlist("content-encoding")).strip().lower()
        if coding not in ("", "identity"):
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
            if self._untyped and self._gate is None:
                self._coded += body
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
        if not more:
            self._report()
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    def _ready(self) -> bool:
        """Tell whether enough of the body is there to know its charset and its language."""
        if len(self._waiting) >= HEAD_START:
            return True
        start = self._start
        declared = start is not None and b"charset" in dict(start["headers"]).get(b"content-type", b"").lower()
        return declared and _ROOT.search(self._waiting) is not None

    async def _open(self, body: bytes, *, whole: bool) -> None:
        """Send the held start, then the first piece of the body."""
        start = self._start
        assert start is not None  # noqa: S101 - _body is only reached while a start is held
        response = MutableHeaders(raw=start["headers"])
        content_type = response.get("content-type")
        if self._untyped and not _looks_like_html(body):
            if self._decoder is not None:
                body, self._decoder = bytes(self._coded), None
            self._start = None
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body, "more_body": not whole})
            return
        self._coded.clear()
        consent = self._in_language_of(body, response)
        encoding = charset.sniff(content_type, body)
        page = marked(
            start["headers"],
            site=self._site,
            visitor=self._visitor,
            consent=consent,
            negotiated=self._negotiated,
            encoding=encoding if body else "",
        )
        out = self._gated(body, consent, page, encoding, whole=whole)
        if whole and (body or self._scope["method"] != "HEAD"):
            page.headers.append((b"content-length", str(len(out)).encode()))
        page.headers.extend(self._cookies_to_expire(consent))
        await self._send({**start, "headers": page.headers})
        await self._send({"type": "http.response.body", "body": out, "more_body": not whole})

    def _gated(self, body: bytes, consent: Consent, page: Marked, encoding: str, *, whole: bool) -> bytes:
        """Return the first piece of a body gated, from memory where the very same page was gated before."""
        view = self._site.rules.view(consent.allowed)
        insert = self._insert(consent, page)
        key = (view, encoding, insert.banner, insert.first_gated, self._scope["path"], body)
        if whole and (known := self._site.bodies.get(key)) is not None:
            self._gate = FINISHED
            return known
        address = f"{self._scope.get('scheme', 'https')}://{_host(self._scope)}{_address(self._scope)}"
        if charset.decodable(encoding) is charset.Kind.TRANSCODE:
            self._scanner = Gate(view, charset="utf-8", insert=insert, address=address)
            self._gate = charset.Transcoder(self._scanner, charset=encoding)
        else:
            self._gate = self._scanner = Gate(view, charset=charset.codec(encoding), insert=insert, address=address)
        out = self._gate.feed(body)
        if whole:
            out += self._gate.end()
            self._report()
            if not page.nonce:
                self._site.bodies.keep(key, out)
        return out

    def _report(self) -> None:
        """Tell the operator what the page holds that nobody declared."""
        if self._scanner is not None:
            self._site.reports.hosts(self._scanner.found)
            self._site.reports.parked(self._scanner.parked)

    async def _file(self, path: str) -> None:
        with await asyncio.to_thread(open, path, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, FILE_CHUNK):
                await self({"type": "http.response.body", "body": chunk, "more_body": True})
        await self({"type": "http.response.body", "body": b"", "more_body": False})

    # -- what is inserted

    def _in_language_of(self, body: bytes, response: MutableHeaders) -> Consent:
        """Return the visitor's consent with the notice in the page's own language, where the site has it."""
        root = _ROOT.search(body, 0, 4096)
        found = _LANGUAGE.search(root[0]) if root else None
        tag = found[1].decode("ascii") if found else response.get("content-language", "")
        language = self._site.spoken(tag)
        if language is None:
            self._negotiated = len(self._site.settings.spoken) > 1 and not self._visitor.shared
            return self._consent
        return self._visitor.in_language(self._site.edition(self._site.now()).notices[language])

    def _insert(self, consent: Consent, page: Marked) -> Insert:
        fragments, shared = self._site.fragments, self._visitor.shared
        # A cache may keep one page for many queries, and a query may say who came.
        path = safe_path(_path(self._scope) if shared else _address(self._scope)) or "/"
        companion = self._site.edition(self._site.now()).companion if shared else ""
        if is_framed_elsewhere(self._scope):
            after_body = b""
        elif consent.answered:
            after_body = fragments.link(consent, next_path=path)
        else:
            after_body = fragments.banner(consent, next_path=path, companion=companion)
        return Insert(
            banner=_fitted(after_body, page),
            first_gated=_fitted(fragments.assets(consent), page) if consent.answered else b"",
            also_granted=True,
            placeholder=lambda service, tag: fragments.placeholder(consent, service=service, tag=tag, next_path=path),
        )

    # -- headers

    def _differs(self, raw: list[tuple[bytes, bytes]], cookies: list[str]) -> bool:
        """Tell whether another visitor could get other headers."""
        strictest, _, _ = headers.hold_cookies(cookies, self._site.catalogue, ())
        return strictest != cookies or headers.hold_headers(raw, self._site.rules.view(frozenset())) != raw

    def _links(self, links: Iterable[bytes]) -> list[bytes]:
        # They come before it is known whose the answer is.
        view = self._site.rules.view((self._nobody or self._visitor).consent.allowed)
        return [link for _, link in headers.hold_headers([(b"link", link) for link in links], view)]

    def _cookies_to_expire(self, consent: Consent) -> Iterator[tuple[bytes, bytes]]:
        """Yield headers that delete the cookies this request carries and that may not be stored any more."""
        site, visitor = self._site, self._visitor
        values = headers.expire_cookies(
            visitor.cookies, site.catalogue, consent.allowed, host=_host(self._scope), consent_cookie=site.cookie_name
        )
        if visitor.once:
            values.append(site.cookie_header(site.once_cookie_name, "", expires_at=0))
        for value in values:
            yield b"set-cookie", value.encode("latin-1")

    def _with_gated_headers(self, message: Message, *, page: bool = True) -> Message:
        """Return a start without what its headers would store or load for services that are not allowed.

        What is no `page`, whose headers are marked later, becomes this visitor's own here where it differs by visitor.
        The app's own message and list stay as they are: it may send the same ones to the next visitor.
        """
        site, consent = self._site, self._consent
        response = MutableHeaders(raw=list(message["headers"]))
        cookies = response.getlist("set-cookie")
        hold_undeclared = site.settings.undeclared_cookies == "hold"
        kept, held, undeclared = headers.hold_cookies(
            cookies, site.catalogue, consent.allowed, hold_undeclared=hold_undeclared
        )
        site.reports.cookies(undeclared)
        if held:
            del response["set-cookie"]
            for value in kept:
                response.append("set-cookie", value)
        raw = response.raw
        if not page and not self._visitor.shared and self._differs(raw, cookies):
            raw = marked(raw, site=site, visitor=self._visitor, consent=consent, confirming=True, tag="").headers
        return {**message, "headers": headers.hold_headers(raw, site.rules.view(consent.allowed))}


def _fitted(html: bytes, page: Marked) -> bytes:
    """Give our script and style the nonce that the page's own policy asks for.

    The script learns too whether that policy was narrowed: what the browser denies for as long as the page lives takes
    a reload to be allowed.
    """
    if page.narrowed:
        html = html.replace(b"<script ", b'<script data-narrowed="" ')
    if not page.nonce:
        return html
    nonce = b'nonce="%s" ' % page.nonce.encode("ascii")
    return html.replace(b"<script ", b"<script " + nonce).replace(b"<link ", b"<link " + nonce)


def is_framed_elsewhere(scope: Scope) -> bool:
    """Tell whether another site shows this page in a frame, where a visitor could be led to press a button unseen."""
    sent = dict(scope["headers"])
    return sent.get(b"sec-fetch-site") == b"cross-site" and sent.get(b"sec-fetch-dest") in FRAMES


def _address(scope: Scope) -> str:
    """Return the page's own path and query, in ASCII."""
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{_path(scope)}?{query}" if query else _path(scope)


def _path(scope: Scope) -> str:
    return quote(scope["path"], safe="/@:!$&'()*+,;=~")


def _host(scope: Scope) -> str:
    """Return the name the visitor asked for, without a port."""
    value = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return value if value.endswith("]") else value.rpartition(":")[0] or value


@lru_cache(maxsize=256)
def _media_type(lines: str) -> str:
    """Return the media type a browser takes a response for, HTML where any of its `Content-Type` lines could mean it.

    Empty where the browser looks at the body itself. Browsers cut a type at a space, a semicolon or a parenthesis, skip
    what has no slash, and take the last one. Source: Fetch §3.3.4; Chromium's `HttpUtil::ParseContentType`.
    """
    found = ""
    for part in lines.lower().split(","):
        media_type = _TYPE_END.split(part.strip(), maxsplit=1)[0]
        if media_type in HTML_TYPES:
            return media_type
        if "/" in media_type and media_type not in SNIFFED_TYPES:
            found = media_type
    return found


def _looks_like_html(body: bytes) -> bool:
    return body.lstrip(b"\t\n\f\r \xef\xbb\xbf").startswith(b"<")
