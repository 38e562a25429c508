"""Run the commands of `consent`: find the one that was named, and say in one line what went wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from consent.errors import ConsentError
from consent.version import __version__

COMMANDS = {
    "init": "write configuration, secrets and starter policies into a site's folder",
    "check": "say what is wrong with a site's configuration",
    "demo": "serve an invented news site and its pretend trackers",
    "explain": "say what the gate does to each tag of a page, and why; or what a record of the ledger proves",
    "scan": "visit pages in a browser, and say what loads or is stored without having been agreed to",
    "policy": "list, begin, publish, compare and restore policy versions",
    "ledger": "make, migrate and copy the ledger, sign again after a restore, hold records for a court",
    "snapshot": "archive pictures of every notice as it was rendered",
    "stats": "say how often each purpose is accepted and refused",
    "export": "export the ledger for an auditor",
    "erase": "forget which entries are about a person",
    "prune": "delete the records whose time is over, and keep every proof",
    "keys": "list, make and replace the keys of cookies and ledger",
    "verify": "check an exported bundle, or a visitor's receipt, offline",
}
"""Every command with its help; each lives in the module of its name, which is imported only when it is used."""
HELP = "help"
FAILED, WRONG_USE = 1, 2
INTERRUPTED, PIPE_CLOSED = 130, 141
"""What a shell makes of SIGINT and SIGPIPE: 128 and the number of the signal."""


class Parser(argparse.ArgumentParser):
    """Parse words, and refuse wrong ones in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with status 2."""
        self.exit(WRONG_USE, f"consent: {_line(message).removeprefix('argument ')}. See: {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown words where they stand, so that the help named is that of the command they were given to."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line: complete for the command it names, one line of help for every other."""
    root = Parser(prog="consent", description="Privacy and cookie consent for ASGI sites.", allow_abbrev=False)
    root.add_argument("--version", action="version", version=f"asgi-consent {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    named = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == named:
            import_module(f"consent.cli.{name}").add(commands)
        else:
            commands.add_parser(name, help=summary)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line (that of the process where none is given) and return its exit status.

    The status is 0 for done, 1 for a failed check or a configuration that cannot be used, 2 for wrong use.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        status = _carried_out(words)
        # Flushed here, where a closed pipe can still be met in silence.
        sys.stdout.flush()
    except ConsentError as error:
        print(f"consent: {_line(str(error))}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # The interpreter flushes once more when it ends: that must not meet the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _carried_out(words: Sequence[str]) -> int:
    if not words:
        print(parser(words).format_help(), end="", file=sys.stderr)
        return WRONG_USE
    if words[0] == HELP:
        words = [*words[1:], "--help"]
    try:
        args = parser(words).parse_args(words)
        status: int = args.run(args)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return status


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
