"""Let an auditor with a token read the ledger: statistics, its state, and where its entries are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consent.errors import LedgerError, VerificationError
from consent.ledger.statistics import Statistics
from consent.ledger.tally import Tally
from consent.ledger.tokens import RECORDS
from consent.site import Site
from consent.web.answers import Answers
from consent.web.auditors import Auditors
from consent.web.overview import View, overview, state, versions, view

PATIENCE = 2.0
"""Seconds that one page counts entries nobody has counted yet; the next one goes on."""


class Audit:
    """Handle `/privacy/audit/`; without any token there is nothing there."""

    def __init__(self, site: Site, answers: Answers, auditors: Auditors) -> None:
        self._site = site
        self._answers = answers
        self._auditors = auditors
        self._tally = Tally(site.ledger.store)
        self._statistics = Statistics(self._tally)

    async def show(self, request: Request) -> Response:
        """Show what was answered, and the state of the ledger."""
        try:
            token = await self._auditors.of(request)
            if token is None:
                if not await self._auditors.known():
                    return self._answers.error(request, 404)
                return self._answers.page(request, "consent_audit_login.html", failed=False)
        except LedgerError:
            return self._answers.error(request, 503)
        now = self._site.now()
        today = datetime.fromtimestamp(now, UTC).date()
        may_see_records = RECORDS in token.scopes
        asked, wrong = view(request.query_params, today=today, may_see_all=may_see_records)
        try:
            context = await asyncio.to_thread(self._overview, asked, now)
        except (LedgerError, VerificationError):
            return self._answers.error(request, 503)
        return self._answers.page(
            request,
            "consent_audit.html",
            status=422 if wrong else 200,
            wrong=wrong,
            may_see_records=may_see_records,
            **context,
        )

    def _overview(self, asked: View, now: float) -> dict[str, Any]:
        size = self._tally.catch_up(seconds=PATIENCE)
        ledger = self._site.ledger
        shown = overview(self._statistics, ledger.store, asked, now=now)
        return shown | state(ledger) | versions(ledger.store) | {"counted": self._tally.counted, "to_count": size}
