"""Measure what asking costs a visitor, beside four consent managers from npm: `python -m bench.visitors`.

The same article is visited in Chromium as on a phone (360 by 640 pixels, a processor four times slower, Lighthouse's
slow 4G), first with nothing in the cache, then after "Reject all" with the cache of that visit, then with the choice
but an empty cache again. All ways take turns, and the median counts. Bytes are what the browser received from the site:
page and all headers included, over what the same page costs with no consent manager and nothing to hold back.
Milliseconds are noisy on a shared machine, bytes and requests are not. How each way is set up: `bench.served`.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from bench.phone import ARGUMENTS, Phone
from bench.served import SERVICES, WAYS, Way, serving
from tests.browser.chromium import find_chromium

NOTHING = WAYS[0]
STAGES = ("first", "warm", "cold")
"""The first visit, one after the refusal with a warm cache, and one with a cold one."""
_SECONDS = {"accept": 8.0, "reject": 2.0}
"""How long it is waited for what a choice starts: some packages start one service after the other."""
Rows = dict[str, dict[str, list[dict[str, Any]]]]


def one_round(browser: Browser, port: int, way: Way, path: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """Visit as a new visitor, refuse, come back, and come back with an empty cache."""
    phone = Phone(browser, way, port)
    visit, page = phone.visit(path)
    refused, moved = (0, 0.0) if way is NOTHING else phone.answer(page, way.reject, seconds=_SECONDS["reject"])
    found["first"].append(visit.row() | {"shift after": moved})
    visit, _ = phone.visit(f"{path}/2")
    found["warm"].append(visit.row())
    state = phone.context.storage_state()
    phone.close()
    phone = Phone(browser, way, port, state=state)
    visit, _ = phone.visit(f"{path}/2")
    found["cold"].append(visit.row())
    phone.close()
    if refused or any(found[stage][-1]["trackers"] for stage in STAGES):
        sys.stderr.write(f"{way.name} asks a service that nobody agreed to\n")


def looked_at(browser: Browser, port: int, way: Way, path: str, pictures: Path | None) -> dict[str, Any]:
    """Tell what does not change from visit to visit: what a way loads when, and whether it needs a script."""
    phone = Phone(browser, way, port)
    before, page = phone.visit(path)
    if pictures is not None:
        phone.photograph(page, pictures / f"{way.name}.png")
    if way is NOTHING:
        phone.close()
        return {"services asked before a choice": before.trackers}
    accepted, _ = phone.answer(page, way.accept, seconds=_SECONDS["accept"])
    phone.close()
    plain = Phone(browser, way, port, script=False)
    shown = plain.banner_shows(path)
    plain.close()
    return {
        "services asked before a choice": before.trackers,
        "services asked after Accept all": accepted,
        "asks without JavaScript": shown,
    }


def measure(*, rounds: int, path: str, pictures: Path | None, names: set[str]) -> dict[str, Any]:
    """Return the medians of every way and stage, and what was seen once."""
    ways = [way for way in WAYS if way is NOTHING or way.name in names]
    rows: Rows = {way.name: {stage: [] for stage in STAGES} for way in ways}
    seen = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (port, trusted), sync_playwright() as play:
        arguments = [*ARGUMENTS, f"--ignore-certificate-errors-spki-list={trusted}"]
        browser = play.chromium.launch(executable_path=find_chromium(), args=arguments)
        for way in ways:
            seen[way.name] = looked_at(browser, port, way, path, pictures)
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds}\n")
            for way in ways:
                one_round(browser, port, way, path, rows[way.name])
        browser.close()
    return {
        way.name: seen[way.name]
        | {stage: _medians(rows[way.name][stage], rows[NOTHING.name][stage]) for stage in STAGES}
        for way in ways
    }


def _medians(visits: list[dict[str, Any]], without: list[dict[str, Any]]) -> dict[str, Any]:
    def median(of: list[dict[str, Any]], name: str) -> Any:
        values = [visit[name] for visit in of if visit[name] is not None]
        return statistics.median(values) if values else None

    lcp = [visit["lcp"] for visit in visits]
    return {
        "bytes": median(visits, "received") - median(without, "received"),
        "requests": median(visits, "requests") - median(without, "requests"),
        "requests before the banner": median(visits, "before") - median(without, "requests"),
        "banner": median(visits, "banner"),
        "banner least": min((visit["banner"] for visit in visits if visit["banner"] is not None), default=None),
        "lcp": median(visits, "lcp"),
        "lcp added": median(visits, "lcp") - median(without, "lcp"),
        "lcp least": min(lcp),
        "lcp least added": min(lcp) - min(visit["lcp"] for visit in without),
        "lcp is the banner": sum(visit["lcp_in_banner"] for visit in visits),
        "layout shift": max(visit["shift"] for visit in visits),
        "layout shift of the banner": max(visit["shift_in_banner"] for visit in visits),
        "layout shift after the answer": max(visit.get("shift after", 0) for visit in visits),
        "blocked": median(visits, "blocked"),
    }


def table(found: dict[str, Any]) -> str:
    """Return the numbers as a table."""
    columns = (
        "bytes first",
        "decided, cold",
        "decided, warm",
        "requests",
        "banner ms",
        "LCP ms",
        "least",
        "shift",
        "shift after",
        "blocked",
        "no script",
        "before",
        "accepted",
    )
    lines = [f"{'':23}" + "".join(f"{column:>14}" for column in columns)]
    for name, way in found.items():
        first, warm, cold = (way[stage] for stage in STAGES)
        asks = name != NOTHING.name
        cells = [
            f"{first['bytes']:+,.0f}" if asks else "",
            f"{cold['bytes']:+,.0f}" if asks else "",
            f"{warm['bytes']:+,.0f}" if asks else "",
            f"{first['requests before the banner']:.0f}" if asks else "",
            f"{first['banner']:,.0f}" if asks else "",
            f"{first['lcp added']:+,.0f}" if asks else f"{first['lcp']:,.0f}",
            f"{first['lcp least added']:+,.0f}" if asks else f"{first['lcp least']:,.0f}",
            f"{first['layout shift']:.3f}",
            f"{first['layout shift after the answer']:.3f}" if asks else "",
            f"{first['blocked']:,.0f}",
            ("asks" if way["asks without JavaScript"] else "silent") if asks else "",
            f"{way['services asked before a choice']}",
            f"{way['services asked after Accept all']} of {len(SERVICES)}" if asks else "",
        ]
        lines.append(f"{name:23}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Print the table, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--article", choices=("picture", "text"), default="picture", help="what the article begins with"
    )
    parser.add_argument("--way", action="append", help="measure only this one, beside nothing; may be repeated")
    parser.add_argument("--pictures", type=Path, help="keep a picture of every first visit in this folder")
    parser.add_argument("--json", action="store_true", help="print all numbers")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    if args.pictures is not None:
        args.pictures.mkdir(parents=True, exist_ok=True)
    names = set(args.way or (way.name for way in WAYS))
    found = measure(rounds=args.rounds, path=f"/{args.article}", pictures=args.pictures, names=names)
    print(json.dumps(found, indent=2) if args.json else table(found))


if __name__ == "__main__":
    main()
