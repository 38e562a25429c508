"""List the policies of a site, begin a version, publish what is in force, show what changed, undo an edit."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, count
from pathlib import Path

from consent import languages
from consent.cli.opened import existing_ledger, ledger_file
from consent.errors import ConsentError, LedgerCorruptError, PolicyError
from consent.ledger.store import Store
from consent.policies import library as policies
from consent.policies.compare import compare
from consent.policies.document import PolicyVersion, parse, rewritten, unfilled
from consent.policies.facts import Facts
from consent.policies.library import Key, Library
from consent.policies.publish import gaps, refuse_unfilled
from consent.publication import of_policies, published_policies
from consent.settings import ConsentSettings
from consent.site import Site

SUMMARY_TO_WRITE = "[[what changed, in a sentence or two]]"


class _UsageError(Exception):
    """Name something that does not exist, and what does."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent policy` with its five actions."""
    parser = subparsers.add_parser("policy", help="list, begin, publish, compare and restore policy versions")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list every version: its languages, from when, and whether it is in force")

    new = actions.add_parser("new", help="begin a new version: copy the newest one, in all its languages")
    new.add_argument("slug", help="the policy, such as 'privacy'")
    new.add_argument("--version", metavar="NAME", help="name of the version (default: the next number, or its date)")
    new.add_argument(
        "--effective",
        metavar="DATE",
        type=_day,
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

    restore = actions.add_parser("restore", help="put the published text of a version back from the ledger")
    restore.add_argument("slug", help="the policy, such as 'privacy'")
    restore.add_argument("version", help="the version, such as '1'")
    restore.add_argument("language", nargs="?", help="one language only")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one action; return 0, 1 for what may not be done, or 2 for a name that does not exist."""
    try:
        lines = _carried_out(args, ConsentSettings())
    except _UsageError as error:
        print(f"consent: {error}", file=sys.stderr)
        return 2
    except ConsentError as error:
        print(f"consent: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _carried_out(args: argparse.Namespace, settings: ConsentSettings) -> list[str]:
    folder = settings.path(settings.policies_dir)
    if args.action == "restore":
        # Before the folder is read: an edited file may be one that cannot be read at all.
        with existing_ledger(settings) as ledger:
            return restore(folder, args.slug, args.version, language=args.language, store=ledger.store)
    library = policies.read(folder)
    today = datetime.now(UTC).date()
    if args.action == "list":
        facts = Facts(
            site_name=settings.name,
            controller=settings.controller.model_dump(),
            default_language=settings.default_language,
        )
        return listing(library, today=today, facts=facts, published=_published(settings))
    if args.action == "new":
        return begin(
            folder,
            library,
            args.slug,
            today=today,
            version=args.version,
            effective=args.effective,
            language=settings.default_language,
        )
    if args.action == "diff":
        language = args.language or settings.default_language
        return [difference(library, args.slug, args.older, newer=args.newer, language=language)]
    with closing(Site(settings)) as site:
        done = publish(library, slug=args.slug, store=site.ledger.store, facts=site.facts, now=int(time.time()))
    return list(_report(done))


def listing(
    library: Library, *, today: date, facts: Facts | None = None, published: Mapping[Key, str] | None = None
) -> list[str]:
    """Return a line for every version, the oldest first, under a line of headings.

    Documents that are still to be filled in, with `facts` also by the settings, are not served: they are drafts.
    `published` are the digests in the ledger, by slug, version and language.
    """
    rows = [("POLICY", "VERSION", "LANGUAGES", "EFFECTIVE", "MATERIAL", "STATE")]
    missing = {one: len(unfilled(one) if facts is None else gaps(one, facts=facts)) for one in library.documents}
    complete = Library(documents=tuple(one for one in library.documents if not missing[one]))
    for slug in library.slugs:
        in_force = complete.in_force(slug, today)
        for version in library.versions(slug):
            documents = [
                document for document in library.documents if (document.slug, document.version) == (slug, version)
            ]
            effective = documents[0].effective
            state = "in force" if version == in_force else "scheduled" if effective > today else "superseded"
            drafts = [document for document in documents if missing[document]]
            states = [] if len(drafts) == len(documents) else [state]
            if drafts:
                only = f" in {' '.join(document.language for document in drafts)}" if states else ""
                states += [f"draft{only}", f"{sum(missing[document] for document in drafts)} to be filled in"]
            if any((published or {}).get(document.key, document.sha256) != document.sha256 for document in documents):
                states.append("edited")
            rows.append(
                (
                    slug,
                    version,
                    " ".join(document.language for document in documents),
                    effective.isoformat(),
                    "yes" if documents[0].material else "no",
                    ", ".join(states),
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
    language: str = languages.SOURCE,
) -> list[str]:
    """Copy the newest version of a policy, in all its languages, into new files; return a line for each and what to do.

    The copies are not material and lack a summary, so that they cannot be published before somebody has written one.
    Raises PolicyError where a file is there already, the newest version is itself still a draft, or the new one would
    not be the newest. `language` is that of the example for a policy that does not exist yet.
    """
    versions = _versions(library, slug, remedy=f"; write {folder.name}/{slug}/1.{language}.md to begin one")
    newest = [document for document in library.documents if (document.slug, document.version) == (slug, versions[-1])]
    draft = next((document for document in newest if unfilled(document)), None)
    if draft is not None:
        raise PolicyError(
            f"version {draft.version} is still a draft",
            place=draft.place,
            remedy="Fill it in, or delete its files, before you begin another",
        )
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


def restore(folder: Path, slug: str, version: str, *, language: str | None, store: Store) -> list[str]:
    """Write the published bytes of a version, in one or all languages, back into its files; return what was done.

    A file that differs is moved aside first, to a name that no policy has, and so is never lost.
    """
    published = published_policies(store.publications())
    there = [key for key in published if key[:2] == (slug, version)]
    keys = [key for key in there if language in (None, key[2])]
    if not keys:
        known = ", ".join(" ".join(key) for key in sorted(published)) or "nothing"
        raise _UsageError(
            f"the ledger has no {' '.join(filter(None, (slug, version, language)))}; published is {known}"
        )
    lines = []
    for key in keys:
        archived = store.document(published[key].sha256)
        if archived is None:
            raise LedgerCorruptError(f"the ledger names the text of {' '.join(key)} and does not have it")
        lines += _put_back(folder / slug / f"{version}.{key[2]}.md", archived.data)
    return lines


def _put_back(path: Path, data: bytes) -> list[str]:
    lines = []
    try:
        if path.is_file() and path.read_bytes() == data:
            return [f"{path} is as it was published"]
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.restored")
        unfinished.write_bytes(data)
        if os.path.lexists(path):
            names = (path.with_name(f"{path.name}.edited{end}") for end in chain([""], map(".{}".format, count(2))))
            aside = next(name for name in names if not os.path.lexists(name))
            path.rename(aside)
            lines.append(f"moved the edited text to {aside}")
        unfinished.rename(path)
    except OSError as error:
        raise PolicyError(
            f"cannot be restored ({error.strerror})", place=str(path), remedy="Make the folder writable"
        ) from None
    return [*lines, f"restored {path} as it was published"]


def difference(library: Library, slug: str, older: str, *, newer: str | None, language: str) -> str:
    """Return the changes between two versions as plain text, with what was removed and added in brackets."""
    versions = _versions(library, slug)
    first, second = (_document(library, slug, version, language) for version in (older, newer or versions[-1]))
    changes = compare(first, second, words=languages.wording(languages.SOURCE))
    return changes.text() if not changes.same else f"{first.place} and {second.place} read the same."


def _published(settings: ConsentSettings) -> Mapping[Key, str]:
    """Return the digests that the ledger has, none where it has not been made yet or cannot be read."""
    path = ledger_file(settings)
    if path is None or not path.exists():
        return {}
    try:
        with existing_ledger(settings) as ledger:
            return {key: one.sha256 for key, one in published_policies(ledger.store.publications()).items()}
    except ConsentError as error:
        print(f"consent: edited versions are not marked, because the ledger cannot be read: {error}", file=sys.stderr)
        return {}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: write it as 2026-11-01") from None


def _versions(library: Library, slug: str, *, remedy: str = "") -> Sequence[str]:
    versions = library.versions(slug)
    if not versions:
        raise _UsageError(f"there is no policy {slug!r}; there are {', '.join(library.slugs) or 'none'}{remedy}")
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
