"""Take the ledger away: what cannot be recorded did not happen, and a no counts all the same (decision 19)."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from consent.errors import LedgerUnavailableError
from consent.site import Site
from tests.conftest import MakeClient

MakeStored = Callable[..., Site]
ALLOWED_ALWAYS = {"consent", "necessary"}


@contextmanager
def down(site: Site) -> Iterator[None]:
    """Take the ledger's files away for a while."""
    folder = site.settings.folder
    files = list(folder.glob("consent.db*"))
    away = folder / "away"
    away.mkdir()
    for file in files:
        file.rename(away / file.name)
    yield
    for file in away.iterdir():
        file.rename(folder / file.name)
    away.rmdir()


def restarted(site: Site, make_stored: MakeStored) -> Site:
    """Close a site, and open another on the same folder, as a restart does."""
    site.close()
    again = make_stored(site.settings)
    again.start()
    return again


def records(site: Site) -> list[dict[str, Any]]:
    """Return the consent records of a ledger, once everything that waits has been delivered."""
    site.close()
    entries = [json.loads(body) for body in site.ledger.store.entries()]
    return [entry for entry in entries if entry["kind"] == "consent"]


def notice(client: TestClient) -> str:
    """Return the digest of the notice that is shown."""
    return str(client.get("/privacy/state").json()["notice"])


def allowed(client: TestClient) -> set[str]:
    """Return what a visitor has agreed to, beyond what is necessary."""
    return set(client.get("/privacy/state").json()["allowed"]) - ALLOWED_ALWAYS


def post(client: TestClient, fields: dict[str, Any], *, as_json: bool) -> Any:
    """Send a choice as JSON or as a form."""
    if as_json:
        return client.post("/privacy/choices", json=fields)
    return client.post("/privacy/choices", data=fields)


@pytest.fixture
def site(make_stored: MakeStored) -> Site:
    """Return a site with a ledger on disk, started."""
    site = make_stored()
    site.start()
    return site


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "form"])
def test_a_grant_that_cannot_be_recorded(
    make_client: MakeClient, make_stored: MakeStored, site: Site, as_json: bool
) -> None:
    """A grant is 503, sets nothing, stays off, and is recorded at no later time."""
    client = make_client(site)
    fields = {"choice": "accept_all", "notice": notice(client)}
    with down(site):
        response = post(client, fields, as_json=as_json)
        assert response.status_code == 503
        assert response.headers["cache-control"] == "no-store"
        assert response.headers.get_list("set-cookie") == []
        assert allowed(client) == set()
        assert client.get("/").status_code == 200
    assert records(restarted(site, make_stored)) == []


@pytest.mark.parametrize("choice", ["reject_all", "withdraw", "save"])
def test_a_refusal_is_honoured_and_delivered(
    make_client: MakeClient, make_stored: MakeStored, site: Site, choice: str
) -> None:
    """A refusal counts at once, waits on disk for nobody else to read, and is recorded late after a restart."""
    client = make_client(site)
    shown = notice(client)
    with down(site):
        response = client.post("/privacy/choices", data={"choice": choice, "notice": shown})
        assert response.status_code == 303
        assert client.get("/privacy/state").json()["asking"] == []
        (queued,) = (site.settings.folder / "consent-queue").glob("*.jsonl")
        assert stat.S_IMODE(queued.stat().st_mode) == 0o600
    (record,) = records(restarted(site, make_stored))
    assert (record["status"], record["late"], record["subject"]) == ("refused", True, None)
    assert list((site.settings.folder / "consent-queue").glob("*.jsonl")) == []


def test_a_withdrawal_is_honoured_and_delivered(make_client: MakeClient, make_stored: MakeStored, site: Site) -> None:
    """A withdrawal counts at once and everywhere: the cookie of before is no choice, now and after a restart."""
    client, thief = make_client(site), make_client(site)
    client.post("/privacy/choices", data={"choice": "accept_all", "notice": notice(client)})
    thief.cookies.update(dict(client.cookies))
    with down(site):
        assert client.post("/privacy/choices", data={"choice": "withdraw"}).status_code == 303
        assert allowed(client) == allowed(thief) == set()
    again = restarted(site, make_stored)
    later = make_client(again)
    later.cookies.update(dict(thief.cookies))
    assert allowed(later) == set()
    assert [(record["status"], record["late"]) for record in records(again)] == [("given", False), ("withdrawn", True)]


def test_a_restart_while_the_ledger_is_down(make_client: MakeClient, make_stored: MakeStored, site: Site) -> None:
    """A withdrawal that still waits on disk is in force in a process that starts without the ledger."""
    client, thief = make_client(site), make_client(site)
    client.post("/privacy/choices", data={"choice": "accept_all", "notice": notice(client)})
    thief.cookies.update(dict(client.cookies))
    with down(site):
        client.post("/privacy/choices", data={"choice": "withdraw"})
        site.close()
        other = make_stored(site.settings)
        other.settings.folder.joinpath("consent.db").mkdir()
        other.start()
        later = make_client(other)
        later.cookies.update(dict(thief.cookies))
        assert allowed(later) == set()
        other.close()
        other.settings.folder.joinpath("consent.db").rmdir()


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "form"])
def test_a_mixed_save(make_client: MakeClient, make_stored: MakeStored, site: Site, as_json: bool) -> None:
    """Of a save that gives and takes, every no counts and every new yes stays off; what held before still holds."""
    client = make_client(site)
    shown = notice(client)
    client.post("/privacy/choices", data={"choice": "save", "notice": shown, "purpose": ["analytics", "media"]})
    with down(site):
        fields = {"choice": "save", "notice": shown, "purpose": ["media", "marketing"]}
        response = post(client, fields, as_json=as_json)
        assert response.status_code == 503
        assert allowed(client) == {"media", "lantern-video", "harbour-maps"}
        assert "marketing" in client.get("/privacy/state").json()["asking"]
        if not as_json:
            assert "Embedded content" in response.text
    given, renewed = records(restarted(site, make_stored))
    assert (renewed["status"], renewed["late"]) == ("renewed", True)
    assert renewed["purposes"] == {"analytics": False, "media": True}
    assert renewed["subject"] not in (None, given["subject"])


def test_a_mixed_first_save(make_client: MakeClient, make_stored: MakeStored, site: Site) -> None:
    """A first save that gives and takes leaves its noes behind, without a number for the visitor."""
    client = make_client(site)
    with down(site):
        fields = {"choice": "save", "notice": notice(client), "purpose": ["media"]}
        assert client.post("/privacy/choices", data=fields).status_code == 503
        state = client.get("/privacy/state").json()
        assert set(state["allowed"]) == ALLOWED_ALWAYS
        assert set(state["asking"]) == {"media", "lantern-video", "harbour-maps"}
    (record,) = records(restarted(site, make_stored))
    assert (record["status"], record["subject"]) == ("refused", None)
    assert record["purposes"] == {"analytics": False, "marketing": False}


def test_once_cannot_be_recorded(make_client: MakeClient, site: Site) -> None:
    """Loading once is a grant: without a record it does not happen."""
    client = make_client(site)
    with down(site):
        fields = {"choice": "once", "service": "lantern-video", "notice": notice(client), "next": "/"}
        response = client.post("/privacy/choices", data=fields)
        assert response.status_code == 503
        assert response.headers.get_list("set-cookie") == []


@pytest.mark.parametrize(
    "path", ["/privacy/", "/privacy/choices", "/privacy/state", "/privacy/receipt", "/privacy/policies/none/history"]
)
def test_pages_without_a_ledger(make_client: MakeClient, site: Site, path: str) -> None:
    """Every page is still an answer of ours."""
    client = make_client(site)
    with down(site):
        assert client.get(path).status_code in (200, 404)
        client.post("/privacy/choices", data={"choice": "reject_all"})
        assert client.get(path).status_code in (200, 404)


def test_a_receipt_without_a_ledger(make_client: MakeClient, make_stored: MakeStored, site: Site) -> None:
    """Who has a record is told that it cannot be shown now; erasing withdraws at once, and is done once it can be."""
    client = make_client(site)
    client.post("/privacy/choices", data={"choice": "accept_all", "notice": notice(client)})
    with down(site):
        assert client.get("/privacy/receipt").status_code == 503
        assert client.get("/privacy/receipt.json").status_code == 503
        assert client.post("/privacy/erase").status_code == 303
        assert allowed(client) == set()
    again = restarted(site, make_stored)
    again.close()
    entries = [json.loads(body) for body in again.ledger.store.entries()]
    assert [(entry["count"], entry["late"]) for entry in entries if entry["kind"] == "erased"] == [(1, True)]


def test_the_auditor_without_a_ledger(make_client: MakeClient, make_stored: MakeStored) -> None:
    """The auditor is told that the ledger cannot be read now."""
    site = make_stored(audit_tokens=("auditor",))
    site.start()
    client = make_client(site)
    assert client.post("/privacy/audit/login", data={"token": "auditor"}).status_code == 303
    with down(site):
        for path in ("", "entries", "entries/0", "find?record=0", "entries.jsonl", "entries.csv"):
            assert client.get(f"/privacy/audit/{path}").status_code == 503


def test_an_archived_notice_without_a_ledger(make_client: MakeClient, site: Site) -> None:
    """Decision 12: a refusal under a notice that cannot be looked up now is a refusal."""
    client = make_client(site)
    with down(site):
        response = client.post("/privacy/choices", data={"choice": "reject_all", "notice": "ab" * 32})
        assert response.status_code == 303
        assert client.get("/privacy/state").json()["status"] == "refused"


def test_a_queue_that_cannot_be_written(make_client: MakeClient, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Where a refusal cannot even be queued, it is honoured, logged and counted."""
    client = make_client(site)
    Path(site.settings.folder / "consent-queue").write_text("in the way")
    with down(site):
        assert client.post("/privacy/choices", data={"choice": "reject_all"}).status_code == 303
        assert client.get("/privacy/state").json()["status"] == "refused"
    assert site.ledger.lost == 1
    assert caplog.records


@pytest.mark.parametrize("kind", ["missing folder", "folder", "not a database"])
def test_a_ledger_that_never_was_there(make_client: MakeClient, make_stored: MakeStored, kind: str) -> None:
    """A site whose ledger cannot be opened serves its pages, refuses grants, and honours refusals."""
    name = "gone/consent.db" if kind == "missing folder" else "consent.db"
    site = make_stored(ledger=f"sqlite:///{name}")
    database = site.settings.folder / name
    if kind == "missing folder":
        assert not database.parent.exists()
    elif kind == "folder":
        database.mkdir()
    else:
        database.write_bytes(b"harbour" * 2000)
    client = make_client(site)
    assert 'id="cst"' in client.get("/").text
    assert client.post("/privacy/choices", data={"choice": "accept_all", "notice": notice(client)}).status_code == 503
    assert client.post("/privacy/choices", data={"choice": "reject_all"}).status_code == 303
    assert client.get("/privacy/state").json()["status"] == "refused"


def test_nothing_is_published_twice_in_a_second(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the ledger is down, not every grant tries to publish anew."""
    tried: list[None] = []

    def publish() -> None:
        tried.append(None)
        raise LedgerUnavailableError("down")

    monkeypatch.setattr(site, "publish", publish)
    monkeypatch.setattr(site, "_published", False)
    for _ in range(3):
        with pytest.raises(LedgerUnavailableError):
            asyncio.run(site.ensure_published())
    assert len(tried) == 1
