"""Read addresses as browsers do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.address import normal_host, normal_path, read


@pytest.mark.parametrize(
    ("text", "host"),
    [
        pytest.param("http://tracker.test/a", "tracker.test", id="plain"),
        pytest.param("  \x00\thttp://tracker.test", "tracker.test", id="leading-controls"),
        pytest.param("ht\ntp://tra\tcker.te\rst/x", "tracker.test", id="tab-and-newline-inside"),
        pytest.param("//tracker.test/a", "tracker.test", id="scheme-relative"),
        pytest.param("\\\\tracker.test\\a", "tracker.test", id="backslashes"),
        pytest.param("http:\\\\tracker.test\\a", "tracker.test", id="scheme-and-backslashes"),
        pytest.param("http:tracker.test/a", "tracker.test", id="no-slashes"),
        pytest.param("https:////tracker.test", "tracker.test", id="many-slashes"),
        pytest.param("HTTPS://TRACKER.TEST", "tracker.test", id="upper-case"),
        pytest.param("http://me:you@own.test@tracker.test/", "tracker.test", id="user-info"),
        pytest.param("http://tracker.test:8443/", "tracker.test", id="port"),
        pytest.param("http://tracker.test./", "tracker.test", id="trailing-dot"),
        pytest.param("http://%74racker.test/", "tracker.test", id="percent-encoded"),
        pytest.param("http://\uff54racker\u3002test/", "tracker.test", id="full-width"),
        pytest.param("http://tra\u00adcker.test/", "tracker.test", id="soft-hyphen"),
        pytest.param("http://b\u00fccher.test/", "xn--bcher-kva.test", id="international"),
        pytest.param("http://0x7f.1/", "127.0.0.1", id="odd-ipv4"),
        pytest.param("http://2130706433/", "127.0.0.1", id="ipv4-as-a-number"),
        pytest.param("http://[0:0::1]/", "[::1]", id="ipv6"),
        pytest.param("wss://tracker.test", "tracker.test", id="web-socket"),
        pytest.param("/tracker.test", "", id="path"),
        pytest.param("tracker.test", "", id="relative"),
        pytest.param("data:text/html,//tracker.test", "", id="data"),
        pytest.param("javascript:0", "", id="javascript"),
        pytest.param("", "", id="empty"),
    ],
)
def test_the_host_is_what_a_browser_would_ask(text: str, host: str) -> None:
    """Every spelling of a host is read as that host."""
    assert read(text).host == host


def test_ports_are_those_the_address_may_ask() -> None:
    """A port is the one given, the scheme's, or either of the web's where the page's scheme decides."""
    assert read("http://a.test:8001").ports == (8001,)
    assert read("https://a.test:443").ports == (443,)
    assert read("//a.test").ports == (80, 443)


@pytest.mark.parametrize(
    ("base", "text", "path"),
    [
        ("https://a.test/one/two", "three", "/one/three"),
        ("https://a.test/one/two", "/three?x", "/three"),
        ("https://a.test/one/two", "../three", "/three"),
        ("https://a.test/one/two", "?x", "/one/two"),
    ],
)
def test_relative_addresses_are_resolved(base: str, text: str, path: str) -> None:
    """A relative address takes host and folder from the base."""
    address = read(text, base=read(base))
    assert (address.host, address.path) == ("a.test", path)


@pytest.mark.parametrize(
    ("path", "normal"),
    [("/a/./b/../c", "/a/c"), ("/%6daps/x?q#f", "/maps/x"), ("\\A\\b", "/a/b"), ("", "/"), ("/a//b/", "/a/b/")],
)
def test_paths_have_one_spelling(path: str, normal: str) -> None:
    """Dots, percent-encoding, backslashes and case make no other path."""
    assert normal_path(path) == normal


@given(st.text())
def test_nothing_makes_reading_raise(text: str) -> None:
    """Any text is an address, and its host is in normal form already."""
    host = read("//" + text).host
    assert normal_host(host) == host or not host.isascii() or "%" in host
    read(text)
