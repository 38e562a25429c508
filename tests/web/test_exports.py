"""Take the ledger along as an auditor does: with a token that ends, by filter, page by page, and as a bundle."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from consent import testing, verify
from consent.errors import LedgerUnavailableError
from consent.ledger.tokens import Token, digest_of, fresh
from consent.site import Site
from tests.conftest import MakeClient, MakeSite

SETTING = "a-token-of-the-setting-0123456789abcdef"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """Return a site whose setting has one token."""
    return make_site(audit_tokens=(SETTING,))


@pytest.fixture
def client(make_client: MakeClient, site: Site) -> TestClient:
    """Return the browser of somebody who agreed once and refused once."""
    client = make_client(site)
    testing.grant(client, "analytics")
    testing.refuse(make_client(site))
    return client


def sign_in(client: TestClient, token: str = SETTING) -> Any:
    """Send a token as the auditor's form does."""
    return client.post("/privacy/audit/login", data={"token": token})


def give(site: Site, *, scopes: tuple[str, ...] = ("stats", "records"), seconds: int = 7_200) -> str:
    """Put a token into the ledger, and return it."""
    token, now = fresh(), int(site.now())
    kept = Token(name="firm", digest=digest_of(token), scopes=scopes, created_at=now, expires_at=now + seconds)
    assert site.ledger.store.add_token(kept)
    return token


def newest(site: Site) -> Any:
    """Return what the newest entry says."""
    return json.loads(list(site.ledger.store.entries())[-1])


def test_a_token_of_the_ledger(make_site: MakeSite, make_client: MakeClient) -> None:
    """A token that was made by command lets in, is named in the log, and lets nobody in once it is taken back."""
    site = make_site()
    client = make_client(site)
    assert sign_in(client).status_code == 404
    assert sign_in(client, give(site)).status_code == 303
    said = newest(site)
    assert (said["kind"], said["action"], said["token"]) == ("audit", "signed-in", "firm")
    assert client.get("/privacy/audit/entries.csv").status_code == 200
    said = newest(site)
    assert (said["kind"], said["token"], said["format"]) == ("exported", "firm", "csv")
    assert site.ledger.store.revoke_token("firm", at=int(site.now()))
    assert client.get("/privacy/audit/entries.csv").status_code == 404


def test_a_token_ends(client: TestClient, site: Site) -> None:
    """A session lasts no longer than its token."""
    response = sign_in(client, give(site, seconds=60))
    assert response.status_code == 303
    assert isinstance(site.now, testing.Clock)
    site.now.advance(59)
    assert client.get("/privacy/audit/entries.jsonl").status_code == 200
    site.now.advance(1)
    assert client.get("/privacy/audit/entries.jsonl").status_code == 404


def test_the_scope_of_statistics_opens_no_entries(client: TestClient, site: Site) -> None:
    """Who may see statistics may take nothing along."""
    assert sign_in(client, give(site, scopes=("stats",))).status_code == 303
    for path in ("entries.jsonl", "entries.csv", "bundle.zip"):
        assert client.get(f"/privacy/audit/{path}").status_code == 404
    assert newest(site)["kind"] == "audit"


def test_the_setting_may_hold_a_digest(make_site: MakeSite, make_client: MakeClient) -> None:
    """Where the setting has a token's SHA-256, the token lets in, and the digest does not."""
    hashed = f"sha256:{digest_of(SETTING).hex()}"
    client = make_client(make_site(audit_tokens=(hashed,)))
    assert sign_in(client, hashed).status_code == 403
    assert sign_in(client).status_code == 303


def test_guessing_locks_nobody_out(client: TestClient, site: Site) -> None:
    """Wrong tokens are soon answered no more, are counted about nobody, and the right one still lets in."""
    statuses = [sign_in(client, f"{number:040d}").status_code for number in range(25)]
    assert statuses == [403] * 20 + [429] * 5
    assert sign_in(client, "short").status_code == 429
    assert sign_in(client).status_code == 303
    assert newest(site)["token"] == f"setting-{digest_of(SETTING).hex()[:8]}"


def test_filters(client: TestClient, site: Site) -> None:
    """The query chooses entries; the log says by which fields and not by which values."""
    sign_in(client)
    response = client.get(
        "/privacy/audit/entries.csv", params={"status": "refused", "purpose": "analytics", "kind": ""}
    )
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline=""))
    assert (row["status"], row["purposes_yes"]) == ("refused", "")
    assert response.headers["cache-control"] == "no-store"
    said = newest(site)
    assert said["filters"] == ["status", "purpose"]
    assert "analytics" not in json.dumps(said)
    size = site.ledger.checkpoint()
    assert size is not None
    assert response.headers["consent-checkpoint"].startswith(f"{site.ledger.signer.name} {size.size} ")
    assert response.headers["consent-range"] == f"0-{size.size}/{size.size}"
    assert response.headers["consent-pruned"] == "0"


@pytest.mark.parametrize(
    "query",
    [
        "first=x",
        "colour=red",
        "limit=0",
        "limit=-1",
        "size=7777",
        "since=yesterday",
        "first=1&first=2",
        "notice=%FF",
    ],
)
def test_a_wrong_filter(client: TestClient, site: Site, query: str) -> None:
    """What means nothing is answered in one line that names the field, and nothing is recorded."""
    sign_in(client)
    response = client.get(f"/privacy/audit/entries.jsonl?{query}")
    assert response.status_code == 400
    assert re.fullmatch(r"\w+: [^\n]+\n", response.text)
    assert response.headers["content-type"].startswith("text/plain")
    assert newest(site)["kind"] == "audit"


def test_pages_of_one_checkpoint(client: TestClient, site: Site) -> None:
    """Page after page leads to exactly the entries of the first page's checkpoint, whatever is recorded meanwhile."""
    sign_in(client)
    before, taken, pages = list(site.ledger.store.entries()), b"", 0
    where: str | None = "/privacy/audit/entries.jsonl?limit=2"
    while where is not None:
        response = client.get(where)
        taken, pages = taken + response.content, pages + 1
        assert response.headers["consent-range"].endswith(f"/{len(before)}")
        where = response.links["next"]["url"] if "next" in response.links else None
    assert taken.splitlines() == before
    assert pages == -(-len(before) // 2)


def test_proofs(client: TestClient, site: Site) -> None:
    """Each line of proofs is about the entry on the same line of the same selection."""
    sign_in(client)
    size = site.ledger.seal().size
    query = {"kind": "consent", "size": str(size)}
    entries = client.get("/privacy/audit/entries.jsonl", params=query).content.splitlines()
    first, *lines = client.get("/privacy/audit/entries.proofs.jsonl", params=query).content.splitlines()
    assert json.loads(first)["checkpoint"].split("\n")[1] == str(size)
    assert [json.loads(line)["leaf_hash"] for line in lines] == [
        hashlib.sha256(b"\0" + entry).hexdigest() for entry in entries
    ]


def test_parquet(client: TestClient) -> None:
    """Parquet streams too."""
    sign_in(client)
    assert client.get("/privacy/audit/entries.parquet").content[:4] == b"PAR1"


def test_a_bundle(client: TestClient, site: Site, tmp_path: Path) -> None:
    """A bundle that was taken over HTTP verifies, with a filter too; it comes as a whole."""
    sign_in(client)
    for query in ("", "?status=given"):
        response = client.get(f"/privacy/audit/bundle.zip{query}")
        path = tmp_path / "bundle.zip"
        path.write_bytes(response.content)
        assert verify.verify(path).problems == []
    assert newest(site)["format"] == "bundle.zip"
    assert client.get("/privacy/audit/bundle.zip?limit=3").status_code == 400


def test_looking_is_no_export(client: TestClient, site: Site) -> None:
    """A HEAD request says how much there is, and records nothing."""
    sign_in(client)
    response = client.head("/privacy/audit/entries.jsonl?limit=1")
    assert (response.status_code, response.content) == (200, b"")
    assert 'rel="next"' in response.headers["link"]
    assert newest(site)["kind"] == "audit"


@pytest.mark.parametrize("form", ["xml", "bundle.zip", "ccpa"])
def test_no_such_form(client: TestClient, form: str) -> None:
    """A form that there is none of is not found."""
    sign_in(client)
    assert client.get(f"/privacy/audit/entries.{form}").status_code == 404


def test_nothing_leaves_unrecorded(client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that cannot be recorded is not made."""
    sign_in(client)

    async def fail(draft: object) -> None:
        raise LedgerUnavailableError("down")

    monkeypatch.setattr(site.ledger, "record", fail)
    assert client.get("/privacy/audit/entries.jsonl").status_code == 503
