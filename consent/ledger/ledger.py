"""Record choices durably without holding up the site, and prove what was recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from consent.errors import (
    ConfigurationError,
    LedgerCorruptError,
    LedgerUnavailableError,
)
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer, note_name
from consent.ledger.entry import Appended, Draft
from consent.ledger.queue import Queue
from consent.ledger.revocations import Revocations
from consent.ledger.store import Document, Record, Store
from consent.ledger.totals import Totals
from consent.ledger.writer import Writer

REFRESH = 2.0
"""Seconds between two looks for revocations of other processes."""
COUNT = 30.0
"""Seconds between two hand-overs of what was counted."""
RECORD_PATIENCE = 10.0
"""Seconds a grant waits for its turn."""
HONOUR_PATIENCE = 2.0
"""Seconds a refusal or withdrawal waits before it is queued on disk."""

log = logging.getLogger("consent.ledger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Prove that an entry is in the ledger: its bytes, its index, the audit path, and the checkpoint it leads to."""

    index: int
    body: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


class Ledger:
    """Record entries in a store from any event loop, and answer what has been recorded.

    `signer` signs checkpoints, or is called, once, for what does. `queue_dir` is where refusals and withdrawals wait
    while the store is down; `clock` gives Unix seconds; `checkpoint_interval` is in seconds; `capacity` is how many
    entries may wait in memory. Methods that are not coroutines talk to the store at once: call them at start, or from a
    thread.
    """

    def __init__(
        self,
        store: Store,
        *,
        signer: Signer | Callable[[], Signer],
        queue_dir: Path | None = None,
        clock: Callable[[], float] = time.time,
        checkpoint_interval: float = 5.0,
        capacity: int = 10_000,
    ) -> None:
        self.store = store
        self._signer = signer
        self._queue = None if queue_dir is None else Queue(queue_dir)
        self._clock = clock
        self._interval = checkpoint_interval
        self._revocations = Revocations()
        self._refresh_at = self._seal_at = self._count_at = 0.0
        self._seen: set[str] = set()
        self._totals = Totals(clock=clock)
        self._writer = Writer(store, queue=self._queue, clock=clock, capacity=capacity, chores=self._tidy)

    @cached_property
    def signer(self) -> Signer:
        """Return what signs checkpoints.

        Raises ConfigurationError if it is not that of the store's origin, LedgerUnavailableError while its key cannot
        be read.
        """
        try:
            signer = self._signer if isinstance(self._signer, Signer) else self._signer()
        except ConfigurationError as error:
            if isinstance(error.__cause__, OSError):
                raise LedgerUnavailableError(str(error)) from error
            raise
        if signer.name != note_name(self.store.origin):
            raise ConfigurationError(
                f"the ledger key signs for {signer.name!r}, and the ledger belongs to {self.store.origin!r}",
                remedy="Give the key that belongs to this ledger",
            )
        return signer

    # --- starting and stopping

    def start(self) -> None:
        """Open the store and begin to write; do nothing if that is done.

        A store that is down is tried again later. Raises ConfigurationError if it is not this ledger's at all.
        """
        self._heed_queue()
        try:
            self.store.open()
            self._refresh()
            _ = self.signer
        except LedgerUnavailableError as error:
            log.error("the ledger cannot be used: %s", error)
        self._writer.begin()

    def close(self) -> None:
        """Write what waits, sign a last checkpoint, and let go of the store; do nothing if that is done."""
        self._writer.close()
        self.store.close()

    @property
    def available(self) -> bool:
        """Tell whether the store worked when it was last used."""
        return self._writer.available

    @property
    def queued(self) -> int:
        """Return how many batches of refusals and withdrawals wait on disk."""
        return 0 if self._queue is None else len(self._queue.names())

    @property
    def lost(self) -> int:
        """Return how many refusals and withdrawals were honoured and could be kept nowhere."""
        return self._writer.lost

    # --- recording

    async def record(self, draft: Draft) -> Appended:
        """Append an entry and return once it is durable.

        Raises LedgerUnavailableError if it cannot be recorded now; then nothing of it is recorded later.
        """
        item = self._writer.submit(draft, honoured=False)
        appended = await self._writer.outcome(item, patience=RECORD_PATIENCE)
        if appended is None:
            raise LedgerUnavailableError("the entry was queued, and only refusals and withdrawals may be")
        self._revoke(draft)
        return appended

    async def honour(self, draft: Draft) -> Appended | None:
        """Append a refusal or withdrawal, or keep it on disk to be appended later; then return None. Never raises."""
        self._revoke(draft)
        try:
            item = self._writer.submit(draft, honoured=True)
            return await self._writer.outcome(item, patience=HONOUR_PATIENCE)
        except LedgerUnavailableError:
            # Should the writer have it in hand after all, the request id keeps it to one entry.
            try:
                await asyncio.to_thread(self._writer.keep, [draft])
            except RuntimeError:
                # The event loop is shutting down and starts no thread any more; nobody is held up by now.
                self._writer.keep([draft])
            return None

    def count(self, name: str, subject: str = "", *, count: int = 1) -> None:
        """Count what happened in this hour under a name and, where it matters, a subject; never about anybody.

        Returns at once, and is handed over to the store within a minute. What a process counted and could not hand over
        before it was killed is lost.
        """
        self._totals.add(name, subject=subject, count=count)

    # --- chores of the writer thread

    def _tidy(self, last: bool) -> None:
        now = time.monotonic()
        refreshing = now >= self._refresh_at
        if refreshing:
            self._refresh_at = now + REFRESH
            # Before the store is asked, and also while it is down: what another process queued is in force here too.
            self._heed_queue()
        with contextlib.suppress(LedgerUnavailableError):
            if refreshing:
                self._writer.attempt(self._refresh)
                self._writer.attempt(self.store.sweep)
            if now >= self._count_at or last:
                self._count_at = now + COUNT
                self._writer.attempt(lambda: self._totals.hand_over(self.store))
            if now >= self._seal_at or last:
                self._seal_at = now + self._interval
                self._writer.attempt(self._seal)

    def _refresh(self) -> None:
        self._revocations.refresh(self.store, now=int(self._clock()))

    def _heed_queue(self) -> None:
        """Take what waits for the ledger as in force already, in every process that shares the folder."""
        names = [] if self._queue is None else self._queue.names()
        for name in names:
            if self._queue is not None and name not in self._seen:
                with contextlib.suppress(OSError, ValueError):
                    for draft in self._queue.read(name):
                        self._revoke(draft)
        self._seen = set(names)

    def _revoke(self, draft: Draft) -> None:
        if draft.subject is not None and draft.revoked_before is not None:
            self._revocations.add(draft.subject, before=draft.revoked_before)

    def _seal(self) -> None:
        try:
            self.seal()
        except (ConfigurationError, LedgerCorruptError) as error:
            # Recording goes on: what is signed no longer, a person must look at.
            log.critical("no checkpoint is signed any more: %s", error)

    # --- reading, and what happens outside a visit

    @property
    def revoked(self) -> int:
        """Return how many revocations have been noted: what was not withdrawn is not while this stays the same."""
        return self._revocations.count

    def withdrawn(self, consent_id: bytes, decided_at: int) -> bool:
        """Tell whether a cookie of this id, made at this Unix second, has been withdrawn or erased since."""
        return self._revocations.cover(consent_id, decided_at=decided_at)

    def publish(self, draft: Draft) -> Appended:
        """Append a publication under its unique name, or return the entry that has this name already."""
        if draft.unique is None:
            raise ValueError("a publication needs a unique name")
        return self.store.append([draft], now=int(self._clock()))[0]

    def publications(self) -> dict[str, bytes]:
        """Return the exact bytes of all publications by their unique name, in order of index."""
        return self.store.publications()

    def archive(self, document: Document) -> str:
        """Keep a document unless it is kept already, durable on return; return its digest in hex."""
        return self.store.archive(document)

    def document(self, digest: str) -> Document | None:
        """Return the archived document of this digest (64 hex digits)."""
        return self.store.document(digest)

    def documents(self, prefix: str, *, kind: str) -> list[Document]:
        """Return the archived documents of one kind whose digest begins with these hex digits."""
        return self.store.documents(prefix, kind=kind)

    def records_of(self, consent_id: bytes) -> list[Record]:
        """Return the entries about one consent id, in order of index."""
        return self.store.records_of(consent_id)

    def erase(self, consent_id: bytes, *, reason: str, decided_at: int) -> Appended:
        """Forget which entries are about a consent id, and append that so many were erased for this reason code."""
        with contextlib.suppress(OSError):
            self._writer.deliver(wait=True)
        draft = Draft(
            kind="erased",
            content={"reason": reason},
            decided_at=decided_at,
            subject=consent_id,
            revokes=True,
            ends=True,
        )
        self._revoke(draft)
        return self.store.erase(consent_id, draft=draft, now=int(self._clock()))

    def seal(self) -> Checkpoint:
        """Return a checkpoint of all entries, signing one if there is news.

        Raises LedgerCorruptError if the ledger no longer extends its last checkpoint.
        """
        return self.store.seal(
            lambda size, root: Checkpoint.signed(self.signer, size=size, root=root), name=self.signer.name
        )

    def checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint; raise VerificationError if another key has signed it."""
        note = self.store.checkpoint()
        return None if note is None else Checkpoint.opened(note, verifier=self.signer.verifier)

    def inclusion(self, index: int) -> Inclusion:
        """Return the proof that an entry is in the ledger, sealing it first if it is too new for the last checkpoint.

        Raises ValueError if there is no such entry.
        """
        checkpoint = self.checkpoint()
        if checkpoint is None or index >= checkpoint.size:
            checkpoint = self.seal()
        path = merkle.inclusion_proof(self.store, index=index, size=checkpoint.size)
        (body,) = self.store.entries(index, last=index + 1)
        return Inclusion(index=index, body=body, path=tuple(path), checkpoint=checkpoint)

    def consistency(self, *, old: int, new: int) -> list[bytes]:
        """Return the proof that the ledger of `new` entries begins with that of `old` entries."""
        return merkle.consistency_proof(self.store, old=old, new=new)
