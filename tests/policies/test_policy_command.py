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
from consent.settings import ConsentSettings
from consent.site import Site

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
        "privacy  3        en         2026-09-01  yes       draft, 2 to be filled in",
    ]


def test_a_draft_is_not_in_force(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """The newest complete version is the one in force, also where the gap is in the settings or in one language."""
    library = Library(
        documents=(
            make_policy(version="1"),
            make_policy(version="2"),
            make_policy("[[a]]", version="2", language="uk"),
            make_policy("[[a]]", version="3"),
            make_policy("{{ controller.dpo }}", version="4"),
        )
    )
    states = [line.split("yes")[1].strip() for line in policy.listing(library, today=TODAY, facts=make_facts())[1:]]
    assert states == [
        "superseded",
        "in force, draft in uk, 1 to be filled in",
        "draft, 1 to be filled in",
        "draft, 1 to be filled in",
    ]


def test_a_draft_is_finished_before_another(write_policy: WritePolicy, tmp_path: Path) -> None:
    """A second new version is refused while the first has something to be filled in, and the file is named."""
    write_policy("privacy/1.en.md")
    folder = tmp_path / "policies"
    policy.begin(folder, read(folder), "privacy", today=TODAY)
    with pytest.raises(PolicyError, match=r"privacy/2\.en\.md: version 2 is still a draft"):
        policy.begin(folder, read(folder), "privacy", today=TODAY)
    assert read(folder).versions("privacy") == ("1", "2")


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


def test_an_edit_becomes_a_version_and_the_published_text_comes_back(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way out of a site that does not start: it is listed, copied, restored, and nothing of it is lost."""
    published = site / "policies/privacy/1.en.md"
    original = published.read_bytes()
    assert run("publish") == 0
    published.write_bytes(original.replace(b"Text.", b"Other text."))
    assert run("list") == 0
    assert "in force, edited\n" in capsys.readouterr().out
    assert run("publish") == 1
    told = capsys.readouterr().err
    assert "consent policy new privacy. Then" in told
    assert "consent policy restore privacy 1 en" in told
    assert run("new", "privacy") == 0
    assert run("restore", "privacy", "1", "en") == 0
    assert published.read_bytes() == original
    aside = site / "policies/privacy/1.en.md.edited"
    assert b"Other text." in aside.read_bytes()
    assert b"Other text." in (site / "policies/privacy/2.en.md").read_bytes()
    out = capsys.readouterr().out
    assert f"moved the edited text to {aside}\nrestored {published} as it was published\n" in out
    assert run("list") == 0
    assert "edited" not in capsys.readouterr().out
    Site(ConsentSettings()).close()


def test_every_edit_is_kept(site: Path, write_policy: WritePolicy, capsys: pytest.CaptureFixture[str]) -> None:
    """All languages come back, unreadable and missing files too, and an older edited text is not overwritten."""
    english, ukrainian = (write_policy(f"privacy/1.{tag}.md", f"In {tag}.") for tag in ("en", "uk"))
    originals = english.read_bytes(), ukrainian.read_bytes()
    assert run("publish") == 0
    ukrainian.unlink()
    for edit in (b"first", b"second", b"third"):
        english.write_bytes(edit)
        assert run("restore", "privacy", "1") == 0
        assert (english.read_bytes(), ukrainian.read_bytes()) == originals
    aside = [english.with_name(f"1.en.md.edited{number}").read_bytes() for number in ("", ".2", ".3")]
    assert aside == [b"first", b"second", b"third"]
    capsys.readouterr()
    assert run("restore", "privacy", "1") == 0
    assert capsys.readouterr().out == (f"{english} is as it was published\n{ukrainian} is as it was published\n")
    assert len(list(english.parent.iterdir())) == 5


def test_what_cannot_be_restored(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a ledger none is made; a name that was not published is wrong use; a blocked folder loses nothing."""
    assert run("restore", "privacy", "1") == 1
    assert "no ledger at " in capsys.readouterr().err
    assert not (site / "consent.db").exists()
    assert run("publish") == 0
    assert run("restore", "privacy", "2") == 2
    assert "the ledger has no privacy 2; published is privacy 1 en" in capsys.readouterr().err
    (site / "policies").rename(site / "elsewhere")
    (site / "policies").write_text("")
    assert run("restore", "privacy", "1") == 1
    assert "1.en.md: cannot be restored" in capsys.readouterr().err


def test_versions_are_listed_although_the_ledger_cannot_be_read(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged ledger is told on the error stream, and the list is printed."""
    (site / "consent.db").write_text("damaged" * 1_000)
    assert run("list") == 0
    captured = capsys.readouterr()
    assert "in force" in captured.out
    assert "edited versions are not marked" in captured.err


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
        (("new", "terms"), "there are privacy; write policies/terms/1.en.md to begin one"),
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
def test_wrong_arguments_exit_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The parser refuses what it does not know."""
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    if "soon" in words:
        assert "--effective: 'soon' is not a date: write it as 2026-11-01" in capsys.readouterr().err


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
