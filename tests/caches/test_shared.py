"""Ask for pages that are everybody's: what one visitor said is in none of them, and caches may keep them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware, testing
from consent.choice import companion
from consent.choice.consent import Consent
from consent.site import Site
from tests.conftest import PAGE, Ask, MakeClient, MakeSite
from tests.test_caching import DATE, IMAGE, NAVIGATION, conditional, get

FOR_EVERYBODY = {"cache-control": "public, max-age=600"}
NAME = "__Host-consent-bits"
VISITORS: dict[str, Callable[[TestClient], Any]] = {
    "nobody yet": lambda client: None,
    "granted analytics": lambda client: testing.grant(client, "analytics"),
    "granted everything": lambda client: testing.grant(client, "analytics", "marketing", "media"),
    "refused": testing.refuse,
    "withdrawn": lambda client: (testing.grant(client, "analytics"), testing.withdraw(client)),
}


def cacheable(**headers: str) -> ASGIApp:
    """Return an app whose page says that shared caches may keep it."""
    own = FOR_EVERYBODY | {name.replace("_", "-"): value for name, value in headers.items()}
    return conditional(headers=own)


def exact(client: TestClient, **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return everything that one navigation is answered with."""
    response = get(client, **headers)
    return response.status_code, sorted(response.headers.items()), response.content


@pytest.mark.parametrize("state", VISITORS)
@pytest.mark.parametrize("signal", [{}, {"sec_gpc": "1"}, {"accept_language": "uk"}, {"x_country": "US"}], ids=str)
def test_one_page_for_everybody(
    make_client: MakeClient, make_site: MakeSite, state: str, signal: dict[str, str]
) -> None:
    """Whatever somebody said, sends or comes from: the page is the one that nobody got, byte for byte."""
    site = make_site(
        cache="shared",
        languages=("en", "uk"),
        country_header="x-country",
        regimes={"US": "opt-out", "GB": "notice-only"},
    )
    nobody = exact(make_client(site, app=cacheable()))
    client = make_client(site, app=cacheable())
    VISITORS[state](client)
    assert exact(client, **signal) == nobody


def test_what_the_app_tells_caches_stays(make_client: MakeClient) -> None:
    """The app's own caching headers stay, but for the date that knows nothing of how the page was gated."""
    app = cacheable(vary="Accept-Encoding", cdn_cache_control="max-age=9", surrogate_key="ferry", expires=DATE)
    response = get(make_client(app=app, cache="shared"))
    assert response.headers["cache-control"] == "public, max-age=600"
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers["cdn-cache-control"] == "max-age=9"
    assert (response.headers["surrogate-key"], response.headers["expires"]) == ("ferry", DATE)
    assert "last-modified" not in response.headers
    assert "set-cookie" not in response.headers


def test_a_page_without_a_word_to_caches(make_client: MakeClient) -> None:
    """Where the app says nothing, nothing is said."""
    response = get(make_client(app=conditional(), cache="shared"))
    assert not {"cache-control", "vary", "last-modified"} & set(response.headers)


def test_it_is_gated_and_asks(make_client: MakeClient) -> None:
    """A page that is everybody's holds back what nobody agreed to, and shows the banner to who has answered too."""
    client = make_client(app=cacheable(), cache="shared")
    testing.grant(client, "analytics", "media", "marketing")
    page = get(client).text
    assert 'id="cst"' in page
    assert 'data-consent-src="https://stats.meridian-metrics.example/s.js"' in page
    assert not re.search(r'[^-]src="https://(stats|player)', page)
    assert 'data-status="unknown"' in page
    assert f'data-companion="{NAME} ' in page


# -- whose a page is


@pytest.mark.parametrize(
    ("headers", "shared"),
    [
        ({"cache-control": "private, max-age=60"}, False),
        ({"cache-control": "no-store"}, False),
        ({"cache-control": 'max-age=60, private="set-cookie"'}, False),
        ({"cache-control": "no-cache"}, True),
        ({"cache-control": "max-age=60, unprivately=1"}, True),
        ({"cache-control": "private", "surrogate-control": "max-age=60"}, True),
        ({"cache-control": "public", "cdn-cache-control": "no-store"}, False),
        ({"set-cookie": "session=1"}, False),
        ({"set-cookie": "_rs=1"}, True),
    ],
    ids=str,
)
def test_whose_a_page_is(make_client: MakeClient, headers: dict[str, str], shared: bool) -> None:
    """A page that the app keeps to its visitor, or sets a cookie with, is gated for that visitor."""
    client = make_client(app=conditional(headers=headers), cache="shared")
    testing.grant(client, "analytics")
    response = get(client)
    assert ('id="cst"' in response.text) is shared
    assert ('<script src="https://stats.' in response.text) is not shared
    own = response.headers.get("cache-control", "") in ("private, no-cache", "no-store")
    assert own is not shared
    assert ("Cookie" in response.headers.get("vary", "")) is not shared


def test_cookies_of_services_are_held_back_from_everybody(make_client: MakeClient) -> None:
    """A cache must not hand one visitor's statistics cookie to the next, whoever agreed to it."""
    client = make_client(app=conditional(headers=FOR_EVERYBODY | {"set-cookie": "_rs=1"}), cache="shared")
    testing.grant(client, "analytics")
    response = get(client)
    assert response.headers["cache-control"] == "public, max-age=600"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("late", [False, True], ids=["before the answer", "while streaming"])
def test_an_app_that_asks_about_its_visitor(make_client: MakeClient, late: bool) -> None:
    """An app that looks at the consent makes the page its visitor's own; who looks too late sees nobody."""

    async def endpoint(request: Request) -> Response:
        consent = request.state.consent
        if not late:
            return HTMLResponse(f"<html lang=en><body>stats: {consent.allows('analytics')}", headers=FOR_EVERYBODY)

        async def pieces() -> Any:
            yield "<!doctype html><html lang=en><head></head><body>" + " " * 2000
            yield f"stats: {consent.allows('analytics')}"

        return StreamingResponse(pieces(), media_type="text/html", headers=FOR_EVERYBODY)

    client = make_client(app=Starlette(routes=[Route("/", endpoint)]), cache="shared")
    testing.grant(client, "analytics")
    response = get(client)
    assert f"stats: {not late}" in response.text
    assert response.headers["cache-control"] == ("public, max-age=600" if late else "private, no-cache")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_their_visitors_own(ask: Ask, make_site: MakeSite, method: str) -> None:
    """What no cache keeps is gated for whoever asked, and the app sees that visitor's consent."""
    app = ConsentMiddleware(cacheable(), site=make_site(cache="shared"))
    assert ask(app, method=method, headers=NAVIGATION.items()).status in (200, 405)
    seen: list[Consent] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["consent"])
        await HTMLResponse(PAGE, headers=FOR_EVERYBODY)(scope, receive, send)

    answer = ask(ConsentMiddleware(page, site=make_site(cache="shared")), method=method, headers=NAVIGATION.items())
    assert answer.one("cache-control") == "private, no-cache"
    assert isinstance(seen[0], Consent)


def test_a_page_loaded_once_is_its_visitors_own(make_client: MakeClient) -> None:
    """Load once without JavaScript, where no cache answers first: the page is not stored, and the next is as before."""
    client = make_client(app=cacheable(), cache="shared")
    before = exact(client)
    notice = client.get("/privacy/state").json()["notice"]
    form = {"choice": "once", "service": "lantern-video", "notice": notice, "next": "/"}
    assert client.post("/privacy/choices", data=form).status_code == 303
    once = get(client)
    assert '<iframe src="https://player.lantern.example/1">' in once.text
    assert once.headers["cache-control"] == "no-store"
    assert exact(client) == before


def test_a_page_in_a_frame_of_another_site(make_client: MakeClient) -> None:
    """Without its banner, because buttons could be pressed unseen there, a page is not everybody's."""
    client = make_client(app=cacheable(), cache="shared")
    framed = client.get("/", headers={"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"})
    assert 'id="cst"' not in framed.text
    assert framed.headers["cache-control"] == "no-store"


def test_cookies_are_not_expired_on_what_is_everybodys(make_client: MakeClient) -> None:
    """A withdrawn service's cookie goes with the answer to the withdrawal and with pages that are the visitor's own."""
    client = make_client(app=cacheable(), cache="shared")
    cookies = {"cookie": "_rs=1"}
    assert "set-cookie" not in client.get("/", headers=NAVIGATION | cookies).headers
    response = client.post("/privacy/choices", json={"choice": "reject_all"}, headers=cookies)
    assert any(value.startswith("_rs=;") for value in response.headers.get_list("set-cookie"))


# -- conditions


def test_everybodys_page_is_confirmed_to_anybody(make_client: MakeClient, make_site: MakeSite) -> None:
    """A cache that asks with the shared tag gets the app's 304, on behalf of whichever visitor it asks."""
    site = make_site(cache="shared")
    tag = get(make_client(site, app=cacheable())).headers["etag"]
    for change in VISITORS.values():
        client = make_client(site, app=cacheable())
        change(client)
        response = get(client, if_none_match=tag)
        assert (response.status_code, response.headers["etag"]) == (304, tag)
        assert response.headers["cache-control"] == "public, max-age=600"
        assert not {"vary", "last-modified", "set-cookie"} & set(response.headers)


@pytest.mark.parametrize("cache", ["private", "shared"])
def test_a_page_from_before_the_middleware(make_client: MakeClient, cache: str) -> None:
    """Neither the tag nor the date of the app's own page brings it back."""
    client = make_client(app=cacheable(), cache=cache)
    for condition in (
        {"if_none_match": '"v1"'},
        {"if_none_match": 'W/"v1"'},
        {"if_none_match": "*"},
        {"if_modified_since": DATE},
        {"if_none_match": '"v1"', "if_modified_since": DATE},
        {"range": "bytes=0-4"},
        {"range": "bytes=0-4", "if_range": '"v1"'},
    ):
        response = get(client, **condition)
        assert response.status_code == 200, condition
        assert "data-consent-src" in response.text


DIFFERENT: dict[str, dict[str, Any]] = {
    "revision": {"notice_revision": 2},
    "wording": {"wording": {"en": {"banner.choose": "Let me choose"}}},
    "undeclared": {"undeclared": "hold"},
    "change_link": {"change_link": "site"},
    "services": {"services": {}},
    "prefix": {"prefix": "/consent"},
}


@pytest.mark.parametrize("cache", ["private", "shared"])
@pytest.mark.parametrize("different", DIFFERENT)
def test_a_page_gated_under_other_settings(make_client: MakeClient, cache: str, different: str) -> None:
    """What decides how a page is gated or drawn is in its tag: after a change, no page from before it is confirmed."""
    before = get(make_client(app=cacheable(), cache=cache)).headers["etag"]
    assert get(make_client(app=cacheable(), cache=cache), if_none_match=before).status_code == 304
    changed = make_client(app=cacheable(), cache=cache, **DIFFERENT[different])
    assert get(changed, if_none_match=before).status_code == 200


def test_a_page_that_becomes_its_visitors_own(make_client: MakeClient) -> None:
    """A 304 that the app keeps to the visitor confirms the page, and takes it out of shared caches."""
    own: dict[str, str] = dict(FOR_EVERYBODY)

    async def endpoint(request: Request) -> Response:
        known = request.headers.get("if-none-match") == '"v1"'
        return Response(b"" if known else PAGE, 304 if known else 200, {"etag": '"v1"'} | own, "text/html")

    client = make_client(app=Starlette(routes=[Route("/", endpoint)]), cache="shared")
    tag = get(client).headers["etag"]
    own |= {"set-cookie": "session=1"}
    response = get(client, if_none_match=tag)
    assert (response.status_code, response.headers["cache-control"]) == (304, "private, no-cache")


def test_an_own_page_is_confirmed_to_its_visitor(make_client: MakeClient) -> None:
    """A page that is the visitor's own is confirmed for the state it was gated for, and for no other."""
    client = make_client(app=conditional(headers={"cache-control": "private"}), cache="shared")
    tag = get(client).headers["etag"]
    assert get(client, if_none_match=tag).status_code == 304
    testing.grant(client, "analytics")
    assert get(client, if_none_match=tag).status_code == 200


def test_images_pass_as_ever(make_client: MakeClient) -> None:
    """What is no page is neither marked nor held, in whatever mode."""
    client = make_client(app=conditional(media_type="image/png", headers=FOR_EVERYBODY), cache="shared")
    assert client.get("/a.png", headers=IMAGE | {"range": "bytes=0-4"}).status_code == 206
    response = client.get("/a.png", headers=IMAGE | {"if-none-match": '"v1"'})
    assert (response.status_code, response.headers["etag"]) == (304, '"v1"')


def test_data_with_a_services_cookie(make_client: MakeClient) -> None:
    """Data that sets a service's cookie goes out without it, to everybody alike, and stays public."""
    app = conditional(media_type="application/json", body=b"{}", headers=FOR_EVERYBODY | {"set-cookie": "_rs=1"})
    client = make_client(app=app, cache="shared")
    testing.grant(client, "analytics")
    response = client.get("/data", headers={"accept": "application/json"})
    assert response.headers["cache-control"] == "public, max-age=600"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("status", [404, 410, 500])
def test_error_pages(make_client: MakeClient, status: int) -> None:
    """An error page that a cache may keep is everybody's too."""

    async def endpoint(request: Request) -> Response:
        return HTMLResponse(PAGE, status, FOR_EVERYBODY)

    client = make_client(app=Starlette(routes=[Route("/", endpoint)]), cache="shared")
    nobody = exact(client)
    testing.grant(client, "media")
    assert exact(client) == nobody
    assert nobody[0] == status
    assert b'data-consent-src="https://player' in nobody[2]


def test_redirects(make_client: MakeClient) -> None:
    """A redirect has no page to gate, and stays as the app sent it."""

    async def endpoint(request: Request) -> Response:
        return RedirectResponse("/elsewhere", 301, {"cache-control": "max-age=60"})

    client = make_client(app=Starlette(routes=[Route("/", endpoint)]), cache="shared")
    testing.grant(client, "media")
    response = get(client)
    assert (response.status_code, response.headers["location"]) == (301, "/elsewhere")
    assert response.headers["cache-control"] == "max-age=60"


def test_head(make_client: MakeClient, ask: Ask, make_site: MakeSite) -> None:
    """HEAD tells the same headers as GET, but for what only a body shows."""
    site = make_site(cache="shared")
    client = make_client(site, app=cacheable())
    got, told = get(client), client.head("/", headers=NAVIGATION)
    assert told.headers["etag"] == got.headers["etag"]
    assert told.headers["cache-control"] == got.headers["cache-control"]
    assert "vary" not in told.headers


# -- what the page may say


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ('<!doctype html><html lang="uk"><body></body></html>', {}, "uk"),
        ('<!doctype html><html lang="en-IE"><body></body></html>', {}, "en"),
        ("<!doctype html><html><body></body></html>", {"content-language": "uk"}, "uk"),
        ("<!doctype html><html><body></body></html>", {}, "en"),
        ('<!doctype html><html lang="fr"><body></body></html>', {}, "en"),
    ],
)
@pytest.mark.parametrize("accepted", ["uk", "en"])
@pytest.mark.parametrize("chosen", ["uk", ""])
def test_language(
    make_client: MakeClient, body: str, headers: dict[str, str], expected: str, accepted: str, chosen: str
) -> None:
    """The banner speaks the page's own language, else the site's, and never the browser's."""
    app = conditional(body=body.encode(), headers=FOR_EVERYBODY | headers)
    client = make_client(app=app, languages=("en", "uk"), cache="shared")
    if chosen:
        client.cookies["__Host-consent-language"] = chosen
    response = get(client, accept_language=accepted)
    assert re.search(r'id="cst"[^>]* lang="(\w+)"', response.text) is not None
    assert re.findall(r'id="cst"[^>]* lang="(\w+)"', response.text) == [expected]
    assert "vary" not in response.headers


def test_no_query_in_the_page(make_client: MakeClient) -> None:
    """A cache may keep one page for many queries: no query stands in it, and answers still lead back to the own one."""
    client = make_client(app=cacheable(), cache="shared")
    page = client.get("/news?mail=reader@example.org", headers=NAVIGATION).text
    assert "mail" not in page
    assert 'name="next" value="/news"' in page
    form = {"choice": "reject_all", "next": "/news"}
    for referer, target in (
        ("https://testserver/news?page=2", "/news?page=2"),
        ("https://testserver/other?page=2", "/news"),
        ("https://elsewhere.example/news?page=2", "/news"),
        ("https://[/news?page=2", "/news"),
        ("https://testserver/news?a=\\b", "/news"),
        ("", "/news"),
    ):
        response = client.post("/privacy/choices", data=form, headers={"referer": referer} if referer else {})
        assert response.headers["location"] == target
    choices = client.get("/privacy/choices?next=/news", headers={"referer": "https://testserver/news?page=2"}).text
    assert 'name="next" value="/news?page=2"' in choices


def test_a_policy_is_not_narrowed_by_what_may_be_granted(make_client: MakeClient) -> None:
    """The next visitor to get the page may have granted it; hosts of services nobody can grant are denied."""
    policy = "script-src 'self' https://stats.meridian-metrics.example https://www.google-analytics.com"
    response = get(make_client(app=cacheable(content_security_policy=policy), cache="shared"))
    narrowed = response.headers["content-security-policy"]
    assert narrowed == "script-src 'self' https://stats.meridian-metrics.example"
    assert "data-narrowed" not in response.text


# -- the companion cookie


def bits(client: TestClient) -> str:
    """Return the value of the companion cookie."""
    return client.cookies[NAME]


def test_what_the_script_may_read(make_client: MakeClient) -> None:
    """The companion has the page's digest and a bit for each purpose and service, and nothing else."""
    client = make_client(app=cacheable(), cache="shared")
    told = re.findall(r'data-companion="([^"]*)"', get(client).text)
    assert len(told) == 1
    name, digest, *keys = told[0].split(" ")
    assert (name, len(digest)) == (NAME, 16)
    assert [key.rstrip("!") for key in keys if key.rstrip("!") not in ("analytics", "marketing", "media")] == [
        *("harbour-maps", "lantern-ads", "lantern-video", "reader-stats")
    ]
    assert [key for key in keys if key.endswith("!")] == ["marketing!", "lantern-ads!"]
    testing.grant(client, "analytics", "lantern-video")
    known, _, said = bits(client).partition(".")
    assert known == digest
    granted = {key.rstrip("!") for key, bit in zip(keys, said, strict=True) if bit == "1"}
    assert granted == {"analytics", "reader-stats", "lantern-video"}


def test_how_the_companion_is_set(make_client: MakeClient) -> None:
    """Readable, for as long as the choice, and otherwise as safe."""
    client = make_client(cache="shared")
    values = testing.grant(client, "analytics").headers.get_list("set-cookie")
    choice, own = (next(v for v in values if v.startswith(f"{name}=")) for name in ("__Host-consent", NAME))
    assert own.split("; ")[1:] == [part for part in choice.split("; ")[1:] if part != "HttpOnly"]


def test_no_companion_in_private_mode(make_client: MakeClient) -> None:
    """Where pages are the visitor's own, no script needs a cookie."""
    client = make_client()
    assert "data-companion" not in get(client).text
    testing.grant(client, "analytics")
    client.get("/privacy/state")
    assert set(client.cookies) == {"__Host-consent"}


def test_who_refuses_has_no_number(make_client: MakeClient, make_site: MakeSite) -> None:
    """All who say no have the same companion, and all who say the same yes do."""
    site = make_site(cache="shared")
    for answer in (testing.refuse, lambda client: testing.grant(client, "media")):
        clients = [make_client(site) for _ in range(2)]
        for client in clients:
            answer(client)
        assert bits(clients[0]) == bits(clients[1])


def test_a_withdrawal_and_an_erasure_empty_it(make_client: MakeClient) -> None:
    """After taking back, no bit is left."""
    client = make_client(cache="shared")
    for take_back in (testing.withdraw, lambda client: client.post("/privacy/erase")):
        testing.grant(client, "analytics", "media")
        assert "1" in bits(client).partition(".")[2]
        take_back(client)
        assert "1" not in bits(client).partition(".")[2]


def test_the_same_in_every_language(make_client: MakeClient) -> None:
    """An answer to the Ukrainian banner holds on English pages without asking the server again."""
    client = make_client(app=cacheable(), cache="shared", languages=("en", "uk"))
    client.post("/privacy/choices", json={"choice": "reject_all"}, headers={"accept-language": "uk"})
    digest = bits(client).partition(".")[0]
    assert f'data-companion="{NAME} {digest} ' in get(client).text


FORGED = ["0.1111111", "zz", "." * 300, "\\x00", '"', "{digest}.1111111", "{digest}.2", "{digest}"]


@pytest.mark.parametrize("value", FORGED)
def test_a_forged_companion(make_client: MakeClient, value: str) -> None:
    """Nothing that a visitor writes into it changes anything on the server."""
    client = make_client(app=conditional(headers={"cache-control": "private"}), cache="shared")
    testing.grant(client, "media")
    digest = bits(client).partition(".")[0]
    plain = {name: v for name, v in client.cookies.items() if name != NAME}
    header = "; ".join(f"{name}={v}" for name, v in plain.items())
    client.cookies.clear()
    forged = f"{header}; {NAME}={value.format(digest=digest)}"
    own, theirs = (exact(client, cookie=cookies) for cookies in (header, forged))
    assert own == theirs
    states = [client.get("/privacy/state", headers={"cookie": cookies}).json() for cookies in (header, forged)]
    assert states[0] == states[1]
    client.cookies.clear()
    alone = client.get("/privacy/state", headers={"cookie": f"{NAME}={value.format(digest=digest)}"})
    assert alone.json()["status"] == "unknown"
    assert alone.headers["set-cookie"].startswith(f"{NAME}=;")


def test_a_companion_of_another_day_is_brought_up_to_date(make_client: MakeClient, make_site: MakeSite) -> None:
    """The state tells the script what holds, and sets the companion to today's where nothing is left to ask."""
    site = make_site(cache="shared")
    client = make_client(site)
    testing.grant(client, "media")
    right = bits(client)
    assert "set-cookie" not in client.get("/privacy/state").headers
    client.cookies.delete(NAME)
    client.get("/privacy/state")
    assert bits(client) == right


def test_nothing_passes_for_an_answer_where_something_is_left_to_ask(make_site: MakeSite) -> None:
    """Bits under a question that is still open come without a digest, so that the banner is not hidden."""
    site: Site = make_site(cache="shared")
    notice = site.edition(site.now()).notices["en"]
    value = companion.value_of(Consent(site.catalogue, notice))
    assert value == "0.0000000"


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/css", b'@import "https://player.lantern.example/x.css";'),
        (
            "image/svg+xml",
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="https://player.lantern.example/x"/></svg>',
        ),
    ],
)
def test_what_no_script_can_mend_is_its_visitors_own(make_client: MakeClient, media_type: str, body: bytes) -> None:
    """A style sheet or picture that asks a held service is gated for each visitor, and kept from shared caches."""
    client = make_client(app=conditional(media_type=media_type, body=body, headers=FOR_EVERYBODY), cache="shared")
    held = client.get("/x", headers={"accept": "*/*"})
    testing.grant(client, "media")
    granted = client.get("/x", headers={"accept": "*/*"})
    assert held.content != body
    assert granted.content == body
    for response in (held, granted):
        assert response.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("cache", ["private", "shared"])
def test_a_redirect_to_a_held_service_is_its_visitors_own(make_client: MakeClient, cache: str) -> None:
    """Somebody's own click may lead where a picture on a page may not: no cache keeps either."""

    async def endpoint(request: Request) -> Response:
        return RedirectResponse("https://player.lantern.example/1", 301, FOR_EVERYBODY)

    client = make_client(app=Starlette(routes=[Route("/", endpoint)]), cache=cache)
    clicked = get(client)
    assert (clicked.status_code, clicked.headers["cache-control"]) == (301, "private, no-cache")
    drawn = client.get("/", headers=IMAGE)
    assert (drawn.status_code, drawn.headers["cache-control"]) == (204, "no-store")
    testing.grant(client, "media")
    allowed = client.get("/", headers=IMAGE)
    assert (allowed.status_code, allowed.headers["cache-control"]) == (301, "private, no-cache")
