"""Let an auditor with a token read the ledger: its state and its newest entries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consent.errors import LedgerError, VerificationError
from consent.site import Site
from consent.web.answers import Answers
from consent.web.auditors import Auditors
from consent.web.receipt import seconds

PAGE = 50


class Audit:
    """Handle `/privacy/audit/…`; without any token configured there is nothing there."""

    def __init__(self, site: Site, answers: Answers, auditors: Auditors) -> None:
        self._site = site
        self._answers = answers
        self._auditors = auditors
        self._prefix = f"{site.settings.prefix}/audit"

    async def show(self, request: Request) -> Response:
        """Show the state of the ledger and its newest entries."""
        try:
            token = await self._auditors.of(request)
            if token is None:
                known = await self._auditors.known()
                if not known:
                    return self._answers.error(request, 404)
                return self._answers.page(request, "consent_audit_login.html", failed=False)
        except LedgerError:
            return self._answers.error(request, 503)
        if "records" not in token.scopes:
            return self._answers.error(request, 403)
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
