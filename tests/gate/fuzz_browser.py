"""Let Chromium load many odd documents, gated, and say whether one of them asked the tracker: run by hand."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.gate import fuzz, fuzz_xml
from tests.gate.example import gated
from tests.gate.listener import Listener
from tests.gate.test_browser import SITE, asked, browsing
from tests.gate.test_xml import gated as gated_xml

BLOCK = 100


def visit(documents: list[str], *, kind: str, scripting: bool, folder: Path) -> list[str]:
    """Load documents and return what was asked of the tracker."""
    content_type = "text/html; charset=utf-8" if kind == "html" else "application/xhtml+xml"

    def answer(host: str, path: str) -> tuple[str, bytes] | None:
        number = path.strip("/")
        if host != SITE or not number.isdigit():
            return None
        return content_type, (gated if kind == "html" else gated_xml)(documents[int(number)])[0]

    listener = Listener(answer, folder)
    with browsing(listener, scripting=scripting) as visit_:
        visit_(f"/{number}" for number in range(len(documents)))
    listener.close()
    if sum(host == SITE for host, _ in listener.asked) < len(documents):
        raise RuntimeError("the browser did not ask for every document")
    return asked(listener)


def main() -> int:
    """Visit documents in blocks, half of them without scripting, and return 1 if the tracker was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=("html", "xml"), default="html")
    options = parser.parse_args()
    random_ = random.Random(options.seed)
    make = fuzz.document if options.kind == "html" else fuzz_xml.document
    leaks = 0
    with tempfile.TemporaryDirectory() as folder:
        for block, at in enumerate(range(0, options.documents, BLOCK)):
            documents = [make(random_) for _ in range(min(BLOCK, options.documents - at))]
            found = visit(documents, kind=options.kind, scripting=block % 2 == 0, folder=Path(folder))
            leaks += bool(found)
            if found:
                sys.stdout.write(f"asked: {found}, by one of\n" + "".join(f"  {one!r}\n" for one in documents))
            sys.stdout.write(f"{at + len(documents)} documents, {leaks} blocks leak\n")
            sys.stdout.flush()
    return int(leaks > 0)


if __name__ == "__main__":
    sys.exit(main())
