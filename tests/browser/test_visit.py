"""Visit the demo site in a real browser, as readers do: before a choice, after each answer, after taking it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Demo, Window, ledger_entries

pytestmark = pytest.mark.browser

ARTICLE = "/en/articles/night-ferry"
OTHER = "/en/articles/bog-memory"
TRACKERS = {f"{name}.localhost" for name in ("ads", "comments", "donate", "fonts", "social", "stats", "video")}
WITHOUT_SCRIPT = TRACKERS - {"comments.localhost", "social.localhost"}
OWN_COOKIES = {"_rs", "_mab", "_adq"}
CHOICE = "__Host-consent"

with_and_without_script = pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
every_size = pytest.mark.parametrize("size", ["phone", "desktop"])
Open = Callable[..., Window]


def storage_keys(window: Window) -> list[str]:
    """Return all keys in the browser's storage for the site."""
    keys: list[str] = window.page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    return keys


def answer(window: Window, value: str) -> None:
    """Press a button of the banner."""
    window.choose(window.page.locator(f'#cst button[value="{value}"]'))


def take_back(window: Window) -> None:
    """Withdraw everything on the choices page."""
    window.page.locator(".cst-link a").click()
    window.choose(window.page.locator('button[value="withdraw"]'))


@every_size
@with_and_without_script
def test_nothing_loads_or_is_stored_before_the_choice(demo: Demo, window: Open, script: bool, size: str) -> None:
    """Reading three pages asks no third party, and leaves no cookie and nothing in storage."""
    visitor = window(demo.site, script=script, size=size)
    for path in (ARTICLE, OTHER, "/uk/articles/night-ferry"):
        visitor.open(path)
        assert visitor.page.locator("#cst").is_visible()
    assert visitor.foreign == []
    assert visitor.cookie_names == set()
    assert visitor.problems == []
    if script:
        assert storage_keys(visitor) == []


@every_size
@with_and_without_script
def test_a_refusal_is_one_click_and_is_remembered(demo: Demo, window: Open, script: bool, size: str) -> None:
    """After one click on Reject all nothing loads, one cookie without a number is kept, and nobody asks again."""
    visitor = window(demo.site, script=script, size=size)
    visitor.open(ARTICLE)
    answer(visitor, "reject_all")
    visitor.open(OTHER)
    assert visitor.page.locator("#cst").count() == 0
    assert visitor.page.locator(".cst-link a").is_visible()
    assert visitor.foreign == []
    assert visitor.cookie_names == {CHOICE}
    second = window(demo.site, script=script, size=size)
    second.open(OTHER)
    answer(second, "reject_all")
    values = {cookie["value"] for one in (visitor, second) for cookie in one.context.cookies()}
    assert len(values) == 1, "two refusers of the same day cannot be told apart"


@with_and_without_script
def test_what_is_accepted_loads(demo: Demo, window: Open, script: bool) -> None:
    """After Accept all every third party of the article is asked, and first-party cookies of services are set."""
    visitor = window(demo.site, script=script)
    visitor.open(ARTICLE)
    answer(visitor, "accept_all")
    visitor.open(OTHER)
    assert visitor.foreign_hosts == (TRACKERS if script else WITHOUT_SCRIPT)
    assert CHOICE in visitor.cookie_names
    if script:
        assert visitor.cookie_names >= OWN_COOKIES


def test_accepting_needs_no_reload(demo: Demo, window: Open) -> None:
    """With the script the page stays, what was parked starts in place, and a `consent:change` event tells of it."""
    visitor = window(demo.site)
    visitor.open(ARTICLE)
    visitor.page.evaluate(
        "window.stayed = []; document.addEventListener('consent:change', (e) => window.stayed.push(e.detail.allowed))"
    )
    answer(visitor, "accept_all")
    told = visitor.page.evaluate("window.stayed")
    assert told, "the page was reloaded, or no event was sent"
    assert set(told[0]) >= {"analytics", "reader-stats", "video-player"}
    assert visitor.foreign_hosts == TRACKERS
    assert visitor.page.locator("#cst").count() == 0
    assert visitor.page.locator("[data-cst-for]").count() == 0
    assert visitor.page.evaluate("window.consent.allows('analytics')") is True
    assert visitor.problems == []


@with_and_without_script
def test_exactly_what_was_chosen_loads(demo: Demo, window: Open, script: bool) -> None:
    """A visitor who allows statistics and one service of another purpose gets these and nothing else."""
    visitor = window(demo.site, script=script)
    visitor.open(ARTICLE)
    visitor.page.locator("#cst [data-consent-open]").click()
    assert visitor.page.locator("input:checked").count() == 0, "nothing may be ticked before an answer"
    visitor.page.locator('input[name="purpose"][value="analytics"]').check(force=True)
    visitor.page.locator("#cst-purpose-media summary").click()
    visitor.page.locator('input[name="service"][value="video-player"]').check(force=True)
    visitor.choose(visitor.page.locator('button[value="save"]'))
    visitor.forget()
    visitor.open(ARTICLE)
    assert visitor.foreign_hosts == {"stats.localhost", "video.localhost"}
    assert visitor.page.locator("#cst").count() == 0


@with_and_without_script
def test_a_withdrawal_withdraws(demo: Demo, window: Open, script: bool) -> None:
    """After withdrawing, the services' cookies are gone, the HttpOnly one too, and no third party is asked again."""
    visitor = window(demo.site, script=script)
    visitor.open(ARTICLE)
    answer(visitor, "accept_all")
    visitor.open("/en/")
    assert "_mab" in visitor.cookie_names
    take_back(visitor)
    assert visitor.page.get_by_text("Lanternreel BV").first.is_visible(), "what cannot be deleted is said"
    visitor.forget()
    visitor.open(ARTICLE)
    visitor.open(OTHER)
    assert visitor.foreign == []
    assert {cookie["name"] for cookie in visitor.context.cookies(demo.site)} == {CHOICE}
    if script:
        assert storage_keys(visitor) == []


@with_and_without_script
def test_the_back_button_after_a_withdrawal(demo: Demo, window: Open, script: bool) -> None:
    """Going back to a page that was open to everything shows it gated, whatever the browser kept of it."""
    visitor = window(demo.site, script=script)
    visitor.open(ARTICLE)
    answer(visitor, "accept_all")
    visitor.open(OTHER)
    take_back(visitor)
    visitor.forget()
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.settle()
    assert "/en/articles/" in visitor.page.url
    visitor.page.reload()
    visitor.settle()
    assert visitor.foreign == []
    assert visitor.page.locator("[data-consent-service]").count() > 0


@with_and_without_script
def test_one_embed_loads_once(demo: Demo, window: Open, script: bool) -> None:
    """Load once shows this one video on this page, and neither on the next page nor on the next visit."""
    visitor = window(demo.site, script=script)
    visitor.open(ARTICLE)
    answer(visitor, "reject_all")
    visitor.choose(visitor.page.locator('[data-cst-for="video-player"] [form="cst-once"]'))
    assert visitor.foreign_hosts == {"video.localhost"}
    assert {cookie["name"] for cookie in visitor.context.cookies(demo.site)} == {CHOICE}
    visitor.forget()
    visitor.open(ARTICLE)
    assert visitor.foreign == []


@every_size
def test_with_the_keyboard_alone(demo: Demo, window: Open, size: str) -> None:
    """Tab reaches accept and reject in this order soon after the page opens; Escape is no answer; Enter is one."""
    visitor = window(demo.site, size=size)
    visitor.open(ARTICLE)
    visitor.page.keyboard.press("Escape")
    assert visitor.page.locator("#cst").is_visible()
    reached = []
    for _ in range(8):
        visitor.page.keyboard.press("Tab")
        reached.append(visitor.page.evaluate("document.activeElement.value || ''"))
        if reached[-1] == "reject_all":
            break
    assert [value for value in reached if value] == ["accept_all", "reject_all"]
    outline = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus must be seen"
    with visitor.page.expect_response(lambda response: response.request.method == "POST"):
        visitor.page.keyboard.press("Enter")
    visitor.settle()
    assert visitor.page.locator("#cst").count() == 0
    assert visitor.cookie_names == {CHOICE}


@every_size
def test_accept_and_reject_weigh_the_same(demo: Demo, window: Open, size: str) -> None:
    """Both buttons are one element of one class, in view, equal in size, font, colour and border."""
    visitor = window(demo.site, size=size)
    visitor.open(ARTICLE)
    accept, reject = (visitor.page.locator(f'#cst button[value="{value}"]') for value in ("accept_all", "reject_all"))
    looks = [
        button.evaluate(
            "(b) => { const s = getComputedStyle(b), r = b.getBoundingClientRect(); return [b.localName, b.className, "
            "s.font, s.color, s.backgroundColor, s.border, s.padding, Math.round(r.height), Math.round(r.width / 20), "
            "r.top >= 0 && r.bottom <= innerHeight] }"
        )
        for button in (accept, reject)
    ]
    assert looks[0] == looks[1]
    assert looks[0][-1] is True, "both must be in view"


def test_the_banner_speaks_the_pages_language(demo: Demo, window: Open) -> None:
    """On a Ukrainian page an Irish browser is asked in Ukrainian, and the record says so."""
    visitor = window(demo.site)
    visitor.open("/uk/articles/night-ferry")
    assert visitor.page.locator("#cst").get_attribute("lang") == "uk"
    answer(visitor, "accept_all")
    newest = [entry for entry in ledger_entries(demo.folder) if entry["kind"] == "consent"][-1]
    assert newest["language"] == "uk"


def test_a_page_that_is_not_tall_can_be_scrolled_and_used(demo: Demo, window: Open) -> None:
    """The banner is no modal: the page behind it scrolls, and its links work."""
    visitor = window(demo.site, size="phone")
    visitor.open(ARTICLE)
    visitor.page.mouse.wheel(0, 600)
    visitor.page.wait_for_function("scrollY > 100")
    visitor.page.locator("footer a").first.click()
    visitor.settle()
    assert ARTICLE not in visitor.page.url
    assert visitor.cookie_names == set(), "following a link is no answer"
