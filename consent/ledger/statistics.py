"""Say how often each purpose is accepted and refused, week by week and by notice, language and regime; about nobody."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from consent.ledger.disclosure import Group, Name, publishable
from consent.ledger.store import Store
from consent.ledger.tally import Cell, Tally, monday

TABLES = ("language", "notice", "regime")
WHOLE: Name = ("all",)
DAYS_A_WEEK = 7
_DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
JUMP_WEEKS = 4
"""Weeks before and after a notice changed that are compared."""
JUMP_ANSWERS = 50
"""The fewest answers on either side."""
JUMP_POINTS = 0.05
"""The smallest difference of two shares that is a jump."""
JUMP_Z = 3.29
"""The z of a two-proportion test that chance exceeds, either way, once in a thousand times."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Count answers: how many, and by purpose how many yes and how many no."""

    answers: int = 0
    yes: Mapping[str, int] = field(default_factory=dict)
    no: Mapping[str, int] = field(default_factory=dict)

    def asked(self, purpose: str) -> int:
        """Return how many said yes or no to a purpose."""
        return self.yes.get(purpose, 0) + self.no.get(purpose, 0)

    def share(self, purpose: str) -> float | None:
        """Return the share of yes, None where nobody was asked."""
        asked = self.asked(purpose)
        return self.yes.get(purpose, 0) / asked if asked else None

    @property
    def purposes(self) -> list[str]:
        """Return the keys of the purposes that were answered, sorted."""
        return sorted({*self.yes, *self.no})


def added(parts: Iterable[Figures]) -> Figures:
    """Return the sum of figures."""
    answers, yes, no = 0, Counter[str](), Counter[str]()
    for part in parts:
        answers += part.answers
        yes.update(part.yes)
        no.update(part.no)
    return Figures(answers, yes, no)


def figures_of(cells: Mapping[Cell, int]) -> Figures:
    """Add up cells."""
    answers, yes, no = 0, Counter[str](), Counter[str]()
    for cell, count in cells.items():
        answers += count
        yes.update(dict.fromkeys(cell.yes, count))
        no.update(dict.fromkeys(cell.no, count))
    return Figures(answers, yes, no)


@dataclass(frozen=True, slots=True)
class Week:
    """Hold the rows of one week, from the ordinal of its Monday on; a row that is kept back is None.

    Rows are named `all`, `day` and its ordinal, `language`, `regime`, or `notice` and its language and digest.
    """

    monday: int
    rows: Mapping[Name, Figures | None]


class Statistics:
    """Turn a tally into weeks that may be published, or, where `exact`, into all there is.

    Published are whole weeks: what is taken out of a week in progress would show who was last. What once was published
    of a week never changes, and no table of one week is the sum of another one's.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._published: dict[int, tuple[int, Week]] = {}

    def weeks(self, *, first: int, last: int, today: int, exact: bool = False) -> list[Week]:
        """Return the weeks with Mondays from `first` to before `last` that hold anything, by ordinals of days."""
        found = []
        for start in sorted(self._tally.weeks):
            if not first <= start < last or not (exact or start + DAYS_A_WEEK <= today):
                continue
            cells = self._tally.weeks[start]
            if exact:
                found.append(Week(start, {name: figures_of(part) for name, part in _rows(cells).items()}))
            else:
                found.append(self._released(start, cells))
        return found

    def _released(self, start: int, cells: Mapping[Cell, int]) -> Week:
        known = self._published.get(start)
        # An entry of last week may be counted after this one has begun, never recorded.
        if known is None or known[0] != sum(cells.values()):
            known = self._published[start] = (sum(cells.values()), released(start, cells))
        return known[1]


def released(start: int, cells: Mapping[Cell, int]) -> Week:
    """Return the rows of a week that may be published together."""
    rows = _rows(cells)
    purposes = figures_of(cells).purposes
    numbers = {cell: number for number, cell in enumerate(cells)}
    groups = [_group(name, part, purposes, numbers) for name, part in rows.items()]
    shown = publishable(groups)
    return Week(start, {name: figures_of(part) if name in shown else None for name, part in rows.items()})


def _group(name: Name, part: Mapping[Cell, int], purposes: Sequence[str], numbers: Mapping[Cell, int]) -> Group:
    supports = [list(part), *([cell for cell in part if key in cell.yes or key in cell.no] for key in purposes)]
    return Group(
        name=name,
        sizes=tuple(sum(part[cell] for cell in support) for support in supports),
        cells=tuple(frozenset(numbers[cell] for cell in support) for support in supports),
        parent=_parent(name),
    )


def _parent(name: Name) -> Name | None:
    if name == WHOLE:
        return None
    return ("language", name[1]) if name[0] == "notice" else WHOLE


def _rows(cells: Mapping[Cell, int]) -> dict[Name, dict[Cell, int]]:
    """Return the cells of every row of a week, rows before what is a part of them."""
    rows: dict[Name, dict[Cell, int]] = {WHOLE: dict(cells)}
    for cell, count in sorted(cells.items()):
        rows.setdefault(("day", str(cell.day)), {})[cell] = count
        rows.setdefault(("language", cell.language), {})[cell] = count
        rows.setdefault(("notice", cell.language, cell.notice), {})[cell] = count
        rows.setdefault(("regime", cell.regime), {})[cell] = count
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Hold the figures of a day or week from this ordinal on, None where they are kept back."""

    start: int
    figures: Figures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Hold the figures of one row over time; `total` is the sum of those that are shown."""

    name: Name
    periods: tuple[Period, ...]

    @property
    def total(self) -> Figures:
        """Return the sum of all figures that are not kept back."""
        return added(period.figures for period in self.periods if period.figures is not None)

    @property
    def kept_back(self) -> int:
        """Return how many periods are kept back."""
        return sum(period.figures is None for period in self.periods)


def by_week(weeks: Sequence[Week], table: str) -> list[Series]:
    """Return a table (`all`, `language`, `notice`, `regime`) as one series for each row, the largest first."""
    names = {name for week in weeks for name in week.rows if name[0] == table}
    series = [
        Series(
            name=name,
            periods=tuple(Period(start=w.monday, figures=w.rows[name]) for w in weeks if name in w.rows),
        )
        for name in sorted(names)
    ]
    return sorted(series, key=lambda one: -one.total.answers)


def by_day(weeks: Sequence[Week]) -> Series:
    """Return all answers day by day."""
    days = sorted((int(name[1]), row) for week in weeks for name, row in week.rows.items() if name[0] == "day")
    return Series(name=WHOLE, periods=tuple(Period(start=day, figures=row) for day, row in days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Say that acceptance of a purpose changed in the week from `start` on, when one notice took over from another.

    `before` and `after` are what was answered in the weeks compared; `z` is that of the two-proportion test.
    """

    start: int
    language: str
    older: str
    newer: str
    purpose: str
    before: Figures
    after: Figures
    z: float


def jumps(weeks: Sequence[Week]) -> list[Jump]:
    """Return where acceptance jumped after a notice changed, by week and purpose.

    The last four published weeks of the older notice stand against the first four of the newer one.
    """
    by_language: dict[str, list[Series]] = defaultdict(list)
    for series in by_week(weeks, "notice"):
        if series.kept_back < len(series.periods) and series.name[2]:
            by_language[series.name[1]].append(series)
    found = []
    for language, notices in by_language.items():
        ordered = sorted(notices, key=lambda one: (one.periods[0].start, one.periods[-1].start, one.name))
        for older, newer in pairwise(ordered):
            start = newer.periods[0].start
            earlier = [one.figures for one in older.periods if one.figures is not None and one.start <= start]
            before = added(earlier[-JUMP_WEEKS:])
            after = added([one.figures for one in newer.periods if one.figures is not None][:JUMP_WEEKS])
            for purpose in after.purposes:
                z = two_proportions(before, after, purpose)
                if z is not None:
                    found.append(
                        Jump(
                            start=start,
                            language=language,
                            older=older.name[2],
                            newer=newer.name[2],
                            purpose=purpose,
                            before=before,
                            after=after,
                            z=z,
                        )
                    )
    return sorted(found, key=lambda one: (one.start, one.language, one.purpose))


def two_proportions(before: Figures, after: Figures, purpose: str) -> float | None:
    """Return the z of the two-proportion test (pooled) where it shows a jump, None where it does not."""
    asked, then = before.asked(purpose), after.asked(purpose)
    if min(asked, then) < JUMP_ANSWERS:
        return None
    first, second = before.yes.get(purpose, 0) / asked, after.yes.get(purpose, 0) / then
    pooled = (before.yes.get(purpose, 0) + after.yes.get(purpose, 0)) / (asked + then)
    error = math.sqrt(pooled * (1 - pooled) * (1 / asked + 1 / then))
    if not error or abs(second - first) < JUMP_POINTS or abs(second - first) / error <= JUMP_Z:
        return None
    return (second - first) / error


def window(*, until: date, weeks: int) -> tuple[int, int]:
    """Return the ordinals of the first Monday of so many weeks, and of that after their last, which holds `until`."""
    last = monday(until.toordinal()) + DAYS_A_WEEK
    return last - weeks * DAYS_A_WEEK, last


def shown_by_day(store: Store, *, first: int, last: int) -> Counter[int]:
    """Return how many pages were sent with the notice in them, by the ordinal of the day, `last` excluded.

    What answers leave of it was ignored: page views, not people.
    """
    begin, end = (max(0, day - _EPOCH) * _DAY for day in (first, last))
    counts: Counter[int] = Counter()
    for total in store.totals("shown", first=begin, last=end):
        counts[total.hour // _DAY + _EPOCH] += total.count
    return counts
