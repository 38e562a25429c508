"""Scan the demo, which keeps its promise, and a site that does not, as an operator would."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consent import ConsentMiddleware, testing
from consent.cli.main import main
from consent.ledger.sqlite import SqliteStore
from tests.browser.chromium import find_chromium
from tests.browser.conftest import Demo

pytestmark = pytest.mark.browser

QUICK = ("--settle", "0.4", "--timeout", "20")
STATES = ["before", "refused", "accepted", "withdrawn", "gpc", "gpc-accepted"]
Serve = Callable[[ASGIApp], int]
Config = Callable[..., Path]

CONFIG = """
site_name = "The Meridian"
origins = ["http://127.0.0.1"]
undeclared = "report"

[services.lantern-ads]
purpose = "marketing"
provider = "Lantern & Sons"
hosts = ["ads.localhost"]
cookies = [{{ name = "_la", lifetime = "P90D" }}, {{ name = "_kept", lifetime = "P90D" }}]
storage = ["la.seen"]
"""
# The gate sees neither what a script of the site's own makes up, nor what that keeps.
OWN_SCRIPT = """
const image = new Image();
image.src = 'http://' + ['ads', 'localhost'].join('.') + ':{port}/pixel.gif?x=1';
new Image().src = 'http://odd.harbour.test:{port}/odd.gif';
document.cookie = '_la=1; max-age=7776000; path=/';
document.cookie = 'odd=1; path=/';
localStorage.setItem('la.seen', '1');
localStorage.setItem('odd.key', '1');
indexedDB.open('odd-db');
caches.open('odd-cache');
"""
PAGE = """<!doctype html><html lang="en"><head><title>Night ferry</title></head><body><h1>Night ferry</h1>
<iframe src="http://ads.localhost:{port}/frame"></iframe><a href="/next#part">Next</a><a href="/privacy/">Policies</a>
<a href="http://elsewhere.example/">Elsewhere</a>{script}</body></html>"""


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("CONSENT_") and name != "CONSENT_CHROMIUM"]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a configuration without secrets, and go to its folder."""
    (tmp_path / "consent.toml").write_text(CONFIG.format())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan(*words: str) -> int:
    """Run `consent scan` with the browser of the tests, without much patience."""
    return main(["scan", "--browser", find_chromium(), *QUICK, *words])


def report(path: Path) -> dict[str, Any]:
    """Return a JSON report."""
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return answer


def codes(answer: dict[str, Any]) -> set[tuple[str, str]]:
    """Return code and subject of every finding."""
    return {(one["code"], one["subject"]) for one in answer["findings"]}


async def tracker(request: Request) -> Response:
    """Answer anything a tracker is asked for, with a cookie of its own."""
    return PlainTextResponse(
        "", headers={"Set-Cookie": "lantern=1; Max-Age=3600; Path=/; SameSite=None; Secure; Partitioned"}
    )


def news(tracker_port: int, *, script: bool) -> Starlette:
    """Return a site with an embedded advertisement and, if it is to leak, a script that goes round the gate."""
    tag = '<script src="/own.js"></script>' if script else ""
    page = PAGE.format(port=tracker_port, script=tag)

    async def article(request: Request) -> Response:
        return HTMLResponse(page)

    async def own(request: Request) -> Response:
        return PlainTextResponse(OWN_SCRIPT.format(port=tracker_port), media_type="text/javascript")

    return Starlette(routes=[Route("/own.js", own), Route("/", article), Route("/next", article)])


def test_the_demo_leaks_nothing(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In no state anything loads or is stored that was not agreed to; the report is archived by its digest."""
    monkeypatch.chdir(demo.folder)
    out = tmp_path / "scan.json"
    address = f"http://127.0.0.1:{demo.port}/en/articles/night-ferry"
    assert scan(address, "--report", str(out), "--store") == 0, capsys.readouterr().out
    answer = report(out)
    assert [one["state"] for one in answer["visits"]] == STATES
    assert {code for code, _ in codes(answer)} <= {"S010"}
    asked = {
        one["state"]: {service for each in one["requests"] for service in each["services"]} for one in answer["visits"]
    }
    assert asked["before"] == asked["refused"] == asked["withdrawn"] == asked["gpc"] == set()
    assert asked["accepted"] == asked["gpc-accepted"] | {"ad-exchange"} >= {"reader-stats", "video-player"}
    accepted = answer["visits"][2]
    assert {"_mab", "_rs", "__Host-consent"} <= {one["name"] for one in accepted["cookies"] if one["declared"]}
    assert next(one["http_only"] for one in accepted["cookies"] if one["name"] == "_mab")
    collected = [one for one in accepted["requests"] if "/collect" in one["url"]]
    assert all("/rs.js, line" in one["initiator"] for one in collected)
    assert {one["kind"] for one in accepted["requests"]} >= {
        "document",
        "script",
        "frame",
        "stylesheet",
        "font",
        "fetch",
    }
    digest = capsys.readouterr().out.rpartition("Archived in the ledger as ")[2].strip(" .\n")
    store = SqliteStore(demo.folder / "consent.db", origin=demo.site)
    try:
        document = store.document(digest)
    finally:
        store.close()
    assert document is not None
    assert (document.kind, document.data) == ("scan", out.read_bytes())


def test_a_site_that_leaks_is_found_out(
    config: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes round the gate is a leak, what nobody declares is told and proposed, and the status is 1."""
    tracker_port = serve(Starlette(routes=[Route("/{path:path}", tracker)]))
    site = testing.site(
        site_name="The Meridian",
        origins=("http://127.0.0.1",),
        services={"lantern-ads": {"purpose": "marketing", "hosts": ["ads.localhost"], "provider": "Lantern & Sons"}},
    )
    port = serve(ConsentMiddleware(news(tracker_port, script=True), site=site))
    out, sarif, html = (tmp_path / f"scan.{kind}" for kind in ("json", "sarif", "html"))
    words = [word for path in (out, sarif, html) for word in ("--report", str(path))]
    resolved = f"--chromium-arg=--host-resolver-rules=MAP odd.harbour.test 127.0.0.1:{tracker_port}"
    assert scan(f"http://127.0.0.1:{port}/", *words, resolved, "--propose") == 1
    answer = report(out)
    here = f"http://127.0.0.1:{port}"
    assert codes(answer) >= {
        ("S001", f"ads.localhost:{tracker_port}"),
        ("S002", "cookie _la of 127.0.0.1"),
        ("S002", "cookie lantern of ads.localhost"),
        ("S003", f"localStorage la.seen of {here}"),
        ("S004", f"odd.harbour.test:{tracker_port}"),
        ("S005", "cookie odd of 127.0.0.1"),
        ("S006", f"localStorage odd.key of {here}"),
        ("S006", f"IndexedDB odd-db of {here}"),
        ("S006", f"Cache odd-cache of {here}"),
    }
    leak = next(one for one in answer["findings"] if one["code"] == "S001")
    assert "accepted" not in leak["states"]
    assert {"before", "refused", "withdrawn", "gpc", "gpc-accepted"} <= set(leak["states"])
    assert leak["initiator"].startswith(f"{here}/")
    frames = [one["url"] for one in answer["visits"][0]["requests"] if one["kind"] == "frame"]
    assert frames == [], "the gate parks the frame"
    assert '"odd.harbour.test"' in capsys.readouterr().out
    assert len(json.loads(sarif.read_text())["runs"][0]["results"]) == len(answer["findings"])
    assert "ads.localhost" in html.read_text()


def test_a_site_without_the_middleware(config: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody asks, the visits without an answer are made and what loads is a leak; links are followed."""
    tracker_port = serve(Starlette(routes=[Route("/{path:path}", tracker)]))
    port = serve(news(tracker_port, script=False))
    out = config / "scan.json"
    here = f"http://127.0.0.1:{port}"
    assert scan(f"{here}/", "--follow", "1", "--report", str(out)) == 1
    answer = report(out)
    assert [(one["page"], one["state"]) for one in answer["visits"]] == [
        (f"{here}{path}", state) for path in ("/", "/next") for state in ("before", "gpc")
    ]
    assert {code for code, _ in codes(answer)} == {"S001", "S002", "S009"}
    assert capsys.readouterr().err == ""


def test_pages_that_cannot_be_visited(config: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that is missing, a closed port and a redirect to another site are one line each, and status 1."""

    async def away(request: Request) -> Response:
        return Response(status_code=302, headers={"Location": f"http://localhost:{port}/"})

    async def home(request: Request) -> Response:
        return HTMLResponse("<p>Hello")

    port = serve(Starlette(routes=[Route("/away", away), Route("/", home)]))
    here = f"http://127.0.0.1:{port}"
    assert scan(f"{here}/none", "http://127.0.0.1:9/", f"{here}/away", "--pages", "3") == 1
    err = capsys.readouterr().err.splitlines()
    assert err == [
        f"consent: {here}/none: answered 404 Not Found",
        "consent: http://127.0.0.1:9/: cannot be visited: net::ERR_UNSAFE_PORT",
        f"consent: {here}/away: leads to another site, http://localhost:{port}: scan that one",
    ]


def test_a_browser_that_does_not_start(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no browser is one line and status 1."""
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert main(["scan", "http://127.0.0.1:9/", "--browser", str(broken)]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "does not start" in captured.err
