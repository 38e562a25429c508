"""Test signed notes, checkpoints and the ledger's key."""

from __future__ import annotations

import base64
import stat
import threading
from pathlib import Path

import pytest

from consent.errors import ConfigurationError, VerificationError
from consent.ledger.checkpoint import Checkpoint, Signer, Verifier, key_beside, note_name
from consent.verify import open_note, read_key

SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT + "\n\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The published example of golang.org/x/mod/sumdb/note, from which the C2SP specification grew."""


def test_published_note() -> None:
    """The published key signs the published text to the published note, and its verifier key opens it."""
    signer = Signer.from_text(SIGNER)
    assert signer.verifier.text == VERIFIER
    assert signer.sign(TEXT) == NOTE.encode()
    assert Verifier.from_text(VERIFIER).open(NOTE.encode()) == TEXT
    assert open_note("it", NOTE.encode(), [VERIFIER])[0] == TEXT[:-1].split("\n")


def test_signer_round_trip() -> None:
    """A signer written as text reads back as the same."""
    signer = Signer.generate("meridian.example")
    assert Signer.from_text(signer.to_text()).to_text() == signer.to_text()
    assert Verifier.from_text(signer.verifier.text) == signer.verifier
    assert read_key(signer.verifier.text)[0] == signer.verifier.name


def test_repr_shows_no_key() -> None:
    """Neither representation nor error message of a signer holds its secret."""
    signer = Signer(name := "meridian.example", seed=b"k" * 32)
    assert base64.b64encode(b"k" * 30).decode()[:30] not in repr(signer)
    assert name in repr(signer)
    broken = signer.to_text()[:-3] + "x"
    with pytest.raises(ConfigurationError) as caught:
        Signer.from_text(broken)
    assert "a2tr" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "new\nline"])
def test_signer_refuses_a_name(name: str) -> None:
    """A name that would break the form of notes is refused."""
    with pytest.raises(ConfigurationError, match="cannot name a key"):
        Signer.generate(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        SIGNER.replace("PRIVATE", "PUBLIC"),
        SIGNER.replace("c74f20a3", "c74f20a4"),
        SIGNER.replace("AYEK", "AoEK"),
    ],
)
def test_signer_refuses_text(text: str) -> None:
    """Text that is no signing key is refused with a remedy."""
    with pytest.raises(ConfigurationError, match="not a signing key"):
        Signer.from_text(text)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "PeterNeumann+c74f20a3", VERIFIER.replace("c74f20a3", "c74f20a4"), VERIFIER.replace("ARpc", "AhpcA")],
)
def test_verifier_refuses_text(text: str) -> None:
    """Text that is no verifier key is refused."""
    with pytest.raises(VerificationError, match="not a verifier key"):
        Verifier.from_text(text)


def test_every_changed_byte_of_a_note_is_found() -> None:
    """No note with one byte changed opens, with our code or the stand-alone verifier."""
    note, verifier = NOTE.encode(), Verifier.from_text(VERIFIER)
    for place in range(len(note)):
        altered = bytearray(note)
        altered[place] ^= 1
        with pytest.raises(VerificationError):
            verifier.open(bytes(altered))
        with pytest.raises(Exception, match="is not a note"):
            open_note("it", bytes(altered), [VERIFIER])


def test_other_signatures_are_passed_over() -> None:
    """A note that a witness has signed as well still opens."""
    witness = Signer.generate("witness.example").sign(TEXT).decode().split("\n\n")[1]
    assert Verifier.from_text(VERIFIER).open((NOTE + witness).encode()) == TEXT
    assert open_note("it", (NOTE + witness).encode(), [VERIFIER])[0] == TEXT[:-1].split("\n")


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"\xff\n\n",
        b"te\x00xt\n\n\xe2\x80\x94 a b\n",
        b"text\n\n- PeterNeumann x08go/ZJkuBS\n",
        b"text\n\n\xe2\x80\x94 PeterNeumann !!\n",
    ],
    ids=repr,
)
def test_malformed_notes(note: bytes) -> None:
    """What is no signed note is refused, not an error of another kind."""
    with pytest.raises(VerificationError, match="not a signed note"):
        Verifier.from_text(VERIFIER).open(note)
    with pytest.raises(VerificationError, match="not a signed note"):
        Checkpoint.unchecked(note, name="PeterNeumann")


def test_checkpoint_round_trip() -> None:
    """A signed checkpoint has the form of tlog-checkpoint and opens as what was signed."""
    signer = Signer.generate("meridian.example")
    checkpoint = Checkpoint.signed(signer, size=12, root=b"r" * 32)
    assert checkpoint.note.decode().split("\n")[:4] == [
        "meridian.example",
        "12",
        base64.b64encode(b"r" * 32).decode(),
        "",
    ]
    assert Checkpoint.opened(checkpoint.note, verifier=signer.verifier) == checkpoint
    assert Checkpoint.unchecked(checkpoint.note, name="meridian.example") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "meridian.example\n12\n",
        "meridian.example\n012\nAAAA\n",
        f"other.example\n12\n{base64.b64encode(bytes(32)).decode()}\n",
        f"meridian.example\n012\n{base64.b64encode(bytes(32)).decode()}\n",
        f"meridian.example\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"meridian.example\n12\n{base64.b64encode(bytes(31)).decode()}\n",
    ],
)
def test_signed_notes_that_are_no_checkpoints(text: str) -> None:
    """A note with a good signature and other content is no checkpoint."""
    signer = Signer.generate("meridian.example")
    with pytest.raises(VerificationError, match="not a checkpoint"):
        Checkpoint.opened(signer.sign(text), verifier=signer.verifier)


def test_note_ends_with_a_newline() -> None:
    """Text without a newline at its end cannot be signed."""
    with pytest.raises(ValueError, match="ends with a newline"):
        Signer.generate("meridian.example").sign("text")


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://meridian.example", "meridian.example"),
        ("http://localhost:8000/", "localhost:8000"),
        ("meridian.example", "meridian.example"),
    ],
)
def test_note_name(origin: str, name: str) -> None:
    """A ledger signs under its origin without the scheme."""
    assert note_name(origin) == name


def test_key_beside_is_made_once(tmp_path: Path) -> None:
    """Many that start at once end with one key, in a file for its owner alone, and leave nothing else behind."""
    path = tmp_path / "consent.db.key"
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(key_beside(path, name="meridian.example").to_text()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_key_beside_refuses(tmp_path: Path) -> None:
    """A key of another ledger, or a place that cannot be written, is a configuration error that says what to do."""
    key_beside(tmp_path / "key", name="meridian.example")
    with pytest.raises(ConfigurationError, match=r"signs for 'meridian.example', not for 'other.example'"):
        key_beside(tmp_path / "key", name="other.example")
    with pytest.raises(ConfigurationError, match="set CONSENT_LEDGER_KEY"):
        key_beside(tmp_path / "key" / "below", name="meridian.example")
