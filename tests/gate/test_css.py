"""Find what a style sheet loads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.css import addresses


@pytest.mark.parametrize(
    "sheet",
    [
        "a{b:url(X)}",
        "a{b:url( 'X' )}",
        'a{b:URL("X")}',
        "@import 'X';",
        '@IMPORT/* ; */\n"X" screen;',
        "@import url(X);",
        "a{b:u\\72 l(X)}",
        "@\\69mport 'X'",
        "a{b:-webkit-image-set('X' 1x, url(Y) 2x)}",
        "a{b:url('unclosed X",
        "a{content:'\\'';b:url(X)}",
        "a{b:url(url(X)}",
        "@font-face{src:src('X')}",
    ],
)
def test_every_way_to_load_is_found(sheet: str) -> None:
    """Calls, imports and image sets are found in any spelling."""
    assert any("X" in address for address in addresses(sheet))


@pytest.mark.parametrize("sheet", ["a{content:'X'}", "a{color:X}", "@media (min-width:X){}", "@charset 'X';", ""])
def test_what_loads_nothing_is_not(sheet: str) -> None:
    """Other strings and calls are no addresses."""
    assert not any("X" in address for address in addresses(sheet))


@given(st.text())
def test_any_text_is_a_style_sheet(text: str) -> None:
    """Nothing makes the search raise, and a called address is always found."""
    list(addresses(text))
    assert "//x.test/" in list(addresses(text + " url(//x.test/)"))
