"""Give Jinja templates the visitor's consent: `{% if consent.allows("analytics") %}`."""

from __future__ import annotations

from starlette.requests import Request

from consent.choice.consent import Consent


def consent_context(request: Request) -> dict[str, Consent]:
    """Return `consent` for a template: `Jinja2Templates(…, context_processors=[consent_context])`."""
    return {"consent": request.state.consent}
