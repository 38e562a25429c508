"""Check what a placeholder takes over from the embed it stands for, and what it never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from consent import ConsentMiddleware, testing
from consent.embed import Embed, described

VIDEO = {"title": "Video", "provider": "Video Ltd", "purpose": "media", "hosts": ["video.example"]}


def page_with(embed: str) -> str:
    """Return a page with one embed, as a visitor who has not answered gets it."""

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><title>t</title><body>{embed}</body>")

    site = testing.site(services={"video": VIDEO}, undeclared="hold")
    app = ConsentMiddleware(Starlette(routes=[Route("/", page)]), site=site)
    return TestClient(app, base_url="https://testserver").get("/").text


@pytest.mark.parametrize(
    ("given_size", "taken"),
    [
        ("640", "640"),
        (" 640px ", "640"),
        ("62.5%", "62.5%"),
        ("", ""),
        ("-3", ""),
        ("9in", ""),
        ("1e3", ""),
        ('5"', ""),
    ],
)
def test_sizes_are_numbers_or_shares(given_size: str, taken: str) -> None:
    """Take over pixels and per cent, and nothing else."""
    assert described([("width", given_size)]).width == taken


@pytest.mark.parametrize(
    "preview", ["//evil.example/p.png", "/\\evil.example", "https://evil.example/p", "p.png", "javascript:x()", "/a b"]
)
def test_a_preview_is_the_sites_own(preview: str) -> None:
    """Show no picture that would ask anybody else, or whose address depends on where the page stands."""
    assert described([("data-consent-preview", preview)]).preview == ""


@pytest.mark.parametrize("link", ["javascript:x()", "data:text/html,x", "//evil.example", "ftp://a.example/", "x"])
def test_a_fallback_is_a_link(link: str) -> None:
    """Lead to nothing but pages."""
    assert described([("data-consent-fallback", link)]).fallback == ""


def test_the_sites_title_goes_before_the_elements_own() -> None:
    """Prefer what the site says to visitors who see no embed."""
    assert described([("title", "Player"), ("data-consent-title", "The  film")]).title == "The film"
    assert described([("title", "Player")]).title == "Player"


def test_the_ratio_needs_both_sizes_in_pixels() -> None:
    """Let height follow width only where both are known."""
    assert Embed(width="640", height="360").ratio == "640 360"
    assert Embed(width="100%", height="360").ratio == Embed(width="640").ratio == ""


@given(
    st.lists(st.tuples(st.sampled_from(["width", "class", "data-consent-preview", "data-consent-fallback"]), st.text()))
)
def test_nothing_makes_it_raise(attributes: list[tuple[str, str]]) -> None:
    """Read whatever a page has."""
    embed = described(attributes)
    assert not embed.preview or embed.preview[0] == "/"


def test_a_placeholder_says_what_the_site_says() -> None:
    """Carry title, picture, link, size and class from the parked element into its placeholder."""
    html = page_with(
        '<iframe src="https://video.example/1" class="wide &quot;x" width="640" height="360" '
        'data-consent-title="The <b>film</b>" data-consent-preview="/p.jpg" data-consent-fallback="https://v.example/1">'
        "</iframe>"
    )
    hold = html[html.index('<span class="cst-hold') : html.index("<iframe")]
    assert "The &lt;b&gt;film&lt;/b&gt;" in hold
    assert 'src="/p.jpg" alt="" loading="lazy" width="640" height="360"' in hold
    assert 'href="https://v.example/1"' in hold
    assert 'class="cst-hold wide &#34;x"' in hold
    parked = html[html.index("<iframe") :]
    assert 'data-page-data-consent-title="The' in parked, "the script must not take it for a parked title"


@pytest.mark.parametrize(
    "unseen", ['width="0" height="0"', "hidden", 'style="display: none"', 'height="1"', 'style="visibility:hidden"']
)
def test_what_takes_no_room_gets_no_placeholder(unseen: str) -> None:
    """Park a frame that nobody sees without showing anything in its place."""
    html = page_with(f'<iframe src="https://video.example/1" {unseen}></iframe>')
    assert "cst-hold" not in html
    assert 'data-consent-service="video"' in html
