"""Test the log of consumers' requests: six columns, every opt-out and deletion, nobody's id."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from consent.ledger.entry import Draft
from consent.ledger.requests import COLUMNS, as_requests
from consent.ledger.sqlite import SqliteStore

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]
YES: dict[str, Any] = {"purposes": {"analytics": True}, "services": {}}
NO: dict[str, Any] = {"purposes": {"analytics": False, "marketing": False}, "services": {}, "status": "refused"}


def table(store: SqliteStore) -> list[list[str]]:
    """Write the log and read it back, its header first."""
    data = b"".join(as_requests(store.stored()))
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_requests(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Opt-outs count from when they were made, deletions from when they were done; consents asked for are none."""
    store, consent_id = make_store(), b"i" * 16
    drafts = [
        make_draft(content={"regime": "opt-out", "method": "banner:reject_all"} | NO),
        make_draft(
            content={"regime": "opt-out", "method": "choices:save", "signals": {"gpc": True}}, subject=consent_id
        ),
        make_draft(content={"regime": "opt-out", "method": "banner:accept_all"} | YES),
        make_draft(content={"regime": "opt-in", "method": "banner:reject_all"} | NO),
    ]
    store.append(drafts, now=2_000)
    erased = Draft(kind="erased", content={"reason": "visitor"}, decided_at=3_000, subject=consent_id)
    store.erase(consent_id, draft=erased, now=3_600)
    store.erase(consent_id, draft=Draft(kind="erased", content={"reason": "test"}), now=3_600)
    made, asked, done = "1970-01-01T00:16:40Z", "1970-01-01T00:50:00Z", "1970-01-01T01:00:00Z"
    opt_out = "opt out of sale or sharing"
    assert table(store) == [
        list(COLUMNS),
        [made, opt_out, "banner (reject_all)", made, "honoured at once: analytics marketing", ""],
        [
            made,
            opt_out,
            "privacy choices page (save) with an opt-out preference signal",
            made,
            "honoured at once: media youtube",
            "",
        ],
        [asked, "delete", "receipt page", done, "deleted what leads to 1 records", ""],
    ]
