"""Write entries from one thread, many in a commit, and queue on disk what must not wait for the store."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import os
import queue as queues
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from consent.errors import LedgerError, LedgerUnavailableError
from consent.ledger.entry import Appended, Draft, rfc3339
from consent.ledger.prepared import Prepared
from consent.ledger.queue import Queue
from consent.ledger.store import Store

BATCH = 512
"""The most entries in one commit."""
WORTH = 128
"""Entries that are worth a commit while more of them come."""
LULL = 0.001
"""Seconds without a new entry after which a commit waits for no more of them."""
TURN = 16
"""The most queue files delivered between two commits, so that visitors need not wait for all of them."""
TICK = 1.0
"""Seconds between two looks at what else is to be done."""
RETRY = 1.0
"""Seconds before a store that failed is tried again."""

log = logging.getLogger("consent.ledger")
T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """Hold one draft on its way to the store, and whom to tell how it went."""

    draft: Draft
    prepared: Prepared | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Appended | None]
    honoured: bool
    taken: bool = False
    dropped: bool = False


class Writer:
    """Append what any event loop submits; `chores` are done about once a second.

    `queue` may be None; `deliver` records what was queued. `chores` get True when they are done for the last time. See
    Ledger for the other arguments.
    """

    def __init__(
        self,
        store: Store,
        *,
        queue: Queue | None,
        clock: Callable[[], float],
        capacity: int,
        deliver: Callable[[Sequence[Draft]], None],
        chores: Callable[[bool], None],
    ) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._capacity = capacity
        self._deliver = deliver
        self._chores = chores
        self.lost = 0
        self.reset()
        _writers.add(self)

    def reset(self) -> None:
        """Begin anew: in the child of a fork there is no thread, and a lock may be held by nobody."""
        self._starting = threading.Lock()
        self._waiting: queues.SimpleQueue[Item | None] = queues.SimpleQueue()
        self._claims = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._retry_at = 0.0
        self._more = False
        self._busy = 0
        self._counting = threading.Lock()
        self._gap = _Gap()

    def begin(self) -> None:
        """Start the thread; do nothing if it runs."""
        with self._starting:
            if self._thread is None:
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="consent-ledger", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def close(self) -> None:
        """Write what waits, do the chores for the last time, and end the thread; do nothing if that is done."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._stopping = True
            self._waiting.put(None)
            thread.join()
            atexit.unregister(self.close)

    @property
    def available(self) -> bool:
        """Tell whether the store worked when it was last used."""
        return self._retry_at == 0.0

    def submit(self, draft: Draft, *, honoured: bool) -> Item:
        """Put a draft in line; raise LedgerUnavailableError if the line is full or the writer is closing."""
        if self._stopping:
            raise LedgerUnavailableError("the ledger is closing")
        if self._waiting.qsize() >= self._capacity:
            raise LedgerUnavailableError(f"{self._capacity} entries wait already")
        self.begin()
        loop = asyncio.get_running_loop()
        # Done here, while the thread waits for a commit, and not between two commits.
        prepared = self._store.prepare(draft, now=int(self._clock()))
        item = Item(draft=draft, prepared=prepared, loop=loop, future=loop.create_future(), honoured=honoured)
        self._waiting.put(item)
        return item

    async def outcome(self, item: Item, *, patience: float) -> Appended | None:
        """Return where the entry stands, or None if it was queued on disk.

        Raises LedgerUnavailableError after `patience` seconds, and then a grant is recorded at no later time either.
        """
        timer = item.loop.call_later(patience, self._give_up, item)
        try:
            return await item.future
        except asyncio.CancelledError:
            if not item.honoured:
                self._drop(item)
            raise
        finally:
            timer.cancel()

    def _drop(self, item: Item) -> bool:
        with self._claims:
            item.dropped = not item.taken
            return item.dropped

    def _give_up(self, item: Item) -> None:
        # What is being written right now may become durable: a grant must wait for the answer, a refusal need not.
        if (self._drop(item) or item.honoured) and not item.future.done():
            item.future.set_exception(LedgerUnavailableError("the ledger does not answer"))

    def keep(self, drafts: Sequence[Draft]) -> None:
        """Queue refusals and withdrawals on disk, or count them as lost to the ledger."""
        try:
            if self._queue is None:
                raise OSError("no queue_dir is set")
            self._queue.put(drafts)
        except OSError as error:
            log.error("%d refusals or withdrawals were honoured, but cannot be queued: %s", len(drafts), error)
            self._count_lost(len(drafts))

    def _count_lost(self, count: int) -> None:
        now = int(self._clock())
        with self._counting:
            self.lost += count
            since = self._gap.since if self._gap.count else now
            self._gap = _Gap(count=self._gap.count + count, since=since, until=now)

    def _run(self) -> None:
        stop = False
        while not stop:
            batch, stop = self._gather()
            if batch:
                self._write(batch)
            with contextlib.suppress(LedgerUnavailableError, OSError):
                self.deliver(limit=None if stop else TURN)
                self._report_gap()
            self._chores(stop)

    def _gather(self) -> tuple[list[Item], bool]:
        batch: list[Item] = []
        stop = False
        with contextlib.suppress(queues.Empty):
            item = self._waiting.get(timeout=0 if self._more else TICK)
            # Whoever waited at the last commit, or was answered by it, may come again. Many are taken in two halves, of
            # which one arrives while the other is committed; whoever is alone waits for nobody.
            enough = max(min(self._busy, WORTH), self._busy // 2)
            while True:
                if item is None:
                    stop = True
                else:
                    batch.append(item)
                if len(batch) >= BATCH and not stop:
                    break
                wanted = len(batch) < enough and not stop
                item = self._waiting.get(timeout=LULL) if wanted else self._waiting.get_nowait()
        return batch, stop

    def _write(self, batch: list[Item]) -> None:
        with self._claims:
            mine = [item for item in batch if not item.dropped]
            for item in mine:
                item.taken = True
        drafts = [item.prepared or item.draft for item in mine]
        answers: Sequence[Appended | LedgerUnavailableError | None]
        try:
            answers = self.attempt(lambda: self._store.append(drafts, now=int(self._clock()))) if drafts else []
        except LedgerUnavailableError as error:
            if honoured := [item.draft for item in mine if item.honoured]:
                self.keep(honoured)
            answers = [None if item.honoured else error for item in mine]
        self._busy = len(batch) + self._waiting.qsize()
        by_loop = defaultdict(list)
        for item, answer in zip(mine, answers, strict=True):
            by_loop[item.loop].append((item.future, answer))
        for loop, settled in by_loop.items():
            # A loop may have been closed meanwhile; then nobody waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, settled)

    def attempt(self, work: Callable[[], T]) -> T:
        """Do something with the store, unless it failed a moment ago.

        Raises LedgerUnavailableError for whatever goes wrong.
        """
        if time.monotonic() < self._retry_at:
            raise LedgerUnavailableError("the ledger failed a moment ago, and is tried again in a second")
        try:
            result = work()
        except Exception as error:  # the writer must outlive whatever a store raises
            if self.available:
                log.error("the ledger cannot be used: %s", error, exc_info=not isinstance(error, LedgerError))
            self._retry_at = time.monotonic() + RETRY
            raise LedgerUnavailableError(str(error)) from error
        if not self.available:
            log.warning("the ledger can be used again")
            self._retry_at = 0.0
        return result

    def deliver(self, *, limit: int | None = None, wait: bool = False) -> None:
        """Append what was queued on disk, the oldest first; `limit` is in files, `wait` for another process's turn.

        Raises LedgerUnavailableError or OSError if the store or the folder cannot be used.
        """
        self._more = False
        if self._queue is None or not self._queue.names():
            return
        with self._queue.turn(wait=wait) as mine:
            # Listed again: another process may have delivered meanwhile.
            names = self._queue.names() if mine else []
            for name in names[:limit]:
                try:
                    drafts = self._queue.read(name)
                except ValueError as error:
                    log.error("the queue file %s cannot be read, and was set aside: %s", name, error)
                    self._queue.set_aside(name)
                    self._count_lost(1)
                    continue
                self.attempt(functools.partial(self._deliver, drafts))
                self._queue.done(name)
        self._more = limit is not None and len(names) > limit

    def _report_gap(self) -> None:
        with self._counting:
            gap, self._gap = self._gap, _Gap()
        if not gap.count:
            return
        content = {
            "count": gap.count,
            "since": rfc3339(gap.since),
            "until": rfc3339(gap.until),
            "reason": "queue-unavailable",
        }
        draft = Draft(kind="gap", content=content, decided_at=gap.until)
        try:
            self.attempt(lambda: self._store.append([draft], now=int(self._clock())))
        except LedgerUnavailableError:
            with self._counting:
                until = max(gap.until, self._gap.until)
                self._gap = _Gap(count=gap.count + self._gap.count, since=gap.since, until=until)
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """Count what was honoured and could be kept nowhere, between two Unix seconds."""

    count: int = 0
    since: int = 0
    until: int = 0


def _settle(
    settled: Sequence[tuple[asyncio.Future[Appended | None], Appended | LedgerUnavailableError | None]],
) -> None:
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, LedgerUnavailableError):
            future.set_exception(answer)
        else:
            future.set_result(answer)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _after_in_child() -> None:
    for writer in list(_writers):
        writer.reset()


os.register_at_fork(after_in_child=_after_in_child)
