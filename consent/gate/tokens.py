"""Hold the byte patterns of HTML's tokens, possessive throughout: none of them can backtrack.

Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

from __future__ import annotations

import re
from functools import lru_cache

NAME_PART = rb"[A-Za-z][^\t\n\f\r />]*+"
VALUE_PART = (
    rb"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+"
    rb"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r "'>][^\t\n\f\r >]*+|(?=>)|\Z))?+"""
)
ATTRIBUTES_PART = rb"(?:[\t\n\f\r /]++|[^\t\n\f\r />][^\t\n\f\r />=]*+" + VALUE_PART + rb")*+"

TAG = re.compile(rb"<(/?+)(" + NAME_PART + rb")(" + ATTRIBUTES_PART + rb")>")
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

SCRIPT = re.compile(rb"(<script(?=[\t\n\f\r />])" + ATTRIBUTES_PART + rb">)((?:[^<]++|<(?![/!]))*+)</script>")
"""One whole script whose text cannot be mistaken: no end tag and no escape before its own end."""

NAME = re.compile(rb"</?+" + NAME_PART)
COMMENT_END = re.compile(rb"--!?>")
SCRIPT_STEP = re.compile(rb"<!--|-->|</?[sS][cC][rR][iI][pP][tT](?=[\t\n\f\r />])")
"""What moves a script's text between its plain, escaped and double-escaped states."""

RAW = frozenset((b"style", b"xmp", b"iframe", b"noembed", b"noframes", b"title", b"textarea"))
"""Elements whose content is text in HTML (and markup in SVG and MathML)."""

HEAD = frozenset(b"html head title base link meta script style noscript template noframes basefont bgsound".split())
"""Elements that do not open the body."""

STRUCTURE = RAW | {b"script", b"noscript", b"plaintext", b"svg", b"math", b"select", b"frameset", b"template"}
"""Elements after whose start tag bytes mean something else."""


def any_case(text: bytes) -> bytes:
    """Return a pattern for `text` in upper and lower case."""
    return b"".join(b"[%c%c]" % (c - 32, c) if 97 <= c <= 122 else re.escape(b"%c" % c) for c in text)


@lru_cache(maxsize=64)
def end_of(name: bytes) -> re.Pattern[bytes]:
    """Return the pattern of the beginning of an end tag of this name."""
    return re.compile(rb"</" + any_case(name) + rb"(?=[\t\n\f\r />])")
