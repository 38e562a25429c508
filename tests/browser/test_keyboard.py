"""Go the whole way with nothing but Tab, Shift+Tab, Space, Enter and Escape, and look at the focus at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.browser.conftest import Demo, Window, ledger_entries

pytestmark = pytest.mark.browser

Open = Callable[..., Window]
ARTICLE = "/en/articles/night-ferry"
with_and_without_script = pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
FOCUS = """() => {
  const on = document.activeElement;
  if (!on || on === document.body || on === document.documentElement) return null;
  for (const moving of document.getAnimations()) moving.finish();
  const { left, top, right, bottom } = on.getBoundingClientRect();
  const { outlineStyle, outlineWidth } = getComputedStyle(on);
  const lines = [...on.getClientRects()], spread = [.1, .3, .5, .7, .9];
  const seen = lines.some((line) => spread.some((x) => spread.some((y) => {
    const hit = document.elementFromPoint(line.left + x * line.width, line.top + y * line.height);
    return hit && (on.contains(hit) || hit.contains(on) && !hit.contains(document.querySelector('#cst')));
  })));
  const all = [...document.querySelectorAll('*')];
  return {
    what: on.value || on.id || on.textContent.trim().slice(0, 30), place: all.indexOf(on), seen,
    ring: outlineStyle !== 'none' && parseFloat(outlineWidth) > 0 && on.matches(':focus-visible'),
    inside: Boolean(on.closest('dialog')), banner: Boolean(on.closest('#cst')),
    html: on.outerHTML.slice(0, 200), box: [left, top, right, bottom].map(Math.round),
  };
}"""


@dataclass
class Keys:
    """Hold a window that only the keyboard moves, and what had the focus since the page came."""

    visitor: Window
    passed: list[dict[str, Any]] = field(default_factory=list)

    def focus(self) -> dict[str, Any] | None:
        """Return what has the focus."""
        found: dict[str, Any] | None = self.visitor.page.evaluate(FOCUS)
        return found

    def press(self, key: str) -> dict[str, Any] | None:
        """Press one key; what has the focus then must be in sight, and its ring with it."""
        self.visitor.page.keyboard.press(key)
        on = self.focus()
        if on is not None:
            assert on["seen"], f"covered or out of sight: {on}"
            assert on["ring"], f"no focus is shown: {on}"
            self.passed.append(on)
        return on

    def to(self, selector: str, *, key: str = "Tab") -> list[dict[str, Any]]:
        """Press a key until an element has the focus, and return all that had it on the way, in its order."""
        self.passed.clear()
        for _ in range(90):
            self.press(key)
            if self.visitor.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                places = [one["place"] for one in self.passed]
                order = sorted(places, reverse=key != "Tab")
                assert places == order, f"not in the order of the page: {[one['what'] for one in self.passed]}"
                return list(self.passed)
        raise AssertionError(f"{selector} is not reached: {[one['what'] for one in self.passed]}")

    def enter(self, key: str = "Enter") -> None:
        """Press what has the focus, and wait until what follows is there."""
        self.visitor.page.keyboard.press(key)
        self.visitor.page.wait_for_timeout(150)
        self.visitor.settle()

    def answer(self, key: str = "Enter") -> None:
        """Press what has the focus, which is an answer, and wait until it has had its effect."""
        with self.visitor.page.expect_response(lambda response: response.request.method == "POST"):
            self.visitor.page.keyboard.press(key)
        self.visitor.settle()

    def choices(self) -> str:
        """Wait for the choices, and return the selector of what they stand in."""
        self.visitor.page.locator("#cst-heading").wait_for()
        inside = self.visitor.page.locator("dialog[open]").count() == 1
        if inside:
            assert self.visitor.page.evaluate("document.activeElement.id") == "cst-heading", "the focus goes in"
        return "dialog" if inside else "main"


@with_and_without_script
def test_from_the_question_to_the_erasure(demo: Demo, window: Open, script: bool) -> None:
    """Choose a service, save, look and leave, withdraw, agree, read the receipt and erase it, by keys alone."""
    visitor = window(demo.site, script=script)
    keys = Keys(visitor)
    visitor.open(ARTICLE)
    way = keys.to("#cst button[data-consent-open]")
    assert [one["what"] for one in way][-3:-1] == ["accept_all", "reject_all"]
    assert [one["banner"] for one in way] == [True] * len(way), "the question comes first"
    keys.to("#cst button[value=accept_all]", key="Shift+Tab")
    keys.to("#cst button[data-consent-open]")

    keys.enter()
    layer = keys.choices()
    keys.to(f"{layer} #cst-purpose-media summary")
    keys.enter()
    keys.to(f"{layer} input[name=service]")
    service = visitor.page.evaluate("document.activeElement.value")
    assert not visitor.page.evaluate("document.activeElement.checked")
    keys.enter("Space")
    assert visitor.page.evaluate("document.activeElement.checked")
    keys.to(f"{layer} button[value=save]")
    keys.answer()
    visitor.open(ARTICLE) if not script else None
    assert visitor.page.locator("#cst, dialog[open]").count() == 0
    answered = ledger_entries(demo.folder)[-1]["services"]
    assert isinstance(answered, dict)
    assert [key for key, yes in answered.items() if yes] == [service]

    if script:
        assert visitor.page.evaluate("document.activeElement.matches('.cst-link a')"), "the focus goes to the link"
    else:
        keys.to(".cst-link a")
    keys.enter()
    layer = keys.choices()
    if script:
        visitor.page.keyboard.press("Escape")
        visitor.page.wait_for_function("!document.querySelector('dialog[open]') && !history.state?.cst")
        assert visitor.page.evaluate("document.activeElement.matches('.cst-link a')"), "the focus goes back"
        keys.enter()
        keys.choices()
    keys.to(f"{layer} button[value=withdraw]")
    keys.answer("Space")
    visitor.open("/privacy/choices")
    assert visitor.page.get_by_text("You said no").is_visible()
    assert visitor.page.locator("button[value=withdraw]").count() == 0

    keys.to(".cst-skip")
    keys.enter()
    way = keys.to("main button[value=accept_all]")
    assert not any(one["html"].startswith("<a") and "header" in one["html"] for one in way)
    keys.answer()
    keys.to("header a[href*=receipt]")
    keys.enter()
    keys.to("main form[action$=erase] button")
    keys.answer()
    assert visitor.page.get_by_text("Withdrawn and erased").is_visible()


@with_and_without_script
def test_the_pages_own_skip_link_works(demo: Demo, window: Open, script: bool) -> None:
    """Behind the question, which is met first, and its link comes the skip link, and what it leads to is in sight."""
    visitor = window(demo.site, script=script, size="phone")
    keys = Keys(visitor)
    visitor.open(ARTICLE)
    way = keys.to("a.skip")
    assert [one["banner"] for one in way[:-1]] == [True] * (len(way) - 2) + [False]
    assert "data-consent-open" in way[-2]["html"]
    keys.enter()
    assert visitor.page.locator("#cst").is_visible(), "following a link is no answer"
    keys.passed.clear()
    after = keys.press("Tab")
    assert after is not None
    assert visitor.page.evaluate(
        "document.querySelector('#text').compareDocumentPosition(document.activeElement) & "
        "(Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINED_BY)"
    ), "the focus goes on behind the link's target"


def test_nothing_but_a_button_is_an_answer(demo: Demo, window: Open) -> None:
    """Escape, scrolling, clicking elsewhere, typing, leaving the tab and waiting an hour leave the question open."""
    visitor = window(demo.site)
    visitor.page.clock.install()
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    visitor.page.goto(visitor.site + ARTICLE)
    visitor.page.wait_for_load_state("load")
    page = visitor.page
    for key in ("Escape", "PageDown", "End", "Home", "a", "Space"):
        page.keyboard.press(key)
    page.mouse.wheel(0, 900)
    page.mouse.click(40, 300)
    page.locator("#cst .cst-told").click(position={"x": 3, "y": 3})
    page.evaluate("dispatchEvent(new Event('blur')), document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward("01:00:00")
    page.wait_for_timeout(300)
    assert page.locator("#cst").is_visible()
    assert sent == []
    assert visitor.cookie_names == set()
    assert visitor.foreign == []
