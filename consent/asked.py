"""Read from a request what was asked for, and on whose behalf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.types import Scope

_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_NO_NAME = "unnamed.invalid"
FRAMES = frozenset({b"embed", b"fencedframe", b"frame", b"iframe", b"object"})


def is_picture(scope: Scope) -> bool:
    """Tell whether the browser draws what it gets, and neither runs nor loads anything in it."""
    return dict(scope["headers"]).get(b"sec-fetch-dest") == b"image"


def is_part(scope: Scope) -> bool:
    """Tell whether a part was asked for, which a browser draws or applies nothing of."""
    return b"range" in dict(scope["headers"])


def is_style_sheet(sent: Mapping[bytes, bytes]) -> bool:
    """Tell whether the browser may read what it gets as a style sheet, whatever type the answer has.

    Pages in quirks mode do so (HTML §4.6.7.23, CSSOM's quirk). A browser that does not say it, as over plain HTTP, is
    told by the `Accept` that the Fetch Standard gives it for style sheets alone.
    """
    destination = sent.get(b"sec-fetch-dest")
    return destination == b"style" or (destination is None and sent.get(b"accept", b"").startswith(b"text/css"))


def is_own_act(scope: Scope, *, sure: bool) -> bool:
    """Tell whether somebody follows a link here, and no page asks for a part of itself.

    A browser that says nothing about it is told by its `Accept`, but only where it is `sure` whose address is at stake:
    programs that are no browsers say as little.
    """
    sent = dict(scope["headers"])
    destination = sent.get(b"sec-fetch-dest")
    if destination is not None:
        return destination == b"document" and b"sec-purpose" not in sent
    return not sure or b"text/html" in sent.get(b"accept", b"")


def address_of(scope: Scope) -> str:
    """Return the absolute address that was asked for, in ASCII, without a port."""
    host = host_of(scope)
    # What is no name, or none at all, would take a piece of the path with it or add one.
    return f"{scope.get('scheme', 'https')}://{host if _NAME.fullmatch(host) else _NO_NAME}{path_of(scope)}"


def is_framed_elsewhere(scope: Scope) -> bool:
    """Tell whether another site shows this page in a frame, where a visitor could be led to press a button unseen."""
    sent = dict(scope["headers"])
    return sent.get(b"sec-fetch-site") == b"cross-site" and sent.get(b"sec-fetch-dest") in FRAMES


def path_of(scope: Scope) -> str:
    """Return the page's own path and query, in ASCII."""
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"], safe="/@:!$&'()*+,;=~")
    return f"{path}?{query}" if query else path


def host_of(scope: Scope) -> str:
    """Return the name the visitor asked for, without a port."""
    value = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return value if value.endswith("]") else value.rpartition(":")[0] or value
