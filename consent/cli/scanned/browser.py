"""Find a Chromium that is there already, and start it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from consent.errors import ConfigurationError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def on_path() -> str | None:
    """Return the first Chromium or Chrome on the PATH."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def browser(*, named: Path | None, arguments: Sequence[str]) -> Iterator[Browser]:
    """Give a running browser: the one that is named, one on the PATH, else the one Playwright installed.

    Raises ConfigurationError where there is none, or it does not start.
    """
    with sync_playwright() as playwright:
        path = str(named) if named is not None else on_path() or _installed(playwright)
        try:
            started = playwright.chromium.launch(executable_path=path, args=list(arguments))
        except Error as error:
            raise ConfigurationError(
                f"the browser {path} does not start: {first_line(error)}", remedy="Name another one with --browser"
            ) from None
        try:
            yield started
        finally:
            started.close()


def _installed(playwright: Playwright) -> str:
    path = playwright.chromium.executable_path
    if not Path(path).exists():
        raise ConfigurationError(
            "there is no Chromium",
            remedy="Install one (apt-get install chromium, or python -m playwright install chromium), or name one with"
            " --browser",
        )
    return path


def first_line(error: Error) -> str:
    """Return what went wrong in one line, without the log that Playwright adds."""
    return error.message.partition("\n")[0].rpartition(": ")[2].strip() or "no reason given"
