"""Say of one record of the ledger what was shown, answered and allowed, and whether its proof holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from consent.cli.main import FAILED
from consent.cli.opened import existing_ledger
from consent.ledger.account import Account, account, index_of
from consent.settings import ConsentSettings

_SCOPES = {"site": "the whole site", "once": "one page, once"}


def explain_record(settings: ConsentSettings, text: str, *, as_json: bool) -> int:
    """Explain the record that a text names; return 1 if there is none, or its proof does not hold."""
    with existing_ledger(settings) as ledger:
        index = index_of(ledger, text)
        if index is None:
            print(
                f"consent: the ledger at {ledger.store.place} has no record {text}: it holds"
                f" {ledger.store.head().size} entries, counted from 0; a file of this name is given as ./{text}",
                file=sys.stderr,
            )
            return FAILED
        found = account(ledger, index)
    if as_json:
        print(json.dumps(_object(found), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0 if found.proven else FAILED


def _lines(found: Account) -> Iterator[str]:
    entry = found.entry
    if entry is None:
        yield f"Entry {found.index} was pruned when its time was over; its hash and its proof are left."
    else:
        late = ", late: it waited for the ledger" if entry["late"] else ""
        yield f"Entry {found.index} ({entry['record']}): {entry['kind']}, recorded {entry['recorded_at']}{late}"
        yield from _told(found, entry) if entry["kind"] == "consent" else _plainly(entry)
    yield ""
    yield f"Proof: {_proof(found)}"


def _told(found: Account, entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"Decided {entry['decided_at']}: {entry['status']}, for {_SCOPES.get(entry['scope'], entry['scope'])}"
    layer, _, control = entry["method"].partition(":")
    yield f"Answered by the control {control or layer!r} of {layer!r}, in {entry['language']}, under {entry['regime']}"
    yield ""
    yield f"Shown: {_archived('notice', entry['notice'], found.notice is not None)}"
    yield f"       {_archived('rendering', entry['rendering'], found.rendering is not None)}"
    for policy in entry["policies"]:
        yield f"       policy {policy['slug']} {policy['version']} ({policy['language']}) {policy['sha256']}"
    yield ""
    services = found.services
    width = max((len(found.title(key)) for key in (*entry["purposes"], *services)), default=0) + 2
    for key, yes in entry["purposes"].items():
        yield f"{found.title(key).ljust(width + 2)}{'yes' if yes else 'no'}"
        for service in found.notice.of(key) if found.notice is not None else ():
            if service in services:
                yield _service(found, service, services.pop(service), width)
    for service, allowed in services.items():
        yield _service(found, service, allowed, width)


def _service(found: Account, key: str, allowed: bool, width: int) -> str:
    return f"  {found.title(key).ljust(width)}{'allowed to load and store' if allowed else 'kept back'}"


def _archived(kind: str, digest: str | None, is_archived: bool) -> str:
    if digest is None:
        return f"no {kind} is named"
    return f"{kind} {digest}{'' if is_archived else ' (not in the archive)'}"


def _plainly(entry: Mapping[str, Any]) -> Iterator[str]:
    header = ("schema", "kind", "record", "recorded_at", "late", "subject", "origin")
    for name, value in entry.items():
        if name not in header and value is not None:
            yield f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _proof(found: Account) -> str:
    if found.proven:
        return (
            f"checked: this is one of the {found.checkpoint.size} entries that the signed checkpoint covers, unchanged"
        )
    return f"DOES NOT HOLD: this is not what the signed checkpoint of {found.checkpoint.size} entries covers"


def _object(found: Account) -> dict[str, Any]:
    return {
        "index": found.index,
        "entry": found.entry,
        "services": {key: {"title": found.title(key), "allowed": yes} for key, yes in found.services.items()},
        "notice_archived": found.notice is not None,
        "rendering_archived": found.rendering is not None,
        "proof": {
            "holds": found.proven,
            "leaf_hash": found.leaf_hash.hex(),
            "path": [node.hex() for node in found.path],
            "checkpoint": found.checkpoint.note.decode(),
        },
    }
