"""Post reports about a Content-Security-Policy."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from consent import ConsentMiddleware
from consent.reports import MOST_HOSTS
from consent.site import Site
from consent.testing import Clock
from consent.web.violations import LONGEST, MOST_A_MINUTE
from tests.conftest import Answer, Ask, MakeSite, page_app

CSP_REPORT = ("content-type", "application/csp-report")
REPORTS = ("content-type", "application/reports+json; charset=utf-8")


def counted(site: Site) -> Counter[tuple[str, str]]:
    """Return what a site's ledger counted, once it is closed."""
    store = site.ledger.store
    totals = Counter[tuple[str, str]]()
    site.ledger._totals.hand_over(store)
    for total in store.totals("report"):
        totals[total.name, total.subject] += total.count
    return totals


def single(host: str, directive: str = "img-src") -> bytes:
    """Return one report."""
    report = {"document-uri": "https://meridian.example/secret?who=me", "effective-directive": directive}
    return json.dumps({"csp-report": {**report, "blocked-uri": f"https://{host}/p?id=7"}}).encode()


def post(ask: Ask, site: Site, body: bytes, *headers: tuple[str, str]) -> Answer:
    """Send a message of reports."""
    return ask(ConsentMiddleware(page_app, site=site), "/privacy/reports", method="POST", headers=headers, body=body)


def test_reports_are_counted_by_host_and_kind(make_site: MakeSite, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """Both formats count, each host is told of once, and nothing of the page or the visitor is kept anywhere."""
    site = make_site(csp="report-only")
    body = {"effectiveDirective": "script-src-elem", "blockedURL": "https://www.youtube.com/api?id=7"}
    report = {
        "type": "csp-violation",
        "url": "https://meridian.example/secret",
        "user_agent": "Harbour/1",
        "body": body,
    }
    for _ in range(2):
        answer = post(ask, site, single("x.example"), CSP_REPORT, ("cookie", "a=b"))
        assert (answer.status, answer.body, answer.all("set-cookie")) == (204, b"", [])
        assert post(ask, site, json.dumps([report, report]).encode(), REPORTS).status == 204
    post(ask, site, single("ads.lantern.example"), CSP_REPORT)
    assert counted(site) == {
        ("report.img-src", "x.example"): 2,
        ("report.script-src-elem", "www.youtube.com"): 4,
        ("report.img-src", "ads.lantern.example"): 1,
    }
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert any("'x.example' is loaded by a page's own scripts" in line and "no service names" in line for line in told)
    assert any("Add [services.youtube]" in line for line in told)
    assert any("for 'lantern-ads' without a yes" in line for line in told)
    assert not any(word in line for line in told for word in ("secret", "id=7", "Harbour"))


def test_what_is_denied_is_told_so(make_site: MakeSite, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """Where our policy is enforced nothing was loaded; a sub-domain of the site's own is told apart."""
    site = make_site(csp="enforce", undeclared="hold")
    post(ask, site, single("x.example"), CSP_REPORT)
    post(ask, site, single("static.meridian.example"), CSP_REPORT)
    assert "'x.example' was denied to a page's own scripts" in caplog.text
    assert "'static.meridian.example' was denied" in caplog.text
    assert "Add it to origins" in caplog.text


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, [CSP_REPORT], b"{"),
        (400, [REPORTS], single("x.example")),
        (400, [CSP_REPORT, ("content-length", "-1")], single("x.example")),
        (413, [CSP_REPORT], b" " * (LONGEST + 1)),
        (413, [CSP_REPORT, ("content-length", "99999999")], b"{}"),
        (415, [("content-type", "application/json")], single("x.example")),
        (415, [], single("x.example")),
        (403, [CSP_REPORT, ("sec-fetch-site", "cross-site")], single("x.example")),
        (403, [CSP_REPORT, ("origin", "https://other.example")], single("x.example")),
        (204, [CSP_REPORT, ("origin", "null")], single("x.example")),
        (204, [CSP_REPORT, ("sec-fetch-site", "same-origin")], single("x.example")),
    ],
)
def test_what_is_taken(make_site: MakeSite, ask: Ask, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Only what a page of the site can send is read; everything else gets its own answer, and counts nothing."""
    site = make_site()
    answer = post(ask, site, body, *headers)
    assert answer.status == status
    assert answer.one("cache-control") == "no-store"
    assert len(counted(site)) == (status == 204)


def test_only_post_is_answered(make_site: MakeSite, ask: Ask) -> None:
    """There is nothing to read at that address."""
    assert ask(ConsentMiddleware(page_app, site=make_site()), "/privacy/reports").status == 405


def test_a_hostile_poster_fills_neither_table_nor_log(
    make_site: MakeSite, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """Past a number of hosts an hour the rest count together; a host known already goes on counting by name."""
    clock = Clock()
    site = make_site(clock=clock)
    site.reports.violations(("img-src", f"h{n}.example") for n in range(MOST_HOSTS + 50))
    site.reports.violations([("img-src", "h0.example")])
    totals = counted(site)
    assert len(totals) == MOST_HOSTS + 1
    assert totals["report.img-src", "other"] == 50
    assert totals["report.img-src", "h0.example"] == 2
    assert len(caplog.records) == MOST_HOSTS
    clock.advance(3600)
    site.reports.violations([("img-src", "late.example")])
    assert counted(site)["report.img-src", "late.example"] == 1
    assert len(caplog.records) == MOST_HOSTS


def test_there_is_an_end_to_the_messages_of_a_minute(make_site: MakeSite, ask: Ask) -> None:
    """More than that are answered alike and left unread; the next minute they are read again."""
    clock = Clock()
    site = make_site(clock=clock)
    app = ConsentMiddleware(page_app, site=site)

    def send() -> int:
        return ask(app, "/privacy/reports", method="POST", headers=[CSP_REPORT], body=single("x.example")).status

    assert {send() for _ in range(MOST_A_MINUTE + 5)} == {204}
    assert counted(site)["report.img-src", "x.example"] == MOST_A_MINUTE
    clock.advance(60)
    send()
    assert counted(site)["report.img-src", "x.example"] == MOST_A_MINUTE + 1
