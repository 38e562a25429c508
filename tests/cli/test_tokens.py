"""Test `consent keys audit`: tokens are shown once, named in the log, and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consent.cli.main import main
from consent.ledger.sqlite import SqliteStore
from consent.ledger.tokens import digest_of

SETTING = "a-token-of-the-setting-0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """Stand in a site's folder with an empty ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["0123456789abcdef0123456789abcdef"]')
    monkeypatch.setenv("CONSENT_ORIGINS", '["https://meridian.example"]')
    monkeypatch.setenv("CONSENT_AUDIT_TOKENS", json.dumps([SETTING]))
    with closing(SqliteStore(tmp_path / "consent.db", origin="https://meridian.example")) as store:
        store.open()
        yield store


def test_a_token(store: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """The token is on standard output alone and once; the ledger has its digest; the log has its name."""
    assert main(["keys", "audit", "new", "firm", "--scope", "records", "--valid", "P30D"]) == 0
    told = capsys.readouterr()
    token = told.out.strip()
    assert token not in told.err
    assert "firm opens records until" in told.err
    (kept,) = store.tokens()
    assert (kept.digest, kept.scopes) == (digest_of(token), ("records",))
    assert kept.expires_at == kept.created_at + 30 * 86_400
    assert main(["keys", "audit", "list"]) == 0
    listed = capsys.readouterr().out
    assert "firm  records  valid  until " in listed
    assert f"setting-{digest_of(SETTING).hex()[:8]}  stats+records  valid" in listed
    assert main(["keys", "audit", "revoke", "firm"]) == 0
    assert main(["keys", "audit", "revoke", "firm"]) == 1
    assert "taken back already" in capsys.readouterr().err
    said = [json.loads(body) for body in store.entries()]
    assert [(one["action"], one["token"], one["scopes"]) for one in said] == [
        ("token-made", "firm", ["records"]),
        ("token-revoked", "firm", ["records"]),
    ]
    assert not any(token.encode() in body for body in store.entries())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["new", "Jane Doe"], 2, "nobody's name"),
        (["new", "firm", "--scope", "all"], 2, "invalid choice"),
        (["new", "firm", "--valid", "session"], 2, "no time that a token can be valid for"),
        (["new", "firm", "--valid", "P0D"], 2, "no time that a token can be valid for"),
        (["revoke", "nobody"], 1, "no token 'nobody'"),
        ([], 2, "required"),
    ],
    ids=str,
)
def test_wrong_use(
    store: SqliteStore, capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str
) -> None:
    """What cannot be is refused in one line, and changes nothing."""
    assert main(["keys", "audit", *words]) == status
    assert said in capsys.readouterr().err
    assert store.head().size == 0


def test_names_are_used_once(store: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """A name in the log stands for one token for ever."""
    assert main(["keys", "audit", "new", "firm"]) == 0
    assert main(["keys", "audit", "new", "firm"]) == 1
    assert "names are used once" in capsys.readouterr().err
