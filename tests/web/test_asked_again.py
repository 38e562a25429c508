"""Tell visitors why they are asked again, and auditors what each entry is about, over two versions of a policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from consent import testing
from consent.choice.choice import DAY
from consent.site import Site
from tests.conftest import ORIGIN, SERVICES, MakeClient

POLICY = '+++\ntitle = "Privacy"\neffective = {day}\nmaterial = true\nsummary = "{summary}"\n+++\n# Privacy\n\nText.\n'
TOKEN = "auditor-token"
HALF_A_YEAR = 150 * DAY
"""From where the clock stands to after the second version took effect, within the validity of an answer."""


@pytest.fixture
def clock() -> testing.Clock:
    """Return the time, standing before the second version takes effect."""
    return testing.Clock()


@pytest.fixture
def client(clock: testing.Clock, make_client: MakeClient) -> Iterator[TestClient]:
    """Return a visitor of a site whose policy is about to change."""
    settings = testing.settings(site_name="The Meridian", origins=(ORIGIN,), services=SERVICES, audit_tokens=(TOKEN,))
    folder = settings.folder / "policies" / "privacy"
    folder.mkdir(parents=True)
    (folder / "1.en.md").write_text(POLICY.format(day="2026-03-01", summary="The first one."))
    (folder / "2.en.md").write_text(POLICY.format(day="2027-06-01", summary="Videos come from elsewhere."))
    site = Site(settings, clock=clock)
    yield make_client(site)
    site.close()


def test_a_policy_that_changed_is_named(client: TestClient, clock: testing.Clock) -> None:
    """Banner and choices name the policy and lead to a comparison with its day and summary; no service is marked."""
    testing.grant(client, "analytics")
    assert "Changed since" not in client.get("/privacy/choices").text
    clock.advance(HALF_A_YEAR)
    link = '<a href="/privacy/policies/privacy/1...2">Privacy, version 2</a>'
    article, choices = client.get("/").text, client.get("/privacy/choices").text
    for page in (article, choices):
        assert "Changed since your last answer, so that we ask again:" in page
        assert link in page
    assert "What we ask for changed since" not in article
    assert "Changed since your last answer</p>" not in choices
    assert "We ask to use 1 service for: <strong>Statistics</strong>" in article, "what was refused is not asked again"
    comparison = client.get("/privacy/policies/privacy/1...2").text
    assert "In force since June 1, 2027. Videos come from elsewhere." in comparison


def test_nobody_was_asked_again_at_first(client: TestClient, clock: testing.Clock) -> None:
    """The history says so of the second version alone, though the first is marked material as well."""
    assert "We asked everybody again" not in client.get("/privacy/policies/privacy/history").text
    clock.advance(HALF_A_YEAR)
    newest, oldest = client.get("/privacy/policies/privacy/history").text.split("Version 1</a>")
    assert "We asked everybody again" in newest
    assert "We asked everybody again" not in oldest


@pytest.mark.parametrize(
    ("keys", "until"), [((), "July 15, 2027"), (("analytics",), r"July 15, 2027, 8:00\sAM UTC")], ids=["no", "yes"]
)
def test_an_answer_says_until_when_it_holds(client: TestClient, keys: tuple[str, ...], until: str) -> None:
    """A refusal has a day and the last whole day it holds; a grant has a time, and the same time half a year later."""
    testing.grant(client, *keys)
    page = client.get("/privacy/choices").text
    assert re.search(rf"<dt>Holds until</dt><dd>{until}</dd>", page)


def test_the_auditor_sees_what_entries_are_about(client: TestClient) -> None:
    """A row names the policy text that was published, or the purposes and single services that were allowed."""
    testing.grant(client, "analytics", "harbour-maps")
    testing.withdraw(client)
    client.post("/privacy/audit/login", data={"token": TOKEN}, headers={"origin": ORIGIN})
    rows = client.get("/privacy/audit/entries").text
    assert "<code>privacy</code> <code>1</code> <code>en</code>" in rows
    assert "Allowed: analytics, harbour-maps</td>" in rows
    assert "Nothing allowed</td>" in rows
