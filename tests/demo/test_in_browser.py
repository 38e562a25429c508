"""Open the news site, with nothing in front of it, in a real browser: this is what readers meet where nobody asks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright
from starlette.types import ASGIApp

from consent.demo.pages import create_site
from consent.demo.sightings import TrackerProcess
from consent.demo.trackers.app import create_trackers
from consent.demo.trackers.log import HOSTS
from tests.browser.chromium import FLAGS, find_chromium

pytestmark = pytest.mark.browser

FIRST_PARTY = {"_mab", "_rs", "_rs_visit", "_adq", "_chp", "_talk"}
SAW = "/en/what-the-trackers-saw"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the bare site and the trackers, and return the site's address."""
    with ExitStack() as stack:
        tracker_port = _serve(create_trackers(), stack)
        reader = TrackerProcess(host="127.0.0.1", port=tracker_port)
        kept = tmp_path_factory.mktemp("site") / "corrections.jsonl"
        port = _serve(create_site(trackers=reader, tracker_port=tracker_port, corrections=kept), stack)
        yield f"http://meridian.localhost:{port}"


@pytest.fixture(scope="module")
def open_page() -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page in a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))

        def opened(address: str, *, script: bool = True) -> Page:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=script)
            page = context.new_page()
            page.goto(address)
            page.wait_for_load_state("networkidle")
            return page

        yield opened
        browser.close()


def test_an_article_brings_every_third_party_to_life(address: str, open_page: Callable[..., Page]) -> None:
    """All seven are asked, their scripts set the cookies the configuration names, and every widget shows."""
    page = open_page(f"{address}/en/articles/night-ferry")
    page.locator("iframe.post-card").scroll_into_view_if_needed()
    page.frame_locator("iframe.video").get_by_role("button", name="Play").click()
    page.frame_locator("iframe.video").get_by_role("button", name="Pause").wait_for()
    page.frame_locator("iframe.post-card").get_by_text("Orla Tiernan").wait_for()
    page.frame_locator(".advert iframe").get_by_text("Halyard & Finch").wait_for()
    page.frame_locator(".support iframe").get_by_role("button", name="Give").wait_for()
    page.locator("#talk li").nth(1).wait_for()
    assert page.evaluate("[...document.fonts].map((font) => `${font.family} ${font.status}`)") == [
        "Castoff Ornaments loaded"
    ]
    cookies = page.context.cookies()
    assert {cookie["name"] for cookie in cookies if cookie["domain"] == "meridian.localhost"} == FIRST_PARTY
    assert {cookie["domain"] for cookie in cookies} == {"meridian.localhost", *HOSTS}
    assert set(page.evaluate("Object.keys(localStorage)")) == {"rs.queue", "adq.seen", "chp.theme"}


def test_the_log_page_follows_what_happens(address: str, open_page: Callable[..., Page]) -> None:
    """While the page is open, a request made elsewhere appears, and clearing empties the list."""
    page = open_page(address + SAW)
    page.get_by_role("button", name="Clear the list").click()
    page.get_by_text("Nothing has reached the trackers.").wait_for()
    open_page(f"{address}/uk/articles/foghorn")
    page.locator('[data-host="video.localhost"] code', has_text="/embed/foghorn").first.wait_for()
    page.get_by_role("button", name="Clear the list").click()
    page.get_by_text("Nothing has reached the trackers.").wait_for()


@pytest.mark.parametrize("path", ["/uk/", "/uk/articles/tactile-map", "/uk/corrections", SAW])
def test_no_page_is_wider_than_the_screen(address: str, open_page: Callable[..., Page], path: str) -> None:
    """Nothing makes a page scroll sideways, on the smallest phone either."""
    page = open_page(address + path, script=False)
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def _serve(app: ASGIApp, stack: ExitStack) -> int:
    """Serve an app in a thread until the stack is left, and return its port."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    stack.callback(thread.join)
    stack.callback(setattr, server, "should_exit", True)
    port: int = listening.getsockname()[1]
    return port
