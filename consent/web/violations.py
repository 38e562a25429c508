"""Take in what browsers report about our own Content-Security-Policy."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from consent.gate.violations import CSP_REPORT, REPORTS, violations
from consent.site import Site
from consent.web import forms
from consent.web.answers import NO_STORE, Answers
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance

LONGEST = 65_536
"""Bytes of a message; each of its reports repeats the whole policy."""
MOST_A_MINUTE = 600
"""Messages that one process looks into; more are answered alike, and left unread."""
_REMEDY = {
    400: "The body is not what its content type says.",
    413: f"Send at most {LONGEST} bytes.",
    415: f"Send {CSP_REPORT} or {REPORTS}.",
}


class Violations:
    """Count hosts, by kind of load; nothing about the page or the visitor is kept."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._minute, self._messages = 0, 0

    async def take(self, request: Request) -> Response:
        """Count what a message reports: 204, or 400, 403, 413, 415 for what is none."""
        if provenance(request, origins=self._site.settings.origins) is Provenance.FOREIGN:
            return self._answers.error(request, 403)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media_type not in (CSP_REPORT, REPORTS):
                raise FormError(415)
            body = await forms.body(request, LONGEST)
            if not self._busy():
                self._site.reports.violations(violations(body, media_type))
        except FormError as error:
            return self._refuse(error.status)
        except ValueError:
            return self._refuse(400)
        return Response(status_code=204, headers={"Cache-Control": NO_STORE})

    def _busy(self) -> bool:
        minute = int(self._site.now()) // 60
        if minute != self._minute:
            self._minute, self._messages = minute, 0
        self._messages += 1
        return self._messages > MOST_A_MINUTE

    def _refuse(self, status: int) -> Response:
        return self._answers.json({"error": status, "message": _REMEDY[status]}, status=status)
