"""Read character references the way a browser does inside an attribute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#([0-9]++);?|#[xX]([0-9a-fA-F]++);?|([A-Za-z][A-Za-z0-9]*+)(;|(?!=))?+)")
_OWN = re.compile(r"&([^\s;&]*+);?+")
_LONGEST = 7
_REPLACEMENT = "\ufffd"


def resolve(text: str, *, more: Mapping[str, str] | None = None) -> str:
    """Return an attribute's value with its character references resolved; `more` are a document's own names.

    Follows https://html.spec.whatwg.org/multipage/parsing.html#character-reference-state: in an attribute, a name
    without its semicolon stays text before `=` and alphanumerics, and a number that means a control is that control.
    """
    if "&" not in text:
        return text
    return _OWN.sub(partial(_own, more), text) if more else _REFERENCE.sub(_meaning, text)


def _own(names: Mapping[str, str], match: re.Match[str]) -> str:
    own = names.get(match[1])
    return own if own is not None else _REFERENCE.sub(_meaning, match[0])


def _meaning(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _numbered(match[1], 10)
    if match[2] is not None:
        return _numbered(match[2], 16)
    return html5.get(match[3] + (match[4] or ""), match[0]) if match[4] is not None else match[0]


def _numbered(digits: str, radix: int) -> str:
    digits = digits.lstrip("0")
    code = int(digits or "0", radix) if len(digits) <= _LONGEST else 0
    if 0x80 <= code < 0xA0:
        return bytes((code,)).decode("cp1252", "ignore") or chr(code)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else _REPLACEMENT
