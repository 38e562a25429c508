"""Test `consent ledger`: making, copying and looking at ledgers, and the roles it gives rights to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from consent.cli.main import main
from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft
from consent.ledger.postgres import PostgresStore
from consent.ledger.sqlite import SqliteStore
from consent.ledger.store import Document, Total
from tests.ledger.cluster import Server

MakeDraft = Callable[..., Draft]
ORIGIN = "https://meridian.example"
SIGNER = Signer("meridian.example", seed=b"s" * 32)
ID = b"i" * 16


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a site's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["0123456789abcdef0123456789abcdef"]')
    monkeypatch.setenv("CONSENT_ORIGINS", f'["{ORIGIN}"]')
    monkeypatch.setenv("CONSENT_LEDGER_KEY", SIGNER.to_text())


@pytest.fixture
def web(postgres: Server) -> Callable[[str], str]:
    """Return a function that makes the site's role, once, and gives the address it uses."""
    with postgres.connect() as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = 'consent_web'").fetchone() is None:
            connection.execute("CREATE ROLE consent_web LOGIN")
    return lambda address: address.replace("consent_owner@", "consent_web@")


def test_migrate(
    make_database: Callable[[], str],
    web: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dry run shows the SQL and changes nothing; then the ledger is made once, and the site's role let in."""
    monkeypatch.setenv("CONSENT_LEDGER", make_database())
    assert main(["ledger", "migrate", "--dry-run"]) == 0
    assert "CREATE TABLE consent.leaf" in capsys.readouterr().out
    assert main(["ledger", "status"]) == 1
    assert "no ledger at" in capsys.readouterr().err
    assert main(["ledger", "migrate"]) == 0
    assert "consent_web may read it" in capsys.readouterr().out
    assert main(["ledger", "migrate"]) == 0
    assert "is up to date" in capsys.readouterr().out
    assert main(["ledger", "migrate", "--dry-run"]) == 0
    assert "Nothing" in capsys.readouterr().out


def test_a_check_makes_no_ledger(
    make_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check by a role that might make the ledger leaves the database empty, whatever is configured."""
    monkeypatch.setenv("CONSENT_LEDGER", make_database())
    monkeypatch.setenv("CONSENT_CSP", "report-only")
    main(["check"])
    capsys.readouterr()
    assert main(["ledger", "migrate", "--dry-run"]) == 0
    assert "CREATE TABLE consent.leaf" in capsys.readouterr().out


def test_a_check_by_a_role_that_may_nothing_is_whole(
    make_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A role that was not let in is one finding with a remedy, among all the others."""
    address = make_database()
    monkeypatch.setenv("CONSENT_LEDGER", address)
    assert main(["ledger", "migrate"]) == 0
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS consent_stranger")
        connection.execute("CREATE ROLE consent_stranger LOGIN")
    monkeypatch.setenv("CONSENT_LEDGER", address.replace("consent_owner@", "consent_stranger@"))
    capsys.readouterr()
    assert main(["check"]) == 1
    found = capsys.readouterr()
    assert "C401 error" in found.out
    assert "Let its owner run `consent ledger migrate`" in found.out
    assert "C301" in found.out or "C300" in found.out
    assert found.err == ""


def test_roles_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The SQL of the roles is shown without any server."""
    assert main(["ledger", "migrate", "--roles"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CREATE ROLE consent_web LOGIN;")
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA consent TO consent_web;" in out


def test_copy_and_status(
    tmp_path: Path,
    make_database: Callable[[], str],
    make_draft: MakeDraft,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A site's ledger is moved by one command, and the next says where it is now."""
    store = SqliteStore(tmp_path / "consent.db", origin=ORIGIN)
    store.append([make_draft() for _ in range(5)], now=100)
    store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)
    root = store.head().root.hex()
    store.close()
    address = make_database()
    assert main(["ledger", "copy", "sqlite:///consent.db", address]) == 0
    out = capsys.readouterr().out
    assert "5 entries" in out
    assert "run `consent ledger migrate` with CONSENT_LEDGER" in out
    assert main(["ledger", "copy", "sqlite:///consent.db", address]) == 1
    assert "holds this ledger already" in capsys.readouterr().err
    assert main(["ledger", "copy", "sqlite:///consent.db", "sqlite:///consent.db"]) == 1
    assert main(["ledger", "copy", "sqlite:///gone.db", address]) == 1
    assert not (tmp_path / "gone.db").exists()
    capsys.readouterr()
    assert main(["ledger", "copy", address, "sqlite:///back.db"]) == 0
    assert f"write its value to {tmp_path / 'back.db.key'}" in capsys.readouterr().out
    monkeypatch.setenv("CONSENT_LEDGER", address)
    assert main(["ledger", "status"]) == 0
    out = capsys.readouterr().out
    assert root in out
    assert "at 5 entries" in out


def test_what_the_sites_role_may(
    make_database: Callable[[], str], web: Callable[[str], str], make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site's role does all that a store does, and can change or delete nothing of the log."""
    address = make_database()
    monkeypatch.setenv("CONSENT_LEDGER", address)
    assert main(["ledger", "migrate"]) == 0
    store = PostgresStore(web(address), origin=ORIGIN)
    store.append([make_draft(subject=ID, revokes=True), make_draft(subject=ID)] * 2, now=1_795_000_000)
    store.append([make_draft(subject=ID, ends=True)], now=1_795_000_000)
    store.archive(Document(kind="notice", media_type="text/plain", data=b"notice"))
    assert store.give_code(ID, digest=b"d" * 32) == 3
    store.add_totals([Total(hour=0, name="shown", subject="", count=1)] * 2)
    store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)
    erased = store.erase(ID, draft=Draft(kind="erased", content={"reason": "asked"}), now=1_795_000_000)
    store.forget_revocations(10)
    store.close()
    assert erased.index == 3
    with psycopg.connect(web(address), autocommit=True) as connection:
        for statement in (
            "DELETE FROM consent.leaf",
            "UPDATE consent.leaf SET hash = ''",
            "INSERT INTO consent.leaf SELECT 9, hash, gen_random_uuid(), 0 FROM consent.leaf",
            "DELETE FROM consent.entry",
            "UPDATE consent.entry SET body = ''",
            "UPDATE consent.checkpoint SET note = ''",
            "DELETE FROM consent.checkpoint",
            "DELETE FROM consent.document",
            "DELETE FROM consent.subject",
            "UPDATE consent.setting SET value = ''",
            "DROP TABLE consent.total",
            "CREATE TABLE consent.own (one integer)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_role_that_may_nothing(make_database: Callable[[], str], web: Callable[[str], str]) -> None:
    """A site whose role may not make the ledger is told whose task it is."""
    with pytest.raises(ConfigurationError, match="consent ledger migrate"):
        PostgresStore(web(make_database()), origin=ORIGIN).open()


@pytest.mark.parametrize(("durability", "severity"), [("synchronous", "error"), ("single", None)])
def test_check_compares_durability(
    make_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    durability: str,
    severity: str | None,
) -> None:
    """`consent check` finds a server that waits for no standby although the settings say so, and makes no ledger."""
    monkeypatch.setenv("CONSENT_LEDGER", make_database())
    monkeypatch.setenv("CONSENT_DURABILITY", durability)
    main(["check", "--json"])
    assert main(["ledger", "status"]) == 1
    capsys.readouterr()
    assert main(["ledger", "migrate"]) == 0
    capsys.readouterr()
    main(["check", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["severity"] for one in findings if one["code"] == "C409"] == ([severity] if severity else [])
