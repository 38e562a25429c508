"""Ask for one page as many visitors, in turn: what is remembered of one never shows in the answer to another."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import ConsentMiddleware
from consent.choice import cookie
from consent.choice.choice import Choice, acceptance, identified, refusal
from consent.gate.bodies import Bodies, Page
from consent.site import Site
from tests.conftest import PAGE, Answer, Ask, MakeSite

Headers = tuple[tuple[str, str], ...]
HTML = (b"content-type", b"text/html; charset=utf-8")


def sealed(site: Site, choice: Choice) -> str:
    """Return the cookie of a choice made today."""
    notice = site.edition(site.now()).notices["en"]
    return f"{site.cookie_name}={cookie.seal(choice, notice=notice, by=site.choice_signer)}"


def visitors(site: Site) -> dict[str, Headers]:
    """Return the request headers of visitors who all have to get another page."""
    now = int(site.now())
    notice = site.edition(now).notices["en"]
    accepted = acceptance(notice, now=now)
    everything = identified(accepted, consent_id=bytes(16))
    some = replace(everything, purposes={purpose: purpose == "analytics" for purpose in accepted.purposes})
    refused = sealed(site, refusal(notice, now=now))
    return {
        "nobody": (),
        "speaks Ukrainian": (("accept-language", "uk"),),
        "asks not to be sold": (("sec-gpc", "1"),),
        "refused": (("cookie", refused),),
        "refused, with a cookie left": (("cookie", f"{refused}; _la=1"),),
        "granted some": (("cookie", sealed(site, some)),),
        "granted everything": (("cookie", sealed(site, everything)),),
        "granted everything, signal": (("cookie", sealed(site, everything)), ("sec-gpc", "1")),
        "in a frame elsewhere": (("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")),
    }


def answers(*pairs: tuple[bytes, bytes]) -> ASGIApp:
    """Return an app that sends a page in no certain language with these headers."""
    body = PAGE.replace(' lang="en"', "")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML, *pairs]})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """Return a site in two languages."""
    return make_site(languages=("en", "uk"))


def test_every_visitor_gets_their_own_page(site: Site, ask: Ask) -> None:
    """Whoever asked before, each visitor gets, at each address, what they get from an empty memory."""
    app = ConsentMiddleware(answers((b"etag", b'"v1"')), site=site)
    ways = list(itertools.product(visitors(site).items(), ("/", "/news"), (b"", b"a=1")))

    def answer(headers: Headers, path: str, query: bytes) -> Answer:
        got = ask(app, path, headers=headers, query=query)
        return Answer(got.status, got.headers, got.body, [])

    cold = {}
    for (name, headers), path, query in ways:
        site.gated_pages = Bodies[Page]()
        cold[name, path, query] = answer(headers, path, query)
    different = {(one.body, tuple(one.headers)) for one in cold.values()}
    assert len(different) == len(cold)
    for order in (ways, ways[::-1], ways):
        for (name, headers), path, query in order:
            assert answer(headers, path, query) == cold[name, path, query]


def test_a_page_is_gated_once(site: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two visitors in one state share what was gated, whatever else their cookies say."""
    app = ConsentMiddleware(answers(), site=site)
    first = ask(app, headers=(("cookie", "theme=dark"),))
    monkeypatch.delattr("consent.responder.Gating")
    assert ask(app, headers=(("cookie", "theme=light"),)).body == first.body


@pytest.mark.parametrize("said", [("cross-site",), ("same-origin", "cross-site"), ("cross-site", "cross-site")])
def test_a_page_for_a_frame_elsewhere_is_remembered_for_nobody(site: Site, ask: Ask, said: tuple[str, ...]) -> None:
    """A page without its banner goes to the frame alone, in however many lines its request says where it is shown."""
    app = ConsentMiddleware(answers(), site=site)
    framed = (*(("sec-fetch-site", one) for one in said), ("sec-fetch-dest", "iframe"))
    first = ask(app, headers=framed)
    assert b'id="cst"' not in first.body
    assert first.one("cache-control") == "no-store"
    assert not site.gated_pages
    assert b'id="cst"' in ask(app).body
    assert ask(app, headers=framed).body == first.body


def test_every_answer_keeps_its_own_headers(site: Site, ask: Ask) -> None:
    """What an app sends along, its cookies first of all, is of this answer and of no other."""
    count = itertools.count()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        n = next(count)
        await answers((b"set-cookie", b"session=%d" % n), (b"x-request-id", b"%d" % n))(scope, receive, send)

    middleware = ConsentMiddleware(app, site=site)
    got = [ask(middleware) for _ in range(3)]
    assert [one.all("set-cookie") for one in got] == [["session=0"], ["session=1"], ["session=2"]]
    assert [one.one("x-request-id") for one in got] == ["0", "1", "2"]
    assert len({one.body for one in got}) == 1


def test_a_nonce_is_never_remembered(site: Site, ask: Ask) -> None:
    """A page whose policy asks for a nonce is gated anew, and what is written into it carries its own."""
    count = itertools.count()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        policy = b"script-src 'nonce-n%d'" % next(count)
        await answers((b"content-security-policy", policy))(scope, receive, send)

    middleware = ConsentMiddleware(app, site=site)
    for n in range(3):
        got = ask(middleware).body
        assert b'nonce="n%d"' % n in got
        assert got.count(b"nonce=") == got.count(b'nonce="n%d"' % n)
    assert not site.gated_pages


def test_the_apps_list_of_headers_stays_its_own(site: Site, ask: Ask) -> None:
    """An app may send the same list to every visitor: nothing is added to it, remembered or not."""
    pairs = [HTML]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        await send({"type": "http.response.body", "body": PAGE.encode()})

    middleware = ConsentMiddleware(app, site=site)
    got = [ask(middleware, headers=(("cookie", "_la=1"),)) for _ in range(3)]
    assert pairs == [HTML]
    assert [one.headers for one in got] == [got[0].headers] * 3
    assert got[0].all("set-cookie")
