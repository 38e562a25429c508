"""Find what a style sheet loads."""

from __future__ import annotations

import bisect

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


@pytest.mark.parametrize("tail", ["", "*/", "*/" + " /**/" * 500 + '"//tracker.test/x"'])
def test_comments_that_many_imports_lead_through_are_read_once(tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the imports take twice the steps, not four times."""
    steps: list[int] = []
    step = bisect.bisect_left

    def counting(ends: list[int], at: int) -> int:
        steps.append(at)
        return step(ends, at)

    monkeypatch.setattr(bisect, "bisect_left", counting)
    counted = []
    for count in (1_000, 2_000):
        steps.clear()
        list(addresses("@import/*" * count + tail))
        counted.append(len(steps))
    assert counted[1] <= 2 * counted[0]


@pytest.mark.parametrize(
    ("sheet", "address"),
    [
        ('@import/* a */ /*b*/ "//x.test/1"', "//x.test/1"),
        ("@import\n/**/'//x.test/2'", "//x.test/2"),
        ('"@import/* /**/ @import/*//*/"//x.test/3"*/', "//x.test/3"),
        ('@import/*/ */"//x.test/4"', "//x.test/4"),
    ],
)
def test_an_import_behind_comments(sheet: str, address: str) -> None:
    """Find the address behind whatever white space and comments CSS allows before it."""
    assert address in set(addresses(sheet))
