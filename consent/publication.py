"""Say what is published: the policies in force and the notices, each once, whichever worker comes first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from consent.choice.notice import Notice
from consent.ledger.entry import Draft
from consent.ledger.store import Document
from consent.policies.facts import Facts
from consent.policies.library import Key, Library

_POLICY = "policy-published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Hold an entry of the ledger about texts that took effect, with the texts themselves."""

    draft: Draft
    documents: tuple[Document, ...]


def of_policies(library: Library, *, facts: Facts, now: int) -> Iterator[Publication]:
    """Yield every policy document that is or was in force at `now` (Unix seconds), with the facts filled into it."""
    today = datetime.fromtimestamp(now, UTC).date()
    archived = Document(kind="facts", media_type="application/json", data=facts.to_bytes())
    for document in library.documents:
        if document.effective > today:
            continue
        content = {
            "slug": document.slug,
            "version": document.version,
            "language": document.language,
            "sha256": document.sha256,
            "effective": document.effective.isoformat(),
            "material": document.material,
            "facts": archived.digest,
        }
        text = Document(kind="policy", media_type="text/markdown", data=document.source, language=document.language)
        name = "/".join(("policy", *document.key))
        yield Publication(
            draft=Draft(kind=_POLICY, content=content, decided_at=now, unique=name), documents=(text, archived)
        )


def of_notice(notice: Notice, *, rendering: Document, now: int) -> Publication:
    """Return the publication of a notice and of how it looked."""
    archived = Document(kind="notice", media_type="application/json", data=notice.data, language=notice.language)
    content = {"notice": notice.digest, "language": notice.language, "rendering": rendering.digest}
    draft = Draft(kind="notice-published", content=content, decided_at=now, unique=f"notice/{notice.digest}")
    return Publication(draft=draft, documents=(archived, rendering))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Hold what the ledger says of one published policy document: the digests of its text and of its facts."""

    sha256: str
    facts: str


def published_policies(entries: Mapping[str, bytes]) -> dict[Key, Published]:
    """Return what is published by slug, version and language, given the ledger's publications."""
    found = {}
    for body in entries.values():
        entry = json.loads(body)
        if entry["kind"] == _POLICY:
            key = (entry["slug"], entry["version"], entry["language"])
            found[key] = Published(sha256=entry["sha256"], facts=entry["facts"])
    return found
