"""Test `consent export` and `consent verify`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.cli import export, main, progress, verify
from consent.errors import LedgerUnavailableError
from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.sqlite import SqliteStore

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]


def command(*words: str) -> int:
    """Parse and run one of the two commands."""
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for module in (export, verify):
        module.add(subparsers)
    args = parser.parse_args(words)
    return int(args.run(args))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_draft: MakeDraft) -> SqliteStore:
    """Stand in a site's folder, with a ledger of two entries that a server has open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["0123456789abcdef0123456789abcdef"]')
    monkeypatch.setenv("CONSENT_ORIGINS", '["https://meridian.example"]')
    monkeypatch.setenv("CONSENT_LEDGER_KEY", Signer("meridian.example", seed=b"s" * 32).to_text())
    store = SqliteStore(tmp_path / "consent.db", origin="https://meridian.example")
    store.append([make_draft(), make_draft()], now=100)
    store.append([make_draft()], now=200_000)
    return store


def test_export_and_verify(site: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle exported while the ledger is in use verifies; it holds the entry about itself."""
    assert command("export", "--format", "bundle", "--out", "out.zip") == 0
    assert command("verify", "out.zip") == 0
    assert "4 of 4 entries written to out.zip" in capsys.readouterr().out
    site.close()


@pytest.mark.parametrize(("form", "first"), [("jsonl", b"{"), ("csv", b"\xef\xbb\xbfindex,record")])
def test_formats(site: SqliteStore, tmp_path: Path, form: str, first: bytes) -> None:
    """The other formats are written whole, a line for each entry of the range."""
    assert command("export", "--format", form, "--out", "out", "--until", "1970-01-01") == 0
    data = (tmp_path / "out").read_bytes()
    assert data.startswith(first)
    assert data.count(b"\n") == (3 if form == "csv" else 2)
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out"]
    if form == "jsonl":
        assert data == b"".join(body + b"\n" for body in site.entries(0, last=2))
    site.close()


@pytest.mark.parametrize("form", ["jsonl", "csv", "bundle"])
def test_nothing_is_overwritten(
    site: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """What lies at the place of the export stays, and the exit status says wrong use."""
    (tmp_path / "out").write_text("mine")
    assert command("export", "--format", form, "--out", "out") == 2
    assert (tmp_path / "out").read_text() == "mine"
    assert capsys.readouterr().err == "consent: cannot write out: it exists already\n"
    site.close()


@pytest.mark.parametrize("form", ["jsonl", "csv", "bundle"])
def test_missing_folder(site: SqliteStore, form: str) -> None:
    """A folder that is not there is wrong use."""
    assert command("export", "--format", form, "--out", "missing/out") == 2
    site.close()


def test_wrong_dates(site: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Dates that are none, or the wrong way round, are wrong use."""
    assert command("export", "--out", "out", "--since", "yesterday") == 2
    assert "--since: 'yesterday' is not a date: write it as 2026-11-01" in capsys.readouterr().err
    assert command("export", "--out", "out", "--since", "1970-01-03", "--until", "1970-01-01") == 2
    assert "--until: is not after the time from which entries are asked for" in capsys.readouterr().err
    site.close()


@pytest.mark.parametrize("form", ["jsonl", "csv", "bundle"])
def test_a_folder_without_a_ledger(
    site: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Where there is no ledger none is made, nothing is written, and one line says where to go."""
    site.close()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main.main(["export", "--format", form, "--out", "out"]) == 1
    assert capsys.readouterr().err == (
        f"consent: no ledger at {tmp_path}/elsewhere/consent.db: "
        "go to the site's folder, or name its file in CONSENT_CONFIG\n"
    )
    assert list(Path().iterdir()) == []


def test_failed_verification(site: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle that was changed gives exit status 1 and the index of the first bad entry."""
    command("export", "--out", "out")
    path = tmp_path / "out" / "entries.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert command("verify", "out") == 1
    assert capsys.readouterr().err.endswith("first bad entry: 1\n")
    site.close()


def test_through_the_main_command(site: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are commands of `consent`; a ledger that cannot be used is exit status 1 and one line."""
    assert main.main(["export", "--format", "jsonl", "--out", "out"]) == 0
    assert main.main(["verify", "nothing"]) == 2
    capsys.readouterr()
    site.close()
    Path("consent.db").write_text("damaged" * 1_000)
    assert main.main(["export", "--out", "other"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar is drawn on a terminal, and its line ends; elsewhere nothing is drawn."""
    with progress.Bar("Exporting") as bar:
        bar(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.Bar("Exporting") as bar:
        bar(1_000, 2_000)
        bar(0, 0)
    drawn = capsys.readouterr().err
    assert drawn.startswith("\rExporting " + "█" * 15 + "░" * 15 + " 1,000 of 2,000")
    assert drawn.endswith("\n")


def test_records_stay_readable(site: SqliteStore, tmp_path: Path) -> None:
    """Every line of the JSON Lines export is a JSON object on its own."""
    command("export", "--format", "jsonl", "--out", "out")
    assert [json.loads(line)["kind"] for line in (tmp_path / "out").read_text().splitlines()] == ["consent"] * 3
    site.close()


@pytest.mark.parametrize("form", export.FORMATS)
def test_an_export_is_recorded(site: SqliteStore, form: str) -> None:
    """The log says that something was exported by command: in which form, which range, and by which filters."""
    assert command("export", "--format", form, "--out", "out", "--last", "2", "--status", "given") == 0
    said = json.loads(list(site.entries())[-1])
    assert {name: said[name] for name in ("kind", "format", "by", "first", "last", "size", "filters")} == {
        "kind": "exported",
        "format": form,
        "by": "command-line",
        "first": 0,
        "last": 2,
        "size": 3,
        "filters": ["status"],
    }
    site.close()


def test_what_is_refused_is_not_recorded(site: SqliteStore) -> None:
    """A place that cannot be written to leaves no entry behind."""
    for out in ("missing/out", "consent.db", "consent.db/out"):
        assert command("export", "--out", out) == 2
    assert site.head().size == 3
    site.close()


def test_an_export_without_a_record(
    site: SqliteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be added to the log, that is said, and the export is made."""

    def refuse(*_: object, **__: object) -> None:
        raise LedgerUnavailableError("attempt to write a readonly database")

    monkeypatch.setattr(SqliteStore, "append", refuse)
    assert command("export", "--format", "jsonl", "--out", "out") == 0
    captured = capsys.readouterr()
    assert captured.out == "3 of 3 entries written to out\n"
    assert captured.err == (
        "consent: the log does not say that this was exported, since nothing can be added: "
        "attempt to write a readonly database\n"
    )
    site.close()


@pytest.mark.parametrize(("opted_out", "said"), [(0, "0 requests"), (1, "1 request"), (2, "2 requests")])
def test_requests_are_counted(
    site: SqliteStore, make_draft: MakeDraft, capsys: pytest.CaptureFixture[str], opted_out: int, said: str
) -> None:
    """The log of requests says how many requests there are, beside the entries that were read for them."""
    site.append([make_draft(content={"regime": "opt-out", "status": "refused"}) for _ in range(opted_out)], now=300_000)
    assert command("export", "--format", "ccpa", "--out", "out") == 0
    assert capsys.readouterr().out == f"{said} in {3 + opted_out} of {3 + opted_out} entries written to out\n"
    site.close()
