"""Record choices durably without holding up the site, and prove what was recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from consent.errors import (
    ConfigurationError,
    LedgerCorruptError,
    LedgerUnavailableError,
    OutsideError,
    VerificationError,
)
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Appended, Draft
from consent.ledger.erasures import REASONS, Erasures
from consent.ledger.outside import Outside
from consent.ledger.publisher import Outlets, Publisher
from consent.ledger.queue import Queue
from consent.ledger.revocations import Revocations
from consent.ledger.sealer import Sealer
from consent.ledger.store import Document, Published, Record, Store
from consent.ledger.totals import Totals
from consent.ledger.writer import Writer

REFRESH = 2.0
"""Seconds between two looks for revocations of other processes."""
COUNT = 30.0
"""Seconds between two hand-overs of what was counted."""
ERASURES = 60.0
"""Seconds between two looks whether a restored backup has brought back what was erased."""
STILL = 3600.0
"""Seconds after which it is said again that no checkpoint is signed."""
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

    `signer` signs checkpoints, or is called for what does. `queue_dir` is where refusals and withdrawals wait while the
    store is down; `outside` is the file where the newest checkpoint is kept outside the database too (see Outside), and
    `outlets` say where checkpoints are published. `clock` gives Unix seconds; `checkpoint_interval` is in seconds;
    `capacity` is how many entries may wait in memory. Methods that are not coroutines talk to the store at once: call
    them at start, or from a thread.
    """

    def __init__(
        self,
        store: Store,
        *,
        signer: Signer | Callable[[], Signer],
        queue_dir: Path | None = None,
        outside: Path | None = None,
        outlets: Outlets = Outlets(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
        checkpoint_interval: float = 5.0,
        capacity: int = 10_000,
    ) -> None:
        self.store = store
        kept = None if outside is None else Outside(outside)
        self._sealer = Sealer(store, signer=signer, outside=kept)
        self._erasures = Erasures(store, outside=kept, clock=clock)
        self._publisher = Publisher(store, outlets, clock=clock)
        self._queue = None if queue_dir is None else Queue(queue_dir)
        self._clock = clock
        self._interval = checkpoint_interval
        self._revocations = Revocations()
        self._refresh_at = self._seal_at = self._count_at = self._erase_at = 0.0
        self._said, self._said_at = "", 0.0
        self._seen: set[str] = set()
        self._totals = Totals(clock=clock)
        self._writer = Writer(
            store, queue=self._queue, clock=clock, capacity=capacity, deliver=self._deliver, chores=self._tidy
        )

    @property
    def signer(self) -> Signer:
        """Return what signs checkpoints.

        Raises ConfigurationError if it is not that of the store's origin, LedgerUnavailableError while its key cannot
        be read.
        """
        return self._sealer.signer

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
        self._publisher.close()
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
            if now >= self._erase_at and not last:
                self._erase_at = now + ERASURES
                self._writer.attempt(self._erasures.make_again)
            if now >= self._seal_at or last:
                self._seal_at = now + self._interval
                self._writer.attempt(self._seal)
                self._writer.attempt(self._publish)

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
        except (ConfigurationError, LedgerCorruptError, OutsideError) as error:
            # Recording goes on: what is signed no longer, a person must look at.
            self._say(str(error))
        else:
            self._said = ""

    def _say(self, fault: str) -> None:
        if fault != self._said or time.monotonic() >= self._said_at + STILL:
            self._said, self._said_at = fault, time.monotonic()
            log.critical("no checkpoint is signed any more: %s", fault)

    def _publish(self) -> None:
        with contextlib.suppress(VerificationError):
            if not self._said:
                self._publisher.turn(self._sealer.opened)

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

    def give_code(self, consent_id: bytes, *, digest: bytes) -> int:
        """Let the entries about a consent id be found by a receipt code's digest; return how many there are."""
        return self.store.give_code(consent_id, digest=digest)

    def consent_id_of(self, digest: bytes) -> bytes | None:
        """Return the consent id whose receipt code has this digest."""
        return self.store.consent_id_of(digest)

    def erase(self, consent_id: bytes, *, reason: str, decided_at: int) -> Appended | None:
        """Forget which entries are about a consent id, and append that so many were erased for this reason code.

        From the call on its cookies are no choice. While the store is down the erasure waits in the queue on disk, and
        None is returned. Raises LedgerUnavailableError if it can neither be made nor queued; ValueError for an unknown
        reason.
        """
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no reason to erase; use one of {', '.join(REASONS)}")
        draft = Draft(
            kind="erased",
            content={"reason": reason},
            decided_at=decided_at,
            subject=consent_id,
            revokes=True,
            ends=True,
        )
        self._revoke(draft)
        try:
            # What waits in the queue may be about this id, and must not come back after it.
            with contextlib.suppress(OSError):
                self._writer.deliver(wait=True)
            return self._writer.attempt(lambda: self._erasures.make(draft))
        except LedgerUnavailableError:
            try:
                if self._queue is None:
                    raise
                self._queue.put([draft])
            except OSError as error:
                raise LedgerUnavailableError(f"an erasure can neither be made nor queued: {error}") from error
            return None

    def _deliver(self, drafts: Sequence[Draft]) -> None:
        """Record what was queued, in order."""
        waiting: list[Draft] = []
        for draft in drafts:
            if draft.kind == "erased":
                self.store.append(waiting, now=int(self._clock()))
                waiting = []
                self._erasures.make(draft)
            else:
                waiting.append(draft)
        if waiting:
            self.store.append(waiting, now=int(self._clock()))

    # --- proofs

    def seal(self) -> Checkpoint:
        """Return a checkpoint of all entries, signing one if there is news; see Sealer."""
        return self._sealer.seal()

    def fault(self) -> str | None:
        """Return why no checkpoint is signed any more, None where all is well."""
        return self._sealer.fault()

    def resume(self) -> list[Appended]:
        """Sign again after a backup was restored or the key was lost; see Sealer."""
        self._erasures.make_again()
        return self._sealer.resume(now=int(self._clock()))

    def rotate(self, successor: Signer) -> Checkpoint:
        """Let another key sign from now on; see Sealer."""
        return self._sealer.rotate(successor, now=int(self._clock()))

    def rotations(self) -> list[tuple[str | None, str]]:
        """Return which verifier key took over from which, in order; None stands for one that was lost."""
        return [(None if old is None else old.text, new.text) for old, new in self._sealer.rotations()]

    def checkpoint(self, *, limit: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint, or the newest with at most `limit` entries.

        Raises VerificationError if a key has signed it that the log does not know.
        """
        note = self.store.checkpoint(limit=limit)
        return None if note is None else self._sealer.opened(note)

    def opened(self, note: bytes) -> Checkpoint:
        """Read a checkpoint; raise VerificationError if a key has signed it that the log does not know."""
        return self._sealer.opened(note)

    def published(self) -> Published | None:
        """Return the checkpoint that everybody may see: that of the hour, not the newest."""
        return self.store.published_checkpoint()

    def inclusion(self, index: int, *, checkpoint: Checkpoint | None = None) -> Inclusion:
        """Return the proof that an entry is in the ledger, under `checkpoint`, else under the newest one.

        An entry that is too new for the checkpoint is sealed first. Raises ValueError if there is no such entry.
        """
        checkpoint = checkpoint or self.checkpoint()
        if checkpoint is None or index >= checkpoint.size:
            checkpoint = self.seal()
        path = merkle.inclusion_proof(self.store, index=index, size=checkpoint.size)
        (body,) = self.store.entries(index, last=index + 1)
        return Inclusion(index=index, body=body, path=tuple(path), checkpoint=checkpoint)
