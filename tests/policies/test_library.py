"""Test which version is in force, and what a folder of policies may hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.errors import PolicyEditedError, PolicyError
from consent.policies.document import PolicyVersion, parse
from consent.policies.library import Library, read, verify_published

MakePolicy = Callable[..., PolicyVersion]
WritePolicy = Callable[..., Path]


@pytest.fixture
def library(make_policy: MakePolicy) -> Library:
    """Return three versions of one policy, the middle one not material, and one of another."""
    return Library(
        documents=(
            make_policy(version="10", effective=date(2026, 12, 1)),
            make_policy(version="2", effective=date(2026, 6, 1), material=False, language="uk"),
            make_policy(version="2", effective=date(2026, 6, 1), material=False),
            make_policy(version="1", effective=date(2026, 3, 1), material=False),
            make_policy(slug="cookies", version="1", effective=date(2026, 4, 1)),
        )
    )


def test_versions_and_languages_are_ordered(library: Library) -> None:
    """Slugs and languages are sorted, and versions go from the oldest to the newest."""
    assert library.slugs == ("cookies", "privacy")
    assert library.versions("privacy") == ("1", "2", "10")
    assert library.languages("privacy", "2") == ("en", "uk")
    assert library.versions("unknown") == ()
    assert library.languages("privacy", "3") == ()


def test_versions_of_one_day_are_ordered_by_name(make_policy: MakePolicy) -> None:
    """Of two versions with the same day, the one whose name counts higher is the newer."""
    library = Library(documents=(make_policy(version="10"), make_policy(version="9")))
    assert library.versions("privacy") == ("9", "10")
    assert library.in_force("privacy", date(2026, 3, 1)) == "10"


@pytest.mark.parametrize(
    ("now", "version", "change"),
    [
        (datetime(2026, 2, 28, 23, 59, tzinfo=UTC), None, datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, tzinfo=UTC), "1", datetime(2026, 4, 1, tzinfo=UTC)),
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC), "1", datetime(2026, 6, 1, tzinfo=UTC)),
        (datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=3))), "1", datetime(2026, 6, 1, tzinfo=UTC)),
        (datetime(2026, 6, 1), "2", datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2027, 1, 1, tzinfo=UTC), "10", None),
    ],
    ids=["before the first", "from midnight", "last second", "other time zone", "naive is UTC", "after the last"],
)
def test_the_version_in_force_changes_at_midnight_utc(
    library: Library, now: datetime, version: str | None, change: datetime | None
) -> None:
    """A version is in force from 00:00 UTC of its day, and the next change is the next such midnight."""
    assert library.in_force("privacy", now) == version
    assert library.next_change(now) == change


def test_a_missing_language_falls_back(library: Library) -> None:
    """A variety falls back to its language, then to the default, then to any; an unknown version has no document."""
    wanted = [("uk-UA", ""), ("uk", "en"), ("de", "en"), ("de", "fr")]
    found = [library.get("privacy", "2", language, default=default) for language, default in wanted]
    assert [document.language if document else None for document in found] == ["uk", "uk", "en", "en"]
    assert library.get("privacy", "3", "en") is None
    assert library.find("privacy", "2", "de") is None
    assert library.effective("privacy", "2") == date(2026, 6, 1)
    assert library.effective("privacy", "3") is None


def test_the_newest_material_version_counts_up_to_each(library: Library) -> None:
    """The first version counts as material, and one that is not material inherits from before."""
    material = [library.material_version("privacy", version) for version in ("1", "2", "10", "3")]
    assert material == ["1", "1", "10", None]


@given(st.lists(st.tuples(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.booleans()), min_size=1, max_size=8))
def test_what_is_in_force_is_the_newest_that_has_begun(rows: list[tuple[date, bool]]) -> None:
    """On every day the version in force is the last one begun, and its material version is not newer than it."""
    library = Library(
        documents=tuple(
            parse(
                f'+++\ntitle="T"\neffective={day}\nmaterial={str(material).lower()}\nsummary="S"\n+++\n'.encode(),
                slug="p",
                version=str(number),
                language="en",
                place="",
            )
            for number, (day, material) in enumerate(rows)
        )
    )
    versions = library.versions("p")
    for day, _ in rows:
        current = library.in_force("p", day)
        assert current is not None
        begun = [version for version in versions if (library.effective("p", version) or date.max) <= day]
        assert current == begun[-1]
        material_version = library.material_version("p", current)
        assert material_version in versions[: versions.index(current) + 1]


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"language": "uk", "effective": date(2026, 3, 2)}, "effective differs from privacy/1.en.md"),
        ({"language": "uk", "material": False}, "material differs from privacy/1.en.md"),
        ({}, "is the same version and language as privacy/1.en.md"),
        ({"language": "EN"}, "is the same version and language as"),
    ],
    ids=["effective", "material", "twice", "case"],
)
def test_languages_of_a_version_must_agree(make_policy: MakePolicy, other: dict[str, object], complaint: str) -> None:
    """Two documents of a version that contradict each other are refused."""
    with pytest.raises(PolicyError, match=complaint):
        Library(documents=(make_policy(), make_policy(**other)))


def test_a_folder_is_read_by_its_names(write_policy: WritePolicy, tmp_path: Path) -> None:
    """Documents come from <slug>/<version>.<language>.md; hidden and other files are left alone."""
    write_policy("privacy/1.1.en.md")
    write_policy("privacy/1.1.uk.md")
    write_policy("privacy/.draft.en.md")
    write_policy(".git/1.en.md")
    (tmp_path / "policies/privacy/1.1.en.md~").write_text("")
    (tmp_path / "policies/README.md").write_text("About this folder.")
    assert [document.key for document in read(tmp_path / "policies").documents] == [
        ("privacy", "1.1", "en"),
        ("privacy", "1.1", "uk"),
    ]


def test_links_inside_the_folder_are_followed(write_policy: WritePolicy, tmp_path: Path) -> None:
    """A link to another file of the folder, as a mounted configuration has, is read."""
    target = write_policy("..data/privacy.md")
    link = tmp_path / "policies/privacy/1.en.md"
    link.parent.mkdir()
    link.symlink_to(target)
    assert read(tmp_path / "policies").slugs == ("privacy",)


def test_links_out_of_the_folder_are_refused(write_policy: WritePolicy, tmp_path: Path) -> None:
    """A link that leads out could show what was never meant to be a policy."""
    write_policy("privacy/1.en.md")
    outside = tmp_path / "secret.md"
    outside.write_text("secret")
    (tmp_path / "policies/privacy/2.en.md").symlink_to(outside)
    with pytest.raises(PolicyError, match=r"privacy/2\.en\.md: is a link that leads out"):
        read(tmp_path / "policies")


def test_a_linked_slug_folder_cannot_lead_out(write_policy: WritePolicy, tmp_path: Path) -> None:
    """A whole folder outside is refused like a single file."""
    write_policy("privacy/1.en.md")
    (tmp_path / "policies").rename(tmp_path / "elsewhere")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/privacy").symlink_to(tmp_path / "elsewhere/privacy")
    with pytest.raises(PolicyError, match="leads out"):
        read(tmp_path / "policies")


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _loop, _nowhere], ids=["folder", "pipe", "loop", "dangling"])
def test_what_is_no_file_is_refused(write_policy: WritePolicy, tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Folders, pipes and broken links under a policy's name are errors with a place, and reading never blocks."""
    write_policy("privacy/1.en.md")
    make(tmp_path / "policies/privacy/2.en.md")
    with pytest.raises(PolicyError, match=r"privacy/2\.en\.md"):
        read(tmp_path / "policies")


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("privacy/readme.md", "names no language"),
        ("1.en.md", "outside of any policy"),
        ("Privacy/1.en.md", "not a slug"),
    ],
)
def test_misnamed_files_are_refused(write_policy: WritePolicy, tmp_path: Path, place: str, complaint: str) -> None:
    """A Markdown file that would silently not be served is an error."""
    write_policy(place)
    with pytest.raises(PolicyError, match=complaint):
        read(tmp_path / "policies")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is an error that says so."""
    with pytest.raises(PolicyError, match="cannot be read"):
        read(tmp_path / "policies")


def test_a_published_version_that_was_edited_is_refused(make_policy: MakePolicy) -> None:
    """The error names both digests and what to do instead."""
    published, edited = make_policy("Old.\n"), make_policy("New.\n")
    library = Library(documents=(edited,))
    verify_published(library, {edited.key: edited.sha256, ("cookies", "1", "en"): "00"})
    with pytest.raises(PolicyEditedError) as caught:
        verify_published(library, {published.key: published.sha256})
    assert (caught.value.published, caught.value.on_disk) == (published.sha256, edited.sha256)
    assert published.sha256 in str(caught.value)
    assert edited.sha256 in str(caught.value)
    assert "consent policy new privacy" in caught.value.remedy
