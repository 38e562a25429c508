"""Test the JSON Schema of entries, and that entries of this version verify for ever."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import consent.ledger.ledger
from consent import testing, verify
from consent.choice.status import Status
from consent.ledger.checkpoint import Signer
from consent.ledger.entry import CONSENT_FIELDS, HEADER, KINDS, SCHEMA, Draft
from consent.ledger.erasures import REASONS
from consent.ledger.ledger import Ledger
from consent.ledger.retention import Hold, Retention, hold, prune
from tests.conftest import MakeClient, MakeSite

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]
DATA = Path(__file__).parent / "data"
KEPT = "meridian.example+231f1157+AffkPzb16RCcKA97EdinL3n6O3JSs2igtY61pZUwVvbi"


@cache
def schema(number: int = SCHEMA) -> Draft202012Validator:
    """Return the validator of one schema number, as the package ships it."""
    path = Path(consent.ledger.ledger.__file__).parent / "schemas" / f"entry-{number}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


def test_the_schema_says_what_the_code_says() -> None:
    """Kinds, header, fields, statuses and reasons are the same in both."""
    content: Any = schema().schema
    assert content["properties"]["kind"]["enum"] == list(KINDS)
    assert tuple(content["required"]) == HEADER
    record = content["$defs"]["consent"]
    assert set(record["required"]) == set(record["properties"]) == set(CONSENT_FIELDS)
    assert record["properties"]["status"]["enum"] == [str(status) for status in Status]
    assert content["$defs"]["erased"]["properties"]["reason"]["enum"] == [*REASONS, "restored"]
    assert set(KINDS) <= set(content["$defs"])


def events(ledger: Ledger, make_draft: MakeDraft) -> None:
    """Append an entry of every kind that no visitor makes."""
    asyncio.run(ledger.record(make_draft(subject=b"i" * 16)))
    export = {"first": 0, "last": 1, "size": 1, "filters": ["purpose"], "token": "firm", "scopes": ["records"]}
    ledger.store.append([Draft(kind="exported", content={"format": "csv", "by": "audit-page"} | export)], now=1_000)
    signed_in = {"action": "signed-in", "token": "firm", "scopes": ["stats", "records"]}
    ledger.store.append([Draft(kind="audit", content=signed_in)], now=1_000)
    seen = {"viewport": "phone", "width": 390, "height": 844, "scheme": "dark", "language": "en"}
    digests = dict.fromkeys(("notice", "rendering", "sha256"), "ab" * 32)
    ledger.store.append([Draft(kind="snapshot", content=seen | digests)], now=1_000)
    ledger.seal()
    ledger.erase(b"i" * 16, reason="request", decided_at=2_000)
    hold(ledger.store, Hold(name="case-7", until=1), now=2_000)
    gap = {"count": 1, "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z", "reason": "queue-unavailable"}
    ledger.store.append([Draft(kind="gap", content=gap)], now=2_000)
    prune(ledger.store, Retention.of({"opt-in": "P1D"}, validity="P1D"), now=10**9)
    ledger.rotate(Signer("meridian.example", seed=b"n" * 32))


def test_events(make_ledger: MakeLedger, make_draft: MakeDraft) -> None:
    """Every kind of event that the ledger makes fits."""
    ledger = make_ledger()
    events(ledger, make_draft)
    found = [json.loads(body) for body in ledger.store.entries()]
    for entry in found:
        schema().validate(entry)
    assert {entry["kind"] for entry in found} == set(KINDS) - {"consent", "policy-published", "notice-published"}


def test_visits(make_site: MakeSite, make_client: MakeClient) -> None:
    """Whatever a visitor does, what is recorded fits."""
    site = make_site(audit_tokens=("auditor",))
    client = make_client(site)
    testing.grant(client, "analytics")
    testing.grant(client, "media")
    testing.withdraw(client)
    testing.refuse(make_client(site))
    testing.grant(client, "lantern-video")
    shown = client.get("/privacy/state").json()["notice"]
    once = {"choice": "once", "service": "lantern-ads", "notice": shown, "layer": "placeholder"}
    assert client.post("/privacy/choices", data=once).status_code == 303
    client.post("/privacy/audit/login", data={"token": "auditor"})
    assert client.get("/privacy/audit/entries.csv").status_code == 200
    client.post("/privacy/erase")
    entries = [json.loads(body) for body in site.ledger.store.entries()]
    for entry in entries:
        schema().validate(entry)
    assert entries[-1]["kind"] == "erased"
    methods = [(one["method"], one["status"], one["scope"]) for one in entries if one["kind"] == "consent"]
    assert methods == [
        ("api:save", "given", "site"),
        ("api:save", "renewed", "site"),
        ("api:withdraw", "withdrawn", "site"),
        ("api:reject_all", "refused", "site"),
        ("api:save", "given", "site"),
        ("placeholder:once", "given", "once"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"ip": "192.0.2.7"},
        {"status": "yes"},
        {"record": "7"},
        {"schema": 2},
        {"purposes": {"media": "yes"}},
        {"recorded_at": "yesterday"},
        {"kind": "other"},
        {"count": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_entry(make_ledger: MakeLedger, make_draft: MakeDraft, change: dict[str, Any]) -> None:
    """A field too many, or a value that is not allowed, does not fit."""
    ledger = make_ledger()
    asyncio.run(ledger.record(make_draft()))
    entry = json.loads(next(ledger.store.entries()))
    schema().validate(entry)
    assert not schema().is_valid(entry | change)
    assert not schema().is_valid({key: value for key, value in entry.items() if key != "language"})


def test_a_bundle_of_this_version_is_kept() -> None:
    """What was exported under this schema number verifies and fits for ever, with the key that was pinned then."""
    path = DATA / "bundle-1.zip"
    report = verify.verify(path, key=KEPT)
    assert report.problems == []
    with zipfile.ZipFile(path) as bundle:
        lines = bundle.read("entries.jsonl").decode().splitlines()
    entries = [json.loads(line) for line in lines if line]
    assert (report.entries, len(entries)) == (len(lines), len(lines) - 1)
    assert {entry["kind"] for entry in entries} == set(KINDS) - {"audit", "snapshot"}
    for entry in entries:
        schema(1).validate(entry)
