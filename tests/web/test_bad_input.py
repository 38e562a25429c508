"""Send what no visitor of good will sends: the answer is the right status, nothing is recorded, nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import ConsentMiddleware, testing
from consent.choice import cookie
from consent.choice.choice import acceptance, identified
from consent.site import Site
from tests.conftest import SERVICES, Answer, Ask, MakeClient, MakeSite, page_app

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")
LIMIT = 16_384


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[ConsentMiddleware, Site]]:
    """Return one middleware for everything here that must leave no trace."""
    site = testing.site(services=SERVICES, languages=("en", "uk"), origins=("https://meridian.example",))
    yield ConsentMiddleware(page_app, site=site), site
    site.close()


def size(site: Site) -> int:
    """Return the number of entries in a site's ledger."""
    return site.ledger.store.head().size


Shared = tuple[ConsentMiddleware, Site]


def refused(shared: Shared, ask: Ask, status: int, **request: Any) -> Answer:
    """Check that a request under the prefix is answered with this status, and leaves no trace; return the answer."""
    middleware, site = shared
    ask(middleware)
    before = size(site)
    path = request.pop("path", "/privacy/choices")
    answer = ask(middleware, path, **({"method": "POST"} | request))
    assert answer.status == status, answer.body
    assert size(site) == before
    assert answer.all("set-cookie") == []
    assert answer.one("cache-control") == "no-store"
    return answer


# -- bodies

BODIES: dict[str, tuple[int, tuple[str, str] | None, bytes]] = {
    "empty form": (400, FORM, b""),
    "no choice": (400, FORM, b"purpose=analytics"),
    "unknown choice": (400, FORM, b"choice=maybe"),
    "two choices": (400, FORM, b"choice=accept_all&choice=reject_all"),
    "two notices": (400, FORM, b"choice=reject_all&notice=a&notice=b"),
    "two addresses": (400, FORM, b"choice=reject_all&next=/a&next=/b"),
    "not utf-8": (400, FORM, b"choice=save&purpose=%ff%fe"),
    "not utf-8 bytes": (400, FORM, b"choice=reject_all&\xff=1"),
    "nul byte": (400, FORM, b"choice=reject_all&next=/%00"),
    "unknown purpose": (422, FORM, b"choice=save&purpose=harbour"),
    "unknown service": (422, FORM, b"choice=save&service=harbour"),
    "unknown exception": (422, FORM, b"choice=save&purpose=media&except=harbour"),
    "nul in a purpose": (422, FORM, b"choice=save&purpose=media%00"),
    "necessary": (422, FORM, b"choice=save&purpose=necessary"),
    "our own service": (422, FORM, b"choice=save&service=consent"),
    "case": (422, FORM, b"choice=save&purpose=Media"),
    "a million fields": (400, FORM, b"&".join([b"a="] * 5000)),
    "no type": (415, None, b"choice=reject_all"),
    "multipart": (415, ("content-type", "multipart/form-data; boundary=x"), b"--x--"),
    "text": (415, ("content-type", "text/plain"), b"choice=reject_all"),
    "not json": (400, JSON, b"{"),
    "json list": (400, JSON, b'["choice"]'),
    "json text": (400, JSON, b'"reject_all"'),
    "json null": (400, JSON, b"null"),
    "json empty": (400, JSON, b""),
    "json number": (400, JSON, b'{"choice": 1}'),
    "json true": (400, JSON, b'{"choice": "save", "purpose": true}'),
    "json null purpose": (400, JSON, b'{"choice": "save", "purpose": null}'),
    "json nested": (400, JSON, b'{"choice": "save", "purpose": [["media"]]}'),
    "json object": (400, JSON, b'{"choice": "save", "purpose": {"media": true}}'),
    "json twice": (400, JSON, b'{"choice": "save", "choice": "accept_all"}'),
    "json nan": (400, JSON, b"NaN"),
    "json deep": (400, JSON, b"[" * 8000),
    "json deep object": (400, JSON, b'{"a":' * 3000),
    "json long number": (400, JSON, b"1" * 6000),
    "json many": (400, JSON, b'{"choice": "save", "purpose": [%s]}' % b",".join([b'"m"'] * 2500)),
    "json surrogate": (400, JSON, b'{"choice": "save", "purpose": "\\ud800"}'),
    "json surrogate address": (400, JSON, b'{"choice": "reject_all", "next": "/\\udfff"}'),
    "json unknown purpose": (422, JSON, b'{"choice": "save", "purpose": ["harbour"]}'),
    "json utf-16": (400, JSON, '{"choice": "reject_all"}'.encode("utf-16")),
    "too large": (413, FORM, b"choice=reject_all&x=" + b"a" * LIMIT),
    "far too large": (413, JSON, b" " * (1 << 20)),
}


@pytest.mark.parametrize(("status", "header", "body"), BODIES.values(), ids=BODIES)
def test_bad_bodies(shared: Shared, ask: Ask, status: int, header: tuple[str, str] | None, body: bytes) -> None:
    """Every body that is not a choice is refused with its own status, in whatever pieces it comes."""
    headers = [header] if header else []
    whole = refused(shared, ask, status, headers=headers, body=body)
    chunks = [body[at : at + 4096] for at in range(0, len(body), 4096)] or [b""]
    assert refused(shared, ask, status, headers=headers, body=chunks).body == whole.body


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("16385", 413),
        ("9" * 30, 413),
        ("9" * 5000, 413),
        ("-1", 400),
        ("1e3", 400),
        ("", 400),
        ("²", 400),
        (" 5", 400),
    ],
)
def test_declared_lengths(shared: Shared, ask: Ask, length: str, status: int) -> None:
    """A length that is too large, or is none, is refused before a byte of the body is read."""
    refused(shared, ask, status, headers=[FORM, ("content-length", length)], body=b"choice=reject_all")


def test_a_client_that_leaves(shared: Shared, ask: Ask) -> None:
    """A body that breaks off is no choice."""
    refused(shared, ask, 400, headers=[FORM, ("content-length", "17")], body=[])


def test_the_largest_body_that_is_read(make_client: MakeClient) -> None:
    """A body of exactly the limit is read."""
    body = b"choice=reject_all&x="
    whole = body + b"a" * (LIMIT - len(body))
    response = make_client().post("/privacy/choices", content=whole, headers=dict([FORM]))
    assert response.status_code == 303


# -- where an answer leads

AWAY = {
    *("https://evil.example/", "//evil.example", "///evil.example", "////evil.example", "\\\\evil.example"),
    *("/\\evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " /a", " //evil.example"),
    *("http:evil.example", "javascript:alert(1)", "data:text/html,x", "evil.example", "@evil.example", ".evil.example"),
    *("/a\r\nSet-Cookie: x=1", "/a\nb", "/\x00", "/a b", "?next=1", "#a", "a", "https:/evil.example", "/" + "a" * 3000),
    *("/\x7f", "HTTPS://evil.example", "/\r/evil.example", "\x01//evil.example"),
}


@pytest.mark.parametrize("target", sorted(AWAY), ids=ascii)
@pytest.mark.parametrize("path", ["/privacy/choices", "/privacy/language"])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_addresses_that_lead_away(shared: Shared, ask: Ask, path: str, target: str, kind: str) -> None:
    """An address to return to that is no path of this site is 400, in every spelling, and nothing is recorded."""
    fields = {"choice": "reject_all", "language": "uk", "next": target}
    if kind == "form":
        quoted = "".join(f"%{byte:02x}" for byte in target.encode())
        body = f"choice=reject_all&language=uk&next={quoted}".encode()
        refused(shared, ask, 400, path=path, headers=[FORM], body=body)
    else:
        refused(shared, ask, 400, path=path, headers=[JSON], body=json.dumps(fields).encode())


@pytest.mark.parametrize("target", sorted(AWAY), ids=ascii)
def test_links_that_lead_away(shared: Shared, ask: Ask, target: str) -> None:
    """The second layer forgets an address that leads away, and shows the front page's instead."""
    quoted = "".join(f"%{byte:02x}" for byte in target.encode())
    page = ask(shared[0], "/privacy/choices", query=f"next={quoted}".encode())
    assert page.status == 200
    assert b'name="next" value="/"' in page.body
    assert b"evil.example" not in page.body


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/", "/"),
        ("/a?b=c&d=%20#e", "/a?b=c&d=%20#e"),
        ("/порт", "/%D0%BF%D0%BE%D1%80%D1%82"),
        ("/a//b", "/a//b"),
        ("/a:b@c", "/a:b@c"),
        ('/"<>', "/%22%3C%3E"),
        ("/?u=https://evil.example/", "/?u=https://evil.example/"),
    ],
)
def test_addresses_of_the_site(make_client: MakeClient, target: str, location: str) -> None:
    """A path of this site is returned to, in ASCII."""
    response = make_client().post("/privacy/choices", data={"choice": "reject_all", "next": target})
    assert (response.status_code, response.headers["location"]) == (303, location)


# -- addresses and methods


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/privacy/choices", {"GET", "HEAD", "POST"}),
        ("DELETE", "/privacy/choices", {"GET", "HEAD", "POST"}),
        ("POST", "/privacy/", {"GET", "HEAD"}),
        ("POST", "/privacy/state", {"GET", "HEAD"}),
        ("GET", "/privacy/erase", {"POST"}),
        ("GET", "/privacy/language", {"POST"}),
        ("POST", "/privacy/policies/privacy", {"GET", "HEAD"}),
        ("X-ODD", "/privacy/choices", {"GET", "HEAD", "POST"}),
    ],
)
def test_wrong_methods(shared: Shared, ask: Ask, method: str, path: str, allow: set[str]) -> None:
    """A method that an address does not have is 405, and the answer names all it has."""
    answer = refused(shared, ask, 405, method=method, path=path)
    assert set((answer.one("allow") or "").split(", ")) == allow


@pytest.mark.parametrize(
    "path",
    [
        *("/privacy/nothing", "/privacy/policies/none", "/privacy/policies/../../etc/passwd", "/privacy/policies/a/1"),
        *("/privacy/policies/a/1/en", "/privacy/policies/a/1/en.md", "/privacy/policies/a/1...2", "/privacy//"),
        *("/privacy/policies/a/history", "/privacy/notices/x", f"/privacy/notices/{'ab' * 32}", "/privacy/assets/x.js"),
        *("/privacy/assets/../../settings.py", "/privacy/policies/\x00", "/privacy/audit/"),
        *("/privacy/audit/entries.jsonl", "/privacy/notices/" + "é" * 64, "/privacy/policies/" + "a" * 5000),
    ],
    ids=ascii,
)
def test_addresses_that_are_not_there(shared: Shared, ask: Ask, path: str) -> None:
    """What is not there is 404, for people and for programs."""
    page = refused(shared, ask, 404, method="GET", path=path)
    assert (page.one("content-type") or "").startswith("text/html")
    answer = refused(shared, ask, 404, method="GET", path=path, headers=[("accept", "application/json")])
    assert set(json.loads(answer.body)) == {"error", "title", "message", "action"}


@pytest.mark.parametrize(("status", "body"), [(400, b"{"), (422, b'{"choice": "save", "purpose": "x"}')])
def test_errors_say_what_to_do(shared: Shared, ask: Ask, status: int, body: bytes) -> None:
    """An error is JSON to who sends JSON, else a page; both say what to do, in the visitor's language."""
    answer = refused(shared, ask, status, headers=[JSON, ("accept-language", "uk")], body=body)
    told = json.loads(answer.body)
    assert told["error"] == status
    assert all(told[part] for part in ("title", "message", "action"))
    assert not told["title"].isascii()
    page = refused(shared, ask, 415, headers=[("accept-language", "uk")], body=body)
    assert (page.one("content-type") or "").startswith("text/html")
    assert b'lang="uk"' in page.body


@pytest.mark.parametrize("choice", ["uk", "en"])
def test_the_language_switch(make_client: MakeClient, choice: str) -> None:
    """The language a visitor asks for is kept until the browser closes, and is no consent."""
    client = make_client(languages=("en", "uk"))
    response = client.post("/privacy/language", data={"language": choice, "next": "/a"})
    (value,) = response.headers.get_list("set-cookie")
    assert value == f"__Host-consent-language={choice}; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert client.get("/privacy/state").json()["language"] == choice


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"language": "xx"}, {}, 422),
        ({"language": "uk\x00"}, {}, 422),
        ({"next": "/"}, {}, 422),
        ({"language": "uk"}, {"sec-fetch-site": "cross-site"}, 403),
        ({"language": "uk"}, {"origin": "https://evil.example"}, 403),
    ],
)
def test_a_language_that_is_refused(
    make_client: MakeClient, fields: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """A language the site does not have, or another site asks for, is not kept."""
    response = make_client(languages=("en", "uk")).post("/privacy/language", data=fields, headers=headers)
    assert response.status_code == status
    assert response.headers.get_list("set-cookie") == []


# -- cookies


@pytest.fixture(scope="module")
def granted(shared: Shared) -> str:
    """Return a good cookie of somebody who granted everything."""
    site = shared[1]
    notice = site.edition(site.now()).notices["en"]
    choice = identified(acceptance(notice, now=int(site.now())), consent_id=bytes(range(16)))
    return cookie.seal(choice, notice=notice, by=site.choice_signer)


def forgeries(good: str) -> dict[str, str]:
    """Return `Cookie` headers that are no choice, by what is wrong with them."""
    name = "__Host-consent"
    payload, _, signature = good.rpartition(".")
    return {
        "empty": f"{name}=",
        "no value": name,
        "unsigned": f"{name}={payload}",
        "signature alone": f"{name}=.{signature}",
        "changed": f"{name}={'B' if good[0] != 'B' else 'C'}{good[1:]}",
        "cut": f"{name}={good[:-1]}",
        "longer": f"{name}={good}x",
        "oversized": f"{name}={good}{'=' * 600}",
        "duplicated": f"{name}={good}; {name}={good}",
        "two": f"{name}={good}; {name}=",
        "quoted": f'{name}="{good}"',
        "without prefix": f"consent={good}",
        "other case": f"__host-consent={good}",
        "not ascii": f"{name}=\xff\xfe",
        "nul": f"{name}={good}\x00",
        "dots": f"{name}=....",
        "huge": f"{name}={'A' * 100_000}",
        "many": "; ".join(["a=b"] * 5000),
        "separators": ";;;=;=;;",
    }


@pytest.mark.parametrize("wrong", forgeries("a.b"))
def test_forged_cookies(shared: Shared, granted: str, ask: Ask, wrong: str) -> None:
    """Decision 13: a cookie that is not ours, or twice there, is no choice; the status is 200."""
    header = forgeries(granted)[wrong]
    answer = ask(shared[0], headers=[("cookie", header)])
    assert answer.status == 200
    assert b"<iframe src=" not in answer.body
    assert b'id="cst"' in answer.body
    state = ask(shared[0], "/privacy/state", headers=[("cookie", header)])
    assert json.loads(state.body)["status"] == "unknown"


def test_a_cookie_in_two_lines(shared: Shared, granted: str, ask: Ask) -> None:
    """Cookies may come in several header lines; the choice twice is none."""
    line = ("cookie", f"__Host-consent={granted}")
    assert b"<iframe src=" in ask(shared[0], headers=[("cookie", "a=b"), line]).body
    assert b"<iframe src=" not in ask(shared[0], headers=[line, line]).body


def test_a_cookie_under_a_key_of_before(make_client: MakeClient) -> None:
    """Keys rotate: the last one signs, each of the list verifies, and one that has left the list is worth nothing."""
    old = make_client(secret_keys=("one",))
    testing.grant(old, "media")
    for keys, valid in ((("one", "two"), True), (("two", "one"), True), (("two",), False), (("on", "e"), False)):
        client = make_client(secret_keys=keys)
        client.cookies.update(dict(old.cookies))
        assert client.get("/privacy/state").json()["status"] == ("given" if valid else "unknown"), keys
    both = make_client(secret_keys=("one", "two"))
    testing.grant(both, "media")
    fresh = make_client(secret_keys=("two",))
    fresh.cookies.update(dict(both.cookies))
    assert fresh.get("/privacy/state").json()["status"] == "given"


@pytest.mark.parametrize("value", ["x" * 513, "x" * 5000])
def test_long_cookies_for_loading_once(shared: Shared, ask: Ask, value: str) -> None:
    """A cookie for loading once that is too long is not looked at."""
    answer = ask(shared[0], headers=[("cookie", f"__Host-consent-once={value}")])
    assert b"<iframe src=" not in answer.body


def test_addresses_that_are_no_addresses(shared: Shared, ask: Ask) -> None:
    """A path that cannot be read as an address is no way back."""
    refused(shared, ask, 400, headers=[FORM], body=b"choice=reject_all&next=//[/x")
    refused(shared, ask, 400, headers=[FORM], body=b"choice=reject_all&next=/%0a")


# -- anything at all

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.one_of(st.binary(max_size=80), st.text(max_size=40).map(lambda text: text.encode(errors="replace")))
NAMES = st.sampled_from(
    [
        *(b"accept", b"accept-encoding", b"accept-language", b"content-length", b"content-type", b"cookie", b"host"),
        *(b"if-none-match", b"origin", b"range", b"referer", b"sec-fetch-dest", b"sec-fetch-site", b"sec-gpc"),
    ]
)
PATHS = st.sampled_from(
    ["/", "/privacy/", "/privacy/choices", "/privacy/state", "/privacy/receipt", "/privacy/language", "/privacy/erase"]
)


@FEW
@given(value=VALUES, path=PATHS)
def test_no_cookie_breaks_anything(shared: Shared, ask: Ask, value: bytes, path: str) -> None:
    """Whatever a cookie holds, a page is a page, and nothing is allowed by it."""
    answer = ask(shared[0], path, headers=[(b"cookie", b"__Host-consent=" + value + b"; __Host-consent-once=" + value)])
    assert answer.status in (200, 405)
    assert b"<iframe src=" not in answer.body


@FEW
@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=VALUES,
    query=VALUES,
    path=PATHS,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_no_request_breaks_anything(
    shared: Shared,
    ask: Ask,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    query: bytes,
    path: str,
    method: str,
) -> None:
    """Whatever headers, query and body hold, the answer is one of ours, and never an exception."""
    answer = ask(shared[0], path, method=method, headers=headers, body=body, query=query)
    assert answer.status in (200, 303, 400, 403, 404, 405, 409, 413, 415, 422)


@FEW
@given(
    fields=st.dictionaries(
        st.sampled_from(["choice", "purpose", "service", "except", "notice", "next", "layer", "language"]),
        st.one_of(
            st.text(max_size=20), st.lists(st.text(max_size=10), max_size=3), st.none(), st.integers(), st.booleans()
        ),
    ),
    control=st.sampled_from(["accept_all", "reject_all", "save", "withdraw", "once"]),
)
def test_no_json_breaks_anything(shared: Shared, ask: Ask, fields: dict[str, Any], control: str) -> None:
    """Whatever JSON of the right names holds, the answer is one of ours, and grants nothing without a notice."""
    body = json.dumps({"choice": control, **fields}).encode()
    answer = ask(shared[0], "/privacy/choices", method="POST", headers=[JSON], body=body)
    assert answer.status in (200, 400, 409, 422)
    if answer.status == 200:
        assert json.loads(answer.body)["allowed"] == ["consent", "necessary"]


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "évil", "", "a" * 5000, "x:99999", "x:y", "[::1]:8000"])
@pytest.mark.parametrize("path", ["/", "/privacy/", "/privacy/choices", "/privacy/nothing"])
def test_no_host_breaks_anything(make_site: MakeSite, ask: Ask, host: str, path: str) -> None:
    """A host header that no browser sends changes nothing."""
    middleware = ConsentMiddleware(page_app, site=make_site(services={}, origins=()))
    headers: list[tuple[str | bytes, str | bytes]] = [("host", host.encode()), ("cookie", "_rs=1")]
    assert ask(middleware, path, headers=headers).status == (404 if "nothing" in path else 200)
    body = b"choice=reject_all"
    answer = ask(middleware, "/privacy/choices", method="POST", headers=[*headers, FORM], body=body)
    assert answer.status == 303
