"""Test the ledger that web code uses: durable records, honoured refusals, the queue on disk, revocations, proofs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from consent.choice.canonical import parse
from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger import ledger as module
from consent.ledger import merkle, writer
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.database import MEMORY
from consent.ledger.entry import Appended, Draft
from consent.ledger.ledger import Ledger
from consent.ledger.prepared import Prepared
from consent.ledger.queue import Queue
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Revocation, Seal

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]
MakeStore = Callable[..., SqliteStore]
ID = b"i" * 16


class Fragile(SqliteStore):
    """Fail on demand, or wait for a sign before each append, as a store in trouble does."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, origin="https://meridian.example")
        self.down = False
        self.error: Exception = LedgerUnavailableError("down")
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def append(self, drafts: Sequence[Draft | Prepared], *, now: int) -> list[Appended]:
        """Append, unless down."""
        self.entered.set()
        self.gate.wait(30)
        if self.down:
            raise self.error
        return super().append(drafts, now=now)

    def revocations(self, position: int = 0) -> list[Revocation]:
        """Return the revocations, unless down."""
        if self.down:
            raise self.error
        return super().revocations(position)

    def seal(self, sign: Seal, *, name: str) -> Checkpoint:
        """Seal, unless down."""
        if self.down:
            raise self.error
        return super().seal(sign, name=name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing take longer than it must."""
    monkeypatch.setattr(writer, "TICK", 0.01)
    monkeypatch.setattr(writer, "RETRY", 0.0)
    monkeypatch.setattr(module, "REFRESH", 0.0)


@pytest.fixture
def fragile(tmp_path: Path) -> Fragile:
    """Return a store that can be made to fail."""
    return Fragile(tmp_path / "consent.db")


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for another thread; fail after a minute."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def bodies(ledger: Ledger) -> list[dict[str, object]]:
    """Return all entries, read."""
    return [parse(body) for body in ledger.store.entries()]


def test_record(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """An entry is in the store once `record` returns, in whatever event loop."""
    ledger = make_ledger()
    for index in range(3):
        assert asyncio.run(ledger.record(make_draft())).index == index
        assert ledger.store.head().size == index + 1


def test_many_at_once(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """Entries submitted together from two event loops all get an index of their own."""
    ledger, found = make_ledger(), list[Appended]()

    async def submit() -> None:
        found.extend(await asyncio.gather(*[ledger.record(make_draft()) for _ in range(200)]))

    threads = [threading.Thread(target=lambda: asyncio.run(submit())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.index for entry in found) == list(range(400))


def test_batches_are_bounded(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait, a commit takes no more than a batch."""
    monkeypatch.setattr(writer, "BATCH", 3)
    sizes: list[int] = []
    append = fragile.append

    def watched(drafts: Sequence[Draft], *, now: int) -> list[Appended]:
        sizes.append(len(drafts))
        return append(drafts, now=now)

    monkeypatch.setattr(fragile, "append", watched)
    ledger = make_ledger(fragile)

    async def submit() -> None:
        await asyncio.gather(*[ledger.record(make_draft()) for _ in range(50)])

    asyncio.run(submit())
    assert sum(sizes) == 50
    assert max(sizes) <= 3


def test_memory(make_store: MakeStore, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A ledger in memory works like one on disk."""
    ledger = make_ledger(make_store(MEMORY))
    assert asyncio.run(ledger.record(make_draft())).index == 0
    assert ledger.inclusion(0).checkpoint.size == 1


def test_wrong_signer(make_ledger: MakeLedger) -> None:
    """A key of another ledger is refused when the ledger is opened."""
    with pytest.raises(ConfigurationError, match=r"signs for 'other.example'"):
        make_ledger(signer=Signer.generate("other.example")).start()


def test_start_says_when_the_ledger_is_not_ours(make_store: MakeStore, make_ledger: MakeLedger, tmp_path: Path) -> None:
    """Starting on the ledger of another origin is a configuration error."""
    make_store().open()
    other = make_store(origin="https://other.example")
    with pytest.raises(ConfigurationError, match="belongs to"):
        make_ledger(other, signer=Signer.generate("other.example")).start()


def test_start_without_the_store(make_store: MakeStore, make_ledger: MakeLedger, tmp_path: Path) -> None:
    """Starting while the store is down succeeds, and the store is used once it is there."""
    ledger = make_ledger(make_store(tmp_path / "later" / "consent.db"))
    ledger.start()
    ledger.start()
    wait_until(lambda: not ledger.available)
    (tmp_path / "later").mkdir()
    wait_until(lambda: ledger.available)
    assert ledger.store.head().size == 0


def test_unavailable(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A grant that cannot be recorded raises, and is not recorded later either."""
    ledger = make_ledger(fragile)
    fragile.down = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(ledger.record(make_draft(request_id="lost")))
    assert not ledger.available
    fragile.down = False
    asyncio.run(ledger.record(make_draft(content={"scope": "after"})))
    assert ledger.available
    assert [entry["scope"] for entry in bodies(ledger)] == ["after"]


def test_unexpected_error(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, caplog: pytest.LogCaptureFixture
) -> None:
    """An error nobody thought of is logged, counts as unavailable, and does not end the writer."""
    ledger = make_ledger(fragile)
    fragile.error, fragile.down = ZeroDivisionError("surprise"), True
    with pytest.raises(LedgerUnavailableError, match="surprise"):
        asyncio.run(ledger.record(make_draft()))
    assert "ZeroDivisionError" in caplog.text
    fragile.down = False
    assert asyncio.run(ledger.record(make_draft())).index == 0


def test_retry_is_rate_limited(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that failed a moment ago is not asked again for every visitor."""
    monkeypatch.setattr(writer, "RETRY", 600.0)
    ledger = make_ledger(fragile, queue_dir=None)
    fragile.down = True
    with pytest.raises(LedgerUnavailableError, match="down"):
        asyncio.run(ledger.record(make_draft()))
    fragile.entered.clear()
    with pytest.raises(LedgerUnavailableError, match="a moment ago"):
        asyncio.run(ledger.record(make_draft()))
    assert not fragile.entered.is_set()


def test_back_pressure(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """When too many wait, the next grant is refused at once and a refusal goes to the disk."""
    ledger = make_ledger(fragile, capacity=2)
    fragile.gate.clear()

    async def crowd() -> None:
        first = asyncio.create_task(ledger.record(make_draft()))
        await asyncio.to_thread(fragile.entered.wait)
        waiting = [asyncio.create_task(ledger.record(make_draft())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LedgerUnavailableError, match="2 entries wait already"):
            await ledger.record(make_draft())
        assert await ledger.honour(make_draft(content={"status": "refused"})) is None
        assert ledger.queued == 1
        fragile.gate.set()
        await asyncio.gather(first, *waiting)

    asyncio.run(crowd())
    wait_until(lambda: ledger.queued == 0)
    assert sorted(entry["late"] is True for entry in bodies(ledger)) == [False, False, False, True]


def test_a_grant_that_waited_too_long_is_dropped(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant whose visitor was told that it failed is not recorded once the store answers again."""
    monkeypatch.setattr(module, "RECORD_PATIENCE", 0.02)
    ledger = make_ledger(fragile)
    fragile.gate.clear()

    async def crowd() -> None:
        first = asyncio.create_task(ledger.record(make_draft(content={"scope": "first"})))
        await asyncio.to_thread(fragile.entered.wait)
        with pytest.raises(LedgerUnavailableError, match="does not answer"):
            await ledger.record(make_draft(content={"scope": "second"}))
        fragile.gate.set()
        await first

    asyncio.run(crowd())
    ledger.close()
    assert [entry["scope"] for entry in bodies(ledger)] == ["first"]


def test_a_grant_whose_visitor_left_is_dropped(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft
) -> None:
    """A request that is cancelled while it waits leaves no entry; one that is being written does."""
    ledger = make_ledger(fragile)
    fragile.gate.clear()

    async def leave() -> None:
        first = asyncio.create_task(ledger.record(make_draft(content={"scope": "first"})))
        await asyncio.to_thread(fragile.entered.wait)
        second = asyncio.create_task(ledger.record(make_draft(content={"scope": "second"})))
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        assert all(
            isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(first, second, return_exceptions=True)
        )
        fragile.gate.set()

    asyncio.run(leave())
    ledger.close()
    assert [entry["scope"] for entry in bodies(ledger)] == ["first"]


def test_honour_records(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A refusal is recorded at once while the ledger works."""
    ledger = make_ledger()
    appended = asyncio.run(ledger.honour(make_draft(content={"status": "refused"})))
    assert appended is not None
    assert bodies(ledger)[appended.index]["late"] is False


def test_honour_queues_and_delivers(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """While the ledger is down refusals wait on disk, privately, and are delivered in order as late ones, once each."""
    ledger = make_ledger(fragile)
    fragile.down = True
    for number in range(5):
        draft = make_draft(content={"status": "refused", "scope": f"{number}"}, decided_at=1_000 + number)
        assert asyncio.run(ledger.honour(draft)) is None
    files = list((tmp_path / "queue").glob("*.jsonl"))
    assert len(files) == ledger.queued == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "queue").stat().st_mode) == 0o700
    fragile.down = False
    wait_until(lambda: ledger.queued == 0)
    assert [(e["scope"], e["late"], e["decided_at"]) for e in bodies(ledger)] == [
        (f"{number}", True, f"1970-01-01T00:16:4{number}Z") for number in range(5)
    ]


def test_queue_survives_a_restart(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """What was queued before the end of a process is in force and delivered after the next start."""
    first = make_ledger(fragile)
    fragile.down = True
    withdrawal = make_draft(content={"status": "withdrawn"}, subject=ID, ends=True)
    assert asyncio.run(first.honour(withdrawal)) is None
    first.close()
    second = make_ledger(fragile)
    second.start()
    assert second.withdrawn(ID, 1_000)
    fragile.down = False
    wait_until(lambda: second.queued == 0)
    assert [entry["status"] for entry in bodies(second)] == ["withdrawn"]
    assert len(second.records_of(ID)) == 1


def test_delivery_repeated_after_a_lost_acknowledgement(
    make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """A queued draft that had been recorded after all gives no second entry."""
    ledger = make_ledger()
    draft = make_draft(request_id="r")
    asyncio.run(ledger.record(draft))
    Queue(tmp_path / "queue").put([draft, make_draft(request_id="other")])
    wait_until(lambda: ledger.queued == 0)
    assert [entry["late"] for entry in bodies(ledger)] == [False, True]


def test_honour_does_not_wait_for_a_hanging_store(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that is stuck in the store is queued as well, and is one entry in the end."""
    monkeypatch.setattr(module, "HONOUR_PATIENCE", 0.02)
    ledger = make_ledger(fragile)
    fragile.gate.clear()
    assert asyncio.run(ledger.honour(make_draft(content={"status": "refused"}))) is None
    assert ledger.queued == 1
    fragile.gate.set()
    wait_until(lambda: ledger.queued == 0)
    assert [entry["status"] for entry in bodies(ledger)] == ["refused"]


def test_honour_while_the_loop_shuts_down(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is kept even where the event loop starts no threads any more."""

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    ledger = make_ledger(fragile)
    ledger.start()
    ledger.close()
    monkeypatch.setattr(asyncio, "to_thread", refuse)
    assert asyncio.run(ledger.honour(make_draft(content={"status": "refused"}))) is None
    assert ledger.queued == 1


def test_no_queue_either(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When nothing can be kept the refusal is honoured, counted, logged, and leaves a gap entry later."""
    (tmp_path / "queue").write_text("not a folder")
    ledger = make_ledger(fragile, clock=lambda: 60.0)
    fragile.down = True
    for _ in range(2):
        assert asyncio.run(ledger.honour(make_draft(subject=ID, ends=True))) is None
    assert ledger.withdrawn(ID, 1_000)
    assert ledger.lost == 2
    assert "cannot be queued" in caplog.text
    assert ID.hex() not in caplog.text
    fragile.down = False
    wait_until(lambda: fragile.head().size == 1)
    (gap,) = bodies(ledger)
    assert (gap["kind"], gap["count"], gap["reason"]) == ("gap", 2, "queue-unavailable")
    assert gap["since"] == gap["until"] == "1970-01-01T00:01:00Z"
    assert ledger.lost == 2


def test_without_a_queue_folder(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A ledger without a queue folder counts what it could not record."""
    ledger = make_ledger(fragile, queue_dir=None)
    fragile.down = True
    assert asyncio.run(ledger.honour(make_draft())) is None
    assert (ledger.lost, ledger.queued) == (1, 0)


def test_unreadable_queue_file(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A queue file that cannot be read is set aside and leaves a gap entry; the ones after it are delivered."""
    queue = Queue(tmp_path / "queue")
    names = [queue.put([make_draft(content={"scope": scope})]) for scope in ("first", "second", "third")]
    (tmp_path / "queue" / names[1]).write_bytes(b'{"kind":')
    ledger = make_ledger()
    ledger.start()
    wait_until(lambda: ledger.store.head().size == 3)
    assert [entry.get("scope", entry["kind"]) for entry in bodies(ledger)] == ["first", "third", "gap"]
    assert (tmp_path / "queue" / f"{names[1]}.unreadable").exists()


def test_close_drains(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Closing writes what waits, delivers the queue and signs a last checkpoint; afterwards nothing is taken."""
    ledger = make_ledger(checkpoint_interval=600.0)
    queue = Queue(tmp_path / "queue")
    for _ in range(writer.TURN + 2):
        queue.put([make_draft()])

    async def leave() -> list[Appended]:
        tasks = [asyncio.create_task(ledger.record(make_draft())) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(ledger.close)
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(leave())) == 20
    ledger.close()
    checkpoint = ledger.checkpoint()
    assert checkpoint is not None
    assert checkpoint.size == ledger.store.head().size == 20 + writer.TURN + 2
    with pytest.raises(LedgerUnavailableError, match="closing"):
        asyncio.run(ledger.record(make_draft()))
    assert asyncio.run(ledger.honour(make_draft())) is None
    assert ledger.queued == 1
    ledger.start()
    assert asyncio.run(ledger.record(make_draft())).index >= 20 + writer.TURN + 2


def test_seals_when_there_is_news(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """Checkpoints are signed on their own, and cover what was recorded."""
    ledger = make_ledger(checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))

    def sealed() -> bool:
        checkpoint = ledger.checkpoint()
        return checkpoint is not None and checkpoint.size == 1

    wait_until(sealed)


def test_sealing_stops_loudly(
    fragile: Fragile,
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When the tree no longer extends its checkpoint, nothing is signed, it is logged, and recording goes on."""

    def refuse(*_: object, **__: object) -> None:
        raise LedgerCorruptError("forked")

    ledger = make_ledger(fragile, checkpoint_interval=0.0)
    monkeypatch.setattr(fragile, "seal", refuse)
    asyncio.run(ledger.record(make_draft()))
    wait_until(lambda: "no checkpoint is signed any more: forked" in caplog.text)
    assert caplog.records[-1].levelno == logging.CRITICAL
    assert asyncio.run(ledger.record(make_draft())).index == 1


def test_withdrawn(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """Cookies from before a withdrawal are no choice, at once; those of others, and newer ones, are."""
    ledger = make_ledger()
    asyncio.run(ledger.honour(make_draft(subject=ID, revokes=True, decided_at=100)))
    assert [ledger.withdrawn(ID, moment) for moment in (99, 100, 101)] == [True, False, False]
    asyncio.run(ledger.honour(make_draft(subject=ID, ends=True, decided_at=100)))
    assert [ledger.withdrawn(ID, moment) for moment in (100, 101)] == [True, False]
    assert not ledger.withdrawn(b"o" * 16, 99)


def test_withdrawn_reaches_other_workers(make_store: MakeStore, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A withdrawal recorded by one worker is known to the others soon, and to those started later at once."""
    first, second = make_ledger(), make_ledger(make_store())
    second.start()
    asyncio.run(first.honour(make_draft(subject=ID, ends=True)))
    wait_until(lambda: second.withdrawn(ID, 1_000))
    third = make_ledger(make_store())
    third.start()
    assert third.withdrawn(ID, 1_000)


def test_withdrawn_reaches_other_workers_while_the_ledger_is_down(
    fragile: Fragile,
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A withdrawal that one worker could only queue counts in the others although the ledger stays down."""
    monkeypatch.setattr(writer, "RETRY", 600.0)
    fragile.down = True
    other = make_ledger(fragile)
    other.start()
    wait_until(lambda: not other.available)
    assert not other.withdrawn(ID, 1_000)
    Queue(tmp_path / "queue").put([make_draft(subject=ID, ends=True)])
    wait_until(lambda: other.withdrawn(ID, 1_000))
    assert not other.available
    assert other.queued == 1


def test_a_file_in_the_queue_that_is_none(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """What cannot be taken for a withdrawal keeps the next one neither from being in force nor from the ledger."""
    queue = Queue(tmp_path / "queue")
    broken = queue.put([make_draft(subject=ID, ends=True)])
    data = (tmp_path / "queue" / broken).read_bytes()
    (tmp_path / "queue" / broken).write_bytes(data.replace(b'"decided_at":1000', b'"decided_at":"now"'))
    queue.put([make_draft(subject=b"o" * 16, ends=True)])
    ledger = make_ledger()
    ledger.start()
    assert ledger.withdrawn(b"o" * 16, 1_000)
    assert not ledger.withdrawn(ID, 1_000)
    wait_until(lambda: len(ledger.records_of(b"o" * 16)) == 1)
    assert ledger.available


def test_erasure_beside_a_reader(
    fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """What a reader kept in the write-ahead log during an erasure leaves it soon after the reader has ended."""
    ledger = make_ledger(fragile)
    asyncio.run(ledger.record(make_draft(subject=ID)))
    reader = sqlite3.connect(tmp_path / "consent.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subject").fetchall()

    def held() -> bool:
        return any(ID in (tmp_path / name).read_bytes() for name in ("consent.db", "consent.db-wal"))

    ledger.erase(ID, reason="request", decided_at=2_000)
    assert held()
    reader.execute("COMMIT")
    reader.close()
    wait_until(lambda: not held())


def test_revoking_by_recording(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A choice that revokes does so once it is recorded, and not if it could not be."""
    ledger = make_ledger(fragile)
    fragile.down = True
    with pytest.raises(LedgerUnavailableError):
        asyncio.run(ledger.record(make_draft(subject=ID, revokes=True, decided_at=100)))
    assert not ledger.withdrawn(ID, 99)
    fragile.down = False
    asyncio.run(ledger.record(make_draft(subject=ID, revokes=True, decided_at=100)))
    assert ledger.withdrawn(ID, 99)


def test_erase(fragile: Fragile, make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Erasing forgets what was queued too, counts it, revokes the cookies, and is an entry without a subject."""
    ledger = make_ledger(fragile)
    asyncio.run(ledger.record(make_draft(subject=ID)))
    ledger.close()
    Queue(tmp_path / "queue").put([make_draft(subject=ID)])
    appended = ledger.erase(ID, reason="request", decided_at=2_000)
    assert appended is not None
    assert ledger.records_of(ID) == []
    assert ledger.withdrawn(ID, 2_000)
    erased = bodies(ledger)[appended.index]
    assert (erased["kind"], erased["count"], erased["reason"], erased["subject"]) == ("erased", 2, "request", None)
    assert all(ID.hex() not in file.read_text() for file in (tmp_path / "queue").iterdir())


def test_publish(make_store: MakeStore, make_ledger: MakeLedger) -> None:
    """Several workers publish once; a publication without a name is refused."""
    drafts = [Draft(kind="policy-published", content={"n": n}, unique="privacy/1/en") for n in range(2)]
    first, second = make_ledger(), make_ledger(make_store())
    assert first.publish(drafts[0]) == second.publish(drafts[1])
    assert [json.loads(body)["n"] for body in second.publications().values()] == [0]
    with pytest.raises(ValueError, match="unique name"):
        first.publish(Draft(kind="policy-published", content={}))


def test_archive(make_ledger: MakeLedger) -> None:
    """Documents go in and come out by digest and by the beginning of it."""
    ledger = make_ledger()
    document = Document(kind="notice", media_type="application/json", data=b"{}", language="en")
    digest = ledger.archive(document)
    assert ledger.document(digest) == document
    assert ledger.documents(digest[:10], kind="notice") == [document]


def test_proofs(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A proof leads from the exact bytes of an entry to a signed checkpoint, which grows consistently."""
    ledger = make_ledger()
    asyncio.run(ledger.record(make_draft()))
    old = ledger.seal()
    for _ in range(4):
        asyncio.run(ledger.record(make_draft()))
    proof = ledger.inclusion(3)
    assert merkle.includes(
        merkle.leaf_hash(proof.body),
        index=3,
        size=proof.checkpoint.size,
        proof=proof.path,
        root=proof.checkpoint.root,
    )
    new = proof.checkpoint
    consistency = merkle.consistency_proof(ledger.store, old=old.size, new=new.size)
    assert merkle.consistent(old=1, old_root=old.root, new=5, new_root=new.root, proof=consistency)
    with pytest.raises(ValueError, match="has no leaf 9"):
        ledger.inclusion(9)


def test_forked_worker(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """A worker forked from a process whose ledger is in use starts a writer of its own."""
    ledger = make_ledger()
    asyncio.run(ledger.record(make_draft()))
    child = os.fork()
    if child == 0:
        index = 99
        try:
            index = asyncio.run(ledger.record(make_draft())).index
        finally:
            os._exit(index)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert asyncio.run(ledger.record(make_draft())).index == 2
