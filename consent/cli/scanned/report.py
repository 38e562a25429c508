"""Write what a scan saw and found: as JSON, as SARIF for code scanning, as one page of HTML."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consent.choice.regimes import Regime
from consent.cli.findings.finding import Severity
from consent.cli.scanned.leaks import CODES, SEVERITIES, Leak, judged, subject_of
from consent.cli.scanned.observed import TOLD, Kept, Seen, State, Visit, host_of
from consent.cli.scanned.owners import Owned, Owners
from consent.version import __version__

SCHEMA = 1
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
"""What SARIF calls the severities."""
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Hold one line of the overview: whose something is, what it is, and how often it was there in every state."""

    service: str
    what: str
    cells: Mapping[State, int]
    wrong: frozenset[State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Hold everything about one scan; `begun` is in Unix seconds."""

    site: str
    begun: int
    regime: Regime
    seen: tuple[Seen, ...]
    leaks: tuple[Leak, ...]
    owners: Owners

    @property
    def failed(self) -> bool:
        """Tell whether anything was found that must not be."""
        return any(leak.severity is Severity.ERROR for leak in self.leaks)

    @property
    def states(self) -> tuple[State, ...]:
        """Return the states that were visited, in order."""
        visited = {visit.state for page in self.seen for visit in page.visits}
        return tuple(state for state in State if state in visited)

    def summary(self) -> str:
        """Return what was found, in one sentence."""
        counts = Counter(leak.severity for leak in self.leaks)
        words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
        told = [f"{counts[one]} {words[one]}{'s' if counts[one] != 1 else ''}" for one in Severity if counts[one]]
        verdict = [] if self.failed else ["nothing leaks, and all is declared"]
        pages = f"{len(self.seen)} page{'s' if len(self.seen) != 1 else ''}"
        return f"{pages}: {', '.join((*verdict, *told))}."


def rows(scan: Scan) -> list[Row]:
    """Return the overview: hosts, cookies and storage keys of all pages, each with how often it was there."""
    counts: dict[tuple[str, str], Counter[State]] = {}
    wrong: set[tuple[str, str, State]] = set()
    for visit in (visit for page in scan.seen for visit in page.visits):
        for asked in visit.asked:
            if asked.denied:
                told = f"{host_of(asked.url)}, denied by the page's own policy"
                counts.setdefault((str(scan.owners.of_request(asked)), told), Counter())[visit.state] += 1
        for thing, owned, code in judged(visit, scan.owners, scan.regime):
            told = subject_of(thing) + (f" ({lifetime(thing)})" if isinstance(thing, Kept) else "")
            counts.setdefault((str(owned), told), Counter())[visit.state] += 1
            if code and SEVERITIES[code] is Severity.ERROR:
                wrong.add((str(owned), told, visit.state))
    return [
        Row(
            service=service,
            what=what,
            cells=dict(counts[service, what]),
            wrong=frozenset(state for state in State if (service, what, state) in wrong),
        )
        for service, what in sorted(counts, key=lambda key: (key[0].startswith("("), key))
    ]


def lifetime(cookie: Kept) -> str:
    """Return how long a cookie is kept, in words."""
    if cookie.lifetime is None:
        return "session"
    for seconds, word in ((_DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if cookie.lifetime >= seconds * 0.99:
            n = round(cookie.lifetime / seconds)
            return f"{n} {word}{'s' if n != 1 else ''}"
    return "over"


# -- JSON


def as_object(scan: Scan) -> dict[str, Any]:
    """Return the whole scan as values that have one canonical JSON form."""
    return {
        "schema": SCHEMA,
        "tool": f"asgi-consent {__version__}",
        "site": scan.site,
        "begun": scan.begun,
        "regime": str(scan.regime),
        "pages": [{"page": page.page, "failure": page.failure} for page in scan.seen],
        "visits": [_visit(visit, scan) for page in scan.seen for visit in page.visits],
        "findings": [_finding(leak) for leak in scan.leaks],
        "passed": not scan.failed,
    }


def _visit(visit: Visit, scan: Scan) -> dict[str, Any]:
    owners = scan.owners
    return {
        "page": visit.page,
        "state": str(visit.state),
        "allowed": sorted(owners.allowed(visit.state, scan.regime)),
        "banner": visit.asking,
        "failure": visit.failure,
        "requests": [
            {
                "url": one.url,
                "host": host_of(one.url),
                "kind": one.kind,
                "initiator": one.initiator,
                "denied": one.denied,
                **_owner(owners.of_request(one)),
            }
            for one in visit.asked
        ],
        "cookies": [
            {
                "name": one.name,
                "domain": one.domain,
                "path": one.path,
                "lifetime": one.lifetime,
                "http_only": one.http_only,
                **_owner(owners.of_cookie(one, page=visit.page)),
            }
            for one in visit.cookies
        ],
        "storage": [
            {"kind": one.kind, "name": one.name, "origin": one.origin, **_owner(owners.of_stored(one))}
            for one in visit.stored
        ],
    }


def _owner(owned: Owned) -> dict[str, Any]:
    return {"services": list(owned.keys), "declared": owned.declared}


def _finding(leak: Leak) -> dict[str, Any]:
    return {
        "code": leak.code,
        "severity": str(leak.severity),
        "subject": leak.subject,
        "service": leak.service or None,
        "what": leak.what,
        "remedy": leak.remedy,
        "states": [str(state) for state in leak.states],
        "pages": list(leak.pages),
        "example": leak.example or None,
        "initiator": leak.initiator or None,
    }


# -- SARIF


def as_sarif(scan: Scan, *, config: Path) -> dict[str, Any]:
    """Return the findings as SARIF 2.1.0, each at the line of the configuration that would have to change.

    Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
    """
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    here = Path.cwd()
    place = config.relative_to(here) if config.is_relative_to(here) else Path(config.name)
    codes = list(CODES)
    begun = datetime.fromtimestamp(scan.begun, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "consent scan",
                        "version": __version__,
                        "rules": [
                            {
                                "id": code,
                                "shortDescription": {"text": f"{CODES[code][0].upper()}{CODES[code][1:]}."},
                                "defaultConfiguration": {"level": LEVELS[SEVERITIES[code]]},
                            }
                            for code in codes
                        ],
                    }
                },
                "invocations": [{"executionSuccessful": True, "startTimeUtc": begun}],
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": leak.code,
                        "ruleIndex": codes.index(leak.code),
                        "level": LEVELS[leak.severity],
                        "message": {"text": str(leak).split(" ", 2)[2]},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": place.as_posix()},
                                    "region": {"startLine": _line(text, leak.service)},
                                },
                                "logicalLocations": [
                                    {"fullyQualifiedName": page, "kind": "resource"} for page in leak.pages
                                ],
                            }
                        ],
                        "partialFingerprints": {"consentScan/v1": _fingerprint(leak)},
                        "properties": {"states": [str(state) for state in leak.states]},
                    }
                    for leak in scan.leaks
                ],
            }
        ],
    }


def _line(text: str, service: str) -> int:
    found = re.search(rf"^\[services\.{re.escape(service)}\]", text, re.MULTILINE) if service else None
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _fingerprint(leak: Leak) -> str:
    return hashlib.sha256("\0".join((leak.code, leak.service, leak.subject)).encode()).hexdigest()


# -- HTML


def as_html(scan: Scan, *, digest: str) -> str:
    """Return one page that needs nothing else to be read; `digest` is that of the JSON report."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html").render(
        scan=scan,
        begun=datetime.fromtimestamp(scan.begun, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        told=TOLD,
        rows=rows(scan),
        visits=[_visit(visit, scan) for page in scan.seen for visit in page.visits],
        digest=digest,
    )


# -- text


def as_text(scan: Scan) -> list[str]:
    """Return the overview and the findings in lines for a terminal."""
    lines = []
    table = rows(scan)
    if table:
        heads = ("service", "what", *(str(state) for state in scan.states))
        cells = [heads, *((row.service, row.what, *_cells(row, scan.states)) for row in table)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
        lines.append("")
    lines += map(str, scan.leaks)
    return [*lines, *([""] if scan.leaks else []), scan.summary()]


def _cells(row: Row, states: Sequence[State]) -> Iterable[str]:
    return (f"{row.cells.get(state, '-')}{'!' if state in row.wrong else ''}" for state in states)
