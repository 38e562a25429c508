"""Send what is no HTML page, but may load something, through the middleware."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from consent import ConsentMiddleware
from consent.kinds import Kind, kind_of, sniffed
from tests.conftest import Ask, MakeSite
from tests.gate.xml_documents import SVG, X
from tests.test_responder import HTML, answering

PLAYER = "https://player.lantern.example/x"
DOCUMENT = [("sec-fetch-dest", "document"), ("accept", "text/html")]
Behind = Callable[..., ConsentMiddleware]


@pytest.fixture
def behind(make_site: MakeSite) -> Behind:
    """Return a function that puts an app behind the middleware of The Meridian."""
    return lambda app, **values: ConsentMiddleware(app, site=make_site(**values))


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ("text/html", Kind.HTML),
        ("application/xhtml+xml, text/html", Kind.HTML),
        ("APPLICATION/XHTML+XML; charset=utf-8", Kind.XHTML),
        ("image/svg+xml", Kind.XML),
        ("text/plain,application/xml", Kind.XML),
        ("text/xsl", Kind.XML),
        ("application/rss+xml", Kind.OTHER),
        ("text/css;charset=utf-8", Kind.SHEET),
        ("application/speculationrules+json", Kind.RULES),
        ("image/png", Kind.OTHER),
        ("*/*", Kind.UNKNOWN),
        ("", Kind.UNKNOWN),
    ],
)
def test_a_type_tells_the_kind(lines: str, kind: Kind) -> None:
    """What could be HTML is, then what could be XML."""
    assert kind_of(lines) is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b" \n<?xml version='1.0'?>", Kind.SNIFFED_XML),
        ("<?xml".encode("utf-16-le"), Kind.SNIFFED_XML),
        (b"<p>", Kind.HTML),
        (b"GIF89a", Kind.OTHER),
        (b"", Kind.OTHER),
    ],
)
def test_a_body_without_a_type_is_guessed(body: bytes, kind: Kind) -> None:
    """As browsers do."""
    assert sniffed(body) is kind


def test_an_xhtml_page_is_gated_and_stays_well_formed(behind: Behind, ask: Ask) -> None:
    """With its banner, its placeholder and its parked tags an XML parser still reads it."""
    page = (
        f'<?xml version="1.0" encoding="utf-8"?><html {X} lang="en"><head><title>é</title></head><body>'
        f'<iframe src="{PLAYER}"/><script src="https://stats.meridian-metrics.example/s.js"/></body></html>'
    ).encode()
    answer = ask(behind(answering(page, content_type="application/xhtml+xml")))
    root = ElementTree.fromstring(answer.body)
    ids = [element.get("id") for element in root.iter()]
    assert ids.count("cst") == 1
    assert any("data-cst-for" in element.attrib for element in root.iter())
    assert not [element for element in root.iter() if "lantern" in element.get("src", "")]
    assert answer.one("cache-control") == "private, no-cache"


def test_a_template_that_is_not_well_formed_is_left_out(
    behind: Behind, ask: Ask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A site's own banner in loose HTML would keep every reader from an XHTML page."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "consent_banner.html").write_text("<p>Banner<br></p>")
    page = f"<html {X}><body><p>News</p></body></html>".encode()
    with caplog.at_level(logging.ERROR, logger="consent"):
        answer = ask(behind(answering(page, content_type="application/xhtml+xml"), templates_dir=folder))
    assert answer.body == page
    assert "not well-formed" in caplog.text


@pytest.mark.parametrize("content_type", ["image/svg+xml", "text/xml", None])
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_live_xml_document_is_gated_and_becomes_the_visitors_own(
    behind: Behind, ask: Ask, content_type: str | None, size: int
) -> None:
    """What loads something of somebody held is parked, and no shared cache may keep the answer."""
    body = f'<?xml version="1.0"?><svg {SVG}><image href="{PLAYER}"/></svg>'.encode()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    headers = [("etag", '"1"'), ("cache-control", "public, max-age=99")]
    answer = ask(behind(answering(chunks, content_type=content_type, headers=headers)), headers=DOCUMENT)
    assert b'data-consent-href="https://player' in answer.body
    assert answer.one("cache-control") == "private, no-cache"
    assert answer.one("etag") != '"1"'
    assert "Cookie" in (answer.one("vary") or "")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/svg+xml", f"<svg {SVG}><use href='#a'/><path d='M0 0'/></svg>".encode()),
        ("application/xml", b"<urlset><url><loc>https://player.lantern.example/</loc></url></urlset>"),
        ("text/css", b"p { background: url(/own.png) } /* https://player.lantern.example */"),
        ("text/css", "p { content: 'é' }".encode("latin-1")),
    ],
)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_what_is_nobodys_keeps_its_bytes_and_headers(
    behind: Behind, ask: Ask, content_type: str, body: bytes, coding: str
) -> None:
    """Coding, entity tag and caching too."""
    sent = gzip.compress(body) if coding else body
    headers = [("etag", '"1"'), ("cache-control", "public, max-age=99"), ("last-modified", "x")]
    if coding:
        headers.append(("content-encoding", coding))
    app = answering([sent[:9], sent[9:]], content_type=content_type, headers=headers, length=True)
    answer, plain = ask(behind(app)), ask(app)
    assert (answer.headers, answer.body) == (plain.headers, plain.body)


SHEET = (
    b"@import url(https://player.lantern.example/a.css);\n@import '/own.css';\n"
    b'p { background: url( "//player.lantern.example/p.png" ) no-repeat, url(/own.png) }\n'
)


def test_a_sheet_loses_the_held_addresses_and_nothing_else(behind: Behind, ask: Ask) -> None:
    """The rest of the site's style stays; the answer is this visitor's own."""
    answer = ask(behind(answering(SHEET, content_type="text/css", headers=[("etag", '"1"')])))
    assert answer.body == (
        b"@import url(data:,);\n@import '/own.css';\np { background: url( \"data:,\" ) no-repeat, url(/own.png) }\n"
    )
    assert answer.one("cache-control") == "private, no-cache"
    assert answer.one("content-length") == str(len(answer.body))


@pytest.mark.parametrize(
    "sheet",
    [
        b"p{background:u\\72l(//player.lantern.example/x)}",
        b"p{background:url(//player\\.lantern.example/x)}",
        b"p{background:image-set('//player.lantern.example/x' 1x)}",
        '@charset "utf-16"; p{background:url(//player\u3002lantern.example/x)}'.encode(),
        '@charset "shift_jis"; p{background:url(//\uff50layer.lantern.example/x)}'.encode("shift_jis"),
        "\ufeffp{background:url(//player.lantern.example/x)}".encode("utf-16-le"),
    ],
)
def test_a_sheet_in_odd_spelling_asks_nobody(behind: Behind, ask: Ask, sheet: bytes) -> None:
    """Where an address cannot be taken out, nothing of the sheet is sent."""
    answer = ask(behind(answering(sheet, content_type="text/css")))
    assert b"lantern" not in answer.body.replace(b"\0", b"")


AS_STYLE = [[("sec-fetch-dest", "style")], [("accept", "text/css,*/*;q=0.1")]]


@pytest.mark.parametrize("asking", AS_STYLE, ids=["says so", "accepts"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "image/png", "*/*", None])
def test_a_sheet_of_another_type_is_gated_as_one(
    behind: Behind, ask: Ask, asking: list[tuple[str, str]], content_type: str | None
) -> None:
    """A page in quirks mode takes anything of its own site for a style sheet."""
    app = answering(SHEET, content_type=content_type)
    assert b"lantern" not in ask(behind(app), headers=asking).body
    for other in ([("sec-fetch-dest", "image")], [("sec-fetch-dest", "empty"), ("accept", "text/css")]):
        assert ask(behind(app), headers=other).body == SHEET


@pytest.mark.parametrize("asking", AS_STYLE, ids=["says so", "accepts"])
@pytest.mark.parametrize("content_type", [HTML, "application/xhtml+xml", "image/svg+xml", "text/html,text/css"])
@pytest.mark.parametrize("own", [None, "none", "nosniff"])
def test_a_page_is_no_sheet(
    behind: Behind, ask: Ask, asking: list[tuple[str, str]], content_type: str, own: str | None
) -> None:
    """It is gated as what it is, and the browser is told to take it for nothing else."""
    sent = [("x-content-type-options", own)] if own else []
    app = answering(SHEET, content_type=content_type, headers=sent)
    assert ask(behind(app), headers=asking).all("x-content-type-options") == ["nosniff"]
    assert ask(behind(app)).all("x-content-type-options") == ([own] if own else [])


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_a_sheet_in_the_encoding_of_its_page_asks_nobody(behind: Behind, ask: Ask, coding: str) -> None:
    """A browser may read a sheet that names no encoding in that of the page, or of the link to it."""
    own = "p { background: url(/own.png) }".encode(coding)
    assert ask(behind(answering(SHEET.decode().encode(coding), content_type="text/css"))).body == b""
    assert ask(behind(answering(own, content_type="text/css"))).body == own


@pytest.mark.parametrize("types", [("text/html", "application/xhtml+xml"), ("image/svg+xml", "text/html")])
@pytest.mark.parametrize("lines", [1, 2])
def test_a_page_of_two_types_is_what_it_is_gated_as(
    behind: Behind, ask: Ask, types: tuple[str, str], lines: int
) -> None:
    """The browser is told one type, since it would read the body as the last one it finds."""
    first, second = (", ".join(types), None) if lines == 1 else types
    app = answering(
        f'<title><img src="{PLAYER}"/></title>'.encode(),
        content_type=first,
        headers=[("content-type", second)] if second else [],
    )
    assert ask(behind(app)).all("content-type") == ["text/html; charset=windows-1252"]


@pytest.mark.parametrize(
    ("content_type", "body", "sent"),
    [
        ("text/plain", b"x", b"x"),
        ("text/javascript", b"fetch('/x')", b"fetch('/x')"),
        ("image/svg+xml", b"<svg/>", b"<svg/>"),
        ("text/css", b"p{}", b"p{}"),
    ],
)
@pytest.mark.parametrize("name", ["content-security-policy", "content-security-policy-report-only"])
def test_what_is_no_page_reports_to_nobody_who_could_be_held(
    behind: Behind, ask: Ask, content_type: str, body: bytes, sent: bytes, name: str
) -> None:
    """Frames of text, workers and drawings report too; the answer is the same for everybody, and as cacheable."""
    policy = "default-src 'none'; Report-URI https://player.lantern.example/r /own"
    headers = [(name, policy), ("etag", '"1"'), ("cache-control", "public, max-age=9")]
    site = behind(answering(body, content_type=content_type, headers=headers))
    answer = ask(site)
    assert answer.one(name) == "default-src 'none'; Report-URI /own"
    assert (answer.body, answer.one("etag"), answer.one("cache-control")) == (sent, '"1"', "public, max-age=9")
    assert answer.one("vary") is None


def test_a_file_of_speculation_rules_is_gated(behind: Behind, ask: Ask) -> None:
    """What a browser would load ahead of time by it belongs to somebody held; other files keep their bytes."""
    kind = "application/speculationrules+json"
    for asked, kept in ((PLAYER, False), ("/next", True)):
        body = json.dumps({"prefetch": [{"urls": [asked]}]}).encode()
        answer = ask(behind(answering(body, content_type=kind, headers=[("cache-control", "public")])))
        assert answer.body == (body if kept else b"{}")
        assert answer.one("cache-control") == ("public" if kept else "private, no-cache")


def test_speculation_rules_too_long_to_hold_are_not_passed(
    behind: Behind, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with style sheets, nobody could say what their end asks for."""
    monkeypatch.setattr("consent.responder.WHOLE_CAP", 1000)
    answer = ask(behind(answering([b" " * 900, b" " * 900], content_type="application/speculationrules+json")))
    assert answer.status == 502


def test_a_sheet_too_long_to_hold_is_not_passed(behind: Behind, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could say what its end asks for."""
    monkeypatch.setattr("consent.responder.WHOLE_CAP", 1000)
    answer = ask(behind(answering([SHEET * 4, SHEET * 4, SHEET], content_type="text/css")))
    assert answer.status == 502
    assert b"lantern" not in answer.body


def test_xml_too_long_to_hold_is_gated_as_it_comes(behind: Behind, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the visitor's own then, whatever is in it."""
    monkeypatch.setattr("consent.responder.WHOLE_CAP", 1000)
    chunks = [b"<r>" + b"<a/>" * 400, f'<image href="{PLAYER}"/>'.encode(), b"</r>"]
    answer = ask(behind(answering(chunks, content_type="image/svg+xml")))
    assert b' href="https://player' not in answer.body
    assert answer.body.endswith(b"</r>")
    assert answer.one("cache-control") == "private, no-cache"


@pytest.mark.parametrize(("destination", "status"), [("image", 200), ("document", 502)])
def test_a_drawing_in_an_unknown_coding_passes_only_as_a_picture(
    behind: Behind, ask: Ask, destination: str, status: int
) -> None:
    """A picture loads nothing, a document could."""
    app = answering(b"?", content_type="image/svg+xml", headers=[("content-encoding", "dcb")])
    assert ask(behind(app), headers=[("sec-fetch-dest", destination)]).status == status


@pytest.mark.parametrize(
    ("headers", "held"),
    [
        ([("sec-fetch-dest", "script")], True),
        ([("sec-fetch-dest", "image")], True),
        ([("sec-fetch-dest", "iframe"), ("accept", "text/html")], True),
        ([("sec-fetch-dest", "empty")], True),
        ([("sec-fetch-dest", "document"), ("accept", "text/html")], False),
        ([("sec-fetch-dest", "document"), ("sec-purpose", "prefetch;prerender")], True),
        ([("accept", "text/html,*/*")], False),
        ([("accept", "image/*")], True),
        ([], True),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_somebody_held_is_followed_only_by_people(
    behind: Behind, ask: Ask, headers: list[tuple[str, str]], held: bool, status: int
) -> None:
    """A part of a page gets an empty answer and the cookies of the site; a link that somebody follows works."""
    sent = [("location", PLAYER), ("set-cookie", "sid=1"), ("set-cookie", "_la=1"), ("cache-control", "public")]
    answer = ask(behind(answering(b"Moved", content_type="text/plain", status=status, headers=sent)), headers=headers)
    assert answer.status == (204 if held else status)
    assert answer.one("location") == (None if held else PLAYER)
    assert answer.all("set-cookie")[:1] == ["sid=1"]
    assert "Cookie" in (answer.one("vary") or "")
    assert "public" not in (answer.one("cache-control") or "")


@pytest.mark.parametrize("location", ["/here", "https://meridian.example/there", "https://elsewhere.example/"])
def test_other_redirects_are_as_they_came(behind: Behind, ask: Ask, location: str) -> None:
    """Whatever asks for them."""
    app = answering(b"Moved", content_type="text/plain", status=302, headers=[("location", location)])
    answer = ask(behind(app), headers=[("sec-fetch-dest", "script")])
    assert (answer.status, answer.one("location")) == (302, location)
    assert answer.one("cache-control") is None


@pytest.mark.parametrize("header", [("hx-request", "true"), ("turbo-frame", "news")], ids=["htmx", "turbo"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_fragment_for_a_script_is_gated_and_gets_no_banner(
    behind: Behind, ask: Ask, header: tuple[str, str], whole: bool
) -> None:
    """What htmx and Turbo put into a page is gated like the page it goes into."""
    body = f'<turbo-frame id="news"><p>News</p><iframe src="{PLAYER}"></iframe></turbo-frame>'.encode()
    chunks = [body] if whole else [body[at : at + 9] for at in range(0, len(body), 9)]
    answer = ask(behind(answering(chunks)), headers=[header, ("sec-fetch-dest", "empty")])
    assert b' src="https://player' not in answer.body
    assert b'data-consent-service="lantern-video"' in answer.body
    assert b'id="cst"' not in answer.body
