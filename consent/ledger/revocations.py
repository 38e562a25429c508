"""Know, without asking the database, which cookies have been withdrawn since they were set."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from consent.ledger.store import Store

KEPT = 400 * 86400
"""Seconds a revocation is kept: longer than any cookie is valid."""


class Revocations:
    """Hold, under keyed hashes, before which Unix second the cookies of a consent id are no choice."""

    def __init__(self) -> None:
        self._own_key = secrets.token_bytes(32)
        self._own: dict[bytes, int] = {}
        self._shared_key = b""
        self._shared: dict[bytes, int] = {}
        self._position = 0
        self.count = 0

    def __len__(self) -> int:
        return len(self._own) + len(self._shared)

    def add(self, consent_id: bytes, *, before: int) -> None:
        """Note a revocation of this process, in force at once, even while the ledger is down."""
        _raise_to(self._own, _keyed(self._own_key, consent_id), before)
        self.count += 1

    def refresh(self, store: Store, *, now: int) -> None:
        """Take over what is new in the store, and let go of what no cookie can be old enough for."""
        if not self._shared_key:
            store.forget_revocations(now - KEPT)
            self._shared_key = store.revocation_key()
        for revocation in store.revocations(self._position):
            _raise_to(self._shared, revocation.key, revocation.before)
            self._position = revocation.position
            self.count += 1

    def cover(self, consent_id: bytes, *, decided_at: int) -> bool:
        """Tell whether a cookie of this id and Unix second has been withdrawn since."""
        own = self._own.get(_keyed(self._own_key, consent_id), 0) if self._own else 0
        shared = self._shared.get(_keyed(self._shared_key, consent_id), 0) if self._shared else 0
        return decided_at < max(own, shared)


def _keyed(key: bytes, consent_id: bytes) -> bytes:
    return hmac.digest(key, consent_id, hashlib.sha256)


def _raise_to(known: dict[bytes, int], key: bytes, before: int) -> None:
    if before > known.get(key, 0):
        known[key] = before
