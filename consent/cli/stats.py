"""Say how often the notice was shown, and each purpose accepted and refused, by day or week; about nobody."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from consent.cli.dates import day_of, end_of
from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.ledger.statistics import (
    DAYS_A_WEEK,
    TABLES,
    WHOLE,
    Figures,
    Jump,
    Series,
    Statistics,
    Week,
    by_day,
    by_week,
    jumps,
    shown_by_day,
)
from consent.ledger.store import Store
from consent.ledger.tally import Tally, monday
from consent.settings import ConsentSettings

_DAY = 86_400
_KEPT_BACK = "-"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent stats`."""
    parser = subparsers.add_parser(
        "stats", help="say how often each purpose is accepted and refused", description=__doc__
    )
    parser.add_argument("--by", choices=("day", "week"), default="week", help="what a row stands for (default: week)")
    rows = parser.add_mutually_exclusive_group()
    for table in TABLES:
        rows.add_argument(
            f"--by-{table}", dest="table", action="store_const", const=table, help=f"each {table} for itself, by week"
        )
    parser.add_argument("--since", type=day_of, metavar="DATE", help="from the week of this date on (UTC)")
    parser.add_argument("--until", type=end_of, metavar="DATE", help="to the end of the week of this date (UTC)")
    parser.add_argument(
        "--exact", action="store_true", help="show small groups and the week in progress too; pass none of it on"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.set_defaults(run=run, table=WHOLE[0], parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print the statistics of the ledger of the settings; return the exit status."""
    if args.by == "day" and args.table != WHOLE[0]:
        args.parser.error(f"--by day and --by-{args.table} do not go together: rows of a table are counted by week")
    if args.since is not None and args.until is not None and args.since >= args.until:
        args.parser.error("--since is not before --until")
    with existing_ledger(ConsentSettings()) as ledger:
        tally = Tally(ledger.store)
        with Bar("Counting") as bar:
            size = tally.catch_up(progress=bar)
        today = int(time.time()) // _DAY + date(1970, 1, 1).toordinal()
        first, last = _first(args.since), _last(args.until, today=today)
        weeks = Statistics(tally).weeks(first=first, last=last, today=today, exact=args.exact)
        series = [by_day(weeks)] if args.by == "day" else by_week(weeks, args.table)
        traffic = _traffic(ledger.store, weeks, by=args.by)
    if args.json:
        content = _object(series, jumps(weeks), traffic, entries=size, exact=args.exact)
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(series, jumps(weeks), traffic, by=args.by, exact=args.exact)))
    return 0


def _first(since: int | None) -> int:
    return 1 if since is None else monday(_ordinal(since))


def _last(until: int | None, *, today: int) -> int:
    return monday(today if until is None else _ordinal(until - 1)) + DAYS_A_WEEK


def _ordinal(seconds: int) -> int:
    return datetime.fromtimestamp(seconds, UTC).toordinal()


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _traffic(store: Store, weeks: Sequence[Week], *, by: str) -> dict[int, int]:
    """Return how often the notice was shown in each period that has answers, by the ordinal of its first day."""
    if not weeks:
        return {}
    counts = shown_by_day(store, first=weeks[0].monday, last=weeks[-1].monday + DAYS_A_WEEK)
    days = 1 if by == "day" else DAYS_A_WEEK
    periods = (by_day(weeks) if by == "day" else by_week(weeks, WHOLE[0])[0]).periods
    return {one.start: sum(counts[day] for day in range(one.start, one.start + days)) for one in periods}


def _named(series: Series) -> str:
    return "all" if series.name == WHOLE else " ".join((*series.name[:2], *(name[:16] for name in series.name[2:])))


def _lines(
    series: Sequence[Series], marks: Sequence[Jump], traffic: dict[int, int], *, by: str, exact: bool
) -> list[str]:
    if not series or not any(one.periods for one in series):
        kept = "" if exact else " Whole weeks are shown, and only groups of ten or more: --exact shows all there is."
        return [f"There is nothing to show for this time.{kept}"]
    lines = []
    for one in series:
        purposes = one.total.purposes
        whole = one.name == WHOLE
        rows = [(by, "answers", *(["shown", "ignored"] if whole else []), *(f"{key} yes/no" for key in purposes))]
        for period in one.periods:
            views = [str(traffic.get(period.start, 0)), _ignored(traffic, period.start, period.figures)]
            rows.append((_day(period.start), *_cells(period.figures, purposes, views if whole else [])))
        rows.append(("sum", *_cells(one.total, purposes, ["", ""] if whole else [])))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [_named(one), *("  ".join(_padded(row, widths)).rstrip() for row in rows), ""]
    for mark in marks:
        lines.append(
            f"In the week of {_day(mark.start)} yes to {mark.purpose} went from {_share(mark.before, mark.purpose)} to"
            f" {_share(mark.after, mark.purpose)} ({mark.language}), when notice {mark.newer[:16]} followed"
            f" {mark.older[:16]} (z = {mark.z:.1f})."
        )
    if not exact:
        lines.append(
            f'Whole weeks in UTC; "{_KEPT_BACK}" is kept back, for groups under ten and what would reveal them.'
        )
    if any(one.name == WHOLE for one in series):
        lines.append("Shown and ignored are page views with the notice in them, not people.")
    return lines


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _cells(figures: Figures | None, purposes: Sequence[str], views: Sequence[str]) -> list[str]:
    if figures is None:
        return [_KEPT_BACK, *views, *(_KEPT_BACK for _ in purposes)]
    shares = (f"{figures.yes.get(key, 0)}/{figures.no.get(key, 0)} {_share(figures, key)}" for key in purposes)
    return [str(figures.answers), *views, *shares]


def _ignored(traffic: dict[int, int], start: int, figures: Figures | None) -> str:
    return _KEPT_BACK if figures is None else str(max(0, traffic.get(start, 0) - figures.answers))


def _share(figures: Figures, purpose: str) -> str:
    share = figures.share(purpose)
    return _KEPT_BACK if share is None else f"{share:.0%}"


def _object(
    series: Sequence[Series], marks: Sequence[Jump], traffic: dict[int, int], *, entries: int, exact: bool
) -> dict[str, Any]:
    return {
        "entries": entries,
        "exact": exact,
        "series": [
            {
                "name": list(one.name),
                "periods": [
                    {"from": _day(period.start), **_counts(period.figures)}
                    | ({"shown": traffic.get(period.start, 0)} if one.name == WHOLE else {})
                    for period in one.periods
                ],
                "sum": _counts(one.total),
            }
            for one in series
        ],
        "jumps": [
            {
                "from": _day(mark.start),
                "language": mark.language,
                "older": mark.older,
                "newer": mark.newer,
                "purpose": mark.purpose,
                "before": mark.before.share(mark.purpose),
                "after": mark.after.share(mark.purpose),
                "z": round(mark.z, 2),
            }
            for mark in marks
        ],
    }


def _counts(figures: Figures | None) -> dict[str, Any]:
    """Return figures as JSON has them; nothing but null where they are kept back."""
    if figures is None:
        return {"answers": None, "purposes": None}
    return {
        "answers": figures.answers,
        "purposes": {key: {"yes": figures.yes.get(key, 0), "no": figures.no.get(key, 0)} for key in figures.purposes},
    }
