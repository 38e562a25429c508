"""Make, list and take back the tokens that let auditors in."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from consent.choice.lifetime import Lifetime
from consent.cli.main import FAILED, WRONG_USE
from consent.cli.opened import existing_ledger
from consent.ledger.entry import Draft, rfc3339
from consent.ledger.ledger import Ledger
from consent.ledger.tokens import SCOPES, Token, configured, digest_of, fresh
from consent.settings import ConsentSettings

VALID = "P90D"


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent keys audit` with what it can do."""
    parser = actions.add_parser("audit", help="make, list and take back the tokens that let auditors in")
    does = parser.add_subparsers(dest="does", required=True, metavar="ACTION")
    new = does.add_parser("new", help="make a token; it is printed once, and kept as its SHA-256")
    new.add_argument("name", help="what the log will call it: small letters, digits and hyphens, and nobody's name")
    new.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="stats: the statistics; records: entries and exports too; may be repeated (default: both)",
    )
    new.add_argument(
        "--valid", type=_lifetime, default=VALID, metavar="DURATION", help="as P30D or P1Y (default: %(default)s)"
    )
    new.set_defaults(act=_new)
    does.add_parser("list", help="list tokens by name, never showing one").set_defaults(act=_list)
    revoke = does.add_parser("revoke", help="take a token back; whoever is signed in with it is not any more")
    revoke.add_argument("name")
    revoke.set_defaults(act=_revoke)


def _lifetime(text: str) -> Lifetime:
    try:
        lifetime = Lifetime.parse(text)
        ends = not lifetime.session and lifetime.after(datetime.now(UTC)) > datetime.now(UTC)
    except (ValueError, OverflowError):
        ends = False
    if not ends:
        raise argparse.ArgumentTypeError(f"{text!r} is no time that a token can be valid for: write it as P30D or P1Y")
    return lifetime


def _new(settings: ConsentSettings, args: argparse.Namespace) -> int:
    now, secret = datetime.now(UTC), fresh()
    try:
        token = Token(
            name=args.name,
            digest=digest_of(secret),
            scopes=tuple(scope for scope in SCOPES if scope in (args.scope or SCOPES)),
            created_at=int(now.timestamp()),
            expires_at=int(args.valid.after(now).timestamp()),
        )
    except ValueError as error:
        print(f"consent: {error}", file=sys.stderr)
        return WRONG_USE
    with existing_ledger(settings) as ledger:
        if not ledger.store.add_token(token):
            print(f"consent: there was a token {token.name!r} already: names are used once", file=sys.stderr)
            return FAILED
        _append(ledger, token, action="token-made")
    print(secret)
    until = rfc3339(token.expires_at or 0)
    print(
        f"{token.name} opens {' and '.join(token.scopes)} until {until}. It is shown this once: hand it over now, and"
        " not in an address",
        file=sys.stderr,
    )
    return 0


def _list(settings: ConsentSettings, _: argparse.Namespace) -> int:
    now = time.time()
    for token in configured([one.get_secret_value().strip() for one in settings.audit_tokens]):
        print(f"{token.name}  {'+'.join(token.scopes)}  valid  by CONSENT_AUDIT_TOKENS")
    with existing_ledger(settings) as ledger:
        for token in ledger.store.tokens():
            until = "" if token.expires_at is None else f"  until {rfc3339(token.expires_at)}"
            print(f"{token.name}  {'+'.join(token.scopes)}  {token.state(now)}{until}")
    return 0


def _revoke(settings: ConsentSettings, args: argparse.Namespace) -> int:
    with existing_ledger(settings) as ledger:
        found = {token.name: token for token in ledger.store.tokens()}.get(args.name)
        if found is None or not ledger.store.revoke_token(args.name, at=int(time.time())):
            what = "no token" if found is None else "a token that was taken back already,"
            print(f"consent: there is {what} {args.name!r}", file=sys.stderr)
            return FAILED
        _append(ledger, found, action="token-revoked")
    print(f"{args.name} opens nothing any more")
    return 0


def _append(ledger: Ledger, token: Token, *, action: str) -> None:
    now = int(time.time())
    content = {"action": action, "token": token.name, "scopes": list(token.scopes)}
    ledger.store.append([Draft(kind="audit", content=content, decided_at=now)], now=now)
