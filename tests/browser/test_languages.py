"""Follow the links out of a page in another language than the browser's: what opens speaks as the page does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from tests.browser.conftest import Window
from tests.browser.gallery import gallery

pytestmark = pytest.mark.browser

CHOICES = {"ar": "خياراتك بشأن الخصوصية", "de": "Ihre Datenschutz-Auswahl"}


@pytest.mark.parametrize("language", CHOICES)
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_the_second_layer_goes_on_in_the_language_of_the_page(
    serve: Callable[[ASGIApp], int], window: Callable[..., Window], script: bool, language: str
) -> None:
    """An English browser on an Arabic page gets choices, answers and receipt in Arabic, until somebody switches."""
    port = serve(gallery(("en", *CHOICES)))
    visitor = window(f"http://site.localhost:{port}", script=script, locale="en-IE")
    page = visitor.page
    visitor.open(f"/pages/{language}")
    page.locator("#cst [data-consent-open]").click()
    heading = page.locator("#cst-heading")
    heading.wait_for()
    assert heading.inner_text() == CHOICES[language]
    assert page.locator(".cst-choices").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    visitor.choose(page.locator("button[form=cst-all][value=accept_all]"))
    visitor.open(f"/pages/{language}")
    page.locator(".cst-link a").click()
    heading.wait_for()
    visitor.choose(page.locator("button[value=withdraw]"))
    assert page.locator(".cst-flash").is_visible()
    assert heading.inner_text() == CHOICES[language]
    visitor.open(f"/privacy/choices?lang={language}")
    page.locator("header nav a").last.click()
    page.wait_for_load_state()
    assert page.locator("html").get_attribute("lang") == language
    page.locator('footer button[value="en"]').click()
    page.wait_for_load_state()
    assert page.locator("html").get_attribute("lang") == "en"
    visitor.open(f"/privacy/choices?lang={language}")
    assert page.locator("html").get_attribute("lang") == "en", "who switched is not switched back"
