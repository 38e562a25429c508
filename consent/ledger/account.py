"""Account for one entry: what was shown, what was answered by which control, what was thus allowed, and its proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from consent.choice.notice import Notice
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Hold what is known of one entry.

    `body` are its exact bytes, None where it was pruned, and so is `entry`, what they say. `notice` is None where the
    entry names none, or one that is not archived; `rendering` holds the HTML and the digests of the assets it was shown
    with. `proven` tells whether the leaf hash and the audit `path` lead to the root that `checkpoint` signs.
    """

    index: int
    leaf_hash: bytes
    body: bytes | None
    entry: Mapping[str, Any] | None
    notice: Notice | None
    rendering: Mapping[str, Any] | None
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    proven: bool

    @property
    def services(self) -> dict[str, bool]:
        """Return every service that was answered, alone or with its purpose, and whether it was allowed."""
        if self.entry is None or self.entry["kind"] != "consent":
            return {}
        purposes, said = self.entry["purposes"], dict(self.entry["services"])
        for key in self.notice.services if self.notice is not None else ():
            under = self.notice.purpose_of(key) if self.notice is not None else None
            if key not in said and under in purposes:
                said[key] = purposes[under]
        return said

    def title(self, key: str) -> str:
        """Return the title under which a purpose or service was shown, its key where that is not known."""
        if self.notice is not None:
            for one in (*self.notice.content["purposes"], *self.notice.content["services"]):
                if one["key"] == key:
                    return str(one["title"])
        return key


def index_of(ledger: Ledger, text: str) -> int | None:
    """Return the index that a record id (UUID) or an index stands for, None where there is no such entry."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text) if int(text) < ledger.store.head().size else None
    try:
        record = UUID(text)
    except ValueError:
        return None
    return ledger.store.index_of(record)


def is_record(text: str) -> bool:
    """Tell whether a text is a record id or an index, and no file or address."""
    if text.isascii() and text.isdigit():
        return True
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def account(ledger: Ledger, index: int) -> Account:
    """Account for the entry at an index that exists.

    Raises LedgerError if the ledger cannot be read, VerificationError if no key it knows signed its checkpoint.
    """
    checkpoint = ledger.checkpoint()
    if checkpoint is None or index >= checkpoint.size:
        checkpoint = ledger.seal()
    (place,) = ledger.store.stored(index, last=index + 1)
    path = merkle.inclusion_proof(ledger.store, index=index, size=checkpoint.size)
    # The bytes are hashed anew: a leaf hash beside other bytes proves nothing of them.
    leaf = place.leaf_hash if place.body is None else merkle.leaf_hash(place.body)
    entry = None if place.body is None else json.loads(place.body)
    return Account(
        index=index,
        leaf_hash=leaf,
        body=place.body,
        entry=entry,
        notice=_notice(ledger, entry or {}),
        rendering=_rendering(ledger, entry or {}),
        path=tuple(path),
        checkpoint=checkpoint,
        proven=merkle.includes(leaf, index=index, size=checkpoint.size, proof=path, root=checkpoint.root),
    )


def _notice(ledger: Ledger, entry: Mapping[str, Any]) -> Notice | None:
    document = ledger.document(entry["notice"]) if entry.get("notice") else None
    return None if document is None else Notice(document.data)


def _rendering(ledger: Ledger, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    document = ledger.document(entry["rendering"]) if entry.get("rendering") else None
    rendering: Mapping[str, Any] | None = None if document is None else json.loads(document.data)
    return rendering
