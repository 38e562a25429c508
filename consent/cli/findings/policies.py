"""Look at the policies: readable, filled in, in force, in every language, and the same as published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby
from pathlib import Path
from textwrap import shorten

from consent.cli.findings.finding import Finding, error, info, warning
from consent.errors import PolicyEditedError, PolicyError
from consent.policies import library as policies
from consent.policies.document import PolicyVersion, parse, unfilled
from consent.policies.facts import Facts
from consent.policies.library import Library
from consent.policies.publish import unset
from consent.publication import published_policies
from consent.settings import ConsentSettings

EXPECTED = {"privacy": ("C301", "privacy policy"), "cookies": ("C302", "cookie policy")}


def read(settings: ConsentSettings) -> tuple[Library, list[Finding]]:
    """Return the policies that can be read, and what keeps the others from it."""
    folder = settings.path(settings.policies_dir)
    if not folder.is_dir():
        missing = warning(
            "C300",
            "policies_dir",
            f"there is no folder {str(settings.policies_dir)!r}, so visitors find no policy",
            "Make it, or let `consent init` write starter policies into a new folder",
        )
        return Library(), [missing]
    try:
        return policies.read(folder), []
    except PolicyError as first:
        refused = {str(first): _refused(first, settings)}
    documents = []
    for path in sorted(folder.glob("*/*.md")):
        try:
            documents.append(_parsed(path))
        except PolicyError as wrong:
            refused.setdefault(str(wrong), _refused(wrong, settings))
        except OSError:
            continue
    try:
        return Library(documents=tuple(documents)), list(refused.values())
    except PolicyError as wrong:
        refused.setdefault(str(wrong), _refused(wrong, settings))
        return Library(), list(refused.values())


def find(settings: ConsentSettings, library: Library, *, today: date) -> Iterator[Finding]:
    """Yield what is wrong with the policies that can be read; nothing about missing ones where there is no folder."""
    facts = Facts(
        site_name=settings.name, controller=settings.controller.model_dump(), default_language=settings.default_language
    )
    for document in library.documents:
        yield from _gaps(document, settings, facts=facts)
    folder = settings.path(settings.policies_dir)
    for slug, (code, title) in EXPECTED.items() if folder.is_dir() else ():
        unreadable = not library.versions(slug) and any((folder / slug).glob("*.md"))
        if library.in_force(slug, today) is None and not unreadable:
            yield _not_in_force(code, title, settings, library, slug=slug)
    for slug in library.slugs:
        in_force = library.in_force(slug, today)
        for version in library.versions(slug):
            effective = library.effective(slug, version)
            if version == in_force or (effective is not None and effective > today):
                yield from _languages(library, slug, version, settings)


def compare(settings: ConsentSettings, library: Library, publications: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield how the policies on disk differ from the ones that the ledger says were published."""
    published = {key: one.sha256 for key, one in published_policies(publications).items()}
    for document in library.documents:
        try:
            policies.verify_published(Library(documents=(document,)), published)
        except PolicyEditedError as edited:
            yield error("C306", _place(document.place, settings), edited.message, edited.remedy)
    for slug, version, language in sorted(published):
        place = f"{slug}/{version}.{language}.md"
        if not (settings.path(settings.policies_dir) / place).exists():
            yield info(
                "C307",
                _place(place, settings),
                "was published and is no longer there; visitors read the copy in the ledger",
                "Put the file back if it was removed by mistake",
            )


def _gaps(document: PolicyVersion, settings: ConsentSettings, *, facts: Facts) -> Iterator[Finding]:
    place = _place(document.place, settings)
    for gap in unfilled(document):
        text = shorten(gap.text, 60, placeholder="…")
        yield error(
            "C304",
            f"{place}:{gap.line}",
            f"{text!r} is still to be filled in; until then this version is not published",
            "Write the text in place of the double brackets, or delete the passage",
        )
    for name, gaps in groupby(sorted(unset(document, facts=facts), key=lambda gap: gap.text), lambda gap: gap.text):
        lines = sorted(gap.line for gap in gaps)
        more = f" here and in line {', '.join(map(str, lines[1:]))}" if lines[1:] else ""
        yield error(
            "C304",
            f"{place}:{lines[0]}",
            f"the setting {name!r} is empty, which leaves a gap in the text{more}",
            f"Set {name} in the configuration",
        )


def _not_in_force(code: str, title: str, settings: ConsentSettings, library: Library, *, slug: str) -> Finding:
    place = _place(slug, settings)
    versions = library.versions(slug)
    if not versions:
        return warning(code, place, f"there is no {title}", f"Write {place}/1.{settings.default_language}.md")
    first = library.effective(slug, versions[0])
    return warning(
        code, place, f"no version of the {title} is in force before {first}", "Give the first one an earlier day"
    )


def _languages(library: Library, slug: str, version: str, settings: ConsentSettings) -> Iterator[Finding]:
    languages = library.languages(slug, version)
    for language in settings.spoken:
        if not {language, language.partition("-")[0]} & set(languages):
            yield warning(
                "C305",
                _place(f"{slug}/{version}.{language}.md", settings),
                f"version {version} is not written in {language!r}, but in {', '.join(languages)}",
                "Translate it, or remove the language from languages",
            )


def _parsed(path: Path) -> PolicyVersion:
    version, _, language = path.stem.rpartition(".")
    return parse(
        path.read_bytes(),
        slug=path.parent.name,
        version=version,
        language=language,
        place=f"{path.parent.name}/{path.name}",
    )


def _refused(wrong: PolicyError, settings: ConsentSettings) -> Finding:
    place = wrong.place if Path(wrong.place).is_absolute() else _place(wrong.place, settings)
    return error("C303", place, wrong.message, wrong.remedy or "Correct the file")


def _place(place: str, settings: ConsentSettings) -> str:
    return (settings.policies_dir / place).as_posix()
