"""Check a bundle, or a visitor's receipt, with the same code that lies inside every bundle."""

from __future__ import annotations

import argparse

from consent import verify


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent verify`."""
    parser = subparsers.add_parser(
        "verify",
        parents=[verify.PARSER],
        add_help=False,
        help="check an exported bundle, or a visitor's receipt, offline",
    )
    parser.set_defaults(run=verify.run)
