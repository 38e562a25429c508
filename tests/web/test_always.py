"""Check "always load": one service more than before, and nothing else said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from consent import ConsentMiddleware, testing
from consent.site import Site

SERVICES: dict[str, Any] = {
    "stats": {"title": "Stats", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["stats.example"]},
    "video": {"title": "Video", "provider": "Video Ltd", "purpose": "media", "hosts": ["video.example"]},
    "post": {"title": "Post", "provider": "Post Ltd", "purpose": "media", "hosts": ["post.example"]},
    "ads": {"title": "Ads", "provider": "Ads Ltd", "purpose": "marketing", "hosts": ["ads.example"]},
}


def visit(made: Site | None = None) -> TestClient:
    """Return a visitor of a site with four services."""

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse('<!doctype html><title>t</title><body><iframe src="https://video.example/"></iframe>')

    made = made or testing.site(services=SERVICES)
    app = ConsentMiddleware(Starlette(routes=[Route("/", page)]), site=made)
    return TestClient(app, base_url="https://testserver")


def always(client: TestClient, *services: str, **headers: str) -> Any:
    """Send what the button of a placeholder sends, with the script."""
    notice = client.get("/privacy/state").json()["notice"]
    body = {"choice": "always", "service": list(services), "notice": notice, "layer": "placeholder"}
    return client.post("/privacy/choices", json=body, headers=headers)


def test_one_service_is_granted_and_the_rest_stays_open() -> None:
    """Before any answer: the service loads from now on, and everything else is still asked, as for the first time."""
    client = visit()
    answer = always(client, "video").json()
    assert answer["status"] == "given"
    assert "video" in answer["allowed"]
    assert set(answer["asking"]) == {"analytics", "marketing", "media", "stats", "post", "ads"}
    page = client.get("/").text
    assert "data-consent-service" not in page
    banner = page.partition('id="cst"')[2].partition("</section>")[0]
    assert 'value="accept_all"' in banner
    assert "changed since" not in banner
    assert "3 services" in banner


def test_what_was_answered_stays() -> None:
    """After a choice: every earlier yes and no holds, with one yes more."""
    client = visit()
    testing.grant(client, "analytics")
    answer = always(client, "video").json()
    assert answer["status"] == "renewed"
    assert set(answer["allowed"]) & set(SERVICES) == {"stats", "video"}
    assert answer["asking"] == []


def test_it_is_recorded_as_what_it_was() -> None:
    """Name the placeholder's button as the way it was given, and say no word about what was not asked there."""
    made = testing.site(services=SERVICES)
    client = visit(made)
    assert always(client, "video").status_code == 200
    entries = [json.loads(body) for body in made.ledger.store.entries()]
    (record,) = [entry for entry in entries if "method" in json.dumps(entry)]
    told = {**record, **record.get("content", {})}
    assert (told["method"], told["purposes"], told["services"]) == ("placeholder:always", {}, {"video": True})


def test_it_may_be_refused_by_all_that_refuses_a_grant() -> None:
    """Answer 422 for what is unknown, missing or objected to by the browser's signal; 403 from another site."""
    client = visit()
    assert always(client, "nothing").status_code == 422
    assert always(client).status_code == 422
    assert always(client, "video", "post").status_code == 422
    assert always(client, "ads", **{"Sec-GPC": "1"}).status_code == 422
    assert always(client, "video", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/privacy/state").json()["status"] == "unknown"


def test_changed_terms_are_a_conflict() -> None:
    """Record nothing for a service that is not what the placeholder said."""
    client = visit()
    answer = client.post(
        "/privacy/choices", json={"choice": "always", "service": ["video"], "notice": "0" * 64, "layer": "placeholder"}
    )
    assert answer.status_code == 409
    assert "video" not in client.get("/privacy/state").json()["allowed"]


def test_a_refusal_after_it_refuses_it_too() -> None:
    """Reject all means all."""
    client = visit()
    always(client, "video")
    testing.refuse(client)
    assert not set(client.get("/privacy/state").json()["allowed"]) & set(SERVICES)


def test_without_the_script_it_leads_back_to_the_page() -> None:
    """Answer the plain form with 303 to where the placeholder stood."""
    client = visit()
    notice = client.get("/privacy/state").json()["notice"]
    fields = {"choice": "always", "service": "video", "notice": notice, "layer": "placeholder", "next": "/?x=1"}
    answer = client.post("/privacy/choices", data=fields, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")


@pytest.mark.parametrize("first", [("media",), ("analytics", "media")])
def test_a_purpose_that_holds_is_not_broken_up(first: tuple[str, ...]) -> None:
    """Grant again what is granted already, and change nothing."""
    client = visit()
    before = testing.grant(client, *first).json()["allowed"]
    assert always(client, "video").json()["allowed"] == before


def test_two_tabs_answer_at_once() -> None:
    """Record both answers that start from the same page; the one answered later is in the cookie."""
    made = testing.site(services=SERVICES)
    client = visit(made)
    tabs = [visit(made), visit(made)]
    testing.grant(tabs[0], "analytics", "media")
    testing.refuse(tabs[1])
    for tab in tabs:
        for cookie in tab.cookies.jar:
            client.cookies.jar.set_cookie(cookie)
    assert client.get("/privacy/state").json()["status"] == "refused"
    entries = [json.loads(body) for body in made.ledger.store.entries()]
    assert [entry["kind"] for entry in entries].count("consent") == 2
