"""Test that a bundle verifies offline, and that whatever is done to one is found, with the place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consent import verify
from consent.choice.canonical import canonical, parse
from consent.ledger.bundle import write_bundle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.formats import pieces
from consent.ledger.ledger import Ledger
from consent.ledger.merkle import Frontier, leaf_hash
from consent.ledger.selection import Selection
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document

SIGNER = Signer("meridian.example", seed=b"s" * 32)
KEY = SIGNER.verifier.text
COUNT = 7
FORMAT = verify.FORMATS[-1]
DOCS = Path(__file__).parents[1] / "docs"
Lines = list[bytes]


def _draft(number: int, *, notice: str) -> Draft:
    policy = {"slug": "privacy", "version": "1", "language": "en", "sha256": notice}
    return Draft(
        kind="consent",
        decided_at=1_000 + number,
        subject=bytes([number]) * 16,
        content={
            "status": "given",
            "method": "save",
            "scope": "site",
            "purposes": {"analytics": number % 2 == 0},
            "services": {},
            "notice": notice,
            "rendering": None,
            "policies": [policy],
            "language": "uk",
            "regime": "opt-in",
            "country": None,
            "signals": {"note": "«так»"},
        },
    )


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """Return a ledger of seven entries, one recorded each second from 100 on."""
    made = Ledger(SqliteStore(":memory:", origin="https://meridian.example"), signer=SIGNER)
    notice = made.archive(Document(kind="notice", media_type="application/json", data=b'{"n":1}', language="uk"))
    for number in range(COUNT):
        draft = _draft(number, notice=notice)
        if number == 3:
            draft = Draft(kind="notice-published", content={"notice": notice, "language": "uk"}, unique="n")
        made.store.append([draft], now=100 + number)
    yield made
    made.close()


@pytest.fixture
def bundle(ledger: Ledger, tmp_path: Path) -> Path:
    """Return a bundle of the whole ledger."""
    write_bundle(ledger, tmp_path / "bundle")
    return tmp_path / "bundle"


def run(words: list[str]) -> int:
    """Run the command, and return its exit status."""
    return verify.run(verify.PARSER.parse_args(words))


def remade(bundle: Path, *, signer: Signer = SIGNER) -> None:
    """Make the manifest again, as somebody would who wants a change to go unnoticed, and sign it with `signer`."""
    files = {
        path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.rglob("*")
        if path.is_file() and path.name not in verify.SEALED
    }
    manifest = json.dumps({"format": FORMAT, "origin": "https://meridian.example", "files": files}).encode()
    sealed(bundle, manifest, signer=signer)


def sealed(bundle: Path, manifest: bytes, *, signer: Signer = SIGNER) -> None:
    """Put a manifest into a bundle, and sign it."""
    (bundle / "manifest.json").write_bytes(manifest)
    said = f"{FORMAT} manifest\nhttps://meridian.example\n{hashlib.sha256(manifest).hexdigest()}\n"
    (bundle / "manifest.sig").write_bytes(signer.sign(said))


def rewritten(bundle: Path, change: Callable[[Lines], Lines]) -> None:
    """Change the lines of the entries."""
    path = bundle / "entries.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1]
    path.write_bytes(b"".join(line + b"\n" for line in change(lines)))


def resigned(bundle: Path, lines: Lines, *, signer: Signer = SIGNER) -> None:
    """Make hashes, proof, checkpoint and manifest anew for other entries: what only the holder of the key can do."""
    tree = Frontier()
    for line in lines:
        tree.append(leaf_hash(line))
    (bundle / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (bundle / "leaf-hashes.txt").write_text("".join(f"{leaf_hash(line).hex()}\n" for line in lines))
    proof = {"first": 0, "last": len(lines), "size": len(lines), "before": [], "after": []}
    (bundle / "proof.json").write_text(json.dumps(proof))
    (bundle / "checkpoint").write_bytes(Checkpoint.signed(signer, size=len(lines), root=tree.root()).note)
    (bundle / "key").write_text(signer.verifier.text)
    remade(bundle, signer=signer)


def lines_of(bundle: Path) -> Lines:
    """Return the lines of the entries."""
    return (bundle / "entries.jsonl").read_bytes().split(b"\n")[:-1]


def test_whole_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An untouched bundle verifies, and the level of evidence is named."""
    assert run([str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "7 entries, 0 to 6, of the 7 in the ledger of meridian.example\n" in out
    assert "evidence: self-signed" in out
    assert f"key: {SIGNER.verifier.text}" in out
    assert out.endswith("verified\n")


def test_its_own_copy(bundle: Path, tmp_path: Path) -> None:
    """The copy of the verifier inside the bundle runs on its own, with nothing of ours to import."""
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "."], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    source = (bundle / "verify.py").read_text()
    assert "import consent" not in source
    assert "from consent" not in source
    assert len(source.splitlines()) < 400


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
@pytest.mark.parametrize(
    ("since", "until"), [(None, None), (102, None), (None, 104), (103, 105), (101, 102), (200, None), (0, 1)]
)
def test_ranges(ledger: Ledger, tmp_path: Path, form: str, since: int | None, until: int | None) -> None:
    """Every range of time verifies against the checkpoint of the whole, also with a pinned key."""
    _, of = write_bundle(ledger, tmp_path / form, since=since, until=until)
    report = verify.verify(tmp_path / form, key=KEY)
    assert report.problems == []
    held = f"{of.last - of.first} entries, {of.first} to {of.last - 1}," if of.last > of.first else "no entries"
    assert report.facts[0].startswith(f"{held} of the {COUNT} in the ledger")


def test_empty_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger without entries has a bundle that verifies, and is said to hold none."""
    empty = Ledger(SqliteStore(":memory:", origin="https://meridian.example"), signer=SIGNER)
    write_bundle(empty, tmp_path / "bundle")
    empty.close()
    assert run([str(tmp_path / "bundle")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("no entries of the 0 in the ledger of meridian.example\n")
    assert out.endswith("\nverified, but it holds no entries\n")


def test_no_evidence_is_claimed_for_what_fails(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle that does not verify is no evidence at any level."""
    (bundle / "entries.jsonl").write_bytes(b"")
    assert run([str(bundle)]) == 1
    assert "evidence" not in capsys.readouterr().out


@pytest.mark.parametrize("written", ["foo", "a+b", "a+b+c", "meridian.example+00000000+AQ=="])
def test_a_key_that_is_none(written: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that is none is wrong use, and the line shows what one looks like."""
    with pytest.raises(SystemExit, match="2"):
        run([str(bundle), "--key", written])
    assert f"{written!r} is no verifier key: it looks like name+id+key" in capsys.readouterr().err


def altered(lines: Lines, *, index: int) -> Lines:
    """Change one byte of one entry."""
    line = lines[index]
    return [*lines[:index], line[:40] + bytes([line[40] ^ 1]) + line[41:], *lines[index + 1 :]]


CHANGES: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "byte of the first": (lambda lines: altered(lines, index=0), 0),
    "byte in the middle": (lambda lines: altered(lines, index=4), 4),
    "byte of the last": (lambda lines: altered(lines, index=6), 6),
    "two bytes": (lambda lines: altered(altered(lines, index=5), index=2), 2),
    "removed": (lambda lines: lines[:2] + lines[3:], 2),
    "first removed": (lambda lines: lines[1:], 0),
    "swapped": (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], 4),
    "repeated": (lambda lines: [*lines[:3], *lines[2:]], 3),
    "tail cut": (lambda lines: lines[:-2], 5),
    "all cut": (lambda lines: [], 0),
    "one added": (lambda lines: [*lines, lines[0]], 7),
    "emptied line": (lambda lines: [*lines[:3], b"", *lines[4:]], 3),
}


@pytest.mark.parametrize("manifest", ["old manifest", "manifest re-made"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_entries(bundle: Path, capsys: pytest.CaptureFixture[str], change: str, manifest: str) -> None:
    """Whatever is done to the entries, the exit status is 1 and the first bad entry is named exactly."""
    alter, index = CHANGES[change]
    rewritten(bundle, alter)
    if manifest == "manifest re-made":
        remade(bundle)
    assert run([str(bundle)]) == 1
    assert capsys.readouterr().err.endswith(f"NOT VERIFIED, first bad entry: {index}\n")


def test_tail_cut_with_its_hashes(bundle: Path) -> None:
    """A tail cut off the list of hashes as well is found, where it begins."""
    rewritten(bundle, lambda lines: lines[:5])
    path = bundle / "leaf-hashes.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    remade(bundle)
    assert verify.verify(bundle).index == 5


def test_change_with_its_hash(bundle: Path) -> None:
    """An entry changed together with its listed hash does not give the signed root."""
    rewritten(bundle, lambda lines: [lines[0].replace(b"analytics", b"analytic_"), *lines[1:]])
    leaves = [leaf_hash(line).hex() for line in lines_of(bundle)]
    (bundle / "leaf-hashes.txt").write_text("".join(f"{leaf}\n" for leaf in leaves))
    remade(bundle)
    assert any("the first 7 differ" in problem for problem in verify.verify(bundle).problems)


@pytest.mark.long
def test_every_byte(bundle: Path) -> None:
    """Every single byte of every file of a bundle is protected against a change."""
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        # The texts that are only carried along differ from one another in nothing but their SHA-256.
        carried = path.suffix in (".md", ".py", ".html") or path.parent.name == "schemas"
        for place in range(0, len(data), 50 if carried else 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])
            assert verify.verify(bundle, key=KEY).problems, (path.name, place)
        path.write_bytes(data)


def test_every_byte_of_every_file(bundle: Path) -> None:
    """One byte changed anywhere in a bundle is found, and in the entries at its index."""
    starts = [0]
    for line in lines_of(bundle):
        starts.append(starts[-1] + len(line) + 1)
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        # The long files differ from the others in nothing but their SHA-256: a sample does.
        carried = path.suffix in (".md", ".py", ".html") or path.parent.name == "schemas"
        step = 1999 if carried else 29 if path.suffix == ".jsonl" else 23
        for place in range(0, len(data), step):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])
            report = verify.verify(bundle, key=KEY)
            assert report.problems, (path.name, place)
            if path.name == "entries.jsonl":
                assert report.index == sum(start <= place for start in starts) - 1
        path.write_bytes(data)
    assert verify.verify(bundle, key=KEY).problems == []


@pytest.mark.parametrize(
    "name", ["entries.jsonl", "leaf-hashes.txt", "proof.json", "checkpoint", "key", "manifest.sig"]
)
@pytest.mark.parametrize(
    "data", [None, b"", b"\xff\n", b"[]\n", b"{}\n"], ids=["missing", "empty", "bytes", "[]", "{}"]
)
def test_broken_files(bundle: Path, name: str, data: bytes | None) -> None:
    """A file that is missing or something else is a finding, never a traceback."""
    (bundle / name).unlink()
    if data is not None:
        (bundle / name).write_bytes(data)
    assert verify.verify(bundle).problems


def test_added_file(bundle: Path) -> None:
    """A file that the manifest does not list is found."""
    (bundle / "documents" / "letter.txt").write_text("by the way")
    assert any("documents/letter.txt" in problem for problem in verify.verify(bundle).problems)


@pytest.mark.parametrize("name", ["../letter", "/letter", "a/b/c", "documents/..", "a\\b", "Key", ""])
def test_zip_with_names_that_lead_elsewhere(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """A zip file whose names could overwrite something where it is unpacked is refused before it is read."""
    write_bundle(ledger, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip", "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), "")
    (problem,) = verify.verify(tmp_path / "bundle.zip").problems
    assert problem.startswith("the bundle holds a file whose name no bundle has")


def test_zip_that_grows(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that unpacks to far more than its packed size is refused before it is unpacked."""
    monkeypatch.setattr(verify, "SMALL", 2**16)
    write_bundle(ledger, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("documents/bomb", bytes(2**24))
    assert verify.verify(tmp_path / "bundle.zip").problems == ["the bundle holds a file that grows beyond measure"]


def test_two_members_of_one_name(bundle: Path) -> None:
    """A signed manifest that two readers could read differently is refused."""
    manifest = (bundle / "manifest.json").read_bytes().replace(b"{", b'{"files": {}, ', 1)
    (bundle / "manifest.json").write_bytes(manifest)
    said = f"{FORMAT} manifest\nhttps://meridian.example\n{hashlib.sha256(manifest).hexdigest()}\n"
    (bundle / "manifest.sig").write_bytes(SIGNER.sign(said))
    assert any("cannot be read" in problem for problem in verify.verify(bundle).problems)


def test_symbolic_link(bundle: Path, tmp_path: Path) -> None:
    """A link that leads out of the bundle is refused."""
    shutil.copy(bundle / "checkpoint", tmp_path / "elsewhere")
    (bundle / "checkpoint").unlink()
    (bundle / "checkpoint").symlink_to(tmp_path / "elsewhere")
    assert any("symbolic link" in problem for problem in verify.verify(bundle).problems)


def test_changed_document(bundle: Path) -> None:
    """A text changed under its digest is found although the manifest was made again."""
    (document,) = (bundle / "documents").iterdir()
    document.write_bytes(b'{"n":2}')
    remade(bundle)
    report = verify.verify(bundle)
    first = next(n for n, line in enumerate(lines_of(bundle)) if document.name.encode() in line)
    assert report.problems == [f"entry {first} names what is missing or changed: documents/{document.name}"]


def test_missing_document(bundle: Path) -> None:
    """A digest with no text behind it is found, with the first entry that names it."""
    shutil.rmtree(bundle / "documents")
    remade(bundle)
    report = verify.verify(bundle)
    assert report.index == 0
    assert "names what is missing" in report.problems[0]


def test_manifest_signed_by_another(bundle: Path) -> None:
    """A manifest made again by somebody without the key is found."""
    remade(bundle, signer=Signer("meridian.example", seed=b"x" * 32))
    assert any(problem.startswith("manifest.json is not a note") for problem in verify.verify(bundle).problems)


def test_another_key(bundle: Path) -> None:
    """A bundle made again from top to bottom with another key verifies as self-signed, and not with the real key."""
    resigned(bundle, lines_of(bundle)[:-1], signer=Signer("meridian.example", seed=b"x" * 32))
    assert verify.verify(bundle).problems == []
    assert verify.verify(bundle, key=KEY).problems


def test_earlier_checkpoint(ledger: Ledger, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint kept elsewhere shows that what the holder of the key rewrote was rewritten."""
    lines = lines_of(bundle)
    tree = Frontier()
    for line in lines[:4]:
        tree.append(leaf_hash(line))
    kept = tmp_path / "kept"
    kept.write_bytes(Checkpoint.signed(SIGNER, size=4, root=tree.root()).note)
    arguments = [str(bundle), "--key", SIGNER.verifier.text, "--checkpoint", str(kept)]
    assert run(arguments) == 0
    assert "evidence: earlier checkpoint" in capsys.readouterr().out
    resigned(bundle, [lines[0], lines[2], *lines[3:]])
    assert run(arguments[:3]) == 0
    assert run(arguments) == 1
    assert "the earlier checkpoint is not of this tree: of 6 entries, the first 4 differ" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "problems"), [(0, 0), (7, 0), (8, 1)])
def test_sizes_of_earlier_checkpoints(bundle: Path, tmp_path: Path, size: int, problems: int) -> None:
    """An earlier checkpoint may be of an empty ledger or of today's, and not of one that has since lost entries."""
    tree = Frontier()
    for line in lines_of(bundle)[:size]:
        tree.append(leaf_hash(line))
    earlier = Checkpoint.signed(SIGNER, size=size, root=tree.root()).note
    kept = tmp_path / "kept"
    kept.write_bytes(earlier)
    assert len(verify.verify(bundle, earlier=kept).problems) == problems


@pytest.mark.parametrize(
    ("since", "until", "size", "told"),
    [
        *((104, 105, size, size > 3) for size in range(1, COUNT + 1)),
        *((None, 104, size, size != 5) for size in range(1, COUNT + 1)),
    ],
)
def test_earlier_checkpoint_outside_the_range(
    ledger: Ledger, bundle: Path, tmp_path: Path, since: int | None, until: int, size: int, told: bool
) -> None:
    """An earlier checkpoint that ends in a part left out is no failure and no evidence; that is said."""
    tree = Frontier()
    for line in lines_of(bundle)[:size]:
        tree.append(leaf_hash(line))
    earlier = Checkpoint.signed(SIGNER, size=size, root=tree.root()).note
    other = Checkpoint.signed(SIGNER, size=size, root=b"0" * 32).note
    # One hash stands for entries 0 to 3, or one for entries 4 and 5: no size between can be tried.
    write_bundle(ledger, tmp_path / "part", since=since, until=until)
    for note, problems in ((earlier, 0), (other, 1 if told else 0)):
        (tmp_path / "kept").write_bytes(note)
        report = verify.verify(tmp_path / "part", key=KEY, earlier=tmp_path / "kept")
        assert len(report.problems) == problems
        if not problems:
            assert f"evidence: {verify.LEVELS[2 if told else 1]}" in report.facts
            assert any("cannot be tried" in fact for fact in report.facts) is not told


def test_handing_over_in_another_tree(bundle: Path, tmp_path: Path) -> None:
    """A real checkpoint that cannot be tried against a forged tree does not let its key hand over there."""
    kept = tmp_path / "kept"
    shutil.copy(bundle / "checkpoint", kept)
    thief = Signer("meridian.example", seed=b"x" * 32)
    base = parse(lines_of(bundle)[3])
    turning = canonical(base | {"kind": "key-rotated", "old": KEY, "new": thief.verifier.text, "notice": "gone"})
    left = b"x" * 32
    tree = verify.Tree(())
    for node, height in ((leaf_hash(turning), 0), (left, 0), (left, 1), (left, 2)):
        tree.add(node, height)
    resigned(bundle, [turning], signer=thief)
    hashes = f"{leaf_hash(turning).hex()}\n0 {left.hex()}\n1 {left.hex()}\n2 {left.hex()}\n"
    (bundle / "leaf-hashes.txt").write_text(hashes)
    root = tree.parts[0][1]
    (bundle / "checkpoint").write_bytes(Checkpoint.signed(thief, size=8, root=root).note)
    remade(bundle, signer=thief)
    report = verify.verify(bundle, key=KEY, earlier=kept)
    assert any("cannot be tried" in fact for fact in report.facts)
    assert "does not lead to it" in report.problems[0]


def test_a_time_that_only_a_nested_object_holds(bundle: Path) -> None:
    """An entry is as old as it says itself, whatever stands in an object inside of it."""
    lines = lines_of(bundle)
    entry = parse(lines[3])
    nested = {"record": entry["record"], "recorded_at": entry["recorded_at"]}
    older = canonical(entry | {"a": nested, "recorded_at": "1970-01-01T00:00:01Z"})
    resigned(bundle, [*lines[:3], older, *lines[4:]])
    assert verify.verify(bundle).problems == ["entry 3 is older than the entry before it"]


def test_a_gap_that_another_kind_reports(bundle: Path) -> None:
    """Only an entry about pruning makes a missing one lawful."""
    lines = lines_of(bundle)
    turning = parse(lines[3]) | {"kind": "key-rotated", "old": KEY, "new": KEY, "ranges": [[1, 2]]}
    lines = [*lines[:3], canonical(turning), *lines[4:]]
    resigned(bundle, lines)
    rewritten(bundle, lambda lines: [lines[0], b"", *lines[2:]])
    remade(bundle)
    assert verify.verify(bundle).index == 1


def changed(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that replaces fields of an entry."""
    return lambda entry: entry | fields


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (changed(schema=2), "'schema'"),
        (changed(schema=True), "'schema'"),
        (changed(kind="other"), "'kind'"),
        (changed(record="7"), "'record'"),
        (changed(decided_at="2026-11-22"), "'decided_at'"),
        (changed(recorded_at=None), "'recorded_at'"),
        (changed(late=0), "'late'"),
        (changed(subject="me"), "'subject'"),
        (changed(status="maybe"), "'status'"),
        (changed(purposes={"media": 1}), "'purposes'"),
        (changed(services=[]), "'services'"),
        (changed(notice="x"), "'notice'"),
        (changed(policies=[{}]), "'policies'"),
        (changed(language=""), "'language'"),
        (changed(country=""), "'country'"),
        (changed(signals="gpc"), "'signals'"),
        (changed(ip="192.0.2.7"), "'ip'"),
        (changed(origin="https://other.example"), "of another origin"),
        (changed(notice="0" * 64), "names what is missing"),
        (changed(recorded_at="1970-01-01T00:00:01Z"), "older than the entry before it"),
        (lambda entry: {key: entry[key] for key in entry if key != "late"}, "'late'"),
    ],
)
def test_signed_entries_of_the_wrong_form(
    bundle: Path, change: Callable[[dict[str, Any]], dict[str, Any]], problem: str
) -> None:
    """Entries that say too much, too little or something else are found even where everything is signed."""
    lines = lines_of(bundle)
    resigned(bundle, [*lines[:4], canonical(change(parse(lines[4]))), *lines[5:]])
    report = verify.verify(bundle)
    assert report.index == 4
    assert len(report.problems) == 1
    assert problem in report.problems[0]


@pytest.mark.parametrize(
    "spell",
    [
        lambda line: line.replace(b'":', b'": ', 1),
        lambda line: line.replace(b"\xc2\xab", b"\\u00ab"),
        lambda line: line.replace(b'{"country":null,', b'{"country":null,"country":null,'),
        lambda line: line.replace(b'"schema":1', b'"schema":1.0'),
        lambda line: line.replace(b'"schema":1', b'"schema":9007199254740993'),
        lambda line: line.replace(b'"late":false', b'"late":NaN'),
        lambda line: b"[" * 100_000,
        lambda line: b'"text"',
        lambda line: line.replace(b"\xc2\xab", b"\xff"),
        lambda line: line.replace(b"\xc2\xab", b"\\ud800"),
    ],
)
def test_signed_entries_that_are_not_canonical(bundle: Path, spell: Callable[[bytes], bytes]) -> None:
    """An entry spelled in another way than the canonical one is found even where everything is signed."""
    lines = lines_of(bundle)
    resigned(bundle, [*lines[:4], spell(lines[4]), *lines[5:]])
    report = verify.verify(bundle)
    assert report.index == 4
    assert len(report.problems) == 1


def test_alike_entries_are_not_taken_on_trust(bundle: Path) -> None:
    """A record like one that was read is still refused where its own values are malformed."""
    lines = lines_of(bundle)
    resigned(bundle, [lines[0], lines[2].replace(b'"subject":"', b'"subject":"g', 1)])
    assert verify.verify(bundle).index == 1


def _swapped(line: bytes) -> bytes:
    decided, subject = (found[0] for found in (re.search(rb'"%b":"[^"]*"' % name, line) for name in OWN) if found)
    return line.replace(decided, b"@").replace(subject, decided).replace(b"@", subject)


OWN = (b"decided_at", b"subject")


@pytest.mark.parametrize(
    "spell",
    [
        _swapped,
        *(
            partial(re.sub, rb'"%b":"[^"]*"' % name, mark)
            for name in (*OWN, b"recorded_at")
            for mark in (b"?", b"\0", b"\1", b"\2")
        ),
        partial(re.sub, rb'"record":"[^"]*","recorded_at":"[^"]*"', b"\2"),
        partial(re.sub, rb'("decided_at":)"[^"]*"', rb'\1"9999-99-99T00:00:00Z"'),
        partial(re.sub, rb'("recorded_at":)"[^"]*"', rb'\1"2026-02-29T00:00:00Z"'),
    ],
)
def test_what_only_looks_alike(bundle: Path, spell: Callable[[bytes], bytes]) -> None:
    """Bytes that look like a record read before, to whoever looks briefly, are refused even where all is signed."""
    lines = lines_of(bundle)
    assert spell(lines[6]) != lines[6]
    resigned(bundle, [*lines[:6], spell(lines[6])])
    assert verify.verify(bundle).index == 6


@given(st.integers(0, 9999), st.integers(0, 19), st.integers(0, 39))
@example(2000, 2, 29)
@example(1900, 2, 29)
@example(2024, 2, 29)
@example(2026, 4, 31)
@example(0, 1, 1)
def test_dates_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    """A time is one exactly where the calendar has its day."""
    written = f"{year:04}-{month:02}-{day:02}T23:59:59Z"
    try:
        datetime.fromisoformat(written)
    except ValueError:
        assert not re.fullmatch(verify.TIME, f'"{written}"')
    else:
        assert re.fullmatch(verify.TIME, f'"{written}"')


def test_proof_that_says_another_place(bundle: Path) -> None:
    """A signed range cannot claim to end where the tree has nothing."""
    lines = lines_of(bundle)
    resigned(bundle, lines)
    path = bundle / "proof.json"
    proof = json.loads(path.read_text())
    path.write_text(json.dumps(proof | {"first": proof["first"] + 3, "last": proof["last"] + 3}))
    remade(bundle)
    assert any("is missing, or one too many" in problem for problem in verify.verify(bundle).problems)


@pytest.mark.parametrize("height", [64, 99])
def test_height_of_no_tree(bundle: Path, height: int) -> None:
    """A subtree higher than any ledger is refused before anything is computed of it."""
    path = bundle / "leaf-hashes.txt"
    path.write_text(f"{height} {'00' * 32}\n{path.read_text()}")
    remade(bundle)
    assert any("where none of that height can stand" in problem for problem in verify.verify(bundle).problems)


def test_named_pipe(bundle: Path) -> None:
    """A named pipe, in a bundle or for one, is refused and not waited for."""
    os.mkfifo(bundle / "documents" / "pipe")
    assert any("neither a file nor a folder" in problem for problem in verify.verify(bundle).problems)
    assert verify.verify(bundle / "documents" / "pipe").problems


def test_names_that_steer_the_terminal(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a forger puts into a name is printed with escapes, on the line where it belongs."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["x\nverified\x1b[8m"] = ""
    sealed(bundle, json.dumps(manifest).encode())
    assert run([str(bundle)]) == 1
    told = capsys.readouterr()
    assert "\\nverified\\x1b[8m" in told.err
    assert "\x1b" not in told.out + told.err
    assert "\nverified" not in told.out + told.err


def test_names_that_cannot_be_printed(bundle: Path) -> None:
    """A character that the terminal has no sign for is printed as an escape."""
    signer = Signer("meridian\u4e2d", seed=b"x" * 32)
    changed_lines = [
        line.replace(b"https://meridian.example", "https://meridian\u4e2d".encode()) for line in lines_of(bundle)
    ]
    resigned(bundle, changed_lines, signer=signer)
    done = subprocess.run(
        [sys.executable, "verify.py", "."],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "in the ledger of meridian\\u4e2d\n" in done.stdout


@pytest.mark.parametrize("first", [1, 2, 3])
def test_shifted_proof(bundle: Path, first: int) -> None:
    """A proof that puts the entries elsewhere is found."""
    path = bundle / "proof.json"
    proof = json.loads(path.read_text())
    before = [[0, "00" * 32]] * first
    path.write_text(json.dumps(proof | {"first": first, "last": first + COUNT, "before": before}))
    remade(bundle)
    assert verify.verify(bundle).problems


@pytest.mark.parametrize("size", ["07", "-1", "seven", ""])
def test_signed_notes_that_are_no_checkpoints(bundle: Path, size: str) -> None:
    """A note with a good signature whose size has another spelling is no checkpoint."""
    root = (bundle / "checkpoint").read_text().split("\n")[2]
    (bundle / "checkpoint").write_bytes(SIGNER.sign(f"meridian.example\n{size}\n{root}\n"))
    remade(bundle)
    assert [problem.partition(" ")[0] for problem in verify.verify(bundle).problems] == ["checkpoint"]


def test_large_files(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file larger than any of its kind is not read into memory, and neither is a line longer than any entry."""
    monkeypatch.setattr(verify, "SMALL", 100)
    assert verify.verify(bundle).problems
    monkeypatch.undo()
    monkeypatch.setattr(verify, "LINE", 100)
    assert verify.verify(bundle).index == 0


def test_subtree_out_of_place(bundle: Path) -> None:
    """A hash that claims a height it cannot have at its place is refused."""
    path = bundle / "leaf-hashes.txt"
    path.write_text(f"{path.read_text()}3 {'00' * 32}\n")
    remade(bundle)
    assert any("where none of that height can stand" in problem for problem in verify.verify(bundle).problems)


def test_zip_with_two_files_of_one_name(ledger: Ledger, tmp_path: Path) -> None:
    """A zip file in which a name stands for two files is refused."""
    write_bundle(ledger, tmp_path / "bundle.zip")
    with (
        zipfile.ZipFile(tmp_path / "bundle.zip", "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("entries.jsonl", "")
    assert any("two of one name" in problem for problem in verify.verify(tmp_path / "bundle.zip").problems)


def test_damaged_zip(ledger: Ledger, tmp_path: Path) -> None:
    """A zip file whose entries are damaged, or that is cut, does not verify, and gives no traceback."""
    path = tmp_path / "bundle.zip"
    write_bundle(ledger, path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (info,) = (info for info in archive.infolist() if info.filename == "entries.jsonl")
    for place in range(info.header_offset + 70, info.header_offset + info.compress_size, 29):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify.verify(path).problems
    for size in (0, 100, len(data) - 10):
        path.write_bytes(data[:size])
        assert verify.verify(path).problems


def test_wrong_use(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle, checkpoint or key that is not there is wrong use, exit status 2."""
    nothing = str(tmp_path / "nothing")
    for words in ([nothing], [str(bundle), "--checkpoint", nothing], [str(bundle), "--key", "nonsense"]):
        with pytest.raises(SystemExit, match="2"):
            run(words)
    assert capsys.readouterr().out == ""


def test_not_a_bundle(tmp_path: Path) -> None:
    """A folder or file of something else does not verify."""
    (tmp_path / "file").write_text("text")
    assert verify.verify(tmp_path).problems
    assert verify.verify(tmp_path / "file").problems


def test_lines_with_their_proofs(ledger: Ledger, tmp_path: Path) -> None:
    """The program in the documentation proves exported lines, and no altered one."""
    (program,) = re.findall(r"```python\n(.*?)```", (DOCS / "exports.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "proved.py").write_text(program)
    shutil.copy(verify.__file__, tmp_path / "verify.py")
    checkpoint, everything = ledger.seal(), Selection()
    places = list(everything.places(ledger.store, of=everything.span(ledger.store, size=checkpoint.size)))
    for form in ("jsonl", "proofs.jsonl"):
        data = b"".join(pieces(ledger.store, form=form, places=places, checkpoint=checkpoint))
        (tmp_path / form).write_bytes(data)
    words = [sys.executable, "proved.py", "jsonl", "proofs.jsonl", KEY]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:6]) == (0, "proved")
    (tmp_path / "jsonl").write_bytes((tmp_path / "jsonl").read_bytes().replace(b"analytics", b"analytic_", 1))
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "entry 0 is not proved\n")


def test_lines_that_stand_alone(ledger: Ledger, tmp_path: Path) -> None:
    """Exported lines without proofs are refused, and it is said what they lack."""
    (tmp_path / "lines").write_bytes(b"".join(body + b"\n" for body in ledger.store.entries()))
    (problem,) = verify.verify(tmp_path / "lines").problems
    assert problem.startswith("is neither bundle nor receipt")
