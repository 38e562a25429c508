"""Test how a site's theme becomes the style sheet that visitors get."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from consent import ConsentMiddleware, testing
from consent.assets import load
from consent.cli.findings.looks import find
from consent.errors import ConfigurationError
from consent.theme import Look, Position, Scheme, Theme
from tests.shown import STATIC

DARK = "@media (prefers-color-scheme:dark)"


def sheet(look: Look) -> str:
    """Return the style sheet of a look."""
    return load(STATIC, look)["consent.css"].data.decode()


def test_the_table_colours_the_sheet() -> None:
    """Serve a site's own colours, light and dark, each in its scheme, and ours where it names none."""
    made = testing.settings(theme={"accent": "#7a1f2b", "font": "Literata, serif", "dark": {"accent": "#f0b6bd"}})
    light, dark = re.findall(r":where\(:root\)\{(.*?)\}", sheet(made.look))
    assert "--cst-accent:#7a1f2b;" in light
    assert "--cst-font:Literata, serif;" in light
    assert "--cst-on-accent:#fff;" in light
    assert "--cst-accent:#f0b6bd;" in dark
    assert "--cst-on-accent:#0e1a27" in dark


@pytest.mark.parametrize(
    ("scheme", "ink", "asks"), [("auto", "#1d1c1a", True), ("light", "#1d1c1a", False), ("dark", "#eceae6", False)]
)
def test_a_scheme_can_be_fixed(scheme: Scheme, ink: str, asks: bool) -> None:
    """Ask the visitor's system by `auto` alone, and tell the browser's own controls."""
    text = sheet(Look(scheme=scheme))
    assert text.startswith(f":where(:root){{--cst-ink:{ink};")
    assert (DARK in text) == asks
    assert f"--cst-scheme:{'light dark' if asks else scheme}}}" in text


def test_every_position_is_a_sheet_of_its_own() -> None:
    """Add the rules of the corner and of the centre to those of the bar."""
    bar, corner, centre = (sheet(Look(position=one)) for one in get_args(Position))
    assert corner.startswith(bar)
    assert centre.startswith(bar)
    assert len({bar, corner, centre}) == 3


def test_the_sheet_is_served_under_its_own_digest() -> None:
    """Let browsers keep it for ever: another theme has another address."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    addresses = set()
    for accent in ("#7a1f2b", "#204a20"):
        site = testing.site(theme={"accent": accent})
        client = TestClient(ConsentMiddleware(app, site=site), base_url="https://testserver")
        addresses.add(site.assets["consent.css"].address)
        answer = client.get(f"/privacy/assets/{site.assets['consent.css'].address}")
        assert f"--cst-accent:{accent};" in answer.text
        assert "immutable" in answer.headers["cache-control"]
    assert len(addresses) == 2


@pytest.mark.parametrize(
    "theme",
    [
        {"accent": "red"},
        {"accent": "#fff8"},
        {"accent": "#fff;}#cst{display:none"},
        {"reject": "#eee"},
        {"button_size": "2px"},
        {"font": "x;} #cst { display: none"},
        {"font": "url(https://fonts.example/x)"},
        {"radius": "9em"},
        {"radius": "-4px"},
        {"width": "1e3px"},
        {"width": "calc(100vw * 9)"},
        {"dark": {"font": "serif"}},
    ],
    ids=str,
)
def test_what_could_hide_or_set_apart_is_refused(theme: dict[str, object]) -> None:
    """Know no name that would reach one answer alone, and take no value that ends its rule, hides or blows up."""
    with pytest.raises(ConfigurationError, match="theme"):
        testing.settings(theme=theme)


def test_our_own_theme_can_be_read() -> None:
    """Reach 5:1 for all text, buttons included, and 3:1 for lines, in both schemes, so that nothing is found."""
    assert list(find(testing.settings())) == []


def test_only_what_is_shown_is_looked_at() -> None:
    """Leave the dark colours of a site alone that is always light."""
    assert set(Look().seen) == {"theme", "theme.dark"}
    faint = Theme.model_validate({"dark": {"ink": "#333"}})
    assert set(Look(theme=faint, scheme="light").seen) == {"theme"}
    assert not list(find(testing.settings(theme=faint.model_dump(exclude_unset=True), scheme="light")))
    assert list(find(testing.settings(theme=faint.model_dump(exclude_unset=True))))
