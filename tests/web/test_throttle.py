"""Hold back tries after too many that failed."""

from __future__ import annotations

from consent.testing import Clock
from consent.web.throttle import Throttle


def test_failures_are_forgiven_with_time() -> None:
    """A burst goes through, then one try for each stretch of time, and never more than a burst is saved up."""
    clock = Clock(0)
    throttle = Throttle(burst=2, seconds=3, clock=clock)
    for _ in range(2):
        assert throttle.open
        throttle.count()
    assert not throttle.open
    clock.advance(2)
    assert not throttle.open
    clock.advance(1)
    assert throttle.open
    throttle.count()
    clock.advance(1000)
    for _ in range(2):
        assert throttle.open
        throttle.count()
    assert not throttle.open
