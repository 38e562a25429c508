"""Hold the public names against what the package really has."""

from __future__ import annotations

import ast
import importlib
from importlib import metadata
from pathlib import Path

import pytest

import consent

ROOT = Path(consent.__file__).parent


def test_all_is_sorted_and_complete() -> None:
    """`__all__` names everything that type checkers see at the package's front door, sorted, and nothing else."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    fetched = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {
        alias.asname or alias.name
        for node in fetched
        for alias in node.names
        if (node.module or "").startswith("consent.")
    }
    assert list(consent.__all__) == sorted(consent.__all__)
    assert set(consent.__all__) == imported
    assert set(consent.__all__) <= set(dir(consent))


def test_a_public_name_is_where_type_checkers_see_it() -> None:
    """What is imported on first use is the very object of the module that the front door names."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("consent."):
            for alias in node.names:
                home = importlib.import_module(node.module or "")
                assert getattr(consent, alias.name) is getattr(home, alias.name)


def test_no_other_name_is_there() -> None:
    """A name that is none of ours is missing in the words that every module uses."""
    with pytest.raises(AttributeError, match="module 'consent' has no attribute 'Cookie'"):
        _ = getattr(consent, "Cookie")  # noqa: B009 - to a type checker it is missing as well


@pytest.mark.parametrize("name", consent.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each public name can be imported, and each class of ours says what it is for."""
    assert getattr(consent, name, None) is not None
    if name != "__version__":
        assert getattr(consent, name).__doc__


def test_front_doors_stay_empty() -> None:
    """No other `__init__.py` holds anything."""
    doors = [path for path in ROOT.rglob("__init__.py") if path.parent != ROOT]
    assert doors
    assert [str(path) for path in doors if path.read_text().strip()] == []


def test_the_version_is_the_distributions() -> None:
    """The version in the code is that of the installed distribution."""
    assert consent.__version__ == metadata.version("asgi-consent")


def test_types_are_shipped() -> None:
    """A `py.typed` lies beside the code."""
    assert (ROOT / "py.typed").is_file()
