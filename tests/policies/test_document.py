"""Test how one policy file is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import PolicyError
from consent.policies.document import Field, PolicyVersion, Unfilled, fields, parse, rewritten, unfilled, version_order

MakePolicy = Callable[..., PolicyVersion]
FRONT = b'+++\ntitle = "T"\neffective = 2026-03-01\nmaterial = true\nsummary = "S"\n+++\n'


def read(data: bytes, *, slug: str = "privacy", version: str = "1", language: str = "en") -> PolicyVersion:
    """Parse bytes under an ordinary name."""
    return parse(data, slug=slug, version=version, language=language, place="privacy/1.en.md")


def test_front_matter_and_body_come_apart() -> None:
    """Every field of the front matter arrives, and the body begins on the line after it."""
    document = read(FRONT + b"# Heading\n")
    assert (document.title, document.effective, document.material, document.summary) == (
        "T",
        date(2026, 3, 1),
        True,
        "S",
    )
    assert (document.body, document.body_line, document.place) == ("# Heading\n", 7, "privacy/1.en.md")


@pytest.mark.parametrize(
    "data",
    [FRONT + b"a\n", FRONT.replace(b"\n", b"\r\n") + b"a\r\n", b"\xef\xbb\xbf" + FRONT + b"a", FRONT[:-1]],
    ids=["lf", "crlf", "byte-order mark", "no body"],
)
def test_bytes_are_never_normalised(data: bytes) -> None:
    """The digest is that of the file's bytes, whatever their line endings."""
    document = read(data)
    assert document.source == data
    assert document.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\xff" + FRONT, "byte 0 is not UTF-8"),
        (b"# Policy\n", "has no front matter"),
        (b"", "has no front matter"),
        (b'+++\ntitle = "T"\n', "has no front matter"),
        (b" " + FRONT, "has no front matter"),
        (FRONT.replace(b'"T"', b"T"), "is not TOML"),
        (FRONT.replace(b"material", b"Material"), "unknown field 'Material'"),
        (FRONT.replace(b'title = "T"\n', b""), "has no title"),
        (FRONT.replace(b'"S"', b'" "'), "has ' ' as summary"),
        (FRONT.replace(b"2026-03-01", b'"2026-03-01"'), "has '2026-03-01' as effective"),
        (FRONT.replace(b"2026-03-01", b"2026-03-01T00:00:00Z"), "as effective"),
        (FRONT.replace(b"true", b"1"), "has 1 as material"),
        (FRONT.replace(b'"T"', b'"{{ site_name }}"'), "the title holds a field"),
    ],
)
def test_unreadable_documents_are_refused_with_their_place(data: bytes, complaint: str) -> None:
    """Each mistake is named together with the file and a remedy."""
    with pytest.raises(PolicyError) as caught:
        read(data)
    assert complaint in caught.value.message
    assert caught.value.place == "privacy/1.en.md"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "names",
    [
        {"slug": "Privacy"},
        {"slug": ".."},
        {"slug": "a/b"},
        {"version": ""},
        {"version": "1..2"},
        {"version": "1."},
        {"version": ".1"},
        {"version": "1/2"},
        {"version": "1\n"},
        {"version": "9" * 65},
        {"version": "history"},
        {"language": "english"},
        {"language": "e"},
        {"language": "en_GB"},
    ],
    ids=str,
)
def test_names_that_cannot_stand_in_an_address_are_refused(names: dict[str, str]) -> None:
    """Slugs, versions and languages that an address could not carry, or that mean another page, are refused."""
    with pytest.raises(PolicyError):
        read(FRONT, **names)


@pytest.mark.parametrize("version", ["1", "2", "1.1", "2026-11-01", "2026-11-01_b", "v3", "9" * 64])
def test_usual_versions_are_accepted(version: str) -> None:
    """Numbers and dates are versions."""
    assert read(FRONT, version=version).version == version


def test_unfilled_markers_are_found_with_their_lines(make_policy: MakePolicy) -> None:
    """Markers are found in front matter and body, over two lines, unclosed, and in code."""
    document = make_policy("[[one]]\n\nHosted by [[the\nhost]].\n\n`[[code]]`\n\nopen [[end\n", summary="[[why]]")
    assert unfilled(document) == (
        Unfilled(line=5, text="why"),
        Unfilled(line=7, text="one"),
        Unfilled(line=9, text="the host"),
        Unfilled(line=12, text="code"),
        Unfilled(line=14, text="end"),
    )


def test_ordinary_brackets_are_not_unfilled(make_policy: MakePolicy) -> None:
    """Links and single brackets leave a document complete."""
    assert unfilled(make_policy("[link](/a) [x] [ [y] ]\n")) == ()


def test_fields_are_found_with_their_lines(make_policy: MakePolicy) -> None:
    """Fields of the settings are listed, and the question mark makes one optional."""
    document = make_policy("{{ site_name }} {{controller.dpo?}}\n\n{{ services }}\n")
    assert fields(document) == (
        Field(line=7, name="site_name", optional=False),
        Field(line=7, name="controller.dpo", optional=True),
        Field(line=9, name="services", optional=False),
    )


@pytest.mark.parametrize(
    "line",
    [
        "{{ company }}",
        "{{ controller }}",
        "{{ site_name",
        "{{}}",
        "{{ services? }}",
        "Here: {{ services }}",
        "{{{ a }}}",
    ],
)
def test_unknown_and_misplaced_fields_are_refused_with_their_line(make_policy: MakePolicy, line: str) -> None:
    """What looks like a field and is none is an error that names the line in the file."""
    with pytest.raises(PolicyError) as caught:
        make_policy(f"First.\n\n{line}\n")
    assert caught.value.place == "privacy/1.en.md, line 9"


def test_versions_are_ordered_as_people_count() -> None:
    """Numbers inside versions count as numbers."""
    versions = ["10", "2", "1.10", "1.9", "2026-11-01", "v2", "1"]
    assert sorted(versions, key=version_order) == ["1", "1.9", "1.10", "2", "10", "2026-11-01", "v2"]


@given(st.lists(st.text(alphabet="019ab.-_", min_size=1), unique=True))
def test_the_order_of_versions_is_total(versions: list[str]) -> None:
    """Different versions never share a place, whatever order they come in."""
    ordered = sorted(versions, key=version_order)
    assert len({version_order(version) for version in versions}) == len(versions)
    versions.reverse()
    assert sorted(versions, key=version_order) == ordered


@given(
    title=st.text(min_size=1).filter(lambda text: text.strip() and "{{" not in text),
    summary=st.text(min_size=1).filter(lambda text: text.strip() and "{{" not in text),
    body=st.text().filter(lambda text: "{{" not in text),
    ending=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=40)
def test_rewriting_keeps_title_and_body(title: str, summary: str, body: str, ending: str) -> None:
    """A rewritten file reads back with the new front matter, the old title, and the same body."""
    first = FRONT.decode().replace("\n", ending).encode() + body.encode()
    titled = replace(read(first), title=title)
    again = read(rewritten(titled, effective=date(2027, 1, 2), material=False, summary=summary))
    assert (again.effective, again.material, again.summary, again.title) == (date(2027, 1, 2), False, summary, title)
    assert again.body == body
    assert (b"+++\r\n" in again.source) == (ending == "\r\n")


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    """Whatever the bytes after a front matter, the answer is a document or a PolicyError."""
    for candidate in (data, FRONT + data, FRONT[:10] + data):
        try:
            document = read(candidate)
        except PolicyError:
            continue
        unfilled(document)
        fields(document)
