"""Hold the imports against the arrows of the design: each room knows only what lies below it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import consent

ROOT = Path(consent.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

LAYERS = (
    ("errors", "version"),
    ("choice",),
    ("gate", "ledger", "policies"),
    ("site",),
    ("middleware", "web"),
    ("__main__", "cli", "demo", "integrations", "testing"),
)
"""The rooms, the lowest first; a room may know those below it."""
BUILDING = (
    *("assets", "colour", "declared", "embed", "fragments", "languages", "opening", "pages", "publication"),
    *("reports", "settings", "sharing", "shipped", "theme", "visitors"),
)
"""What lies around the site: on its floor, known to the floors above."""
ENTRANCE = ("asked", "codings", "gating", "holding", "inserting", "instead", "kinds", "marking", "responder")
"""What the middleware is built of."""
APART = ("verify",)
"""The stand-alone verifier, which imports nothing of ours."""
FLOOR = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}
FLOOR |= dict.fromkeys(BUILDING, FLOOR["site"]) | dict.fromkeys(ENTRANCE, FLOOR["web"])

IMPURE = frozenset(
    {
        *("starlette", "fastapi", "uvicorn", "jinja2", "pydantic", "pydantic_settings", "anyio", "httpx2"),
        *("asyncio", "io", "os", "pathlib", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile"),
        *("threading", "time", "urllib.request", "http", "random", "secrets"),
    }
)
"""What a pure room never imports: frameworks, input and output, clocks and chance."""


def imports(name: str) -> Iterator[str]:
    """Yield the full names of the modules that one file imports, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """Return the room of a module of ours, by its dotted name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def room_of(name: str) -> str:
    """Return the room of a file of ours, by its path."""
    return name.partition("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__.py"])
def test_arrows_point_one_way(name: str) -> None:
    """A file imports only from its own room, its own floor's parts, and the floors below."""
    own = room_of(name)
    ours = {room(module) for module in imports(name) if module.split(".")[0] == "consent"}
    if own in APART:
        assert ours == set()
        return
    assert own in FLOOR, f"{name} lies in a room that is on no floor: give it one"
    for other in ours - {own}:
        if own == "cli" and other == "verify":
            continue
        assert other in FLOOR, f"{name} imports {other or 'the front door'}"
        same = FLOOR[other] == FLOOR[own] and (
            own in BUILDING or own == "site" or (own in ENTRANCE or own == "middleware") or own in LAYERS[-1]
        )
        assert FLOOR[other] < FLOOR[own] or same, f"{name} imports {other}"


def test_no_circles() -> None:
    """No file imports, by whatever way, itself."""
    modules = {"consent." + name.removesuffix(".py").replace("/", "."): name for name in FILES}
    graph = {}
    for module, name in modules.items():
        named = list(imports(name))
        graph[module] = {one for full in named for one in (full, full.rpartition(".")[0]) if one in modules} - {module}
    done: set[str] = set()
    while ready := {module for module in graph if module not in done and graph[module] <= done}:
        done |= ready
    assert set(graph) - done == set()


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) in ("choice", "gate")])
def test_pure_rooms_stay_pure(name: str) -> None:
    """`choice` and `gate` import no framework, no input or output, no clock and no chance."""
    for module in imports(name):
        prefixes = {module, module.rpartition(".")[0], module.split(".")[0]}
        assert not prefixes & IMPURE, f"{name} imports {module}"


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) in ("choice", "gate")])
def test_pure_rooms_open_nothing(name: str) -> None:
    """No file of `choice` or `gate` calls `open`, `print`, `input`, `exec` or `eval`."""
    calls = {
        node.func.id
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


def test_settings_are_read_by_few() -> None:
    """Only the site's floor, the middleware's door, the commands and the tests' kit build settings."""
    readers = {room_of(name) for name in FILES if any(m.startswith("consent.settings") for m in imports(name))}
    assert readers <= {"__init__", "site", *BUILDING, "middleware", "cli", "demo", "testing"}


def test_the_verifier_stands_alone() -> None:
    """The verifier needs the standard library and `cryptography`, and nothing else."""
    needed = {module.split(".")[0] for module in imports("verify.py")}
    assert needed - {"cryptography", "__future__"} <= set(sys.stdlib_module_names)
