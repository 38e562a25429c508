"""Remember whole pages as they were gated."""

from __future__ import annotations

from consent.gate.bodies import Bodies


def test_what_is_emptied_counts_by_what_was_there() -> None:
    """A body of which nothing is left takes the room of its own bytes: the budget holds."""
    bodies = Bodies(budget=1000)
    for number in range(10):
        bodies.keep(("sheet", b"%d" % number * 300), b"")
    kept = [number for number in range(10) if bodies.get(("sheet", b"%d" % number * 300)) is not None]
    assert kept == [7, 8, 9]


def test_what_is_too_long_is_not_kept() -> None:
    """One body alone cannot drive out all the others."""
    bodies = Bodies()
    bodies.keep(("sheet", b"x" * 4_000_000), b"")
    assert bodies.get(("sheet", b"x" * 4_000_000)) is None
