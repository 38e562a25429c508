"""Tell the operator what nobody declared, and what is wrong with templates of the site's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from consent import ConsentMiddleware
from consent.errors import ConfigurationError
from consent.reports import MOST_ORIGINS
from consent.testing import settings, site
from tests.conftest import MakeSite

PAGE = """<!doctype html><body><img src="https://cdn.unknown.example/a.png">
<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script><script data-consent="analitics">x()</script>
<iframe src="https://www.youtube.com/embed/x"></iframe>"""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one page that nobody declared anything for."""
    response = HTMLResponse(PAGE)
    response.set_cookie("visit", "1")
    await response(scope, receive, send)


@pytest.mark.parametrize("undeclared", ["report", "hold", "allow"])
def test_what_nobody_declared_is_told_once(undeclared: str, caplog: pytest.LogCaptureFixture) -> None:
    """Hosts, built-in services, marks and cookies are each named in the log, with what to do, and only once."""
    made = site(undeclared=undeclared, services={"reader": {"purpose": "analytics", "hosts": ["r.example"]}})
    client = TestClient(ConsentMiddleware(app, site=made), base_url="https://testserver")
    for _ in range(3):
        client.get("/")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told))
    assert any("[services.google-analytics]" in line for line in told)
    assert any("did you mean 'analytics'?" in line for line in told)
    assert any("'visit'" in line for line in told)
    assert any("cdn.unknown.example" in line for line in told)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("consent_baner.html", "x", "Did you mean consent_banner.html?"),
        ("consent_banner.html", "{% if %}", "line 1"),
        ("consent_banner.html", "{{ nothing.of.this }}", "cannot be rendered"),
    ],
    ids=["misspelt", "syntax", "undefined"],
)
def test_a_broken_template_is_refused_at_start(tmp_path: Path, name: str, text: str, said: str) -> None:
    """One line names the file and what to do, before any visitor meets it."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        ConsentMiddleware(app, settings=settings(templates_dir=tmp_path))


def test_a_template_that_breaks_later_breaks_no_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A placeholder that cannot be rendered is left out; the page is shown, and stays gated."""
    (tmp_path / "consent_placeholder.html").write_text("{{ nothing.of.this }}")
    made = site(templates_dir=tmp_path, services={"google-analytics": {}, "youtube": {}})
    client = TestClient(ConsentMiddleware(app, site=made), base_url="https://testserver")
    client.post("/privacy/choices", json={"choice": "reject_all"})
    response = client.get("/")
    assert response.status_code == 200
    assert 'type="text/plain"' in response.text
    assert "left out" in caplog.text


def test_made_up_origins_silence_nothing(make_site: MakeSite, caplog: pytest.LogCaptureFixture) -> None:
    """However many origins somebody makes up, what the pages load is told of all the same."""
    reports = make_site().reports
    for number in range(2000):
        reports.refused_origin(f"https://{number}.example", origins=())
    assert len(caplog.records) == MOST_ORIGINS
    reports.hosts(["new.example"])
    assert "new.example" in caplog.records[-1].getMessage()
