"""Test suppression as an attacker would: by adding and subtracting everything that is published."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.ledger.disclosure import LEAST, Group, Name, publishable
from consent.ledger.statistics import WHOLE, Week, figures_of, released
from consent.ledger.tally import Cell

NOTICES = {"a1": "en", "a2": "en", "b1": "uk", "b2": "uk", "c1": "pl"}
Cells = dict[Cell, int]


def cell(day: int = 7, notice: str = "a1", regime: str = "opt-in", yes: str = "analytics", no: str = "") -> Cell:
    """Return a cell; purposes are named in one string."""
    return Cell(day, notice, NOTICES[notice], regime, tuple(yes.split()), tuple(no.split()))


answers = st.sampled_from([("analytics", "media"), ("", "analytics media"), ("analytics", ""), ("media", "analytics")])
sizes = st.one_of(st.integers(1, 12), st.integers(1, 60))
tables = st.dictionaries(
    st.builds(
        lambda day, notice, regime, said: cell(day, notice, regime, *said),
        st.integers(1, 7),
        st.sampled_from(sorted(NOTICES)),
        st.sampled_from(["opt-in", "opt-out"]),
        answers,
    ),
    sizes,
    min_size=1,
    max_size=12,
)


def members(name: Name, cells: Cells) -> list[Cell]:
    """Return the cells of a row, told from the row's name alone."""
    return [
        one
        for one in cells
        if name[0] == "all"
        or name[-1]
        == {"day": str(one.day), "language": one.language, "regime": one.regime, "notice": one.notice}[name[0]]
    ]


def solves(known: list[list[int]], wanted: list[int]) -> bool:
    """Tell whether a row is a combination of others: Gauss in fractions, written apart from the code under test."""
    columns = [[Fraction(row[place]) for row in known] + [Fraction(wanted[place])] for place in range(len(wanted))]
    rank = 0
    for unknown in range(len(known)):
        pivot = next((one for one in range(rank, len(columns)) if columns[one][unknown]), None)
        if pivot is None:
            continue
        columns[rank], columns[pivot] = columns[pivot], columns[rank]
        for one in range(rank + 1, len(columns)):
            factor = columns[one][unknown] / columns[rank][unknown]
            if factor:
                columns[one] = [a - factor * b for a, b in zip(columns[one], columns[rank], strict=True)]
        rank += 1
    return all(not equation[-1] for equation in columns[rank:])


def has(one: Cell, purpose: str | None) -> bool:
    """Tell whether a cell counts for a size: all answers, or those about a purpose."""
    return purpose is None or purpose in one.yes or purpose in one.no


@settings(max_examples=50)
@given(tables)
def test_no_published_rows_give_a_small_one_away(cells: Cells) -> None:
    """Nobody who adds and subtracts published rows gets at a row of one to nine, in answers or in any purpose."""
    week = released(1, cells)
    for purpose in (None, "analytics", "media"):
        support = [one for one in cells if has(one, purpose)]

        def vector(name: Name, support: list[Cell] = support) -> list[int]:
            mine = set(members(name, cells))
            return [int(one in mine) for one in support]

        known = [vector(name) for name, row in week.rows.items() if row is not None]
        for name in week.rows:
            size = sum(cells[one] for one in members(name, cells) if has(one, purpose))
            if 0 < size < LEAST:
                assert week.rows[name] is None
                assert not solves(known, vector(name)), name


@settings(max_examples=50)
@given(tables)
def test_what_a_total_leaves_over_is_no_small_group(cells: Cells) -> None:
    """A published total without its published parts is nothing or at least ten: two small rows do not add up to one."""
    week = released(1, cells)
    parts: dict[tuple[Name, str], list[Name]] = {}
    for name in week.rows:
        if name != WHOLE:
            parent: Name = ("language", name[1]) if name[0] == "notice" else WHOLE
            parts.setdefault((parent, name[0]), []).append(name)
    for (parent, _), names in parts.items():
        if week.rows[parent] is None:
            assert all(week.rows[name] is None for name in names if name[0] == "notice")
            continue
        for purpose in (None, "analytics", "media"):
            rest = sum(
                cells[one]
                for name in names
                if week.rows[name] is None
                for one in members(name, cells)
                if has(one, purpose)
            )
            assert rest == 0 or rest >= LEAST, (parent, names)


@settings(max_examples=50)
@given(tables)
def test_what_is_published_is_true(cells: Cells) -> None:
    """A row is the sum of its cells or is kept back, and where no row is small none is kept back."""
    week = released(1, cells)
    for name, row in week.rows.items():
        assert row is None or row == figures_of({one: cells[one] for one in members(name, cells)})
    larger = released(1, {one: count + LEAST for one, count in cells.items()})
    assert None not in larger.rows.values()


def test_a_small_row_takes_another_one_along() -> None:
    """One language of four answers would be the week without the others: the next smallest is kept back too."""
    week = released(1, {cell(notice="a1"): 100, cell(notice="b1"): 30, cell(notice="c1"): 4})
    assert shown(week, "language") == {"en": 100, "uk": None, "pl": None}
    assert week.rows[WHOLE] is not None


def test_rows_of_different_tables_give_none_away() -> None:
    """Where only one language knows the other regime, that regime's row must not stand for the language's small one."""
    cells = {cell(notice="a1"): 60, cell(notice="b1"): 30, cell(notice="b1", regime="opt-out"): 12, cell(day=6): 3}
    week = released(1, cells)
    assert week.rows["day", "6"] is None
    assert week.rows["day", "7"] is None
    assert shown(week, "language") == {"en": 63, "uk": 42}


def test_two_small_rows_that_are_small_together() -> None:
    """Two rows of two are kept back with a third, or what is left of the total would be a group of four."""
    week = released(1, {cell(notice="a1"): 80, cell(notice="b1"): 2, cell(notice="c1"): 2})
    assert shown(week, "language") == {"en": None, "uk": None, "pl": None}


def test_a_small_week_shows_nothing() -> None:
    """Of nine answers nothing is said at all."""
    assert set(released(1, {cell(): 9}).rows.values()) == {None}


def test_nothing_to_publish() -> None:
    """No rows give no rows."""
    assert publishable([]) == frozenset()
    one = Group(name=WHOLE, sizes=(LEAST,), cells=(frozenset({0}),))
    assert publishable([one]) == {WHOLE}


def shown(week: Week, table: str) -> dict[str, int | None]:
    """Return the answers of a table's rows, by their last name."""
    return {name[-1]: None if row is None else row.answers for name, row in week.rows.items() if name[0] == table}
