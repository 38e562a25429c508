"""Write what is inserted into one visitor's page, in the page's own language and with its nonce."""

from __future__ import annotations

import re

from starlette.types import Scope

from consent.asked import is_framed_elsewhere, path_of
from consent.choice.consent import Consent
from consent.gate.insert import Insert
from consent.marking import Marked
from consent.site import Site
from consent.visitors import Visitor
from consent.web.origin import safe_path

ROOT = re.compile(rb"<html\b[^>]*>", re.IGNORECASE)
_LANGUAGE = re.compile(rb"\slang\s*=\s*[\"']?([A-Za-z0-9-]{2,35})", re.IGNORECASE)


def in_language_of(body: bytes, declared: str, *, site: Site, visitor: Visitor) -> tuple[Consent, bool]:
    """Return a visitor's consent with the notice in a page's own language, and whether `Accept-Language` decided.

    Where the site does not have the page's language, the notice stays in the visitor's. Whoever switched the language
    is asked in the one they chose.

    Args:
        body: how the page begins.
        declared: its `Content-Language`, for a page that does not say it itself.
        site: the site.
        visitor: who gets the page.
    """
    if visitor.chose_language:
        return visitor.consent, False
    root = ROOT.search(body, 0, 4096)
    found = _LANGUAGE.search(root[0]) if root else None
    language = site.spoken(found[1].decode("ascii") if found else declared)
    if language is None:
        return visitor.consent, len(site.settings.spoken) > 1 and not visitor.shared
    return visitor.in_language(site.edition(site.now()).notices[language]), False


def insert_for(consent: Consent, page: Marked, *, site: Site, visitor: Visitor, scope: Scope) -> Insert:
    """Return what is inserted into a page."""
    fragments, shared = site.fragments, visitor.shared
    # A cache may keep one page for many queries, and a query may say who came.
    path = path_of({**scope, "query_string": b""} if shared else scope)
    path = safe_path(path) or "/"
    if is_framed_elsewhere(scope):
        after_body = b""
    elif consent.answered:
        after_body = fragments.link(consent, next_path=path)
    else:
        companion = site.edition(site.now()).companion if shared else ""
        after_body = fragments.banner(consent, next_path=path, companion=companion)
    return Insert(
        banner=_fitted(after_body, page),
        first_gated=_fitted(fragments.assets(consent), page) if consent.answered else b"",
        also_granted=True,
        watch=_fitted(site.watch(consent.allowed), page),
        placeholder=lambda service, tag, about: fragments.placeholder(
            consent, service=service, tag=tag, about=about, next_path=path
        ),
    )


def _fitted(html: bytes, page: Marked) -> bytes:
    """Give our script and style the nonce that the page's own policy asks for.

    The script learns too whether that policy was narrowed: what the browser denies for as long as the page lives takes
    a reload to be allowed.
    """
    if page.narrowed:
        html = html.replace(b"<script ", b'<script data-narrowed="" ')
    if not page.nonce:
        return html
    nonce = b'nonce="%s" ' % page.nonce.encode("ascii")
    return html.replace(b"<script ", b"<script " + nonce).replace(b"<link ", b"<link " + nonce)
