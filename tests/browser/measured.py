"""Measure a page as it is shown: what axe-core finds, and the contrast of every text of ours."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OPTIONS = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
}
LEAST_CONTRAST = 5.0
"""What text must reach (STANDARDS of the advertising trade ask for 5:1; WCAG 2.2, 1.4.3 for 4.5:1)."""
FAINT = """(least) => {
  const box = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = (colour) => {
    box.clearRect(0, 0, 1, 1); box.fillStyle = colour; box.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = box.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, n) => c * a + under[n] * (1 - a)).concat(1);
  const ground = (node) => {
    if (!node) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(node.parentElement));
  };
  const part = (c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  const found = [];
  const ours = document.querySelector('.cst-page') || document.body;
  const walk = document.createTreeWalker(ours, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    const own = node.closest('.cst-page, #cst, .cst-hold, .cst-dialog, .cst-link');
    if (!walk.currentNode.data.trim() || !own || !node.checkVisibility()) continue;
    const behind = ground(node), text = over(parse(getComputedStyle(node).color), behind);
    const [a, b] = [light(text), light(behind)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    seen++;
    if (ratio < least) found.push(`${walk.currentNode.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [seen, found];
}"""


def violations(page: Page, *, without: tuple[str, ...] = ()) -> list[str]:
    """Return what axe-core finds, a line for each element; `without` names rules that do not apply."""
    rules: dict[str, Any] = OPTIONS["rules"] | {rule: {"enabled": False} for rule in without}  # type: ignore[operator]
    answer = Axe().run(page, options=OPTIONS | {"rules": rules}).response
    return [
        f"{found['id']}: {found['help']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for found in answer["violations"]
        for node in found["nodes"]
    ]


def faint(page: Page) -> list[str]:
    """Return the texts of ours whose contrast with what is painted behind them is less than 5:1."""
    seen, found = page.evaluate(FAINT, LEAST_CONTRAST)
    assert seen, "no text of ours was looked at"
    return list(found)
