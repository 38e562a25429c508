"""Say what a store of entries must do, whichever database it lies in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.entry import Appended, Draft
from consent.ledger.merkle import Nodes
from consent.ledger.tokens import Token

HOUR = 3600
"""Seconds in the span that totals are kept by."""
Seal = Callable[[int, bytes], Checkpoint]
"""Sign a tree head of this size and root."""


class Durability(StrEnum):
    """Say what keeps an acknowledged entry when the primary server is lost.

    `synchronous`: a standby that has it, which PostgreSQL waits for. `provider`: what a provider does below PostgreSQL.
    `single`: nothing but the disk and the backups of one server.
    """

    SYNCHRONOUS = "synchronous"
    PROVIDER = "provider"
    SINGLE = "single"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Hold archived bytes (a policy text, a notice, a rendering) as they were shown; `language` may be empty."""

    kind: str
    media_type: str
    data: bytes = field(repr=False)
    language: str = ""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes in hex: the document's name."""
        return hashlib.sha256(self.data).hexdigest()


class Stored(NamedTuple):
    """Hold one place of the log: index, leaf hash, and the exact bytes of the entry, None where they were pruned.

    A tuple, which is made in a third of the time: an export makes millions.
    """

    index: int  # type: ignore[assignment] # it takes the place of a method of tuples that nobody needs here
    leaf_hash: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Hold a checkpoint that everybody may see: how many entries, since which Unix second, its signed note.

    `token` is the RFC 3161 time-stamp token over the note, where there is one.
    """

    size: int
    at: int
    note: bytes
    token: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Hold one entry of one subject: its exact bytes, and the salt that ties it to the consent id."""

    index: int
    record: UUID
    recorded_at: int
    body: bytes
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Hold the state of the tree: how many entries, and their root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Say that cookies of one consent id (under a keyed hash) from before a Unix second are no choice.

    `position` orders revocations, so that a reader can ask for what is new.
    """

    position: int
    key: bytes = field(repr=False)
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Say how often something happened in the hour that began at a Unix second; about nobody.

    `name` has parts, split by dots, the most general first; `subject` may be empty.
    """

    hour: int
    name: str
    subject: str
    count: int


class Store(Nodes, Protocol):
    """Keep entries, documents and what lies beside the log. Every method may be called from any thread.

    Every method raises LedgerUnavailableError while the database cannot be used, LedgerCorruptError when what it holds
    contradicts itself, and ConfigurationError when it belongs to another origin. A store opens itself when first used,
    so that nothing is carried over a fork, and again after it failed.
    """

    @property
    def origin(self) -> str:
        """Return the origin whose ledger this is."""

    @property
    def place(self) -> str:
        """Return where the ledger lies, without what is secret."""

    def exists(self) -> bool:
        """Tell whether there is a ledger; make none."""

    def doubts(self) -> list[str]:
        """Return what speaks against the durability that the settings promise, as sentences."""

    def pending(self) -> list[str]:
        """Return the SQL of the migrations that a ledger does not have yet, and apply none."""

    def open(self) -> None:
        """Open the database, and make or migrate it; do nothing if it is open."""

    def close(self) -> None:
        """Let go of the database; the next use opens it again."""

    def append(self, drafts: Sequence[Draft], *, now: int) -> list[Appended]:
        """Append entries, durable on return, in order, at `now` (Unix seconds) or the newest entry's time if later.

        A draft whose request id or unique name is known appends nothing and returns the entry there is.
        """

    def erase(self, consent_id: bytes, *, draft: Draft, now: int) -> Appended:
        """Forget which entries are about a consent id, and append `draft` with their `count`, as one step.

        Whatever `draft` revokes is revoked for that id; the entry itself has no subject. The keyed hash of the id is
        kept among `erased()`.
        """

    def erased(self) -> frozenset[bytes]:
        """Return the keyed hashes (see `revocation_key`) of all consent ids that were erased here."""

    def erase_again(self, keys: Mapping[bytes, int], *, draft: Draft, now: int) -> Appended:
        """Erase the consent ids with these keyed hashes, revoke their cookies, and append `draft`, as one step.

        To be used when a restored backup has brought back what was erased. The values are the Unix seconds before which
        cookies are no choice. `draft` gets the `count` of entries that were forgotten; the keys join `erased()`.
        """

    def prune(self, ranges: Sequence[tuple[int, int]], *, draft: Draft, now: int) -> Appended:
        """Delete the bodies of entries in ranges (the second index excluded), and append `draft`, as one step.

        Leaf hashes, record ids and `recorded_at` stay, so that every proof holds and `index_at` and `append` know the
        entries still; what lies beside the log about them goes. `draft` gets the `count` of bodies that were deleted.
        Entries with a unique name must not be among them. What is left in the files is for `sweep`.
        """

    def sweep(self) -> None:
        """Take out of the files what erasing or pruning left in them, if anything, and if no reader is in the way."""

    def head(self) -> Head:
        """Return size and root of the tree."""

    def entries(self, first: int = 0, *, last: int | None = None) -> Iterator[bytes]:
        """Yield the exact bytes of the entries `first` to `last` (excluded; all by default), without holding a lock.

        Those that were pruned are left out.
        """

    def stored(self, first: int = 0, *, last: int | None = None) -> Iterator[Stored]:
        """Yield every place of the log from `first` to `last` (excluded; all by default), the pruned ones too.

        Raises LedgerCorruptError where an entry is missing that was not pruned.
        """

    def index_at(self, moment: int) -> int:
        """Return the index of the first entry recorded at or after a Unix second; the size if there is none."""

    def index_of(self, record: UUID) -> int | None:
        """Return the index of the entry with this record id."""

    def publications(self) -> dict[str, bytes]:
        """Return the entries that were appended under a unique name, by that name, in order of index."""

    def archive(self, document: Document) -> str:
        """Keep a document unless it is kept already, durable on return; return its digest in hex."""

    def document(self, digest: str) -> Document | None:
        """Return the document of this digest (64 hex digits)."""

    def documents(self, prefix: str, *, kind: str) -> list[Document]:
        """Return the documents of one kind whose digest begins with these hex digits, ordered by digest."""

    def seal(self, sign: Seal, *, name: str) -> Checkpoint:
        """Return a checkpoint of the whole tree, signing one if there is news.

        Raises LedgerCorruptError if the tree does not extend the last checkpoint, which was signed under `name`.
        """

    def checkpoint(self, *, limit: int | None = None) -> bytes | None:
        """Return the signed note of the newest checkpoint, or of the newest with at most `limit` entries."""

    def publish_checkpoint(self, checkpoint: Checkpoint, *, at: int, after: int) -> bool:
        """Let everybody see a checkpoint from the Unix second `at` on; tell whether that was done.

        It is not if one was published later than `after`, or one of as many entries: one process in turn publishes.
        """

    def published_checkpoint(self) -> Published | None:
        """Return the checkpoint that was published last."""

    def published_checkpoints(self) -> list[Published]:
        """Return all checkpoints that were published, the oldest first."""

    def stamp_checkpoint(self, size: int, *, token: bytes) -> None:
        """Keep a time-stamp token beside the published checkpoint of this size."""

    def records_of(self, consent_id: bytes) -> list[Record]:
        """Return the entries about one consent id, in order of index."""

    def give_code(self, consent_id: bytes, *, digest: bytes) -> int:
        """Let the entries about a consent id be found by a receipt code (its SHA-256); return how many there are."""

    def consent_id_of(self, digest: bytes) -> bytes | None:
        """Return the consent id whose receipt code has this SHA-256."""

    def revocation_key(self) -> bytes:
        """Return the key under which revocations are kept (HMAC-SHA256 of the consent id)."""

    def revocations(self, position: int = 0) -> list[Revocation]:
        """Return the revocations after a position, in order."""

    def forget_revocations(self, before: int) -> None:
        """Delete revocations that no cookie can be old enough for: all from before a Unix second."""

    def add_totals(self, totals: Sequence[Total]) -> None:
        """Add counts to those that are kept, as one step."""

    def totals(self, name: str, *, first: int = 0, last: int | None = None) -> list[Total]:
        """Return the totals whose name is `name` or begins with it and a dot, ordered by hour, name and subject.

        `first` and `last` (excluded; none by default) are Unix seconds at which hours begin.
        """

    def tokens(self) -> list[Token]:
        """Return the tokens of auditors, those that ended too, ordered by name."""

    def add_token(self, token: Token) -> bool:
        """Keep a token; tell whether that was done: it is not if there was ever one of that name or digest."""

    def revoke_token(self, name: str, *, at: int) -> bool:
        """Take a token back from the Unix second `at` on; tell whether there is one that was not taken back yet."""
