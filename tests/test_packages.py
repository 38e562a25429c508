"""Test that a fetched package is the pinned one, without fetching any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages

FAKE = """#!/bin/sh
while [ "$1" != --pack-destination ]; do shift; done
{do}
"""


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, do: str) -> None:
    """Put an npm of our own first on the path."""
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(FAKE.format(do=do))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack nothing whose bytes are not those that were pinned."""
    fake_npm(tmp_path, monkeypatch, 'echo other > "$2/bulma-1.0.4.tgz"')
    with pytest.raises(ValueError, match="has the digest"):
        packages.fetch("bulma", tmp_path)


def test_what_npm_says_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell why there is nothing to test with."""
    fake_npm(tmp_path, monkeypatch, "echo no network >&2; exit 1")
    with pytest.raises(RuntimeError, match="no network"):
        packages.fetch("bulma", tmp_path)


def test_a_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt-get install npm"):
        packages.fetch("bulma", tmp_path)
