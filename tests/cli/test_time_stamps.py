"""Check the time stamps of a bundle on the command line, against the certificate of an authority made here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from consent import verify
from consent.cli.main import main
from consent.ledger.bundle import DAY, write_bundle
from consent.ledger.ledger import Ledger
from consent.ledger.timestamp import stamped
from tests.ledger.authority import founded, stamp
from tests.test_verify import COUNT, SIGNER, ledger, remade

__all__ = ["ledger"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a time-stamp authority."""
    return founded(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tsa(authority: Path) -> str:
    """Return where the authority's certificate lies."""
    return str(authority / "certificate.pem")


@pytest.fixture(scope="module")
def stamped_bundle(ledger: Ledger, authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle whose one checkpoint is stamped."""
    note = ledger.seal().note
    assert ledger.store.publish_checkpoint(ledger.opened(note), at=DAY, after=0)
    ledger.store.stamp_checkpoint(COUNT, token=stamped(note, ask=partial(stamp, authority)))
    write_bundle(ledger, tmp_path_factory.mktemp("stamped") / "bundle")
    return Path(tmp_path_factory.getbasetemp() / "stamped0" / "bundle")


@pytest.fixture
def bundle(stamped_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to change."""
    return Path(shutil.copytree(stamped_bundle, tmp_path / "bundle"))


def test_stamps_are_checked(bundle: Path, tsa: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the authority's certificate the stamp is checked, and its time is told; without, it says it was not."""
    assert main(["verify", str(bundle)]) == 0
    assert f"1 time stamps: {verify.UNCHECKED}\n" in capsys.readouterr().out
    assert main(["verify", str(bundle), "--key", SIGNER.verifier.text, "--tsa", tsa]) == 0
    told = capsys.readouterr().out
    assert f"evidence: outside time stamp: the first {COUNT} entries were there at 20" in told
    assert "evidence: pinned key" in told
    assert verify.UNCHECKED not in told


@pytest.mark.parametrize(("key", "level"), [([], 0), (["--key", SIGNER.verifier.text], 3)], ids=["no key", "key"])
def test_level(bundle: Path, tsa: str, capsys: pytest.CaptureFixture[str], key: list[str], level: int) -> None:
    """A stamp raises the level only of a ledger that is known: by itself it says when, and not whose."""
    assert main(["verify", str(bundle), "--tsa", tsa, "--json", *key]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verified"], told["level"]) == (True, level)


def other_note(bundle: Path, token: Path, authority: Path) -> None:
    """Put a stamp over other bytes there."""
    token.write_bytes(stamped(b"another note", ask=partial(stamp, authority)))


def garbage(bundle: Path, token: Path, authority: Path) -> None:
    """Put there what is no stamp."""
    token.write_bytes(b"no stamp")


def cut(bundle: Path, token: Path, authority: Path) -> None:
    """Cut the stamp off."""
    token.write_bytes(token.read_bytes()[:-1])


def changed(bundle: Path, token: Path, authority: Path) -> None:
    """Change the signature."""
    data = token.read_bytes()
    token.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def odd_certificate(bundle: Path, token: Path, authority: Path) -> None:
    """Give the certificate in the stamp a version that no certificate has."""
    token.write_bytes(token.read_bytes().replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03"))


def alone(bundle: Path, token: Path, authority: Path) -> None:
    """Stamp a checkpoint that is not there."""
    token.rename(token.with_name("3.token"))


def gone(bundle: Path, token: Path, authority: Path) -> None:
    """Take the stamp away."""
    token.unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (other_note, "does not verify"),
        (garbage, "does not verify"),
        (cut, "does not verify"),
        (changed, "does not verify"),
        (odd_certificate, "does not verify"),
        (alone, "3.note is missing"),
        (gone, "no time stamp to check"),
    ],
)
def test_wrong_stamps(
    bundle: Path,
    authority: Path,
    tsa: str,
    change: Callable[[Path, Path, Path], None],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong stamp is found out, though the ledger's key signed all of it; so is that there is none."""
    change(bundle, bundle / "checkpoints" / f"{COUNT}.token", authority)
    remade(bundle)
    assert main(["verify", str(bundle)]) == 0
    capsys.readouterr()
    assert main(["verify", str(bundle), "--tsa", tsa]) == 1
    told = capsys.readouterr().err
    assert why in told
    assert told.endswith("NOT VERIFIED\n")
    assert "evidence: outside time stamp" not in told


def test_another_authority(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stamp of an authority that was not named counts for nothing."""
    folder = tmp_path / "other"
    folder.mkdir()
    assert main(["verify", str(bundle), "--tsa", str(founded(folder) / "certificate.pem")]) == 1
    assert "does not verify" in capsys.readouterr().err


def test_a_bundle_that_fails_is_not_helped(bundle: Path, tsa: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not verify by itself does not for its stamps either."""
    (bundle / "checkpoint").unlink()
    assert main(["verify", str(bundle), "--tsa", tsa]) == 1
    assert "outside time stamp" not in capsys.readouterr().err


def test_wrong_use(
    bundle: Path, tsa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No certificate is wrong use, and without the package for time stamps it is said how to get it."""
    (tmp_path / "none.pem").write_text("nothing")
    for path in (tmp_path / "none.pem", tmp_path / "missing.pem"):
        assert main(["verify", str(bundle), "--tsa", str(path)]) == 2
        assert "holds no certificate" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["verify", str(bundle), "--tsa", tsa]) == 1
    assert "pip install 'asgi-consent[timestamp]'" in capsys.readouterr().err
