"""Read the colours of a style sheet, and compare them as WCAG does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from colorsys import hls_to_rgb
from dataclasses import dataclass

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_FUNCTION = re.compile(r"(rgb|hsl|oklch)\(([^()]*)\)", re.IGNORECASE)
_NUMBER = re.compile(r"([+-]?\d*\.?\d+)(%|deg)?", re.IGNORECASE)
FORMS = "#1f3f5f, rgb(31 63 95), hsl(210 51% 25%) or oklch(36% 0.07 250)"


@dataclass(frozen=True, slots=True)
class Colour:
    """Hold an opaque sRGB colour: red, green and blue from 0 to 1."""

    red: float
    green: float
    blue: float

    @classmethod
    def parse(cls, text: str) -> Colour:
        """Return the colour that CSS Color 4 means by a text. Raises ValueError for any form but those in FORMS."""
        if _HEX.fullmatch(text):
            step = 1 if len(text) == 4 else 2
            parts = (text[n : n + step] * (3 - step) for n in range(1, len(text), step))
            return cls(*(int(part, 16) / 255 for part in parts))
        function = _FUNCTION.fullmatch(text)
        numbers = [_NUMBER.fullmatch(one) for one in re.split(r"[\s,]+", function[2].strip())] if function else []
        if function is None or len(numbers) != 3 or None in numbers:
            raise ValueError(f"{text!r} is no opaque colour that can be checked: write it as {FORMS}")
        values = [(float(one[1]), (one[2] or "").lower()) for one in numbers if one]
        readers: dict[str, Callable[[Value, Value, Value], Colour]] = {"rgb": _rgb, "hsl": _hsl, "oklch": _oklch}
        first, second, third = values
        return readers[function[1].lower()](first, second, third)

    @property
    def luminance(self) -> float:
        """Return the relative luminance (WCAG 2.2), from 0 to 1."""
        red, green, blue = map(_linear, (self.red, self.green, self.blue))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(self, other: Colour) -> float:
        """Return the contrast ratio (WCAG 2.2), from 1 to 21."""
        dark, light = sorted((self.luminance, other.luminance))
        return (light + 0.05) / (dark + 0.05)


Value = tuple[float, str]


def _part(value: Value, *, whole: float) -> float:
    number, unit = value
    return number / (100 if unit == "%" else whole)


def _clamped(*parts: float) -> Colour:
    return Colour(*(min(1.0, max(0.0, part)) for part in parts))


def _rgb(red: Value, green: Value, blue: Value) -> Colour:
    return _clamped(*(_part(value, whole=255) for value in (red, green, blue)))


def _hsl(hue: Value, saturation: Value, lightness: Value) -> Colour:
    return _clamped(
        *hls_to_rgb(
            hue[0] / 360 % 1,
            min(1.0, max(0.0, _part(lightness, whole=100))),
            min(1.0, max(0.0, _part(saturation, whole=100))),
        )
    )


def _oklch(lightness: Value, chroma: Value, hue: Value) -> Colour:
    # CSS Color 4, §9.3 and its sample code: polar to Oklab, to cone responses, to linear sRGB. What lies outside sRGB
    # is clipped, as browsers do.
    light = _part(lightness, whole=1)
    strength = chroma[0] * (0.004 if chroma[1] == "%" else 1)
    a, b = strength * math.cos(math.radians(hue[0])), strength * math.sin(math.radians(hue[0]))
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return _clamped(
        _encoded(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short),
    )


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _encoded(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
