"""Test `consent policy`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from consent.cli import policy
from consent.errors import PolicyEditedError, PolicyError
from consent.ledger.sqlite import SqliteStore
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts
from consent.policies.library import Library, read

MakePolicy = Callable[..., PolicyVersion]
MakeFacts = Callable[..., Facts]
WritePolicy = Callable[..., Path]

NOW = 1_782_864_000  # 2026-07-01 00:00 UTC
TODAY = date(2026, 7, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return an empty ledger."""
    store = SqliteStore(tmp_path / "consent.db", origin="https://meridian.example")
    yield store
    store.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_policy: WritePolicy) -> Path:
    """Return the folder of a site with one complete policy, and work in it."""
    write_policy("privacy/1.en.md")
    (tmp_path / "consent.toml").write_text('origins = ["https://meridian.example"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONSENT_CONFIG", raising=False)
    monkeypatch.setenv("CONSENT_SECRET_KEYS", '["a long enough key for a test"]')
    return tmp_path


def run(*words: str) -> int:
    """Parse a command line and carry it out."""
    parser = argparse.ArgumentParser()
    policy.add(parser.add_subparsers())
    args = parser.parse_args(["policy", *words])
    code: int = args.run(args)
    return code


def test_versions_are_listed_with_their_state(make_policy: MakePolicy) -> None:
    """The list says what is in force, what was, what will be, and what is not finished."""
    library = Library(
        documents=(
            make_policy(version="1", effective=date(2026, 3, 1)),
            make_policy(version="2", effective=date(2026, 6, 1), material=False),
            make_policy(version="2", effective=date(2026, 6, 1), material=False, language="uk"),
            make_policy("[[a]] [[b]]", version="3", effective=date(2026, 9, 1)),
        )
    )
    assert policy.listing(library, today=TODAY) == [
        "POLICY   VERSION  LANGUAGES  EFFECTIVE   MATERIAL  STATE",
        "privacy  1        en         2026-03-01  yes       superseded",
        "privacy  2        en uk      2026-06-01  no        in force",
        "privacy  3        en         2026-09-01  yes       scheduled, 2 to be filled in",
    ]


@pytest.mark.parametrize(
    ("newest", "name"),
    [("1", "2"), ("1.9", "1.10"), ("2026-03-01", "2026-07-01"), ("v1", "v2"), ("first", "2026-07-01")],
)
def test_a_new_version_copies_the_newest(write_policy: WritePolicy, tmp_path: Path, newest: str, name: str) -> None:
    """Every language is copied with its body, from today, not material, and with a summary still to be written."""
    write_policy(f"privacy/{newest}.en.md", "English.\r\n")
    write_policy(f"privacy/{newest}.uk.md", "Українською.\n")
    folder = tmp_path / "policies"
    lines = policy.begin(folder, read(folder), "privacy", today=TODAY)
    library = read(folder)
    assert library.versions("privacy") == (newest, name)
    english, ukrainian = (library.find("privacy", name, language) for language in ("en", "uk"))
    assert english is not None
    assert ukrainian is not None
    assert (english.body, ukrainian.body) == (
        "English.\n" if "\r" not in english.body else "English.\r\n",
        "Українською.\n",
    )
    assert (english.effective, english.material, english.summary) == (TODAY, False, policy.SUMMARY_TO_WRITE)
    assert lines[0] == f"wrote {folder / 'privacy'}/{name}.en.md"


@pytest.mark.parametrize(
    ("version", "effective", "complaint"),
    [
        ("1", None, "is there already"),
        ("0", date(2026, 6, 1), "would stand before '1'"),
        (None, date(2026, 5, 31), "is in force only from 2026-06-01"),
        ("../x", None, "is not a version"),
    ],
)
def test_a_new_version_is_the_newest_or_none(
    write_policy: WritePolicy, tmp_path: Path, version: str | None, effective: date | None, complaint: str
) -> None:
    """A name that is taken, or that would stand in the past, is refused, and nothing is written."""
    write_policy("privacy/1.en.md", effective="2026-06-01")
    folder = tmp_path / "policies"
    with pytest.raises(PolicyError, match=complaint):
        policy.begin(folder, read(folder), "privacy", today=TODAY, version=version, effective=effective)
    assert [path.name for path in sorted(folder.rglob("*.md"))] == ["1.en.md"]


def test_publishing_archives_and_records_once(
    make_policy: MakePolicy, make_facts: MakeFacts, store: SqliteStore
) -> None:
    """What is in force is archived with its facts and recorded by digest; a second run finds nothing to do."""
    current, later = make_policy(), make_policy(version="2", effective=date(2026, 9, 1))
    library, facts = Library(documents=(current, later)), make_facts()
    done = policy.publish(library, slug=None, store=store, facts=facts, now=NOW)
    assert (done.now, done.later) == ((current,), (later,))
    archived = store.document(current.sha256)
    assert archived is not None
    assert archived.data == current.source
    kept = store.document(facts.sha256)
    assert kept is not None
    assert Facts.from_bytes(kept.data) == facts
    (entry,) = [json.loads(data) for data in store.entries()]
    assert (entry["kind"], entry["sha256"], entry["facts"]) == ("policy-published", current.sha256, facts.sha256)
    assert policy.publish(library, slug=None, store=store, facts=facts, now=NOW).now == ()
    assert store.head().size == 1


def test_a_scheduled_version_is_published_on_its_day(
    make_policy: MakePolicy, make_facts: MakeFacts, store: SqliteStore
) -> None:
    """The day it takes effect a version is no longer left for later."""
    library = Library(documents=(make_policy(effective=date(2026, 7, 2)),))
    assert policy.publish(library, slug=None, store=store, facts=make_facts(), now=NOW + 86_399).now == ()
    assert len(policy.publish(library, slug=None, store=store, facts=make_facts(), now=NOW + 86_400).now) == 1


def test_one_policy_can_be_published_alone(make_policy: MakePolicy, make_facts: MakeFacts, store: SqliteStore) -> None:
    """An unfinished policy does not hold up another one that is named."""
    unfinished, finished = make_policy("[[gap]]"), make_policy(slug="cookies")
    library = Library(documents=(unfinished, finished))
    with pytest.raises(PolicyError, match="'gap' is still to be filled in"):
        policy.publish(library, slug=None, store=store, facts=make_facts(), now=NOW)
    assert store.head().size == 0
    assert policy.publish(library, slug="cookies", store=store, facts=make_facts(), now=NOW).now == (finished,)


def test_an_edited_version_is_refused(make_policy: MakePolicy, make_facts: MakeFacts, store: SqliteStore) -> None:
    """Once published, a version with other bytes stops everything."""
    facts = make_facts()
    policy.publish(Library(documents=(make_policy("Old."),)), slug=None, store=store, facts=facts, now=NOW)
    edited = Library(documents=(make_policy("New."), make_policy(version="2")))
    with pytest.raises(PolicyEditedError):
        policy.publish(edited, slug=None, store=store, facts=facts, now=NOW)
    assert store.head().size == 1


def test_the_command_goes_from_new_to_published(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new version cannot be published before it is finished, and then shows as a difference."""
    assert run("publish") == 0
    assert "published privacy/1.en.md  " in capsys.readouterr().out
    assert run("new", "privacy") == 0
    assert run("publish") == 1
    assert "privacy/2.en.md, line 5: 'what changed, in a sentence or two'" in capsys.readouterr().err
    new = site / "policies/privacy/2.en.md"
    new.write_text(new.read_text().replace(policy.SUMMARY_TO_WRITE, "More.").replace("Text.", "Text and more."))
    assert run("publish") == 0
    assert run("diff", "privacy", "1") == 0
    assert "Text{+ and more+}." in capsys.readouterr().out
    assert run("diff", "privacy", "2", "2") == 0
    assert "read the same" in capsys.readouterr().out
    assert run("list") == 0
    assert "in force" in capsys.readouterr().out
    assert run("publish") == 0
    assert capsys.readouterr().out == "Everything in force is published already.\n"


def test_the_command_says_what_is_scheduled(
    site: Path, write_policy: WritePolicy, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version of a later day is left for that day."""
    write_policy("privacy/2.en.md", effective="9999-01-01")
    assert run("publish", "privacy") == 0
    assert "scheduled privacy/2.en.md: is published when it takes effect, on 9999-01-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("new", "terms"), "there is no policy 'terms'; there are privacy"),
        (("publish", "terms"), "there is no policy 'terms'"),
        (("diff", "privacy", "7"), "there is no version '7' of 'privacy'; there are 1"),
        (("diff", "privacy", "1", "--language", "uk"), "privacy 1 is not written in 'uk', but in en"),
    ],
)
@pytest.mark.usefixtures("site")
def test_names_that_do_not_exist_exit_2(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use is told on the error stream, with what there is instead."""
    assert run(*words) == 2
    streams = capsys.readouterr()
    assert complaint in streams.err
    assert streams.out == ""


@pytest.mark.parametrize("words", [(), ("remove",), ("new",), ("new", "privacy", "--effective", "soon")], ids=str)
def test_wrong_arguments_exit_2(words: tuple[str, ...]) -> None:
    """The parser refuses what it does not know."""
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


def test_an_unreadable_folder_exits_1(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing folder is one line on the error stream."""
    (site / "policies").rename(site / "elsewhere")
    assert run("list") == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_exits_1(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk or a read-only folder is one line on the error stream."""

    really_open = Path.open

    def refuse(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if "x" in mode:
            raise OSError(28, "No space left on device")
        return really_open(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert run("new", "privacy") == 1
    assert "privacy/2.en.md: cannot be written (No space left on device)" in capsys.readouterr().err
