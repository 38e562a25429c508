"""Read what scripts and maps spell out: the modules they import, and strings with their escapes undone."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Comments have a longest length, so that one that never ends is not looked for again and again.
_IMPORT = re.compile(
    r"""\b(?:import|from)\b(?:[\s(]++|/\*(?:[^*]|\*(?!/)){0,200}+\*/|//[^\n]{0,200}+\n)*+"""
    r"""(?=(?:"((?:[^"\\\n]|\\.)*+)|'((?:[^'\\\n]|\\.)*+)|`((?:[^`\\]|\\.)*+)))""",
    re.DOTALL,
)
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{0*+([0-9a-fA-F]{1,6})\}|([0-3]?[0-7]{1,2})"
    r"|\r\n|[\n\r\u2028\u2029]|(.))",
    re.DOTALL,
)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def plain(text: str) -> str:
    """Return `text` with the escapes of JavaScript and JSON strings undone."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def imports(text: str) -> Iterator[str]:
    """Yield the addresses of the modules a script imports by name."""
    if "import" in text or "from" in text:
        for match in _IMPORT.finditer(text):
            yield plain("".join(filter(None, match.groups())))


def strings(text: str) -> Iterator[str]:
    """Yield every string of a JSON text, keys too."""
    for match in _STRING.finditer(text):
        yield plain(match[1])


def _unescaped(match: re.Match[str]) -> str:
    for group, radix in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[group] is not None:
            code = int(match[group], radix)
            return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return _LETTERS.get(match[5], match[5]) if match[5] is not None else ""
