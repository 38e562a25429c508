"""Read what an auditor asks to see of the statistics, and put together what the overview shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from consent.ledger.gaps import events, pruned
from consent.ledger.ledger import Ledger
from consent.ledger.retention import holds
from consent.ledger.statistics import (
    DAYS_A_WEEK,
    TABLES,
    WHOLE,
    Jump,
    Series,
    Statistics,
    Week,
    by_day,
    by_week,
    jumps,
    shown_by_day,
    window,
)
from consent.ledger.store import Store
from consent.ledger.tally import monday
from consent.web.charts import chart

PERIODS = {"week": 26, "day": 4}
"""How many weeks one page shows, by what a bar stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Hold what is asked for: bars for days or weeks, rows by what (`all` for one row), the last day, the purpose."""

    period: str = "week"
    by: str = WHOLE[0]
    until: date
    purpose: str = ""
    exact: bool = False

    @property
    def weeks(self) -> int:
        """Return how many weeks the page shows."""
        return PERIODS[self.period]

    @property
    def span(self) -> tuple[int, int]:
        """Return the ordinals of the first day, and of the day after the last."""
        return window(until=self.until, weeks=self.weeks)


def view(query: Mapping[str, str], *, today: date, may_see_all: bool) -> tuple[View, list[str]]:
    """Return the view a query asks for, and the names of the fields in it that mean nothing and were left out."""
    wrong = []
    period, by, until = query.get("period") or "week", query.get("by") or WHOLE[0], today
    if period not in PERIODS:
        wrong.append("period")
        period = "week"
    if by not in (WHOLE[0], *TABLES):
        wrong.append("by")
        by = WHOLE[0]
    if query.get("until"):
        try:
            until = min(date.fromisoformat(query["until"]), today)
            window(until=until, weeks=PERIODS[period])
            date.fromordinal(window(until=until, weeks=max(PERIODS.values()))[0] - 400)
        except ValueError:
            wrong.append("until")
            until = today
    if by != WHOLE[0] and period == "day":
        # Rows by day would give away what is kept back by week.
        period = "week"
    exact = may_see_all and query.get("exact") == "1"
    return View(period=period, by=by, until=until, purpose=query.get("purpose", ""), exact=exact), wrong


def overview(statistics: Statistics, store: Store, asked: View, *, now: float) -> dict[str, Any]:
    """Return what the overview's template is given of the statistics."""
    today = datetime.fromtimestamp(now, UTC).date()
    first, last = asked.span
    weeks = statistics.weeks(first=first, last=last, today=today.toordinal(), exact=asked.exact)
    listed = [by_day(weeks)] if asked.period == "day" else by_week(weeks, asked.by)
    purposes = sorted({key for series in listed for key in series.total.purposes})
    purpose = asked.purpose if asked.purpose in purposes else ""
    if asked.by != WHOLE[0] and not purpose:
        purpose = purposes[0] if purposes else ""
    marks = jumps(weeks)
    return {
        "asked": asked,
        "purposes": purposes,
        "purpose": purpose,
        "series": [
            {
                "name": series.name,
                "series": series,
                "charts": [
                    {"purpose": key, "chart": chart(series, key, marked=_marked(marks, key, series))}
                    for key in purposes
                    if key == (purpose or key)
                ],
            }
            for series in listed
        ],
        "jumps": marks,
        "traffic": _traffic(store, weeks, asked),
        "from_day": date.fromordinal(first),
        "to_day": date.fromordinal(last - 1),
        "earlier": date.fromordinal(first - 1).isoformat(),
        "later": date.fromordinal(last + asked.weeks * DAYS_A_WEEK - 1).isoformat()
        if last <= monday(today.toordinal())
        else None,
    }


def _marked(marks: Sequence[Jump], purpose: str, series: Series) -> set[int]:
    """Return where a chart gets a mark: one of all answers for each, one of a language or notice for its own."""
    found = set()
    for mark in marks:
        own = {"language": mark.language, "notice": mark.newer, WHOLE[0]: WHOLE[-1]}
        if mark.purpose == purpose and own.get(series.name[0]) == series.name[-1]:
            found.add(mark.start)
    return found


def _traffic(store: Store, weeks: Sequence[Week], asked: View) -> list[dict[str, Any]]:
    """Return how often the notice was shown, answered and left unanswered, where the answers are published."""
    first, last = asked.span
    counts = shown_by_day(store, first=first, last=last)
    series: Series = by_day(weeks) if asked.period == "day" else (by_week(weeks, WHOLE[0]) or [by_day([])])[0]
    days = 1 if asked.period == "day" else DAYS_A_WEEK
    rows = []
    for period in series.periods:
        views = sum(counts[day] for day in range(period.start, period.start + days))
        answered = None if period.figures is None else period.figures.answers
        ignored = None if answered is None else max(0, views - answered)
        rows.append({"start": period.start, "shown": views, "answered": answered, "ignored": ignored})
    return rows


def state(ledger: Ledger) -> dict[str, Any]:
    """Return what an auditor has to know before they trust the rest: what is signed, and what is missing."""
    store = ledger.store
    head, checkpoint, published = store.head(), ledger.checkpoint(), ledger.published()
    ranges = pruned(store)
    return {
        "size": head.size,
        "root": head.root.hex(),
        "checkpoint": checkpoint.note.decode() if checkpoint else None,
        "sealed": checkpoint.size if checkpoint else 0,
        "published": published,
        "published_note": published.note.decode() if published else None,
        "key": ledger.signer.verifier.text,
        "stopped": ledger.fault() is not None,
        "queued": ledger.queued,
        "lost": ledger.lost,
        "pruned": sum(end - begin for begin, end in ranges),
        "holds": sorted(holds(store)),
    }


def versions(store: Store) -> dict[str, Any]:
    """Return the policies and notices that were published, the newest first, each with the one before it."""
    policies: list[dict[str, Any]] = []
    notices: list[dict[str, Any]] = []
    older: dict[tuple[str, str], dict[str, Any]] = {}
    for kind, found in (("policy-published", policies), ("notice-published", notices)):
        for entry in events(store, kind):
            of = (entry.get("slug", ""), entry["language"])
            found.append(entry | {"older": older.get(of)})
            older[of] = entry
    return {"policy_versions": policies[::-1], "notice_versions": notices[::-1]}
