"""Hold all policies of a site, in their versions and languages, and say which version is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

from consent.errors import PolicyEditedError, PolicyError
from consent.policies.document import PolicyVersion, parse, version_order

Key = tuple[str, str, str]
"""Slug, version and language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Hold the documents of all policies.

    Versions are ordered by the day they take effect, then by their names read as numbers. A version takes effect at
    00:00 UTC of its day. Raises PolicyError where the languages of a version contradict each other.
    """

    documents: tuple[PolicyVersion, ...] = ()
    _versions: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _documents: dict[tuple[str, str], dict[str, PolicyVersion]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = sorted(
            self.documents, key=lambda one: (one.slug, one.effective, version_order(one.version), one.language)
        )
        documents: dict[tuple[str, str], dict[str, PolicyVersion]] = {}
        versions: dict[str, dict[str, None]] = {}
        folded: dict[Key, PolicyVersion] = {}
        for document in ordered:
            twin = folded.setdefault((document.slug, document.version.lower(), document.language.lower()), document)
            if twin is not document:
                raise PolicyError(
                    f"is the same version and language as {twin.place}",
                    place=document.place,
                    remedy="Keep one of the two; upper and lower case do not tell versions or languages apart",
                )
            languages = documents.setdefault((document.slug, document.version), {})
            for name in ("effective", "material"):
                first = next(iter(languages.values()), document)
                if getattr(first, name) != getattr(document, name):
                    raise PolicyError(
                        f"{name} differs from {first.place}",
                        place=document.place,
                        remedy="Give every language of a version the same effective date and the same material",
                    )
            languages[document.language] = document
            versions.setdefault(document.slug, {})[document.version] = None
        object.__setattr__(self, "documents", tuple(ordered))
        object.__setattr__(self, "_documents", documents)
        object.__setattr__(self, "_versions", {slug: tuple(names) for slug, names in versions.items()})

    @property
    def slugs(self) -> tuple[str, ...]:
        """Return the policies' slugs, sorted."""
        return tuple(self._versions)

    def versions(self, slug: str) -> tuple[str, ...]:
        """Return the versions of a policy, the oldest first; none for an unknown slug."""
        return self._versions.get(slug, ())

    def languages(self, slug: str, version: str) -> tuple[str, ...]:
        """Return the languages of a version, sorted; none for an unknown version."""
        return tuple(self._documents.get((slug, version), {}))

    def find(self, slug: str, version: str, language: str) -> PolicyVersion | None:
        """Return exactly this document, if there is one."""
        return self._documents.get((slug, version), {}).get(language)

    def get(self, slug: str, version: str, language: str, *, default: str = "") -> PolicyVersion | None:
        """Return a version in `language`, else in what that is a variety of, else in `default`, else in any language.

        Returns None where the version does not exist.
        """
        documents = self._documents.get((slug, version), {})
        for wanted in (language, language.partition("-")[0], default):
            if wanted in documents:
                return documents[wanted]
        return next(iter(documents.values()), None)

    def effective(self, slug: str, version: str) -> date | None:
        """Return the day from which a version is in force; None where the version does not exist."""
        document = self.get(slug, version, "")
        return document.effective if document else None

    def in_force(self, slug: str, now: datetime | date) -> str | None:
        """Return the version of a policy that is in force; None where none has taken effect yet."""
        today = day(now)
        past = [one for one in self.versions(slug) if self._first(slug, one).effective <= today]
        return past[-1] if past else None

    def next_change(self, now: datetime) -> datetime | None:
        """Return the next moment (UTC) at which a version takes effect; None where none is scheduled."""
        days = [document.effective for document in self.documents if document.effective > day(now)]
        return datetime.combine(min(days), time(), UTC) if days else None

    def material_version(self, slug: str, version: str) -> str | None:
        """Return the newest version, up to this one, whose change was material; the first version always counts.

        Whoever chose under an older one is asked again. Returns None where the version does not exist.
        """
        versions = self.versions(slug)
        if version not in versions:
            return None
        upto = versions[: versions.index(version) + 1]
        return next((one for one in reversed(upto) if self._first(slug, one).material), upto[0])

    def _first(self, slug: str, version: str) -> PolicyVersion:
        return next(iter(self._documents[slug, version].values()))


def day(now: datetime | date) -> date:
    """Return the day in UTC; a moment without a time zone is taken as UTC."""
    if not isinstance(now, datetime):
        return now
    return (now if now.tzinfo is None else now.astimezone(UTC)).date()


def read(folder: Path) -> Library:
    """Read all policies of a folder laid out as `<slug>/<version>.<language>.md`.

    Hidden files, and files that do not end in `.md`, are left alone. Raises PolicyError for everything that cannot be
    read or understood, and for links that lead out of the folder.
    """
    try:
        root = folder.resolve(strict=True)
        slugs = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        stray = next((path for path in slugs if path.suffix == ".md" and path.name != "README.md"), None)
        if stray is not None:
            raise PolicyError(
                "lies outside of any policy's folder",
                place=str(stray),
                remedy=f"Move it into a folder named like the policy, such as {folder.name}/privacy/1.en.md",
            )
        paths = [
            path
            for slug in slugs
            if slug.is_dir()
            for path in sorted(slug.iterdir())
            if path.suffix == ".md" and not path.name.startswith(".")
        ]
    except OSError as error:
        raise PolicyError(
            f"cannot be read ({error.strerror or error})",
            place=str(folder),
            remedy="Set policies_dir to a readable folder, or make one with `consent init`",
        ) from None
    return Library(documents=tuple(_read_file(path, root) for path in paths))


def verify_published(library: Library, published: Mapping[Key, str]) -> None:
    """Refuse published documents whose bytes on disk are no longer the published ones.

    `published` maps slug, version and language to the SHA-256 (hexadecimal) under which the ledger keeps the text.
    Raises PolicyEditedError with both digests.
    """
    for document in library.documents:
        digest = published.get(document.key)
        if digest is not None and digest != document.sha256:
            raise PolicyEditedError(
                f"was published with SHA-256 {digest}, but the file now has {document.sha256}",
                place=document.place,
                published=digest,
                on_disk=document.sha256,
                remedy=f"Begin a new version for the change: consent policy new {document.slug}. Then put the "
                f"published text back: consent policy restore {document.slug} {document.version} {document.language}",
            )


def _read_file(path: Path, root: Path) -> PolicyVersion:
    place = f"{path.parent.name}/{path.name}"
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(root):
            raise PolicyError(
                "is a link that leads out of the policies folder", place=place, remedy="Copy the file into the folder"
            )
        if not target.is_file():
            raise PolicyError("is not a file", place=place, remedy="Remove it, or give it another ending than .md")
        data = target.read_bytes()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PolicyError(f"cannot be read ({reason})", place=place, remedy="Make the file readable") from None
    version, dot, language = path.stem.rpartition(".")
    if not dot:
        raise PolicyError(
            f"{path.name!r} names no language",
            place=place,
            remedy="Name the file <version>.<language>.md, such as '2026-11-01.en.md'",
        )
    return parse(data, slug=path.parent.name, version=version, language=language, place=place)
