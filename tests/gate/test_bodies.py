"""Remember what was gated, within a bound."""

from __future__ import annotations

from consent.gate.bodies import LONGEST, Bodies

PAGE = b"<p>hello"


def test_what_is_kept_comes_back() -> None:
    """A key and a body give what was kept for them, and nothing else does."""
    bodies = Bodies[bytes]()
    bodies.keep(("a",), PAGE, b"gated", size=9)
    assert bodies.get(("a",), PAGE) == b"gated"
    assert bodies.get(("b",), PAGE) is None
    assert bodies.get(("a",), b"<p>other") is None


def test_bodies_that_are_much_alike_stay_apart() -> None:
    """Two that differ in one byte, where nobody looks at first, are two: the later one takes the other's place."""
    bodies = Bodies[bytes]()
    one, other = (b"x" * 300 + letter + b"x" * 700 for letter in (b"1", b"2"))
    bodies.keep((), one, b"first", size=5)
    assert bodies.get((), other) is None
    bodies.keep((), other, b"second", size=5)
    assert bodies.get((), other) == b"second"
    assert bodies.get((), one) is None


def test_the_bound_is_kept() -> None:
    """What was not asked for longest goes first."""
    bodies = Bodies[int](budget=30)
    for number in range(3):
        bodies.keep((number,), b"12345", number, size=5)
    assert bodies.get((0,), b"12345") == 0
    bodies.keep((3,), b"12345", 3, size=5)
    assert [bodies.get((number,), b"12345") for number in range(4)] == [0, None, 2, 3]


def test_keeping_twice_counts_once() -> None:
    """The same key takes its size once, so that nothing is let go of for it."""
    bodies = Bodies[int](budget=20)
    bodies.keep((0,), b"", 0, size=10)
    for _ in range(5):
        bodies.keep((1,), b"", 1, size=10)
    assert bodies.get((0,), b"") == 0


def test_a_very_long_page_is_not_kept() -> None:
    """One page never takes the place of all others."""
    bodies = Bodies[bytes]()
    bodies.keep((0,), b"1", b"", size=2 * LONGEST)
    assert bodies.get((0,), b"1") is None
    bodies.keep((0,), b"", b"", size=2 * LONGEST)
    assert bodies.get((0,), b"") == b""
