"""Make receipt codes that are easy to type, and read them however they were typed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: without I, L, O and U, which are read as other signs or make words."""
LENGTH = 28
"""Symbols of a code, of 5 bits each: 140 bits."""
GROUP = 4
MOST_TYPED = 200
"""Signs that are looked at; a code with all its hyphens has 34."""
_ALIKE = str.maketrans({"I": "1", "L": "1", "O": "0"})


def fresh(random: Callable[[int], bytes]) -> str:
    """Return a new code in groups, `random` giving as many bytes as it is asked for."""
    number = int.from_bytes(random(18), "big")
    symbols = "".join(SYMBOLS[number >> 5 * place & 31] for place in range(LENGTH))
    return "-".join(symbols[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def digest(typed: str) -> bytes:
    """Return the SHA-256 under which a code is kept.

    Case, spaces and hyphens make no difference, and signs that look alike are one. What is no code gives a digest too,
    at the same cost, under which nothing is kept.
    """
    symbols = "".join(sign for sign in typed[:MOST_TYPED].upper() if sign.isalnum())
    return hashlib.sha256(b"receipt code\n" + symbols.translate(_ALIKE).encode()).digest()
