"""Do the gate's easiest part with other libraries: find the elements that load from a tracker, and park them.

Every rival decides by the same rules as the gate, looks at the same attributes, and inserts the same banner. None of
them looks at style texts, inline scripts, `noscript` or `srcdoc`, and none keeps the page's other bytes as they were
unless the library does so by itself: what is measured is the least that a gate made of it would cost.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from consent.gate.rules import View

Way = Callable[[bytes], object]

LOADING = {
    **dict.fromkeys(("audio", "embed", "frame", "iframe", "input", "script", "track"), ("src",)),
    **dict.fromkeys(("img", "source"), ("src", "srcset")),
    "link": ("href", "imagesrcset"),
    "object": ("data",),
    "video": ("src", "poster"),
}
"""The attributes that make a browser load something, by element."""
BANNER = "<section>consent</section>"


def rivals(view: View) -> tuple[dict[str, Way], list[str]]:
    """Return a way for each library that is installed, and the names of those that are not."""
    makers: dict[str, tuple[str, Callable[[Any, View], Way]]] = {
        "python-lolhtml": ("lolhtml", _lolhtml),
        "turbohtml.rewrite": ("turbohtml.rewrite", _turbohtml),
        "selectolax": ("selectolax.lexbor", _selectolax),
    }
    ways, missing = {}, []
    for name, (module, make) in makers.items():
        try:
            ways[name] = make(importlib.import_module(module), view)
        except ImportError:
            missing.append(name)
    return ways, missing


def _held(view: View) -> Callable[[str], bool]:
    @lru_cache(maxsize=4096)
    def held(value: str) -> bool:
        addresses = [part.split()[0] for part in value.split(", ") if part.strip()] if ", " in value else [value]
        return any(view.verdict(view.rules.owner(address)) is not None for address in addresses)

    return held


def _lolhtml(lolhtml: Any, view: View) -> Way:
    held = _held(view)

    class Handler:
        def element(self, element: Any) -> None:
            for name in LOADING[element.tag_name]:
                value = element.get_attribute(name)
                if value and held(value):
                    element.set_attribute(f"data-consent-{name}", value)
                    element.remove_attribute(name)

    class Body:
        def element(self, element: Any) -> None:
            element.prepend(BANNER, lolhtml.ContentType.HTML)

    def rewrite(page: bytes) -> bytes:
        out: list[bytes] = []
        rewriter = lolhtml.HTMLRewriter(out.append)
        rewriter.on(",".join(LOADING), Handler())
        rewriter.on("body", Body())
        rewriter.write(page)
        rewriter.end()
        return b"".join(out)

    return rewrite


def _turbohtml(turbohtml: Any, view: View) -> Way:
    held = _held(view)

    def handler(element: Any) -> None:
        for name in LOADING[element.tag]:
            value = element.get(name)
            if value and held(value):
                element.set_attribute(f"data-consent-{name}", value)
                element.remove_attribute(name)

    def body(element: Any) -> None:
        element.prepend(BANNER, html=True)

    elements = [(",".join(LOADING), handler), ("body", body)]
    return lambda page: turbohtml.rewrite(page.decode(), elements=elements).encode()


def _selectolax(lexbor: Any, view: View) -> Way:
    held = _held(view)
    selector = ",".join(LOADING)

    def rewrite(page: bytes) -> bytes:
        parser = lexbor.LexborHTMLParser(page)
        for element in parser.css(selector):
            attributes = element.attrs
            for name in LOADING[element.tag]:
                value = attributes.get(name)
                if value and held(value):
                    attributes[f"data-consent-{name}"] = value
                    del attributes[name]
        parser.body.insert_child(lexbor.LexborHTMLParser(BANNER).css_first("section"))
        return str(parser.html).encode()

    return rewrite
