"""Ask again, conditionally and in parts: no cache may bring back a page from before a choice (decision 30)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware, testing
from consent.site import Site
from tests.conftest import PAGE, Ask, MakeClient, MakeSite

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"
ARTICLE = PAGE.encode()
NAVIGATION = {"sec-fetch-dest": "document", "accept": "text/html,*/*;q=0.8"}
IMAGE = {"sec-fetch-dest": "image", "accept": "image/*"}
FETCH = {"sec-fetch-dest": "empty", "accept": "application/json"}


def conditional(
    seen: list[dict[str, str]] | None = None,
    *,
    media_type: str = "text/html",
    body: bytes = ARTICLE,
    headers: dict[str, str] | None = None,
) -> ASGIApp:
    """Return an app that answers 304 and 206 as a file server does, and notes the headers it sees."""

    async def endpoint(request: Request) -> Response:
        if seen is not None:
            seen.append(dict(request.headers))
        own = {"etag": '"v1"', "last-modified": DATE} | (headers or {})
        tags = request.headers.get("if-none-match", "").replace("W/", "").split(", ")
        if own["etag"] in tags or (not tags[0] and request.headers.get("if-modified-since") == DATE):
            return Response(status_code=304, headers=own)
        if "range" in request.headers:
            return Response(body[:5], 206, own | {"content-range": f"bytes 0-4/{len(body)}"}, media_type)
        return Response(body, headers=own, media_type=media_type)

    return Starlette(routes=[Route("/{path:path}", endpoint)])


def get(client: TestClient, **headers: str) -> Any:
    """Navigate to the page with further headers."""
    return client.get("/", headers=NAVIGATION | {name.replace("_", "-"): value for name, value in headers.items()})


# -- entity tags


def test_a_page_that_still_holds(make_client: MakeClient) -> None:
    """Who asks with the tag of the page as gated for this state gets the app's 304, under the same tag."""
    client = make_client(app=conditional())
    tag = get(client).headers["etag"]
    assert tag.startswith('"v1')
    assert tag != '"v1"'
    response = get(client, if_none_match=tag)
    assert (response.status_code, response.headers["etag"]) == (304, tag)
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["vary"] == "Cookie, Sec-GPC"
    assert "last-modified" not in response.headers
    assert get(client, if_none_match=f'"x", W/{tag}').status_code == 304


CHANGES: dict[str, Callable[[TestClient], Any]] = {
    "granted": lambda client: testing.grant(client, "analytics"),
    "granted everything": lambda client: testing.grant(client, "analytics", "media", "marketing"),
    "refused": testing.refuse,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("back", [True, False], ids=["and withdrawn", ""])
def test_a_page_from_before_a_choice(make_client: MakeClient, change: str, back: bool) -> None:
    """A page gated for another state is never confirmed, however it is asked for."""
    client = make_client(app=conditional())
    before = get(client)
    CHANGES[change](client)
    if back:
        before = get(client)
        testing.withdraw(client)
        if change == "refused":
            return
    for response in (
        get(client, if_none_match=before.headers["etag"]),
        get(client, if_modified_since=DATE),
        get(client, if_none_match=before.headers["etag"], if_modified_since=DATE),
        get(client, if_none_match='"v1"'),
        get(client, if_none_match="*"),
        get(client, range="bytes=0-4", if_range=before.headers["etag"]),
    ):
        assert response.status_code == 200
        assert response.text != before.text
        assert response.headers["etag"] != before.headers["etag"]


def test_the_signal_is_a_state_too(make_client: MakeClient) -> None:
    """A page gated without the opt-out signal is not confirmed to a browser that sends it."""
    client = make_client(app=conditional())
    testing.grant(client, "analytics", "media", "marketing")
    tag = get(client).headers["etag"]
    assert get(client, if_none_match=tag, sec_gpc="1").status_code == 200
    assert get(client, if_none_match=tag).status_code == 304


def test_a_switched_language_is_a_state_too(make_client: MakeClient) -> None:
    """A page asked in its own language is not confirmed to who switched to the one that the browser asks for anyway."""
    client = make_client(app=conditional(), languages=("en", "uk"))
    tag = get(client, accept_language="uk").headers["etag"]
    assert get(client, accept_language="uk", if_none_match=tag).status_code == 304
    client.post("/privacy/language", data={"language": "uk"})
    assert get(client, accept_language="uk", if_none_match=tag).status_code == 200


def test_an_expired_choice_is_a_state_too(make_client: MakeClient, make_site: MakeSite) -> None:
    """A page from before a choice ended is not confirmed after it."""
    site: Site = make_site()
    client = make_client(site, app=conditional())
    testing.grant(client, "analytics")
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    tag = get(client).headers["etag"]
    assert isinstance(site.now, testing.Clock)
    site.now.advance(190 * 86400)
    assert get(client, if_none_match=tag, cookie=cookie).status_code == 200


def test_no_tag_tells_two_visitors_apart(make_client: MakeClient, make_site: MakeSite) -> None:
    """Two visitors who agreed to the same share their pages' tags: a tag is no way to recognise anybody."""
    site = make_site()
    tags = []
    for _ in range(2):
        client = make_client(site, app=conditional())
        testing.grant(client, "analytics")
        tags.append(get(client).headers["etag"])
    assert tags[0] == tags[1]


def test_a_weak_tag_stays_weak(make_client: MakeClient) -> None:
    """A weak tag gets its suffix inside the quotes, and is still understood."""
    client = make_client(app=conditional(headers={"etag": 'W/"v1"'}))
    assert get(client).headers["etag"].startswith('W/"v1c')


def test_a_page_in_a_frame_of_another_site_is_no_other_page(make_client: MakeClient) -> None:
    """Without its banner it fits nowhere else: it is not kept, and no other stands in for it."""
    client = make_client(app=conditional())
    frame = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}
    framed = client.get("/", headers=frame)
    assert ('id="cst"' in framed.text, framed.headers["cache-control"]) == (False, "no-store")
    tag = get(client).headers["etag"]
    assert client.get("/", headers=frame | {"if-none-match": tag}).status_code == 200


# -- what the app is asked


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        (NAVIGATION, False),
        ({"sec-fetch-dest": "iframe", "accept": "*/*"}, False),
        ({"sec-fetch-dest": "empty", "accept": "text/html"}, False),
        ({"accept": "text/html,*/*"}, False),
        ({"accept": "*/*"}, False),
        ({"accept": ""}, True),
        (IMAGE, True),
        ({"sec-fetch-dest": "script", "accept": "*/*"}, True),
        ({"sec-fetch-dest": "video", "accept": "*/*"}, True),
        (FETCH, True),
        ({"accept": "application/json"}, True),
        ({"accept": "image/png"}, True),
    ],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("if-modified-since", DATE),
        ("range", "bytes=0-4"),
        ("if-range", '"v1"'),
        ("if-none-match", '"v1"'),
        ("if-none-match", "*"),
    ],
)
def test_conditions_reach_the_app(
    make_client: MakeClient, headers: dict[str, str], passes: bool, name: str, value: str
) -> None:
    """Conditions and ranges are dropped where the answer could be a page, and kept for images and data."""
    seen: list[dict[str, str]] = []
    make_client(app=conditional(seen)).get("/", headers=headers | {name: value})
    assert (seen[0].get(name) == value) is passes


def test_images_are_confirmed_and_cut(make_client: MakeClient) -> None:
    """An image is answered 304 and 206 as the app would answer it without us."""
    client = make_client(app=conditional(media_type="image/png", headers={"cache-control": "max-age=60"}))
    for headers, status in (
        ({"if-none-match": '"v1"'}, 304),
        ({"if-modified-since": DATE}, 304),
        ({"range": "bytes=0-4"}, 206),
    ):
        response = client.get("/a.png", headers=IMAGE | headers)
        assert response.status_code == status
        assert (response.headers["etag"], response.headers["last-modified"]) == ('"v1"', DATE)
        assert response.headers["cache-control"] == "max-age=60"
        assert "vary" not in response.headers


def test_part_of_a_page_that_a_script_asks_for(make_client: MakeClient) -> None:
    """A part of a page is not passed, even where the request does not look like a navigation."""
    assert make_client(app=conditional()).get("/", headers=FETCH | {"range": "bytes=0-4"}).status_code == 502


# -- what caches are told


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("public, max-age=3600", "private, no-cache"),
        ("public, s-maxage=31536000, immutable", "private, no-cache"),
        ("private, max-age=60", "private, no-cache"),
        ("", "private, no-cache"),
        ("no-store", "no-store"),
        ("private, No-Store", "private, No-Store"),
    ],
)
def test_cache_control(make_client: MakeClient, given: str, expected: str) -> None:
    """A page is its visitor's own, and is checked before it is shown again; no-store stays."""
    client = make_client(app=conditional(headers={"cache-control": given} if given else {}))
    assert get(client).headers["cache-control"] == expected


@pytest.mark.parametrize(
    "name",
    [
        *("last-modified", "cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control"),
        *("x-accel-expires", "netlify-cdn-cache-control", "vercel-cdn-cache-control", "edge-control"),
    ],
)
def test_headers_for_shared_caches_go(make_client: MakeClient, name: str) -> None:
    """No header invites a content network to keep a page for everybody."""
    app = conditional(headers={name: DATE if name == "last-modified" else "max-age=600"})
    for client in (make_client(app=app), make_client(app=app)):
        assert name not in get(client).headers
        testing.grant(client, "analytics")
        assert name not in get(client).headers


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({}, "", "Cookie, Sec-GPC"),
        ({}, "Accept-Encoding", "Accept-Encoding, Cookie, Sec-GPC"),
        ({}, "cookie", "cookie, Sec-GPC"),
        ({}, "*", "*"),
        ({"country_header": "X-Country"}, "", "Cookie, Sec-GPC, X-Country"),
        ({"languages": ("en", "uk")}, "", "Cookie, Sec-GPC"),
    ],
)
def test_vary(make_client: MakeClient, settings: dict[str, Any], given: str, expected: str) -> None:
    """A page names the request headers it depends on, beside those the app names."""
    client = make_client(app=conditional(headers={"vary": given} if given else {}), **settings)
    assert get(client).headers["vary"] == expected


def test_vary_with_a_page_in_no_language(make_client: MakeClient) -> None:
    """Where the banner's language comes from the browser, the page says that it depends on it."""
    app = conditional(body=b"<!doctype html><html><body></body></html>")
    assert get(make_client(app=app, languages=("en", "uk"))).headers["vary"] == "Cookie, Sec-GPC, Accept-Language"


# -- decision 31: nearly untouched after the choice


def test_an_answered_page_is_nearly_untouched(make_client: MakeClient) -> None:
    """After the choice there is no banner: one small link, and script and style where something is parked."""
    client = make_client(app=conditional())
    testing.refuse(client)
    page = get(client).text
    assert 'id="cst"' not in page
    assert page.count("/privacy/assets/consent.") == 2
    assert 'class="cst-link"' in page


def test_an_answered_page_with_a_link_of_its_own(make_client: MakeClient) -> None:
    """A site with its own link gets its pages back byte for byte where nothing was parked or granted."""
    plain = b'<!doctype html><html lang="en"><body><p>Harbour & <b>quay</b ></p></body></html>'
    client = make_client(app=conditional(body=plain), change_link="site", services={})
    testing.refuse(client)
    assert get(client).content == plain


def test_no_consent_id_on_a_page(make_client: MakeClient, make_site: MakeSite) -> None:
    """Decision 32: nothing of the consent id reaches a page, the state, or a redirect."""
    secret = bytes(range(200, 216))
    client = make_client(make_site(random=lambda n: secret), app=conditional())
    testing.grant(client, "analytics")
    found = get(client).text + client.get("/privacy/state").text + client.get("/privacy/receipt").text
    assert secret.hex() not in found
    assert client.cookies["__Host-consent"] not in found


# -- our own pages


@pytest.mark.parametrize("path", ["/privacy/", "/privacy/choices", "/privacy/state", "/privacy/receipt"])
def test_our_pages_are_not_kept(make_client: MakeClient, path: str) -> None:
    """What we show of a visitor is never stored."""
    assert make_client().get(path).headers["cache-control"] == "no-store"


def test_assets_are_kept_for_ever(make_client: MakeClient, make_site: MakeSite) -> None:
    """Script and style have addresses of their content, and never change under them."""
    site = make_site()
    client = make_client(site)
    for asset in site.assets.values():
        response = client.get(f"/privacy/assets/{asset.address}")
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (response.content, response.headers["etag"]) == (asset.data, f'"{asset.digest}"')
        assert response.headers["x-content-type-options"] == "nosniff"
    assert client.get("/privacy/assets/consent.js").status_code == 404


@pytest.mark.parametrize(
    ("header", "own"),
    [
        (("set-cookie", "_rs=1; Path=/"), True),
        (("link", "<https://stats.meridian-metrics.example/s.js>; rel=preload; as=script"), True),
        (("set-cookie", "session=1; Path=/"), False),
        (("link", "</style.css>; rel=preload; as=style"), False),
    ],
    ids=["service's cookie", "service's link", "own cookie", "own link"],
)
def test_an_answer_that_differs_by_its_headers(
    make_site: MakeSite, ask: Ask, header: tuple[str, str], own: bool
) -> None:
    """What is no page stays public, unless its headers are not the same for everybody."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pairs = [("content-type", "application/json"), ("cache-control", "public, max-age=60"), ("etag", '"1"'), header]
        raw = [(name.encode(), value.encode()) for name, value in pairs]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b"{}"})

    answer = ask(ConsentMiddleware(app, site=make_site()))
    assert answer.one("cache-control") == ("private, no-cache" if own else "public, max-age=60")
    assert (answer.one("vary") is not None) is own
    assert answer.one("etag") == '"1"'
