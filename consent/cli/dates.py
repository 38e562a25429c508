"""Read dates and times of the command line."""

from __future__ import annotations

import argparse

from consent.ledger.export import moment


def day_of(text: str, *, end: bool = False) -> int:
    """Return the Unix seconds of a date or time (UTC); a date means its beginning, or its `end`.

    Raises argparse.ArgumentTypeError for anything else.
    """
    try:
        return moment(text, end=end)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date: write it as 2026-11-01, or with a time as 2026-11-01T10:00:00Z"
        ) from None


def end_of(text: str) -> int:
    """Return the Unix seconds before which something ends, as `day_of` does."""
    return day_of(text, end=True)
