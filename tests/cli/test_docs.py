"""Test that the documents name every setting, command, option, check code and dependency, as they are."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

import pytest

from consent.choice.catalogue import Service
from consent.cli.findings.finding import CODES
from consent.cli.main import COMMANDS, parser
from consent.settings import PREFIX, ConsentSettings, ControllerSettings
from consent.theme import Colours, Theme

ROOT = Path(__file__).parents[2]
EMPTY: tuple[Any, ...] = ({}, ControllerSettings())
HEADED = re.compile(r"^## `consent (\w+)", re.M)


def document(name: str) -> str:
    """Return the text of a document."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of all tables by their first cell, without backquotes."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "]
    return {row[0].strip("| `"): row[1:] for row in cells}


def shown(default: Any) -> str:
    """Return a default as the document writes it."""
    if default is None:
        return "none"
    if default in EMPTY:
        return "empty"
    if default == Theme():
        return "ours"
    value = str(default) if isinstance(default, str | PurePath) else default
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


@pytest.mark.parametrize("name", ConsentSettings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    """Each setting has a row with its default, the variable it is read from, and what it means."""
    _, default, variable, meaning = rows(document("settings.md"))[name]
    assert default == shown(ConsentSettings.model_fields[name].get_default(call_default_factory=True))
    assert variable == f"`{PREFIX}{name.upper()}`"
    assert meaning.rstrip("|").strip()


@pytest.mark.parametrize("name", ControllerSettings.model_fields)
def test_every_field_of_the_controller_is_documented(name: str) -> None:
    """Each field has a row with the variable it is read from."""
    assert rows(document("settings.md"))[name][0] == f"`{PREFIX}CONTROLLER__{name.upper()}`"


def test_every_value_of_the_theme_is_documented() -> None:
    """Each has a row with its default, and each colour that of the dark scheme."""
    table = rows(document("theming.md"))
    ours = Theme()
    for name in Theme.model_fields.keys() - {"dark"}:
        _, _, light, dark = table[name]
        assert light == f"`{getattr(ours, name)}`"
        assert dark.rstrip("| ") == (f"`{getattr(ours.dark, name)}`" if name in Colours.model_fields else "")


def test_every_field_of_a_service_is_documented() -> None:
    """The table of fields names those of a service and no others."""
    table = document("settings.md").partition("The fields of a service.")[2].partition("\n\nLifetimes")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert named == {field.name for field in fields(Service)} - {"key"}


def parsers(one: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its actions."""
    yield one
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    """Each command has a section that names its options and actions, and no option that is not there."""
    text = document("commands.md")
    sections = dict(zip(HEADED.findall(text), HEADED.split(text)[2::2], strict=True))
    assert set(sections) == set(COMMANDS)
    action = next(one for one in parser([name])._actions if isinstance(one, argparse._SubParsersAction))
    found = list(parsers(action.choices[name]))
    options = {option for one in found for each in one._actions for option in each.option_strings} - {"-h", "--help"}
    assert options == set(re.findall(r"`(--[a-z-]+)", sections[name]))
    for one in found[1:]:
        assert f"| `{one.prog.split()[-1]}" in sections[name]


def test_every_check_code_is_documented() -> None:
    """The tables have a row for every code and for none that does not exist, each with cause and remedy."""
    documented = rows(document("checks.md"))
    codes = {code: row for code, row in documented.items() if re.fullmatch(r"C\d+", code)}
    assert list(codes) == list(CODES)
    for code, (severity, cause, remedy) in codes.items():
        assert severity in ("error", "warning", "info"), code
        assert cause, code
        assert remedy.rstrip("| "), code


def test_every_dependency_has_its_reason() -> None:
    """Whatever the project asks for stands in the table, and nothing else does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    lists = (project["build-system"]["requires"], project["project"]["dependencies"], *extras.values())
    asked = {re.split(r"[<>=\[]", one)[0] for each in lists for one in each}
    text = document("dependencies.md")
    named = {name for line in text.splitlines() if line[:3] == "| `" for name in re.findall(r"`([\w-]+)` \|", line)}
    assert named - set(extras) == asked
    assert named & set(extras) == set(extras) - {"dev"}


@pytest.mark.parametrize("name", ["settings.md", "commands.md", "checks.md", "dependencies.md"])
def test_links_between_documents_lead_somewhere(name: str) -> None:
    """Every relative link names a document that is there."""
    for target in re.findall(r"\]\(([\w-]+\.md)\)", document(name)):
        assert (ROOT / "docs" / target).is_file(), target
