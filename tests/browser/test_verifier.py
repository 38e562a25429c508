"""Check that the page which verifies evidence agrees with verify.py, in a real browser and offline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import consent
from consent import testing, verify
from consent.ledger.bundle import write_bundle
from consent.ledger.checkpoint import Signer
from consent.ledger.ledger import Ledger
from tests.browser.conftest import Window
from tests.conftest import MakeClient, MakeSite
from tests.test_verify import COUNT, SIGNER, ledger, remade

pytestmark = pytest.mark.browser
__all__ = ["ledger"]

PAGE = Path(consent.__file__).parent / "verify.html"


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """Return the page as it opens from disk, without a network."""
    context = chromium.new_context(offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(PAGE.as_uri())
    yield page
    context.close()
    assert problems == []


def told(page: Page, evidence: Path, *, key: str = "", earlier: Path | None = None) -> dict[str, Any]:
    """Return what the page says of evidence."""
    page.locator("#folder" if evidence.is_dir() else "#file").set_input_files(evidence)
    page.get_by_label("Verifier key").fill(key)
    page.locator("#earlier").set_input_files([earlier] if earlier else [])
    page.locator("#check").press("Enter")
    page.wait_for_selector("#result[data-report]")
    report: dict[str, Any] = json.loads(page.locator("#result").get_attribute("data-report") or "")
    return report


def agree(page: Page, evidence: Path, *, key: str = "", earlier: Path | None = None) -> bool:
    """Tell whether evidence verifies, where both say the same of it: verdict, first bad entry, how many, what level."""
    report = verify.verify(evidence, key=key or None, earlier=earlier)
    said = told(page, evidence, key=key, earlier=earlier)
    assert said["verified"] is (not report.problems), (report.problems, said)
    assert said["index"] == report.index, (report.problems, said)
    if not report.problems:
        assert (said["entries"], said["level"], said["facts"]) == (report.entries, report.level, report.facts)
    return not report.problems


def test_its_rules_allow_its_own_script_alone() -> None:
    """The policy in the page names the digests of its script and style, and allows nothing else."""
    source = PAGE.read_text(encoding="utf-8")
    digests = {}
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digests[tag] = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', source)
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}';"
        " base-uri 'none'; form-action 'none'"
    )


def test_good_bundles(page: Page, ledger: Ledger, tmp_path: Path) -> None:
    """A folder, a zip file and a part verify, self-signed, under a pinned key and against an earlier bundle."""
    folder, packed, part = tmp_path / "bundle", tmp_path / "bundle.zip", tmp_path / "part.zip"
    write_bundle(ledger, folder)
    write_bundle(ledger, packed)
    write_bundle(ledger, part, since=102, until=104)
    for one in (folder, packed, part):
        assert agree(page, one)
        assert agree(page, one, key=SIGNER.verifier.text)
        assert agree(page, one, key=SIGNER.verifier.text, earlier=packed)
    assert not agree(page, packed, key=Signer("meridian.example", seed=b"x" * 32).verifier.text)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "7.token").write_bytes(b"a time stamp")
    remade(folder)
    assert agree(page, folder)
    assert f"1 time stamps: {verify.UNCHECKED}" in told(page, folder)["facts"]


def test_altered_bundles(page: Page, ledger: Ledger, tmp_path: Path) -> None:
    """A byte changed in any file of a folder, or anywhere in a zip file, is judged alike."""
    folder, packed = tmp_path / "bundle", tmp_path / "bundle.zip"
    write_bundle(ledger, folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for place in (0, len(data) // 2):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])
            assert not agree(page, folder), (path.name, place)
        path.write_bytes(data)
    lines = (folder / "entries.jsonl").read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], lines[:-1], [*lines, lines[0]], [*lines[:3], b"\n", *lines[4:]], lines[::-1], []):
        (folder / "entries.jsonl").write_bytes(b"".join(changed))
        assert not agree(page, folder)
    write_bundle(ledger, packed)
    data = packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        (entries,) = (info for info in archive.infolist() if info.filename == "entries.jsonl")
    for place in (entries.header_offset + 30, entries.header_offset + 90, len(data) - 6):
        packed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert not agree(page, packed)
    packed.write_bytes(data[: len(data) - 30])
    assert not agree(page, packed)
    assert len(lines) == COUNT


def test_receipts(page: Page, make_site: MakeSite, make_client: MakeClient, tmp_path: Path) -> None:
    """A receipt verifies by itself and against a later bundle, and not where it was altered."""
    site = make_site()
    client = make_client(site)
    testing.grant(client, "analytics")
    path, bundle = tmp_path / "receipt.json", tmp_path / "bundle.zip"
    path.write_bytes(client.get("/privacy/receipt.json").content)
    key = site.ledger.signer.verifier.text
    assert agree(page, path)
    assert agree(page, path, key=key)
    assert not agree(page, path, key=SIGNER.verifier.text)
    testing.grant(client, "media")
    write_bundle(site.ledger, bundle)
    assert agree(page, bundle, key=key, earlier=path)
    for old, new in (("dpv:ConsentGiven", "dpv:ConsentRefused"), ('"consent:late":false', '"consent:late":true')):
        written = path.read_text()
        assert old in written
        path.write_text(written.replace(old, new, 1))
        assert not agree(page, path)
        path.write_text(written)


def test_with_a_keyboard(window: Callable[..., Window]) -> None:
    """Everything is reached by Tab, and where nothing was given the page says so, where the focus then is."""
    visitor = window("file://")
    visitor.page.goto(PAGE.as_uri())
    reached = []
    for _ in range(5):
        visitor.page.keyboard.press("Tab")
        reached.append(visitor.page.evaluate("document.activeElement.id"))
    assert reached == ["file", "folder", "key", "earlier", "check"]
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector("#result[data-report]")
    assert "choose a bundle or a receipt first" in visitor.page.locator("#result:focus").inner_text()
