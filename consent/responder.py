"""Gate one response: hold its start until it is known what its body is, then let through only what is agreed to."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Collection, Iterable, Iterator
from functools import lru_cache

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from consent.asked import address_of, host_of, is_framed_elsewhere, is_own_act, is_picture, path_of
from consent.choice.consent import Consent
from consent.codings import DECODERS, CodingError, Decoder
from consent.gate import headers
from consent.gate.bodies import Page, Whole, likeness
from consent.gate.inquest import verdict_of_address
from consent.gate.insert import Insert
from consent.gate.rules import Verdict, View
from consent.gating import FINISHED, Finished, Gating, encoding_of, gated_whole
from consent.kinds import Kind, kind_of, sniffed
from consent.marking import Marked, RawHeaders, marked, parted
from consent.sharing import Watched, is_private
from consent.site import Site
from consent.visitors import Visitor
from consent.web.origin import safe_path

logger = logging.getLogger("consent")

WITHOUT_BODY = frozenset({204, 304})
GATED_HEADERS = frozenset(
    {b"set-cookie", b"link", b"refresh", b"report-to", b"reporting-endpoints", b"nel", b"speculation-rules"}
    | {b"location"}
)
HANDSHAKES = frozenset({"websocket.accept", "websocket.http.response.start"})
"""How an app answers a websocket's handshake: browsers store the cookies of either. Source: ASGI, Denial Response."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEAD_START = 1024
"""How many bytes a browser, too, looks at to find out the charset. Source: HTML §13.2.3.2."""
FILE_CHUNK = 65_536
WHOLE_CAP = 4 << 20
"""Bytes of a style sheet, of speculation rules or of XML that are held until its end is there."""

_OTHER, _HTML = Kind.OTHER, Kind.HTML
_ROOT = re.compile(rb"<html\b[^>]*>", re.IGNORECASE)
_WHOLE = re.compile(rb"<(?:!doctype|html)\b", re.IGNORECASE)
_LANGUAGE = re.compile(rb"\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,35})", re.IGNORECASE)


class Responder:
    """Stand between the app and the server for one request."""

    # Most answers are no pages, and need none of these.
    _passing = False
    _start: Message | None = None
    _gate: Gating | Finished | None = None
    _kind = Kind.HTML
    _decoder: Decoder | None = None
    _refused = False
    _negotiated = False
    _asked = ""
    _waiting: bytes | bytearray = b""
    _coded: bytes | bytearray = b""
    _nobody: Visitor | None = None
    _watched: Watched | None = None
    _confirming: Visitor | None = None
    _sheet = False

    def __init__(self, site: Site, visitor: Visitor, send: Send, scope: Scope) -> None:
        self._site = site
        self._visitor = visitor
        self._send = send
        self._scope = scope

    def expect(
        self, *, nobody: Visitor | None, watched: Watched | None, confirming: Visitor | None, sheet: bool
    ) -> None:
        """Tell what is known of few requests before they are answered.

        Args:
            nobody: for whom the answer is gated if it may be everybody's.
            watched: tells whether the app asked about the visitor before it answered.
            confirming: for whom a page was gated that the request asks about.
            sheet: whether the browser may read the answer as a style sheet, whatever type it has.
        """
        self._sheet = sheet
        self._nobody = nobody
        self._watched = watched
        self._confirming = confirming

    def __call__(self, message: Message) -> Awaitable[None]:
        """Take one message from the app, and send on what may pass."""
        if not self._passing:
            if message["type"] != "http.response.start" or self._sheet:
                return self._take(message)
            kind = _seen_through(message.get("headers"))
            if kind is not _OTHER:
                # A page for one visitor waits for its body, and nothing else is to be done before.
                ordinary = kind is _HTML and message["status"] == 200 and self._nobody is None
                return self._hold(message) if ordinary else self._take(message)
            self._passing = True
        return self._send(message)

    async def _hold(self, start: Message) -> None:
        self._start = start

    async def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._begin(message)
        elif kind == "http.response.early_hint":
            # An app may send it late, while the server has seen no start yet.
            if not self._refused:
                await self._send({**message, "links": self._links(message["links"])})
        elif self._start is None and self._gate is None:
            if kind in HANDSHAKES and message.get("headers"):
                lower = [(name.lower(), value) for name, value in message["headers"]]
                message = self._with_gated_headers({**message, "headers": lower})
            if not self._refused:
                await self._send(message)
        elif kind == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            first = self._gate is None and not self._waiting
            if first and not more and self._kind is _HTML and self._decoder is None:
                await self._open(bytes(body), whole=True)
            else:
                await self._body(body, more=more)
        elif kind == "http.response.pathsend":
            await self._file(message["path"])
        else:
            await self._send(message)

    # -- the start

    async def _begin(self, message: Message) -> None:
        content_type, gated, reports = "", False, False
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
            elif name in headers.POLICIES and b"report-uri" in value.lower():
                reports = True
        self._kind = kind_of(content_type)
        if self._kind is not Kind.SHEET and self._sheet:
            message = self._as_sheet(message, content_type)
        if self._nobody is not None and self._is_everybodys(message["status"], raw, self._nobody):
            self._visitor = self._nobody
            if self._watched is not None:
                Watched.settle(self._watched, self._nobody.consent)
        if gated or (reports and not self._kind.marked):
            leads = message["status"] in REDIRECTS
            if leads and self._leads_astray(raw):
                await self._stay(message)
                return
            # A redirect mostly comes without a body that would tell its kind.
            message = self._with_gated_headers(message, page=self._kind.marked and not leads)
        if self._kind is Kind.OTHER:
            await self._send(message)
        elif message["status"] in WITHOUT_BODY or self._kind is Kind.UNKNOWN:
            await self._begin_untyped(message)
        else:
            await self._begin_gated(message)

    def _as_sheet(self, message: Message, content_type: str) -> Message:
        """Take for a style sheet what a page in quirks mode takes for one, but let no page be one.

        A page is gated as a page, which does not hold what a style sheet would ask for.
        """
        if content_type and self._kind.markup:
            kept = [header for header in message["headers"] if header[0] != b"x-content-type-options"]
            return {**message, "headers": [*kept, (b"x-content-type-options", b"nosniff")]}
        self._kind = Kind.SHEET
        return message

    def _is_everybodys(self, status: int, raw: list[tuple[bytes, bytes]], nobody: Visitor) -> bool:
        """Tell whether caches may keep this answer for everybody, as far as the app and the kind of answer allow it.

        Style sheets and XML that ask a service that is held back cannot be mended by a script, and a redirect to one
        may be followed by one visitor's own act and not by another's page.
        """
        if is_private(raw) or self._kind.held_whole or (self._watched and Watched.looked_at(self._watched)):
            return False
        allowed = nobody.consent.allowed
        if status in REDIRECTS and self._verdict_of_location(raw, self._site.rules.view(allowed)) is not None:
            return False
        cookies = [value.decode("latin-1") for name, value in raw if name == b"set-cookie"] if self._kind.page else []
        hold_undeclared = self._site.settings.undeclared_cookies == "hold"
        return not headers.hold_cookies(cookies, self._site.catalogue, allowed, hold_undeclared=hold_undeclared)[0]

    async def _begin_untyped(self, message: Message) -> None:
        """Send a start without a body, or one whose body will tell what it is."""
        response = MutableHeaders(raw=message["headers"])
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
            await self._begin_gated(message)

    async def _begin_gated(self, message: Message) -> None:
        codings = b",".join(value for name, value in message["headers"] if name == b"content-encoding")
        coding = codings.decode("latin-1").strip().lower()
        if coding not in ("", "identity"):
            maker = DECODERS.get(coding)
            if maker is None and self._kind.held_whole and is_picture(self._scope):
                await self._send(message)
                return
            if maker is None:
                await self._refuse(f"the body's content coding {coding!r} cannot be undone")
                return
            self._decoder, self._coded = maker(), bytearray()
        if message["status"] == 206:
            if self._kind is Kind.SHEET:
                await self._send(message)
            else:
                await self._refuse("a part of a page cannot be gated")
            return
        self._start = message

    def _leads_astray(self, raw: list[tuple[bytes, bytes]]) -> bool:
        """Tell whether a redirect sends a request that no visitor made themselves to somebody who is held back."""
        verdict = self._verdict_of_location(raw, self._site.rules.view(self._visitor.consent.allowed))
        if verdict is None:
            return False
        return not is_own_act(self._scope, sure=verdict.service is not None)

    def _verdict_of_location(self, raw: Iterable[tuple[bytes, bytes]], view: View) -> Verdict | None:
        places = [place for name, value in raw if name == b"location" for place in headers.readings(value)]
        bases = view.rules.page(address_of(self._scope))
        verdicts = [verdict_of_address(view, place, bases=bases) for place in places]
        return next((verdict for verdict in verdicts if verdict is not None), None)

    async def _stay(self, message: Message) -> None:
        """Answer a redirect that is held with nothing, which pictures, scripts and frames all take quietly."""
        kept = self._with_gated_headers(message)["headers"]
        cookies = [(name, value) for name, value in kept if name == b"set-cookie"]
        self._refused = True
        await self._send(
            {
                "type": "http.response.start",
                "status": 204,
                "headers": [*cookies, (b"cache-control", b"no-store"), (b"vary", b"Cookie, Sec-GPC")],
            }
        )
        await self._send({"type": "http.response.body", "body": b""})

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
        if self._decoder is None:
            await self._decoded(body, more=more)
            return
        if self._gate is None and (self._kind is Kind.UNKNOWN or self._kind.held_whole):
            self._coded += body
        try:
            for piece in self._decoder.pieces(body, last=not more):
                await self._decoded(piece, more=True)
                if self._refused or self._decoder is None:
                    return
        except CodingError:
            if self._gate is None:
                self._start = None
                await self._refuse("the body is not in the content coding it is said to be in")
                return
            more = False
        if not more:
            await self._decoded(b"", more=False)

    async def _decoded(self, body: bytes, *, more: bool) -> None:
        if self._gate is None:
            if self._waiting:
                self._waiting += body
            else:
                self._waiting = bytearray(body)
            if self._kind.held_whole:
                await self._whole(more=more)
                return
            if more and not self._ready():
                return
            body = bytes(self._waiting)
            self._waiting = b""
            await self._open(body, whole=not more)
            return
        out = self._gate.feed(body) + (b"" if more else self._gate.end())
        if not more:
            self._report(self._gate.parked, self._gate.found)
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    def _ready(self) -> bool:
        """Tell whether enough of the body is there to know its charset and its language."""
        if len(self._waiting) >= HEAD_START:
            return True
        start = self._start
        declared = start is not None and b"charset" in dict(start["headers"]).get(b"content-type", b"").lower()
        return declared and _ROOT.search(self._waiting) is not None

    async def _whole(self, *, more: bool) -> None:
        """Send a style sheet or XML once its end is there: as it came, with its headers, where nothing is held."""
        if more and len(self._waiting) <= WHOLE_CAP:
            return
        start = self._start
        assert start is not None  # noqa: S101 - _body is only reached while a start is held
        body = bytes(self._waiting)
        self._waiting = b""
        if len(body) > WHOLE_CAP:
            if self._kind is not Kind.XML:
                self._start = None
                await self._refuse(f"{self._kind.value} of more than 4 MiB cannot be gated")
            else:
                await self._open(body, whole=not more)
            return
        encoding = encoding_of(self._kind, MutableHeaders(raw=start["headers"]).get("content-type"), body)
        # Whether it differs by visitor shows where nothing is allowed.
        if self._known(body, encoding, self._site.rules.view(frozenset())) == body:
            sent = body if self._decoder is None else bytes(self._coded)
            self._start = None
            await self._send(start)
            await self._send({"type": "http.response.body", "body": sent})
            return
        page = marked(start["headers"], site=self._site, visitor=self._visitor, consent=self._visitor.consent)
        out = self._known(body, encoding, self._site.rules.view(self._visitor.consent.allowed))
        if body or self._scope["method"] != "HEAD":
            page.headers.append((b"content-length", str(len(out)).encode()))
        self._gate = FINISHED
        await self._send({**start, "headers": page.headers})
        await self._send({"type": "http.response.body", "body": out})

    def _known(self, body: bytes, encoding: str, view: View) -> bytes:
        """Return a whole body gated, from memory where the very same was gated before."""
        path = self._scope["path"] if view.rules.has_own_paths else ""
        key = (view, encoding, self._kind, path, *likeness(body))
        known = self._site.bodies.get(key)
        if known is not None and known.source == body:
            return known.gated
        out, parked, found = gated_whole(self._kind, view, body, encoding=encoding, address=address_of(self._scope))
        self._report(parked, found)
        self._site.bodies.keep(key, Whole(body, body if out == body else out), size=len(body) + len(out))
        return out

    async def _open(self, body: bytes, *, whole: bool) -> None:
        """Send the held start, then the first piece of the body."""
        start = self._start
        assert start is not None  # noqa: S101 - _body is only reached while a start is held
        seen, passing = parted(start["headers"])
        key = None
        if whole and body and not self._visitor.fleeting:
            # No more than this decides what becomes of a page, but for the cookies that its request carries; who sees
            # it in a frame elsewhere is fleeting.
            scope = self._scope
            key = (
                self._visitor.state,
                scope["path"],
                scope.get("query_string"),
                seen,
                *likeness(body),
            )
            known = self._site.gated_pages.get(key)
            if known is not None and known.source == body:
                self._gate = FINISHED
                self._asked = known.asked
                await self._send_opened(start, [*passing, *known.headers], known.body)
                return
        response = MutableHeaders(raw=start["headers"])
        content_type = response.get("content-type")
        if self._kind is Kind.UNKNOWN:
            self._kind = sniffed(body)
        if self._kind is Kind.OTHER:
            if self._decoder is not None:
                body, self._decoder = bytes(self._coded), None
            self._start = None
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body, "more_body": not whole})
            return
        self._coded = b""
        consent = self._in_language_of(body, response)
        encoding = encoding_of(self._kind, content_type, body)
        page = marked(
            seen,
            site=self._site,
            visitor=self._visitor,
            consent=consent,
            negotiated=self._negotiated,
            encoding=encoding if body and self._kind is Kind.HTML else "",
        )
        out = self._gated(body, consent, page, encoding, whole=whole)
        if whole and (body or self._scope["method"] != "HEAD"):
            page.headers.append((b"content-length", str(len(out)).encode()))
        if key is not None and not page.nonce:
            kept = Page(tuple(page.headers), out, body, self._asked)
            self._site.gated_pages.keep(key, kept, size=len(body) + len(out))
        await self._send_opened(start, [*passing, *page.headers], out, more=not whole)

    async def _send_opened(self, start: Message, raw: RawHeaders, body: bytes, *, more: bool = False) -> None:
        if self._asked and self._scope["method"] != "HEAD":
            self._site.ledger.count("shown", self._asked)
        if self._visitor.cookies or self._visitor.once:
            raw.extend(self._cookies_to_expire())
        await self._send({**start, "headers": raw})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _gated(self, body: bytes, consent: Consent, page: Marked, encoding: str, *, whole: bool) -> bytes:
        """Return the first piece of a body gated."""
        view = self._site.rules.view(consent.allowed)
        insert = self._insert(consent, page)
        if insert.banner and not consent.answered and _WHOLE.search(body, 0, HEAD_START):
            self._asked = f"{consent.notice.short.hex()} {consent.language} {consent.regime}"
        self._gate = gate = Gating(self._kind, view, encoding=encoding, address=address_of(self._scope), insert=insert)
        out = gate.feed(body)
        if whole:
            out += gate.end()
            self._report(gate.parked, gate.found)
        return out

    def _report(self, parked: Collection[str], found: Collection[str]) -> None:
        """Tell the operator what the page holds that nobody declared."""
        self._site.reports.hosts(found)
        self._site.reports.parked(parked)

    async def _file(self, path: str) -> None:
        with await asyncio.to_thread(open, path, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, FILE_CHUNK):
                await self({"type": "http.response.body", "body": chunk, "more_body": True})
        await self({"type": "http.response.body", "body": b"", "more_body": False})

    # -- what is inserted

    def _in_language_of(self, body: bytes, response: MutableHeaders) -> Consent:
        """Return the visitor's consent with the notice in the page's own language, where the site has it.

        Whoever switched the language is asked in the one they chose.
        """
        if self._visitor.chose_language:
            return self._visitor.consent
        root = _ROOT.search(body, 0, 4096)
        found = _LANGUAGE.search(root[0]) if root else None
        tag = found[1].decode("ascii") if found else response.get("content-language", "")
        language = self._site.spoken(tag)
        if language is None:
            self._negotiated = len(self._site.settings.spoken) > 1 and not self._visitor.shared
            return self._visitor.consent
        return self._visitor.in_language(self._site.edition(self._site.now()).notices[language])

    def _insert(self, consent: Consent, page: Marked) -> Insert:
        fragments, shared = self._site.fragments, self._visitor.shared
        # A cache may keep one page for many queries, and a query may say who came.
        path = path_of({**self._scope, "query_string": b""} if shared else self._scope)
        path = safe_path(path) or "/"
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
            watch=_fitted(self._site.watch(consent.allowed), page),
            placeholder=lambda service, tag, about: fragments.placeholder(
                consent, service=service, tag=tag, about=about, next_path=path
            ),
        )

    # -- headers

    def _differs(self, raw: list[tuple[bytes, bytes]], cookies: list[str]) -> bool:
        """Tell whether another visitor could get other headers."""
        strictest, _, _ = headers.hold_cookies(cookies, self._site.catalogue, ())
        view = self._site.rules.view(frozenset())
        if strictest != cookies or self._verdict_of_location(raw, view) is not None:
            return True
        return headers.hold_headers(raw, view, bases=view.rules.page(address_of(self._scope))) != raw

    def _links(self, links: Iterable[bytes]) -> list[bytes]:
        # They come before it is known whose the answer is.
        view = self._site.rules.view((self._nobody or self._visitor).consent.allowed)
        bases = view.rules.page(address_of(self._scope))
        return [link for _, link in headers.hold_headers([(b"link", link) for link in links], view, bases=bases)]

    def _cookies_to_expire(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield headers that delete the cookies this request carries and that may not be stored any more."""
        site, visitor = self._site, self._visitor
        if not visitor.cookies:
            values = []
        else:
            values = headers.expire_cookies(
                visitor.cookies,
                site.catalogue,
                visitor.consent.allowed,
                host=host_of(self._scope),
                consent_cookie=site.cookie_name,
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
        site, consent = self._site, self._visitor.consent
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
        bases = site.rules.page(address_of(self._scope))
        if not page:
            # For nobody, so that it is the same for everybody: static files are often sent with a page's policy.
            raw = headers.hold_reporting(raw, site.rules.view(frozenset()), bases=bases)
        if not page and not self._visitor.shared and self._differs(raw, cookies):
            raw = marked(raw, site=site, visitor=self._visitor, consent=consent, confirming=True, tag="").headers
        return {**message, "headers": headers.hold_headers(raw, site.rules.view(consent.allowed), bases=bases)}


def _seen_through(headers: object) -> Kind | None:
    """Return the kind of an answer whose headers tell it at a glance, None where they need a second look."""
    if type(headers) is not list:
        return None
    named = dict(headers)
    return _told_by(tuple(named), named.get(b"content-type")) if len(named) == len(headers) else None


@lru_cache(maxsize=512)
def _told_by(names: tuple[bytes, ...], media_type: bytes | None) -> Kind | None:
    if media_type is None or not GATED_HEADERS.isdisjoint(names) or not b"".join(names).islower():
        return None
    kind = kind_of(media_type.decode("latin-1"))
    if kind is Kind.HTML:
        return None if b"content-encoding" in names else kind
    return kind if headers.POLICIES.isdisjoint(names) else None


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
