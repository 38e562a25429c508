"""Make choices as visitors do, and look at what is set, recorded and let through (DESIGN, the way of a choice)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from consent import testing
from consent.ledger.store import Document
from consent.site import Site
from tests.conftest import ORIGIN, SERVICES, MakeClient, MakeSite

DAY = 86400
Row = dict[str, Any]


def records(site: Site) -> list[Row]:
    """Return the consent records of a site's ledger, in order."""
    entries = [json.loads(body) for body in site.ledger.store.entries()]
    return [entry for entry in entries if entry["kind"] == "consent"]


def clock(site: Site) -> testing.Clock:
    """Return the clock that a site goes by."""
    assert isinstance(site.now, testing.Clock)
    return site.now


def notice(client: TestClient) -> str:
    """Return the digest of the notice that is shown to a client."""
    return str(client.get("/privacy/state").json()["notice"])


def post(client: TestClient, **fields: Any) -> Any:
    """Send a form as a browser would."""
    return client.post("/privacy/choices", data=fields)


def own_cookie(response: Any) -> str:
    """Return the whole `Set-Cookie` of the choice."""
    values = response.headers.get_list("set-cookie")
    (value,) = [value for value in values if value.startswith("__Host-consent=")]
    return str(value)


def has_no_choice(response: Any) -> bool:
    """Tell whether a response leaves the visitor's choice alone."""
    return not any(value.startswith("__Host-consent=") for value in response.headers.get_list("set-cookie"))


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """Return a site of The Meridian."""
    return make_site()


@pytest.fixture
def client(make_client: MakeClient, site: Site) -> TestClient:
    """Return a visitor of it."""
    return make_client(site)


# -- the way of a choice


def test_accepting_everything(client: TestClient, site: Site) -> None:
    """A yes to everything is recorded, and then everything is allowed."""
    response = post(client, choice="accept_all", notice=notice(client), next="/night-ferry?page=2", layer="banner")
    assert (response.status_code, response.headers["location"]) == (303, "/night-ferry?page=2")
    assert response.headers["cache-control"] == "no-store"
    assert client.get("/privacy/state").json()["allowed"] == sorted(
        ["consent", "necessary", "analytics", "marketing", "media", *SERVICES]
    )
    (record,) = records(site)
    assert (record["status"], record["method"], record["scope"]) == ("given", "banner:accept_all", "site")
    assert record["purposes"] == {"analytics": True, "marketing": True, "media": True}
    assert record["services"] == dict.fromkeys(SERVICES, True)
    assert record["subject"] is not None


def test_a_choice_by_purpose_and_service(client: TestClient, site: Site) -> None:
    """A visitor may choose each service on its own, and leave one out of a purpose."""
    post(
        client,
        choice="save",
        notice=notice(client),
        purpose=["analytics", "media"],
        **{"except": "harbour-maps"},
        layer="choices",
    )
    allowed = set(client.get("/privacy/state").json()["allowed"])
    assert allowed == {"consent", "necessary", "analytics", "reader-stats", "media", "lantern-video"}
    (record,) = records(site)
    assert record["services"] == {
        "reader-stats": True,
        "lantern-ads": False,
        "lantern-video": True,
        "harbour-maps": False,
    }


def test_a_service_without_its_purpose(client: TestClient) -> None:
    """A yes to one service is no yes to the others of its purpose."""
    post(client, choice="save", notice=notice(client), service="lantern-video")
    allowed = set(client.get("/privacy/state").json()["allowed"])
    assert allowed == {"consent", "necessary", "lantern-video"}


def test_two_tabs_at_once(client: TestClient, site: Site) -> None:
    """Of two answers to one question, neither knowing of the other, both are recorded and the later one holds."""
    digest = notice(client)
    post(client, choice="accept_all", notice=digest)
    client.cookies.clear()
    post(client, choice="reject_all", notice=digest)
    assert client.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert [record["status"] for record in records(site)] == ["given", "refused"]


def test_json_is_a_form(client: TestClient) -> None:
    """A choice sent as JSON is answered 200 with the state, and never with the consent id (decision 32)."""
    response = client.post("/privacy/choices", json={"choice": "accept_all", "notice": notice(client)})
    assert response.status_code == 200
    state = response.json()
    assert (state["status"], state["asking"], state["withdrawn"], state["reload"]) == ("given", [], [], False)
    assert state["allowed"] == client.get("/privacy/state").json()["allowed"]


@pytest.mark.parametrize("layer", ["banner", "choices", "placeholder", "api", "nonsense", ""])
def test_the_layer_is_a_word_of_ours(client: TestClient, site: Site, layer: str) -> None:
    """The record names the layer where it is one of ours, and nothing that a visitor makes up."""
    post(client, choice="reject_all", layer=layer)
    known = layer if layer in ("banner", "choices", "placeholder") else "api"
    assert records(site)[0]["method"] == f"{known}:reject_all"


def test_saying_it_again_changes_nothing(client: TestClient, site: Site) -> None:
    """Sending the same choice twice makes one record, and does not prolong it (decision 13: never sliding)."""
    shown = notice(client)
    post(client, choice="save", notice=shown, purpose="analytics")
    clock(site).advance(DAY)
    assert has_no_choice(post(client, choice="save", notice=shown, purpose="analytics"))
    assert len(records(site)) == 1


def test_nothing_is_recorded_before_a_choice(client: TestClient, site: Site) -> None:
    """Decision 16: reading any page sets no cookie and records nothing."""
    size = site.ledger.store.head().size
    for path in ("/", "/privacy/", "/privacy/choices", "/privacy/state", "/privacy/receipt"):
        assert client.get(path).headers.get_list("set-cookie") == []
    site_size = site.ledger.store.head().size
    assert records(site) == []
    assert site_size >= size


def test_a_record_holds_nothing_about_the_browser(client: TestClient, site: Site) -> None:
    """Decision 21: no address, no browser, no path and no consent id enters an entry."""
    client.post(
        "/privacy/choices",
        data={"choice": "accept_all", "notice": notice(client), "next": "/secret-path?q=secret-query"},
        headers={"user-agent": "SecretBrowser/1", "referer": f"{ORIGIN}/secret-referrer", "x-forwarded-for": "9.9.9.9"},
    )
    everything = b"".join(site.ledger.store.entries())
    for secret in (b"secret", b"SecretBrowser", b"9.9.9.9", b"testclient"):
        assert secret not in everything


# -- decision 12: a no always works

REFUSALS = [{"choice": "reject_all"}, {"choice": "withdraw"}, {"choice": "save"}]
NOTICES = ["today", "archived", "unknown", "malformed", "none"]


@pytest.fixture
def two_editions(make_site: MakeSite) -> tuple[Site, str]:
    """Return a site that has changed the terms of a service, and the digest of its notice from before."""
    old = make_site()
    changed = SERVICES | {"reader-stats": SERVICES["reader-stats"] | {"country": "US", "data": ["location"]}}
    new = make_site(services=changed)
    before = old.edition(old.now()).notices["en"]
    old.start()
    new.start()
    for document in old.ledger.documents(before.digest, kind="notice"):
        new.ledger.archive(document)
    return new, before.digest


@pytest.mark.parametrize("fields", REFUSALS, ids=lambda fields: fields["choice"])
@pytest.mark.parametrize("shown", NOTICES)
@pytest.mark.parametrize("before", ["new visitor", "has granted"])
def test_a_no_works_under_any_notice(
    make_client: MakeClient, two_editions: tuple[Site, str], fields: Row, shown: str, before: str
) -> None:
    """Decision 12: refusing and withdrawing work under today's, an archived, an unknown notice, and none."""
    site, archived = two_editions
    client = make_client(site)
    today = notice(client)
    if before == "has granted":
        post(client, choice="accept_all", notice=today)
    digest = {"today": today, "archived": archived, "unknown": "ab" * 32, "malformed": "x\x00y", "none": ""}[shown]
    response = post(client, **fields, notice=digest)
    assert response.status_code == 303
    state = client.get("/privacy/state").json()
    assert state["allowed"] == ["consent", "necessary"]
    assert state["asking"] == []
    record = records(site)[-1]
    assert record["status"] == ("withdrawn" if before == "has granted" else "refused")
    assert record["notice"] == (digest if shown in ("today", "archived") else None)


@pytest.mark.parametrize("choice", ["reject_all", "accept_all"])
def test_a_notice_in_a_language_of_before(make_client: MakeClient, make_site: MakeSite, choice: str) -> None:
    """Decision 12: a form in a language that the site has given up is a choice like any other."""
    before, now = make_site(languages=("en", "uk")), make_site()
    notice = before.edition(before.now()).notices["uk"]
    now.start()
    now.ledger.archive(Document(kind="notice", media_type="application/json", data=notice.data, language="uk"))
    client = make_client(now)
    assert post(client, choice=choice, notice=notice.digest).status_code == 303
    (record,) = records(now)
    assert (record["notice"], record["language"], record["rendering"]) == (notice.digest, "uk", None)
    assert client.get("/privacy/state").json()["answered"]


def test_how_todays_notice_looked_is_recorded(client: TestClient, site: Site) -> None:
    """A record under today's notice names the rendering that was shown, and the archive has it."""
    shown = notice(client)
    post(client, choice="reject_all", notice=shown)
    (record,) = records(site)
    rendering = site.ledger.document(record["rendering"])
    assert rendering is not None
    assert json.loads(rendering.data)["notice"] == shown


ORIGINS = [
    # Sec-Fetch-Site, Origin, yes, no
    (None, None, 303, 303),
    (None, ORIGIN, 303, 303),
    (None, ORIGIN.upper(), 303, 303),
    (None, "null", 403, 303),
    (None, "https://evil.example", 403, 403),
    (None, "http://meridian.example", 403, 403),
    (None, "https://meridian.example:8443", 403, 403),
    (None, "https://sub.meridian.example", 403, 403),
    (None, "https://[", 403, 403),
    (None, "garbage", 403, 403),
    ("same-origin", None, 303, 303),
    ("same-origin", "null", 303, 303),
    ("none", None, 303, 303),
    ("same-site", None, 403, 403),
    ("same-site", ORIGIN, 303, 303),
    ("same-site", "https://evil.meridian.example", 403, 403),
    ("cross-site", None, 403, 403),
    ("cross-site", ORIGIN, 403, 403),
    ("cross-site", "null", 403, 403),
    ("Cross-Site", None, 403, 403),
    ("nonsense", None, 403, 403),
]


@pytest.mark.parametrize(("fetched", "origin", "yes", "no"), ORIGINS)
def test_where_a_choice_may_come_from(
    client: TestClient, site: Site, fetched: str | None, origin: str | None, yes: int, no: int
) -> None:
    """Decisions 12 and 16: cross-site is 403 for every choice; an unknown origin will do for a no only."""
    headers = {}
    if fetched is not None:
        headers["sec-fetch-site"] = fetched
    if origin is not None:
        headers["origin"] = origin
    shown = notice(client)
    for fields, expected in (
        ({"choice": "reject_all"}, no),
        ({"choice": "save", "purpose": "media", "notice": shown}, yes),
        ({"choice": "accept_all", "notice": shown}, yes),
    ):
        size = len(records(site))
        response = client.post("/privacy/choices", data=fields, headers=headers)
        assert response.status_code == expected, fields
        assert len(records(site)) == size + (expected == 303)
        if expected == 403:
            assert has_no_choice(response)
    if yes == 303:
        assert client.post("/privacy/choices", data={"choice": "withdraw"}, headers=headers).status_code == no


def test_taking_back_a_part_needs_no_origin(client: TestClient, site: Site) -> None:
    """Decision 12: a save that only takes something back is a withdrawal, and works with an unknown origin."""
    shown = notice(client)
    post(client, choice="accept_all", notice=shown)
    fields = {"choice": "save", "notice": shown, "purpose": ["analytics", "media"]}
    response = client.post("/privacy/choices", data=fields, headers={"origin": "null"})
    assert response.status_code == 303
    assert set(client.get("/privacy/state").json()["allowed"]).isdisjoint({"marketing", "lantern-ads"})
    assert records(site)[-1]["status"] == "renewed"


# -- 409


@pytest.mark.parametrize("as_json", [False, True], ids=["form", "json"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"choice": "accept_all"}, 409),
        ({"choice": "save", "purpose": ["analytics"]}, 409),
        ({"choice": "save", "service": ["reader-stats"]}, 409),
        ({"choice": "save", "purpose": ["media"]}, 303),
        ({"choice": "save", "purpose": ["media", "analytics"], "except": ["reader-stats"]}, 303),
        ({"choice": "save"}, 303),
        ({"choice": "reject_all"}, 303),
    ],
    ids=["all", "purpose", "service", "another purpose", "without it", "nothing", "refusal"],
)
def test_conflict_only_for_grants_under_changed_terms(
    make_client: MakeClient, two_editions: tuple[Site, str], fields: Row, status: int, as_json: bool
) -> None:
    """A form of before is 409, with nothing recorded, only where it grants what has changed since."""
    site, archived = two_editions
    client = make_client(site)
    body = fields | {"notice": archived}
    response = client.post("/privacy/choices", json=body) if as_json else post(client, **body)
    assert response.status_code == (200 if as_json and status == 303 else status)
    assert len(records(site)) == (0 if status == 409 else 1)
    if status == 409:
        assert has_no_choice(response)
        today = notice(client)
        if as_json:
            assert response.json()["notice"] == today
            assert "Reader statistics" in response.json()["changed"]
        else:
            assert f'value="{today}"' in response.text
            assert "Reader statistics" in response.text


@pytest.mark.parametrize("digest", ["", "ab" * 32, "zz", "00" * 8], ids=["none", "unknown", "malformed", "short"])
def test_a_grant_needs_a_notice(client: TestClient, site: Site, digest: str) -> None:
    """A grant under a notice that nobody knows is 409: what was agreed to cannot be shown."""
    assert post(client, choice="accept_all", notice=digest).status_code == 409
    assert records(site) == []


# -- decision 13 and 14: the cookie


def test_the_cookies_attributes(client: TestClient) -> None:
    """Decision 13: `__Host-`, HttpOnly, Secure, SameSite=Lax, the whole site, and an end six calendar months away."""
    name, _, attributes = own_cookie(post(client, choice="accept_all", notice=notice(client))).partition("=")
    parts = attributes.split("; ")[1:]
    assert name == "__Host-consent"
    assert parts == ["Path=/", "HttpOnly", "SameSite=Lax", "Expires=Thu, 15 Jul 2027 08:00:00 GMT", "Secure"]


def test_a_shared_domain(make_client: MakeClient) -> None:
    """A site that shares the choice among its sub-domains gives up `__Host-`, and says for which domain it is."""
    client = make_client(cookie_domain="meridian.example")
    response = client.post("/privacy/choices", json={"choice": "reject_all"})
    (value,) = response.headers.get_list("set-cookie")
    assert value.startswith("__Secure-consent=")
    assert "; Domain=meridian.example; Secure" in value


def test_refusers_are_alike(make_client: MakeClient, site: Site) -> None:
    """Decision 14: on one day everybody who says no gets the same bytes, however they say it, and no subject."""
    seen = set()
    for number, fields in enumerate([{"choice": "reject_all"}, {"choice": "save"}, {"choice": "withdraw"}] * 2):
        clock(site).now = testing.EPOCH + number * 3600
        client = make_client(site)
        seen.add(own_cookie(post(client, **fields, notice=notice(client) if number % 2 else "")))
    assert len(seen) == 1
    assert {record["subject"] for record in records(site)} == {None}
    assert {record["decided_at"] for record in records(site)} == {"2027-01-15T00:00:00Z"}
    clock(site).now = testing.EPOCH + DAY
    assert own_cookie(post(make_client(site), choice="reject_all")) not in seen


def test_who_withdraws_everything_is_like_a_refuser(make_client: MakeClient, site: Site) -> None:
    """Decision 14: the id is made at the first grant, kept while something is granted, and dropped with the last."""
    client, refuser = make_client(site), make_client(site)
    shown = notice(client)
    post(client, choice="accept_all", notice=shown)
    post(client, choice="save", notice=shown, purpose="media")
    last = own_cookie(post(client, choice="save", notice=shown))
    assert last == own_cookie(post(refuser, choice="reject_all"))
    given, renewed, withdrawn, refused = records(site)
    assert [record["status"] for record in records(site)] == ["given", "renewed", "withdrawn", "refused"]
    assert len({given["subject"], renewed["subject"], withdrawn["subject"]}) == 3, "no pseudonym is used twice"
    assert refused["subject"] is None


# -- decision 15: withdrawn ids


def test_a_cookie_from_before_a_withdrawal_is_no_choice(make_client: MakeClient, site: Site) -> None:
    """Decision 15: who replays the cookie of before finds everything held, and is asked again."""
    client, thief = make_client(site), make_client(site)
    post(client, choice="accept_all", notice=notice(client))
    thief.cookies.update(dict(client.cookies))
    assert "lantern-video" in thief.get("/privacy/state").json()["allowed"]
    post(client, choice="withdraw")
    state = thief.get("/privacy/state").json()
    assert (state["status"], state["allowed"]) == ("withdrawn", ["consent", "necessary"])
    assert state["asking"]
    assert 'data-consent-src="https://stats.' in thief.get("/").text


def test_a_cookie_from_before_a_partial_withdrawal_is_no_choice(make_client: MakeClient, site: Site) -> None:
    """Decision 15: what was taken back does not come back by an older cookie, what is left holds in the newer."""
    client, thief = make_client(site), make_client(site)
    shown = notice(client)
    post(client, choice="accept_all", notice=shown)
    thief.cookies.update(dict(client.cookies))
    post(client, choice="save", notice=shown, purpose="media")
    assert thief.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert "lantern-video" in client.get("/privacy/state").json()["allowed"]


def test_granting_more_leaves_the_older_cookie_valid(make_client: MakeClient, site: Site) -> None:
    """A choice that takes nothing back revokes no cookie."""
    client, other = make_client(site), make_client(site)
    shown = notice(client)
    post(client, choice="save", notice=shown, purpose="media")
    other.cookies.update(dict(client.cookies))
    post(client, choice="accept_all", notice=shown)
    assert "lantern-video" in other.get("/privacy/state").json()["allowed"]


def test_granting_again_after_a_withdrawal(client: TestClient, site: Site) -> None:
    """Who grants again in the same second gets a new id, and the grant holds."""
    shown = notice(client)
    for _ in range(3):
        post(client, choice="accept_all", notice=shown)
        assert "lantern-video" in client.get("/privacy/state").json()["allowed"]
        post(client, choice="withdraw")
        assert client.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert [record["status"] for record in records(site)] == ["given", "withdrawn"] * 3


# -- decision 17: load once


def once(client: TestClient, path: str = "/night-ferry", service: str = "lantern-video", **headers: str) -> Any:
    """Ask to load a service once on a page."""
    fields = {"choice": "once", "service": service, "notice": notice(client), "next": path}
    return client.post("/privacy/choices", data=fields, headers=headers)


def test_loading_once(client: TestClient, site: Site) -> None:
    """Decision 17: the next page at that path loads that service, is no-store, and uses the cookie up."""
    response = once(client)
    assert (response.status_code, response.headers["location"]) == (303, "/night-ferry")
    (value,) = response.headers.get_list("set-cookie")
    assert value.startswith("__Host-consent-once=")
    assert "HttpOnly" in value
    (record,) = records(site)
    assert (record["scope"], record["services"], record["subject"]) == ("once", {"lantern-video": True}, None)
    page = client.get("/night-ferry")
    assert '<iframe src="https://player.lantern.example/1">' in page.text
    assert 'data-consent-src="https://stats.' in page.text
    assert page.headers["cache-control"] == "no-store"
    assert any("consent-once=;" in value for value in page.headers.get_list("set-cookie"))
    again = client.get("/night-ferry")
    assert 'data-consent-src="https://player.lantern.example/1"' in again.text
    assert again.headers["cache-control"] == "private, no-cache"


def test_once_in_place(client: TestClient, site: Site) -> None:
    """Decision 17: the script loads a service in place: it is recorded, nothing is stored, and no id is made."""
    fields = {"choice": "once", "service": "lantern-video", "notice": notice(client)}
    response = client.post("/privacy/choices", json=fields)
    assert response.status_code == 200
    assert response.json()["once"] == "lantern-video"
    assert "lantern-video" in response.json()["allowed"]
    assert response.headers.get_list("set-cookie") == []
    assert client.get("/privacy/state").json()["allowed"] == ["consent", "necessary"]
    assert [record["scope"] for record in records(site)] == ["once"]


def test_once_under_changed_terms(make_client: MakeClient, two_editions: tuple[Site, str]) -> None:
    """Loading once under terms of before is 409, as any grant is; under those of today's services it is not."""
    site, archived = two_editions
    for service, status in (("reader-stats", 409), ("lantern-video", 303)):
        fields = {"choice": "once", "service": service, "notice": archived, "next": "/"}
        assert make_client(site).post("/privacy/choices", data=fields).status_code == status


@pytest.mark.parametrize("path", ["/other", "/night-ferry/", "/"])
def test_once_is_bound_to_its_path(client: TestClient, path: str) -> None:
    """Decision 17: on another page it opens nothing."""
    once(client)
    assert 'data-consent-src="https://player.lantern.example/1"' in client.get(path).text


def test_once_ends_after_a_minute(client: TestClient, site: Site) -> None:
    """Decision 17: sixty seconds, and not one more, whatever the browser thinks of it."""
    value = once(client).cookies["__Host-consent-once"]
    for seconds, opened in ((60, True), (61, False)):
        clock(site).now = testing.EPOCH + seconds
        page = client.get("/night-ferry", headers={"cookie": f"__Host-consent-once={value}"}).text
        assert ('<iframe src="https://player.lantern.example/1">' in page) is opened


def test_once_keeps_the_query_and_odd_letters(client: TestClient) -> None:
    """Decision 17: the path counts as the server sees it, decoded and without its query."""
    response = once(client, path="/порт/нічний пором?page=2".replace(" ", "%20"))
    assert client.get(response.headers["location"]).text.count('<iframe src="https://player') == 1


def test_once_by_address_is_nothing(client: TestClient) -> None:
    """Decision 17: no address ever loads a service, so a shared link shares no consent."""
    page = client.get("/night-ferry?choice=once&service=lantern-video&once=lantern-video").text
    assert 'data-consent-src="https://player.lantern.example/1"' in page


@pytest.mark.parametrize(
    ("service", "headers", "status"),
    [
        ("lantern-video", {"origin": "null"}, 403),
        ("lantern-video", {"sec-fetch-site": "cross-site"}, 403),
        ("no-such-service", {}, 422),
        ("", {}, 422),
        ("consent", {}, 422),
        ("media", {}, 422),
        ("lantern-ads", {"sec-gpc": "1"}, 422),
    ],
)
def test_once_is_refused(client: TestClient, site: Site, service: str, headers: Row, status: int) -> None:
    """Loading once is a grant: it needs our own page, a service that exists, and no signal against it."""
    assert once(client, service=service, **headers).status_code == status
    assert records(site) == []


def test_once_forged(client: TestClient) -> None:
    """A cookie for loading once that we did not sign opens nothing, and breaks nothing."""
    value = once(client).cookies["__Host-consent-once"]
    for forged in (value[:-1], value + "x", "a.b.c.d", "", ".", value.replace("lantern-video", "lantern-ads")):
        page = client.get("/night-ferry", headers={"cookie": f"__Host-consent-once={forged}"})
        assert page.status_code == 200
        assert "<iframe src=" not in page.text


# -- the opt-out preference signal

GPC = [
    ({}, {"lantern-ads", "lantern-video", "harbour-maps", "reader-stats"}),
    ({"sec-gpc": "1"}, {"lantern-video", "harbour-maps", "reader-stats"}),
    ({"sec-gpc": "0"}, {"lantern-ads", "lantern-video", "harbour-maps", "reader-stats"}),
    ({"sec-gpc": "true"}, {"lantern-ads", "lantern-video", "harbour-maps", "reader-stats"}),
]


@pytest.mark.parametrize(("headers", "allowed"), GPC)
@pytest.mark.parametrize("at", ["grant", "visit"])
def test_the_browsers_signal_is_an_objection(
    client: TestClient, site: Site, headers: Row, allowed: set[str], at: str
) -> None:
    """Sec-GPC: 1 turns off what sells or shares, when the choice is made and whenever it is sent later."""
    fields = {"choice": "accept_all", "notice": notice(client)}
    client.post("/privacy/choices", data=fields, headers=headers if at == "grant" else {})
    state = client.get("/privacy/state", headers=headers).json()
    assert set(state["allowed"]) & set(SERVICES) == allowed
    (record,) = records(site)
    if at == "grant":
        assert record["signals"] == {"gpc": headers.get("sec-gpc") == "1"}
        assert {key for key, yes in record["services"].items() if yes} == allowed


def test_the_signal_does_not_outlive_itself(client: TestClient) -> None:
    """A yes that was stripped by the signal does not come back by itself once the signal is gone."""
    fields = {"choice": "accept_all", "notice": notice(client)}
    client.post("/privacy/choices", data=fields, headers={"sec-gpc": "1"})
    state = client.get("/privacy/state").json()
    assert "lantern-ads" not in state["allowed"]
    assert state["asking"] == []


def test_a_yes_to_nothing_but_what_is_objected_to(client: TestClient, site: Site) -> None:
    """A yes that the signal strips bare is a no like any other: no id, no subject."""
    fields = {"choice": "save", "purpose": "marketing", "notice": notice(client)}
    client.post("/privacy/choices", data=fields, headers={"sec-gpc": "1"})
    (record,) = records(site)
    assert (record["status"], record["subject"]) == ("refused", None)


# -- decision 18: cookies of services that are not allowed


def test_a_withdrawal_deletes_cookies(client: TestClient) -> None:
    """Decision 18: the answer to a withdrawal expires the services' cookies, under their paths and domains."""
    shown = notice(client)
    post(client, choice="accept_all", notice=shown)
    client.cookies.set("_rs", "1")
    client.cookies.set("_rs_42", "1")
    client.cookies.set("sid", "1")
    values = post(client, choice="withdraw", notice=shown).headers.get_list("set-cookie")
    deleted = {value.partition("=")[0] for value in values if "Max-Age=0" in value}
    assert deleted == {"_rs", "_rs_42"}
    assert any(value.startswith("_rs_42=") and "Path=/news" in value for value in values)
    assert all("HttpOnly" in value for value in values if value.startswith("__Host-consent="))


def test_later_pages_delete_what_they_see(client: TestClient) -> None:
    """Decision 18: every later page expires what it sees of services not allowed, and nothing else."""
    for granted in (False, True):
        if granted:
            post(client, choice="save", notice=notice(client), purpose="analytics")
        cookies = "; ".join(["_rs=1", "_la=2", "sid=3", *(f"{k}={v}" for k, v in client.cookies.items())])
        values = client.get("/", headers={"cookie": cookies}).headers.get_list("set-cookie")
        assert {value.partition("=")[0] for value in values} == ({"_la"} if granted else {"_la", "_rs"})


def test_what_cannot_be_deleted_is_said(client: TestClient) -> None:
    """Decision 18: the page after a withdrawal names the services whose cookies lie elsewhere, and where to ask."""
    shown = notice(client)
    post(client, choice="accept_all", notice=shown)
    response = post(client, choice="withdraw", notice=shown, next="/night-ferry")
    page = client.get(response.headers["location"]).text
    assert "Lantern Video" in page
    assert "https://lantern.example/privacy" in page
    assert "rs.queue" in page


# -- expiry


@pytest.mark.parametrize(
    ("choice", "last", "first"),
    [
        ("accept_all", "2027-07-15T07:59:59", "2027-07-15T08:00:00"),
        ("reject_all", "2027-07-15T23:59:59", "2027-07-16T00:00:00"),
    ],
)
def test_a_choice_holds_for_six_calendar_months(
    client: TestClient, site: Site, choice: str, last: str, first: str
) -> None:
    """Decision 13: absolute, to the second, checked by the server; a refuser's rounded day never makes it shorter."""
    value = own_cookie(post(client, choice=choice, notice=notice(client))).partition(";")[0]
    for moment, status in ((last, ("given", "refused")), (first, ("expired",))):
        clock(site).now = datetime.fromisoformat(f"{moment}+00:00").timestamp()
        state = client.get("/privacy/state", headers={"cookie": value}).json()
        assert state["status"] in status
        assert bool(state["asking"]) is (moment == first)
    assert state["allowed"] == ["consent", "necessary"]
