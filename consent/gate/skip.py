"""Run over what can never matter, inside the regular expression engine.

The patterns here decide nothing: what they do not eat is looked at. They eat text, comments, and elements that can
neither load anything of anybody else's nor change what the next bytes mean. Most pages are written in one plain
spelling (lower case, one space, double quotes), which has a branch of its own: it is twice as fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from consent.gate.context import RETURNS
from consent.gate.tokens import ATTRIBUTES_PART, NAME_PART, STRUCTURE, VALUE_PART, any_case

_NAMED = frozenset((b"link", b"base", b"object", b"applet", b"image", b"param", b"col", b"table", b"body"))
"""Elements that are looked at whatever attributes they have."""

_TELLING = frozenset(
    (
        *(b"src", b"srcset", b"srcdoc", b"imagesrcset", b"style", b"ping", b"poster", b"background", b"http-equiv"),
        *(b"attributionsrc", b"lowsrc", b"dynsrc", b"data-consent"),
    )
)
"""Attributes for whose sake any element is looked at."""


_COMMON = frozenset(
    (
        *(b"alt", b"class", b"content", b"datetime", b"height", b"href", b"id", b"lang", b"loading", b"name", b"rel"),
        *(b"role", b"title", b"type", b"width"),
    )
)
"""Attributes that tell nothing on most elements, and that most attributes are."""
_BARRED = rb"(?:[oO][nN][a-zA-Z]|[dD][aA][tT][aA]-[cC][oO][nN][sS][eE][nN][tT]-)"
"""How attributes begin for whose sake any element is looked at: event handlers, and our own spelling."""


def _one_of(words: Iterable[bytes], *, lower: bool = False) -> bytes:
    """Return a pattern for `words`, in any case or in lower case, that fails on the first letter none of them has."""
    tails: dict[bytes, set[bytes]] = {}
    ends = False
    for word in words:
        if word:
            tails.setdefault(word[:1], set()).add(word[1:])
        else:
            ends = True
    if not tails:
        return b""
    branches = [
        (re.escape(first) if lower else any_case(first)) + _one_of(rest, lower=lower)
        for first, rest in sorted(tails.items())
    ]
    group = b"(?:" + b"|".join(branches) + b")" if len(branches) > 1 or ends else branches[0]
    return group + (b"?+" if ends else b"")


# In any spelling.
_NO_TAG = rb"<(?=[^A-Za-z/!?])"
_COMMENT = rb"<!--(?!-?+>)(?:[^-]++|-(?!-!?+>))*+--!?+>"
_ENDS = rb"(?=[\t\n\f\r />])"
_END_TAG = rb"</(?!" + _one_of(RETURNS) + _ENDS + rb")" + NAME_PART + ATTRIBUTES_PART + rb">"
_ATTRIBUTES = (
    rb"(?:[\t\n\f\r /]++|(?!" + _one_of(_TELLING) + rb"(?=[\t\n\f\r =/>]))(?!" + _BARRED + rb")"
    rb"[^\t\n\f\r />][^\t\n\f\r />=]*+" + VALUE_PART + rb")*+"
)
_TAG = rb"<(?!" + _one_of(STRUCTURE | _NAMED) + _ENDS + rb")" + NAME_PART + _ATTRIBUTES + rb">"
_FRAME_TAG = rb"<" + _one_of((b"html", b"head", b"meta")) + _ENDS + _ATTRIBUTES + rb">"

# In the plain spelling.
_PLAIN_END = rb"</(?!" + _one_of(RETURNS, lower=True) + rb">)[a-z][a-z0-9-]*+>"
_PLAIN_NAME = rb"<(?!" + _one_of(STRUCTURE | _NAMED, lower=True) + rb"[ \n/>])[a-z][a-z0-9-]*+"
_PLAIN_STYLE = rb'style="[^"(\\&]*+"'
# A value, or a sheet, that calls none of url(), src(), image-set(), image() and cross-fade().
_CALLS_NOTHING = rb"\((?<![lLtTcCeE]\()"
_DRAWN = rb"(?: (?!" + _BARRED + rb')[A-Za-z][A-Za-z-]*+="(?:[^"(\\&]++|\((?<![lLtTcC]\())*+")*+'
_SHAPES = rb"(?:path|g|circle|rect|line|polygon|polyline|ellipse|defs)"
_DRAWING = (
    rb"<svg(?: (?!" + _BARRED + rb')[A-Za-z][A-Za-z:-]*+="(?:[^"(\\&]++|\((?<![lLtTcC]\())*+")*+>'
    rb"(?:[^<]++|<" + _SHAPES + _DRAWN + rb" ?+/?+>|</" + _SHAPES + rb">|<title" + _DRAWN + rb">[^<]*+</title>)*+</svg>"
)
_TITLE = rb"<title>[^<]*+</title>"
_SHEET = rb"<style>(?:[^<(\\@]++|" + _CALLS_NOTHING + rb"|@(?![iI]))*+</style>"
_DATA = rb'<script type="application/(?:ld\+)?json"(?: (?:id|class|nonce)="[^"]*+")*+>[^<]*+</script>'


def _plain_attributes(more: Iterable[bytes] = (), *, barred: Iterable[bytes] = ()) -> bytes:
    kinds = (
        _one_of(_COMMON.difference(barred), lower=True) + rb'="[^"]*+"',
        rb"(?!"
        + _one_of({*_TELLING, *barred}, lower=True)
        + rb'[ \n=>])(?!on[a-z]|data-consent-)[a-z][a-z0-9_:-]*+(?:="[^"]*+")?+',
        _PLAIN_STYLE,
        *more,
    )
    return rb"(?:[ \n](?:" + b"|".join(kinds) + rb"))*+ ?+/?+>"


def _own_address(hosts: Iterable[bytes], others: Iterable[bytes]) -> bytes:
    """Return a pattern for the beginning of an address that, spelled this plainly, can only be the site's own."""
    path = rb"/[A-Za-z0-9_.~-]"
    named = b"|".join(rb"(?:[a-z0-9-]++\.)*?" + re.escape(host) for host in sorted(hosts))
    if not named:
        return path
    taken = b"|".join(rb"(?:[a-z0-9-]++\.)*?" + re.escape(host) + rb"(?![a-z0-9.-])" for host in sorted(others))
    barred = b"(?!" + taken + b")" if taken else b""
    return b"(?:" + path + b"|https?+://" + barred + b"(?:" + named + rb")(?=[/\"?#]))"


def _own_elements(own: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return patterns for any element, and for those of the head, whose addresses are the site's own."""
    candidate = rb" ?+" + own + rb"[^ ,\"'&\t\n\f\r]*+(?: [0-9.]++[wx])?+"
    sources = (
        rb'(?:src|poster)="' + own + rb'[^"]*+"',
        rb'srcset="' + candidate + rb"(?:," + candidate + rb')*+"',
    )
    loose = _plain_attributes(sources)
    script = rb"<script" + loose + rb"</script>"
    link = rb"<link" + _plain_attributes((rb'href="' + own + rb'[^"]*+"',), barred=(b"href",))
    return [_PLAIN_NAME + loose, script, link, rb"<iframe" + loose + rb"</iframe>"], [script, link]


def _run(kinds: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return the pattern of a run of text and of `kinds`, which all begin with the bracket that is looked for once."""
    after = b"|".join(kind.removeprefix(b"<") for kind in kinds)
    return re.compile(rb"[^<]*+(?:<(?:" + after + rb")[^<]*+)*+")


@lru_cache(maxsize=16)
def patterns(
    hosts: frozenset[bytes] | None = None, others: frozenset[bytes] = frozenset()
) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return the pattern of a run that needs no look, and the same for what comes before the body.

    The second stops at the first start tag that is not of the head, too.

    Args:
        hosts: the site's own hosts, whose addresses and paths need no look; None where a `base`, or a service on a
            path of the site, makes every address worth one.
        others: hosts below those that a service claims.
    """
    own = _own_elements(_own_address(hosts, others)) if hosts is not None else ([_PLAIN_NAME + _plain_attributes()], [])
    body = (_PLAIN_END, *own[0], _DRAWING, _SHEET, _DATA, _TITLE, _COMMENT, _TAG, _END_TAG, _NO_TAG)
    head = (_PLAIN_END, *own[1], _SHEET, _DATA, _TITLE, _COMMENT, _FRAME_TAG, _END_TAG, _NO_TAG)
    return _run(body), _run(head)
