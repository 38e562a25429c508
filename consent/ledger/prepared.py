"""Make the bytes of an entry beforehand, while the entries before it are still on their way to the disk."""

from __future__ import annotations

import hashlib
import secrets
import uuid

from consent.ledger import merkle
from consent.ledger.entry import Draft, leaf, pseudonym


class Prepared:
    """Hold a draft with its record id, the salt of its subject, and its bytes as of one moment.

    `key` is the store's, `origin` the ledger's, `now` the Unix second at which it is likely to be recorded.
    """

    __slots__ = ("_body", "_hash", "_origin", "_pseudonym", "_recorded_at", "draft", "record", "salt")

    def __init__(self, draft: Draft, *, key: bytes, origin: str, now: int) -> None:
        self.draft = draft
        # Made from the request id, so that one index serves both; the key keeps anybody from making the way back.
        name = f"request {draft.request_id}" if draft.unique is None else f"unique {draft.unique}"
        self.record = uuid.UUID(bytes=hashlib.blake2b(name.encode(), key=key, digest_size=16).digest(), version=4)
        self.salt, self._pseudonym = b"", None
        if draft.subject is not None:
            self.salt = secrets.token_bytes(16)
            self._pseudonym = pseudonym(draft.subject, salt=self.salt)
        self._origin = origin
        self._write(now)

    def _write(self, recorded_at: int) -> None:
        self._recorded_at = recorded_at
        self._body = leaf(
            self.draft, record=self.record, origin=self._origin, recorded_at=recorded_at, subject=self._pseudonym
        )
        self._hash = merkle.leaf_hash(self._body)

    def at(self, recorded_at: int) -> tuple[bytes, bytes]:
        """Return the entry's exact bytes and their leaf hash, as recorded at a Unix second."""
        if recorded_at != self._recorded_at:
            self._write(recorded_at)
        return self._body, self._hash
