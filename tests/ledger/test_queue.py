"""Test the queue on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from consent.ledger.entry import Draft
from consent.ledger.queue import Queue

MakeDraft = Callable[..., Draft]


def test_round_trip(make_draft: MakeDraft, tmp_path: Path) -> None:
    """Drafts come back as they went in, but late, in the order of their files."""
    queue = Queue(tmp_path / "made" / "queue")
    batches = [
        [make_draft(subject=b"i" * 16, ends=True, request_id="a"), make_draft(request_id="b", decided_at=None)],
        [Draft(kind="gap", content={"count": 1}, unique="u", request_id="c")],
    ]
    names = [queue.put(batch) for batch in batches]
    assert queue.names() == names
    read = [draft for name in names for draft in queue.read(name)]
    assert [(d.request_id, d.subject, d.ends, d.unique, d.decided_at) for d in read] == [
        (d.request_id, d.subject, d.ends, d.unique, d.decided_at) for batch in batches for d in batch
    ]
    assert all(draft.late for draft in read)
    queue.done(names[0])
    queue.done(names[0])
    assert queue.names() == names[1:]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"{}\n", b"[]\n", b'{"a":1}\n', b"{\n", b'{"kind":"gap","subject":"xyz"}\n', b"\xff\n", b"\n"],
    ids=repr,
)
def test_unreadable(tmp_path: Path, data: bytes) -> None:
    """What is no file of drafts is a ValueError."""
    (tmp_path / "1.jsonl").write_bytes(data)
    with pytest.raises(ValueError, match=r"."):
        Queue(tmp_path).read("1.jsonl")


def test_half_written_files_are_not_seen(tmp_path: Path) -> None:
    """A file that was not finished when its process died is not taken for a batch."""
    (tmp_path / ".1.jsonl").write_bytes(b"{")
    (tmp_path / "2.jsonl.unreadable").write_bytes(b"{")
    assert Queue(tmp_path).names() == []
    assert Queue(tmp_path / "missing").names() == []


def test_one_turn_at_a_time(tmp_path: Path) -> None:
    """While one delivers nobody else may."""
    queue = Queue(tmp_path)
    with queue.turn() as mine, Queue(tmp_path).turn() as other:
        assert (mine, other) == (True, False)
    with Queue(tmp_path).turn(wait=True) as mine:
        assert mine


def test_failed_put_leaves_nothing(make_draft: MakeDraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, the error is passed on and no half file stays."""

    def refuse(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="no space left"):
        Queue(tmp_path).put([make_draft()])
    assert list(tmp_path.iterdir()) == []
