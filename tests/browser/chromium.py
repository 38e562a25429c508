"""Find the Chromium that the tests drive; run as a script, get one where there is none.

In this order: what CONSENT_CHROMIUM names, a browser of the system, the one Playwright downloads. Getting one means
Debian's package where we may install it, else Playwright's download.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

VARIABLE = "CONSENT_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of a Chromium. Raises RuntimeError, saying what to do, where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        if not shutil.which(named):
            raise RuntimeError(f"{VARIABLE}={named} is not a program: name an existing browser, or unset it")
        return named
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if Path(own).is_file():
        return own
    raise RuntimeError(f"there is no Chromium: run `make browser`, or name one in {VARIABLE}")


def _debian() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update", "-q"], [apt, "install", "-y", "-q", "--no-install-recommends", "chromium"]):
        subprocess.run(command, env=environment, check=False, stdout=sys.stderr)  # noqa: S603 - fixed words


def _playwright() -> None:
    command = [sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]
    if os.geteuid() != 0:
        command.remove("--with-deps")
    subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603 - fixed words


def install() -> int:
    """Return 0 once there is a browser, 1 where none can be had."""
    reason = ""
    for attempt in (None, _debian, _playwright):
        if attempt is not None:
            attempt()
        try:
            print(f"browser: {find_chromium()}")  # noqa: T201 - the make target says what it uses
        except RuntimeError as error:
            reason = str(error)
        else:
            return 0
    print(f"the tests have no browser: {reason}", file=sys.stderr)  # noqa: T201 - as above
    return 1


if __name__ == "__main__":
    sys.exit(install())
