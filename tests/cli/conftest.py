"""Build a site without a fault for the tests of this folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a site without a fault, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith("CONSENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    return Place(tmp_path / "site")
