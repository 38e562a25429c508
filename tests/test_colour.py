"""Test that colours are read as style sheets mean them, and compared as WCAG does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.colour import Colour

PART = st.integers(0, 255)


def bytes_of(text: str) -> tuple[int, int, int]:
    """Return a colour as a screen shows it."""
    colour = Colour.parse(text)
    return (round(colour.red * 255), round(colour.green * 255), round(colour.blue * 255))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("#fff", (255, 255, 255)),
        ("#1F3f5f", (31, 63, 95)),
        ("rgb(31 63 95)", (31, 63, 95)),
        ("rgb(31, 63, 95)", (31, 63, 95)),
        ("rgb(100% 0% 300)", (255, 0, 255)),
        ("hsl(0 100% 50%)", (255, 0, 0)),
        ("hsl(210deg, 50.8%, 24.7%)", (31, 63, 95)),
        ("hsl(-120 100% 50%)", (0, 0, 255)),
        ("oklch(100% 0 0)", (255, 255, 255)),
        ("oklch(0.62796 0.25768 29.234)", (255, 0, 0)),
        ("oklch(0.86644 0.29483 142.495deg)", (0, 255, 0)),
        ("oklch(45.201% 78.304% 264.052)", (0, 0, 255)),
    ],
)
def test_every_form_means_what_browsers_take_it_for(text: str, shown: tuple[int, int, int]) -> None:
    """Read hexadecimal, rgb(), hsl() and oklch(); the last three are the primaries of sRGB (CSS Color 4)."""
    assert bytes_of(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "red",
        "#ff",
        "#ffff",
        "#12345678",
        "rgb(1 2)",
        "rgb(1 2 3 / 50%)",
        "rgba(1,2,3,.5)",
        "var(--x)",
        "hsl(a b c)",
        "#fff;} body{display:none",
        "rgb(1 2 3) ",
        "lab(50% 40 59)",
        "color-mix(in srgb, red, blue)",
        "currentColor",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    """Say which forms can be checked, for names, transparency, references and whatever would end the rule."""
    with pytest.raises(ValueError, match="write it as #1f3f5f"):
        Colour.parse(text)


@given(PART, PART, PART)
def test_two_spellings_are_one_colour(red: int, green: int, blue: int) -> None:
    """Read a colour's digits and its numbers alike."""
    assert Colour.parse(f"#{red:02x}{green:02x}{blue:02x}") == Colour.parse(f"rgb({red} {green} {blue})")


def test_contrast_is_that_of_wcag() -> None:
    """Reach 21:1 for black on white, 1:1 for a colour on itself, and the known 4.54:1 for #767676."""
    white = Colour.parse("#fff")
    assert white.contrast(Colour.parse("#000")) == pytest.approx(21)
    assert white.contrast(white) == 1
    assert Colour.parse("#767676").contrast(white) == pytest.approx(4.54, abs=0.005)
