"""Sign in, see what a token opens and nothing else, and sign out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from consent import testing
from consent.errors import LedgerUnavailableError
from consent.ledger.tokens import Token, digest_of, fresh
from consent.site import Site
from consent.web import application
from tests.conftest import ORIGIN, MakeClient, MakeSite

NOBODY, STATS, RECORDS = (), ("stats",), ("stats", "records")
SCOPES = (NOBODY, STATS, RECORDS)
OPENS = {
    "/audit/": (200, 200, 200),
    "/audit/entries.{form}": (404, 404, 200),
    "/audit/bundle.zip": (404, 404, 200),
    "/audit/entries": (404, 404, 200),
    "/audit/entries/{index}": (404, 404, 200),
    "/audit/find": (404, 404, 303),
    "/audit/notices/{older}...{newer}": (404, 200, 200),
    "/audit/renderings/{digest}": (404, 404, 200),
}
"""What each address answers to nobody, to who may see statistics, and to who may see records too."""
POSTED = {"/audit/login", "/audit/logout"}
FORMS = ("jsonl", "proofs.jsonl", "csv", "parquet")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """Return a started site with a setting that lets auditors in."""
    site = make_site(audit_tokens=("a-token-of-the-setting-0123456789abcdef",))
    site.start()
    return site


@pytest.fixture
def paths(site: Site, make_client: MakeClient) -> dict[str, str]:
    """Return what stands for each field of an address, of a choice that was made."""
    testing.grant(make_client(site), "analytics")
    edition = site.edition(site.now())
    notice, rendering = edition.notices["en"].digest, edition.renderings["en"].digest
    return {"index": "0", "older": notice, "newer": notice, "digest": rendering, "form": "csv"}


def signed_in(site: Site, client: TestClient, scopes: tuple[str, ...]) -> TestClient:
    """Sign in with a token that opens some scopes; with none of them nobody does."""
    if scopes:
        token, now = fresh(), int(site.now())
        site.ledger.store.add_token(
            Token(name="firm", digest=digest_of(token), scopes=scopes, created_at=now, expires_at=now + 7_200)
        )
        response = client.post("/privacy/audit/login", data={"token": token}, headers={"origin": ORIGIN})
        assert response.status_code == 303
    return client


def routes(found: list[BaseRoute]) -> Iterator[str]:
    """Yield the addresses of all routes under the prefix."""
    for route in found:
        if isinstance(route, Mount):
            yield from routes(list(route.routes))
        elif isinstance(route, Route):
            yield route.path


def test_every_address_is_in_the_table(site: Site) -> None:
    """None of the auditors' addresses is left out below."""
    app = application.build(site)
    assert isinstance(app, Starlette)
    assert {path for path in routes(app.routes) if path.startswith("/audit")} == {*OPENS, *POSTED}


@pytest.mark.parametrize("scopes", SCOPES, ids=lambda scopes: "+".join(scopes) or "nobody")
def test_what_a_token_opens(
    site: Site, make_client: MakeClient, paths: dict[str, str], scopes: tuple[str, ...]
) -> None:
    """Statistics open no page that shows records, and whoever is not signed in gets the form and nothing else."""
    client = signed_in(site, make_client(site), scopes)
    answered = {path: client.get(f"/privacy{path.format(**paths)}").status_code for path in OPENS}
    assert answered == {path: statuses[SCOPES.index(scopes)] for path, statuses in OPENS.items()}
    exports = {client.get(f"/privacy/audit/entries.{form}").status_code for form in FORMS}
    assert exports == ({200} if scopes == RECORDS else {404})


def test_statistics_show_no_record(site: Site, make_client: MakeClient, paths: dict[str, str]) -> None:
    """Who may see statistics is led to no entry and no export, and asks for all figures in vain."""
    page = signed_in(site, make_client(site), STATS).get("/privacy/audit/?exact=1").text
    assert "/privacy/audit/entries" not in page
    assert "bundle.zip" not in page
    assert "do not pass them on" not in page


@pytest.mark.parametrize(
    "path", ["/audit/", "/audit/entries", "/audit/entries/{index}", "/audit/notices/{older}...{newer}"]
)
def test_signing_out(site: Site, make_client: MakeClient, paths: dict[str, str], path: str) -> None:
    """Every page has a button, without any script, after which the form is back and nothing is open."""
    client = signed_in(site, make_client(site), RECORDS)
    page = client.get(f"/privacy{path.format(**paths)}").text
    assert '<form class="cst-logout" method="post" action="/privacy/audit/logout"><button' in page
    response = client.post("/privacy/audit/logout", headers={"origin": ORIGIN})
    assert (response.status_code, response.headers["location"]) == (303, "/privacy/audit/")
    assert response.headers["cache-control"] == "no-store"
    assert client.get("/privacy/audit/entries").status_code == 404
    assert '<input type="password"' in client.get("/privacy/audit/").text


def test_a_copied_session_ends_too(site: Site, make_client: MakeClient) -> None:
    """Who kept a copy of the cookie opens nothing with it after the sign-out."""
    client = signed_in(site, make_client(site), RECORDS)
    copied = dict(client.cookies)
    client.post("/privacy/audit/logout", headers={"origin": ORIGIN})
    client.cookies.update(copied)
    assert client.get("/privacy/audit/entries").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://other.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
    ids=lambda headers: " ".join(headers.values()),
)
def test_nobody_else_signs_out(site: Site, make_client: MakeClient, headers: dict[str, str]) -> None:
    """A form of another site ends no session."""
    client = signed_in(site, make_client(site), RECORDS)
    response = client.post("/privacy/audit/logout", headers=headers)
    assert (response.status_code, "set-cookie" in response.headers) == (403, False)
    assert client.get("/privacy/audit/entries").status_code == 200


def test_signing_out_with_the_ledger_down(site: Site, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves is let go, whatever can be read."""
    client = signed_in(site, make_client(site), RECORDS)

    def fail() -> None:
        raise LedgerUnavailableError("down")

    monkeypatch.setattr(site.ledger.store, "tokens", fail)
    assert client.post("/privacy/audit/logout", headers={"origin": ORIGIN}).status_code == 303
    assert not [name for name in client.cookies if name.endswith("-audit")]
