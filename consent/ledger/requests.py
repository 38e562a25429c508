"""Write the log of consumers' requests that California asks for, from what the ledger holds (11 CCR § 7101(b))."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from consent.ledger.export import Span
from consent.ledger.gaps import refuse_holes
from consent.ledger.progress import Progress, silent, watched
from consent.ledger.store import Store

COLUMNS = (
    "date_of_request",
    "nature_of_request",
    "manner_of_request",
    "date_of_response",
    "nature_of_response",
    "basis_for_denial",
)
"""The six that § 7101(b) names, in its order. No request is denied here, so that the last one stays empty."""
_NO = ("refused", "withdrawn")
_LAYERS = {"banner": "banner", "choices": "privacy choices page", "placeholder": "placeholder", "api": "interface"}


def write_requests(store: Store, out: IO[str], *, of: Span, progress: Progress = silent) -> int:
    """Write a row for each request (RFC 4180), in order of their entries; return how many.

    Raises LedgerCorruptError if entries are missing that were not pruned.
    """
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(COLUMNS)
    count = missing = 0
    for place in watched(store.stored(of.first, last=of.last), total=of.last - of.first, progress=progress):
        missing += place.body is None
        for row in [] if place.body is None else rows(json.loads(place.body)):
            table.writerow(row)
            count += 1
    refuse_holes(store, first=of.first, last=of.last, missing=missing)
    return count


def rows(entry: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the requests that an entry reports: a choice under an opt-out rule that says no, or an erasure."""
    made, answered = entry["decided_at"] or entry["recorded_at"], entry["recorded_at"]
    # A choice counts from the moment it is made, also where its record had to wait.
    if entry["kind"] == "consent" and entry["regime"] == "opt-out":
        refused = sorted(
            key for answers in (entry["purposes"], entry["services"]) for key, yes in answers.items() if not yes
        )
        if entry["status"] in _NO or refused:
            layer, _, control = entry["method"].partition(":")
            signal = " with an opt-out preference signal" if _signalled(entry["signals"]) else ""
            manner = f"{_LAYERS.get(layer, layer)} ({control or layer}){signal}"
            yield (
                made,
                "opt out of sale or sharing",
                manner,
                made,
                f"honoured at once: {' '.join(refused) or 'all'}",
                "",
            )
    elif entry["kind"] == "erased" and entry["reason"] in ("visitor", "request", "account-closed"):
        manner = "receipt page" if entry["reason"] == "visitor" else "request to the operator"
        done = f"deleted what leads to {entry['count']} records"
        yield made, "delete", manner, answered, done, ""


def _signalled(signals: object) -> bool:
    return isinstance(signals, Mapping) and signals.get("gpc") is True
