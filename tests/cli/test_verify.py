"""Check a visitor's receipt on the command line, without the site it is from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consent import testing
from consent.cli.main import main
from consent.ledger.bundle import write_bundle
from consent.ledger.checkpoint import Signer, note_name
from consent.site import Site
from tests.conftest import ORIGIN, MakeClient


@pytest.fixture
def site(make_site: Any) -> Site:
    """Return a site."""
    site: Site = make_site()
    return site


@pytest.fixture
def kept(site: Site, make_client: MakeClient, tmp_path: Path) -> Path:
    """Return the receipt of somebody who agreed, as they saved it."""
    client = make_client(site)
    testing.grant(client, "analytics")
    path = tmp_path / "receipt.json"
    path.write_bytes(client.get("/privacy/receipt.json").content)
    return path


def test_a_receipt_verifies(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt verifies by itself, and says what it proves and for what."""
    assert main(["verify", str(kept)]) == 0
    told = capsys.readouterr().out
    for words in ("1 records of", "meridian.example", "given, record", "self-signed", "verified"):
        assert words in told


def test_a_receipt_is_held_against_a_later_bundle(
    kept: Path, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that came another way raises the evidence; a receipt shows that a later bundle still holds its history."""
    key = site.ledger.signer.verifier.text
    assert main(["verify", str(kept), "--key", key]) == 0
    assert "pinned key" in capsys.readouterr().out
    for number in range(2):
        site.ledger.erase(bytes([number]) * 16, reason="visitor", decided_at=0)
    bundle, part = tmp_path / "bundle.zip", tmp_path / "part"
    write_bundle(site.ledger, bundle)
    assert main(["verify", str(bundle), "--key", key, "--checkpoint", str(kept)]) == 0
    assert "evidence: earlier checkpoint or receipt" in capsys.readouterr().out
    write_bundle(site.ledger, part, until=0)
    assert main(["verify", str(part), "--checkpoint", str(kept)]) == 0
    assert "evidence: earlier checkpoint or receipt" in capsys.readouterr().out
    assert main(["verify", str(kept), "--checkpoint", str(bundle)]) == 1
    assert "hold another key, or what was kept, against a bundle" in capsys.readouterr().err


def test_json(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The outcome comes as one JSON object where a program asks."""
    assert main(["verify", str(kept), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verified"], told["problems"], told["entries"], told["level"]) == (True, [], 1, 0)
    kept.write_text("{}")
    assert main(["verify", str(kept), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verified"] is False


def test_another_key_verifies_nothing(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt that another key signed is refused."""
    other = Signer.generate(note_name(ORIGIN)).verifier.text
    assert main(["verify", str(kept), "--key", other]) == 1
    assert "NOT VERIFIED" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"consent:key": 1}'])
def test_what_is_no_receipt_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """Whatever a file holds gets an answer and no traceback."""
    path = tmp_path / "receipt.json"
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 1
    assert "NOT VERIFIED" in capsys.readouterr().err


def test_an_altered_receipt_is_found(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A yes that becomes a no, or a date that moves, is found."""
    told = json.loads(kept.read_text())
    told["dpv:hasRecordOfActivity"][0]["dpv:hasConsentStatus"][0]["dpv:isIndicatedAtTime"] = "2020-01-01T00:00:00Z"
    kept.write_text(json.dumps(told))
    assert main(["verify", str(kept)]) == 1
    assert "says something else than its entry" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is wrong use."""
    assert main(["verify", str(kept), "--checkpoint", str(kept.parent / "none")]) == 2
    assert "none" in capsys.readouterr().err
