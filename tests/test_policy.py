"""Send a site's pages with a Content-Security-Policy of our own, and narrow the policies they come with."""

from __future__ import annotations

import pytest

from consent import ConsentMiddleware
from consent.testing import grant
from tests.conftest import PAGE, Ask, MakeClient, MakeSite
from tests.test_responder import answering

CSP, REPORT_ONLY = "content-security-policy", "content-security-policy-report-only"
STATS, PLAYER = "stats.meridian-metrics.example:*", "player.lantern.example:*"


@pytest.mark.parametrize(
    ("csp", "undeclared", "sent"),
    [
        ("off", "hold", None),
        ("report-only", "hold", REPORT_ONLY),
        ("enforce", "hold", CSP),
        ("enforce", "report", REPORT_ONLY),
        ("enforce", "allow", REPORT_ONLY),
    ],
)
def test_which_policy_is_sent(make_site: MakeSite, ask: Ask, csp: str, undeclared: str, sent: str | None) -> None:
    """It is enforced only where undeclared hosts are held too: a policy could not let them pass."""
    answer = ask(ConsentMiddleware(answering(), site=make_site(csp=csp, undeclared=undeclared)))
    for name in (CSP, REPORT_ONLY):
        assert len(answer.all(name)) == (name == sent)
    assert (b"data-narrowed" in answer.body) == (sent == CSP)
    assert answer.all("reporting-endpoints") == (['consent="/privacy/reports"'] if sent else [])


def test_it_holds_what_is_allowed_now(make_client: MakeClient) -> None:
    """Hosts come in with a yes; once everything is allowed the page need not come anew after a change."""
    client = make_client(csp="enforce", undeclared="hold")
    policy = client.get("/").headers[CSP]
    assert STATS not in policy
    assert PLAYER not in policy
    grant(client, "analytics")
    response = client.get("/")
    assert STATS in response.headers[CSP]
    assert PLAYER not in response.headers[CSP]
    assert "data-narrowed" in response.text
    grant(client, "analytics", "marketing", "media")
    response = client.get("/")
    assert PLAYER in response.headers[CSP]
    assert "data-narrowed" not in response.text


@pytest.mark.parametrize("content_type", ["application/json", "text/css", "image/png"])
def test_what_is_no_page_gets_no_policy(make_site: MakeSite, ask: Ask, content_type: str) -> None:
    """Only pages load things."""
    app = answering(b"{}", content_type=content_type, headers=[("set-cookie", "_rs=1")])
    answer = ask(ConsentMiddleware(app, site=make_site(csp="enforce", undeclared="hold")))
    assert answer.all(CSP) == []


def test_a_policy_of_the_site_stays_beside_ours(make_site: MakeSite, ask: Ask) -> None:
    """Several lines, several policies in a line, and what is only reported on are each narrowed in their place."""
    lines = [
        (CSP, f"script-src 'nonce-a' https: 'strict-dynamic', img-src {STATS[:-2]} data:"),
        (REPORT_ONLY, f"default-src {PLAYER[:-2]}"),
        (CSP, "frame-ancestors 'self'"),
    ]
    answer = ask(ConsentMiddleware(answering(headers=lines), site=make_site(csp="enforce", undeclared="hold")))
    own = answer.all(CSP)
    assert own[:2] == ["script-src 'nonce-a' https: 'strict-dynamic', img-src data:", "frame-ancestors 'self'"]
    assert own[2].startswith("default-src 'self'")
    assert len(own) == 3
    assert answer.all(REPORT_ONLY) == ["default-src 'none'"]


@pytest.mark.parametrize(
    ("lines", "nonce"),
    [
        ([(REPORT_ONLY, "script-src 'nonce-r'"), (CSP, "script-src 'nonce-e'")], b"e"),
        ([(REPORT_ONLY, "script-src 'nonce-r'"), (CSP, "img-src *")], b"r"),
    ],
    ids=["both", "one"],
)
def test_the_nonce_is_that_of_what_is_enforced(
    make_site: MakeSite, ask: Ask, lines: list[tuple[str, str]], nonce: bytes
) -> None:
    """A nonce that is only reported on would keep our script from running under another that is enforced."""
    answer = ask(ConsentMiddleware(answering(headers=lines), site=make_site()))
    assert b'<script nonce="%s"' % nonce in answer.body


@pytest.mark.parametrize(
    ("csp", "undeclared", "told"), [("off", "hold", 1), ("enforce", "report", 1), ("enforce", "hold", 0)]
)
def test_a_policy_that_cannot_deny_is_told_once(
    make_site: MakeSite, ask: Ask, caplog: pytest.LogCaptureFixture, csp: str, undeclared: str, told: int
) -> None:
    """The log names the source that opens a policy, unless ours denies beside it."""
    app = answering(PAGE.encode(), headers=[(CSP, "default-src https:")])
    site = make_site(csp=csp, undeclared=undeclared)
    for _ in range(3):
        ask(ConsentMiddleware(app, site=site))
    lines = [record.getMessage() for record in caplog.records if "cannot deny" in record.getMessage()]
    assert len(lines) == told
    assert all("has default-src with https:" in line for line in lines)


def test_an_endpoint_of_the_site_stays(make_site: MakeSite, ask: Ask) -> None:
    """Ours comes in a line of its own, which browsers join to the site's."""
    app = answering(headers=[("reporting-endpoints", 'main="/own"')])
    answer = ask(ConsentMiddleware(app, site=make_site(csp="report-only")))
    assert answer.all("reporting-endpoints") == ['main="/own"', 'consent="/privacy/reports"']
