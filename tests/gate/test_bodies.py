"""Remember what was gated, within a bound."""

from __future__ import annotations

from consent.gate.bodies import LONGEST, Bodies


def test_what_is_kept_comes_back() -> None:
    """A key gives what was kept for it, and nothing else does."""
    bodies = Bodies[bytes]()
    bodies.keep(("a", b"page"), b"gated", size=9)
    assert bodies.get(("a", b"page")) == b"gated"
    assert bodies.get(("b", b"page")) is None


def test_the_bound_is_kept() -> None:
    """What was not asked for longest goes first."""
    bodies = Bodies[int](budget=30)
    for number in range(3):
        bodies.keep((number,), number, size=10)
    assert bodies.get((0,)) == 0
    bodies.keep((3,), 3, size=10)
    assert [bodies.get((number,)) for number in range(4)] == [0, None, 2, 3]


def test_keeping_twice_counts_once() -> None:
    """The same key takes its size once, so that nothing is let go of for it."""
    bodies = Bodies[int](budget=20)
    bodies.keep((0,), 0, size=10)
    for _ in range(5):
        bodies.keep((1,), 1, size=10)
    assert bodies.get((0,)) == 0


def test_a_very_long_page_is_not_kept() -> None:
    """One page never takes the place of all others."""
    bodies = Bodies[bytes]()
    bodies.keep((0,), b"", size=2 * LONGEST + 1)
    assert bodies.get((0,)) is None
