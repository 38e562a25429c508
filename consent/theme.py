"""Make the style sheet a site's visitors get from ours: its colours, its scheme, where the first layer stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from consent.colour import Colour

Scheme = Literal["auto", "light", "dark"]
Position = Literal["bar", "corner", "centre"]

LONGEST = {"px": 2000.0, "rem": 120.0, "em": 120.0}
ROUNDEST = {"px": 22.0, "rem": 1.4, "em": 1.4}
"""Half the least height of a button: beyond that, corners only take room from its words."""
_FONTS = re.compile(r"""(?:[\w -]+|"[\w -]+"|'[\w -]+')(?:,\s*(?:[\w -]+|"[\w -]+"|'[\w -]+'))*""")
_LENGTH = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)(px|rem|em)|0")


def _colour(text: str) -> str:
    Colour.parse(text)
    return text


def _fonts(text: str) -> str:
    if not _FONTS.fullmatch(text):
        raise ValueError(f"{text!r} is no list of fonts: write it as 'Literata, Georgia, serif'")
    return text


def _at_most(text: str, most: dict[str, float]) -> str:
    found = _LENGTH.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no length: write it as '4px' or '0.25rem'")
    if found[2] and float(found[1]) > most[found[2]]:
        raise ValueError(f"{text!r} is too much: {most[found[2]]:g}{found[2]} at most")
    return text


ColourText = Annotated[str, AfterValidator(_colour)]
Fonts = Annotated[str, AfterValidator(_fonts)]
Radius = Annotated[str, AfterValidator(lambda text: _at_most(text, ROUNDEST))]
Width = Annotated[str, AfterValidator(lambda text: _at_most(text, LONGEST))]


class Colours(BaseModel):
    """Name the seven colours of one scheme; the values here are those of the dark one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ink: ColourText = "#eceae6"
    """Text."""
    quiet: ColourText = "#bab6ae"
    """Labels and hints."""
    paper: ColourText = "#1a1a1c"
    """The ground of the first layer, of the dialog and of our pages."""
    wash: ColourText = "#242427"
    """The ground of placeholders and boxes."""
    line: ColourText = "#8a8780"
    """Borders."""
    accent: ColourText = "#a8c7e8"
    """Buttons, links, focus."""
    on_accent: ColourText = "#0e1a27"
    """Text on buttons."""


class Theme(Colours):
    """Hold how a site's notices look. What would set one answer apart from another has no name here."""

    ink: ColourText = "#1d1c1a"
    quiet: ColourText = "#55524c"
    paper: ColourText = "#fff"
    wash: ColourText = "#f4f2ee"
    line: ColourText = "#8b867c"
    accent: ColourText = "#1f3f5f"
    on_accent: ColourText = "#fff"
    dark: Colours = Field(default_factory=Colours)
    """The colours of the dark scheme."""
    font: Fonts = "system-ui, sans-serif"
    """The fonts of text."""
    serif: Fonts = 'ui-serif, Georgia, "Times New Roman", serif'
    """The fonts of our pages' headings."""
    radius: Radius = "4px"
    """How round corners are."""
    width: Width = "76em"
    """The widest line of the bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Hold what a site decides about its notices: its theme, its scheme, where the first layer stands."""

    theme: Theme = field(default_factory=Theme)
    scheme: Scheme = "auto"
    position: Position = "bar"

    @property
    def seen(self) -> dict[str, Colours]:
        """Return the colours that visitors can meet, by the name of their table in `consent.toml`."""
        tables: dict[str, tuple[Colours, Scheme]] = {
            "theme": (self.theme, "dark"),
            "theme.dark": (self.theme.dark, "light"),
        }
        return {name: colours for name, (colours, unseen) in tables.items() if self.scheme != unseen}

    def sheet(self, rules: bytes, *, positions: Path) -> bytes:
        """Return the style sheet to serve: custom properties, our rules, and those of a position other than the bar."""
        light, dark = _properties(self.theme), _properties(self.theme.dark)
        rest = {name: str(getattr(self.theme, name)) for name in ("font", "serif", "radius", "width")}
        rest["scheme"] = "light dark" if self.scheme == "auto" else self.scheme
        properties = _rule((dark if self.scheme == "dark" else light) | rest)
        if self.scheme == "auto":
            properties += f"\n@media (prefers-color-scheme:dark){{{_rule(dark)}}}"
        moved = b"" if self.position == "bar" else (positions / f"{self.position}.css").read_bytes()
        return properties.encode() + b"\n" + rules + moved


def _properties(colours: Colours) -> dict[str, str]:
    return {name: getattr(colours, name) for name in Colours.model_fields}


def _rule(values: dict[str, str]) -> str:
    # No specificity: what the site itself sets on :root wins wherever it stands.
    body = ";".join(f"--cst-{name.replace('_', '-')}:{value}" for name, value in values.items())
    return f":where(:root){{{body}}}"
