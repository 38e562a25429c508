"""Read reports about a Content-Security-Policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.violations import CSP_REPORT, MOST, REPORTS, violations

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["csp-report", "type", "body", "effectiveDirective", "blockedURL", "blocked-uri", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def single(**report: Any) -> bytes:
    """Return the body of one report in the older format."""
    return json.dumps({"csp-report": {name.replace("_", "-"): value for name, value in report.items()}}).encode()


def several(*bodies: Any, kind: str = "csp-violation") -> bytes:
    """Return a body of reports in the newer format."""
    page = "https://meridian.example/secret?who=me"
    return json.dumps([{"type": kind, "age": 1, "url": page, "user_agent": "U", "body": b} for b in bodies]).encode()


@pytest.mark.parametrize(
    ("report", "found"),
    [
        (
            {
                "document_uri": "https://meridian.example/secret",
                "referrer": "https://other.test/",
                "effective_directive": "img-src",
                "violated_directive": "default-src",
                "blocked_uri": "https://X.test:8443/p.gif?id=7",
            },
            [("img-src", "x.test")],
        ),
        ({"violated_directive": "script-src 'self' a.test", "blocked_uri": "wss://x.test"}, [("script-src", "x.test")]),
        ({"effective_directive": "img-src", "blocked_uri": "http://[::1]:80/a"}, [("img-src", "[::1]")]),
        (
            {"effective_directive": "img-src", "blocked_uri": "https://bücher.test/"},
            [("img-src", "xn--bcher-kva.test")],
        ),
        *(
            ({"effective_directive": "script-src", "blocked_uri": word}, [])
            for word in (
                "inline",
                "eval",
                "data",
                "blob",
                "self",
                "",
                "about:blank",
                "chrome-extension://abc/x.js",
                "//x.test",
            )
        ),
        ({"effective_directive": "frame-ancestors", "blocked_uri": "https://x.test/"}, []),
        ({"effective_directive": "img-src", "blocked_uri": "https://" + "x" * 300 + ".test/"}, []),
        ({"effective_directive": "img-src", "blocked_uri": "https://a b/"}, []),
        ({"effective_directive": 7, "blocked_uri": ["https://x.test/"]}, []),
        ({}, []),
    ],
)
def test_of_a_report_directive_and_host_are_kept(report: dict[str, Any], found: list[tuple[str, str]]) -> None:
    """Whatever names no host of the web is left out; no address of a page comes along."""
    assert violations(single(**report), CSP_REPORT) == found


def test_several_reports_in_one_message() -> None:
    """Each violation counts; other kinds of reports do not; and there is an end to them."""
    one = {"effectiveDirective": "connect-src", "blockedURL": "https://x.test/y", "documentURL": "https://m.test/z"}
    other = {"effectiveDirective": "font-src", "blockedURL": "https://y.test/"}
    assert violations(several(one, other, None, {}), REPORTS) == [("connect-src", "x.test"), ("font-src", "y.test")]
    assert violations(several(one, kind="deprecation"), REPORTS) == []
    assert violations(b"[]", REPORTS) == []
    assert len(violations(several(*[one] * (MOST + 5)), REPORTS)) == MOST


@pytest.mark.parametrize("media_type", [CSP_REPORT, REPORTS])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"7", b"null", b'{"csp-report": 7}', b"[7]", b"[" * 9000])
def test_what_is_no_report(media_type: str, body: bytes) -> None:
    """It is refused, however it is made."""
    with pytest.raises(ValueError):  # noqa: PT011 - a decoding error is as good as ours
        violations(body, media_type)


@given(JSON, st.sampled_from([CSP_REPORT, REPORTS]))
def test_nothing_else_is_raised(content: Any, media_type: str) -> None:
    """Any JSON is read or refused."""
    try:
        found = violations(json.dumps(content).encode(), media_type)
    except ValueError:
        return
    assert all(host and directive for directive, host in found)
