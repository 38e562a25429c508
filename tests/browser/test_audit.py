"""Look at the auditor's pages in a browser without JavaScript, on a phone and on a desktop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from starlette.types import ASGIApp

from consent import ConsentMiddleware, testing
from consent.ledger.entry import Draft
from consent.site import Site
from tests.browser.conftest import SIZES
from tests.conftest import SERVICES, page_app

TOKEN = "auditor-token"
WEEK = 7 * 86_400


@pytest.fixture
def address(serve: Callable[[ASGIApp], int]) -> Iterator[str]:
    """Serve a site whose ledger has eight weeks of answers, and return its address."""
    clock = testing.Clock()
    settings = testing.settings(
        site_name="The Meridian",
        services=SERVICES,
        audit_tokens=(TOKEN,),
        insecure_cookies=True,
        languages=("en", "uk"),
    )
    site = Site(settings, clock=clock)
    site.start()
    for week in range(8):
        for language in ("en", "uk"):
            notice = site.edition(site.now()).notices[language]
            content: dict[str, Any] = {
                "status": "given",
                "method": "banner:save",
                "scope": "site",
                "services": {},
                "notice": notice.digest,
                "rendering": site.edition(site.now()).renderings[language].digest,
                "policies": [],
                "language": language,
                "regime": "opt-in",
                "country": None,
                "signals": {"gpc": False},
            }
            drafts = [
                Draft(
                    kind="consent",
                    content=content
                    | {"purposes": {"analytics": n % 3 > 0, "marketing": n % 5 == 0, "media": n < week}},
                    decided_at=int(site.now()),
                )
                for n in range(30 if language == "en" else 4 + 3 * week)
            ]
            site.ledger.store.append(drafts, now=int(site.now()))
        clock.advance(WEEK)
    port = serve(ConsentMiddleware(page_app, site=site))
    yield f"http://localhost:{port}"
    site.close()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, chromium: Browser, address: str) -> Iterator[Page]:
    """Return a signed-in auditor's window, in which no script runs."""
    width, height = SIZES[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/privacy/audit/")
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()


def narrow(page: Page) -> bool:
    """Tell whether nothing hangs over the right edge."""
    root = page.locator("html").bounding_box()
    main = page.locator("main").bounding_box()
    size = page.viewport_size
    return root is not None and main is not None and size is not None and root["width"] <= size["width"]


def test_the_overview(page: Page) -> None:
    """Charts have names and a table beside them, the form changes the rows, and nothing hangs over the edge."""
    charts = page.get_by_role("img")
    assert charts.count() == 3
    assert page.locator("svg title").first.text_content() == "Share of yes over time: analytics"
    page.locator("select[name=by]").select_option("language")
    page.locator("select[name=purpose]").first.select_option("analytics")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_role("heading", name="Ukrainian").is_visible()
    assert page.get_by_title("kept back").count() > 0
    assert narrow(page)


def test_a_record(page: Page) -> None:
    """From the list to one entry: its proof is checked, and the banner stands in its frame as it looked."""
    page.get_by_role("link", name="Entries", exact=True).click()
    page.goto(f"{page.url}?status=given")
    page.locator("tbody a").first.click()
    assert page.get_by_text("Checked now: entry").is_visible()
    banner = page.frame_locator("iframe").locator("#cst")
    banner.wait_for(state="visible")
    assert narrow(page)
