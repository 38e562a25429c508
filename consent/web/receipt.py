"""Show visitors their own records with proofs, and erase them where they ask for it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.choice.choice import refusal
from consent.errors import LedgerError, VerificationError
from consent.gate.headers import expire_cookies
from consent.site import Site
from consent.web.answers import Answers, visitor_of
from consent.web.origin import Provenance, provenance


class Receipts:
    """Handle `/privacy/receipt` and `/privacy/erase`."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._prefix = site.settings.prefix

    async def show(self, request: Request) -> Response:
        """Show every choice of this visitor, and the text that was shown then."""
        consent_id = visitor_of(request).consent_id
        try:
            records = [] if consent_id is None else await asyncio.to_thread(self._site.ledger.records_of, consent_id)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        entries = [(record.index, json.loads(record.body)) for record in records]
        shown = [
            {
                **{name: entry[name] for name in ("record", "status", "purposes", "services", "language", "late")},
                "index": index,
                "decided_at": seconds(entry["decided_at"]),
                "recorded_at": seconds(entry["recorded_at"]),
                "notice": entry["notice"],
                "notice_href": f"{self._prefix}/notices/{entry['notice']}",
            }
            for index, entry in entries
            if entry["kind"] == "consent"
        ]
        content = visitor_of(request).consent.notice.content
        return self._answers.page(
            request,
            "consent_receipt.html",
            records=shown[::-1],
            has_id=consent_id is not None,
            json_href=f"{self._prefix}/receipt.json" if shown else None,
            titles={entry["key"]: entry["title"] for name in ("purposes", "services") for entry in content[name]},
        )

    async def download(self, request: Request) -> Response:
        """Serve the visitor's records as JSON: exact bytes, inclusion proofs, and the checkpoint they lead to."""
        consent_id = visitor_of(request).consent_id
        try:
            content = await asyncio.to_thread(self._receipt, consent_id)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        response = self._answers.json(content)
        response.headers["Content-Disposition"] = 'attachment; filename="consent-receipt.json"'
        return response

    def _receipt(self, consent_id: bytes | None) -> dict[str, Any]:
        ledger = self._site.ledger
        records = [] if consent_id is None else ledger.records_of(consent_id)
        checkpoint = ledger.seal() if records else ledger.checkpoint()
        proofs = [ledger.inclusion(record.index) for record in records]
        return {
            "schema": 1,
            "checkpoint": checkpoint.note.decode() if checkpoint else None,
            "key": ledger.signer.verifier.text,
            "records": [
                {
                    "index": proof.index,
                    "entry": proof.body.decode(),
                    "path": [base64.b64encode(node).decode() for node in proof.path],
                    "checkpoint": proof.checkpoint.note.decode(),
                }
                for proof in proofs
            ],
        }

    async def erase(self, request: Request) -> Response:
        """Withdraw everything, then forget which records are this visitor's."""
        site, visitor = self._site, visitor_of(request)
        if provenance(request, origins=site.settings.origins) is not Provenance.OWN:
            return self._answers.error(request, 403)
        consent = visitor.consent
        now = int(site.now())
        earlier = visitor.decided_at or 0
        if visitor.consent_id is not None:
            try:
                await asyncio.to_thread(
                    site.ledger.erase, visitor.consent_id, reason="visitor", decided_at=max(now, earlier)
                )
            except (LedgerError, VerificationError):
                return self._answers.error(request, 503)
        response = RedirectResponse(f"{self._prefix}/receipt", 303, {"Cache-Control": "no-store"})
        if visitor.consent_id is not None:
            choice = refusal(consent.notice, now=now)
            for value in site.choice_headers(choice, notice=consent.notice):
                response.headers.append("set-cookie", value)
            necessary = frozenset(service.key for service in site.catalogue.services if service.required)
            host = request.headers.get("host", "")
            for value in expire_cookies(
                visitor.cookies, site.catalogue, necessary, host=host, consent_cookie=site.cookie_name
            ):
                response.headers.append("set-cookie", value)
        return response


def seconds(moment: str) -> int:
    """Return an entry's RFC 3339 time in Unix seconds."""
    return int(datetime.fromisoformat(moment).timestamp())
