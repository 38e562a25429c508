"""Show how far a long work has come, on a terminal and nowhere else."""

from __future__ import annotations

import sys

WIDTH = 30


class Bar:
    """Draw a bar on stderr while it is a terminal; use it as a context, so that its line ends whatever happens."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._drawn = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            print(file=sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        if not sys.stderr.isatty():
            return
        share = done / total if total else 1.0
        filled = round(WIDTH * share)
        bar = "█" * filled + "░" * (WIDTH - filled)
        print(f"\r{self._title} {bar} {done:,} of {total:,}", end="", file=sys.stderr, flush=True)
        self._drawn = True
