"""Test that nothing is signed but what extends the last checkpoint, wherever that is kept, and the ways out."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.choice.canonical import parse
from consent.errors import LedgerCorruptError, OutsideError, VerificationError
from consent.ledger import ledger as module
from consent.ledger import merkle, writer
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.outside import Outside
from consent.ledger.sqlite import SqliteStore
from tests.ledger.test_ledger import wait_until

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]
MakeStore = Callable[..., SqliteStore]
ID, OTHER = b"i" * 16, b"o" * 16
OLD, NEW = Signer("meridian.example", seed=b"s" * 32), Signer("meridian.example", seed=b"n" * 32)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return where the checkpoint is kept outside the database."""
    return tmp_path / "elsewhere" / "checkpoint"


def backed_up(folder: Path) -> Callable[[], None]:
    """Copy the database as it is now, and return what restores it while nobody has it open."""
    source, copy = sqlite3.connect(folder / "consent.db"), sqlite3.connect(folder / "backup")
    source.backup(copy)
    source.close()
    copy.close()

    def restore() -> None:
        for name in ("consent.db-wal", "consent.db-shm"):
            (folder / name).unlink(missing_ok=True)
        shutil.copy(folder / "backup", folder / "consent.db")

    return restore


def kinds(ledger: Ledger) -> list[str]:
    """Return the kinds of all entries."""
    return [parse(body)["kind"] for body in ledger.store.entries()]


def test_the_newest_checkpoint_is_kept_outside(make_ledger: MakeLedger, make_draft: MakeDraft, outside: Path) -> None:
    """What is signed lies in the file too, for its owner alone, and follows what is signed next."""
    ledger = make_ledger(outside=outside)
    for _ in range(2):
        asyncio.run(ledger.record(make_draft()))
        assert ledger.seal().note == outside.read_bytes()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert ledger.fault() is None
    assert sorted(path.name for path in outside.parent.iterdir()) == [".checkpoint.lock", "checkpoint"]


def test_a_restored_backup_stops_the_signing(
    make_ledger: MakeLedger,
    make_store: MakeStore,
    make_draft: MakeDraft,
    outside: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over a ledger that has lost entries nothing is signed, loudly and once, while recording goes on past the loss."""
    monkeypatch.setattr(writer, "TICK", 0.01)
    ledger = make_ledger(outside=outside)
    asyncio.run(ledger.record(make_draft()))
    ledger.seal()
    restore = backed_up(tmp_path)
    asyncio.run(ledger.record(make_draft()))
    signed = ledger.seal()
    ledger.close()
    restore()
    again = make_ledger(make_store(), outside=outside, checkpoint_interval=0.0)
    for _ in range(3):
        asyncio.run(again.record(make_draft()))
    wait_until(lambda: "no checkpoint is signed any more" in caplog.text)
    with pytest.raises(LedgerCorruptError, match="does not extend the checkpoint of 2 entries"):
        again.seal()
    again.close()
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(critical) == 1
    assert "consent ledger resume" in critical[0].message
    # Who asks may be that command itself.
    assert "does not extend" in (again.fault() or "")
    assert "consent ledger resume" not in (again.fault() or "")
    assert outside.read_bytes() == signed.note
    assert again.store.head().size == 4


def test_resume(
    make_ledger: MakeLedger, make_store: MakeStore, make_draft: MakeDraft, outside: Path, tmp_path: Path
) -> None:
    """Signing goes on once an operator says so, and the log says for ever what was lost; the old checkpoint is kept."""
    ledger = make_ledger(outside=outside)
    asyncio.run(ledger.record(make_draft()))
    ledger.seal()
    restore = backed_up(tmp_path)
    asyncio.run(ledger.record(make_draft()))
    asyncio.run(ledger.record(make_draft()))
    abandoned = ledger.seal()
    ledger.close()
    restore()
    again = make_ledger(make_store(), outside=outside)
    (appended,) = again.resume()
    gap = parse(next(again.store.entries(appended.index)))
    assert (gap["kind"], gap["reason"], gap["count"]) == ("gap", "restored", 2)
    assert Checkpoint.opened(gap["abandoned"].encode(), verifier=OLD.verifier).root == abandoned.root
    assert again.fault() is None
    assert again.seal().size == 2
    assert outside.with_name("checkpoint.abandoned-1").read_bytes() == abandoned.note
    assert again.resume() == []


def test_a_checkpoint_ahead_of_the_copy(make_ledger: MakeLedger, make_draft: MakeDraft, outside: Path) -> None:
    """A process that died between signing and copying left nothing wrong."""
    ledger = make_ledger(outside=outside)
    asyncio.run(ledger.record(make_draft()))
    first = ledger.seal().note
    asyncio.run(ledger.record(make_draft()))
    newest = ledger.seal().note
    outside.write_bytes(first)
    assert ledger.seal().note == newest == outside.read_bytes()


def test_a_lost_copy_is_made_again(make_ledger: MakeLedger, make_draft: MakeDraft, outside: Path) -> None:
    """A ledger that moved to another machine without the file goes on."""
    ledger = make_ledger(outside=outside)
    asyncio.run(ledger.record(make_draft()))
    note = ledger.seal().note
    outside.unlink()
    assert ledger.seal().note == note == outside.read_bytes()


def test_a_copy_that_is_none(make_ledger: MakeLedger, make_draft: MakeDraft, outside: Path) -> None:
    """A file that is no checkpoint stops the signing as well, and an operator can go on from there."""
    ledger = make_ledger(outside=outside)
    asyncio.run(ledger.record(make_draft()))
    ledger.seal()
    outside.write_bytes(b"nothing in particular")
    with pytest.raises(LedgerCorruptError, match="not a signed note"):
        ledger.seal()
    assert "not a signed note" in (ledger.fault() or "")
    (appended,) = ledger.resume()
    assert parse(next(ledger.store.entries(appended.index)))["count"] == 0
    assert ledger.fault() is None


def test_a_copy_that_cannot_be_kept(
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the file cannot be written nothing is signed, it is said, and recording and erasing go on."""
    monkeypatch.setattr(writer, "TICK", 0.01)
    (tmp_path / "file").write_text("not a folder")
    ledger = make_ledger(outside=tmp_path / "file" / "checkpoint", checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft(subject=ID)))
    wait_until(lambda: "no checkpoint is signed any more" in caplog.text)
    with pytest.raises(OutsideError):
        ledger.seal()
    assert ledger.available
    assert ledger.erase(ID, reason="request", decided_at=2_000) is not None
    assert "no restored backup will know of it" in caplog.text
    assert ledger.records_of(ID) == []


def test_rotation(make_ledger: MakeLedger, make_store: MakeStore, make_draft: MakeDraft, outside: Path) -> None:
    """The old key's last signature covers the entry that names the new one, and whoever pinned either can follow."""
    ledger = make_ledger(signer=OLD, outside=outside)
    asyncio.run(ledger.record(make_draft()))
    before = ledger.seal()
    turning = ledger.rotate(NEW)
    assert turning.note == ledger.rotate(NEW).note
    for signer in (OLD, NEW):
        assert Checkpoint.opened(turning.note, verifier=signer.verifier).size == 2
    entry = parse(next(ledger.store.entries(1)))
    assert (entry["kind"], entry["old"], entry["new"], entry["reason"]) == (
        "key-rotated",
        OLD.verifier.text,
        NEW.verifier.text,
        "rotated",
    )
    after = make_ledger(make_store(), signer=NEW, outside=outside)
    asyncio.run(after.record(make_draft()))
    newest = after.seal()
    assert Checkpoint.opened(newest.note, verifier=NEW.verifier).size == 3
    with pytest.raises(VerificationError):
        Checkpoint.opened(newest.note, verifier=OLD.verifier)
    proof = merkle.consistency_proof(after.store, old=before.size, new=newest.size)
    assert merkle.consistent(old=1, old_root=before.root, new=3, new_root=newest.root, proof=proof)
    assert ledger.checkpoint() == newest


def test_a_retired_key_signs_no_more(make_ledger: MakeLedger, make_draft: MakeDraft, outside: Path) -> None:
    """A worker that was not told of the rotation stops signing, and goes on once it is given the new key."""
    keys = [OLD]
    ledger = make_ledger(signer=lambda: keys[-1], outside=outside)
    asyncio.run(ledger.record(make_draft()))
    ledger.rotate(NEW)
    asyncio.run(ledger.record(make_draft()))
    with pytest.raises(LedgerCorruptError, match="give the new key"):
        ledger.seal()
    keys.append(NEW)
    assert Checkpoint.opened(ledger.seal().note, verifier=NEW.verifier).size == 3


def test_a_rotation_that_was_cut_off(make_ledger: MakeLedger, make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Where the entry was appended and not yet signed by the new key, the new key may go on, and no other."""
    ledger = make_ledger(signer=OLD)
    asyncio.run(ledger.record(make_draft()))
    ledger.rotate(NEW)
    ledger.store.append([make_draft()], now=5)
    ledger.store.seal(lambda size, root: Checkpoint.signed(OLD, size=size, root=root), name=OLD.name)
    stranger = make_ledger(make_store(), signer=Signer.generate(OLD.name))
    ledger.store.append([make_draft()], now=5)
    with pytest.raises(LedgerCorruptError, match="and not by"):
        stranger.seal()
    assert make_ledger(make_store(), signer=NEW).seal().size == 4


def test_a_lost_key(make_ledger: MakeLedger, make_store: MakeStore, make_draft: MakeDraft, outside: Path) -> None:
    """A key that nobody vouches for signs nothing until an operator says so, and then the log says so too."""
    ledger = make_ledger(signer=OLD, outside=outside)
    asyncio.run(ledger.record(make_draft()))
    ledger.seal()
    other = make_ledger(make_store(), signer=NEW, outside=outside)
    assert "if it was rotated" in (other.fault() or "")
    (appended,) = other.resume()
    entry = parse(next(other.store.entries(appended.index)))
    assert (entry["kind"], entry["old"], entry["reason"]) == ("key-rotated", None, "lost")
    assert other.fault() is None
    asyncio.run(other.record(make_draft()))
    assert Checkpoint.opened(other.seal().note, verifier=NEW.verifier).size == 3


def test_fault_in_the_database(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A tree that contradicts its own checkpoint is named, and there is no way around it."""
    ledger = make_ledger()
    asyncio.run(ledger.record(make_draft()))
    ledger.seal()
    ledger.close()
    connection = sqlite3.connect(tmp_path / "consent.db")
    with connection:
        connection.execute("UPDATE leaf SET hash=zeroblob(32)")
    connection.close()
    assert "no longer extends its checkpoint at 1" in (ledger.fault() or "")
    assert ledger.resume() == []


def test_a_restored_backup_erases_again(
    make_ledger: MakeLedger,
    make_store: MakeStore,
    make_draft: MakeDraft,
    outside: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was erased after the backup was made is erased again, and their cookies are no choice; nobody else is."""
    monkeypatch.setattr(writer, "TICK", 0.01)
    monkeypatch.setattr(module, "REFRESH", 0.0)
    ledger = make_ledger(outside=outside)
    for consent_id in (ID, OTHER):
        asyncio.run(ledger.record(make_draft(subject=consent_id)))
    restore = backed_up(tmp_path)
    assert ledger.erase(ID, reason="request", decided_at=2_000) is not None
    ledger.close()
    listed = outside.with_name("checkpoint.erasures")
    assert ID.hex() not in listed.read_text()
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    restore()
    again = make_ledger(make_store(), outside=outside)
    assert len(again.records_of(ID)) == 1
    again.start()
    wait_until(lambda: again.records_of(ID) == [])
    wait_until(lambda: again.withdrawn(ID, 2_000))
    assert len(again.records_of(OTHER)) == 1
    erased = [parse(body) for body in again.store.entries() if parse(body)["kind"] == "erased"]
    assert [(one["reason"], one["count"]) for one in erased] == [("restored", 1)]
    again.close()
    assert kinds(make_ledger(make_store(), outside=outside)).count("erased") == 1


def test_the_list_of_erasures(tmp_path: Path) -> None:
    """A line that was cut off is none, and does not spoil the next; the latest time of a key counts."""
    outside = Outside(tmp_path / "checkpoint")
    assert outside.erasures() == {}
    outside.add_erasure(b"a" * 32, before=5)
    listed = tmp_path / "checkpoint.erasures"
    listed.write_bytes(listed.read_bytes() + b"61616161")
    assert outside.erasures() == {b"a" * 32: 5}
    outside.add_erasure(b"b" * 32, before=6)
    outside.add_erasure(b"a" * 32, before=4)
    assert outside.erasures() == {b"a" * 32: 5, b"b" * 32: 6}
    listed.write_text("nothing\n")
    with pytest.raises(LedgerCorruptError, match="not a keyed hash"):
        outside.erasures()
