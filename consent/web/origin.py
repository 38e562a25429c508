"""Tell where a request comes from, and where an answer may lead to."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request

MAX_PATH = 2048
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


class Provenance(Enum):
    """Say what a request tells about the page that sent it."""

    OWN = "own"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


def provenance(request: Request, *, origins: Collection[str]) -> Provenance:
    """Tell a request of our own pages from one of another site.

    `Sec-Fetch-Site` decides where the browser sends it; else `Origin` is held against the site's own origins, or
    against the host that was asked where none is configured. An origin of `null` proves nothing either way.
    Source: W3C Fetch Metadata Request Headers §2.4; RFC 6454 §7.
    """
    origin = request.headers.get("origin", "").lower()
    fetched_from = request.headers.get("sec-fetch-site", "").strip().lower()
    if fetched_from:
        own = fetched_from in ("same-origin", "none") or (fetched_from == "same-site" and origin in origins)
        return Provenance.OWN if own else Provenance.FOREIGN
    if not origin:
        return Provenance.OWN
    if origin == "null":
        return Provenance.UNKNOWN
    host = request.headers.get("host", "").lower()
    own = origin in origins or (not origins and origin in (f"https://{host}", f"http://{host}"))
    return Provenance.OWN if own else Provenance.FOREIGN


def safe_path(target: str) -> str | None:
    """Return a path of this site in ASCII, None for whatever could lead a browser anywhere else.

    Browsers drop tabs and line ends and read a backslash as `/`: what has any of these could leave the site.
    """
    if not target.startswith("/") or target.startswith("//") or len(target) > MAX_PATH or _UNSAFE.search(target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    return quote(target, safe="/?#&=%:;,+@!$'()*~[]-._")


def with_query_of(request: Request, path: str) -> str:
    """Return a path with the query of the page the request came from, where that is the page at this path.

    Pages that are everybody's name no query in their forms: it belongs to whoever asked first.
    """
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return path
    same = page.netloc.lower() == request.headers.get("host", "").lower() and unquote(page.path) == unquote(path)
    return safe_path(f"{path}?{page.query}") or path if same and page.query else path
