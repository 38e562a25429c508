"""Write entries as a table for people: CSV whose cells no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consent.ledger.alike import Alike
from consent.ledger.entry import CONSENT_FIELDS, HEADER
from consent.ledger.export import batches
from consent.ledger.store import Stored

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
_END = "\r\n"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
MARK = b"\xef\xbb\xbf"
"""Stands first: without a byte order mark spreadsheets take UTF-8 for something older."""


def as_csv(places: Iterable[Stored]) -> Iterator[bytes]:
    """Yield a table (RFC 4180), its header first, many lines at a time; entries that were pruned are left out."""
    table = csv.writer(Line(), lineterminator=_END)
    alike: Alike[tuple[str, str]] = Alike(lambda entry: _around(table, entry))
    yield MARK + table.writerow(COLUMNS).encode()
    for batch in batches(places):
        lines = []
        for place in batch:
            if place.body is None:
                continue
            found = alike.read(place.body)
            if found is None:
                lines.append(table.writerow(cells(place.index, json.loads(place.body))))
            else:
                (kind, rest), record, decided, recorded = found
                lines.append(f"{place.index},{record.decode()}{kind}{decided.decode()},{recorded.decode()}{rest}")
        yield "".join(lines).encode()


def _around(table: Any, entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return what stands in a row between the number of a record and its times, and what stands after them."""
    row = cells(0, entry)
    return f",{table.writerow(row[2:4]).removesuffix(_END)},", f",{table.writerow(row[6:])}"


class Line:
    """Hand a written line back instead of keeping it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def cells(index: int, entry: Mapping[str, Any]) -> list[str]:
    """Return one row, in order of COLUMNS."""
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
