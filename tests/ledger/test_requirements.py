"""Test the table of requirements: every row is met by tests that exist, by the site, or said to be out of scope."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "consent" / "ledger" / "requirements.toml"
PAGE = ROOT / "docs" / "requirements.md"
HEAD = """# Requirements

Which requirement of law is met by what, and which tests show it. `requirements.toml` in every bundle says the same.
It says what the software does, and is no legal advice: a site that uses it differently may meet less.
"""


def rows() -> list[dict[str, Any]]:
    """Return the rows of the table."""
    found: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["requirement"]
    return found


def page() -> str:
    """Return the page that shows the table to people."""
    parts = [HEAD]
    for row in rows():
        if "tests" in row:
            told = row["how"] + "\n\n" + "\n".join(f"- `{test}`" for test in row["tests"])
        else:
            told = ("**The site's.** " if "met" in row else "**Out of scope.** ") + row["reason"]
        parts.append(f"## {row['id']}. {row['requirement']}\n\n{row['source']}\n\n{told}\n")
    return "\n".join(parts)


def test_every_row_says_who_meets_it() -> None:
    """The rows are numbered from 1, and each has tests, or is the site's, or out of scope with the reason."""
    found = rows()
    assert [row["id"] for row in found] == list(range(1, 46))
    for row in found:
        own = row.keys() - {"id", "requirement", "source"}
        assert own in ({"how", "tests"}, {"met", "reason"}, {"scope", "reason"}), row["id"]
        assert row.get("met", "site") == "site"
        assert row.get("scope", "out") == "out"
        assert all(row.values()), row["id"]


@pytest.mark.parametrize("row", [row for row in rows() if "tests" in row], ids=lambda row: str(row["id"]))
def test_every_named_test_exists(row: dict[str, Any]) -> None:
    """Each test that a row names is a function of that file."""
    for test in row["tests"]:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


def test_the_page_shows_the_table() -> None:
    """The page of the documentation is made of the table; `python -m tests.ledger.test_requirements` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
