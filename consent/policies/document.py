"""Read one version of a policy in one language, and find what in it is still to be filled in."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from consent.errors import PolicyError

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
VERSION = re.compile(r"(?=.{1,64}\Z)[0-9A-Za-z](?:[0-9A-Za-z_-]|\.(?=[0-9A-Za-z_-]))*")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
RESERVED_VERSIONS = ("history",)
"""Words that stand in the place of a version in an address of their own: `/privacy/policies/{slug}/history`."""

INLINE_FIELDS = (
    "site_name",
    "controller.name",
    "controller.address",
    "controller.contact",
    "controller.dpo",
    "controller.authority",
)
TABLE_FIELDS = ("services", "cookies", "recipients")

_FRONT_MATTER = re.compile(
    r"\A\ufeff?\+\+\+[ \t]*\r?\n(?P<toml>.*?)^\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
_FRONT_MATTER_FIELDS: dict[str, type] = {"title": str, "effective": date, "material": bool, "summary": str}
_FIELD = re.compile(r"\{\{[ \t]*(?P<name>[^{}\n]*?)(?P<optional>\?)?[ \t]*\}\}")
_MARKER = re.compile(r"\[\[(?P<text>(?:(?!\n[ \t]*\n)[^\]])*?)\]\]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """Hold one version of a policy in one language.

    `source` are the exact bytes of the file, and `sha256` the hexadecimal digest of those bytes. `body` is the Markdown
    after the front matter, and `body_line` the number of its first line in the file, counted from 1.
    """

    slug: str
    version: str
    language: str
    title: str
    effective: date
    material: bool
    summary: str
    source: bytes = field(repr=False)
    sha256: str
    body: str = field(repr=False)
    body_line: int = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """Return slug, version and language."""
        return (self.slug, self.version, self.language)

    @property
    def place(self) -> str:
        """Return the path of the file inside the folder of policies."""
        return f"{self.slug}/{self.version}.{self.language}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfilled:
    """Name one place of a document that is still to be filled in, by its line in the file, counted from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Name one field that the site's settings fill in; the line of an optional one is left out where it is not set."""

    line: int
    name: str
    optional: bool


def parse(data: bytes, *, slug: str, version: str, language: str, place: str) -> PolicyVersion:
    """Read the bytes of a policy file.

    `place` is how errors name the file. Nothing of `data` is normalised: a byte-order mark and the line endings count.
    Raises PolicyError, naming the place and the remedy, for a name that cannot stand in an address, text that is not
    UTF-8, front matter that is missing, malformed or incomplete, and fields that do not exist.
    """
    _check_names(slug, version, language, place)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"byte {error.start} is not UTF-8", place=place, remedy="Save the file with the encoding UTF-8"
        ) from None
    front = _FRONT_MATTER.match(text)
    if front is None:
        raise PolicyError(
            "has no front matter",
            place=place,
            remedy="Begin the file with a line +++, then title, effective, material and summary, then another line +++",
        )
    values = _front_matter(front["toml"], place)
    document = PolicyVersion(
        slug=slug,
        version=version,
        language=language,
        title=values["title"],
        effective=values["effective"],
        material=values["material"],
        summary=values["summary"],
        source=data,
        sha256=hashlib.sha256(data).hexdigest(),
        body=text[front.end() :],
        body_line=text.count("\n", 0, front.end()) + 1,
    )
    _check_fields(document, place)
    return document


def unfilled(document: PolicyVersion) -> tuple[Unfilled, ...]:
    """Return the `[[…]]` markers of a document, front matter included, in the order of their lines.

    Two opening brackets count even where nothing closes them: better one publication refused than half a sentence
    published.
    """
    text = document.source.decode()
    found = []
    for start in re.finditer(r"\[\[", text):
        whole = _MARKER.match(text, start.start())
        inner = whole["text"] if whole else text[start.end() :].partition("\n")[0]
        found.append(Unfilled(line=text.count("\n", 0, start.start()) + 1, text=" ".join(inner.split())))
    return tuple(found)


def fields(document: PolicyVersion) -> tuple[Field, ...]:
    """Return the fields of a document that the site's settings fill in, in order."""
    return tuple(
        Field(line=line, name=match["name"], optional=match["optional"] is not None)
        for line, _, match in _braces(document)
        if match is not None
    )


def without_unset_lines(body: str, unset: frozenset[str]) -> str:
    """Leave out every line that holds an optional field among the `unset` names."""

    def kept(line: str) -> bool:
        return not any(match["optional"] and match["name"] in unset for match in _FIELD.finditer(line))

    return "\n".join(line for line in body.split("\n") if kept(line))


def rewritten(
    document: PolicyVersion,
    *,
    effective: date,
    material: bool | None = None,
    summary: str | None = None,
) -> bytes:
    """Return the bytes of a file with another front matter and the same body, byte for byte.

    What is None stays as it is. The front matter takes the line ending of the old file's first line.
    """
    ending = "\r\n" if document.source.partition(b"\n")[0].endswith(b"\r") else "\n"
    lines = (
        "+++",
        f"title = {_toml_text(document.title)}",
        f"effective = {effective.isoformat()}",
        f"material = {str(document.material if material is None else material).lower()}",
        f"summary = {_toml_text(document.summary if summary is None else summary)}",
        "+++",
        "",
    )
    return (ending.join(lines) + document.body).encode()


def _toml_text(text: str) -> str:
    # JSON's escapes are TOML's too; the delete character is the one that TOML wants escaped and JSON does not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def version_order(version: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a sort key under which numbers inside a version count as numbers: 2 before 10, 1.9 before 1.10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", version)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts), version


def _check_names(slug: str, version: str, language: str, place: str) -> None:
    for what, value, pattern, remedy in (
        ("slug", slug, SLUG, "Name the folder with lower-case letters, digits and single hyphens, such as 'privacy'"),
        ("version", version, VERSION, "Use a number or a date such as '2' or '2026-11-01'"),
        ("language", language, LANGUAGE, "Name the file <version>.<language>.md, such as '2026-11-01.en.md'"),
    ):
        if pattern.fullmatch(value) is None:
            raise PolicyError(f"{value!r} is not a {what}", place=place, remedy=remedy)
    if version in RESERVED_VERSIONS:
        raise PolicyError(
            f"{version!r} may not be a version, because a page has this address",
            place=place,
            remedy="Use a number or a date such as '2' or '2026-11-01'",
        )


def _front_matter(toml: str, place: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(
            f"the front matter is not TOML: {error}", place=place, remedy="Correct the lines between the two lines +++"
        ) from None
    unknown = sorted(set(values) - set(_FRONT_MATTER_FIELDS))
    if unknown:
        raise PolicyError(
            f"unknown field {unknown[0]!r} in the front matter",
            place=place,
            remedy=f"Allowed are {', '.join(_FRONT_MATTER_FIELDS)}",
        )
    examples = {"title": '"Privacy policy"', "effective": "2026-11-01", "material": "true", "summary": '"What changed"'}
    for name, kind in _FRONT_MATTER_FIELDS.items():
        value = values.get(name)
        # A TOML date-time is a Python date too, but a version takes effect on a day.
        wrong = not isinstance(value, kind) or isinstance(value, datetime)
        if wrong or (isinstance(value, str) and not value.strip()):
            given = "has no" if name not in values else f"has {value!r} as"
            raise PolicyError(
                f"{given} {name} in the front matter", place=place, remedy=f"Write {name} = {examples[name]}"
            )
        if isinstance(value, str) and "{{" in value:
            raise PolicyError(
                f"the {name} holds a field in double braces",
                place=place,
                remedy="Write out the text; fields are filled in below the front matter only",
            )
    return values


def _braces(document: PolicyVersion) -> Iterator[tuple[int, str, re.Match[str] | None]]:
    """Yield the line number, the line, and the match of a field, for every `{{`; None where it forms no field."""
    for number, line in enumerate(document.body.split("\n"), start=document.body_line):
        position = 0
        while (start := line.find("{{", position)) >= 0:
            match = _FIELD.match(line, start)
            yield number, line, match
            position = match.end() if match else start + 2


def _check_fields(document: PolicyVersion, place: str) -> None:
    allowed = ", ".join(INLINE_FIELDS + TABLE_FIELDS)
    for number, line, match in _braces(document):
        where = f"{place}, line {number}"
        if match is None or match["name"] not in INLINE_FIELDS + TABLE_FIELDS:
            given = line.strip() if match is None else match.group()
            raise PolicyError(f"{given!r} is not a field", place=where, remedy=f"Allowed are {allowed}")
        if match["name"] in TABLE_FIELDS and (line.strip() != match.group() or match["optional"]):
            raise PolicyError(
                f"{match['name']!r} stands for a whole table",
                place=where,
                remedy=f"Write {{{{ {match['name']} }}}} alone on a line",
            )
