"""Find the browser the tests drive, and start it so that it talks to nobody but them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from consent.cli.scanned.browser import on_path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of a Chromium: CONSENT_CHROMIUM, one on the PATH, or the one Playwright installed.

    Raises FileNotFoundError where there is none: a browser test that is skipped proves nothing.
    """
    named = os.environ.get("CONSENT_CHROMIUM")
    if named:
        if not Path(named).exists():
            raise FileNotFoundError(f"CONSENT_CHROMIUM names {named!r}, which does not exist")
        return named
    path = on_path()
    if path:
        return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        raise FileNotFoundError(
            "there is no Chromium: install one (apt-get install chromium, or python -m playwright install chromium),"
            " or name one in CONSENT_CHROMIUM"
        )
    return path


def fetch_chromium() -> None:
    """Fetch a Chromium where none is found: Debian's package as root, else the one that Playwright downloads."""
    try:
        find_chromium()
        return
    except FileNotFoundError:
        sys.stderr.write("there is no Chromium yet: fetching one\n")
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        if subprocess.run(install, env=environment).returncode == 0 and on_path():
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    fetch_chromium()
    sys.stdout.write(f"the tests drive {find_chromium()}\n")
