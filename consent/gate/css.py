"""Find the addresses a style sheet loads."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator

_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\f\r])?|\r\n|[\n\r\f]|([^0-9a-fA-F]))")
# The address stands in a look-ahead, so that one inside another is found as well. An unquoted one ends where CSS
# would call it bad, a quoted one at the next such quote: neither can be scanned twice.
_CALL = re.compile(
    r"""(?s)\((?:(?<=[uU][rR][lL]\()|(?<=[sS][rR][cC]\()|(?<=[uU][rR][lL]-[pP][rR][eE][fF][iI][xX]\())"""
    r"""\s*+(?=(?:"((?:[^"\\]|\\.)*+)|'((?:[^'\\]|\\.)*+)|((?:[^)"'(\s\\]|\\.)*+)))"""
)
_IMPORTED = re.compile(r"""(?s)(?="((?:[^"\\]|\\.)*+)|'((?:[^'\\]|\\.)*+))""")
_SPACE = re.compile(r"\s*+")
_CLOSED = re.compile(r"\*/")
_STRING = re.compile(r"""(?s)"((?:[^"\\]|\\.)*+)|'((?:[^'\\]|\\.)*+)""")
_CALLS = (b"url(", b"src(", b"url-prefix(", b"@import")
_SETS = (b"image-set(", b"image(", b"cross-fade(")
# An escaped delimiter ends nothing; a URL drops the controls among these, and keeps the rest out of the host.
_STAND_INS = str.maketrans(
    {'"': "%22", "'": "%27", "(": "%28", ")": "%29", " ": "\x01", "\f": "\x01", "\t": "", "\n": "", "\r": ""}
)


def addresses(text: str) -> Iterator[str]:
    """Yield every address that `text`, a style sheet or a `style` attribute, may load.

    Takes `url()`, `src()`, `@import` and, where `image-set()` or the like is called, every string; in comments and
    strings too, in the text as it is and with its escapes undone: too many is safe. Follows
    https://www.w3.org/TR/css-syntax-3/#tokenization.
    """
    yield from _plain(text)
    if "\\" in text:
        yield from _plain(_ESCAPE.sub(_unescaped, text))


def _folded(text: str) -> bytes:
    """Return as many bytes as `text` has characters, its ASCII letters in lower case: these are searched quickly."""
    return text.encode("latin-1", "replace").lower()


class _Comments:
    """Step over white space and comments from any place, however many lead through the same ones."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.end() for match in _CLOSED.finditer(text)] if "@" in text and "/*" in text else []
        self._after: dict[int, int] = {}

    def after(self, pos: int) -> int:
        """Return where the white space and the comments that begin at `pos` end; one that never ends is none."""
        passed = [pos]
        while pos not in self._after:
            pos = _SPACE.match(self._text, pos).end()  # type: ignore[union-attr]
            following = bisect.bisect_left(self._ends, pos + len("/**/"))
            if not self._text.startswith("/*", pos) or following == len(self._ends):
                break
            pos = self._ends[following]
            passed.append(pos)
        pos = self._after.get(pos, pos)
        self._after.update(dict.fromkeys(passed, pos))
        return pos


def _calls(text: str, folded: bytes) -> Iterator[re.Match[str]]:
    """Yield every call for an address, in order."""
    starts: list[int] = []
    for word in _CALLS:
        bracket = 0 if word.startswith(b"@") else len(word) - 1
        at = folded.find(word)
        while at >= 0:
            starts.append(at + bracket)
            at = folded.find(word, at + 1)
    starts.sort()
    comments = _Comments(text)
    for start in starts:
        if text[start] == "@":
            match = _IMPORTED.match(text, comments.after(start + len("@import")))
        else:
            match = _CALL.match(text, start)
        if match is not None:
            yield match


def _calls_sets(folded: bytes) -> bool:
    """Tell whether something is called that takes addresses as strings."""
    return any(word in folded for word in _SETS)


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        char = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
        return char.translate(_STAND_INS)
    return (match[2] or "").translate(_STAND_INS)


def _plain(text: str) -> Iterator[str]:
    folded = _folded(text)
    for match in _calls(text, folded):
        value = next((value for value in match.groups() if value is not None), "")
        yield value
        if "\\" in value:
            yield _ESCAPE.sub(_unescaped, value)
    if not _calls_sets(folded):
        return
    for string in _STRING.finditer(text):
        yield string[1] if string[1] is not None else string[2]
    for quote in "\"'":
        yield from text.split(quote)[1:]


def emptied(text: str, is_held: Callable[[str], bool]) -> str | None:
    """Return a style sheet with the addresses that are held taken out of it, or None where one cannot be.

    What calls for them stays, with nothing in it: an import of nothing and a picture of nothing ask nobody.

    Args:
        text: the style sheet.
        is_held: tells whether an address is held.
    """
    pieces: list[str] = []
    last = 0
    folded = _folded(text)
    for match in _calls(text, folded):
        group = next((group for group in range(1, 6) if match[group] is not None), 0)
        if group and match.start(group) >= last and is_held(match[group]):
            pieces += (text[last : match.start(group)], "data:,")
            last = match.end(group)
    if not (pieces or "\\" in text or _calls_sets(folded)):
        # Then there is no other way to find more.
        return text
    left = "".join((*pieces, text[last:]))
    return None if any(map(is_held, addresses(left))) else left
