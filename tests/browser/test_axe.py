"""Ask axe-core what keeps somebody out, in every state, and measure the contrast of what is painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from starlette.types import ASGIApp

from tests.browser.gallery import STATES, address, gallery
from tests.browser.measured import faint, violations

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
WIDTHS = (320, 1280)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
}


@dataclass(frozen=True)
class Viewer:
    """Hold one page, where the states are served, and what was found wrong with them."""

    page: Page
    site: str
    contrast: bool
    found: list[str]

    def look(self, name: str, *, widths: tuple[int, ...] = WIDTHS) -> None:
        """Note what is wrong with the page as it is."""
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": 800})
            wrong = violations(self.page, without=() if self.contrast else ("color-contrast",))
            wrong += faint(self.page) if self.contrast else []
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                wrong.append(f"scrolls sideways: {wide} px")
            self.found.extend(f"{name}, {width} px: {one}" for one in wrong)

    def states(self, language: str) -> None:
        """Look at every state that is a page."""
        for name in STATES:
            self.page.goto(self.site + address(name, language))
            self.look(name)

    def layers(self, language: str) -> None:
        """Look at a page of a site on the way from the question to a changed mind, with the dialog open and closed."""
        self.page.goto(f"{self.site}/pages/{language}")
        self.look("banner and placeholder")
        self.open()
        self.look("dialog before an answer")
        self.page.locator("dialog[open] [name=choice][value=accept_all]").first.click()
        self.page.locator("dialog[open]").wait_for(state="detached")
        self.look("accepted")
        self.page.reload()
        self.open()
        self.look("dialog after a grant")
        with self.page.expect_navigation():
            self.page.locator("dialog[open] [name=choice][value=reject_all]").first.click()
        self.look("told what could not be deleted")
        self.page.goto(f"{self.site}/pages/{language}")
        self.look("refused")

    def open(self) -> None:
        """Open the choices over the page."""
        self.page.locator("[data-consent-open]:visible").first.click()
        self.page.locator("dialog[open] h2").wait_for()


@pytest.fixture
def viewer(chromium: Browser, serve: Serve) -> Iterator[Callable[..., Viewer]]:
    """Return a factory of viewers, each with a profile of its own."""
    contexts = []

    def make(*spoken: str, look: str = "light", **settings: Any) -> Viewer:
        port = serve(gallery(spoken, **settings))
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, **LOOKS[look])
        context.set_default_timeout(20_000)
        contexts.append(context)
        return Viewer(context.new_page(), f"http://site.localhost:{port}", look != "forced", [])

    yield make
    for context in contexts:
        context.close()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_state_keeps_anybody_out(viewer: Callable[..., Viewer], language: str) -> None:
    """Find nothing with axe-core on any page, banner or error, on a phone and on a desk, and no faint text."""
    visitor = viewer(language)
    visitor.states(language)
    assert visitor.found == []


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_layer_keeps_anybody_out(viewer: Callable[..., Viewer], language: str) -> None:
    """Find nothing with axe-core with the dialog open and closed, before an answer and after."""
    visitor = viewer(language)
    visitor.layers(language)
    assert visitor.found == []


@pytest.mark.long
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("language", ["en", "uk", "ar", "de", "ka"])
def test_no_look_keeps_anybody_out(viewer: Callable[..., Viewer], language: str, look: str) -> None:
    """Find nothing in any scheme, language and state; forced colours are the visitor's own."""
    visitor = viewer(language, look=look)
    visitor.states(language)
    visitor.layers(language)
    assert visitor.found == []
