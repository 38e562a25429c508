"""Visit pages in a browser, and say what loads or is stored without having been agreed to."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

from consent.choice.canonical import canonical
from consent.choice.regimes import Regime
from consent.cli.main import FAILED
from consent.cli.opened import existing_ledger
from consent.cli.progress import Bar
from consent.declared import catalogue_of, own_cookies
from consent.errors import ConfigurationError
from consent.ledger.store import Document
from consent.settings import ConsentSettings

if TYPE_CHECKING:
    from consent.cli.scanned.observed import Seen
    from consent.cli.scanned.report import Scan

FORMATS = (".html", ".json", ".sarif")
_STATES = 6


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent scan`."""
    parser = subparsers.add_parser(
        "scan",
        help="visit pages in a browser, and say what loads or is stored without having been agreed to",
        description=f"{__doc__} Exits with 1 if something leaks or is not declared.",
    )
    parser.add_argument("addresses", metavar="URL", nargs="+", type=_address, help="a page to visit")
    parser.add_argument(
        "--follow",
        metavar="N",
        type=_number,
        default=0,
        help="also visit what its links lead to on the same site, N steps far (default: %(default)s)",
    )
    parser.add_argument(
        "--pages", metavar="N", type=_positive, default=20, help="visit at most N pages (default: %(default)s)"
    )
    parser.add_argument(
        "--settle",
        metavar="SECONDS",
        type=_seconds,
        default=2.0,
        help="how long to wait on every page for what it loads late (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="how long to wait for a page to answer (default: %(default)s)",
    )
    parser.add_argument(
        "--regime",
        type=Regime,
        choices=list(Regime),
        default=Regime.OPT_IN,
        help="which rule holds where the browser is (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=_report,
        action="append",
        default=[],
        help=f"write a report: {', '.join(FORMATS)}; may be repeated",
    )
    parser.add_argument("--propose", action="store_true", help="print catalogue entries for what nobody declares")
    parser.add_argument(
        "--store", action="store_true", help="archive the JSON report in the site's ledger, by its digest"
    )
    parser.add_argument(
        "--browser", metavar="PATH", type=_file, help="the Chromium or Chrome to use (default: one that is installed)"
    )
    parser.add_argument(
        "--chromium-arg",
        metavar="ARG",
        action="append",
        default=[],
        help="an argument for the browser, as --chromium-arg=--lang=uk; may be repeated",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scan, report, and return 1 if something leaks, is not declared, or could not be visited."""
    if importlib.util.find_spec("playwright") is None:
        raise ConfigurationError("a scan needs Playwright", remedy="Install it with: pip install 'asgi-consent[scan]'")
    from consent.cli.scanned.leaks import leaks
    from consent.cli.scanned.owners import Owners
    from consent.cli.scanned.proposal import proposal
    from consent.cli.scanned.report import Scan, as_object, as_text

    settings = ConsentSettings()
    catalogue = catalogue_of(settings, cookies=own_cookies(settings))
    if not settings.file.is_file():
        print(
            f"consent: no {settings.file}: only the built-in services are known, and none is declared", file=sys.stderr
        )
    begun = int(time.time())
    seen = _seen(args, prefix=settings.prefix)
    owners = Owners(catalogue, site_hosts=settings.hosts, pages=[page.page for page in seen])
    scan = Scan(
        site=settings.name,
        begun=begun,
        regime=args.regime,
        seen=tuple(seen),
        leaks=tuple(leaks(seen, owners, regime=args.regime)),
        owners=owners,
    )
    data = canonical(as_object(scan))
    print("\n".join(as_text(scan)))
    document = Document(kind="scan", media_type="application/json", data=data)
    for path in args.report:
        _write(path, scan, document, config=settings.file)
    if args.store:
        with existing_ledger(settings) as ledger, closing(ledger.store):
            print(f"Archived in the ledger as {ledger.store.archive(document)}.")
    if args.propose and (draft := proposal(scan)):
        print(f"\n# Complete this, and add it to {settings.file.name}\n\n{draft}", end="")
    return FAILED if scan.failed else 0


def _seen(args: argparse.Namespace, *, prefix: str) -> list[Seen]:
    """Visit the pages that were named, and those their links lead to, breadth first."""
    from consent.cli.scanned.browser import browser
    from consent.cli.scanned.visits import see
    from consent.cli.scanned.window import Patience

    patience = Patience(timeout=args.timeout, settle=args.settle)
    waiting = [(address, 0) for address in dict.fromkeys(args.addresses)][: args.pages]
    known = {address for address, _ in waiting}
    seen: list[Seen] = []
    with browser(named=args.browser, arguments=args.chromium_arg) as started, Bar("Visiting") as bar:
        while waiting:
            address, steps = waiting.pop(0)
            progress = partial(_progress, bar, done=len(seen), pages=len(seen) + 1 + len(waiting))
            page = see(started, address, patience=patience, progress=progress)
            seen.append(page)
            if page.failure:
                print(f"consent: {address}: {page.failure}", file=sys.stderr)
            if steps < args.follow:
                new = [link for link in page.links if link not in known and not _own_page(link, prefix)]
                new = new[: max(0, args.pages - len(known))]
                known.update(new)
                waiting += [(link, steps + 1) for link in new]
        bar(len(seen) * _STATES, len(seen) * _STATES)
    return seen


def _progress(bar: Bar, number: int, *, done: int, pages: int) -> None:
    bar(done * _STATES + number, pages * _STATES)


def _own_page(link: str, prefix: str) -> bool:
    path = urlsplit(link).path
    return path == prefix or path.startswith(f"{prefix}/")


def _write(path: Path, scan: Scan, document: Document, *, config: Path) -> None:
    from consent.cli.scanned.report import as_html, as_sarif

    if path.suffix == ".json":
        data = document.data
    elif path.suffix == ".sarif":
        data = json.dumps(as_sarif(scan, config=config), ensure_ascii=False, indent=2).encode() + b"\n"
    else:
        data = as_html(scan, digest=document.digest).encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from None


# -- words of the command line


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        raise argparse.ArgumentTypeError(f"{text!r} is no page: write it as https://meridian.example/")
    return urldefrag(text)[0] if parts.path else f"{urldefrag(text)[0]}/"


def _number(text: str, *, least: int = 0) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
    return int(text)


def _positive(text: str) -> int:
    return _number(text, least=1)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write seconds, from above 0 to 600")
    return seconds


def _report(text: str) -> Path:
    path = Path(text)
    if path.suffix not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} names no kind of report: end it in {', '.join(FORMATS)}")
    return path


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path
