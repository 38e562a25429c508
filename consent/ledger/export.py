"""Write entries out for an auditor: as they are (JSON Lines), or as a table for people (CSV)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import IO, Any

from consent.ledger.entry import CONSENT_FIELDS, HEADER
from consent.ledger.gaps import refuse_holes
from consent.ledger.progress import Progress, silent, watched
from consent.ledger.store import Store

COLUMNS = (
    "index",
    "record",
    "kind",
    "origin",
    "decided_at",
    "recorded_at",
    "late",
    "status",
    "method",
    "scope",
    "purposes_yes",
    "purposes_no",
    "services_yes",
    "services_no",
    "notice",
    "rendering",
    "policies",
    "language",
    "regime",
    "country",
    "signals",
    "other",
)
"""The columns of the table. There is none for the subject: a pseudonym is no business of a person who reads a table."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Hold a range of entries: `first` to `last`, which is excluded."""

    first: int
    last: int


def moment(text: str, *, end: bool = False) -> int:
    """Read a date (`2026-11-22`) or time (`2026-11-22T10:00:00Z`) as Unix seconds; without an offset it is UTC.

    As the `end` of a span a date means the end of that day. Raises ValueError for anything else.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        when = datetime.fromisoformat(text)
    else:
        when = datetime.combine(day + timedelta(days=1) if end else day, time())
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def span(store: Store, *, size: int, since: int | None = None, until: int | None = None) -> Span:
    """Return which of the first `size` entries were recorded from `since` to before `until`, both in Unix seconds."""
    first = 0 if since is None else min(store.index_at(since), size)
    last = size if until is None else min(store.index_at(until), size)
    return Span(first=first, last=max(first, last))


def write_jsonl(store: Store, out: IO[bytes], *, of: Span, progress: Progress = silent) -> int:
    """Write the exact bytes of entries, one a line; return how many.

    Those that were pruned are left out; raises LedgerCorruptError if others are missing.
    """
    count = 0
    for body in watched(store.entries(of.first, last=of.last), total=of.last - of.first, progress=progress):
        out.write(body + b"\n")
        count += 1
    refuse_holes(store, first=of.first, last=of.last, missing=of.last - of.first - count)
    return count


def write_csv(store: Store, out: IO[str], *, of: Span, progress: Progress = silent) -> int:
    """Write entries as a table (RFC 4180) whose cells no spreadsheet takes for formulas; return how many.

    Those that were pruned are left out; raises LedgerCorruptError if others are missing.
    """
    count = -1
    for line in csv_lines(store, of=of, progress=progress):
        out.write(line)
        count += 1
    refuse_holes(store, first=of.first, last=of.last, missing=of.last - of.first - count)
    return count


def csv_lines(store: Store, *, of: Span, progress: Progress = silent) -> Iterator[str]:
    """Yield the lines of that table, its header first."""
    table = csv.writer(_Line(), lineterminator="\r\n")
    yield table.writerow(COLUMNS)
    for place in watched(store.stored(of.first, last=of.last), total=of.last - of.first, progress=progress):
        if place.body is not None:
            yield table.writerow(_row(place.index, json.loads(place.body)))


class _Line:
    """Hand a written line back instead of keeping it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def _row(index: int, entry: Mapping[str, Any]) -> list[str]:
    record = entry["kind"] == "consent"
    cells = {name: entry.get(name) for name in COLUMNS}
    cells["index"] = index
    if record:
        for name in ("purposes", "services"):
            answers = entry[name]
            cells[f"{name}_yes"] = " ".join(key for key in answers if answers[key])
            cells[f"{name}_no"] = " ".join(key for key in answers if not answers[key])
        cells["policies"] = " ".join(
            f"{policy['slug']}/{policy['version']}.{policy['language']}:{policy['sha256']}"
            for policy in entry["policies"]
        )
    known = {*HEADER, *(CONSENT_FIELDS if record else COLUMNS)}
    cells["other"] = {name: value for name, value in entry.items() if name not in known} or None
    return [_cell(cells[name]) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    # A spreadsheet would run such a cell as a formula (OWASP, "CSV Injection").
    return f"'{text}" if text.startswith(_FORMULA) else text
