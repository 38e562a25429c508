"""Serve the second layer, and take a visitor's choice: check it, record it, and only then let it count."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.choice import cookie
from consent.choice.choice import DAY
from consent.choice.consent import Consent
from consent.choice.notice import SHORT_BYTES, Notice, changed_terms
from consent.choice.status import Status
from consent.errors import ConsentError, LedgerUnavailableError
from consent.fragments import changed_policies
from consent.gate.headers import expire_cookies
from consent.ledger.entry import Draft
from consent.site import Site
from consent.web import forms
from consent.web.answers import Answers, visitor_of, wants_json
from consent.web.decision import (
    LAYERS,
    Control,
    Decision,
    Submission,
    content_of,
    decide,
    record_of,
    titles,
    unchanged,
)
from consent.web.forms import Form, FormError
from consent.web.layer import purposes_shown, standing, undeletable
from consent.web.origin import Provenance, provenance, safe_path, with_query_of

logger = logging.getLogger("consent")

DIGEST_LENGTH = 64
SAID = ("saved", "withdrawn", "unchanged")
PUBLISH_PATIENCE = 2.0
"""Seconds that a refusal waits for the texts it was made under to be archived."""


class Choices:
    """Handle `/privacy/choices` and `/privacy/state`."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._path = f"{site.settings.prefix}/choices"

    async def show(self, request: Request) -> Response:
        """Serve the second layer as a page."""
        next_path = self._next(request, request.query_params.get("next", "/")) or "/"
        said = request.query_params.get("said", "")
        consent = visitor_of(request).consent
        flash = None
        taken_back = [key for key in request.query_params.getlist("was") if key not in consent.allowed]
        if said in SAID and (said != "withdrawn" or not consent.granted or taken_back):
            flash = {"kind": said, "undeletable": undeletable(consent, taken_back, self._site.settings.hosts)}
        return self._page(request, consent, next_path=next_path, flash=flash)

    async def state(self, request: Request) -> Response:
        """Serve what this visitor agreed to, without the consent id, and bring the companion cookie up to date."""
        site, consent = self._site, visitor_of(request).consent
        response = self._answers.json(_state(consent))
        sent = request.cookies.get(site.companion_name)
        if site.shared and consent.answered and consent.choice is not None and consent.asked_under is not None:
            # So that the next page that is everybody's need not ask.
            header = site.companion_header(consent.choice, asked_under=consent.asked_under)
            if not header.startswith(f"{site.companion_name}={sent};"):
                response.headers.append("set-cookie", header)
        elif site.shared and consent.choice is None and sent is not None:
            response.headers.append("set-cookie", site.cookie_header(site.companion_name, "", expires_at=0))
        return response

    async def choose(self, request: Request) -> Response:
        """Take a choice."""
        site, visitor = self._site, visitor_of(request)
        came_from = provenance(request, origins=site.settings.origins)
        if came_from is Provenance.FOREIGN:
            site.reports.refused_origin(request.headers.get("origin", ""), origins=site.settings.origins)
            return self._answers.error(request, 403)
        try:
            form = await forms.read(request, limit=site.settings.max_body)
            next_path = self._next(request, form.one("next") or "/")
            submission = await self._submission(form)
        except FormError as error:
            return self._answers.error(request, error.status)
        if next_path is None:
            return self._answers.error(request, 400)
        today = self._today(submission, visitor.consent)
        consent = visitor.in_language(today)
        if submission.control is Control.ONCE:
            if came_from is not Provenance.OWN:
                return self._answers.error(request, 403)
            return await self._load_once(request, submission, consent, today, next_path=next_path)
        if submission.control is Control.ALWAYS and not consent.objected.isdisjoint(submission.services):
            return self._answers.error(request, 422)
        try:
            decision = decide(
                submission,
                before=consent,
                consent_id=visitor.consent_id,
                fresh_id=site.random(cookie.ID_BYTES),
                today=today,
                now=int(site.now()),
            )
        except KeyError:
            return self._answers.error(request, 422)
        if decision.adds and came_from is not Provenance.OWN:
            return self._answers.error(request, 403)
        if decision.conflict:
            return self._conflict(request, consent, decision.conflict, next_path=next_path)
        if unchanged(decision):
            return self._settled(request, decision, submission, next_path=next_path, said="unchanged")
        return await self._record(request, decision, submission, next_path=next_path)

    def _next(self, request: Request, target: str) -> str | None:
        path = safe_path(target)
        return with_query_of(request, path) if path is not None and self._site.shared else path

    # -- reading the form

    async def _submission(self, form: Form) -> Submission:
        try:
            control = Control(form.one("choice"))
        except ValueError:
            raise FormError(400) from None
        digest = form.one("notice")
        shown = None
        if len(digest) == DIGEST_LENGTH:
            with contextlib.suppress(ValueError):
                shown = await self._site.archived_notice(bytes.fromhex(digest)[:SHORT_BYTES])
            if shown is not None and shown.digest != digest:
                shown = None
        layer = form.one("layer")
        return Submission(
            control=control,
            layer=layer if layer in LAYERS else "api",
            shown=shown,
            purposes=form.all("purpose"),
            services=form.all("service"),
            without=form.all("except"),
        )

    def _today(self, submission: Submission, consent: Consent) -> Notice:
        """Return today's notice in the language that was shown."""
        notices = self._site.edition(self._site.now()).notices
        return notices.get(submission.shown.language, consent.notice) if submission.shown else consent.notice

    # -- recording

    async def _record(
        self, request: Request, decision: Decision, submission: Submission, *, next_path: str
    ) -> Response:
        """Append first, answer then; what cannot be recorded is left out where it grants, and honoured where not."""
        site = self._site
        if not decision.adds:
            await self._honour(request, decision, submission)
            said = "withdrawn" if decision.withdrawn else "saved"
            return self._settled(request, decision, submission, next_path=next_path, said=said)
        try:
            await site.ensure_published()
            await site.ledger.record(self._draft(request, decision, submission))
        except LedgerUnavailableError as error:
            logger.error("a grant was not recorded, and does not count: %s", error)
            kept = decision.kept
            if not kept.answers or unchanged(kept):
                return self._answers.error(request, 503, key="error.not_recorded")
            await self._honour(request, kept, submission)
            return self._settled(request, kept, submission, next_path=next_path, said="not_recorded")
        return self._settled(request, decision, submission, next_path=next_path, said="saved")

    async def _honour(self, request: Request, decision: Decision, submission: Submission) -> None:
        # Whatever keeps the texts from being archived, a no counts.
        with contextlib.suppress(ConsentError, TimeoutError):
            await asyncio.wait_for(self._site.ensure_published(), PUBLISH_PATIENCE)
        await self._site.ledger.honour(self._draft(request, decision, submission))

    def _draft(self, request: Request, decision: Decision, submission: Submission) -> Draft:
        return record_of(
            decision,
            submission=submission,
            rendering=self._rendering(decision.shown),
            country=self._country(request),
            now=int(self._site.now()),
        )

    def _rendering(self, notice: Notice) -> str | None:
        """Return how today's notice looks; how an archived one did stands in the entry of its publication."""
        edition = self._site.edition(self._site.now())
        return edition.renderings[notice.language].digest if notice in edition.notices.values() else None

    def _country(self, request: Request) -> str | None:
        name = self._site.settings.country_header
        country = request.headers.get(name, "").upper() if name else ""
        return country if len(country) == 2 and country.isascii() and country.isalpha() else None

    # -- answering

    def _settled(
        self, request: Request, decision: Decision, submission: Submission, *, next_path: str, said: str
    ) -> Response:
        """Answer with the cookie of a choice that counts, and without the cookies of what is not allowed."""
        site, visitor = self._site, visitor_of(request)
        after = replace(
            decision.before,
            choice=replace(decision.choice, consent_id=None),
            asked_under=decision.shown,
            status=decision.status,
        )
        withdrawn = sorted(decision.withdrawn)
        gone = undeletable(after, withdrawn, site.settings.hosts)
        if said == "not_recorded" and wants_json(request):
            response = self._answers.error(request, 503, key="error.not_recorded")
        elif said == "not_recorded":
            flash = {"kind": said, "kept": titles(after.notice, after.allowed), "undeletable": gone}
            response = self._page(request, after, next_path=next_path, flash=flash, status=503)
        elif wants_json(request):
            response = self._answers.json(
                _state(after)
                | {
                    "withdrawn": withdrawn,
                    "undeletable": [one["title"] for one in gone],
                    "reload": _starts_late(after, after.allowed - decision.before.allowed),
                    "href": self._said(said, next_path, decision),
                }
            )
        else:
            response = RedirectResponse(self._way_back(submission, decision, next_path, said), 303)
        response.headers["Cache-Control"] = "no-store"
        if decision.withdrawn:
            self._answers.clear_site_data(response)
        if said != "unchanged":
            for value in site.choice_headers(decision.choice, notice=decision.shown):
                response.headers.append("set-cookie", value)
        host = request.headers.get("host", "")
        for value in expire_cookies(
            visitor.cookies, site.catalogue, after.allowed, host=host, consent_cookie=site.cookie_name
        ):
            response.headers.append("set-cookie", value)
        return response

    def _way_back(self, submission: Submission, decision: Decision, next_path: str, said: str) -> str:
        if submission.layer != "choices" and not decision.withdrawn:
            return next_path
        return self._said(said, next_path, decision)

    def _said(self, said: str, next_path: str, decision: Decision) -> str:
        """Return the address of the choices with a message about what was just decided."""
        query: dict[str, Any] = {"said": said, "next": next_path}
        query["was"] = sorted(decision.withdrawn & decision.shown.services.keys())
        if len(self._site.pages.spoken) > 1:
            query["lang"] = decision.shown.language
        return f"{self._path}?{urlencode(query, doseq=True)}"

    def _conflict(self, request: Request, consent: Consent, changed: frozenset[str], *, next_path: str) -> Response:
        told = titles(consent.notice, changed)
        if wants_json(request):
            words = self._site.pages.wording(consent.language)
            return self._answers.json(
                {
                    "error": 409,
                    "title": words("error.409.title"),
                    "message": words("error.409.message"),
                    "action": words("error.409.action"),
                    "changed": told,
                    "notice": consent.notice.digest,
                    "href": f"{self._path}?{urlencode({'next': next_path})}",
                },
                status=409,
            )
        flash = {"kind": "conflict", "changed": told}
        return self._page(request, consent, next_path=next_path, flash=flash, status=409, changed=changed)

    def _page(
        self,
        request: Request,
        consent: Consent,
        *,
        next_path: str,
        flash: dict[str, Any] | None,
        status: int = 200,
        changed: frozenset[str] = frozenset(),
    ) -> Response:
        visitor, site = visitor_of(request), self._site
        choice, under = consent.choice, consent.asked_under
        policies: list[dict[str, str]] = []
        if under is not None:
            terms = consent.notice.services
            changed |= {key for key in consent.asking & terms.keys() if under.services.get(key) != terms[key]}
            policies = changed_policies(under, consent.notice, site.settings.prefix) if consent.asking else []
        names = (*visitor.cookies, *((site.cookie_name,) if choice else ()))
        in_place = "part" in request.query_params
        return self._answers.page(
            request,
            "consent_choices_part.html" if in_place else "consent_choices.html",
            status=status,
            language=consent.language,
            purposes=purposes_shown(consent, changed=changed),
            notice=consent.notice.digest,
            next=next_path,
            decided_at=choice.decided_at if choice else None,
            expires_at=site.expiry(choice) - (0 if choice.grants else DAY) if choice else None,
            changed_policies=policies,
            **standing(consent),
            notice_href=f"{site.settings.prefix}/notices/{under.digest}" if under else None,
            gpc=consent.gpc,
            objected=titles(consent.notice, consent.objected),
            cookies_seen=[{"name": name, "service_title": self._owner_of(name, consent)} for name in names],
            flash={"kept": [], "undeletable": [], "changed": []} | flash if flash else None,
            service=request.query_params.get("service", ""),
            in_place=in_place,
            clear=_storage(consent) if flash else None,
        )

    def _owner_of(self, name: str, consent: Consent) -> str | None:
        for service in (*self._site.catalogue.services, *self._site.catalogue.known):
            if any(one.matches(name) for one in service.cookies):
                return next(iter(titles(consent.notice, {service.key})), None) or str(service.title)
        return None

    # -- once

    async def _load_once(
        self, request: Request, submission: Submission, consent: Consent, today: Notice, *, next_path: str
    ) -> Response:
        """Let one service load on the next page at one path, or in place where the script asks."""
        site, shown = self._site, submission.shown
        key = submission.services[0] if len(submission.services) == 1 else ""
        if key not in today.services:
            return self._answers.error(request, 422)
        if shown is None or key in changed_terms(shown, today):
            return self._conflict(request, consent, frozenset({key}), next_path=next_path)
        if key in consent.objected:
            return self._answers.error(request, 422)
        now = int(site.now())
        content = content_of(
            replace(submission, layer="placeholder"),
            status=Status.GIVEN,
            scope="once",
            purposes={},
            services={key: True},
            notice=shown,
            rendering=self._rendering(shown),
            consent=consent,
            country=self._country(request),
        )
        try:
            await site.ensure_published()
            await site.ledger.record(Draft(kind="consent", content=content, decided_at=now))
        except LedgerUnavailableError as error:
            logger.error("loading once was not recorded, and does not happen: %s", error)
            return self._answers.error(request, 503, key="error.not_recorded")
        if wants_json(request):
            return self._answers.json(
                _state(replace(consent, once=frozenset({key}))) | {"once": key, "reload": _starts_late(consent, {key})}
            )
        path = unquote(urlsplit(next_path).path)
        value = cookie.seal_once(key, path=path, now=now, by=site.once_signer)
        response = RedirectResponse(next_path, 303, {"Cache-Control": "no-store"})
        header = site.cookie_header(site.once_cookie_name, value, expires_at=now + cookie.ONCE_SECONDS)
        response.headers.append("set-cookie", header)
        return response


def _starts_late(consent: Consent, keys: Collection[str]) -> bool:
    """Tell whether one of these services cannot start on a page that is loaded already."""
    return any(service.key in keys and service.revive == "reload" for service in consent.catalogue.services)


def _state(consent: Consent) -> dict[str, Any]:
    return {
        "status": str(consent.status),
        "answered": consent.answered,
        "allowed": sorted(consent.allowed),
        "asking": sorted(consent.asking),
        "regime": str(consent.regime),
        "gpc": consent.gpc,
        "language": consent.language,
        "notice": consent.notice.digest,
        "storage": _storage(consent),
    }


def _storage(consent: Consent) -> list[str]:
    """Return the names in the browser's storage that belong to services that are not allowed."""
    return sorted({key for s in consent.catalogue.optional if s.key not in consent.allowed for key in s.storage})
