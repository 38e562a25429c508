"""Erase who asks for it, and erase again what a restored backup has brought back."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable

from consent.errors import LedgerCorruptError, OutsideError
from consent.ledger.entry import Appended, Draft
from consent.ledger.outside import Outside
from consent.ledger.store import Store

REASONS = ("visitor", "request", "account-closed", "court-order", "mistake", "test")
"""Why the entries about somebody may be erased: codes, so that no name slips into the log."""

log = logging.getLogger("consent.ledger")


class Erasures:
    """Erase in a store, and list outside of it what was erased; `outside` may be None, `clock` gives Unix seconds."""

    def __init__(self, store: Store, *, outside: Outside | None, clock: Callable[[], float]) -> None:
        self._store = store
        self._outside = outside
        self._clock = clock

    def make(self, draft: Draft) -> Appended:
        """Forget which entries are about the subject of a draft, and append that; see Store for the errors."""
        if draft.subject is None:
            raise ValueError("an erasure is about somebody")
        if self._outside is not None:
            self._list(self._outside, draft.subject, before=draft.revoked_before or 0)
        return self._store.erase(draft.subject, draft=draft, now=int(self._clock()))

    def _list(self, outside: Outside, subject: bytes, *, before: int) -> None:
        key = hmac.digest(self._store.revocation_key(), subject, hashlib.sha256)
        try:
            # Listed first: one that is listed and not done is made up for, one that is done and not listed never.
            with outside.locked():
                if before > outside.erasures().get(key, 0):
                    outside.add_erasure(key, before=before)
        except (LedgerCorruptError, OutsideError) as error:
            log.error("an erasure is made, but no restored backup will know of it: %s", error)

    def make_again(self) -> None:
        """Erase what a restored backup has brought back."""
        outside = self._outside
        try:
            if outside is None or not outside.erasures().keys() - self._store.erased():
                return
            with outside.locked():
                listed, known = outside.erasures(), self._store.erased()
                again = {key: before for key, before in listed.items() if key not in known}
                if again:
                    log.warning("%d erasures are made again: a backup was restored", len(again))
                    draft = Draft(kind="erased", content={"reason": "restored"}, decided_at=int(self._clock()))
                    self._store.erase_again(again, draft=draft, now=int(self._clock()))
        except (LedgerCorruptError, OutsideError) as error:
            log.error("it is not known whether a restored backup has brought back what was erased: %s", error)
