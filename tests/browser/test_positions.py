"""Look at where the first layer stands, and at its buttons in every language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from starlette.types import ASGIApp

from consent import languages
from tests.browser.conftest import Window
from tests.browser.gallery import address, gallery

pytestmark = pytest.mark.browser

Serve = Callable[[ASGIApp], int]
BOX = "(({ x, y, right, bottom }) => [x, y, right, bottom])(document.querySelector('#cst').getBoundingClientRect())"
BUTTONS = """[...document.querySelectorAll('#cst button[name=choice]')].map((button) => {
  const words = document.createRange(), style = getComputedStyle(button), box = button.getBoundingClientRect();
  words.selectNodeContents(button);
  const tops = new Set([...words.getClientRects()].map((line) => Math.round(line.top)));
  const spill = button.scrollWidth > button.clientWidth;
  const [width, height, top] = [box.width, box.height, box.top].map(Math.round);
  return { words: button.textContent, lines: tops.size, spill, width, height, top,
    look: [style.font, style.color, style.backgroundColor, style.borderColor, style.padding].join(' ') };
})"""


def measure(page: Page) -> list[dict[str, Any]]:
    """Return how the two answers of the first layer stand."""
    measured: list[dict[str, Any]] = page.evaluate(BUTTONS)
    assert len(measured) == 2
    return measured


def test_no_label_breaks_on_a_phone(chromium: Browser, serve: Serve) -> None:
    """In every language, at 320 pixels: yes and no each on one line, of one size and look, within their buttons."""
    spoken = tuple(sorted(languages.available()))
    site = f"http://site.localhost:{serve(gallery(spoken))}"
    context = chromium.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    wrong = []
    for language in spoken:
        for state in ("banner", "banner, asked again", "banner, open", "banner, open, asked again"):
            page.goto(site + address(state, language))
            yes, no = measure(page)
            equal = yes["look"] == no["look"] and abs(yes["width"] - no["width"]) <= 1 and yes["height"] == no["height"]
            if not equal or {yes["lines"], no["lines"]} != {1} or yes["spill"] or no["spill"]:
                wrong.append(f"{language}, {state}: {yes} {no}")
    context.close()
    assert wrong == []


@pytest.mark.parametrize("position", ["bar", "corner", "centre"])
@pytest.mark.parametrize("language", ["en", "uk"])
def test_the_first_layer_stands_where_it_is_told(
    serve: Serve, window: Callable[..., Window], language: str, position: str
) -> None:
    """Stand at the bottom, in the corner or in the middle of a wide screen, and always at the bottom of a phone."""
    visitor = window(f"http://site.localhost:{serve(gallery((language,), position=position))}")
    visitor.open(f"/pages/{language}")
    left, top, right, bottom = visitor.page.evaluate(BOX)
    yes, no = measure(visitor.page)
    assert yes["look"] == no["look"]
    assert abs(yes["width"] - no["width"]) <= 1
    assert yes["top"] == no["top"]
    if position == "bar":
        assert (left, right, bottom) == (0, 1280, 900)
    elif position == "corner":
        assert (right, bottom) == (1264, 884)
        assert right - left < 420
    else:
        assert left + right == pytest.approx(1280, abs=1)
        assert top + bottom == pytest.approx(900, abs=1)
        assert bottom - top <= 900 * 0.42 + 1
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    left, top, right, bottom = visitor.page.evaluate(BOX)
    assert (left, right, bottom) == (0, 320, 640)
    assert bottom - top <= 640 / 3 + 1


@pytest.mark.parametrize("position", ["corner", "centre"])
def test_no_position_hides_what_has_the_focus(serve: Serve, window: Callable[..., Window], position: str) -> None:
    """Tab through a long page: nothing of the page that has the focus lies wholly under the first layer."""
    visitor = window(f"http://site.localhost:{serve(gallery(('en',), position=position))}")
    visitor.open("/pages/en")
    visitor.page.evaluate(
        """() => { for (let n = 0; n < 40; n++) {
        const line = document.createElement('p'), link = document.createElement('a');
        link.href = '#' + n; link.textContent = 'A link of the page that is as wide as a line of text can be'.repeat(2);
        line.append(link); document.querySelector('main').append(line); } }"""
    )
    seen = 0
    for _ in range(50):
        visitor.page.keyboard.press("Tab")
        hidden = visitor.page.evaluate(
            """() => { const on = document.activeElement;
            if (on === document.body || on.closest('#cst')) return null;
            const r = on.getBoundingClientRect(), c = document.querySelector('#cst').getBoundingClientRect();
            return r.left >= c.left && r.right <= c.right && r.top >= c.top && r.bottom <= c.bottom; }"""
        )
        assert not hidden, visitor.page.evaluate("document.activeElement.outerHTML")
        seen += hidden is False
    assert seen > 35
    assert visitor.page.evaluate("scrollY") > 0


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_a_fixed_scheme_is_kept(serve: Serve, window: Callable[..., Window], scheme: str, dark: bool) -> None:
    """Paint notices, dialog and pages in the site's own scheme, whatever the visitor's system says."""
    visitor = window(f"http://site.localhost:{serve(gallery(('en',), scheme=scheme))}")
    visitor.page.emulate_media(color_scheme="light" if dark else "dark")
    visitor.open("/pages/en")
    ground = "rgb(26, 26, 28)" if dark else "rgb(255, 255, 255)"
    painted = "([one]) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).colorScheme]"
    assert visitor.page.eval_on_selector_all("#cst", painted) == [ground, scheme]
    visitor.page.locator("#cst [data-consent-open]").click()
    visitor.page.locator("dialog[open] h2").wait_for()
    assert visitor.page.eval_on_selector_all("dialog", painted) == [ground, scheme]
    visitor.open("/privacy/")
    assert visitor.page.eval_on_selector_all("html", painted) == [ground, scheme]
