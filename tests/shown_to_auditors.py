"""Hold what the auditor's templates are given, for a small invented site."""

from __future__ import annotations

from datetime import date
from typing import Any

from consent.choice.notice import Notice
from consent.ledger.account import Account
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.statistics import Figures, Jump, Period, Series
from consent.ledger.store import Published
from consent.web.charts import chart
from consent.web.overview import View

DIGEST = "5b0e" * 16
OTHER = "77ac" * 16
MOMENT = 1_795_000_000
MONDAY = date(2026, 11, 2).toordinal()
ODD = "<b onclick=\"x()\">Odd & 'quoted'</b>"
"""The title of one service: text that must never become markup."""
NOTE = Checkpoint(name="meridian.example", size=4, root=b"r" * 32, note=b"meridian.example\n4\nroot\n")
RECORD: dict[str, Any] = {
    "kind": "consent",
    "record": "0192f3a1-0000-7000-8000-000000000003",
    "recorded_at": "2026-11-18T22:26:40Z",
    "decided_at": "2026-11-18T22:26:40Z",
    "late": True,
    "status": "given",
    "method": "banner:save",
    "scope": "site",
    "purposes": {"analytics": True, ODD: False},
    "services": {"vidbox": True},
    "notice": DIGEST,
    "rendering": DIGEST,
    "policies": [{"slug": "cookies", "version": "1", "language": "uk", "sha256": DIGEST}],
    "language": "en",
    "regime": "opt-in",
}


def weeks() -> Series:
    """Return four weeks, one of them kept back."""
    figures = [Figures(40 + n, {"analytics": 10 + n}, {"analytics": 30}) for n in range(3)]
    starts = (MONDAY + 7 * n for n in range(4))
    return Series(
        name=("all",),
        periods=tuple(Period(start=start, figures=one) for start, one in zip(starts, [*figures, None], strict=True)),
    )


def overview(series: Series, *, by: str = "all") -> dict[str, Any]:
    """Return what the overview is given for one row of figures."""
    jump = Jump(
        start=MONDAY + 7,
        language="en",
        older=OTHER,
        newer=DIGEST,
        purpose="analytics",
        before=Figures(60, {"analytics": 20}, {"analytics": 40}),
        after=Figures(60, {"analytics": 50}, {"analytics": 10}),
        z=5.5,
    )
    policy = {"slug": "cookies", "version": "1", "language": "en", "sha256": DIGEST, "recorded_at": "2026-11-18"}
    notice = {"notice": OTHER, "language": "uk", "recorded_at": "2026-11-18", "older": None}
    bars = chart(series, "analytics", marked={MONDAY + 7})
    return {
        "wrong": ["until"],
        "may_see_records": True,
        "asked": View(by=by, until=date(2026, 11, 22), exact=by != "all"),
        "purposes": ["analytics"],
        "purpose": "analytics",
        "series": [{"name": series.name, "series": series, "charts": [{"purpose": "analytics", "chart": bars}]}],
        "jumps": [jump],
        "traffic": [{"start": MONDAY, "shown": 90, "answered": 40, "ignored": 50}],
        "from_day": date(2026, 11, 2),
        "to_day": date(2026, 11, 29),
        "earlier": "2026-11-01",
        "later": "2026-12-01",
        "counted": 3,
        "to_count": 4,
        "size": 4,
        "root": "00",
        "checkpoint": "x\n",
        "sealed": 4,
        "published": Published(size=4, at=MOMENT, note=b"x\n"),
        "published_note": "x\n",
        "key": "meridian.example+key",
        "stopped": True,
        "queued": 1,
        "lost": 2,
        "pruned": 3,
        "holds": ["court"],
        "policy_versions": [policy | {"version": ODD, "older": policy}, policy | {"older": None}],
        "notice_versions": [notice | {"notice": DIGEST, "older": notice}, notice],
    }


def nothing() -> dict[str, Any]:
    """Return what the overview is given for a ledger without entries."""
    none: dict[str, Any] = {name: [] for name in ("wrong", "series", "jumps", "traffic", "purposes", "holds")}
    none |= dict.fromkeys(("counted", "to_count", "size", "sealed", "queued", "lost", "pruned"), 0)
    none |= {"checkpoint": None, "published": None, "later": None, "stopped": False, "may_see_records": False}
    return overview(weeks()) | none | {"policy_versions": [], "notice_versions": []}


def account(*, proven: bool = True, pruned: bool = False, notice: Notice | None = None) -> dict[str, Any]:
    """Return what the page of one entry is given."""
    known = Account(
        index=3,
        leaf_hash=b"l" * 32,
        body=None if pruned else b"{}",
        entry=None if pruned else RECORD,
        notice=notice,
        rendering=None,
        path=(b"p" * 32,),
        checkpoint=NOTE,
        proven=proven,
    )
    service = {"title": "vidbox", "key": "vidbox", "yes": True}
    purposes = [
        {"title": "Analytics", "key": "analytics", "yes": True, "services": [service]},
        {"title": ODD, "key": ODD, "yes": False, "services": []},
    ]
    return {
        "account": known,
        "raw": None if pruned else ODD,
        "decided_at": None if pruned else MOMENT,
        "recorded_at": None if pruned else MOMENT,
        "purposes": [] if pruned else purposes,
        "rendering_href": "/privacy/audit/renderings/x" if proven else None,
    }


def listed() -> dict[str, Any]:
    """Return what the list of entries is given."""
    policy = {"kind": "policy-published", "slug": "cookies", "version": ODD, "language": "uk"}
    rows: list[dict[str, Any]] = [
        {"index": 6, "entry": RECORD, "allowed": ["analytics", "vidbox"], "recorded_at": MOMENT},
        {"index": 5, "entry": RECORD | {"status": "refused"}, "allowed": [], "recorded_at": MOMENT},
        {"index": 4, "entry": {"kind": "gap"}, "allowed": None, "recorded_at": MOMENT},
        {"index": 3, "entry": policy, "allowed": None, "recorded_at": MOMENT},
        {"index": 2, "entry": None, "allowed": None, "recorded_at": None},
    ]
    asked = dict.fromkeys(("kind", "status", "language", "regime", "purpose", "notice", "since", "until"), "")
    return {
        "rows": rows,
        "wrong": ["kind"],
        "asked": asked | {"language": ODD, "status": "given"},
        "missing": ODD,
        "kinds": ["consent", "gap"],
        "statuses": ["given", "refused"],
        "regimes": ["opt-in"],
        "next_href": "?before=2",
        "searched_from": 2,
        "searched_to": 7,
    }


def every(language: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the template and the context of each of the auditor's pages, by name."""
    empty = listed() | {"rows": [], "wrong": [], "missing": "", "next_href": None}
    return {
        "audit": ("consent_audit.html", overview(weeks())),
        "audit, by notice": (
            "consent_audit.html",
            overview(Series(name=("notice", language, DIGEST), periods=weeks().periods), by="notice"),
        ),
        "audit, empty": ("consent_audit.html", nothing()),
        "audit entries": ("consent_audit_entries.html", listed()),
        "audit entries, none": ("consent_audit_entries.html", empty),
        "audit record": ("consent_audit_record.html", account()),
        "audit record, not proven": ("consent_audit_record.html", account(proven=False)),
        "audit record, pruned": ("consent_audit_record.html", account(pruned=True)),
        "audit notices": (
            "consent_audit_notices.html",
            {"digests": [DIGEST, OTHER], "lines": ["@@ -1 +1 @@", f"-{ODD}", "+new", " same"]},
        ),
        "audit notices, same": ("consent_audit_notices.html", {"digests": [DIGEST, DIGEST], "lines": []}),
    }
