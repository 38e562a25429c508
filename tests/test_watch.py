"""Put the watching script into a site's pages."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import ConsentMiddleware
from consent.gate.html import Gate, Insert
from consent.gate.rules import View
from consent.shipped import STATIC
from consent.testing import grant
from tests.conftest import PAGE, Ask, MakeClient, MakeSite
from tests.gate.example import rules
from tests.test_responder import answering

WATCH = re.compile(
    r'<script (?:nonce="[^"]*" )?(?:data-narrowed="" )?src="(/privacy/assets/consent-watch[^"]*)"([^>]*)>'
)


def gated(view: View, document: bytes, size: int) -> bytes:
    """Return a document with a mark where the script goes, gated in pieces of this size."""
    gate = Gate(view, charset="utf-8", insert=Insert(watch=b"[W]"))
    pieces = [document[at : at + size] for at in range(0, len(document), size)]
    return b"".join(map(gate.feed, pieces)) + gate.end()


@pytest.mark.parametrize(
    "marked",
    [
        "<!doctype html><!-- a --><html lang=en>\n<head> [W]<meta charset=utf-8><script>1</script></head><body>",
        "<!doctype html><html onload='x()'><head>[W]</head><body>",
        "<html>[W]<script>1</script>",
        "<!doctype html>[W]<script src=/own.js></script>",
        "<!doctype html>[W]text <script>1</script>",
        "<!doctype html>[W]<3",
        "<!doctype html>[W]</p>",
        "<?xml version='1.0'?><!doctype html><html><head/>[W]<body/></html>",
        "<!doctype html>[W]<frameset><frame></frameset>",
        "<!doctype html> ",
        "<p>a fragment<script>1</script>",
        "text<!doctype html><script>1</script>",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_it_comes_before_the_first_script(marked: str, size: int) -> None:
    """In a whole document it is the first element but html and head, however it is cut; a fragment has none."""
    document = marked.replace("[W]", "").encode()
    assert gated(rules().view(frozenset()), document, size).replace(b' name="consent-1"', b"") == marked.encode()


@given(
    st.lists(st.sampled_from(["<!doctype html>", "<html>", "<head a='>'>", "<!--", "-->", " ", "<", "x", "<b>", "</"])),
    st.integers(1, 9),
)
def test_cuts_change_nothing(pieces: list[str], size: int) -> None:
    """It stands at the same place whatever pieces a page comes in, and once at most."""
    document = "".join(pieces).encode()
    view = rules().view(frozenset())
    whole = gated(view, document, 1000)
    assert gated(view, document, size) == whole
    assert whole.count(b"[W]") <= 1


def test_a_page_on_which_something_is_held_back(make_client: MakeClient) -> None:
    """It names who claims which host, and no more; once everything is granted it is gone, unless the rest is held."""
    client = make_client(watch=True)
    page = client.get("/").text
    found = WATCH.search(page)
    assert found is not None
    assert page.index(found[0]) < page.index("<title>")
    assert re.fullmatch(r' data-hosts="[^"]*"', found[2])
    assert "ads\\.lantern\\.example(:\\d+)?=lantern-ads" in found[2]
    script = client.get(found[1])
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    grant(client, "analytics", "marketing")
    found = WATCH.search(client.get("/").text)
    assert found is not None
    assert "lantern-ads" not in found[2]
    assert "lantern-video" in found[2]
    grant(client, "analytics", "marketing", "media")
    assert WATCH.search(client.get("/").text) is None


def test_hosts_that_nobody_declared(make_client: MakeClient) -> None:
    """Where those are held there is always something to watch for."""
    client = make_client(watch=True, undeclared="hold")
    grant(client, "analytics", "marketing", "media")
    found = WATCH.search(client.get("/").text)
    assert found is not None
    assert 'data-rest=""' in found[2]
    assert "=lantern" not in found[2]


def test_without_the_setting_it_is_nowhere(make_client: MakeClient) -> None:
    """It is on by setting only."""
    assert WATCH.search(make_client(undeclared="hold").get("/").text) is None


def test_it_carries_the_nonce_of_the_page(make_site: MakeSite, ask: Ask) -> None:
    """Each response has its own nonce, on this script as on the other."""
    site = make_site(watch=True)
    for nonce in ("one", "two"):
        app = answering(PAGE.encode(), headers=[("content-security-policy", f"script-src 'nonce-{nonce}'")])
        found = WATCH.search(ask(ConsentMiddleware(app, site=site)).body.decode())
        assert found is not None
        assert f'nonce="{nonce}"' in found[0]


def test_it_is_small_and_evaluates_nothing() -> None:
    """It keeps its budget of 1,200 gzipped bytes, and has nothing that a strict policy refuses."""
    data = (STATIC / "consent-watch.js").read_bytes()
    assert len(gzip.compress(data, 9)) <= 1200
    assert not re.search(rb"\beval\b|\bFunction\b|innerHTML|document\.write|\.style\b", data)
