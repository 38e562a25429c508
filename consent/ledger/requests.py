"""Write the log of consumers' requests that California asks for, from what the ledger holds (11 CCR § 7101(b))."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consent.ledger.export import batches
from consent.ledger.store import Stored
from consent.ledger.table import MARK, Line

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


def as_requests(places: Iterable[Stored]) -> Iterator[bytes]:
    """Yield a row for each request (RFC 4180), in order of their entries; those that were pruned are left out."""
    table = csv.writer(Line(), lineterminator="\r\n")
    yield MARK + table.writerow(COLUMNS).encode()
    for batch in batches(places):
        entries = [json.loads(place.body) for place in batch if place.body is not None]
        yield "".join(table.writerow(row) for entry in entries for row in rows(entry)).encode()


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
