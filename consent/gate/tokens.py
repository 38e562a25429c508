"""Hold the byte patterns of HTML's tokens, possessive throughout: none of them can backtrack.

Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_NAME = rb"[A-Za-z][^\t\n\f\r />]*+"
_SPACE = rb"[\t\n\f\r ]"
_VALUE = (
    rb"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+"
    rb"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r "'>][^\t\n\f\r >]*+|(?=>)|\Z))?+"""
)
_ATTRIBUTES = rb"(?:[\t\n\f\r /]++|[^\t\n\f\r />][^\t\n\f\r />=]*+" + _VALUE + rb")*+"

TAG = re.compile(rb"<(/?+)(" + _NAME + rb")(" + _ATTRIBUTES + rb")>")
"""One whole tag: a slash, the name, the attributes."""

ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    rb"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+"
    rb"""(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r "'>][^\t\n\f\r >]*+)|(?=>)|\Z))?+"""
)
"""One attribute: its name, and its value in double, in single or without quotes."""

CLOSED = re.compile(
    rb"(?:[\t\n\f\r /]++|[^\t\n\f\r />][^\t\n\f\r />=]*+(?:(?=[/>])|[\t\n\f\r ]++(?=[^\t\n\f\r =])"
    rb"|[\t\n\f\r ]*+=[\t\n\f\r ]*+"
    rb"""(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r "'>][^\t\n\f\r >]*+(?=[\t\n\f\r >])|(?=>))))*+"""
)
"""The attributes of an unfinished tag that no later byte can change."""

UNFINISHED = re.compile(
    rb"""[^\t\n\f\r />][^\t\n\f\r />=]*+([\t\n\f\r ]*+)(?:(=)[\t\n\f\r ]*+(?:(["'])|([^\t\n\f\r "'>]))?+)?+"""
)
"""The attribute after those: white space after its name, the equals sign, the opening quote or an unquoted value."""

NAME = re.compile(rb"</?+" + _NAME)
COMMENT_END = re.compile(rb"--!?>")
SCRIPT_STEP = re.compile(rb"<!--|-->|</?[sS][cC][rR][iI][pP][tT](?=[\t\n\f\r />])")
"""What moves a script's text between its plain, escaped and double-escaped states."""

RAW = frozenset((b"style", b"xmp", b"iframe", b"noembed", b"noframes", b"title", b"textarea"))
"""Elements whose content is text in HTML (and markup in SVG and MathML)."""

HEAD = frozenset(b"html head title base link meta script style noscript template noframes basefont bgsound".split())
"""Elements that do not open the body."""

STRUCTURE = RAW | {b"script", b"noscript", b"plaintext", b"svg", b"math", b"select", b"frameset", b"template"}
"""Elements after whose start tag bytes mean something else."""

NAMED = frozenset((b"link", b"base", b"object", b"applet", b"image", b"param", b"col", b"table", b"body"))
"""Elements that are looked at whatever attributes they have."""

TELLING = frozenset(
    b"src srcset imagesrcset style ping poster background http-equiv attributionsrc lowsrc dynsrc data-consent".split()
)
"""Attributes for whose sake any element is looked at."""


def _any_case(text: bytes) -> bytes:
    return b"".join(b"[%c%c]" % (c - 32, c) if 97 <= c <= 122 else re.escape(b"%c" % c) for c in text)


def _one_of(words: Iterable[bytes]) -> bytes:
    """Return a pattern for `words` that fails on the first letter that none of them has."""
    tails: dict[bytes, set[bytes]] = {}
    ends = False
    for word in words:
        if word:
            tails.setdefault(word[:1], set()).add(word[1:])
        else:
            ends = True
    if not tails:
        return b""
    branches = [_any_case(first) + _one_of(rest) for first, rest in sorted(tails.items())]
    group = b"(?:" + b"|".join(branches) + b")" if len(branches) > 1 or ends else branches[0]
    return group + (b"?+" if ends else b"")


_PLAIN_ATTRIBUTES = (
    rb"(?:[\t\n\f\r /]++|(?!"
    + _one_of(TELLING)
    + rb"(?=[\t\n\f\r =/>]))[^\t\n\f\r />][^\t\n\f\r />=]*+"
    + _VALUE
    + rb")*+"
)
_END_TAGS = rb"</" + _NAME + _ATTRIBUTES + rb">"
_NO_TAG = rb"<(?=[^A-Za-z/!?])"

SKIP = re.compile(
    rb"(?:[^<]++|<(?!" + _one_of(STRUCTURE | NAMED) + rb"(?=[\t\n\f\r />]))" + _NAME + _PLAIN_ATTRIBUTES + rb">"
    rb"|" + _END_TAGS + rb"|" + _NO_TAG + rb")*+"
)
"""A run of text and of tags that can neither load anything nor change what the next bytes mean."""

SKIP_HEAD = re.compile(
    rb"(?:[^<]++|<" + _one_of((b"html", b"head")) + rb"(?=[\t\n\f\r />])" + _PLAIN_ATTRIBUTES + rb">"
    rb"|" + _END_TAGS + rb"|" + _NO_TAG + rb")*+"
)
"""The same before the body has begun: stops at the first start tag that is not of the document's frame."""


@lru_cache(maxsize=64)
def end_of(name: bytes) -> re.Pattern[bytes]:
    """Return the pattern of the beginning of an end tag of this name."""
    return re.compile(rb"</" + _any_case(name) + rb"(?=[\t\n\f\r />])")
