"""Turn what is to be recorded into the exact bytes of an entry: canonical JSON, one schema number for ever."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from consent.choice.canonical import encode, refuse_unfit
from consent.choice.status import Status

SCHEMA = 1
KINDS = (
    "consent",
    "policy-published",
    "notice-published",
    "erased",
    "pruned",
    "gap",
    "exported",
    "key-rotated",
    "hold",
    "audit",
    "snapshot",
)
HEADER = ("schema", "kind", "record", "origin", "decided_at", "recorded_at", "late", "subject")
DIGEST = re.compile(r"[0-9a-f]{64}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _is_answers(value: object) -> bool:
    return isinstance(value, Mapping) and set(map(type, value.values())) <= {bool}


def _is_policy(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"slug", "version", "language", "sha256"}
        and _is_text(value["slug"])
        and (_is_text(value["version"]) or type(value["version"]) is int)
        and _is_text(value["language"])
        and _is_digest(value["sha256"])
    )


_STATUSES = frozenset(Status)

CONSENT_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "status": lambda value: isinstance(value, str) and value in _STATUSES,
    "method": _is_text,
    "scope": _is_text,
    "purposes": _is_answers,
    "services": _is_answers,
    "notice": lambda value: value is None or _is_digest(value),
    "rendering": lambda value: value is None or _is_digest(value),
    "policies": lambda value: isinstance(value, list | tuple) and all(_is_policy(policy) for policy in value),
    "language": _is_text,
    "regime": _is_text,
    "country": lambda value: value is None or _is_text(value),
    "signals": lambda value: isinstance(value, Mapping | list | tuple),
}
"""What a consent record says beside the header; nothing else may enter it (no address, no path, no browser)."""


def _fits(value: Any) -> bool:
    """Tell quickly whether a value is fit; what is not of the plainest types is for `refuse_unfit` to judge."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is bool or value is None:
        return True
    if kind is dict:
        return all(type(key) is str and key.isascii() and _fits(item) for key, item in value.items())
    return kind in (list, tuple) and all(map(_fits, value))


@functools.lru_cache(maxsize=1024)
def rfc3339(seconds: int) -> str:
    """Write Unix seconds as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pseudonym(consent_id: bytes, *, salt: bytes) -> str:
    """Return HMAC-SHA256 of a consent id under the fresh salt of one record, in hex: useless once the salt is gone."""
    return hmac.digest(salt, consent_id, hashlib.sha256).hex()


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Hold what is to be recorded, before its index and `recorded_at` are known.

    `content` goes into the entry as it is. `decided_at` is in Unix seconds, UTC. The same `request_id`, or the same
    `unique` name, appended twice gives one entry. `subject` is the 16-byte consent id, which the entry never holds.
    `revokes` makes cookies of that id older than `decided_at` invalid; `ends` says that the id is dropped altogether,
    so that a cookie of the very same second falls too. `late` says that the entry waited for the ledger.

    Raises ValueError if no valid entry could be made of it.
    """

    kind: str
    content: Mapping[str, Any]
    decided_at: int | None = None
    request_id: str = field(default_factory=lambda: secrets.token_hex(16))
    subject: bytes | None = field(default=None, repr=False)
    revokes: bool = False
    ends: bool = False
    unique: str | None = None
    late: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} does not exist; use one of {', '.join(KINDS)}")
        taken = [key for key in HEADER if key in self.content]
        if taken:
            raise ValueError(f"content.{taken[0]}: this name belongs to the entry's header")
        if self.subject is not None and len(self.subject) != 16:
            raise ValueError(f"a consent id has 16 bytes, not {len(self.subject)}")
        if (self.revokes or self.ends) and self.subject is None:
            raise ValueError("an entry without a subject revokes nothing")
        if not self.request_id:
            raise ValueError("request_id is empty")
        if not _fits(self.content):
            refuse_unfit(self.content)
        if self.kind == "consent":
            _refuse_incomplete(self.content)

    @property
    def revoked_before(self) -> int | None:
        """Return the Unix second before which cookies of the subject are no choice, if this entry revokes any."""
        if self.decided_at is None or not (self.revokes or self.ends):
            return None
        return self.decided_at + 1 if self.ends else self.decided_at


def _refuse_incomplete(content: Mapping[str, Any]) -> None:
    if unlike := set(content) ^ set(CONSENT_FIELDS):
        name = min(unlike)
        problem = "is missing" if name in CONSENT_FIELDS else "does not belong in a consent record"
        raise ValueError(f"content.{name} {problem}; a consent record has {', '.join(CONSENT_FIELDS)}")
    for name, fits in CONSENT_FIELDS.items():
        if not fits(content[name]):
            raise ValueError(f"content.{name}: {content[name]!r} is not allowed in a consent record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Say where an entry stands: its index, record id, leaf hash, and the Unix second (UTC) it was recorded."""

    index: int
    record: uuid.UUID
    leaf_hash: bytes
    recorded_at: int


def leaf(draft: Draft, *, record: uuid.UUID, origin: str, recorded_at: int, subject: str | None) -> bytes:
    """Return the exact bytes of an entry; `recorded_at` in Unix seconds, `subject` the pseudonym of this one record."""
    return encode(
        {
            **draft.content,
            "schema": SCHEMA,
            "kind": draft.kind,
            "record": str(record),
            "origin": origin,
            "decided_at": None if draft.decided_at is None else rfc3339(draft.decided_at),
            "recorded_at": rfc3339(recorded_at),
            "late": draft.late,
            "subject": subject,
        }
    ).encode()
