"""Let an auditor with a token read the ledger: the newest entries as a page, all of them as a stream."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from consent.choice import cookie
from consent.errors import ConfigurationError, LedgerError, VerificationError
from consent.ledger.entry import Draft
from consent.ledger.export import Span, csv_lines
from consent.site import Site
from consent.web import forms
from consent.web.answers import NO_STORE, Answers
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance
from consent.web.receipt import seconds

PAGE = 50
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
        if len(self._failed) >= FAILURES:
            # Asked again: others may have tried while this body was on its way.
            return self._answers.error(request, 429)
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
        """Show the state of the ledger and its newest entries."""
        if not self._tokens:
            return self._answers.error(request, 404)
        if not self._signed_in(request):
            return self._answers.page(request, "consent_audit_login.html", failed=False)
        before = request.query_params.get("before", "")
        try:
            return await asyncio.to_thread(
                self._page, request, int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
            )
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)

    def _page(self, request: Request, before: int | None) -> Response:
        ledger = self._site.ledger
        head, checkpoint = ledger.store.head(), ledger.checkpoint()
        last = head.size if before is None else min(before, head.size)
        first = max(0, last - PAGE)
        places = list(ledger.store.stored(first, last=last))
        shown = [
            {
                "index": place.index,
                "kind": entry["kind"],
                "recorded_at": seconds(entry["recorded_at"]),
                "status": entry.get("status"),
                "notice": entry.get("notice"),
                **self._about(entry),
            }
            for place in places
            if place.body is not None and (entry := json.loads(place.body))
        ]
        return self._answers.page(
            request,
            "consent_audit.html",
            size=head.size,
            root=head.root.hex(),
            checkpoint=checkpoint.note.decode() if checkpoint else None,
            stopped=ledger.fault() is not None,
            entries=shown[::-1],
            next_href=f"{self._prefix}/?before={first}" if first else None,
            jsonl_href=f"{self._prefix}/entries.jsonl",
            csv_href=f"{self._prefix}/entries.csv",
        )

    def _about(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return which policy text an entry published, or what its choice allowed: purposes, then single services."""
        policy, allowed = None, None
        if entry["kind"] == "policy-published":
            policy = {name: entry[name] for name in ("slug", "version", "language")}
        if entry["kind"] == "consent":
            allowed = [key for key, yes in entry["purposes"].items() if yes]
            for key, yes in entry["services"].items():
                service = self._site.catalogue.service(key)
                if yes and (service is None or service.purpose not in allowed):
                    allowed.append(key)
        return {"policy": policy, "allowed": allowed}

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
        if not self._tokens or not self._signed_in(request):
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
