"""Read dates of the command line, and refuse what is none."""

from __future__ import annotations

import argparse

import pytest

from consent.cli.dates import day_of, end_of


def test_a_date_begins_and_ends_in_utc() -> None:
    """Take a date for its first second, or as an end for the first second after it; a time for itself."""
    assert (day_of("1970-01-02"), end_of("1970-01-02")) == (86_400, 172_800)
    assert day_of("1970-01-01T01:00:00+01:00") == end_of("1970-01-01T01:00:00+01:00") == 0


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "9999-12-31"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Say how a date is written, also for the last day of all, which has no end."""
    with pytest.raises(argparse.ArgumentTypeError, match="write it as 2026-11-01"):
        end_of(text)
