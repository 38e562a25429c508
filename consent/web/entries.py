"""Show an auditor the entries one by one: a list with filters, one of them explained, and the banner as it looked."""

from __future__ import annotations

import asyncio
import base64
import difflib
import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consent.choice.regimes import Regime
from consent.choice.status import Status
from consent.errors import LedgerError, VerificationError
from consent.ledger.account import Account, account, index_of
from consent.ledger.entry import DIGEST, KINDS
from consent.ledger.export import moment
from consent.ledger.ledger import Ledger
from consent.ledger.store import Document, Store
from consent.ledger.tokens import RECORDS
from consent.site import Site
from consent.web.answers import NO_REFERRER, NO_STORE, Answers
from consent.web.auditors import Auditors
from consent.web.receipt import seconds

PAGE = 50
"""Entries on a page."""
SEARCHED = 20_000
"""Entries that one page looks through at most, so that it takes as long in a long ledger as in a short one."""
PIECE = 500
FIELDS = ("kind", "status", "language", "regime", "purpose", "notice", "since", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Hold which entries are asked for; what is empty asks nothing. Digests may be given by their first digits."""

    kind: str = ""
    status: str = ""
    language: str = ""
    regime: str = ""
    purpose: str = ""
    notice: str = ""
    since: int | None = None
    until: int | None = None

    def fits(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry is asked for."""
        return (
            all(
                not value or entry.get(name) == value
                for name, value in (
                    ("kind", self.kind),
                    ("status", self.status),
                    ("language", self.language),
                    ("regime", self.regime),
                )
            )
            and (not self.purpose or entry.get("purposes", {}).get(self.purpose.removeprefix("-")) is self._says)
            and (not self.notice or (entry.get("notice") or "").startswith(self.notice))
        )

    @property
    def _says(self) -> bool:
        return not self.purpose.startswith("-")


def wanted(query: Mapping[str, str]) -> tuple[Wanted, list[str]]:
    """Return which entries a query asks for, and the names of the fields in it that mean nothing and were left out."""
    given: dict[str, Any] = {name: query.get(name, "").strip() for name in FIELDS}
    wrong = []
    allowed = {"kind": KINDS, "status": tuple(Status), "regime": tuple(Regime)}
    for name, values in allowed.items():
        if given[name] and given[name] not in values:
            wrong.append(name)
            given[name] = ""
    given["notice"] = given["notice"].lower()
    if given["notice"] and not DIGEST.fullmatch(given["notice"].ljust(64, "0")):
        wrong.append("notice")
        given["notice"] = ""
    for name in ("since", "until"):
        try:
            given[name] = moment(given[name], end=name == "until") if given[name] else None
        except (ValueError, OverflowError):
            wrong.append(name)
            given[name] = None
    return Wanted(**given), wrong


class Entries:
    """Handle `/privacy/audit/entries…` and `/privacy/audit/renderings/…`, for who may read records."""

    def __init__(self, site: Site, answers: Answers, auditors: Auditors) -> None:
        self._site = site
        self._answers = answers
        self._auditors = auditors
        self._prefix = f"{site.settings.prefix}/audit"

    async def index(self, request: Request) -> Response:
        """List entries, the newest first, as far as they fit the filters."""
        if RECORDS not in await self._auditors.scopes(request):
            return self._answers.error(request, 404)
        query = dict(request.query_params)
        filters, wrong = wanted(query)
        before = query.get("before", "")
        end = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        try:
            found = await asyncio.to_thread(self._found, filters, end)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        kept = {name: query[name] for name in FIELDS if query.get(name) and name not in wrong}
        return self._answers.page(
            request,
            "consent_audit_entries.html",
            status=422 if wrong else 200,
            referrer=NO_REFERRER,
            wrong=wrong,
            asked={name: query.get(name, "") for name in FIELDS},
            missing=query.get("missing", "")[:64],
            kinds=KINDS,
            statuses=[str(status) for status in Status],
            regimes=[str(regime) for regime in Regime],
            next_href=None if found["first"] is None else f"?{urlencode(kept | {'before': found['first']})}",
            **found,
        )

    def _found(self, filters: Wanted, before: int | None) -> dict[str, Any]:
        store = self._site.ledger.store
        low, last = _span(store, filters)
        last = last if before is None else min(before, last)
        first, rows = last, list[dict[str, Any]]()
        stop = max(low, last - SEARCHED)
        while first > stop and len(rows) < PAGE:
            begin = max(stop, first - (PAGE if filters == Wanted() else PIECE))
            for place in reversed(list(store.stored(begin, last=first))):
                entry = None if place.body is None else json.loads(place.body)
                if len(rows) < PAGE and (filters.fits(entry) if entry is not None else filters == Wanted()):
                    rows.append({"index": place.index, "entry": entry, **self._about(entry)})
                first = place.index
                if len(rows) == PAGE:
                    break
        return {"rows": rows, "searched_from": first, "searched_to": last, "first": first if first > low else None}

    def _about(self, entry: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return when an entry was recorded, and what its choice allowed: purposes, then single services."""
        if entry is None:
            return {"recorded_at": None, "allowed": None}
        allowed: list[str] | None = None
        if entry["kind"] == "consent":
            allowed = [key for key, yes in entry["purposes"].items() if yes]
            for key, yes in entry["services"].items():
                service = self._site.catalogue.service(key)
                if yes and (service is None or service.purpose not in allowed):
                    allowed.append(key)
        return {"recorded_at": seconds(entry["recorded_at"]), "allowed": allowed}

    async def find(self, request: Request) -> Response:
        """Lead to the entry with a record number or an index."""
        if RECORDS not in await self._auditors.scopes(request):
            return self._answers.error(request, 404)
        text = request.query_params.get("record", "").strip()
        try:
            index = await asyncio.to_thread(index_of, self._site.ledger, text)
        except LedgerError:
            return self._answers.error(request, 503)
        target = f"entries?missing={quote(text[:64]) or '-'}" if index is None else f"entries/{index}"
        return RedirectResponse(f"{self._prefix}/{target}", 303, {"Cache-Control": NO_STORE})

    async def show(self, request: Request) -> Response:
        """Explain one entry: what was shown, what was answered, what was thus allowed, and its proof, checked."""
        text = request.path_params["index"]
        if RECORDS not in await self._auditors.scopes(request) or not (text.isascii() and text.isdigit()):
            return self._answers.error(request, 404)
        try:
            index = await asyncio.to_thread(index_of, self._site.ledger, text)
            if index is None:
                return self._answers.error(request, 404)
            found = await asyncio.to_thread(account, self._site.ledger, index)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        response = self._answers.page(
            request,
            "consent_audit_record.html",
            referrer=NO_REFERRER,
            account=found,
            raw=None if found.body is None else found.body.decode(),
            decided_at=_moment(found, "decided_at"),
            recorded_at=_moment(found, "recorded_at"),
            purposes=_purposes(found),
            rendering_href=f"{self._prefix}/renderings/{found.entry['rendering']}"
            if found.entry and found.rendering
            else None,
        )
        policy = response.headers["Content-Security-Policy"]
        response.headers["Content-Security-Policy"] = f"{policy}; frame-src 'self'"
        return response

    async def compare(self, request: Request) -> Response:
        """Show what changed from one notice to another, line by line."""
        digests = [request.path_params["older"], request.path_params["newer"]]
        if not await self._auditors.scopes(request) or not all(DIGEST.fullmatch(digest) for digest in digests):
            return self._answers.error(request, 404)
        try:
            found = [await asyncio.to_thread(self._site.ledger.document, digest) for digest in digests]
        except LedgerError:
            return self._answers.error(request, 503)
        older, newer = (_lines(one) for one in found)
        if older is None or newer is None:
            return self._answers.error(request, 404)
        lines = list(difflib.unified_diff(older, newer, n=3, lineterm=""))[2:]
        return self._answers.page(request, "consent_audit_notices.html", digests=digests, lines=lines)

    async def rendering(self, request: Request) -> Response:
        """Serve a banner as it was rendered, by its archived HTML and style, in a document that can do nothing."""
        digest = request.path_params["digest"]
        if RECORDS not in await self._auditors.scopes(request) or not DIGEST.fullmatch(digest):
            return self._answers.error(request, 404)
        try:
            made = await asyncio.to_thread(_rendered, self._site.ledger, digest)
        except LedgerError:
            return self._answers.error(request, 503)
        if made is None:
            return self._answers.error(request, 404)
        body, style = made
        hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        headers = {
            "Cache-Control": NO_STORE,
            "Content-Security-Policy": f"sandbox; default-src 'none'; style-src 'sha256-{hashed}'; img-src data:;"
            " frame-ancestors 'self'; form-action 'none'; base-uri 'none'",
            "Referrer-Policy": NO_REFERRER,
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(body, headers=headers)


def _lines(document: Document | None) -> list[str] | None:
    if document is None or document.kind != "notice":
        return None
    return json.dumps(json.loads(document.data), ensure_ascii=False, indent=1, sort_keys=True).splitlines()


def _span(store: Store, filters: Wanted) -> tuple[int, int]:
    size = store.head().size
    first = 0 if filters.since is None else min(store.index_at(filters.since), size)
    return first, size if filters.until is None else min(store.index_at(filters.until), size)


def _moment(found: Account, name: str) -> int | None:
    return seconds(found.entry[name]) if found.entry is not None and found.entry.get(name) else None


def _purposes(found: Account) -> list[dict[str, Any]]:
    """Return every purpose answered with its services, and at last services whose purpose is not known."""
    if found.entry is None or found.entry["kind"] != "consent":
        return []
    left = found.services
    rows = []
    for key, yes in found.entry["purposes"].items():
        under = found.notice.of(key) if found.notice is not None else ()
        rows.append(
            _answer(found, key, yes) | {"services": [_answer(found, s, left.pop(s)) for s in under if s in left]}
        )
    return [*rows, *(_answer(found, key, yes) | {"services": []} for key, yes in left.items())]


def _answer(found: Account, key: str, yes: bool) -> dict[str, Any]:
    return {"title": found.title(key), "key": key, "yes": yes}


def _rendered(ledger: Ledger, digest: str) -> tuple[str, str] | None:
    """Return the document of an archived rendering, and the style in it; None where either is not archived."""
    document = ledger.document(digest)
    if document is None or document.kind != "rendering":
        return None
    rendering = json.loads(document.data)
    archived = ledger.document(rendering["assets"].get("consent.css", "0" * 64))
    # A style sheet never holds the end tag of its element; one that does is no style sheet.
    style = "" if archived is None else archived.data.decode().replace("</", "<\\/")
    language = html.escape(document.language)
    # In a quirky document the banner would be laid out otherwise than it was.
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{digest[:12]}</title>'
        f"<style>{style}</style></head><body>{rendering['html']}</body></html>"
    )
    return page, style
