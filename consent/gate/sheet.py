"""Gate a style sheet that is an answer of its own: take the held addresses out of it, and leave the rest."""

from __future__ import annotations

import codecs
import re

from consent.gate import css
from consent.gate.address import Address
from consent.gate.charset import announced, codec, named
from consent.gate.inquest import Inquest, nothing_nested
from consent.gate.rules import View

_OWN = re.compile(
    r"(?:/?[A-Za-z0-9_.~-][A-Za-z0-9_.~/?#=&%,-]*+|#[^\\]*+|data:(?:image|font|application)/.*+)?\Z", re.DOTALL
)
_WIDE = ("utf-16-le", "utf-16-be")
"""What a sheet that does not say is read in where its page is: by a browser, and in no other case by us."""
_CHARSET = re.compile(rb'@charset "([^"]{0,40})";')


def encoding_of(content_type: str, body: bytes) -> str:
    """Return the encoding a browser reads a style sheet in. Source: CSS Syntax §3.2, without the page's own."""
    match = _CHARSET.match(body)
    declared = named(match[1].decode("latin-1")) if match else None
    if declared in ("utf-16le", "utf-16be"):
        declared = "utf-8"
    return announced(content_type, body) or declared or "utf-8"


class SheetGate:
    """Gate one style sheet, which has to be whole: `parked` and `found` are as those of a page."""

    def __init__(self, view: View, *, encoding: str, bases: tuple[Address, ...] = ()) -> None:
        self.parked: set[str] = set()
        self.found: set[str] = set()
        self._view = view
        self._codec = codecs.lookup(codec(encoding)).name
        self._bases = bases
        self._verdicts: dict[str, bool] = {}
        self._memory = view.memory("text/css", 0, bases)

    def gated(self, body: bytes) -> bytes:
        """Return the sheet without what is held, the same bytes where nothing is; nothing at all where unsure."""
        if (
            b"\0" in body
            and self._codec not in _WIDE
            and any(self._asks(body.decode(wide, "replace")) for wide in _WIDE)
        ):
            return b""
        exact = self._codec.startswith("utf")
        errors = "surrogatepass" if self._codec.startswith("utf-16") else "surrogateescape"
        try:
            text = body.decode(self._codec, errors) if exact else body.decode("latin-1")
        except UnicodeDecodeError:
            text, exact = body.decode("latin-1"), False
        out = css.emptied(text, self._is_held)
        if out is None:
            return b""
        data = body if out == text else out.encode(self._codec, errors) if exact else out.encode("latin-1")
        if not exact and self._asks(data.decode(self._codec, "replace")):
            # Only what is spelled in ASCII can be taken out of another encoding's bytes.
            return b""
        return data

    def _asks(self, text: str) -> bool:
        return any(map(self._is_held, css.addresses(text)))

    def _is_held(self, address: str) -> bool:
        verdict = self._verdicts.get(address)
        if verdict is None:
            # Most addresses are paths and pictures of the site's own, as anybody can see.
            plain = not self._bases and not self._view.rules.has_own_paths and _OWN.match(address) is not None
            verdict = self._verdicts[address] = not plain and self._judged(address)
        return verdict

    def _judged(self, address: str) -> bool:
        key = address.encode("utf-8", "surrogatepass")
        known = self._memory.get(key)
        if known is None:
            inquest = Inquest(self._view, self._bases, nothing_nested, b"style", {})
            known = inquest.address(address), inquest.found
            self._memory.keep(key, known)
        verdict, found = known
        self.found.update(found)
        if verdict is not None:
            self.parked.add(verdict.service or "")
        return verdict is not None
