"""Say for every tag and header of a page which service it belongs to, what the gate does to it, and why.

Or say of a record of the ledger what was shown and answered, what was thus allowed, and whether its proof holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from consent.choice.catalogue import Catalogue
from consent.cli.explained.page import Explanation, Part, explain_headers, explain_page
from consent.cli.explained.record import explain_record
from consent.cli.explained.recorder import UNDECLARED
from consent.cli.explained.sheet import explain_sheet
from consent.cli.explained.source import FIRST_ERROR, Source, source
from consent.cli.main import WRONG_USE
from consent.declared import catalogue_of, own_cookies
from consent.gate.inquest import verdict_of_address
from consent.gate.rules import Rules
from consent.kinds import Kind, kind_of, sniffed
from consent.ledger.account import is_record
from consent.settings import ConsentSettings

STATES = ("none", "refused", "accepted")
ALLOW = "allow:"
_FILES = (Kind.SHEET, Kind.RULES)
_XML = (Kind.XHTML, Kind.XML, Kind.SNIFFED_XML)
_GATED_ALREADY = b"data-consent-service="


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent explain`."""
    parser = subparsers.add_parser(
        "explain",
        help="say what the gate does to each tag of a page, and why; or what a record of the ledger proves",
        description=__doc__,
    )
    parser.add_argument(
        "page",
        metavar="PAGE|RECORD",
        help="a file, an http(s) address, or - for standard input; or the index or number (UUID) of a record",
    )
    parser.add_argument(
        "--state",
        type=_state,
        default="none",
        metavar="STATE",
        help="what the visitor agreed to: none (not asked yet), refused, accepted, or allow:KEY,KEY with keys of"
        " purposes or services (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="list tags that nothing is to be said about, too")
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.set_defaults(run=run)


def _state(text: str) -> str:
    if text in STATES or (text.startswith(ALLOW) and text != ALLOW):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no state: write {', '.join(STATES)}, or {ALLOW}KEY,KEY")


def run(args: argparse.Namespace) -> int:
    """Explain one page or record; return 2 for a state that names what the catalogue does not have."""
    settings = ConsentSettings()
    if is_record(args.page):
        return explain_record(settings, args.page, as_json=args.json)
    catalogue = catalogue_of(settings, cookies=own_cookies(settings))
    allowed = _allowed(args.state, catalogue)
    if isinstance(allowed, str):
        print(f"consent: {allowed}", file=sys.stderr)
        return WRONG_USE
    rules = Rules(catalogue, site_hosts=settings.hosts, undeclared=settings.undeclared)
    view = rules.view(allowed)
    page = source(args.page, is_held=lambda place: verdict_of_address(view, place) is not None)
    explanation = Explanation(headers=(), tags=(), inserted=(), parked=frozenset(), found=frozenset(), output=page.body)
    kind = _kind(page)
    is_page = kind is Kind.HTML or kind in _XML
    if is_page:
        explanation = explain_page(
            page.body,
            kind=kind,
            content_type=page.content_type,
            rules=rules,
            allowed=allowed,
            asking=args.state == "none",
            address=page.address,
        )
    elif kind in _FILES:
        explanation = explain_sheet(
            page.body,
            kind=kind,
            content_type=page.content_type,
            rules=rules,
            allowed=allowed,
            address=page.address,
        )
    explanation = replace(
        explanation,
        headers=explain_headers(
            page.headers,
            kind=kind,
            rules=rules,
            allowed=allowed,
            hold_undeclared=settings.undeclared_cookies == "hold",
            address=page.address,
        ),
    )
    notes = list(_notes(page, is_read=is_page or kind in _FILES))
    if args.json:
        print(json.dumps(_object(page, args.state, allowed, explanation, notes), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(page, args.state, explanation, notes, everything=args.all)))
    return 0


def _allowed(state: str, catalogue: Catalogue) -> frozenset[str] | str:
    """Return the keys that a state allows, or what is wrong with it."""
    purposes = {purpose.key for purpose in catalogue.asked}
    services = {service.key for service in catalogue.optional}
    if state == "accepted":
        return frozenset(purposes | services)
    if not state.startswith(ALLOW):
        return frozenset()
    allowed: set[str] = set()
    for key in filter(None, (one.strip() for one in state.removeprefix(ALLOW).split(","))):
        if key in purposes:
            allowed |= {key, *(service.key for service in catalogue.of(key))}
        elif key in services:
            allowed.add(key)
        else:
            similar = get_close_matches(key, sorted(purposes | services), n=2)
            known = f"did you mean {' or '.join(similar)}?" if similar else f"there are {_listed(purposes | services)}"
            return f"--state: nobody is asked about {key!r}: {known}"
    return frozenset(allowed)


def _listed(keys: set[str]) -> str:
    return ", ".join(sorted(keys)) or "neither purposes nor services to ask about"


def _kind(page: Source) -> Kind:
    kind = kind_of(page.content_type)
    if kind is Kind.UNKNOWN and page.address:
        return sniffed(page.body)
    # A file is somebody's page whatever it is called, unless its name says that it is XML.
    return kind if page.address or kind in (*_XML, *_FILES) else Kind.HTML


def _notes(page: Source, *, is_read: bool) -> list[str]:
    notes = []
    if page.status >= FIRST_ERROR:
        notes.append(f"the site answered {page.status}: this is its error page")
    if not is_read:
        notes.append("this is neither HTML, XML nor a style sheet, so that only its headers are explained")
    if is_read and _GATED_ALREADY in page.body:
        notes.append("this page has passed the gate already: explain what the app itself sends, before the middleware")
    return notes


def _service(key: str) -> str:
    return key if key != UNDECLARED else "(undeclared)"


def _why(part: Part) -> str:
    reasons = [f"{reason.found}: {reason.why}" for reason in part.reasons]
    return "; ".join((*reasons, *([part.note] if part.note else ())))


def _done(part: Part) -> str:
    return f"{part.done} + placeholder" if part.placeholder else str(part.done)


def _summary(explanation: Explanation) -> dict[str, int]:
    counts = Counter(_done(part) for part in (*explanation.headers, *explanation.tags))
    return dict(sorted(counts.items()))


def _lines(page: Source, state: str, explanation: Explanation, notes: list[str], *, everything: bool) -> list[str]:
    lines = [f"{page.name} (state: {state})", *(f"Note: {note}." for note in notes)]
    rows = [
        ("header", part.name, " ".join(map(_service, part.services)), _done(part), _why(part) or part.text)
        for part in explanation.headers
    ]
    tags = [
        (part.line, (str(part.line), part.name, " ".join(map(_service, part.services)), _done(part), _why(part)))
        for part in explanation.tags
        if everything or part.telling
    ]
    tags += [(line, (str(line), f"({name})", "", "inserted", "")) for line, name in explanation.inserted]
    rows += [row for _, row in sorted(tags, key=lambda one: one[0])]
    if rows:
        rows.insert(0, ("line", "tag", "service", "done", "why"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines.append("")
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
            lines.append("  ".join((*cells, row[4])).rstrip())
        lines.append("")
    counts = ", ".join(f"{count} {done}" for done, count in _summary(explanation).items())
    lines.append(
        f"Looked at {len(explanation.tags)} tags and {len(explanation.headers)} headers: {counts or 'nothing'}."
    )
    return lines


def _object(
    page: Source, state: str, allowed: frozenset[str], explanation: Explanation, notes: list[str]
) -> dict[str, Any]:
    return {
        "page": page.name,
        "status": page.status or None,
        "state": state,
        "allowed": sorted(allowed),
        "notes": notes,
        "headers": [_part(part) for part in explanation.headers],
        "tags": [_part(part) for part in explanation.tags],
        "inserted": [{"line": line, "what": name} for line, name in explanation.inserted],
        "summary": _summary(explanation),
    }


def _part(part: Part) -> dict[str, Any]:
    place = {"line": part.line} if part.line else {}
    return place | {
        "name": part.name,
        "text": part.text,
        "done": part.done,
        "placeholder": part.placeholder,
        "services": [key or None for key in part.services],
        "reasons": [
            {"found": one.found, "service": one.service or None, "allowed": one.allowed, "why": one.why}
            for one in part.reasons
        ],
        "note": part.note,
    }
