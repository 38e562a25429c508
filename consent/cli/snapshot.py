"""Take pictures of every notice as it was rendered, and archive them in the ledger."""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.errors import ConfigurationError, LedgerCorruptError
from consent.ledger.entry import Draft
from consent.ledger.gaps import events
from consent.ledger.ledger import Ledger
from consent.ledger.store import Document
from consent.settings import ConsentSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

VIEWPORTS = {"phone": (390, 844), "desktop": (1280, 800)}
"""Width and height in CSS pixels."""
SCHEMES = ("light", "dark")
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head><body>{html}</body></html>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Name one picture to be taken: which rendering of which notice, how large, and in which colours."""

    notice: str
    rendering: str
    language: str
    viewport: str
    scheme: str

    @property
    def name(self) -> str:
        """Return the unique name of the entry about it."""
        return f"snapshot/{self.rendering}/{self.viewport}/{self.scheme}"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent snapshot`."""
    parser = subparsers.add_parser("snapshot", help="archive pictures of every notice as it was rendered")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write the new pictures into this folder")
    parser.add_argument("--dark", action="store_true", help="take them in dark colours, too")
    parser.add_argument("--browser", metavar="PATH", type=Path, help="the Chromium to use (default: an installed one)")
    parser.add_argument(
        "--chromium-arg", metavar="ARG", action="append", default=[], help="an argument for the browser; repeatable"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Take what pictures are missing, archive them, and append an entry about each."""
    if importlib.util.find_spec("playwright") is None:
        raise ConfigurationError("pictures need Playwright", remedy="Install it with: pip install 'asgi-consent[scan]'")
    from consent.cli.scanned.browser import browser

    with existing_ledger(ConsentSettings()) as ledger:
        known = ledger.publications()
        schemes = SCHEMES if args.dark else SCHEMES[:1]
        missing = [one for one in pictures(ledger, schemes=schemes) if one.name not in known]
        if missing:
            if args.out is not None:
                _make(args.out)
            with browser(named=args.browser, arguments=args.chromium_arg) as started, Bar("Taking pictures") as bar:
                for number, picture in enumerate(missing, 1):
                    data = take(started, ledger, picture)
                    keep(ledger, picture, data)
                    if args.out is not None:
                        name = f"{picture.rendering[:12]}.{picture.language}.{picture.viewport}.{picture.scheme}.png"
                        _write(args.out / name, data)
                    bar(number, len(missing))
    print(f"{len(missing)} pictures taken and archived")
    return 0


def pictures(ledger: Ledger, *, schemes: tuple[str, ...]) -> Iterator[Picture]:
    """Yield every picture there should be, by the notices that the log says were published."""
    for entry in events(ledger.store, "notice-published"):
        for viewport in VIEWPORTS:
            for scheme in schemes:
                named = {name: entry[name] for name in ("notice", "rendering", "language")}
                yield Picture(**named, viewport=viewport, scheme=scheme)


def take(browser: Browser, ledger: Ledger, picture: Picture) -> bytes:
    """Return a PNG of a rendering; all that the page gets is what is archived with it.

    Raises LedgerCorruptError where the rendering is not in the archive.
    """
    archived = ledger.document(picture.rendering)
    if archived is None:
        raise LedgerCorruptError(f"the rendering {picture.rendering} is not in the archive")
    rendering: Any = json.loads(archived.data)
    origin = ledger.store.origin if "://" in ledger.store.origin else "https://site.invalid"
    page_text = _PAGE.format(
        language=escape(picture.language), title=escape(urlsplit(origin).hostname or ""), html=rendering["html"]
    )

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/":
            route.fulfill(body=page_text, content_type="text/html; charset=utf-8")
            return
        asset = next((one for one in rendering["assets"].values() if f".{one[:12]}." in path), None)
        document = None if asset is None else ledger.document(asset)
        if document is None:
            route.abort()
        else:
            route.fulfill(body=document.data, content_type=document.media_type)

    width, height = VIEWPORTS[picture.viewport]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        locale=picture.language,
        reduced_motion="reduce",
        service_workers="block",
    )
    try:
        context.route("**/*", answer)
        page = context.new_page()
        page.goto(f"{origin}/", wait_until="networkidle")
        return page.screenshot(animations="disabled", caret="hide")
    finally:
        context.close()


def keep(ledger: Ledger, picture: Picture, data: bytes) -> None:
    """Archive a picture, and append the entry that names it."""
    document = Document(kind="snapshot", media_type="image/png", data=data, language=picture.language)
    ledger.archive(document)
    width, height = VIEWPORTS[picture.viewport]
    content = {
        "notice": picture.notice,
        "rendering": picture.rendering,
        "language": picture.language,
        "viewport": picture.viewport,
        "width": width,
        "height": height,
        "scheme": picture.scheme,
        "sha256": document.digest,
    }
    ledger.publish(Draft(kind="snapshot", content=content, decided_at=int(time.time()), unique=picture.name))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make {folder}: {error.strerror or error}") from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from None
