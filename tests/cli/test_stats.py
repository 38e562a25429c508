"""Run `consent stats`, and `consent explain` for records, on the ledger of a site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consent.cli.main import main
from consent.ledger.entry import Draft
from consent.settings import ConsentSettings
from consent.site import Site
from tests.cli.place import Place

WEEK = 7 * 86_400
LONG_AGO = 1_700_000_000
"""A Tuesday in 2023, in Unix seconds."""


@pytest.fixture
def recorded(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a site whose ledger has thirty answers of one week in English, and three in Ukrainian."""
    monkeypatch.setenv("CONSENT_CONFIG", str(place.config))
    site = Site(ConsentSettings(), clock=lambda: float(LONG_AGO))
    site.start()
    notice = next(iter(site.edition(site.now()).notices.values()))
    drafts = [draft(notice.digest, yes=n % 3 == 0, language="uk" if n > 29 else "en") for n in range(33)]
    site.ledger.store.append(drafts, now=LONG_AGO)
    site.close()
    return place


def draft(notice: str, *, yes: bool, language: str) -> Draft:
    """Return one answer to the banner."""
    content: dict[str, Any] = {
        "status": "given" if yes else "refused",
        "method": "banner:save",
        "scope": "site",
        "purposes": {"analytics": yes},
        "services": {},
        "notice": notice,
        "rendering": None,
        "policies": [],
        "language": language,
        "regime": "opt-in",
        "country": None,
        "signals": {"gpc": False},
    }
    return Draft(kind="consent", content=content, decided_at=LONG_AGO)


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """Run a command, and return what it printed."""
    assert main(words) == status
    return capsys.readouterr().out


def test_weeks_and_days(recorded: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The one week is a row with the share of yes, and so is the one day."""
    for by, start in (("week", "2023-11-13"), ("day", "2023-11-14")):
        assert [start, "33", "0", "0", "11/22", "33%"] in [
            line.split() for line in said(capsys, "stats", "--by", by).splitlines()
        ]


def test_small_groups_are_kept_back_unless_asked_for(recorded: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Three answers in one language are kept back, with those of the other; `--exact` shows both."""
    kept = json.loads(said(capsys, "stats", "--by-language", "--json"))
    assert [one["periods"][0]["answers"] for one in kept["series"]] == [None, None]
    exact = json.loads(said(capsys, "stats", "--by-language", "--exact", "--json"))
    assert {one["name"][1]: one["periods"][0]["answers"] for one in exact["series"]} == {"en": 30, "uk": 3}


def test_nothing_to_show(recorded: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A time without answers is said to have none, in every table."""
    for table in ((), ("--by-notice",), ("--by", "day")):
        assert "nothing to show" in said(capsys, "stats", "--since", "2024-06-01", *table)


@pytest.mark.parametrize(
    "words",
    [("--by", "day", "--by-notice"), ("--since", "2024-01-02", "--until", "2024-01-01"), ("--since", "x")],
)
def test_wrong_use_of_stats(recorded: Place, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """What does not go together is refused in one line."""
    assert main(["stats", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_is_explained(recorded: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A record is found by its index and by its number, and its proof is checked."""
    index = json.loads(said(capsys, "stats", "--json"))["entries"] - 1
    told = said(capsys, "explain", str(index))
    for words in ("refused", "'save' of 'banner'", "Proof: checked: this is one of the"):
        assert words in told
    found = json.loads(said(capsys, "explain", str(index), "--json"))
    assert found["proof"]["holds"] is True
    assert said(capsys, "explain", found["entry"]["record"]) == told


@pytest.mark.parametrize("record", ["99999", "0192f3a1-0000-7000-8000-000000000003"])
def test_a_record_that_is_not_there(recorded: Place, capsys: pytest.CaptureFixture[str], record: str) -> None:
    """A record that is not in the ledger is named, in one line."""
    assert main(["explain", record]) == 1
    assert f"has no record {record}" in capsys.readouterr().err


def test_a_file_named_like_a_record(recorded: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page whose name is a number is still explained when its place is given."""
    page = tmp_path / "7"
    page.write_text("<!doctype html><title>x</title>")
    assert "Looked at" in said(capsys, "explain", str(page))
