"""Answer a request under the prefix: pages with headers that let nothing foreign in, and errors that say what to do."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from babel import Locale
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from consent.site import Site
from consent.visitors import Visitor
from consent.web.origin import safe_path

NO_STORE = "no-store"
FOR_EVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=60"
HOURLY = "public, max-age=3600"
NO_REFERRER = "no-referrer"
SAME_ORIGIN = "same-origin"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types consent"
)


def visitor_of(request: Request) -> Visitor:
    """Return who asks."""
    visitor: Visitor = request.scope["state"]["consent_visitor"]
    return visitor


def wants_json(request: Request) -> bool:
    """Tell whether the answer should be JSON: the request is, or accepts nothing but."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return sent == "application/json" or "application/json" in request.headers.get("accept", "").lower()


class Answers:
    """Render pages and errors for one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._languages = [
            {"tag": tag, "name": Locale.parse(tag, sep="-").get_display_name() or tag} for tag in site.settings.spoken
        ]

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        cache: str = NO_STORE,
        referrer: str = SAME_ORIGIN,
        language: str | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """Return a page of our own."""
        response = self._render(request, template, context, status=status, cache=cache, language=language)
        response.headers["Referrer-Policy"] = referrer
        return response

    def _render(
        self,
        request: Request,
        template: str,
        context: dict[str, Any],
        *,
        status: int,
        cache: str = NO_STORE,
        language: str | None = None,
    ) -> HTMLResponse:
        consent, negotiated = visitor_of(request).consent, language is None
        language = self._site.pages.language_of(template, language=language or consent.language)
        # Not `request.url`, which raises for a query that is no UTF-8.
        query = request.scope["query_string"].decode("latin-1")
        here = quote(request.scope["path"], safe="/@:!$&'()*+,;=~") + (f"?{query}" if query else "")
        common = {
            "here": safe_path(here) or "/",
            "site_languages": self._languages,
            "allowed": sorted(consent.allowed),
            "status": consent.status,
            "notice": consent.notice.digest,
            "clear": None,
        }
        html = self._site.pages.render(template, language=language, **(common | context))
        headers = {**self._headers(cache), "Content-Language": language}
        if negotiated and cache != NO_STORE:
            # In the visitor's language, which not every shared cache tells apart.
            headers |= {"Cache-Control": cache.replace("public", "private"), "Vary": "Accept-Language, Cookie"}
        return HTMLResponse(html, status, headers)

    def json(
        self, content: Any, *, status: int = 200, cache: str = NO_STORE, referrer: str = SAME_ORIGIN
    ) -> JSONResponse:
        """Return JSON."""
        return JSONResponse(content, status, self._headers(cache) | {"Referrer-Policy": referrer})

    def tagged(self, request: Request, data: bytes, *, media_type: str, cache: str) -> Response:
        """Return stored bytes with their SHA-256 as entity tag, or 304 to whoever has them."""
        digest = hashlib.sha256(data).hexdigest()
        asked = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
        if f'"{digest}"' in asked or "*" in asked:
            return Response(status_code=304, headers={"ETag": f'"{digest}"', "Cache-Control": cache})
        return self.bytes(data, media_type=media_type, cache=cache, etag=digest)

    def bytes(self, data: bytes, *, media_type: str, cache: str, etag: str = "") -> Response:
        """Return stored bytes exactly as they are."""
        headers = self._headers(cache) | {"Content-Type": media_type}
        if etag:
            headers["ETag"] = f'"{etag}"'
        return Response(data, headers=headers)

    def clear_site_data(self, response: Response) -> None:
        """Let the answer to a withdrawal make the browser forget what the site stored, where the site wants that.

        Cookies are left to `Set-Cookie`: the choice itself is one. Source: W3C Clear Site Data §3.
        """
        if self._site.settings.clear_site_data:
            response.headers["Clear-Site-Data"] = '"cache", "storage"'

    def error(self, request: Request, status: int, *, key: str = "", href: str = "") -> Response:
        """Return a short page, or JSON, that says what is wrong and what to do."""
        words = self._site.pages.wording(visitor_of(request).consent.language)
        key = key or f"error.{status}"
        told = {part: words(f"{key}.{part}") for part in ("title", "message", "action")}
        if wants_json(request):
            return self.json({"error": status, **told}, status=status)
        href = href or (f"{self._site.settings.prefix}/" if status == 404 else f"{self._site.settings.prefix}/choices")
        return self._render(request, "consent_error.html", {**told, "status": status, "href": href}, status=status)

    def _headers(self, cache: str) -> dict[str, str]:
        return {
            "Cache-Control": cache,
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": SAME_ORIGIN,
            "X-Content-Type-Options": "nosniff",
        }
