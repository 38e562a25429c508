"""Test the making of bundles; what they prove is tested with the verifier."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import verify
from consent.choice.canonical import canonical
from consent.errors import LedgerCorruptError
from consent.ledger.bundle import DAY, write_bundle
from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.export import Span
from consent.ledger.ledger import Ledger
from consent.ledger.retention import Retention, prune
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Store
from tests.ledger.conftest import CONTENT, NAME, ORIGIN
from tests.test_verify import remade

YEAR = 366 * DAY
MakeStore = Callable[..., SqliteStore]
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
        *("requirements.toml", "schemas/entry-1.json", "schemas/receipt-1.json", "schemas/receipt-1.context.json"),
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


@dataclass(frozen=True)
class Chosen:
    """Choose the entries of one language."""

    language: tuple[str, ...]
    first: int = 0
    last: int = 2**53
    filters: tuple[str, ...] = ("language",)

    def span(self, store: Store, *, size: int) -> Span:
        """Return the range."""
        return Span(first=min(self.first, size), last=min(self.last, size))

    def test(self) -> Callable[[bytes], bool]:
        """Return what tells one language from others."""
        return lambda body: json.loads(body).get("language") in self.language


def entry_numbers(report: verify.Report) -> str:
    """Return what a report says first, and that nothing is wrong."""
    assert report.problems == []
    return report.facts[0]


@given(st.sets(st.integers(0, 39)), st.integers(0, 40), st.integers(0, 40), st.sets(st.integers(1, 40)))
@settings(max_examples=40, deadline=None)
def test_a_selection_verifies(chosen: set[int], first: int, last: int, published: set[int]) -> None:
    """Whichever entries are chosen of whichever range, each is proved, and the tree goes through what was published."""
    store = SqliteStore(":memory:", origin=ORIGIN)
    ledger = Ledger(store, signer=Signer(NAME, seed=b"s" * 32))
    for number in range(40):
        content = CONTENT | {"language": "uk" if number in chosen else "en"}
        store.append([Draft(kind="consent", decided_at=1_000, content=content)], now=5)
        if number + 1 in published:
            assert store.publish_checkpoint(ledger.seal(), at=number * DAY, after=(number - 1) * DAY)
    last = max(first, last)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        write_bundle(ledger, out, selection=Chosen(("uk",), first=first, last=last))
        report = verify.verify(out, key=ledger.signer.verifier.text)
        wanted = [number for number in sorted(chosen) if first <= number < last]
        held = f"{len(wanted)} entries, {first} to {last - 1}," if last > first else "no entries"
        assert entry_numbers(report) == f"{held} of the 40 in the ledger of {NAME}"
        assert (out / "entries.jsonl").read_bytes().count(b'"language":"uk"') == len(wanted)
        assert {path.name for path in (out / "checkpoints").glob("*")} == {f"{size}.note" for size in published}
        left = last - first - len(wanted)
        assert any("left out by the filter" in fact for fact in report.facts) is (left > 0)
    ledger.close()


def test_an_entry_left_out_in_silence(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A bundle that leaves out entries of its range must name the filter."""
    ledger = make_ledger()
    ledger.store.append([make_draft(), make_draft(content={"language": "uk"}), make_draft()], now=5)
    write_bundle(ledger, tmp_path / "out", selection=Chosen(("en",)))
    proof = tmp_path / "out" / "proof.json"
    told = json.loads(proof.read_text())
    assert told.pop("filter") == {"language": ["en"]}
    proof.write_text(json.dumps(told))
    assert any("leaves out 1 entries" in problem for problem in verify.verify(tmp_path / "out").problems)


def test_a_part_that_ends_before_its_pruning_verifies(
    make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """The entries that say what was pruned come along from after the range."""
    ledger = make_ledger()
    for year in range(6):
        draft = make_draft(content={"regime": "opt-in"}, decided_at=YEAR * year)
        ledger.store.append([draft], now=YEAR * year)
    prune(ledger.store, Retention.of({"opt-in": "P1Y"}, validity="P1Y"), now=YEAR * 5)
    write_bundle(ledger, tmp_path / "out", until=YEAR * 4)
    report = verify.verify(tmp_path / "out")
    assert entry_numbers(report).startswith("4 entries, 0 to 3, of the 7")
    assert "4 of these entries were pruned, as others report" in report.facts
    path = tmp_path / "out" / "entries.jsonl"
    *kept, told = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept))
    assert b'"kind":"pruned"' in told
    assert verify.verify(tmp_path / "out").index == 6


@pytest.mark.parametrize(("since", "until"), [(None, None), (0, 50), (300, None), (150, 160)])
def test_a_pinned_key_is_followed_to_its_successors(
    make_store: MakeStore,
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    tmp_path: Path,
    since: int | None,
    until: int | None,
) -> None:
    """A first key leads to the third through what each signed; a key that vouched for none of them leads nowhere."""
    store = make_store()
    keys = [Signer(NAME, seed=bytes([number]) * 32) for number in range(3)]
    receipts = []
    for number, key in enumerate(keys):
        ledger = make_ledger(store, signer=key, clock=lambda number=number: 100 * number + 50)
        store.append([make_draft() for _ in range(5)], now=100 * number)
        receipts.append(ledger.seal())
        if key is not keys[-1]:
            ledger.rotate(keys[number + 1])
    store.append([make_draft() for _ in range(5)], now=400)
    out = tmp_path / "out"
    write_bundle(ledger, out, since=since, until=until)
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"6.note", "12.note"}
    for number, key in enumerate(keys):
        report = verify.verify(out, key=key.verifier.text)
        entry_numbers(report)
        assert sum("handed over" in fact for fact in report.facts) == 2 - number
    if since is None and until is None:
        (tmp_path / "kept").write_bytes(receipts[0].note)
        assert verify.verify(out, earlier=tmp_path / "kept").level == 2
    strange = Signer(NAME, seed=b"x" * 32).verifier.text
    assert any("does not lead to it" in problem for problem in verify.verify(out, key=strange).problems)
    first = keys[0].verifier.text
    (out / "checkpoints" / "6.note").write_bytes((out / "checkpoints" / "12.note").read_bytes())
    assert any("checkpoints/6.note" in problem for problem in verify.verify(out, key=first).problems)
    remade(out, signer=keys[-1])
    assert any("does not lead to it" in problem for problem in verify.verify(out, key=first).problems)


def test_what_was_published_comes_with_its_time_stamp(
    make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path
) -> None:
    """The last checkpoint published on a day comes along, with the token of a time-stamp authority."""
    ledger = make_ledger()
    for number in range(4):
        ledger.store.append([make_draft()], now=5)
        assert ledger.store.publish_checkpoint(ledger.seal(), at=number * DAY // 2, after=number * DAY // 2 - 1)
        ledger.store.stamp_checkpoint(number + 1, token=b"token %d" % number)
    ledger.store.append([make_draft()], now=5)
    write_bundle(ledger, tmp_path / "out")
    found = contents(tmp_path / "out" / "checkpoints")
    assert set(found) == {"2.note", "2.token", "4.note", "4.token"}
    assert found["4.token"] == b"token 3"
    entry_numbers(verify.verify(tmp_path / "out"))


def test_documents_that_documents_name(make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path) -> None:
    """What a rendering was made of comes along, and so do pictures and reports of scans; other documents do not."""
    ledger = make_ledger()
    style = ledger.archive(Document(kind="asset", media_type="text/css", data=b"p {}"))
    picture = ledger.archive(Document(kind="picture", media_type="image/png", data=b"PNG"))
    other = ledger.archive(Document(kind="asset", media_type="text/css", data=b"q {}"))
    snapshot = ledger.archive(
        Document(kind="snapshot", media_type="application/json", data=canonical({"png": picture}))
    )
    scan = ledger.archive(Document(kind="scan", media_type="application/json", data=b'{"site":"x"}'))
    assets = canonical({"assets": {"banner.css": style}, "missing": "0" * 64})
    rendering = ledger.archive(Document(kind="rendering", media_type="application/json", data=assets))
    ledger.store.append([make_draft(content={"rendering": rendering})], now=5)
    ledger.erase(b"i" * 16, reason="request", decided_at=6)
    write_bundle(ledger, tmp_path / "out")
    held = {path.name for path in (tmp_path / "out" / "documents").iterdir()}
    assert held == {rendering, style, snapshot, picture, scan}
    assert other not in held
    (erased,) = json.loads((tmp_path / "out" / "erasures.json").read_text())
    assert (erased["index"], erased["reason"], erased["count"]) == (1, "request", 0)
    entry_numbers(verify.verify(tmp_path / "out"))
