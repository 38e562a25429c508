"""Test the canonical form and the making of entries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import verify
from consent.choice.canonical import LARGEST, canonical, parse
from consent.ledger.entry import (
    CONSENT_FIELDS,
    HEADER,
    KINDS,
    Draft,
    leaf,
    pseudonym,
    rfc3339,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_round_trip(value: object) -> None:
    """Canonical bytes read back as the same value."""
    assert parse(canonical(value)) == value


@given(st.dictionaries(TEXT, VALUES, max_size=6))
def test_canonical_ignores_order(value: dict[str, object]) -> None:
    """Two maps that are equal have the same bytes, whatever order they were made in."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


@given(VALUES)
def test_canonical_is_compact_utf8(value: object) -> None:
    """Canonical bytes have no white space between tokens and spell text in UTF-8."""
    expected = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert canonical(value).decode() == expected


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), {"a": [1.5]}, 2**53, -(2**53), "\ud800", {"\ud800": 1}, {1: 2}, b"x", {"a": {1, 2}}, object()],
    ids=lambda value: type(value).__name__,
)
def test_canonical_refuses(value: object) -> None:
    """What has no single canonical form is refused."""
    with pytest.raises(ValueError, match=r"value"):
        canonical(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'"\\u0041"',
        b"1.0",
        b"1e3",
        b"NaN",
        b"-0",
        b" 1",
        b"9007199254740992",
        b'"\\ud800"',
        b"\xff",
        b"",
    ],
    ids=repr,
)
def test_parse_refuses(data: bytes) -> None:
    """Bytes that are not canonical are refused, even where they are JSON."""
    with pytest.raises(ValueError, match=r"."):
        parse(data)


def test_canonical_takes_any_mapping() -> None:
    """A read-only mapping is written like a dict."""
    assert canonical({"a": MappingProxyType({"b": (1, 2)})}) == b'{"a":{"b":[1,2]}}'


def test_rfc3339() -> None:
    """Times are written to the second, in UTC, with a Z."""
    assert rfc3339(1_795_343_400) == "2026-11-22T10:30:00Z"


def test_leaf_has_header_and_content(make_draft: Callable[..., Draft]) -> None:
    """An entry holds the header, the content, and nothing else."""
    record = uuid.UUID(int=7, version=4)
    body = leaf(
        make_draft(late=True), record=record, origin="https://meridian.example", recorded_at=5, subject="c" * 64
    )
    entry = parse(body)
    assert set(entry) == {*HEADER, *CONSENT_FIELDS}
    assert entry["recorded_at"] == "1970-01-01T00:00:05Z"
    assert entry["record"] == str(record)
    assert (entry["schema"], entry["late"], entry["subject"]) == (1, True, "c" * 64)


def test_verifier_knows_the_same_schema() -> None:
    """The stand-alone verifier asks for the fields and kinds that entries have here."""
    assert set(verify.HEADER) == set(HEADER)
    assert set(verify.RECORD) == {*HEADER, *CONSENT_FIELDS}
    assert verify.KIND.split("|") == list(KINDS)
    assert all(CONSENT_FIELDS["status"](status) for status in verify.STATUS.split("|"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "other"}, "kind 'other' does not exist"),
        ({"content": {"record": "x"}}, "content.record: this name belongs to the entry's header"),
        ({"subject": b"short"}, "has 16 bytes, not 5"),
        ({"revokes": True}, "without a subject revokes nothing"),
        ({"ends": True}, "without a subject revokes nothing"),
        ({"request_id": ""}, "request_id is empty"),
        ({"content": {"signals": {"gpc": 1.0}}}, "content.signals.gpc: float"),
        ({"content": {"ip": "192.0.2.7"}}, "content.ip does not belong"),
        ({"content": {"status": "yes"}}, "content.status: 'yes'"),
        ({"content": {"status": ["given"]}}, "content.status"),
        ({"content": {"purposes": {"media": "yes"}}}, "content.purposes"),
        ({"content": {"services": ["youtube"]}}, "content.services"),
        ({"content": {"notice": "AB" * 32}}, "content.notice"),
        ({"content": {"policies": [{"slug": "privacy"}]}}, "content.policies"),
        ({"content": {"language": ""}}, "content.language"),
        ({"content": {"country": 1}}, "content.country"),
        ({"content": {"signals": None}}, "content.signals"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_draft_refuses(make_draft: Callable[..., Draft], fields: dict[str, Any], message: str) -> None:
    """A draft that no valid entry could be made of is refused when it is made, with the place named."""
    with pytest.raises(ValueError, match=message):
        make_draft(**fields)


def test_draft_refuses_missing_field() -> None:
    """A consent record that says less than it must is refused."""
    with pytest.raises(ValueError, match=r"content.country is missing"):
        Draft(kind="consent", content={})


def test_draft_hides_the_subject(make_draft: Callable[..., Draft]) -> None:
    """The representation of a draft does not show the consent id."""
    assert "subject" not in repr(make_draft(subject=b"0123456789abcdef"))


@pytest.mark.parametrize(
    ("fields", "before"),
    [
        ({}, None),
        ({"revokes": True}, 1_000),
        ({"ends": True}, 1_001),
        ({"revokes": True, "ends": True}, 1_001),
        ({"revokes": True, "decided_at": None}, None),
    ],
    ids=["neither", "revokes", "ends", "both", "no-time"],
)
def test_revoked_before(make_draft: Callable[..., Draft], fields: dict[str, Any], before: int | None) -> None:
    """Only what ends an id reaches cookies of the very same second."""
    assert make_draft(subject=b"i" * 16, **fields).revoked_before == before


def test_pseudonym_depends_on_the_salt() -> None:
    """The same consent id has another pseudonym under every salt."""
    assert pseudonym(b"i" * 16, salt=b"1" * 16) != pseudonym(b"i" * 16, salt=b"2" * 16)
