"""Let an auditor with a token read the ledger: statistics and its state as a page, all entries as a stream."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from consent.choice import cookie
from consent.errors import ConfigurationError, LedgerError, VerificationError
from consent.ledger.entry import Draft
from consent.ledger.export import Span, csv_lines
from consent.ledger.statistics import Statistics
from consent.ledger.tally import Tally
from consent.site import Site
from consent.web import forms
from consent.web.answers import NO_STORE, Answers
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance
from consent.web.overview import View, overview, state, versions, view

STATS, RECORDS = "stats", "records"
PATIENCE = 2.0
"""Seconds that one page counts entries nobody has counted yet; the next one goes on."""
SESSION_SECONDS = 3600
FAILURES = 20
"""Wrong tokens in a minute, from anywhere, after which no further one is looked at."""


class Audit:
    """Handle `/privacy/audit/…`; without any token configured there is nothing there."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._prefix = f"{site.settings.prefix}/audit"
        if not all(token.get_secret_value().strip() for token in site.settings.audit_tokens):
            raise ConfigurationError(
                "an audit token is empty",
                place="CONSENT_AUDIT_TOKENS",
                remedy="Remove it, or let `consent init` write a long random one",
            )
        self._tokens = [_digest(token.get_secret_value().strip()) for token in site.settings.audit_tokens]
        self._signer = cookie.signer(site.settings.keys, purpose="audit")
        self._cookie = site.cookie_name + "-audit"
        self._failed: list[float] = []
        self._tally = Tally(site.ledger.store)
        self._statistics = Statistics(self._tally)

    async def login(self, request: Request) -> Response:
        """Take a token, and keep the auditor signed in for an hour."""
        if not self._tokens:
            return self._answers.error(request, 404)
        now = self._site.now()
        self._failed = [moment for moment in self._failed if moment > now - 60]
        if provenance(request, origins=self._site.settings.origins) is not Provenance.OWN:
            return self._answers.error(request, 403)
        if len(self._failed) >= FAILURES:
            return self._answers.error(request, 429)
        try:
            form = await forms.read(request, limit=self._site.settings.max_body)
            token = form.one("token").strip()
        except FormError as error:
            return self._answers.error(request, error.status)
        digest = _digest(token)
        if not any(hmac.compare_digest(digest, known) for known in self._tokens):
            self._failed.append(now)
            return self._answers.page(request, "consent_audit_login.html", status=403, failed=True)
        value = self._signer.sign(f"{int(now)}.{digest[:16]}").decode("ascii")
        response = RedirectResponse(f"{self._prefix}/", 303, {"Cache-Control": NO_STORE})
        header = self._site.cookie_header(self._cookie, value, expires_at=int(now) + SESSION_SECONDS, strict=True)
        response.headers.append("set-cookie", header)
        return response

    async def show(self, request: Request) -> Response:
        """Show what was answered, and the state of the ledger."""
        if not self._tokens:
            return self._answers.error(request, 404)
        scopes = self.scope_of(request)
        if not scopes:
            return self._answers.page(request, "consent_audit_login.html", failed=False)
        now = self._site.now()
        today = datetime.fromtimestamp(now, UTC).date()
        asked, wrong = view(request.query_params, today=today, may_see_all=RECORDS in scopes)
        try:
            context = await asyncio.to_thread(self._overview, asked, now)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        return self._answers.page(
            request,
            "consent_audit.html",
            status=422 if wrong else 200,
            wrong=wrong,
            may_see_records=RECORDS in scopes,
            jsonl_href=f"{self._prefix}/entries.jsonl",
            csv_href=f"{self._prefix}/entries.csv",
            **context,
        )

    def _overview(self, asked: View, now: float) -> dict[str, Any]:
        size = self._tally.catch_up(seconds=PATIENCE)
        ledger = self._site.ledger
        shown = overview(self._statistics, ledger.store, asked, now=now)
        return shown | state(ledger) | versions(ledger.store) | {"counted": self._tally.counted, "to_count": size}

    def scope_of(self, request: Request) -> frozenset[str]:
        """Return what the auditor who asks may read: `stats`, `records`, or nothing where nobody is signed in."""
        return frozenset({STATS, RECORDS}) if self._tokens and self._signed_in(request) else frozenset()

    async def jsonl(self, request: Request) -> Response:
        """Stream the exact bytes of all entries, one a line."""
        return await self._stream(request, "application/jsonl", "jsonl", self._lines)

    async def csv(self, request: Request) -> Response:
        """Stream all entries as a table for people."""
        return await self._stream(request, "text/csv; charset=utf-8", "csv", self._table)

    def _lines(self) -> Iterator[bytes]:
        for body in self._site.ledger.store.entries():
            yield body + b"\n"

    def _table(self) -> Iterator[bytes]:
        store = self._site.ledger.store
        for line in csv_lines(store, of=Span(first=0, last=store.head().size)):
            yield line.encode()

    async def _stream(
        self, request: Request, media_type: str, suffix: str, make: Callable[[], Iterator[bytes]]
    ) -> Response:
        if RECORDS not in self.scope_of(request):
            return self._answers.error(request, 404)
        try:
            await self._site.ledger.record(Draft(kind="exported", content={"format": suffix, "by": "audit-page"}))
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        headers = {
            "Cache-Control": NO_STORE,
            "Content-Disposition": f'attachment; filename="consent-ledger.{suffix}"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(make(), media_type=media_type, headers=headers)

    def _signed_in(self, request: Request) -> bool:
        value = request.cookies.get(self._cookie, "").encode("latin-1", "replace")
        if not value or not self._signer.validate(value):
            return False
        made_at, _, digest = self._signer.unsign(value).decode("ascii").partition(".")
        current = any(known.startswith(digest) for known in self._tokens)
        return current and 0 <= self._site.now() - int(made_at) <= SESSION_SECONDS


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
