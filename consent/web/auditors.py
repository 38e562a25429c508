"""Let auditors sign in with a token, and tell who they are and what they may read."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.choice import cookie
from consent.errors import ConfigurationError, LedgerError, VerificationError
from consent.ledger.entry import Draft
from consent.ledger.tokens import UNGUESSABLE, Token, configured, digest_of
from consent.site import Site
from consent.web import forms
from consent.web.answers import NO_STORE, Answers
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance
from consent.web.throttle import Throttle

SESSION_SECONDS = 3600
REFUSED = "audit.refused"
"""Under which name wrong tokens are counted, by hour and about nobody."""


class Auditors:
    """Handle `/privacy/audit/login` and `/privacy/audit/logout`, and know who is signed in.

    The session is a cookie that says no more than since when it is there and by which token: strictly necessary for the
    auditor who asked for it. A token that ends or is taken back ends its sessions at once. Signing out ends one in this
    process; with several of them, a copy of the cookie holds in the others until its hour is over.
    """

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        texts = [token.get_secret_value().strip() for token in site.settings.audit_tokens]
        if not all(texts):
            raise ConfigurationError(
                "an audit token is empty",
                place="CONSENT_AUDIT_TOKENS",
                remedy="Remove it, or let `consent init` write a long random one",
            )
        self._configured = configured(texts)
        self._signer = cookie.signer(site.settings.keys, purpose="audit")
        self._cookie = site.cookie_name + "-audit"
        self._ended: dict[str, int] = {}
        self._wrong = Throttle(burst=20, seconds=3.0, clock=site.now)

    async def known(self) -> list[Token]:
        """Return the tokens that are valid now; raise LedgerError while those in the ledger cannot be read.

        Those of the setting come first, and are enough while the ledger is down.
        """
        try:
            kept = await asyncio.to_thread(self._site.ledger.store.tokens)
        except LedgerError:
            if not self._configured:
                raise
            kept = []
        return [token for token in (*self._configured, *kept) if token.state(self._site.now()) == "valid"]

    async def of(self, request: Request) -> Token | None:
        """Return the token by which somebody is signed in, None where nobody is."""
        session = self._session(request)
        if session is None or session in self._ended:
            return None
        digest = session.split(".")[1]
        return next((token for token in await self.known() if token.digest.hex().startswith(digest)), None)

    def _session(self, request: Request) -> str | None:
        """Return what the cookie says: since when it is there, by which token, and a number of its own."""
        value = request.cookies.get(self._cookie, "").encode("latin-1", "replace")
        if not value or not self._signer.validate(value):
            return None
        session = self._signer.unsign(value).decode("ascii")
        return session if 0 <= self._site.now() - int(session.partition(".")[0]) <= SESSION_SECONDS else None

    async def scopes(self, request: Request) -> tuple[str, ...]:
        """Return what who asks may read; nothing where nobody is signed in, or it cannot be known now."""
        try:
            token = await self.of(request)
        except LedgerError:
            return ()
        return () if token is None else token.scopes

    async def login(self, request: Request) -> Response:
        """Take a token, and keep the auditor signed in for an hour.

        After twenty wrong tokens at once, one more in three seconds is answered, whoever sends it: no address is looked
        at. A token too long to be guessed is always looked at, so that guessing locks nobody out.
        """
        site, answers = self._site, self._answers
        try:
            known = await self.known()
        except LedgerError:
            return answers.error(request, 503)
        if not known:
            return answers.error(request, 404)
        if provenance(request, origins=site.settings.origins) is not Provenance.OWN:
            return answers.error(request, 403)
        try:
            form = await forms.read(request, limit=site.settings.max_body)
            text = form.one("token").strip()
        except FormError as error:
            return answers.error(request, error.status)
        if len(text) < UNGUESSABLE and not self._wrong.open:
            return answers.error(request, 429)
        # Compared by digest: how far two of them agree tells nothing about a token.
        digest = digest_of(text)
        token = next((one for one in known if one.digest == digest), None)
        if token is None:
            return self._refused(request)
        content = {"action": "signed-in", "token": token.name, "scopes": list(token.scopes)}
        now = int(site.now())
        try:
            await site.ledger.record(Draft(kind="audit", content=content, decided_at=now))
        except (LedgerError, VerificationError):
            return answers.error(request, 503)
        value = self._signer.sign(f"{now}.{digest.hex()[:16]}.{site.random(8).hex()}").decode("ascii")
        response = RedirectResponse(f"{site.settings.prefix}/audit/", 303, {"Cache-Control": NO_STORE})
        until = min(now + SESSION_SECONDS, token.expires_at or now + SESSION_SECONDS)
        header = site.cookie_header(self._cookie, value, expires_at=until, strict=True)
        response.headers.append("set-cookie", header)
        return response

    async def logout(self, request: Request) -> Response:
        """End a session, also while the ledger is down: the browser forgets it, and a copy of it opens nothing more."""
        site, answers = self._site, self._answers
        if provenance(request, origins=site.settings.origins) is not Provenance.OWN:
            return answers.error(request, 403)
        session, now = self._session(request), int(site.now())
        self._ended = {one: until for one, until in self._ended.items() if until >= now}
        if session is not None:
            self._ended[session] = now + SESSION_SECONDS
        response = RedirectResponse(f"{site.settings.prefix}/audit/", 303, {"Cache-Control": NO_STORE})
        response.headers.append("set-cookie", site.cookie_header(self._cookie, "", expires_at=0, strict=True))
        return response

    def _refused(self, request: Request) -> Response:
        self._site.ledger.count(REFUSED)
        if not self._wrong.open:
            return self._answers.error(request, 429)
        self._wrong.count()
        return self._answers.page(request, "consent_audit_login.html", status=403, failed=True)
