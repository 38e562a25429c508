"""Have the Nu HTML Checker read every page and fragment."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import shown
from tests.browser.gallery import on_a_page
from tests.packages import fetch

ONCE = "once form"


def page(name: str) -> str:
    """Return a case as a whole page."""
    made, cases = shown.pages(), shown.every("en")
    template, context = cases[name]
    html = made.render(template, language="en", **context)
    if html.lstrip().startswith("<!doctype"):
        return html
    once = made.render(cases[ONCE][0], language="en", **cases[ONCE][1]) if name != ONCE else ""
    if template == "consent_placeholder.html":
        return on_a_page("en", start=once, body=f"<p>{html}</p>")
    return on_a_page("en", start=html) if template != "consent_banner.html" else on_a_page("en", start=html + once)


@pytest.mark.long
def test_the_checker_finds_no_error(tmp_path: Path) -> None:
    """Find no error and no warning in any page, and none in a page that our fragments stand in."""
    java = shutil.which("java")
    assert java, (
        "there is no Java, which the Nu HTML Checker runs on: install it (apt-get install default-jre-headless)"
    )
    jar = fetch("vnu-jar", tmp_path / "npm") / "build" / "dist" / "vnu.jar"
    pages = tmp_path / "pages"
    pages.mkdir()
    for number, name in enumerate(shown.every("en")):
        (pages / f"{number:02} {name}.html".replace(",", "")).write_text(page(name), encoding="utf-8")
    (pages / "wrong.html").write_text("<!doctype html><p><div title=a title=b>", encoding="utf-8")
    done = subprocess.run(
        [java, "-Xss2m", "-jar", str(jar), "--stdout", "--exit-zero-always", "--format", "json", str(pages)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)["messages"]
    assert any("wrong.html" in one["url"] for one in told), "the checker did not check"
    found = [
        f"{one['url'].rpartition('/')[2]}: {one['message']} {one.get('extract', '')!r}"
        for one in told
        if "wrong.html" not in one["url"] and (one["type"] == "error" or one.get("subType") == "warning")
    ]
    assert found == []
