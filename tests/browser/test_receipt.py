"""Keep a receipt, carry it to another browser, erase it, and print a policy, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from consent import ConsentMiddleware, testing
from consent.site import Site
from tests.browser.conftest import Window
from tests.conftest import MakeSite, page_app

pytestmark = pytest.mark.browser

Open = Callable[..., Window]
Serve = Callable[[ASGIApp], int]
POLICY = '+++\ntitle = "Privacy"\neffective = 2026-03-01\nmaterial = true\nsummary = "S."\n+++\n'
TEXT = "## Who we are\n\nWe.\n\n## What we keep\n\nLittle.\n\n## [A link](https://authority.example/)\n\nMore.\n"


def served(site: Site, serve: Serve) -> str:
    """Serve a site, and return where it answers."""
    return f"http://site.localhost:{serve(ConsentMiddleware(page_app, site=site))}"


def agree(visitor: Window) -> None:
    """Accept everything on the page of choices."""
    visitor.open("/privacy/choices?next=/privacy/receipt")
    visitor.choose(visitor.page.locator('button[value="accept_all"]').first)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_receipt_goes_to_another_browser_and_is_erased_there(
    make_site: MakeSite, window: Open, serve: Serve, script: bool
) -> None:
    """A code made here shows the records there; erased there, after a second question, the choice here is gone."""
    address = served(make_site(), serve)
    here, there = window(address, script=script), window(address, script=script)
    agree(here)
    here.open("/privacy/receipt")
    here.page.get_by_text("What you were asked").click()
    assert here.page.get_by_text("Counting visits and seeing which pages are read").is_visible()
    here.choose(here.page.get_by_role("button", name="Make a code"))
    code = here.page.locator("output").inner_text()
    there.open("/privacy/receipt")
    there.page.get_by_role("link", name="Read a receipt by its code").click()
    there.page.get_by_label("Receipt code").fill("nothing like it")
    there.page.get_by_role("button", name="Show the records").click()
    assert there.page.get_by_role("alert").is_visible()
    there.page.get_by_label("Receipt code").fill(code.lower().replace("-", " "))
    there.page.get_by_role("button", name="Show the records").click()
    assert there.page.get_by_role("heading", name="Records under your code").is_visible()
    there.page.get_by_role("button", name="Withdraw and erase").click()
    assert there.page.get_by_role("heading", name="Erase these records for good?").is_visible()
    there.page.get_by_role("button", name="Yes, withdraw and erase").click()
    assert there.page.get_by_text("This code shows nothing any more").is_visible()
    here.open("/privacy/receipt")
    assert here.page.get_by_text("We keep no number for you").is_visible()


def test_a_withdrawal_clears_all_storage_where_the_site_opts_in(
    make_site: MakeSite, window: Open, serve: Serve
) -> None:
    """What nobody declared goes from the browser's storage too, and the cookie that holds the answer stays."""
    for wanted, left in ((True, None), (False, "1")):
        visitor = window(served(make_site(clear_site_data=wanted), serve))
        agree(visitor)
        visitor.page.evaluate("localStorage.setItem('draft.of.nobody', '1')")
        visitor.open("/privacy/choices")
        visitor.choose(visitor.page.locator('button[value="withdraw"]'))
        visitor.open("/privacy/receipt")
        assert visitor.page.evaluate("localStorage.getItem('draft.of.nobody')") == left
        assert visitor.cookie_names == {"__Host-consent"}


def test_a_printed_policy_shows_where_it_is_from(window: Open, serve: Serve) -> None:
    """On paper stand the text, its permanent address and its digest, and nothing that only works on a screen."""
    settings = testing.settings(site_name="The Meridian", origins=("https://meridian.example",))
    folder = settings.folder / "policies" / "privacy"
    folder.mkdir(parents=True)
    (folder / "1.en.md").write_text(POLICY + TEXT)
    site = Site(settings, clock=testing.Clock())
    visitor = window(served(site, serve))
    visitor.open("/privacy/policies/privacy")
    assert visitor.problems == []
    visitor.page.emulate_media(media="print")
    shown = visitor.page.locator("body").inner_text()
    assert "https://meridian.example/privacy/policies/privacy/1/en" in shown
    assert site.library.documents[0].sha256 in shown
    assert "Little." in shown
    for hidden in (".cst-head nav", ".cst-contents", ".cst-links"):
        assert visitor.page.locator(hidden).is_hidden(), hidden
    site.close()
