"""Build the wheel, install it where the source is out of sight, and try it as a site would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = """
import json, sys
import consent
from consent.testing import grant, site
from consent import ConsentMiddleware
import asyncio

async def app(scope, receive, send):
    body = b'<!doctype html><body><script src="https://www.youtube.com/iframe_api"></script>'
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": body})

async def visit():
    guarded = ConsentMiddleware(app, site=site(services={"youtube": {}}))
    sent = []
    async def send(message): sent.append(message)
    async def receive(): return {"type": "http.request"}
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "scheme": "https"}
    await guarded(scope, receive, send)
    return sent

sent = asyncio.run(visit())
print(json.dumps({"where": consent.__file__, "body": sent[1]["body"].decode()}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a source distribution, as an index would get it."""
    folder = tmp_path_factory.mktemp("dist")
    for target, source in (("sdist", ROOT), ("wheel", None)):
        if source is None:
            (archive,) = folder.glob("*.tar.gz")
            subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
            (source,) = (path for path in folder.iterdir() if path.is_dir())
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that shares this one's dependencies, but not the source."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    here = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for dependency in here.iterdir():
        if "consent" not in dependency.name and not (packages / dependency.name).exists():
            (packages / dependency.name).symlink_to(dependency)
    return folder / "bin" / "python"


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with the source out of sight."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONSENT_", "PYTHONPATH"))}
    return subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_everything_and_nothing_else(wheel: Path) -> None:
    """Templates, policies, assets, data and languages are inside; tests, benchmarks and caches are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    held = set(names)
    assert held >= {
        "consent/py.typed",
        "consent/templates/consent_banner.html",
        "consent/starter_policies/privacy/1.en.md",
        "consent/web/static/consent.d.ts",
        "consent/web/static/consent.js",
        "consent/web/static/pages.css",
        "consent/choice/known_services.toml",
        "consent/locale/uk.po",
        "consent/verify.py",
    }
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"consent"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".pyc"))]


def test_the_installed_package_gates(python: Path, tmp_path: Path) -> None:
    """A site that only has the wheel keeps a tracker back, and shows the banner."""
    done = run(python, "-c", SITE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert str(ROOT) not in said["where"]
    assert 'type="text/plain"' in said["body"]
    assert 'value="reject_all"' in said["body"]


def test_the_installed_commands_work(python: Path, tmp_path: Path) -> None:
    """`consent init` writes a site's folder from what is in the wheel, and `consent check` reads it."""
    made = run(python, "-m", "consent", "init", str(tmp_path), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "policies" / "privacy").is_dir()
    checked = run(python, "-m", "consent", "check", "--json", cwd=tmp_path)
    assert checked.returncode in (0, 1), checked.stderr
    assert isinstance(json.loads(checked.stdout), list | dict)
