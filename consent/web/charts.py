"""Draw figures as SVG: where each bar stands, so that the template only writes it down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consent.ledger.statistics import Series

HEIGHT = 120.0
BAR, GAP = 24.0, 6.0
LEFT = 42.0
"""Room for the scale, in the chart's own units, as all lengths here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Hold one day or week: where it stands, how high its yes reaches, and what it says; `share` None is a gap."""

    start: int
    x: float
    share: float | None
    yes: int = 0
    asked: int = 0
    marked: bool = False

    @property
    def height(self) -> float:
        """Return the height of the yes."""
        return round(HEIGHT * (self.share or 0.0), 1)

    @property
    def top(self) -> float:
        """Return where the yes ends."""
        return round(HEIGHT - self.height, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Hold one chart: shares of yes to one purpose over time."""

    bars: tuple[Bar, ...]

    @property
    def width(self) -> float:
        """Return how wide the chart is."""
        return LEFT + max(len(self.bars), 6) * (BAR + GAP)


def chart(series: Series, purpose: str, *, marked: Collection[int] = ()) -> Chart:
    """Return the chart of one purpose; `marked` are the starts of the periods that get a mark."""
    bars = []
    for number, period in enumerate(series.periods):
        figures = period.figures
        bars.append(
            Bar(
                start=period.start,
                x=LEFT + number * (BAR + GAP),
                share=None if figures is None else figures.share(purpose),
                yes=0 if figures is None else figures.yes.get(purpose, 0),
                asked=0 if figures is None else figures.asked(purpose),
                marked=period.start in marked,
            )
        )
    return Chart(bars=tuple(bars))
