"""Send responses of every kind through the middleware, and look at what comes out byte for byte."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import brotli
import pytest
import zstandard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent import ConsentMiddleware
from consent.gating import Gating
from consent.kinds import Kind
from consent.site import Site
from tests.conftest import PAGE, SERVICES, Answer, Ask, MakeSite

STATS = b'<script src="https://stats.meridian-metrics.example/s.js"></script>'
PARKED = b'data-consent-src="https://stats.meridian-metrics.example/s.js"'
HTML = "text/html; charset=utf-8"
LONG = f'<!doctype html><html lang="en"><body>{"<p>Harbour news.</p>" * 200}{STATS.decode()}</body></html>'.encode()


ARTICLE = PAGE.encode()


def answering(
    body: bytes | list[bytes] = ARTICLE,
    *,
    content_type: str | None = HTML,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    length: bool = False,
) -> ASGIApp:
    """Return an app that answers in these chunks, with these headers in this order."""
    chunks = [body] if isinstance(body, bytes) else body
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    if content_type is not None:
        pairs.insert(0, (b"content-type", content_type.encode("latin-1")))
    if length:
        pairs.append((b"content-length", str(sum(map(len, chunks))).encode()))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(pairs)})
        for n, chunk in enumerate(chunks, 1):
            await send({"type": "http.response.body", "body": chunk, "more_body": n < len(chunks)})

    return app


@pytest.fixture
def behind(make_site: MakeSite) -> Callable[..., ConsentMiddleware]:
    """Return a function that puts an app behind the middleware of The Meridian."""

    def build(app: ASGIApp, **values: object) -> ConsentMiddleware:
        return ConsentMiddleware(app, site=make_site(**values))

    return build


Behind = Callable[..., ConsentMiddleware]


# -- bodies


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1024, 1 << 20], ids=str)
@pytest.mark.parametrize("content_type", [HTML, "text/html"], ids=["charset", "no charset"])
def test_chunks_change_nothing(behind: Behind, ask: Ask, size: int, content_type: str) -> None:
    """A page comes out the same, headers included, whatever pieces the app sends it in."""
    page = PAGE.replace('lang="en"', 'lang="uk"').encode() + b"<!-- " + b"x" * 2000 + b" -->"
    chunks = [page[at : at + size] for at in range(0, len(page), size)]
    site = {"languages": ("en", "uk")}
    whole = ask(behind(answering(page, content_type=content_type), **site), "/a")
    pieces = ask(behind(answering(chunks, content_type=content_type), **site), "/a")
    assert pieces.body == whole.body
    assert STATS not in pieces.body
    assert PARKED in pieces.body
    assert b'lang="uk"' in pieces.body.split(b'id="cst"')[1][:200]
    assert [pair for pair in pieces.headers if pair[0] != b"content-length"] == [
        pair for pair in whole.headers if pair[0] != b"content-length"
    ]


def test_one_chunk_has_its_length(behind: Behind, ask: Ask) -> None:
    """A page known as a whole says how long it is after gating."""
    answer = ask(behind(answering(length=True)))
    assert answer.one("content-length") == str(len(answer.body))
    assert len(answer.body) > len(PAGE)


def test_a_stream_has_no_length(behind: Behind, ask: Ask) -> None:
    """A page that streams loses the length the app gave it, which is not its length any more."""
    answer = ask(behind(answering([LONG[:1500], LONG[1500:]], length=True)))
    assert answer.one("content-length") is None
    assert PARKED in answer.body


def test_a_stream_flows(behind: Behind, ask: Ask) -> None:
    """A long page is sent on while it comes, not kept until its end."""
    answer = ask(behind(answering([LONG[:2000], LONG[2000:3000], LONG[3000:]])))
    bodies = [message for message in answer.messages if message["type"] == "http.response.body"]
    assert len(bodies) == 3
    assert len(bodies[0]["body"]) > 1500
    assert [message["more_body"] for message in bodies] == [True, True, False]


def test_a_thousand_streams_hold_little(behind: Behind) -> None:
    """Each of a thousand pages on their way holds less than one of its chunks, however much of it has gone by."""
    chunk = b"<p>Harbour news.</p><img src=/own.png>" * 100
    site = behind(answering()).site
    assert site is not None
    view = site.rules.view(frozenset())
    gates = [Gating(Kind.HTML, view, encoding="utf-8", address="https://meridian.example/") for _ in range(1000)]
    for _ in range(5):
        for gate in gates:
            assert len(gate.feed(chunk + b"<img alt='cut")) > 3000
            assert sum(len(document._rest) for document in gate._documents) < 100
            gate.feed(b"'>")


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_head_promises_no_wrong_length(behind: Behind, ask: Ask, length: bool) -> None:
    """A HEAD that the app answers without a body says no length, for nobody knows that of the gated page."""
    headers = [("content-length", "1234")] if length else []
    answer = ask(behind(answering(b"", headers=headers)), method="HEAD")
    assert answer.body == b""
    assert answer.one("content-length") is None
    assert answer.one("cache-control") == "private, no-cache"


def test_head_with_a_body(behind: Behind, ask: Ask) -> None:
    """A HEAD that the app answers as a GET has the length of the gated page."""
    assert ask(behind(answering()), method="HEAD").one("content-length") == str(len(ask(behind(answering())).body))


def test_204_has_no_body(behind: Behind, ask: Ask) -> None:
    """An answer without content passes as it came, even one that says it is HTML."""
    answer = ask(behind(answering(b"", status=204)))
    assert (answer.status, answer.body) == (204, b"")


def test_206_of_html_is_never_passed(behind: Behind, ask: Ask) -> None:
    """A part of a page is answered 502, whatever it holds."""
    answer = ask(behind(answering(STATS, status=206, headers=[("content-range", "bytes 5-70/99")])))
    assert answer.status == 502
    assert b"stats" not in answer.body
    assert answer.one("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("asked", "status"), [([], 502), ([("range", "bytes=5-70"), ("sec-fetch-dest", "empty")], 206)]
)
def test_206_of_a_style_sheet_passes_to_who_asked_for_a_part(
    behind: Behind, ask: Ask, asked: list[tuple[str, str]], status: int
) -> None:
    """A browser that asked for the whole could apply what it gets."""
    sheet = b"@import url(https://stats.meridian-metrics.example/s.css);"
    assert ask(behind(answering(sheet, content_type="text/css", status=206)), headers=asked).status == status


def test_206_of_a_film_passes(behind: Behind, ask: Ask) -> None:
    """A part of what is not a page passes."""
    answer = ask(behind(answering(b"film", content_type="video/mp4", status=206)))
    assert (answer.status, answer.body) == (206, b"film")


@pytest.mark.parametrize("status", [200, 201, 403, 404, 500, 503])
def test_every_status_is_gated(behind: Behind, ask: Ask, status: int) -> None:
    """An error page is a page."""
    answer = ask(behind(answering(status=status)))
    assert answer.status == status
    assert PARKED in answer.body


# -- codings


def deflated(body: bytes) -> bytes:
    """Return a body in the coding `deflate` without the wrapper of zlib, as some servers send it."""
    compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compress.compress(body) + compress.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", deflated),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
    ("identity", bytes),
    ("", bytes),
]


@pytest.mark.parametrize(
    ("coding", "encode"), CODINGS, ids=["gzip", "x-gzip", "GZIP", "zlib", "raw", "br", "zstd", "identity", "-"]
)
@pytest.mark.parametrize("size", [1, 50, 1 << 20], ids=str)
def test_compression_is_undone(
    behind: Behind, ask: Ask, coding: str, encode: Callable[[bytes], bytes], size: int
) -> None:
    """A page the app has compressed is undone, gated and sent as it is."""
    packed = encode(PAGE.encode())
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    answer = ask(behind(answering(chunks, headers=[("content-encoding", coding)])))
    assert answer.one("content-encoding") is None
    assert answer.body == ask(behind(answering())).body


@pytest.mark.parametrize("coding", ["gzip, br", "dcb", "aes128gcm"])
def test_a_coding_that_cannot_be_undone(behind: Behind, ask: Ask, coding: str) -> None:
    """A page in a coding we cannot undo is answered 502, since nobody could gate it."""
    answer = ask(behind(answering(STATS, headers=[("content-encoding", coding)])))
    assert answer.status == 502
    assert b"stats" not in answer.body


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_coding_that_is_not_there(behind: Behind, ask: Ask, chunks: int) -> None:
    """A page that is not in the coding it claims is answered 502, once."""
    answer = ask(behind(answering([STATS] * chunks, headers=[("content-encoding", "gzip")])))
    assert answer.status == 502
    assert b"stats" not in answer.body
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("coding", ["br", "gzip", "zstd"])
def test_compressed_images_pass(behind: Behind, ask: Ask, coding: str) -> None:
    """What is not a page keeps its coding."""
    answer = ask(behind(answering(b"\x00\x01", content_type="image/png", headers=[("content-encoding", coding)])))
    assert (answer.one("content-encoding"), answer.body) == (coding, b"\x00\x01")


def test_compressed_data_without_a_type(behind: Behind, ask: Ask) -> None:
    """Compressed data without a media type comes out as it came, once a look inside shows that it is no page."""
    packed = gzip.compress(b"%PDF-1.7 harbour" * 300)
    chunks = [packed[:20], packed[20:40], packed[40:]]
    answer = ask(behind(answering(chunks, content_type=None, headers=[("content-encoding", "gzip")])))
    assert answer.one("content-encoding") == "gzip"
    assert answer.body == packed


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("gzip, deflate, br, zstd, dcb", "gzip, deflate, br, zstd"),
        ("dcb", "identity"),
        ("dcz;q=1.0, gzip;q=0.5", "gzip;q=0.5"),
        ("*", "identity"),
        ("", "identity"),
        ("GZIP", "GZIP"),
    ],
)
def test_the_app_sees_codings_that_can_be_undone(behind: Behind, ask: Ask, sent: str, seen: str) -> None:
    """The app is only told of codings we can undo."""
    got: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend(value for name, value in scope["headers"] if name == b"accept-encoding")
        await answering()(scope, receive, send)

    ask(behind(app), headers=[("accept-encoding", sent)])
    assert got == [seen.encode()]


# -- what is a page


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "TEXT/HTML",
        "text/html;charset=utf-8",
        " text/html ; charset=utf-8",
        "application/xhtml+xml",
        "text/html,text/html",
        "text/plain, text/html",
        "text/html (page)",
        "text/html charset=utf-8",
        "text",
        "garbage",
        "*/*",
        "unknown/unknown",
        "application/unknown",
        "",
    ],
    ids=repr,
)
def test_what_a_browser_shows_as_a_page_is_gated(behind: Behind, ask: Ask, content_type: str) -> None:
    """Every media type that makes a browser parse HTML is gated, the ill-written ones included."""
    answer = ask(behind(answering(content_type=content_type)))
    assert STATS not in answer.body
    assert PARKED in answer.body


@pytest.mark.parametrize("types", [("text/plain", "text/html"), ("text/html", "garbage"), ("text/html", "*/*")])
def test_several_content_types(behind: Behind, ask: Ask, types: tuple[str, str]) -> None:
    """Two media types in two header lines are a page where a browser could take them for one."""
    app = answering(content_type=None, headers=[("content-type", one) for one in types])
    assert PARKED in ask(behind(app)).body


def test_a_page_without_a_type(behind: Behind, ask: Ask) -> None:
    """A body without a media type that begins like HTML is gated, for a browser would guess that it is."""
    assert PARKED in ask(behind(answering(b" \n" + PAGE.encode(), content_type=None))).body
    chunks = [bytes([byte]) for byte in PAGE.encode()]
    assert PARKED in ask(behind(answering(chunks, content_type=None))).body


@pytest.mark.parametrize("content_type", [None, "", "application/unknown", "*/*"], ids=repr)
def test_data_without_a_type_passes(behind: Behind, ask: Ask, content_type: str | None) -> None:
    """A body without a known media type that does not begin like HTML passes untouched, in all its chunks."""
    chunks = [b"%PDF-1.7" + bytes(1500), STATS, b"end"]
    answer = ask(behind(answering(chunks, content_type=content_type)))
    assert answer.body == b"".join(chunks)
    assert answer.one("cache-control") is None


def test_nosniff_without_a_type(behind: Behind, ask: Ask) -> None:
    """A body without a media type that no browser may guess at passes."""
    app = answering(content_type=None, headers=[("x-content-type-options", "nosniff")])
    assert ask(behind(app)).body == PAGE.encode()


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json", "text/event-stream", "image/png", "application/rss+xml", "text/javascript"],
)
def test_anything_else_is_untouched(behind: Behind, ask: Ask, content_type: str) -> None:
    """What is not a page passes byte for byte, with the headers it came with."""
    headers = [("etag", '"1"'), ("last-modified", "Sun, 22 Nov 2026 10:00:00 GMT"), ("cache-control", "max-age=60")]
    chunks = [STATS, b"\x00\xff", STATS]
    app = answering(chunks, content_type=content_type, headers=headers, length=True)
    answer = ask(behind(app), headers=[("cookie", "_rs=1")])
    plain = ask(app)
    assert answer.messages == plain.messages


@pytest.mark.parametrize("body", [b"OK", b"no", b"1", b"a < b", b"plain text"])
def test_text_sent_as_html_is_not_swallowed(behind: Behind, ask: Ask, body: bytes) -> None:
    """An answer without any tag comes out as it went in, for who is still to be asked and for everybody else."""
    assert ask(behind(answering(body))).body == body
    assert ask(behind(answering(body), change_link="site", services={})).body == body


def test_events_are_not_held(behind: Behind, ask: Ask) -> None:
    """Each event of a stream is sent on when it comes."""
    answer = ask(behind(answering([b"data: 1\n\n", b"data: 2\n\n", b""], content_type="text/event-stream")))
    assert [message.get("body") for message in answer.messages[1:]] == [b"data: 1\n\n", b"data: 2\n\n", b""]


def test_xhtml_stays_well_formed(behind: Behind, ask: Ask) -> None:
    """A page in XHTML is gated too."""
    page = b'<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><body>' + STATS + b"</body></html>"
    answer = ask(behind(answering(page, content_type="application/xhtml+xml")))
    assert STATS not in answer.body


def test_a_fragment_gets_no_banner(behind: Behind, ask: Ask) -> None:
    """A piece of HTML is gated, and no banner is put into it."""
    answer = ask(behind(answering(b"<div>" + STATS + b"</div>")))
    assert PARKED in answer.body
    assert b'id="cst"' not in answer.body


def test_a_clean_fragment_is_untouched(behind: Behind, ask: Ask) -> None:
    """A piece of HTML without anything to gate comes out byte for byte."""
    piece = b'<div class="x" hidden>\r\n<img src="/a.png"> & <b>b</B ></div>\x00'
    assert ask(behind(answering(piece))).body == piece


@pytest.mark.parametrize(("lang", "title"), [("en", b"Accept all"), ("uk", "Прийняти все".encode())], ids=["en", "uk"])
def test_the_banner_speaks_the_language_of_the_page(behind: Behind, ask: Ask, lang: str, title: bytes) -> None:
    """The banner is in the language of the page, not in the one that the browser asks for."""
    page = f'<!doctype html><html class="a" lang="{lang}-XX"><body></body></html>'.encode()
    app = behind(answering(page), languages=("en", "uk"))
    answer = ask(app, headers=[("accept-language", "uk" if lang == "en" else "en")])
    assert f'<section id="cst" class="cst-bar" aria-labelledby="cst-title" lang="{lang}"'.encode() in answer.body
    assert "Accept-Language" not in (answer.one("vary") or "")


@pytest.mark.parametrize("page_language", ["en", "uk"])
def test_the_banner_speaks_the_language_that_the_visitor_switched_to(
    behind: Behind, ask: Ask, page_language: str
) -> None:
    """Whoever switched the language is asked in that one on pages of every language, with the direction marked."""
    page = f'<!doctype html><html lang="{page_language}"><body></body></html>'.encode()
    app = behind(answering(page), languages=("en", "uk"))
    switched = ask(app, headers=[("cookie", "__Host-consent-language=uk")])
    assert b'lang="uk" dir="ltr"' in switched.body
    unknown = ask(app, headers=[("cookie", "__Host-consent-language=xx")])
    assert f'lang="{page_language}" dir="ltr"'.encode() in unknown.body


@pytest.mark.parametrize("accepted", ["uk", "UK", "uk-UA", "Uk_ua, uk;q=0.5", "fr, uk; q=0.9, en;q=0.1", "en;q=0, uk"])
def test_the_banner_falls_back_to_the_browsers_language(behind: Behind, ask: Ask, accepted: str) -> None:
    """A page that does not say its language is asked in the browser's, and says so to caches."""
    app = behind(answering(b"<!doctype html><html><body></body></html>"), languages=("en", "uk"))
    answer = ask(app, headers=[("accept-language", accepted)])
    assert b'aria-labelledby="cst-title" lang="uk"' in answer.body
    assert "Accept-Language" in (answer.one("vary") or "")


@pytest.mark.parametrize("accepted", ["", "*", "xx", "EN", ";q=", "en;q=nan", "uk;q=0", ",,,", "q" * 5000])
def test_odd_languages_fall_back_to_the_default(behind: Behind, ask: Ask, accepted: str) -> None:
    """A language header that means nothing to us means the site's default language."""
    app = behind(answering(b"<!doctype html><html><body></body></html>"), languages=("en", "uk"))
    answer = ask(app, headers=[("accept-language", accepted)])
    assert b'aria-labelledby="cst-title" lang="en"' in answer.body


# -- messages of other kinds


def sending(*messages: Message) -> ASGIApp:
    """Return an app that sends exactly these messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send({**message, **({"headers": list(message["headers"])} if "headers" in message else {})})

    return app


START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}


@pytest.mark.parametrize("size", [300, 200_000], ids=["short", "long"])
def test_a_file_that_is_a_page_is_read_and_gated(behind: Behind, ask: Ask, tmp_path: Path, size: int) -> None:
    """A page that the app leaves to the server to send from disk is gated all the same."""
    file = tmp_path / "page.html"
    file.write_bytes(PAGE.encode().replace(b"<h1>", b"x" * size + b"<h1>"))
    answer = ask(behind(sending(START, {"type": "http.response.pathsend", "path": str(file)})))
    assert PARKED in answer.body
    assert answer.messages[-1]["more_body"] is False
    assert "http.response.pathsend" not in {message["type"] for message in answer.messages}


def test_an_empty_file(behind: Behind, ask: Ask, tmp_path: Path) -> None:
    """An empty file is an empty page."""
    (tmp_path / "page.html").touch()
    answer = ask(behind(sending(START, {"type": "http.response.pathsend", "path": str(tmp_path / "page.html")})))
    assert (answer.status, answer.body) == (200, b"")


def test_a_file_that_is_no_page_is_left_to_the_server(behind: Behind, ask: Ask) -> None:
    """Any other file is sent by the server."""
    start = {**START, "headers": [(b"content-type", b"video/mp4")]}
    film: Message = {"type": "http.response.pathsend", "path": "/film.mp4"}
    assert ask(behind(sending(start, film))).messages == [start, film]


def test_a_large_file_without_a_type(behind: Behind, ask: Ask, tmp_path: Path) -> None:
    """A file without a media type that is no page comes whole."""
    (tmp_path / "data").write_bytes(b"%PDF" + bytes(200_000))
    start = {**START, "headers": []}
    answer = ask(behind(sending(start, {"type": "http.response.pathsend", "path": str(tmp_path / "data")})))
    assert len(answer.body) == 200_004


def test_a_broken_file_is_refused_once(behind: Behind, ask: Ask, tmp_path: Path) -> None:
    """A file that is not in the coding it is said to be in is answered 502, once."""
    (tmp_path / "page").write_bytes(STATS * 4000)
    start = {**START, "headers": [(b"content-type", b"text/html"), (b"content-encoding", b"gzip")]}
    answer = ask(behind(sending(start, {"type": "http.response.pathsend", "path": str(tmp_path / "page")})))
    assert answer.status == 502
    assert len(answer.messages) == 2


def test_trailers_pass(behind: Behind, ask: Ask) -> None:
    """Trailers follow the body of a gated page, and the start still announces them."""
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}
    body: Message = {"type": "http.response.body", "body": PAGE.encode(), "more_body": False}
    answer = ask(behind(sending({**START, "trailers": True}, body, trailers)))
    assert [message["type"].rpartition(".")[2] for message in answer.messages] == ["start", "body", "trailers"]
    assert answer.messages[0]["trailers"] is True
    assert answer.messages[2]["headers"] == [(b"x-sum", b"1")]


def test_early_hints_ask_no_tracker(behind: Behind, ask: Ask) -> None:
    """A hint sent before the start names no held host."""
    links = [
        b"<https://stats.meridian-metrics.example/s.js>; rel=preload; as=script",
        b"</site.css>; rel=preload; as=style",
    ]
    hint: Message = {"type": "http.response.early_hint", "links": links}
    body: Message = {"type": "http.response.body", "body": b"<p>", "more_body": False}
    answer = ask(behind(sending(hint, START, body)))
    assert answer.messages[0] == {"type": "http.response.early_hint", "links": links[1:]}


def test_no_way_around_the_scanner_is_offered(behind: Behind, ask: Ask) -> None:
    """The app is not told of a server's way to send a file descriptor, which could not be gated."""
    got: list[dict[str, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(scope["extensions"])
        await answering()(scope, receive, send)

    offered: dict[str, object] = {"http.response.zerocopysend": {}, "http.response.pathsend": {}, "tls": {}}
    ask(behind(app), extensions=offered)
    assert got == [{"http.response.pathsend": {}, "tls": {}}]
    assert set(offered) == {"http.response.zerocopysend", "http.response.pathsend", "tls"}


# -- headers


def test_cookies_of_services_not_allowed_are_kept_back(behind: Behind, ask: Ask) -> None:
    """Of several cookies, those of services not allowed are held, on any kind of answer, and the others keep order."""
    cookies = ["sid=1; HttpOnly", "_rs=2; Path=/", "csrftoken=3", "_la=4", "_rs_x=5", "theme=6"]
    for kind in (HTML, "application/json"):
        answer = ask(behind(answering(content_type=kind, headers=[("set-cookie", one) for one in cookies])))
        assert answer.all("set-cookie") == ["sid=1; HttpOnly", "csrftoken=3", "theme=6"]


@pytest.mark.parametrize("status", [204, 304, 302])
def test_cookies_are_kept_back_without_a_body(behind: Behind, ask: Ask, status: int) -> None:
    """A held cookie does not come by way of an answer without a body."""
    answer = ask(behind(answering(b"", status=status, headers=[("set-cookie", "_rs=1"), ("set-cookie", "sid=1")])))
    assert answer.all("set-cookie") == ["sid=1"]


def test_undeclared_cookies_on_demand(behind: Behind, ask: Ask) -> None:
    """Where the site says so, cookies that nobody declares are held too."""
    app = answering(headers=[("set-cookie", "mystery=1"), ("set-cookie", "consent-x=1")])
    assert ask(behind(app, undeclared_cookies="hold")).all("set-cookie") == ["consent-x=1"]


def test_links_to_held_hosts_go(behind: Behind, ask: Ask) -> None:
    """A `Link` header keeps what it may load, and loses the rest."""
    link = (
        "</site.css>; rel=preload; as=style, <https://stats.meridian-metrics.example/s.js>; rel=preload; as=script, "
        "<https://player.lantern.example>; rel=preconnect"
    )
    assert ask(behind(answering(headers=[("link", link)]))).one("link") == "</site.css>; rel=preload; as=style"


def test_a_refresh_to_a_held_host_goes(behind: Behind, ask: Ask) -> None:
    """A page does not send its reader to a held host."""
    app = behind(answering(headers=[("refresh", "0; url=https://ads.lantern.example/")]))
    assert ask(app).one("refresh") is None


def test_the_policy_is_narrowed(behind: Behind, ask: Ask) -> None:
    """The page's own Content-Security-Policy loses the hosts of services not allowed, in all its lines."""
    first = "script-src 'self' https://stats.meridian-metrics.example; frame-src https://player.lantern.example"
    app = answering(headers=[("content-security-policy", first), ("content-security-policy", "img-src 'self'")])
    assert ask(behind(app)).all("content-security-policy") == ["script-src 'self'; frame-src 'none'", "img-src 'self'"]


def test_our_tags_carry_the_pages_nonce(behind: Behind, ask: Ask) -> None:
    """Script and style of ours carry the nonce that the page's policy asks for, and no other page's."""
    app = behind(
        answering(headers=[("content-security-policy", "script-src 'nonce-abc123'; style-src 'nonce-abc123'")])
    )
    body = ask(app).body
    assert re.search(rb'<script nonce="abc123" src="/privacy/assets/consent\.', body)
    assert re.search(rb'<link nonce="abc123" rel="stylesheet" href="/privacy/assets/consent\.', body)
    assert b"nonce" not in ask(behind(answering())).body


def test_digests_of_the_ungated_body_go(behind: Behind, ask: Ask) -> None:
    """Headers that describe the bytes of the app's own page are gone with those bytes."""
    names = ("content-md5", "digest", "content-digest", "repr-digest", "accept-ranges")
    answer = ask(behind(answering(headers=[(name, "bytes") for name in names])))
    assert [name for name in names if answer.one(name) is not None] == []


def test_a_visitors_own_address_is_escaped(behind: Behind, ask: Ask) -> None:
    """What stands in the address of a page cannot become markup in the banner's forms."""
    answer = ask(behind(answering()), '/"><script>alert(1)</script>', query=b"a=%22&b='><img src=x>")
    assert b"<script>alert" not in answer.body
    assert b"<img src=x" not in answer.body


# -- apps that fail


def test_an_app_that_raises_before_the_start(behind: Behind, ask: Ask) -> None:
    """An exception of the app reaches whoever stands outside."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("harbour closed")

    with pytest.raises(RuntimeError, match="harbour closed"):
        ask(behind(app))


@pytest.mark.parametrize(("sent", "left"), [(b"<!doctype html><p>", 0), (LONG[:3000], 2)], ids=["held", "begun"])
def test_an_app_that_raises_after_the_start(make_site: MakeSite, ask: Ask, sent: bytes, left: int) -> None:
    """An exception after the start passes too; nothing was sent if the start was still held."""
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": list(START["headers"])})
        await send({"type": "http.response.body", "body": sent, "more_body": True})
        raise RuntimeError("harbour closed")

    async def outside(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            got.append(message)

        with pytest.raises(RuntimeError, match="harbour closed"):
            await ConsentMiddleware(app, site=make_site())(scope, receive, note)
        await answering(b"outside")(scope, receive, send)

    ask(outside)
    assert len(got) == left


def test_a_client_that_has_gone(behind: Behind, ask: Ask) -> None:
    """What the server raises because the client has gone reaches the app."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answering(LONG)(scope, receive, send)
        except OSError:
            seen.append("told")

    async def outside(scope: Scope, receive: Receive, send: Send) -> None:
        async def gone(message: Message) -> None:
            raise OSError("gone")

        await behind(app)(scope, receive, gone)
        await answering(b"outside")(scope, receive, send)

    ask(outside)
    assert seen == ["told"]


def test_two_pages_at_once(make_site: MakeSite, ask: Ask) -> None:
    """Two requests in flight through one middleware do not mix."""
    site: Site = make_site()
    inner: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": LONG[:2000], "more_body": True})
        if scope["path"] == "/outer":
            inner.append(ask_inside().body)
        await send({"type": "http.response.body", "body": LONG[2000:], "more_body": False})

    middleware = ConsentMiddleware(app, site=site)

    def ask_inside() -> Answer:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(ask, middleware, "/inner").result()

    outer = ask(middleware, "/outer").body
    assert outer.replace(b"/outer", b"/inner") == inner[0]


@pytest.mark.parametrize("html", [True, False], ids=["html", "json"])
@pytest.mark.parametrize("shape", ["list", "tuple", "generator", "upper case"])
def test_headers_of_any_shape(behind: Behind, ask: Ask, shape: str, html: bool) -> None:
    """The protocol allows any iterable, and names in any case; what may not be stored is kept back from all of them."""
    pairs = [(b"content-type", HTML.encode() if html else b"application/json"), (b"set-cookie", b"_rs=1; Path=/")]
    if shape == "upper case":
        pairs = [(name.title(), value) for name, value in pairs]
    shapes: dict[str, object] = {"list": pairs, "tuple": tuple(pairs), "upper case": pairs}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": shapes.get(shape, iter(pairs))})
        await send({"type": "http.response.body", "body": ARTICLE})

    answer = ask(behind(app))
    assert answer.all("set-cookie") == []
    assert (PARKED in answer.body) is html


def test_no_headers_at_all(behind: Behind, ask: Ask) -> None:
    """They are optional; a body that looks like a page is gated without them too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": ARTICLE})

    assert PARKED in ask(behind(app)).body


def test_the_apps_own_message_stays_as_it_was(behind: Behind, ask: Ask) -> None:
    """An app may send the same start and the same list to everybody: what one visitor lost, the next one gets."""
    start: Message = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", HTML.encode()), (b"set-cookie", b"_rs=1; Path=/"), (b"etag", b'"1"')],
    }
    before = list(start["headers"])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": ARTICLE})

    guarded = behind(app)
    first, second = ask(guarded), ask(guarded)
    assert start["headers"] == before
    assert first.headers == second.headers


def test_the_place_of_the_address_is_filled_in_once(behind: Behind, ask: Ask) -> None:
    """An address that spells our own mark does not grow, whatever stands in it."""
    answer = ask(behind(answering()), query=b"x=" + b"nextaddressofthispage" * 400)
    assert len(answer.body) < 100_000


@pytest.mark.parametrize(
    "query", [b"x=\\", b"x=%7f" * 500, b"x=\x7f", b"x=" + b"a" * 5000], ids=["\\", "long", "del", "a"]
)
def test_the_banner_can_be_answered_at_any_address(behind: Behind, ask: Ask, query: bytes) -> None:
    """What the banner's own form sends back is never refused for the address it stands at."""
    guarded = behind(answering())
    page = ask(guarded, "/a", query=query).body.decode()
    (target,) = set(re.findall(r'name="next" value="([^"]*)"', page))
    body = urlencode({"choice": "reject_all", "next": unescape(target)}).encode()
    kind = ("content-type", "application/x-www-form-urlencoded")
    answer = ask(guarded, "/privacy/choices", method="POST", headers=[kind], body=body)
    assert answer.status == 303


@pytest.mark.parametrize(("fetched_from", "asked"), [("cross-site", False), ("same-origin", True), ("none", True)])
def test_another_sites_frame_shows_no_banner(behind: Behind, ask: Ask, fetched_from: str, asked: bool) -> None:
    """A visitor cannot be led to press a button that another site has covered; the page stays gated."""
    sent = [("sec-fetch-dest", "iframe"), ("sec-fetch-site", fetched_from)]
    answer = ask(behind(answering()), headers=sent)
    assert (b"reject_all" in answer.body) is asked
    assert PARKED in answer.body


@pytest.mark.parametrize("name", [b"set-cookie", b"Set-Cookie"])
@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
def test_a_cookie_in_a_websockets_handshake(behind: Behind, kind: str, name: bytes) -> None:
    """It is kept back like any other, also where the handshake is denied."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": kind, "status": 403, "headers": [(name, b"_rs=1"), (name, b"session=1")]})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(behind(app)({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent[0]["headers"] == [(b"set-cookie", b"session=1")]


def test_an_early_hint_that_comes_late(behind: Behind) -> None:
    """It is gated also after the start, which the server has not seen yet."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        link = b"<https://stats.meridian-metrics.example/s.js>; rel=preload; as=script"
        await send({"type": "http.response.early_hint", "links": [link]})
        await send({"type": "http.response.body", "body": ARTICLE})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(behind(app)(scope, receive, send))
    assert [message["links"] for message in sent if "links" in message] == [[]]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["text/html"], "text/html; charset=windows-1252"),
        (["text/html; charset=utf-8"], "text/html; charset=utf-8"),
        (["text/html;charset=Shift_JIS"], "text/html;charset=Shift_JIS"),
        (["text/html; charset=utf-8; charset=iso-2022-jp"], "text/html; charset=utf-8"),
        (["text/html; charset=utf-8", "text/html; charset=iso-2022-jp"], "text/html; charset=utf-8"),
    ],
    ids=["none", "plain", "other", "twice", "two lines"],
)
def test_a_page_names_the_charset_it_was_scanned_in(behind: Behind, ask: Ask, lines: list[str], named: str) -> None:
    """No browser reads it in another, whatever it makes of what the app sent."""
    headers = [("content-type", line) for line in lines]
    assert ask(behind(answering(content_type=None, headers=headers))).all("content-type") == [named]


def test_a_service_at_a_path_of_the_site(behind: Behind, ask: Ask) -> None:
    """An address that starts from the page's own leads to the service too."""
    service = {"reader": {"purpose": "analytics", "hosts": ["meridian.example/stats"]}}
    guarded = behind(answering(b'<!doctype html><body><img src="x.gif"><img src="/other.gif">'), services=service)
    host = [("host", "meridian.example")]
    assert b'data-consent-src="x.gif"' in ask(guarded, "/stats/page", headers=host).body
    assert b'<img src="x.gif">' in ask(guarded, "/page", headers=host).body


def test_a_websocket_that_comes_first_finds_the_ledger_open(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lifespan it, too, waits until withdrawn ids are known."""
    opened: list[bool] = []
    monkeypatch.setattr(Site, "start", lambda site: opened.append(True))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert opened == [True]

    async def nothing(message: Message | None = None) -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": []}
    asyncio.run(behind(app)(scope, nothing, nothing))  # type: ignore[arg-type] # never called
    assert opened == [True]


def test_a_placeholder_names_nobody_elses_query(behind: Behind, ask: Ask) -> None:
    """Two visitors whose pages have nothing but placeholders written into them get no page of each other's."""
    app = behind(answering())
    framed = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")]
    assert b"token%3Dsecret" in ask(app, "/a", query=b"token=secret", headers=framed).body
    assert b"secret" not in ask(app, "/a", query=b"page=2", headers=framed).body


def test_a_placeholder_heeds_the_signal_of_its_own_visitor(behind: Behind, ask: Ask) -> None:
    """Two who refused alike get no page of each other's where the browser of one objects as well."""
    sold = {**SERVICES, "lantern-video": {**SERVICES["lantern-video"], "sells_or_shares": True}}
    app, other = (behind(answering(), services=sold) for _ in range(2))
    form = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")]
    answer = ask(app, "/privacy/choices", method="POST", headers=form, body=b"choice=reject_all")
    refused = [("cookie", "; ".join(one.partition(";")[0] for one in answer.all("set-cookie")))]
    plain = ask(app, headers=refused).body
    assert b'form="cst-once"' in plain
    objecting = ask(app, headers=[*refused, ("sec-gpc", "1")]).body
    assert b'form="cst-once"' not in objecting
    assert objecting == ask(other, headers=[*refused, ("sec-gpc", "1")]).body


@pytest.mark.parametrize("host", ["x?", "x/y", "", "x#", "[", "meridian.example:8000", "[::1]:80", "x\\"])
def test_a_made_up_host_moves_no_path(behind: Behind, ask: Ask, host: str) -> None:
    """Where a service has a path of the site's own, no `Host` changes whose a relative address is, for anybody."""
    services = {
        "own": {"title": "Own", "provider": "Us", "purpose": "analytics", "hosts": ["meridian.example/metrics"]}
    }
    app = behind(answering(b'<!doctype html><html lang="en"><body><script src="a.js"></script>'), services=services)
    for one in (host, "meridian.example"):
        assert b'data-consent-src="a.js"' in ask(app, "/metrics/dash", headers=[("host", one)]).body


@pytest.mark.parametrize("after", [b"", b"\xff"], ids=["utf-8", "not only utf-8"])
@pytest.mark.parametrize("host", ["\uff50layer.lantern.example", "player\u3002lantern\u3002example"])
def test_a_redirect_is_read_as_utf_8(behind: Behind, ask: Ask, host: str, after: bytes) -> None:
    """A host spelled in other letters than ASCII is known, as a browser knows it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        place = b"https://" + host.encode() + b"/" + after
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", place)]})
        await send({"type": "http.response.body"})

    answer = ask(behind(app), headers=[("sec-fetch-dest", "image")])
    assert answer.status == 204
    assert not answer.all("location")


def test_a_style_sheet_without_a_type_is_gated(behind: Behind, ask: Ask) -> None:
    """What a browser asks for as a style sheet it reads as one, if nothing says that it is something else."""
    app = behind(answering(b"@import url(https://player.lantern.example/x.css);", content_type=None))
    assert ask(app, headers=[("sec-fetch-dest", "style")]).body == b"@import url(data:,);"


def test_a_declared_cookie_is_held_whatever_its_name(behind: Behind, ask: Ask) -> None:
    """A name that begins like those of our own cookies lets nothing pass, and is deleted like any other."""
    services = {"ab": {"title": "A/B", "provider": "Us", "purpose": "analytics", "cookies": [{"name": "consent_ab"}]}}
    app = behind(answering(headers=[("set-cookie", "consent_ab=1")]), services=services)
    assert ask(app).all("set-cookie") == []
    deleted = ask(app, headers=[("cookie", "consent_ab=1; __Host-consent=x; __Host-consent-audit=y")]).all("set-cookie")
    assert deleted
    assert all(one.startswith("consent_ab=;") for one in deleted)


@pytest.mark.parametrize("cache", ["private", "shared"])
def test_a_policy_reports_to_nobody_who_is_held(behind: Behind, ask: Ask, cache: str) -> None:
    """A report asks its host as anything else does: none goes to a service, nor, on demand, to who is not declared."""
    policy = "default-src 'self'; report-uri https://player.lantern.example/r https://unknown.example/r /own; img-src *"
    alone = "img-src 'none', report-uri //player.lantern.example"
    sent = [("content-security-policy", policy), ("content-security-policy-report-only", alone)]
    answer = ask(behind(answering(headers=sent), cache=cache, undeclared="hold"))
    assert answer.one("content-security-policy") == "default-src 'self'; report-uri /own; img-src *"
    assert answer.one("content-security-policy-report-only") == "img-src 'none',"
