"""Read the ledger as an auditor does: statistics, entries one by one, and what was shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from consent import testing
from consent.ledger.entry import Draft
from consent.site import Site
from tests.conftest import ORIGIN, MakeClient, MakeSite

TOKEN = "auditor-token"
WEEK = 7 * 86_400


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """Return a started site in two languages with auditors."""
    site = make_site(audit_tokens=(TOKEN,), languages=("en", "uk"))
    site.start()
    return site


@pytest.fixture
def auditor(site: Site, make_client: MakeClient) -> TestClient:
    """Return somebody who is signed in."""
    client = make_client(site)
    client.post("/privacy/audit/login", data={"token": TOKEN}, headers={"origin": ORIGIN})
    return client


def answer(site: Site, count: int, *, yes: bool, language: str = "en", weeks_ago: int = 1, notice: str = "") -> None:
    """Record so many answers of some weeks ago, by the banner of a language."""
    notice = notice or site.edition(site.now()).notices[language].digest
    content: dict[str, Any] = {
        "status": "given" if yes else "refused",
        "method": "banner:save",
        "scope": "site",
        "purposes": {"analytics": yes, "marketing": False, "media": yes},
        "services": {},
        "notice": notice,
        "rendering": site.edition(site.now()).renderings[language].digest,
        "policies": [],
        "language": language,
        "regime": "opt-in",
        "country": None,
        "signals": {"gpc": False},
    }
    moment = int(site.now()) - weeks_ago * WEEK
    drafts = [Draft(kind="consent", content=content, decided_at=moment) for _ in range(count)]
    site.ledger.store.append(drafts, now=moment)


@pytest.fixture
def past(make_site: MakeSite, make_client: MakeClient) -> TestClient:
    """Return an auditor of a site whose answers lie two weeks back: many in English, four in Ukrainian."""
    site = make_site(audit_tokens=(TOKEN,), languages=("en", "uk"))
    site.start()
    answer(site, 30, yes=True, weeks_ago=0)
    answer(site, 20, yes=False, weeks_ago=0)
    answer(site, 4, yes=True, language="uk", weeks_ago=0)
    assert isinstance(site.now, testing.Clock)
    site.now.advance(2 * WEEK)
    client = make_client(site)
    client.post("/privacy/audit/login", data={"token": TOKEN}, headers={"origin": ORIGIN})
    return client


def test_a_ledger_without_answers(auditor: TestClient) -> None:
    """Before anybody answered there is nothing to show, and that is said."""
    page = auditor.get("/privacy/audit/")
    assert page.status_code == 200
    assert "There is nothing to show for this time." in page.text
    assert "<svg" not in page.text


def test_answers_are_shown_by_week(past: TestClient) -> None:
    """A whole week is drawn and written down: 34 of 54 said yes to analytics, nobody to marketing."""
    page = past.get("/privacy/audit/").text
    assert "63% yes, of 54 answers" in page
    assert "0% yes, of 54 answers" in page
    assert page.count("<svg") == 3
    assert re.search(r"<td>54</td><td>34</td><td>20</td><td>0</td><td>54</td>", page)


def test_a_small_group_and_what_reveals_it_are_kept_back(past: TestClient) -> None:
    """Four answers in Ukrainian are not shown, nor those in English, which are the rest of the week; no sum is left."""
    page = past.get("/privacy/audit/?by=language").text
    assert page.count('<abbr title="kept back">') == 2
    assert not re.search(r"<td>(4|50)</td>", page)
    exact = past.get("/privacy/audit/?by=language&exact=1").text
    assert re.search(r"<td>4</td>", exact)
    assert "do not pass them on" in exact


def test_the_week_in_progress_is_not_shown(site: Site, auditor: TestClient) -> None:
    """Answers of this week are counted only for who may see each record, and asks for it."""
    answer(site, 20, yes=True, weeks_ago=0)
    assert "<svg" not in auditor.get("/privacy/audit/").text
    assert "<svg" in auditor.get("/privacy/audit/?exact=1").text


def test_the_export_keeps_what_the_page_shows(past: TestClient) -> None:
    """The export is offered for the days and the purpose of the page, and other ones can be filled in."""
    page = past.get("/privacy/audit/?purpose=analytics&until=2027-01-15").text
    form = page.partition('action="/privacy/audit/entries.jsonl">')[2].partition("</form>")[0]
    assert '<input type="date" name="since" value="2026-07-20">' in form
    assert '<input type="date" name="until" value="2027-01-17">' in form
    assert '<option value="analytics" selected>' in form
    query = "since=2026-07-20&until=2027-01-17&purpose=analytics"
    assert past.get(f"/privacy/audit/entries.jsonl?{query}").text.count("\n") == 54


def test_a_jump_is_marked(make_site: MakeSite, make_client: MakeClient) -> None:
    """Where acceptance jumps after a notice changed the page says so, and each chart of it has a mark in that week."""
    site = make_site(audit_tokens=(TOKEN,))
    site.start()
    assert isinstance(site.now, testing.Clock)
    answer(site, 80, yes=False, weeks_ago=0)
    site.now.advance(WEEK)
    later = "ab" * 32
    answer(site, 80, yes=True, weeks_ago=0, notice=later)
    site.now.advance(WEEK)
    client = make_client(site)
    client.post("/privacy/audit/login", data={"token": TOKEN}, headers={"origin": ORIGIN})
    page = client.get("/privacy/audit/?purpose=analytics").text
    assert page.count('<path class="cst-jump"') == 1
    assert f'→ <a href="/privacy/notices/{later}">' in page
    # Nobody said yes to marketing before or after.
    assert "cst-jump" not in client.get("/privacy/audit/?purpose=marketing").text


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?by=people", "by"),
        ("?period=hour&by=x", "period, by"),
        ("?until=soon", "until"),
        ("?until=0001-01-01", "until"),
    ],
)
def test_wrong_questions_are_answered_plainly(auditor: TestClient, query: str, fields: str) -> None:
    """What means nothing is named and left out."""
    response = auditor.get(f"/privacy/audit/{query}")
    assert response.status_code == 422
    assert f"left out, because they mean nothing: {fields}</p>" in response.text


@pytest.mark.parametrize("query", ["?until=9999-12-31", "?purpose=%00&until=", "?by=regime&period=day", "?exact=2"])
def test_odd_questions_are_answered(past: TestClient, query: str) -> None:
    """What can be understood is shown."""
    assert past.get(f"/privacy/audit/{query}").status_code == 200


def test_pages_with_the_notice_are_counted(
    site: Site, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page sent with the banner in it counts, none after an answer, none of our own, and no fragment."""
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(site.ledger, "count", lambda name, subject="": counted.append((name, subject)))
    client = make_client(site)
    for _ in range(3):
        client.get("/")
    client.get("/privacy/choices")
    client.head("/")
    testing.grant(client, "analytics")
    client.get("/")
    notice = site.edition(site.now()).notices["en"]
    assert counted == [("shown", f"{notice.short.hex()} en opt-in")] * 3


# -- entries


def rows(page: str) -> list[str]:
    """Return the indices in the list of entries."""
    return re.findall(r'<tr><td><a href="/privacy/audit/entries/(\d+)">', page)


def test_entries_are_filtered_and_paged(site: Site, auditor: TestClient) -> None:
    """Pages of fifty lead to the first entry, each entry once; a filter holds over all of them."""
    answer(site, 60, yes=True, weeks_ago=0)
    answer(site, 60, yes=False, weeks_ago=0)
    found: list[str] = []
    address = "?status=given&purpose=analytics"
    while address:
        page = auditor.get(f"/privacy/audit/entries{address}").text
        found += rows(page)
        more = re.search(r'<a href="(\?[^"]*)" rel="next"', page)
        address = more[1].replace("&amp;", "&") if more else ""
    store = site.ledger.store
    given = [n for n, body in enumerate(store.entries()) if json.loads(body).get("status") == "given"]
    assert found == [str(n) for n in reversed(given)]
    assert len(given) == 60


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("kind=notice-published", 2),
        ("kind=consent", 3),
        ("purpose=-analytics", 3),
        ("language=uk", 4),
        ("regime=opt-out", 0),
        ("since=2200-01-01", 0),
        ("until=2000-01-01", 0),
    ],
)
def test_filters(site: Site, auditor: TestClient, query: str, count: int) -> None:
    """Each filter leaves what it names."""
    answer(site, 3, yes=False, language="uk", weeks_ago=0)
    assert len(rows(auditor.get(f"/privacy/audit/entries?{query}").text)) == count


@pytest.mark.parametrize("query", ["kind=x", "status=x", "regime=x", "notice=xyz", "since=x", "until=99999-01-01"])
def test_wrong_filters_are_answered_plainly(auditor: TestClient, query: str) -> None:
    """A filter that means nothing is named, and what else was asked is shown."""
    response = auditor.get(f"/privacy/audit/entries?{query}")
    assert response.status_code == 422
    assert f"left out, because they mean nothing: {query.partition('=')[0]}</p>" in response.text


def test_a_record_is_explained(site: Site, auditor: TestClient) -> None:
    """What was answered, what it allowed, what was shown and the checked proof are told; its number finds it."""
    answer(site, 1, yes=True, weeks_ago=0)
    index = site.ledger.store.head().size - 1
    record = json.loads(list(site.ledger.store.entries())[-1])["record"]
    response = auditor.get(f"/privacy/audit/find?record={record}", follow_redirects=True)
    assert str(response.url).endswith(f"/privacy/audit/entries/{index}")
    assert f"Checked now: entry {index} is one of the {index + 1} entries" in response.text
    assert re.search(r"Reader statistics</span>: allowed to load and store", response.text)
    assert re.search(r"Lantern Ads</span>: kept back", response.text)
    frame = re.search(r'<iframe[^>]*src="([^"]*)" sandbox ', response.text)
    assert frame is not None
    shown = auditor.get(frame[1])
    assert shown.status_code == 200
    assert 'id="cst"' in shown.text
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'; style-src 'sha256-")


def test_altered_bytes_are_found(site: Site, auditor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry whose bytes are not those under the checkpoint does not verify, and the page says so."""
    answer(site, 1, yes=False, weeks_ago=0)
    store = site.ledger.store
    index = store.head().size - 1
    site.ledger.seal()
    stored = store.stored

    def altered(first: int = 0, *, last: int | None = None) -> Iterator[Any]:
        for place in stored(first, last=last):
            body = place.body.replace(b'"media":false', b'"media":true') if place.body else None
            yield type(place)(index=place.index, leaf_hash=place.leaf_hash, body=body)

    monkeypatch.setattr(store, "stored", altered)
    assert "This does not verify" in auditor.get(f"/privacy/audit/entries/{index}").text


@pytest.mark.parametrize(
    "path", ["entries/999", "entries/-1", "entries/x", "entries/²", "renderings/x", "notices/a...b"]
)
def test_what_is_not_there(auditor: TestClient, path: str) -> None:
    """An entry that does not exist is not found."""
    assert auditor.get(f"/privacy/audit/{path}").status_code == 404


@pytest.mark.parametrize("record", ["", "x", "999", "-1", "0192f3a1-0000-7000-8000-000000000003", "\x00" * 300])
def test_a_record_that_is_none(auditor: TestClient, record: str) -> None:
    """Whoever looks for a record that is not there is told so beside the list."""
    response = auditor.get("/privacy/audit/find", params={"record": record}, follow_redirects=True)
    assert response.status_code == 200
    assert "There is no entry" in response.text


def test_notices_are_compared(site: Site, auditor: TestClient) -> None:
    """What differs between two archived notices is shown line by line, and nothing between one and itself."""
    english, ukrainian = (notice.digest for notice in site.edition(site.now()).notices.values())
    page = auditor.get(f"/privacy/audit/notices/{english}...{ukrainian}").text
    assert re.search(r"<del>-.*&#34;en&#34;", page)
    assert re.search(r"<ins>\+.*&#34;uk&#34;", page)
    assert "Both say the same." in auditor.get(f"/privacy/audit/notices/{english}...{english}").text
