"""Test the commands that look after the ledger: erase, prune, keys, ledger."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from consent.cli import erase
from consent.cli.main import main
from consent.ledger import code
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.sqlite import SqliteStore
from consent.opening import ledger_from
from consent.settings import ConsentSettings
from tests.cli.place import ORIGIN, Place
from tests.ledger.conftest import CONTENT

ID = b"i" * 16
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ledger(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Stand in a site's folder, with a signed ledger of four old records, one of them somebody's."""
    monkeypatch.chdir(place.folder)
    (place.folder / "consent.db").touch(mode=0o600)
    store = SqliteStore(place.folder / "consent.db", origin=ORIGIN)
    for number in range(4):
        draft = Draft(kind="consent", content=CONTENT, decided_at=1_000, subject=ID if number == 0 else None)
        store.append([draft], now=1_000)
    store.give_code(ID, digest=code.digest("ABCD-EFGH"))
    store.close()
    place.publish()
    return place


def seal() -> Checkpoint:
    """Sign the ledger as the site does."""
    ledger = ledger_from(ConsentSettings())
    try:
        return ledger.seal()
    finally:
        ledger.close()


def entries(place: Place, kind: str) -> list[dict[str, Any]]:
    """Return the entries of one kind."""
    store = SqliteStore(place.folder / "consent.db", origin=ORIGIN)
    found = [json.loads(body) for body in store.entries()]
    store.close()
    return [entry for entry in found if entry["kind"] == kind]


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a text on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("named", [ID.hex(), ID.hex().upper(), "abcd efgh"], ids=["id", "capitals", "code"])
def test_erase(ledger: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture, named: str) -> None:
    """A person is erased by consent id or receipt code; neither is printed, and nobody is found twice."""
    typed(monkeypatch, f"\n{named}\n{named}\n")
    assert main(["erase", "--yes", "--reason", "account-closed"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("erased, which is entry ")
    assert named not in said.out + said.err
    assert [(one["reason"], one["count"]) for one in entries(ledger, "erased")] == [("account-closed", 1)]
    typed(monkeypatch, named)
    assert main(["erase", "--yes"]) == 1
    assert capsys.readouterr().err == "consent: line 1 leads to no entry; nothing was erased\n"


def test_erase_nobody(ledger: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Naming nobody, or a reason that is none, is wrong use."""
    typed(monkeypatch, "\n \n")
    assert main(["erase", "--yes"]) == 2
    assert "nobody was named" in capsys.readouterr().err
    assert main(["erase", "--reason", "whim"]) == 2
    assert entries(ledger, "erased") == []


def test_erase_asks(ledger: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    """Without --yes it is asked for at the terminal; another answer, or nobody to ask, erases nothing."""
    monkeypatch.setattr(erase, "TERMINAL", str(tmp_path / "nowhere" / "terminal"))
    typed(monkeypatch, ID.hex())
    assert main(["erase"]) == 2
    assert "say --yes" in capsys.readouterr().err
    for answer, status in ((b"no\n", 2), (b"erase\n", 0)):
        ours, theirs = os.openpty()
        monkeypatch.setattr(erase, "TERMINAL", os.ttyname(theirs))
        os.write(ours, answer)
        typed(monkeypatch, ID.hex())
        assert main(["erase"]) == status
        shown = b""
        # A terminal hands on what was written in pieces.
        while b"Type erase to go on" not in shown:
            shown += os.read(ours, 1_000)
        os.close(ours)
        os.close(theirs)
    assert len(entries(ledger, "erased")) == 1


def test_erase_while_the_ledger_is_down(ledger: Place, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """An erasure by id waits in the queue, and is made when the site starts."""
    locked = sqlite3.connect("consent.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("consent.ledger.database.PATIENCE", 0.01)
    typed(monkeypatch, ID.hex())
    assert main(["erase", "--yes"]) == 0
    assert "waits for it" in capsys.readouterr().out
    locked.execute("ROLLBACK")
    locked.close()
    ledger.start()
    assert [(one["count"], one["late"]) for one in entries(ledger, "erased")] == [(1, True)]


def test_prune(ledger: Place, capsys: Capture) -> None:
    """A dry run says what would go and changes nothing; a hold keeps everything; then the old records go."""
    assert main(["prune", "--dry-run"]) == 0
    assert "opt-in: 4 records would be deleted, kept for P3Y" in capsys.readouterr().out
    assert main(["ledger", "hold", "add", "case-7", "--until", "1970-01-02"]) == 0
    assert main(["prune"]) == 0
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "hold case-7 is in force",
        "opt-in: 0 records deleted, kept for P3Y after their choice no longer held",
    ]
    assert main(["ledger", "hold", "list"]) == 0
    assert "case-7: what was recorded from the beginning until 1970-01-03T00:00:00Z" in capsys.readouterr().out
    assert main(["ledger", "hold", "remove", "case-7"]) == 0
    assert main(["ledger", "hold", "list"]) == 0
    assert "there is no hold" in capsys.readouterr().out
    assert main(["prune"]) == 0
    assert "opt-in: 4 records deleted" in capsys.readouterr().out
    assert entries(ledger, "consent") == []
    assert main(["export", "--out", "out.zip"]) == 0
    assert "; 4 more were pruned, as the log reports" in capsys.readouterr().out
    assert main(["verify", "out.zip"]) == 0
    assert "4 of these entries were pruned" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "Case 7"), "cannot name a hold"),
        (("add",), "cannot name a hold"),
        (("add", "x", "--since", "2026-01-02", "--until", "2026-01-01"), "ends before"),
        (("remove", "x"), "no hold 'x'"),
        (("drop", "x"), "invalid choice"),
        (("add", "x", "--since", "soon"), "not a date"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_holds(ledger: Place, capsys: Capture, words: tuple[str, ...], why: str) -> None:
    """A hold that makes no sense is wrong use, and is not recorded."""
    assert main(["ledger", "hold", *words]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert err.startswith("consent: ")
    assert entries(ledger, "hold") == []


def test_resume(ledger: Place, capsys: Capture) -> None:
    """After a restored backup the check is an error, and signing goes on once somebody says so."""
    assert main(["ledger", "resume"]) == 0
    assert "nothing keeps" in capsys.readouterr().out
    source = sqlite3.connect("consent.db")
    copy = sqlite3.connect("copy.db")
    source.backup(copy)
    source.close()
    copy.close()
    assert main(["ledger", "hold", "add", "later"]) == 0
    seal()
    for name in ("consent.db-wal", "consent.db-shm"):
        Path(name).unlink(missing_ok=True)
    shutil.copyfile("copy.db", "consent.db")
    capsys.readouterr()
    assert main(["check"]) == 1
    assert "C407 error consent.db: the ledger does not extend" in capsys.readouterr().out.replace(
        f"{ledger.folder}/", ""
    )
    assert main(["ledger", "status"]) == 1
    told = capsys.readouterr()
    assert "checkpoint  nothing is signed any more" in told.out
    assert "does not extend" in told.err
    assert main(["ledger", "resume"]) == 1
    told = capsys.readouterr()
    assert "--yes goes on from here" in told.out
    assert "see `consent" not in told.out
    assert main(["ledger", "resume", "--yes"]) == 0
    assert [(one["reason"], one["count"]) for one in entries(ledger, "gap")] == [("restored", 1)]
    assert main(["check"]) == 0


def test_resume_where_nobody_may(ledger: Place, capsys: Capture) -> None:
    """A database that contradicts itself is not gone on from."""
    with sqlite3.connect("consent.db") as connection:
        connection.execute("UPDATE leaf SET hash=zeroblob(32)")
    connection.close()
    assert main(["ledger", "resume", "--yes"]) == 1
    assert "no longer extends" in capsys.readouterr().err


def test_keys(ledger: Place, capsys: Capture) -> None:
    """The list names every key and shows no secret; a new one is printed once, for its owner."""
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("cookie secret 1 of 1  ")
    assert "ledger key  meridian.example+" in said
    assert not any(secret in said for secret in ledger.variables["CONSENT_SECRET_KEYS"])
    assert "PRIVATE" not in said
    assert main(["keys", "new"]) == 0
    assert len(capsys.readouterr().out.strip()) >= 32
    assert main(["keys", "new", "--ledger"]) == 0
    assert Signer.from_text(capsys.readouterr().out).name == "meridian.example"


def test_rotate(ledger: Place, capsys: Capture) -> None:
    """A new key beside the ledger takes over; what it signs verifies, and the list says whom it replaced."""
    old = Signer.from_text(Path("consent.db.key").read_text())
    assert main(["keys", "rotate"]) == 0
    new = Signer.from_text(Path("consent.db.key").read_text())
    assert new.verifier != old.verifier
    assert Path("consent.db.key").stat().st_mode & 0o777 == 0o600
    assert main(["ledger", "hold", "add", "x"]) == 0
    assert Checkpoint.opened(seal().note, verifier=new.verifier)
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    assert f"ledger key  {old.verifier.text}  replaced by {new.verifier.text}" in capsys.readouterr().out
    assert main(["export", "--out", "out.zip"]) == 0
    assert main(["verify", "out.zip", "--key", new.verifier.text]) == 0


def test_rotate_to_a_given_key(ledger: Place, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the key comes from the environment the next one is named, and takes over once it is there."""
    old, new = Signer.from_text(Path("consent.db.key").read_text()), Signer.generate("meridian.example")
    monkeypatch.setenv("CONSENT_LEDGER_KEY", old.to_text())
    assert main(["keys", "rotate"]) == 2
    assert "--to" in capsys.readouterr().err
    (tmp_path / "next").write_text(new.to_text())
    assert main(["keys", "rotate", "--to", str(tmp_path / "next")]) == 0
    assert "put it into CONSENT_LEDGER_KEY" in capsys.readouterr().out
    monkeypatch.setenv("CONSENT_LEDGER_KEY", new.to_text())
    assert main(["ledger", "hold", "add", "x"]) == 0
    assert Checkpoint.opened(seal().note, verifier=new.verifier)


@pytest.mark.parametrize("content", [None, b"\xff", b"x", b"other"], ids=["none", "bytes", "text", "another"])
def test_rotate_to_no_key(ledger: Place, capsys: Capture, tmp_path: Path, content: bytes | None) -> None:
    """What is no key of this ledger is refused in one line, and nothing changes."""
    before = Path("consent.db.key").read_bytes()
    if content == b"other":
        content = Signer.generate("other.example").to_text().encode()
    if content is not None:
        (tmp_path / "next").write_bytes(content)
    assert main(["keys", "rotate", "--to", str(tmp_path / "next")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert Path("consent.db.key").read_bytes() == before
    assert sorted(path.name for path in Path().glob("consent.db.key*")) == ["consent.db.key"]
    assert entries(ledger, "key-rotated") == []


def test_the_check_migrates_nothing(ledger: Place, capsys: Capture) -> None:
    """A ledger from before an upgrade is a finding, and its file stays as it is, byte for byte."""
    with sqlite3.connect("consent.db") as connection:
        connection.execute("PRAGMA user_version=4")
    connection.close()
    before = Path("consent.db").read_bytes()
    assert main(["check"]) == 0
    assert "C410 warning" in capsys.readouterr().out
    assert Path("consent.db").read_bytes() == before
