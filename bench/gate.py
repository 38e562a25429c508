"""Measure the gate beside compressing and beside other rewriters: `python -m bench.gate`.

Every way is measured in turn, several times over, and the best of its rounds counts: on a shared machine the ratio to
gzip in the same run means something, the milliseconds do not.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterable

from bench.pages import PAGES, SHEETS, TRACKER, article
from bench.rivals import BANNER, Way, rivals
from consent.choice.catalogue import Catalogue, Purpose, Service
from consent.gate.html import Gate, Insert
from consent.gate.rules import Rules, Undeclared, View
from consent.gate.sheet import SheetGate

_BANNER = Insert(banner=BANNER.encode())


def catalogue() -> Catalogue:
    """Return one declared tracker among sixty known services."""
    known = tuple(
        Service(key=f"known-{n}", purpose="analytics", hosts=(f"k{n}.example",), patterns=(f"known{n}Queue",))
        for n in range(60)
    )
    tracker = Service(key="tracker", purpose="analytics", hosts=(TRACKER,), patterns=(f"{TRACKER}/t.js",))
    purposes = (Purpose(key="necessary"), Purpose(key="analytics"))
    return Catalogue(purposes=purposes, services=(tracker,), known=known)


def _rules() -> Rules:
    return Rules(catalogue(), site_hosts=("meridian.example",), undeclared=Undeclared.HOLD)


def gate(view: View, page: bytes, *, chunk: int = 0) -> bytes:
    """Return a page gated, whole or in chunks of so many bytes."""
    gate_ = Gate(view, charset="utf-8", insert=_BANNER)
    if not chunk:
        return gate_.feed(page) + gate_.end()
    out = [gate_.feed(page[at : at + chunk]) for at in range(0, len(page), chunk)]
    return b"".join((*out, gate_.end()))


def _gzip(page: bytes) -> bytes:
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compress.compress(page) + compress.flush()


def measure(ways: dict[str, Way], page: bytes, rounds: int) -> dict[str, float]:
    """Return the best time of each way, in milliseconds of this thread's processor time."""
    best = dict.fromkeys(ways, float("inf"))
    times = max(1, 400_000 // len(page))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.thread_time_ns()
            for _ in range(times):
                way(page)
            best[name] = min(best[name], (time.thread_time_ns() - start) / times / 1e6)
    return best


def _print(title: str, best: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, milliseconds in best.items():
        print(f"  {name:<34}{milliseconds:10.3f} ms{milliseconds / best['gzip level 9']:9.3f} x gzip")


def _cold(pages: Iterable[bytes], view: View) -> float:
    """Return the milliseconds of a page whose bytes are new though most of its tags are known."""
    fresh = list(pages)
    best = float("inf")
    for page in fresh:
        start = time.thread_time_ns()
        gate(view, page)
        best = min(best, (time.thread_time_ns() - start) / 1e6)
    return best


def main() -> None:
    """Print every page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rules = _rules()
    nobody = rules.view(frozenset())
    everybody = Rules(catalogue(), site_hosts=("meridian.example",), undeclared=Undeclared.REPORT).view(
        frozenset(("tracker",))
    )
    others, missing = rivals(nobody)
    for title, page in PAGES.items():
        ways: dict[str, Way] = {
            "pass-through": bytes,
            "gate": lambda page: gate(nobody, page),
            "gate, 4 KB chunks": lambda page: gate(nobody, page, chunk=4096),
            "gate, everything granted": lambda page: gate(everybody, page),
            "gzip level 9": _gzip,
            **others,
        }
        _print(f"{title}: {len(page)} bytes, {page.count(b'<')} tags", measure(ways, page, options.rounds))
    for title, sheet in SHEETS.items():
        both: dict[str, Way] = {
            "gate": lambda sheet: SheetGate(nobody, encoding="utf-8").gated(sheet),
            "gzip level 9": _gzip,
        }
        _print(f"style sheet, {title}: {sheet.count(b'url(')} addresses", measure(both, sheet, options.rounds))
    cold = _cold((article(20_000, seed=seed) for seed in range(100, 130)), nobody)
    unknown = min(_cold((page,), _rules().view(frozenset())) for page in [PAGES["20 KB"]] * 5)
    print(
        f"\n20 KB, other articles of the same site: {cold:.3f} ms; the very first page after a start: {unknown:.3f} ms"
    )
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")


if __name__ == "__main__":
    main()
