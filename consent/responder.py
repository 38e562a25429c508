"""Gate one response: hold its start until it is known what its body is, then let through only what is agreed to."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Collection

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from consent.asked import address_of, is_part, is_picture
from consent.choice.consent import Consent
from consent.codings import DECODERS, CodingError, Decoder
from consent.gate.bodies import Page
from consent.gate.rules import View
from consent.gating import FINISHED, Finished, Gating, encoding_of, gated_whole
from consent.holding import (
    REDIRECTS,
    allowed_links,
    expired_cookies,
    is_everybodys,
    leads_astray,
    looked_through,
    seen_through,
    without_held,
)
from consent.inserting import ROOT, in_language_of, insert_for
from consent.instead import answer_in_words, answer_with_nothing
from consent.kinds import Kind, sniffed
from consent.marking import Marked, RawHeaders, marked, marked_alone, parted
from consent.sharing import Watched
from consent.site import Site
from consent.visitors import Visitor

logger = logging.getLogger("consent")

WITHOUT_BODY = frozenset({204, 304})
HANDSHAKES = frozenset({"websocket.accept", "websocket.http.response.start"})
"""How an app answers a websocket's handshake: browsers store the cookies of either. Source: ASGI, Denial Response."""
HEAD_START = 1024
"""How many bytes a browser, too, looks at to find out the charset. Source: HTML §13.2.3.2."""
FILE_CHUNK = 65_536
WHOLE_CAP = 4 << 20
"""Bytes of a style sheet, of speculation rules or of XML that are held until its end is there."""

_OTHER, _HTML = Kind.OTHER, Kind.HTML
_UNFIT = "This page could not be prepared safely. Please try again later.\n"
_WHOLE = re.compile(rb"<(?:!doctype|html)\b", re.IGNORECASE)


class Responder:
    """Stand between the app and the server for one request."""

    # Most answers are no pages, and need none of these.
    _passing = False
    _start: Message | None = None
    _gate: Gating | Finished | None = None
    _kind = Kind.HTML
    _decoder: Decoder | None = None
    _refused = False
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
            kind = seen_through(message.get("headers"))
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
            # It may come before it is known whose the answer is, and late, while the server has seen no start yet.
            if not self._refused:
                view = self._site.rules.view((self._nobody or self._visitor).consent.allowed)
                await self._send({**message, "links": allowed_links(message["links"], view, self._scope)})
        elif self._start is None and self._gate is None:
            if kind in HANDSHAKES and message.get("headers"):
                lower = [(name.lower(), value) for name, value in message["headers"]]
                message = self._without_held({**message, "headers": lower})
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
        sent = message.get("headers", ())
        raw = [(name.lower(), value) for name, value in sent]
        if raw != sent:
            # The protocol allows any iterable, and asks for lower case only with a "should".
            message = {**message, "headers": raw}
        self._kind, gated, reports = looked_through(raw)
        if self._kind is not Kind.SHEET and self._sheet:
            message = self._as_sheet(message)
        self._settle_whose(message["status"], raw)
        if gated or (reports and not self._kind.marked):
            leads = message["status"] in REDIRECTS
            view = self._site.rules.view(self._visitor.consent.allowed)
            if leads and leads_astray(raw, view, self._scope):
                self._refused = True
                await answer_with_nothing(self._send, self._without_held(message)["headers"])
                return
            # A redirect mostly comes without a body that would tell its kind.
            message = self._without_held(message, page=self._kind.marked and not leads)
        if self._kind is Kind.OTHER:
            await self._send(message)
        elif message["status"] in WITHOUT_BODY or self._kind is Kind.UNKNOWN:
            await self._begin_untyped(message)
        else:
            await self._begin_gated(message)

    def _without_held(self, message: Message, *, page: bool = True) -> Message:
        return without_held(message, site=self._site, visitor=self._visitor, scope=self._scope, page=page)

    def _settle_whose(self, status: int, raw: RawHeaders) -> None:
        """Make the answer everybody's, where it may be: from here on it is gated for nobody."""
        nobody, watched = self._nobody, self._watched
        if nobody is None or (watched is not None and Watched.looked_at(watched)):
            return
        if is_everybodys(status, raw, self._kind, site=self._site, nobody=nobody, scope=self._scope):
            self._visitor = nobody
            if watched is not None:
                Watched.settle(watched, nobody.consent)

    def _as_sheet(self, message: Message) -> Message:
        """Take for a style sheet what a page in quirks mode takes for one, but let no page be one.

        A page is gated as a page, which does not hold what a style sheet would ask for.
        """
        if self._kind.markup:
            kept = [header for header in message["headers"] if header[0] != b"x-content-type-options"]
            return {**message, "headers": [*kept, (b"x-content-type-options", b"nosniff")]}
        self._kind = Kind.SHEET
        return message

    async def _begin_untyped(self, message: Message) -> None:
        """Send a start without a body, or one whose body will tell what it is."""
        response = MutableHeaders(raw=message["headers"])
        if message["status"] in WITHOUT_BODY:
            whose = self._confirming
            if whose is not None and message["status"] == 304:
                # What the app keeps to the visitor stays theirs, though the page it confirms was everybody's.
                owner = self._visitor if whose.shared else whose
                raw = marked_alone(message["headers"], site=self._site, visitor=owner, tag=whose.state_tag)
                message = {**message, "headers": raw}
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
            if self._kind is Kind.SHEET and not self._sheet and is_part(self._scope):
                await self._send(message)
            else:
                await self._refuse("a part of a page or a style sheet cannot be gated")
            return
        self._start = message

    async def _refuse(self, reason: str) -> None:
        """Answer 502: a page that cannot be gated is not passed."""
        logger.error("a response was not passed on: %s", reason)
        self._refused = True
        await answer_in_words(self._send, 502, _UNFIT)

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
        return declared and ROOT.search(self._waiting) is not None

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
        key = (view, encoding, self._kind, path)
        known = self._site.bodies.get(key, body)
        if known is None:
            known, parked, found = gated_whole(
                self._kind, view, body, encoding=encoding, address=address_of(self._scope)
            )
            self._report(parked, found)
            self._site.bodies.keep(key, body, body if known == body else known, size=len(known))
        return known

    async def _open(self, body: bytes, *, whole: bool) -> None:
        """Send the held start, then the first piece of the body."""
        start = self._start
        assert start is not None  # noqa: S101 - _body is only reached while a start is held
        seen, passing = parted(start["headers"])
        key = None
        if whole and body and not self._visitor.fleeting:
            # No more than this decides what becomes of a page, but for the cookies that its request carries; who sees
            # it in a frame elsewhere is fleeting.
            key = (self._visitor.state, self._scope["path"], self._scope.get("query_string"), seen)
            known = self._site.gated_pages.get(key, body)
            if known is not None:
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
        declared = response.get("content-language", "")
        consent, negotiated = in_language_of(body, declared, site=self._site, visitor=self._visitor)
        encoding = encoding_of(self._kind, content_type, body)
        page = marked(
            seen,
            site=self._site,
            visitor=self._visitor,
            consent=consent,
            negotiated=negotiated,
            encoding=encoding if body and self._kind is Kind.HTML else "",
        )
        out = self._gated(body, consent, page, encoding, whole=whole)
        if whole and (body or self._scope["method"] != "HEAD"):
            page.headers.append((b"content-length", str(len(out)).encode()))
        if key is not None and not page.nonce:
            self._site.gated_pages.keep(key, body, Page(tuple(page.headers), out, self._asked), size=len(out))
        await self._send_opened(start, [*passing, *page.headers], out, more=not whole)

    async def _send_opened(self, start: Message, raw: RawHeaders, body: bytes, *, more: bool = False) -> None:
        if self._asked and self._scope["method"] != "HEAD":
            self._site.ledger.count("shown", self._asked)
        if self._visitor.cookies or self._visitor.once:
            raw.extend(expired_cookies(site=self._site, visitor=self._visitor, scope=self._scope))
        await self._send({**start, "headers": raw})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _gated(self, body: bytes, consent: Consent, page: Marked, encoding: str, *, whole: bool) -> bytes:
        """Return the first piece of a body gated."""
        view = self._site.rules.view(consent.allowed)
        insert = insert_for(consent, page, site=self._site, visitor=self._visitor, scope=self._scope)
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
