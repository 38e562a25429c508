"""Read many records quickly, since most of them differ in little more than their number and times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

_KNOWN = 4_096
"""How many kinds of records, alike in all but their own values, are kept in mind."""
_OWN = re.compile(
    rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    rb"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z){1,2}"
)
T = TypeVar("T")


class Alike(Generic[T]):
    """Read consent records quickly: what many of them share byte for byte is read once.

    Canonical JSON has its keys in order, so that a record is three pieces with its own values between them. `make`
    turns the parsed record into whatever is kept of what it shares.
    """

    def __init__(self, make: Callable[[Mapping[str, Any]], T]) -> None:
        self._make = make
        self._known: dict[tuple[bytes, bytes, bytes], T] = {}

    def read(self, body: bytes) -> tuple[T, bytes, bytes, bytes] | None:
        """Return what a record shares, its number, `decided_at` (empty for none) and `recorded_at`, if it is one."""
        if not body.startswith(b'{"country":'):
            return None
        decided = body.find(b'"decided_at":') + 13
        end = body.find(b'","recorded_at":"')
        if body[decided : decided + 1] == b'"':
            decided_at, after = body[decided + 1 : decided + 21], decided + 22
        else:
            decided_at, after = b"", decided + 4
        record, recorded_at = body[end - 36 : end], body[end + 17 : end + 37]
        key = (body[:decided], body[after : end - 36], body[end + 37 : body.rfind(b',"subject":')])
        shared = self._known.get(key)
        if shared is None or not _OWN.fullmatch(record + decided_at + recorded_at):
            entry = json.loads(body)
            said = [entry.get(name) or "" for name in ("record", "decided_at", "recorded_at")]
            if entry["kind"] != "consent" or said != [one.decode() for one in (record, decided_at, recorded_at)]:
                return None
            if len(self._known) >= _KNOWN:
                self._known.clear()
            shared = self._known[key] = self._make(entry)
        return shared, record, decided_at, recorded_at
