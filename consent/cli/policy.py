"""List the policies of a site, begin a new version, publish what is in force, and show what changed."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from consent import languages
from consent.errors import ConsentError, PolicyError
from consent.ledger.store import Store
from consent.policies import library as policies
from consent.policies.compare import compare
from consent.policies.document import PolicyVersion, parse, rewritten, unfilled
from consent.policies.facts import Facts
from consent.policies.library import Library
from consent.policies.publish import refuse_unfilled
from consent.publication import of_policies, published_policies
from consent.settings import ConsentSettings
from consent.site import Site

SUMMARY_TO_WRITE = "[[what changed, in a sentence or two]]"


class _UsageError(Exception):
    """Name something that does not exist, and what does."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent policy` with its four actions."""
    parser = subparsers.add_parser("policy", help="list, begin, publish and compare policy versions")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list every version: its languages, from when, and whether it is in force")

    new = actions.add_parser("new", help="begin a new version: copy the newest one, in all its languages")
    new.add_argument("slug", help="the policy, such as 'privacy'")
    new.add_argument("--version", metavar="NAME", help="name of the version (default: the next number, or its date)")
    new.add_argument(
        "--effective",
        metavar="DATE",
        type=date.fromisoformat,
        help="the day from which it is in force, such as 2026-11-01 (default: today)",
    )

    publish = actions.add_parser("publish", help="write every version in force into the ledger, for ever")
    publish.add_argument("slug", nargs="?", help="one policy only")

    diff = actions.add_parser("diff", help="show what changed from one version to another")
    diff.add_argument("slug", help="the policy, such as 'privacy'")
    diff.add_argument("older", help="a version, such as '1'")
    diff.add_argument("newer", nargs="?", help="another version (default: the newest)")
    diff.add_argument(
        "--language", metavar="TAG", help="the language to compare (default: the site's default language)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one action; return 0, 1 for what may not be done, or 2 for a name that does not exist."""
    try:
        settings = ConsentSettings()
        folder = settings.path(settings.policies_dir)
        library = policies.read(folder)
        today = datetime.now(UTC).date()
        if args.action == "list":
            lines = listing(library, today=today)
        elif args.action == "new":
            lines = begin(folder, library, args.slug, today=today, version=args.version, effective=args.effective)
        elif args.action == "diff":
            language = args.language or settings.default_language
            lines = [difference(library, args.slug, args.older, newer=args.newer, language=language)]
        else:
            site = Site(settings)
            try:
                done = publish(library, slug=args.slug, store=site.ledger.store, facts=site.facts, now=int(time.time()))
            finally:
                site.close()
            lines = list(_report(done))
    except _UsageError as error:
        print(f"consent: {error}", file=sys.stderr)
        return 2
    except ConsentError as error:
        print(f"consent: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def listing(library: Library, *, today: date) -> list[str]:
    """Return a line for every version, the oldest first, under a line of headings."""
    rows = [("POLICY", "VERSION", "LANGUAGES", "EFFECTIVE", "MATERIAL", "STATE")]
    for slug in library.slugs:
        in_force = library.in_force(slug, today)
        for version in library.versions(slug):
            documents = [
                document for document in library.documents if (document.slug, document.version) == (slug, version)
            ]
            effective = documents[0].effective
            state = "in force" if version == in_force else "scheduled" if effective > today else "superseded"
            gaps = sum(len(unfilled(document)) for document in documents)
            rows.append(
                (
                    slug,
                    version,
                    " ".join(document.language for document in documents),
                    effective.isoformat(),
                    "yes" if documents[0].material else "no",
                    f"{state}, {gaps} to be filled in" if gaps else state,
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def begin(
    folder: Path,
    library: Library,
    slug: str,
    *,
    today: date,
    version: str | None = None,
    effective: date | None = None,
) -> list[str]:
    """Copy the newest version of a policy, in all its languages, into new files; return a line for each and what to do.

    The copies are not material and lack a summary, so that they cannot be published before somebody has written one.
    Raises PolicyError where a file is there already or the new version would not be the newest.
    """
    versions = _versions(library, slug)
    newest = [document for document in library.documents if (document.slug, document.version) == (slug, versions[-1])]
    effective = effective or today
    if effective < newest[0].effective:
        raise PolicyError(
            f"version {versions[-1]} is in force only from {newest[0].effective}, after {effective}",
            place=newest[0].place,
            remedy=f"Give the new version a later day with --effective {newest[0].effective} or after",
        )
    version = version or _next_name(versions[-1], effective)
    copies = []
    for document in newest:
        place = f"{slug}/{version}.{document.language}.md"
        data = rewritten(document, effective=effective, material=False, summary=SUMMARY_TO_WRITE)
        copies.append(parse(data, slug=slug, version=version, language=document.language, place=place))
        if (folder / place).exists():
            raise PolicyError("is there already", place=place, remedy="Name another version with --version")
    if Library(documents=(*library.documents, *copies)).versions(slug)[-1] != version:
        raise PolicyError(
            f"version {version!r} would stand before {versions[-1]!r}, which takes effect on the same day",
            place=slug,
            remedy="Name a later version with --version, or a later day with --effective",
        )
    for copy in copies:
        try:
            with (folder / copy.place).open("xb") as file:
                file.write(copy.source)
        except OSError as error:
            raise PolicyError(
                f"cannot be written ({error.strerror})", place=copy.place, remedy="Make the folder writable"
            ) from None
    return [
        *(f"wrote {folder / copy.place}" for copy in copies),
        "Now change the text, write the summary, and set material = true if people who agreed must be asked again.",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Hold what one run published, and what it left for the day on which it takes effect."""

    now: tuple[PolicyVersion, ...]
    later: tuple[PolicyVersion, ...]


def publish(library: Library, *, slug: str | None, store: Store, facts: Facts, now: int) -> Published:
    """Publish every document that is in force at `now` (Unix seconds) and not published yet; append nothing else.

    Raises PolicyEditedError for a published document whose bytes changed, and PolicyError for one that is still to be
    filled in; then nothing at all is published.
    """
    if slug is not None:
        _versions(library, slug)
        library = Library(documents=tuple(document for document in library.documents if document.slug == slug))
    entries = store.publications()
    already = published_policies(entries)
    policies.verify_published(library, {key: one.sha256 for key, one in already.items()})
    today = policies.day(datetime.fromtimestamp(now, UTC))
    waiting = [document for document in library.documents if document.key not in already]
    due = tuple(document for document in waiting if document.effective <= today)
    refuse_unfilled(due, facts=facts)
    new = list(of_policies(Library(documents=due), facts=facts, now=now))
    for publication in new:
        for document in publication.documents:
            store.archive(document)
    if new:
        store.append([publication.draft for publication in new], now=now)
    return Published(now=due, later=tuple(document for document in waiting if document.effective > today))


def difference(library: Library, slug: str, older: str, *, newer: str | None, language: str) -> str:
    """Return the changes between two versions as plain text, with what was removed and added in brackets."""
    versions = _versions(library, slug)
    first, second = (_document(library, slug, version, language) for version in (older, newer or versions[-1]))
    changes = compare(first, second, words=languages.wording(languages.SOURCE))
    return changes.text() if not changes.same else f"{first.place} and {second.place} read the same."


def _versions(library: Library, slug: str) -> Sequence[str]:
    versions = library.versions(slug)
    if not versions:
        raise _UsageError(f"there is no policy {slug!r}; there are {', '.join(library.slugs) or 'none'}")
    return versions


def _document(library: Library, slug: str, version: str, language: str) -> PolicyVersion:
    document = library.find(slug, version, language)
    if document is None and version not in library.versions(slug):
        raise _UsageError(f"there is no version {version!r} of {slug!r}; there are {', '.join(library.versions(slug))}")
    if document is None:
        raise _UsageError(
            f"{slug} {version} is not written in {language!r}, but in {', '.join(library.languages(slug, version))}"
        )
    return document


def _next_name(newest: str, effective: date) -> str:
    """Return the name of the version after one: a day where versions are named by days, else the next number."""
    number = re.fullmatch(r"(.*?)(\d+)", newest)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", newest) or number is None:
        return effective.isoformat()
    return f"{number[1]}{int(number[2]) + 1}"


def _report(done: Published) -> Iterator[str]:
    for document in done.now:
        yield f"published {document.place}  {document.sha256}"
    for document in done.later:
        yield f"scheduled {document.place}: is published when it takes effect, on {document.effective}"
    if not done.now:
        yield "Everything in force is published already."
    else:
        yield "A published version never changes. A running site serves it after its next start."
