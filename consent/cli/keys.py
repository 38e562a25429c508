"""List the keys of a site without showing any, make new ones, let a new one take over, and let auditors in."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from pathlib import Path

from consent.cli import tokens
from consent.cli.main import WRONG_USE
from consent.cli.opened import existing_ledger, ledger_file
from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Signer, note_name
from consent.ledger.database import KEY_SUFFIX
from consent.ledger.outside import replace_file
from consent.opening import NO_ORIGIN
from consent.settings import ConsentSettings

NEXT = ".next"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent keys` with its actions."""
    parser = subparsers.add_parser("keys", help="list, make and replace the keys of cookies and ledger")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="list the keys; secrets are shown as the beginning of their SHA-256")
    listed.set_defaults(act=_list)
    new = actions.add_parser("new", help="print a new secret, for you to keep")
    new.add_argument("--ledger", action="store_true", help="a ledger key in place of a secret for cookies")
    new.set_defaults(act=_new)
    rotate = actions.add_parser("rotate", help="let a new ledger key take over, vouched for by the old one")
    rotate.add_argument("--to", type=Path, metavar="FILE", help="the new key (default: one made beside the ledger)")
    rotate.set_defaults(act=_rotate)
    tokens.add(actions)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one action; return the exit status."""
    status: int = args.act(ConsentSettings(), args)
    return status


def _list(settings: ConsentSettings, _: argparse.Namespace) -> int:
    keys = settings.keys
    for number, key in enumerate(keys, 1):
        use = "signs and verifies" if number == len(keys) else "verifies"
        print(f"cookie secret {number} of {len(keys)}  {hashlib.sha256(key.encode()).hexdigest()[:12]}  {use}")
    path = ledger_file(settings)
    if path is None or path.exists():
        with existing_ledger(settings) as ledger:
            print(f"ledger key  {ledger.signer.verifier.text}  signs")
            for old, new in ledger.rotations():
                print(f"ledger key  {old or '(lost)'}  replaced by {new}")
    return 0


def _new(settings: ConsentSettings, args: argparse.Namespace) -> int:
    name = note_name(settings.origins[0] if settings.origins else NO_ORIGIN)
    print(Signer.generate(name).to_text() if args.ledger else secrets.token_urlsafe(32))
    return 0


def _rotate(settings: ConsentSettings, args: argparse.Namespace) -> int:
    given = settings.ledger_key is not None
    path = ledger_file(settings)
    if args.to is None and (given or path is None):
        print(
            "consent: the ledger key comes from CONSENT_LEDGER_KEY: make the next one with `consent keys new --ledger`,"
            " keep it in a file, and name that with --to",
            file=sys.stderr,
        )
        return WRONG_USE
    with existing_ledger(settings) as ledger:
        named = None if args.to is None else _read(args.to, name=ledger.signer.name)
        if given or path is None:
            if named is not None:
                ledger.rotate(named)
            print(
                "the new key signs from now on: put it into CONSENT_LEDGER_KEY, start the site again, and delete"
                f" {args.to}"
            )
            return 0
        key = path.with_name(path.name + KEY_SUFFIX)
        waiting = key.with_name(key.name + NEXT)
        # One that is there already was made by a rotation that was cut off, and may have been vouched for.
        if named is not None or not waiting.exists():
            successor = named or Signer.generate(ledger.signer.name)
            replace_file(waiting, f"{successor.to_text()}\n".encode(), mode=0o600)
        ledger.rotate(_read(waiting, name=ledger.signer.name))
        os.replace(waiting, key)
    print(f"the new key signs from now on, and lies at {key}: back it up. Running processes take it over by themselves")
    return 0


def _read(path: Path, *, name: str) -> Signer:
    try:
        signer = Signer.from_text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot be read: {error}", place=str(path), remedy="Name a file with a ledger key"
        ) from error
    if signer.name != name:
        raise ConfigurationError(
            f"signs for {signer.name!r}, not for {name!r}",
            place=str(path),
            remedy="`consent keys new --ledger` makes a fitting one",
        )
    return signer
