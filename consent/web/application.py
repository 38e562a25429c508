"""Put everything that is served under the prefix together."""

from __future__ import annotations

import logging
from dataclasses import replace

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from consent.site import Site
from consent.visitors import Visitor
from consent.web import forms
from consent.web.answers import FOR_EVER, Answers
from consent.web.audit import Audit
from consent.web.auditors import Auditors
from consent.web.choices import Choices
from consent.web.entries import Entries
from consent.web.exports import Exports
from consent.web.forms import FormError
from consent.web.origin import Provenance, provenance, safe_path
from consent.web.policies import Policies
from consent.web.receipt import Receipts
from consent.web.violations import Violations

logger = logging.getLogger("consent")


def build(site: Site) -> ASGIApp:
    """Return the app that serves everything under the site's prefix."""
    answers = Answers(site)
    policies, choices = Policies(site, answers), Choices(site, answers)
    receipts, auditors = Receipts(site, answers), Auditors(site, answers)
    audit, exports = Audit(site, answers, auditors), Exports(site, answers, auditors)
    entries = Entries(site, answers, auditors)

    async def asset(request: Request) -> Response:
        for one in site.assets.values():
            if one.address == request.path_params["name"]:
                return answers.bytes(one.data, media_type=one.media_type, cache=FOR_EVER, etag=one.digest)
        return answers.error(request, 404)

    async def show_or_choose(request: Request) -> Response:
        return await (choices.choose if request.method == "POST" else choices.show)(request)

    async def language(request: Request) -> Response:
        """Keep the language a visitor asked for, until the browser closes."""
        if provenance(request, origins=site.settings.origins) is Provenance.FOREIGN:
            return answers.error(request, 403)
        try:
            form = await forms.read(request, limit=site.settings.max_body)
            chosen, target = form.one("language"), safe_path(form.one("next") or "/")
        except FormError as error:
            return answers.error(request, error.status)
        if target is None:
            return answers.error(request, 400)
        if chosen not in site.settings.spoken:
            return answers.error(request, 422)
        response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        response.headers.append("set-cookie", site.cookie_header(site.language_cookie_name, chosen))
        return response

    async def to_the_index(request: Request) -> Response:
        return RedirectResponse(f"{site.settings.prefix}/", 308)

    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        response = answers.error(request, status if status in (400, 403, 404, 405) else 500)
        for name, value in (getattr(error, "headers", None) or {}).items():
            response.headers[name] = value
        return response

    async def failed(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.scope["route"].path if "route" in request.scope else "?")
        return answers.error(request, 500)

    slug = "/policies/{slug}"
    routes: list[BaseRoute] = [
        Route("/", policies.index),
        Route("/checkpoint", policies.checkpoint),
        Route("/notices/{digest}", policies.notice),
        Route("/policies.atom", policies.feed),
        Route(slug + ".atom", policies.feed),
        Route(slug, policies.in_force),
        Route(slug + "/history", policies.history),
        Route(slug + "/{version}", _version_or_comparison(policies)),
        Route(slug + "/{version}/{language}.md", policies.source),
        Route(slug + "/{version}/{language}", policies.permanent),
        Route("/choices", show_or_choose, methods=["GET", "POST"]),
        Route("/state", choices.state),
        Route("/receipt", receipts.show),
        Route("/receipt.json", receipts.download),
        Route("/receipt/code", receipts.by_code, methods=["GET", "POST"]),
        Route("/schemas/{name}", receipts.published),
        Route("/erase", receipts.erase, methods=["POST"]),
        Route("/language", language, methods=["POST"]),
        Route("/assets/{name}", asset),
        Route("/reports", Violations(site, answers).take, methods=["POST"]),
        Route("/audit/", audit.show),
        Route("/audit/login", auditors.login, methods=["POST"]),
        Route("/audit/logout", auditors.logout, methods=["POST"]),
        Route("/audit/entries.{form}", exports.entries),
        Route("/audit/bundle.zip", exports.bundle),
        Route("/audit/entries", entries.index),
        Route("/audit/entries/{index}", entries.show),
        Route("/audit/find", entries.find),
        Route("/audit/notices/{older}...{newer}", entries.compare),
        Route("/audit/renderings/{digest}", entries.rendering),
    ]
    app = Starlette(
        routes=[
            Route(site.settings.prefix, to_the_index),
            Mount(site.settings.prefix, Router(routes, redirect_slashes=False)),
        ],
        middleware=[Middleware(_LanguageOfLinks, site=site)],
        exception_handlers={HTTPException: http_error, Exception: failed},
    )
    # Starlette's own redirects are absolute, to whatever host and scheme the request names.
    app.router.redirect_slashes = False
    return app


class _LanguageOfLinks:
    """Answer in the language that a link of ours carries from the page it stands in, unless the visitor switched it."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        site = self._site
        language = site.spoken(QueryParams(scope["query_string"]).get("lang", ""))
        visitor: Visitor = scope["state"]["consent_visitor"]
        if language is not None and not visitor.chose_language:
            consent = visitor.in_language(site.edition(site.now()).notices[language])
            scope["state"]["consent_visitor"] = replace(visitor, consent=consent)
        await self._app(scope, receive, send)


def _version_or_comparison(policies: Policies):  # type: ignore[no-untyped-def]
    async def endpoint(request: Request) -> Response:
        version = request.path_params["version"]
        if "..." in version:
            request.path_params["versions"] = version
            return await policies.comparison(request)
        return await policies.version(request)

    return endpoint
