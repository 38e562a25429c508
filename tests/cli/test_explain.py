"""Explain pages: what is said is what the gate does, at the right line, with the reason."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest

from consent.cli.explained import source
from consent.cli.explained.page import Done, explain_page
from consent.cli.explained.sheet import explain_sheet
from consent.cli.main import main
from consent.gate.rules import Undeclared
from consent.gating import gated_whole
from consent.kinds import Kind
from tests.cli.place import Place
from tests.gate.example import CASES, case_body, gated, rules
from tests.gate.fuzz import document

VIDEO = {"purpose": "media", "hosts": ["player.lantern.example"]}
PAGE = """<!doctype html>
<html><head><script src="https://stats.meridian.example/s.js"></script>
</head>
<body><p>Night ferry</p>
<iframe src="https://player.lantern.example/1"></iframe>
<img src="https://pixel.harbour.example/1.gif">
<img src="/own.png">
<noscript><img src="https://stats.meridian.example/n.gif"></noscript>
</body></html>
"""
Serve = Callable[..., str]


@pytest.fixture
def site(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a site without secrets in whose folder the commands run, with a page in a file."""
    place.service("lantern-video", **VIDEO)
    place.remove(".env")
    place.folder.joinpath("page.html").write_text(PAGE)
    monkeypatch.chdir(place.folder)
    return place


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that answers every request alike, and returns its address."""
    with ExitStack() as stack:

        def start(body: bytes = PAGE.encode(), *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(status)
                    for name, value in headers:
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, format: str, *args: object) -> None:
                    """Say nothing."""

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Return what `consent explain --json` says."""
    capsys.readouterr()
    assert main(["explain", *words, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def tags(answer: dict[str, Any]) -> list[tuple[int, str, str, bool]]:
    """Return line, name, what was done and whether there is a placeholder, of every tag with a service."""
    return [(tag["line"], tag["name"], tag["done"], tag["placeholder"]) for tag in answer["tags"] if tag["services"]]


@pytest.mark.parametrize("undeclared", Undeclared)
@pytest.mark.parametrize("allowed", [(), ("tracker", "analytics")], ids=["nothing", "something"])
def test_what_is_said_is_what_the_gate_does(undeclared: Undeclared, allowed: tuple[str, ...]) -> None:
    """Over the collected cases and odd documents, watching changes no byte, and tells of exactly what was held."""
    chance = random.Random(5)
    pages = [(str(case["content_type"]), *case_body(case)) for case in CASES]
    pages += [("text/html; charset=utf-8", document(chance).encode(), "utf-8") for _ in range(300)]
    ours = rules(undeclared)
    for content_type, body, charset in pages:
        out, gate = gated(body, charset=charset, view=rules(undeclared).view(frozenset(allowed)))
        told = explain_page(
            body, content_type=content_type, rules=ours, allowed=frozenset(allowed), asking=False, address=""
        )
        assert told.output == out
        assert set(told.parked) == gate.parked
        assert set(told.found) == gate.found
        held = [part for part in told.tags if part.done in (Done.PARKED, Done.NEUTRALISED, Done.EMPTIED)]
        assert bool(held) >= bool(gate.parked), body
        if not any(part.done is Done.EMPTIED for part in told.tags):
            reasons = {one.service for part in held for one in part.reasons if not one.allowed}
            assert gate.parked - {""} <= reasons, body


def test_every_tag_has_its_line_its_service_and_its_reason(site: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The report names what is parked, where a placeholder stands, and which pattern or host decided."""
    answer = explained(capsys, "page.html")
    assert tags(answer) == [
        (2, "<script>", "parked", False),
        (5, "<iframe>", "parked", True),
        (6, "<img>", "parked", False),
        (8, "<img>", "parked", False),
    ]
    services = [tag["services"] for tag in answer["tags"] if tag["services"]]
    assert services == [["reader-stats"], ["lantern-video"], [None], ["reader-stats"]]
    assert answer["tags"][0]["reasons"] == [
        {
            "found": "host stats.meridian.example",
            "service": "reader-stats",
            "allowed": False,
            "why": "analytics, not agreed to",
        }
    ]
    assert answer["inserted"] == [{"line": 4, "what": "banner"}]
    assert "two ways" in answer["tags"][-1]["note"]


@pytest.mark.parametrize(
    ("state", "parked"),
    [
        ("none", [2, 5, 6, 8]),
        ("refused", [2, 5, 6, 8]),
        ("accepted", [6]),
        ("allow:media", [2, 6, 8]),
        ("allow:reader-stats,lantern-video", [6]),
    ],
)
def test_the_state_decides(site: Place, capsys: pytest.CaptureFixture[str], state: str, parked: list[int]) -> None:
    """What is agreed to passes; the banner stands there only for whoever was not asked yet."""
    answer = explained(capsys, "page.html", "--state", state)
    assert [line for line, _, done, _ in tags(answer) if done == "parked"] == parked
    names = [one["what"] for one in answer["inserted"]]
    assert ("banner" in names) == (state == "none")


@pytest.mark.parametrize("state", ["allow:medai", "allow:nobody"])
def test_a_state_must_name_what_is_asked_for(site: Place, capsys: pytest.CaptureFixture[str], state: str) -> None:
    """A key that nobody is asked about is wrong use, told in one line with those there are."""
    assert main(["explain", "page.html", "--state", state]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "media" in captured.err


def test_the_text_form_has_a_line_for_each(site: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Tags that nothing is to be said about are counted, and listed only with --all."""
    assert main(["explain", "page.html"]) == 0
    short = capsys.readouterr().out
    assert "\n5     <iframe>  lantern-video  parked + placeholder  host player.lantern.example: media" in short
    assert "\n7 " not in short
    assert main(["explain", "page.html", "--all"]) == 0
    assert "\n7     <img>" in capsys.readouterr().out


def test_standard_input_is_read(
    site: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dash stands for standard input; UTF-16 gets the right lines too."""
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"\xff\xfe" + PAGE.encode("utf-16le"))))
    assert [line for line, *_ in tags(explained(capsys, "-"))] == [2, 5, 6, 8]


def test_xml_is_explained_as_such(site: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose name says that it is XML is read by the gate of XML, sections and instructions included."""
    site.folder.joinpath("map.svg").write_text(
        '<?xml-stylesheet href="https://stats.meridian.example/s.css"?>\n'
        '<svg xmlns="http://www.w3.org/2000/svg"\n>'
        "<style><![CDATA[a { background: url(https://player.lantern.example/1) }]]></style>\n"
        '<image href="https://player.lantern.example/2"/></svg>'
    )
    answer = explained(capsys, "map.svg")
    parked = [(tag["line"], tag["name"], tag["services"]) for tag in answer["tags"] if tag["done"] == "parked"]
    assert parked == [(3, "<style>", ["lantern-video"]), (4, "<image>", ["lantern-video"])]
    assert [tag["line"] for tag in answer["tags"] if tag["done"] == "emptied"] == [1]
    assert answer["inserted"] == []


def test_headers_of_an_address_are_explained(site: Place, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Cookies are told without their values, links and policies with what becomes of them."""
    address = serve(
        headers=(
            ("Content-Type", "text/html"),
            ("Set-Cookie", "_rs=secretvalue; Path=/"),
            ("Set-Cookie", "sid=1"),
            ("Link", "<https://stats.meridian.example/s.js>; rel=preload, </own.css>; rel=preload"),
            ("Content-Security-Policy", "script-src 'self' https://stats.meridian.example"),
            ("X-Other", "1"),
        )
    )
    answer = explained(capsys, address)
    assert [(one["name"], one["done"]) for one in answer["headers"]] == [
        ("set-cookie", "removed"),
        ("set-cookie", "passed, reported"),
        ("link", "shortened"),
        ("content-security-policy", "shortened"),
    ]
    assert "secretvalue" not in json.dumps(answer)
    assert [line for line, *_ in tags(answer)] == [2, 5, 6, 8]


SHEET = b"@import 'https://player.test/a.css';\np { background: url(/own.png) }\nb { mask: url(//tracker.test/x) }"
LISTED = b'{"prefetch": [{"urls": ["https://tracker.test/x", "/next"]}]}'


@pytest.mark.parametrize("undeclared", Undeclared)
@pytest.mark.parametrize("allowed", [(), ("tracker",)], ids=["nothing", "something"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.SHEET, SHEET),
        (Kind.SHEET, SHEET + b" u { background: image-set('https://tracker.test/y' 1x) }"),
        (Kind.SHEET, SHEET.decode().encode("utf-16-le")),
        (Kind.RULES, LISTED),
    ],
    ids=["sheet", "set", "wide", "rules"],
)
def test_sheets_and_rules_are_what_the_gate_makes_of_them(
    undeclared: Undeclared, allowed: tuple[str, ...], kind: Kind, body: bytes
) -> None:
    """Explaining changes no byte, and names whoever is held."""
    ours, keys = rules(undeclared), frozenset(allowed)
    out, parked, found = gated_whole(kind, ours.view(keys), body, encoding="utf-8", address="")
    told = explain_sheet(body, kind=kind, content_type="", rules=ours, allowed=keys)
    assert (told.output, set(told.parked), set(told.found)) == (out, parked, found)
    held = {key for part in told.tags if part.done in (Done.REMOVED, Done.EMPTIED) for key in part.services}
    assert held >= parked
    assert any(part.done is Done.EMPTIED for part in told.tags) is (out in (b"", b"{}"))


def test_the_addresses_of_a_sheet_are_explained(site: Place, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Each address of a style sheet stands with its line, service and what becomes of it."""
    body = b"p { background: url(/own.png) }\nb { background: url(https://player.lantern.example/p) }"
    answer = explained(capsys, serve(body, headers=(("Content-Type", "text/css"),)))
    assert [(one["line"], one["text"], one["done"], one["services"]) for one in answer["tags"]] == [
        (1, "/own.png", "passed", []),
        (2, "https://player.lantern.example/p", "removed", ["lantern-video"]),
    ]
    assert main(["explain", serve(body, headers=(("Content-Type", "text/css"),))]) == 0
    assert "\n2     (address)  lantern-video  removed  host player.lantern.example" in capsys.readouterr().out


def test_a_redirect_to_somebody_held_is_explained_and_not_followed(
    site: Place, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody there is asked; a redirect within the site is followed as before."""
    there = serve(headers=(("Content-Type", "text/html"),))
    held = "https://player.lantern.example/1"
    address = serve(b"", status=302, headers=(("Location", held), ("Set-Cookie", "_rs=1")))
    answer = explained(capsys, address)
    assert (answer["page"], answer["status"]) == (address, 302)
    done = {one["name"]: (one["done"], one["services"]) for one in answer["headers"]}
    assert done["location"] == ("answered 204", ["lantern-video"])
    assert done["set-cookie"] == ("removed", ["reader-stats"])
    assert explained(capsys, serve(b"", status=302, headers=(("Location", there),)))["page"] == there


def test_reports_and_refreshes_of_an_address_are_explained(
    site: Place, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a browser is told to forget, and where it may not report or go to, is said of each header."""
    held = "https://stats.meridian.example/r"
    answer = explained(
        capsys,
        serve(
            b"plain",
            headers=(
                ("Content-Type", "text/plain"),
                ("Refresh", f"0; url={held}"),
                ("Report-To", json.dumps({"group": "a", "max_age": 9, "endpoints": [{"url": held}]})),
                ("NEL", '{"report_to": "a", "max_age": 9}'),
                ("Content-Security-Policy", f"img-src https://stats.meridian.example; report-uri {held} /own"),
            ),
        ),
    )
    assert [(one["name"], one["done"], one["note"]) for one in answer["headers"]] == [
        ("refresh", "removed", ""),
        ("report-to", "shortened", 'becomes {"group": "a", "max_age": 0, "endpoints": []}'),
        ("nel", "shortened", 'becomes {"max_age": 0}'),
        (
            "content-security-policy",
            "shortened",
            "becomes img-src https://stats.meridian.example; report-uri /own",
        ),
    ]


@pytest.mark.parametrize(
    ("served", "told"),
    [
        ({"status": 404, "headers": (("Content-Type", "text/html"),)}, "answered 404"),
        ({"body": b"{}", "headers": (("Content-Type", "application/json"),)}, "neither HTML"),
        ({"body": b'<p data-consent-service="x">', "headers": (("Content-Type", "text/html"),)}, "passed the gate"),
    ],
    ids=["error-page", "json", "gated-already"],
)
def test_what_one_should_know_about_a_page_is_noted(
    site: Place, serve: Serve, capsys: pytest.CaptureFixture[str], served: dict[str, Any], told: str
) -> None:
    """An error page, another kind of response, and a page that was gated already are explained, with a note."""
    assert any(told in note for note in explained(capsys, serve(**served))["notes"])


@pytest.mark.parametrize(
    ("served", "told"),
    [
        ({"status": 302, "headers": (("Location", "file:///etc/hosts"),)}, "redirect"),
        ({"headers": (("Content-Encoding", "gzip"),)}, "content coding"),
        ({"headers": (("Content-Encoding", "rot13"),)}, "'rot13'"),
        ({"body": b"x" * 1001}, "longer than"),
    ],
    ids=["leaves-the-web", "not-gzip", "unknown-coding", "too-long"],
)
def test_what_cannot_be_read_is_one_line(
    site: Place,
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    served: dict[str, Any],
    told: str,
) -> None:
    """A page that cannot be had, or is too long, ends with status 1 and one line that says why."""
    monkeypatch.setattr(source, "LONGEST", 1000)
    assert main(["explain", serve(**served)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert told in captured.err


@pytest.mark.parametrize("page", ["nowhere.html", ".", "http://127.0.0.1:9/", "http://[", "http:///x"])
def test_a_page_that_is_not_there_is_one_line(site: Place, capsys: pytest.CaptureFixture[str], page: str) -> None:
    """A missing file, a folder, a closed port and a broken address each end with status 1 and one line."""
    assert main(["explain", page]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith("consent: ")
