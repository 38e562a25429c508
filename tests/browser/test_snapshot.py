"""Take pictures of published notices from the archive alone, once each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consent.cli.main import main
from consent.ledger.sqlite import SqliteStore
from consent.settings import ConsentSettings
from consent.site import Site

pytestmark = pytest.mark.browser


def test_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each notice is drawn for phone and desktop; the log names the picture; a second run takes none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "consent.toml").write_text(
        'site_name = "The Meridian"\norigins = ["https://meridian.example"]\n[services.matomo-cloud]\n'
    )
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["0123456789abcdef0123456789abcdef"]')
    site = Site(ConsentSettings())
    site.start()
    site.close()
    arguments = [f"--chromium-arg={one}" for one in ("--no-sandbox", "--disable-gpu", "--disable-quic")]
    assert main(["snapshot", "--out", "pictures", *arguments]) == 0
    assert "2 pictures taken" in capsys.readouterr().out
    store = SqliteStore(tmp_path / "consent.db", origin="https://meridian.example")
    taken = [one for one in map(json.loads, store.entries()) if one["kind"] == "snapshot"]
    assert [(one["viewport"], one["width"], one["language"]) for one in taken] == [
        ("phone", 390, "en"),
        ("desktop", 1280, "en"),
    ]
    files = {path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    for one in taken:
        document = store.document(one["sha256"])
        assert document is not None
        assert document.data in files
        assert document.data.startswith(b"\x89PNG")
        # A blank page of this size is far smaller.
        assert len(document.data) > 10_000
    store.close()
    assert main(["snapshot", *arguments]) == 0
    assert "0 pictures taken" in capsys.readouterr().out
