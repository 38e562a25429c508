"""Make odd documents from a grammar of pieces, and find in their parsed trees what would ask the tracker.

The judge is turbohtml, a tree builder written by others, with scripting on and off; for XML it is expat. By hand:
`python -m tests.gate.fuzz --documents 2000000 --seed 7 --jobs 2 --kind html`, and with Chromium as the judge
`python -m tests.gate.fuzz_browser --documents 5000 --seed 7`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from typing import Any

import turbohtml

from consent.gate import css
from consent.gate.address import read
from tests.gate import fuzz_xml
from tests.gate.example import gated

LIVE = (
    '<script src="http://tracker.test/%d"></script>',
    "<script src=//tracker.test/%d></script>",
    '<SCRIPT type=module SRC="http://tracker&period;test/%d"></SCRIPT>',
    '<img src="http://tracker.test/%d">',
    "<img srcset='//tracker.test/%d 1x'>",
    '<image src="http:\\\\tracker.test/%d">',
    '<iframe src="http://tracker.test/%d"></iframe>',
    '<iframe srcdoc="&lt;img src=//tracker.test/%d&gt;"></iframe>',
    '<object data="http://tracker.test/%d"></object>',
    '<embed src="http://tr\tacker.test/%d">',
    '<video poster="http://tracker.test/%d"><source src="http://tracker.test/%d"></video>',
    '<link rel=stylesheet href="http://tracker.test/%d">',
    '<input type=image src="http://tracker.test/%d">',
    '<p style="background:url(http://tracker.test/%d)">',
    "<style>@import '//tracker.test/%d';</style>",
    '<script>new Image().src="http://tracker.test/%d"</script>',
    '<svg><script href="http://tracker.test/%d"></script></svg>',
    '<svg><image xlink:href="http://tracker.test/%d" /></svg>',
    '<svg><use href="http://tracker.test/%d#a"/></svg>',
    '<noscript><img src="http://tracker.test/%d"></noscript>',
    '<a ping="http://tracker.test/%d" href=/>x</a>',
    '<table background="http://tracker.test/%d"><td background=//tracker.test/%d>',
    '<meta http-equiv=refresh content="0;url=http://tracker.test/%d">',
)
_ELEMENTS = (
    *("svg", "math", "select", "frameset", "noscript", "template", "style", "title", "textarea", "xmp", "iframe"),
    *("noembed", "noframes", "script", "plaintext", "foreignObject", "desc", "mi", "mtext", "annotation-xml", "mglyph"),
    *("malignmark", "table", "tr", "td", "col", "colgroup", "caption", "option", "optgroup", "p", "br", "b", "font"),
    *("body", "html", "head", "a", "form", "button", "object", "applet", "marquee", "image", "pre", "listing", "h1"),
    *("div", "span", "li", "dd", "rp", "rt", "ruby", "nobr"),
)
ODD = (
    *(f"<{name}>" for name in _ELEMENTS),
    *(f"</{name}>" for name in _ELEMENTS),
    *(f"<{name}/>" for name in ("svg", "math", "style", "title", "script", "desc", "select", "template", "br", "p")),
    *("<!--", "-->", "--!>", "<!-->", "<!--->", "<!", "<?x ?>", "</>", "</ >", "<![CDATA[", "]]>", "<!doctype html>"),
    *("<script><!--", "<script><!--<script>", "</script >", "</script/>", "</style x", "<div title='", '<div title="'),
    *(
        "'",
        '"',
        ">",
        "<",
        "/",
        "=",
        "&",
        "<a b=c/>",
        "<a =",
        "<font color=red>",
        "<font size>",
        "text",
        " ",
        "\n",
        "\0",
    ),
    *('<annotation-xml encoding="text/html">', "<annotation-xml encoding=x>", "<svg><desc>", "<math><mi>", "é"),
    *("<svg><title>", "<select><option>", "<template><col>", "<div><template shadowrootmode=open>", "<title></title>"),
    *("<script>1</script>", '<script type="application/json">', "<base href=//meridian.example/>", "<x-y src=/own>"),
    *("<img alt='>' ", "<img src=/own>"),
)
_FOREIGN = ("svg", "math", "desc", "title", "foreignObject", "g", "mi", "mglyph", "annotation-xml")
_IN_HTML = ("div", "p", "b", "li", "a", "table", "td", "template", "select", "h1", "form", "font color=red")
_TRAPS = (
    "<style><img src=//tracker.test/%d></style>",
    "<script/><img src=//tracker.test/%d></script>",
    '<script/>new Image().src="//tracker.test/%d"</script>',
    "<title><img src=//tracker.test/%d></title>",
    "<![CDATA[><img src=//tracker.test/%d>]]>",
    "<![CDATA[<style>]]><img src=//tracker.test/%d></style>",
)
"""What asks, or does not, by whether it stands in foreign content."""


def foreign_document(random_: random.Random) -> str:
    """Return a document that opens and closes foreign content and HTML inside of it, not always in good order."""
    pieces = ["<!doctype html>", *random_.choices(("", "<body>", "<p><b></p>", "<select>"), (4, 2, 1, 1), k=1)]
    opened: list[str] = []
    for _ in range(random_.randint(3, 16)):
        step = random_.random()
        if step < 0.4:
            name = random_.choice(_FOREIGN if random_.random() < 0.7 else _IN_HTML)
            opened.append(name.split()[0])
            pieces.append(f"<{name}>" if random_.random() < 0.95 else f"<{name}/>")
        elif step < 0.8 and opened:
            # Kept now and then, so that it is closed once more.
            name = opened[-1] if random_.random() < 0.5 else random_.choice(opened)
            if random_.random() < 0.8:
                opened.remove(name)
            pieces.append(f"</{name}>")
        elif step < 0.9:
            pieces.append("x")
        else:
            pieces.append(random_.choice(_TRAPS) % len(pieces))
    return "".join((*pieces, random_.choice(_TRAPS) % len(pieces)))


def document(random_: random.Random) -> str:
    """Return one document of odd pieces among which live ones stand."""
    pieces = ["<!doctype html>"] if random_.random() < 0.7 else []
    number = 0
    for _ in range(random_.randint(2, 14)):
        if random_.random() < 0.3:
            piece = random_.choice(LIVE)
            while "%d" in piece:
                piece = piece.replace("%d", str(number), 1)
                number += 1
        else:
            piece = random_.choice(ODD)
            if random_.random() < 0.03 and piece:
                piece = piece[: random_.randrange(len(piece))]
        pieces.append(piece)
    return "".join(pieces)


@lru_cache(maxsize=100_000)
def _asks(address: str) -> bool:
    if not address:
        return False
    host = read(address).host
    return host == "tracker.test" or host.endswith(".tracker.test")


def _of_element(element: Any, document_: str) -> Iterator[str]:
    name = str(element.tag).lower()
    if not element.attrs and name not in ("style", "script"):
        return
    attributes = {
        key: " ".join(value) if isinstance(value, list) else str(value or "") for key, value in element.attrs.items()
    }
    keys = ["src", "poster", "background"]
    if name == "object":
        keys.append("data")
    if name == "link" or "svg" in str(element.namespace).lower():
        keys += ("href", "xlink:href")
    for key in keys:
        if name != "a" and _asks(attributes.get(key, "")):
            yield f"{name} {key}"
    for key in ("srcset", "imagesrcset", "ping"):
        if any(_asks(part) for part in attributes.get(key, "").split()):
            yield f"{name} {key}"
    if any(map(_asks, css.addresses(attributes.get("style", "")))):
        yield f"{name} style"
    if "tracker.test" in attributes.get("srcdoc", "") and name == "iframe":
        yield "iframe srcdoc"
    if (
        name == "meta"
        and attributes.get("http-equiv", "").lower() == "refresh"
        and "tracker" in attributes.get("content", "")
    ):
        yield "meta refresh"
    kind = attributes.get("type", "").lower()
    if name == "style" and kind in ("", "text/css") and any(map(_asks, css.addresses(element.text))):
        yield "style text"
    runs = name == "script" and kind in ("", "module") and not attributes.get("src")
    # A script that the end of the document cuts off never runs (HTML §13.2.6.4.8).
    if runs and "tracker.test" in element.text and not document_.endswith(element.text):
        yield "script text"


def live(markup: bytes, *, scripting: bool) -> list[str]:
    """Return what in a document would ask the tracker, as the tree builder reads it."""
    tree = turbohtml.parse(markup, encoding="utf-8", scripting=scripting, positions=False)
    text = markup.decode("utf-8", "replace")
    return [leak for element in tree.find_all() for leak in _of_element(element, text)]


def judge(markup: str) -> tuple[int, list[str], bytes]:
    """Return how much of a document was live, what of it still is after gating, and the gated document."""
    body = markup.encode()
    out, _ = gated(body)
    before = sum(len(live(body, scripting=scripting)) for scripting in (True, False))
    return before, [leak for scripting in (True, False) for leak in live(out, scripting=scripting)], out


BLOCK = 2_000
"""Documents of one seed; a block is made anew from its number and the seed of the run alone."""
Found = tuple[int, list[tuple[str, list[str], bytes]]]


KINDS = {
    "html": (document, judge),
    "foreign": (foreign_document, judge),
    "xml": (fuzz_xml.document, fuzz_xml.judge),
}


def run_block(kind: str, seed: int, block: int, documents: int) -> Found:
    """Judge one block of documents; return how many of them were live, and those that leak."""
    random_ = random.Random(f"{seed} {block}")
    make, judge_ = KINDS[kind]
    alive = 0
    leaking = []
    for _ in range(documents):
        markup = make(random_)
        before, leaks, out = judge_(markup)
        alive += before > 0
        if leaks:
            leaking.append((markup, leaks, out))
    return alive, leaking


def main() -> int:
    """Judge many documents, print those that leak, and return 1 if any does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, default="html")
    options = parser.parse_args()
    blocks = [
        (block, min(BLOCK, options.documents - at)) for block, at in enumerate(range(0, options.documents, BLOCK))
    ]
    done = alive = leaking = 0
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(run_block, options.kind, options.seed, block, count): count for block, count in blocks}
        for job in as_completed(jobs):
            living, leaks = job.result()
            done, alive, leaking = done + jobs.pop(job), alive + living, leaking + len(leaks)
            for markup, found, out in leaks:
                sys.stdout.write(f"{found}\n  {markup!r}\n  {out!r}\n")
            rate = done / (time.monotonic() - began)
            sys.stdout.write(f"{done} documents, {alive} of them live, {leaking} leak, {rate:.0f} a second\n")
            sys.stdout.flush()
    return int(leaking > 0)


if __name__ == "__main__":
    sys.exit(main())
