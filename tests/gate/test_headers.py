"""Gate response headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.headers import (
    cookie_name,
    etag_with,
    etag_without,
    expire_cookies,
    hold_cookies,
    hold_headers,
    hold_links,
    hold_members,
    hold_refresh,
    hold_report_to,
    hold_reporting,
    none_match,
    vary,
)
from tests.gate.example import NOBODY, catalogue, rules

ALL = frozenset(("tracker", "player", "login", "own-stats"))
EVERYBODY = rules().view(ALL)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("_tr=1; Path=/", "_tr"),
        (" _tr = 1", "_tr"),
        ("_tr", "_tr"),
        ("=_tr=1", "_tr"),
        ("", ""),
        (";;;", ""),
        ('a="x;_tr=1"', "a"),
    ],
)
def test_a_cookie_has_the_name_it_comes_back_under(value: str, name: str) -> None:
    """A nameless cookie is told by what it looks like in the next request."""
    assert cookie_name(value) == name


@pytest.mark.parametrize(
    ("value", "allowed", "held"),
    [
        ("_tr=1; HttpOnly", (), True),
        ("_tr_abc=1", (), True),
        ("=_tr=1", (), True),
        ("__Host-tr=1; Secure; Path=/", (), True),
        ("_tr=1", ("tracker",), False),
        ("sid=1", ("login",), False),
        ("_wg1=1", ("tracker", "widget"), True),
        ("sessionid=1", (), False),
        ("_TR=1", (), False),
        ("__Host-consent=x", (), False),
    ],
)
def test_a_cookie_is_held_only_for_a_service_that_is_not_allowed(
    value: str, allowed: tuple[str, ...], held: bool
) -> None:
    """Session cookies and our own always pass."""
    kept, names, _ = hold_cookies([value], catalogue(), frozenset(allowed))
    assert (kept == []) is held
    assert bool(names) is held


def test_undeclared_cookies_pass_and_are_named_or_held_on_request() -> None:
    """A cookie that nobody declares is reported, and held only where the site says so."""
    values = ["csrf=1", "_tr=2", "consent=3"]
    assert hold_cookies(values, catalogue(), frozenset()) == (["csrf=1", "consent=3"], ["_tr"], ["csrf"])
    kept, held, undeclared = hold_cookies(values, catalogue(), ALL, hold_undeclared=True)
    assert (kept, held, undeclared) == (["_tr=2", "consent=3"], ["csrf"], ["csrf"])


@given(st.lists(st.text()), st.text())
def test_no_cookie_makes_holding_or_expiring_raise(values: list[str], host: str) -> None:
    """Odd syntax is kept or held, and everything kept was there before."""
    kept, _, _ = hold_cookies(values, catalogue(), frozenset())
    assert [value for value in values if value in kept] == kept
    for value in expire_cookies(values, catalogue(), frozenset(), host=host):
        assert "\n" not in value
        assert "\r" not in value


def test_expiring_covers_path_and_domain() -> None:
    """There is one deletion for each way the cookie can have been set."""
    values = expire_cookies(
        ["_tr_x", "sid", "other", "consent"], catalogue(), frozenset(), host="www.meridian.example:8000"
    )
    gone = "_tr_x=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert values == [
        f"{gone}; Path={path}{domain}"
        for path in ("/", "/news")
        for domain in ("", "; Domain=www.meridian.example", "; Domain=meridian.example")
    ]


def test_expiring_a_prefixed_cookie_keeps_to_its_prefix() -> None:
    """Browsers ignore a `__Host-` cookie that is not Secure or has a Domain."""
    (value,) = expire_cookies(["__Host-tr"], catalogue(), frozenset(), host="meridian.example")
    assert value.endswith("Path=/; Secure")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:8000", "localhost", "2130706433"])
def test_expiring_on_an_address_names_no_domain(host: str) -> None:
    """Only names with a dot have domains above them."""
    assert all("Domain" not in value for value in expire_cookies(["_tr"], catalogue(), frozenset(), host=host))


def test_expiring_is_bounded() -> None:
    """A request with many cookies does not make a response of many kilobytes."""
    names = [f"_tr_{number}" for number in range(500)]
    assert len(expire_cookies(names, catalogue(), frozenset(), host="a.b.c.d.example")) == 60


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("<https://tracker.test/a.js>; rel=preload; as=script", None),
        ("</own.css>; rel=preload, <https://tracker.test>; rel=preconnect", "</own.css>; rel=preload"),
        ("<https://tracker.test/,x>; rel=prefetch,</a>; rel=next", "</a>; rel=next"),
        ('</a>; rel="preload"; imagesrcset="/b 1x, //tracker.test/c 2x"', None),
        ('</a>; rel=preload; title="x, <https://tracker.test>; rel=preload', '</a>; rel=preload; title="x'),
        ("<https://tracker.test/>; rel=canonical", "<https://tracker.test/>; rel=canonical"),
        ("<https://login.test/>; rel=preconnect", "<https://login.test/>; rel=preconnect"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_links_to_held_hosts_go(value: str, kept: str | None) -> None:
    """A `Link` header preloads and connects before any HTML does."""
    assert hold_links(value, NOBODY) == kept
    assert hold_links(value, EVERYBODY) == value


@given(st.text())
def test_no_header_makes_holding_raise(value: str) -> None:
    """Any text is a header value."""
    for hold in (hold_links, hold_refresh, hold_members, hold_report_to):
        kept = hold(value, NOBODY)
        assert kept is None or isinstance(kept, str)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Refresh", "0; url=https://tracker.test/", None),
        ("refresh", "5", "5"),
        ("Reporting-Endpoints", 'a="https://tracker.test/r", b="/own"', 'b="/own"'),
        ("Speculation-Rules", '"/rules.json", "https://tracker.test/r"', '"/rules.json"'),
        (
            "Report-To",
            '{"group":"a","max_age":9,"endpoints":[{"url":"https://tracker.test/"}]}',
            '{"group": "a", "max_age": 0, "endpoints": []}',
        ),
        (
            "Report-To",
            '{"max_age":9,"endpoints":[{"url":"https://tracker.test/"}]}, {"group":"b","endpoints":[{"url":"/own"}]}',
            '{"group": "default", "max_age": 0, "endpoints": []}, {"group": "b", "endpoints": [{"url": "/own"}]}',
        ),
        ("Report-To", '["https://tracker.test/"]', None),
        ("Report-To", '{"endpoints":[{"url":"https://tracker.test/"}]', None),
        ("Content-Type", "text/html", "text/html"),
    ],
)
def test_headers_that_ask_a_held_host_go(name: str, value: str, kept: str | None) -> None:
    """Refreshes, reports and speculation rules are held like markup."""
    headers = hold_headers([(name.encode(), value.encode())], NOBODY)
    assert headers == ([(name.encode(), kept.encode())] if kept is not None else [])


@pytest.mark.parametrize(
    ("nel", "kept"),
    [
        (b'{"report_to":"a","max_age":9}', b'{"max_age": 0}'),
        (b'{"report_to":"b","max_age":9}', b'{"report_to":"b","max_age":9}'),
        (b'{"max_age":9}', b'{"max_age": 0}'),
        (b"nonsense", b"nonsense"),
    ],
)
def test_network_error_logging_goes_with_its_group(nel: bytes, kept: bytes) -> None:
    """NEL names a group of Report-To: where that group is forgotten, so is the logging, and other logging stays."""
    groups = b'{"group":"a","endpoints":[{"url":"https://tracker.test/"}]}, {"group":"b","endpoints":[{"url":"/r"}]}'
    own = b'{"group":"b","endpoints":[{"url":"/r"}]}'
    assert hold_headers([(b"nel", nel), (b"report-to", groups)], NOBODY)[0] == (b"nel", kept)
    assert hold_headers([(b"nel", nel), (b"report-to", own)], NOBODY)[0] == (b"nel", nel)
    assert hold_headers([(b"nel", nel), (b"report-to", groups)], EVERYBODY)[0] == (b"nel", nel)
    broken = b'{"endpoints":[{"url":"https://tracker.test/"}]'
    assert hold_headers([(b"report-to", broken), (b"nel", nel)], NOBODY) == [(b"nel", b'{"max_age": 0}')]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("img-src 'self'; report-uri https://tracker.test/r", "img-src 'self';"),
        ("REPORT-URI /own https://tracker.test/r; img-src a", "REPORT-URI /own; img-src a"),
        ("report-uri /own; img-src https://tracker.test", "report-uri /own; img-src https://tracker.test"),
    ],
)
@pytest.mark.parametrize("name", [b"content-security-policy", b"content-security-policy-report-only"])
def test_policies_report_to_no_held_host(name: bytes, policy: str, kept: str) -> None:
    """A policy on what is no page loses the places of its reports that are held, and nothing else."""
    assert hold_reporting([(name, policy.encode())], NOBODY) == [(name, kept.encode())]
    assert hold_reporting([(name, policy.encode())], EVERYBODY) == [(name, policy.encode())]
    assert hold_reporting([(b"x-policy", policy.encode())], NOBODY) == [(b"x-policy", policy.encode())]


@pytest.mark.parametrize(
    ("existing", "merged"),
    [(None, "Cookie, Sec-GPC"), ("cookie", "cookie, Sec-GPC"), ("*", "*"), ("Accept , ", "Accept, Cookie, Sec-GPC")],
)
def test_vary_is_merged(existing: str | None, merged: str) -> None:
    """Each name stands once, in the order it came."""
    assert vary(existing, ("Cookie", "Sec-GPC")) == merged


@given(st.from_regex(r'\A(W/)?"[^"\x00-\x20]*"\Z'), st.from_regex(r"\A[-][a-z0-9]{1,8}\Z"))
def test_an_entity_tag_gets_its_state_and_loses_it_again(etag: str, suffix: str) -> None:
    """Taking the suffix off gives the app's own tag back."""
    assert etag_without(etag_with(etag, suffix), suffix) == etag


def test_only_tags_of_the_same_state_are_asked_about() -> None:
    """A tag from before a withdrawal never reaches the app."""
    assert none_match('"a-s1", W/"b-s2", "c"', "-s1") == '"a"'
    assert none_match('"c"', "-s1") is None
    assert none_match("*", "-s1") is None
    assert etag_with("nonsense", "-s1") == "nonsense"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("link", "<beacon/a.js>; rel=preload; as=script, <own.css>; rel=preload", " <own.css>; rel=preload"),
        ("link", "<../beacon/>; rel=prefetch", None),
        ("refresh", "0; url=beacon/x", None),
        ("reporting-endpoints", 'a="beacon/r", b="/own"', ' b="/own"'),
        ("speculation-rules", '"beacon/rules.json"', None),
    ],
)
def test_relative_addresses_start_from_the_page(name: str, value: str, kept: str | None) -> None:
    """A service on a path of the site is held in headers however its path is written."""
    bases = NOBODY.rules.page("https://meridian.example/page")
    headers = hold_headers([(name.encode(), value.encode())], NOBODY, bases=bases)
    assert headers == ([(name.encode(), kept.strip().encode())] if kept is not None else [])
    elsewhere = NOBODY.rules.page("https://meridian.example/news/deep/page")
    assert hold_headers([(name.encode(), value.encode())], NOBODY, bases=elsewhere) == [(name.encode(), value.encode())]
