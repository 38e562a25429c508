"""Say what is written into a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Attributes = tuple[tuple[str, str], ...]


def _no_placeholder(service: str, tag: str, about: Attributes) -> bytes:
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """Hold what is written into a page; all of it ASCII.

    `banner` goes after the opening `<body>` of a whole document. `first_gated` goes once before the first parked tag,
    and with `also_granted` before the first tag of a granted service. `placeholder(service, tag name, attributes that
    describe it)` goes before a parked frame, object or player that takes room. The last two only where the bytes can
    be read in one way. `watch` goes before the first element of a whole document but `html` and `head`, and so before
    its first script.
    """

    banner: bytes = b""
    first_gated: bytes = b""
    placeholder: Callable[[str, str, Attributes], bytes] = _no_placeholder
    also_granted: bool = False
    watch: bytes = b""


NOTHING = Insert()
