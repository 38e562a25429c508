"""Hold against a site's own style sheet: the notices look and stand under three well-known ones as under none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.browser.conftest import Window
from tests.browser.gallery import gallery
from tests.packages import fetch

pytestmark = [pytest.mark.browser, pytest.mark.long]

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "styles"
SHEETS = {
    "bootstrap": ("bootstrap", "dist/css/bootstrap.min.css"),
    "bulma": ("bulma", "css/bulma.min.css"),
    "pico": ("@picocss/pico", "css/pico.min.css"),
}
PROPERTIES = (
    *("font-family", "font-size", "font-weight", "font-style", "line-height", "letter-spacing", "text-transform"),
    *("color", "background-color", "border-top-color", "border-top-width", "border-top-left-radius", "box-shadow"),
    *("padding-top", "padding-left", "margin-top", "margin-bottom", "margin-left", "opacity", "display", "text-align"),
    *("list-style-type", "text-decoration-line", "box-sizing", "position"),
)
MEASURE = """([root, names]) => [...document.querySelectorAll(`${root}, ${root} *`)].map((node) => {
  const style = getComputedStyle(node), box = node.getBoundingClientRect();
  const seen = box.width && box.height ? names.map((name) => `${name}: ${style.getPropertyValue(name)}`) : [];
  return [`${node.localName}.${node.className}`, [...seen, `${Math.round(box.width)} x ${Math.round(box.height)}`]];
})"""

Measured = dict[str, list[tuple[str, list[str]]]]


def looked_at(visitor: Window, name: str, position: str) -> Measured:
    """Return how every element of the first layer, a placeholder and the dialog looks, and keep pictures of them."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page, found = visitor.page, {}
    visitor.open("/pages/en")
    # A site's own size of text is taken over on purpose; what is compared is all the rest.
    page.evaluate("document.documentElement.style.fontSize = '16px'")
    for root in ("#cst", ".cst-hold"):
        found[root] = page.evaluate(MEASURE, [root, PROPERTIES])
    page.screenshot(path=ARTEFACTS / f"{name}-{position}.png")
    page.locator("#cst [data-consent-open]").click()
    page.locator("dialog[open] h2").wait_for()
    found[".cst-dialog"] = page.evaluate(MEASURE, [".cst-dialog", PROPERTIES])
    page.screenshot(path=ARTEFACTS / f"{name}-{position}-dialog.png")
    return found


def differences(plain: Measured, dressed: Measured) -> list[str]:
    """Return every element that looks another way, with what differs."""
    found = []
    for root, elements in plain.items():
        assert len(elements) == len(dressed[root])
        for (name, before), (_, after) in zip(elements, dressed[root], strict=True):
            changed = [f"{a} -> {b}" for a, b in zip(before, after, strict=False) if a != b]
            if changed:
                found.append(f"{root} {name}: {', '.join(changed)}")
    return found


@pytest.mark.parametrize("position", ["bar", "corner", "centre"])
def test_a_sites_own_style_sheet_does_not_reach_in(
    serve: Callable[[ASGIApp], int], window: Callable[..., Window], tmp_path: Path, position: str
) -> None:
    """Compute the same fonts, colours, spaces and sizes for every element of ours, with each sheet and without."""
    files = {name: fetch(package, tmp_path) / path for name, (package, path) in SHEETS.items()}

    async def sheet(request: Request) -> Response:
        return FileResponse(files[request.path_params["name"]], media_type="text/css")

    def site(name: str) -> str:
        head = f'<link rel="stylesheet" href="/sheets/{name}">' if name != "none" else ""
        sheets = Starlette(routes=[Route("/sheets/{name}", sheet)])
        pages = gallery(("en",), head=head, position=position)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await (sheets if scope.get("path", "").startswith("/sheets/") else pages)(scope, receive, send)

        return f"http://site.localhost:{serve(app)}"

    measured: dict[str, Any] = {}
    for name in ("none", *SHEETS):
        measured[name] = looked_at(window(site(name)), name, position)
    wrong = [f"{name}: {one}" for name in SHEETS for one in differences(measured["none"], measured[name])]
    assert not wrong, "\n".join(wrong)
