"""Open an address that carries its own content: `data:`."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from consent.gate.charset import codec, sniff

_BASE64 = re.compile(r";[ ]*base64\Z", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_XML_TYPES = frozenset(("text/xml", "application/xml", "text/xsl", "application/xslt"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Hold what a `data:` address carries: its media type, lower case and without parameters, and its text."""

    kind: str
    text: str

    @property
    def xml(self) -> bool:
        """Tell whether a browser reads this as XML."""
        return self.kind.endswith("+xml") or self.kind in _XML_TYPES

    @property
    def document(self) -> bool:
        """Tell whether a browser makes a document that loads something of this."""
        return self.kind == "text/html" or self.xml


def opened(rest: str) -> Content | None:
    """Return what a `data:` address carries, from what follows its colon; None where it carries nothing.

    Follows https://fetch.spec.whatwg.org/#data-url-processor.
    """
    head, comma, body = rest.partition("#")[0].partition(",")
    if not comma:
        return None
    head = head.strip("\t\n\f\r ")
    content = unquote_to_bytes(body)
    if _BASE64.search(head):
        head = _BASE64.sub("", head)
        content = _NOT_BASE64.sub(b"", content)
        content = content[: len(content) - (len(content) % 4 == 1)]
        content = b64decode(content + b"=" * (-len(content) % 4))
    text = content.decode(codec(sniff(head, content)), "replace")
    return Content(kind=head.partition(";")[0].strip().lower(), text=text)
