"""Run what the README shows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from consent.cli.main import main
from consent.testing import grant

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`consent init`, the README's consent.toml and its app make a site that asks, and that counts once allowed."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    (tmp_path / "consent.toml").write_text(blocks("toml")[0], encoding="utf-8")
    capsys.readouterr()
    (example,) = (block for block in blocks("python") if "def article" in block)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    with TestClient(names["app"], base_url="https://meridian.example") as client:
        assert 'value="reject_all"' in client.get("/").text
        grant(client, "analytics")
        assert "counted: True" in client.get("/").text


def test_the_configuration_is_toml() -> None:
    """Every block of configuration can be read."""
    assert blocks("toml")
    for block in blocks("toml"):
        tomllib.loads(block)


def test_everything_linked_is_there() -> None:
    """Links and pictures of README and docs lead to files that exist."""
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#\s]+)", file.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith(("mailto:", "/")):
                assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_the_two_commands_are_named() -> None:
    """A new user finds both commands that do all the set-up."""
    assert "make demo" in README
    assert "make test" in README
