"""Serve an invented news site and its pretend trackers, to see consent at work."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from consent.errors import ConfigurationError
from consent.settings import CONFIG_FILE, ConsentSettings

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_PORT = 8000
DEFAULT_TRACKER_PORT = 8001
HIGHEST_PORT = 65_535


def add(subparsers: Subparsers) -> None:
    """Add the command `demo`."""
    parser = subparsers.add_parser(
        "demo", help="serve an invented news site and its pretend trackers", description=__doc__
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="the site's port (default: %(default)s)")
    parser.add_argument(
        "--tracker-port", type=_port, default=DEFAULT_TRACKER_PORT, help="the trackers' port (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("demo-site"),
        help="the folder for configuration, secrets, policies and ledger; made if missing (default: %(default)s)",
    )
    parser.add_argument(
        "--csp",
        action="store_true",
        help="let the pages send a Content-Security-Policy, to see it narrowed; a yes then reloads the page",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; return 1, after one line on standard error, if that is not possible."""
    if importlib.util.find_spec("uvicorn") is None:
        return _refuse("the demo needs a server. Install it with: pip install 'asgi-consent[server]'")
    from consent.demo import server
    from consent.demo.folder import make

    try:
        if args.port == args.tracker_port:
            raise ConfigurationError("the site and the trackers cannot share a port", remedy="Choose another --port")
        folder = args.dir.resolve()
        with (
            server.listen(args.host, args.port, option="--port") as listening,
            server.listen(args.host, args.tracker_port, option="--tracker-port") as tracker_listening,
        ):
            written = make(folder, port=args.port)
            settings = ConsentSettings.from_toml(folder / CONFIG_FILE)
            return server.serve(
                folder,
                listening=listening,
                tracker_listening=tracker_listening,
                csp=args.csp,
                announce=lambda: print(_addresses(settings, port=args.port, written=written), flush=True),
            )
    except ConfigurationError as error:
        return _refuse(str(error))


def _addresses(settings: ConsentSettings, *, port: int, written: Sequence[str]) -> str:
    """Say where everything is."""
    at = f"http://meridian.localhost:{port}"
    token = next((token.get_secret_value() for token in settings.audit_tokens), "")
    lines = [
        f"The Meridian           {at}/",
        f"                       http://localhost:{port}/",
        f"What the trackers saw  {at}/en/what-the-trackers-saw",
        f"Audit                  {at}{settings.prefix}/audit/",
        f"Audit token            {token or 'none: add CONSENT_AUDIT_TOKENS to .env'}",
        f"Folder                 {settings.folder}" + (f" (wrote {', '.join(written)})" if written else ""),
    ]
    if at not in settings.origins:
        lines.append(
            f"Note: {CONFIG_FILE} in this folder names other origins than {at}: edit it, or choose another --dir."
        )
    return "\n".join([*lines, "Ctrl-C ends it."])


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 1 to {HIGHEST_PORT}")
    return port


def _refuse(message: str) -> int:
    print(f"consent demo: {message}", file=sys.stderr)
    return 1
