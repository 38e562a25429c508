"""Test the making of bundles; what they prove is tested with the verifier."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.errors import LedgerCorruptError
from consent.ledger.bundle import write_bundle
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.store import Document

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def filled(ledger: Ledger, make_draft: MakeDraft) -> tuple[str, str]:
    """Append an entry that names a document, and return its digest with that of another, unnamed one."""
    named = ledger.archive(Document(kind="notice", media_type="application/json", data=b"{}", language="en"))
    other = ledger.archive(Document(kind="notice", media_type="application/json", data=b"[]", language="uk"))
    ledger.store.append([make_draft(content={"notice": named}), make_draft()], now=5)
    return named, other


def test_files(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A bundle holds what its README lists: the entries as they are, and the documents that they name."""
    ledger = make_ledger()
    named, _ = filled(ledger, make_draft)
    checkpoint, of = write_bundle(ledger, tmp_path / "out")
    files = contents(tmp_path / "out")
    assert set(files) == {
        *("README.md", "checkpoint", "documents.json", "entries.jsonl", "erasures.json", "key", "leaf-hashes.txt"),
        *("manifest.json", "manifest.sig", "proof.json", "verify.py", "verify.html", f"documents/{named}"),
        *("schemas/entry-1.json", "schemas/receipt-1.json", "schemas/receipt-1.context.json"),
    }
    assert files["entries.jsonl"] == b"".join(body + b"\n" for body in ledger.store.entries())
    assert files["checkpoint"] == checkpoint.note
    assert (of.first, of.last) == (0, 2)
    assert json.loads(files["documents.json"])[named] == {
        "bytes": 2,
        "kind": "notice",
        "language": "en",
        "media_type": "application/json",
    }
    listed = json.loads(files["manifest.json"])["files"]
    assert listed == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if not name.startswith("manifest.")
    }


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_same_state_same_bytes(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path, name: str) -> None:
    """Two bundles of the same ledger state are the same to the byte."""
    ledger = make_ledger()
    filled(ledger, make_draft)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_bundle(ledger, folder / name)
    assert contents(first) == contents(second)


def test_out_is_there_already(make_ledger: MakeLedger, tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        write_bundle(make_ledger(), tmp_path / "out")


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_failure_leaves_nothing(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path, name: str) -> None:
    """A bundle that could not be finished is not there."""
    ledger = make_ledger()
    filled(ledger, make_draft)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_bundle(ledger, tmp_path / "folder" / name, progress=stop)
    assert list((tmp_path / "folder").iterdir()) == []


def test_unarchived_document_is_left_out(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A digest with nothing behind it does not stop the export; finding it is the verifier's work."""
    ledger = make_ledger()
    ledger.store.append([make_draft(content={"notice": "0" * 64})], now=5)
    write_bundle(ledger, tmp_path / "out")
    assert not (tmp_path / "out" / "documents").exists()


def test_texts_cannot_name_documents(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A text that looks like the naming of a document names none."""
    ledger = make_ledger()
    _, other = filled(ledger, make_draft)
    ledger.store.append([make_draft(content={"scope": f'"notice":"{other}"'})], now=5)
    write_bundle(ledger, tmp_path / "out")
    assert not (tmp_path / "out" / "documents" / other).exists()


def test_missing_leaf_hash(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A ledger that has lost a leaf hash is corrupt, and gives no bundle."""
    ledger = make_ledger()
    filled(ledger, make_draft)
    ledger.seal()
    ledger.close()
    connection = sqlite3.connect(tmp_path / "consent.db")
    with connection:
        connection.execute("DELETE FROM leaf WHERE idx=1")
    connection.close()
    with pytest.raises(LedgerCorruptError):
        write_bundle(ledger, tmp_path / "out")
    assert not (tmp_path / "out").exists()
