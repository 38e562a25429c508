"""Serve sites on loopback, and open real browser windows on them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, sync_playwright

from tests.browser.chromium import FLAGS, find_chromium

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


@dataclass(frozen=True)
class Demo:
    """Hold where a running demo answers, and the folder it keeps its things in."""

    port: int
    tracker_port: int
    folder: Path

    @property
    def site(self) -> str:
        """Return the address of the news site."""
        return f"http://meridian.localhost:{self.port}"


@dataclass
class Window:
    """Hold one page of a fresh profile, with every request it makes to another host than its own site."""

    page: Page
    site: str
    foreign: list[str] = field(default_factory=list)
    pending: set[Request] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def context(self) -> BrowserContext:
        """Return the profile."""
        return self.page.context

    @property
    def foreign_hosts(self) -> set[str]:
        """Return the foreign hosts asked so far."""
        return {address.split("/")[2].partition(":")[0] for address in self.foreign}

    @property
    def cookie_names(self) -> set[str]:
        """Return the names of all cookies of all hosts."""
        return {cookie["name"] for cookie in self.context.cookies()}

    def open(self, path: str) -> None:
        """Go to a page of the site, and give it time to load whatever it loads."""
        self.page.goto(self.site + path)
        self.settle()

    def settle(self) -> None:
        """Wait until the page is loaded and nothing has been on its way for a third of a second."""
        self.page.wait_for_load_state("load")
        quiet = 0
        for _ in range(200):
            self.page.wait_for_timeout(50)
            quiet = 0 if self.pending else quiet + 1
            if quiet > 6:
                return
        raise AssertionError(f"still on the way: {[request.url for request in self.pending]}")

    def choose(self, button: Locator) -> None:
        """Press a button that answers, and wait until the answer has had its effect."""
        with self.page.expect_response(lambda response: response.request.method == "POST"):
            button.click()
        self.settle()

    def forget(self) -> None:
        """Count requests from here on."""
        self.foreign.clear()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run `consent demo` as a user would."""
    folder = tmp_path_factory.mktemp("demo")
    port, tracker_port = _free_port(), _free_port()
    command = [sys.executable, "-m", "consent", "demo", "--port", str(port), "--tracker-port", str(tracker_port)]
    with (folder.parent / "demo.log").open("wb") as log:
        process = subprocess.Popen([*command, "--dir", str(folder)], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/en/", process)
        yield Demo(port=port, tracker_port=tracker_port, folder=folder)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser; not for longer than a module, because Playwright keeps an event loop running meanwhile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[..., Window]]:
    """Return a factory of windows, each with a fresh profile; `script` turns JavaScript on."""
    opened: list[BrowserContext] = []

    def make(site: str, *, script: bool = True, size: str = "desktop", locale: str = "en-IE") -> Window:
        width, height = SIZES[size]
        context = chromium.new_context(
            java_script_enabled=script, viewport={"width": width, "height": height}, locale=locale
        )
        context.set_default_timeout(10_000)
        opened.append(context)
        page = context.new_page()
        made = Window(page, site)
        host = re.escape(site.split("/")[2])
        own = re.compile(rf"(https?://{host}/|data:|blob:|about:)")
        page.on("request", lambda request: made.foreign.append(request.url) if not own.match(request.url) else None)
        page.on("request", lambda request: made.pending.add(request))
        page.on("requestfinished", lambda request: made.pending.discard(request))
        page.on("requestfailed", lambda request: made.pending.discard(request))
        page.on("pageerror", lambda error: made.problems.append(str(error)))
        page.on("console", lambda line: made.problems.append(line.text) if line.type == "error" else None)
        return made

    yield make
    for context in opened:
        context.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the demo ended before it answered"
        with contextlib.suppress(OSError), urllib.request.urlopen(address) as response:
            assert response.status == 200
            return
        time.sleep(0.1)
    raise AssertionError("the demo did not answer in 20 seconds")


def ledger_entries(folder: Path) -> list[dict[str, object]]:
    """Return all entries of a site's ledger, exported as an auditor would."""
    out = folder / "entries.jsonl"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "consent", "export", "--format", "jsonl", "--out", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return [json.loads(line) for line in out.read_text().splitlines()]
