"""Find the addresses a style sheet loads."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\f\r])?|\r\n|([^0-9a-fA-F]))")
# The address stands in a look-ahead, so that one inside another is found as well. An unquoted one ends where CSS
# would call it bad, a quoted one at the next such quote: neither can be scanned twice.
_CALL = re.compile(
    r"""(?i)(?:url(?:-prefix)?|src)\(\s*+(?=(?:"([^"]*+)|'([^']*+)|([^)"'(\s]*+)))"""
    r"""|@import(?:\s|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/)*+(?=(?:"([^"]*+)|'([^']*+)))"""
)
_SET = re.compile(r"(?i)(?:image-set|image|cross-fade)\(([^;{}]*+)")
_STRING = re.compile(r""""([^"]*+)|'([^']*+)""")
_CANDIDATE = re.compile(r"(?i)[(@\\]")


def addresses(text: str) -> Iterator[str]:
    """Yield every address that `text`, a style sheet or a `style` attribute, may load.

    Takes `url()`, `src()`, `@import` and the strings of `image-set()`, in comments and strings too, in the text as it
    is and with its escapes undone: too many is safe. Follows https://www.w3.org/TR/css-syntax-3/#tokenization.
    """
    if not _CANDIDATE.search(text):
        return
    yield from _plain(text)
    if "\\" in text:
        yield from _plain(_ESCAPE.sub(_unescaped, text))


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return match[2] or ""


def _plain(text: str) -> Iterator[str]:
    for match in _CALL.finditer(text):
        yield next((value for value in match.groups() if value is not None), "")
    for match in _SET.finditer(text):
        for string in _STRING.finditer(match[1]):
            yield string[1] if string[1] is not None else string[2]
