"""Keep a ledger in SQLite: the tree, the entries, and what lies beside them."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from consent.errors import LedgerCorruptError, LedgerUnavailableError, VerificationError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.database import Database
from consent.ledger.entry import Appended, Draft, leaf, pseudonym
from consent.ledger.shelf import SqliteShelf
from consent.ledger.store import Head, Seal, Stored

PAGE = 1_000
"""How many entries are read at a time."""
# In place of an older one, under a new position; a late one that reaches less far takes nothing back.
_REVOKE = """INSERT OR REPLACE INTO revocation (key, before)
    VALUES (?, max(?, coalesce((SELECT before FROM revocation WHERE key=?), 0)))"""


class SqliteStore(SqliteShelf):
    """Keep a ledger in the SQLite file at `path`, or in memory for `":memory:"`; see Store.

    `origin` is fixed when the file is made. `max_pages` limits its size (PRAGMA max_page_count); 0 sets no limit.
    """

    def __init__(self, path: Path | str, *, origin: str, max_pages: int = 0) -> None:
        self._origin = origin
        super().__init__(Database(path, origin=origin, max_pages=max_pages))
        # A process that ended before its sweep may have left something.
        self._unswept = True

    def __repr__(self) -> str:
        return f"<SqliteStore {self._database.place} of {self._origin}>"

    @property
    def origin(self) -> str:
        """Return the origin whose ledger this is."""
        return self._origin

    def open(self) -> None:
        """Open the file, and make or migrate it; do nothing if it is open."""
        with self._database.using():
            pass

    def close(self) -> None:
        """Close the file; the next use opens it again. What lies in memory is gone."""
        self._database.close()

    @property
    def place(self) -> str:
        """Return the path of the file."""
        return self._database.place

    def exists(self) -> bool:
        """Tell whether the file is there; make none. What lies in memory is always there."""
        return self._database.exists()

    def doubts(self) -> list[str]:
        """Return nothing: what is acknowledged is on this machine's disk, and nothing else is promised."""
        return []

    def pending(self) -> list[str]:
        """Return the SQL of the migrations that the file does not have yet; see Store."""
        return self._database.pending()

    # --- the log

    def append(self, drafts: Sequence[Draft], *, now: int) -> list[Appended]:
        """Append entries in one commit; see Store."""
        with self._database.writing() as connection:
            return self._append(connection, drafts, now=now)

    def _append(self, connection: sqlite3.Connection, drafts: Sequence[Draft], *, now: int) -> list[Appended]:
        size, roots, newest = connection.execute("SELECT size, roots, recorded_at FROM head").fetchone()
        tree = merkle.Frontier.from_bytes(roots, size=size)
        recorded_at = max(now, newest)
        records = [self._record(draft) for draft in drafts]
        known = _known(connection, records)
        before = len(known)
        leaves, entries, nodes, subjects, revocations, publications = [], [], [], [], [], []
        answers = []
        for draft, record in zip(drafts, records, strict=True):
            there = known.get(record)
            if there is None:
                salt = None if draft.subject is None else secrets.token_bytes(16)
                body = leaf(
                    draft,
                    record=record,
                    origin=self._origin,
                    recorded_at=recorded_at,
                    subject=None if salt is None or draft.subject is None else pseudonym(draft.subject, salt=salt),
                )
                there = Appended(
                    index=tree.size, record=record, leaf_hash=merkle.leaf_hash(body), recorded_at=recorded_at
                )
                nodes += tree.append(there.leaf_hash)
                leaves.append((there.index, there.leaf_hash, record.bytes))
                entries.append((there.index, recorded_at, body))
                if salt is not None:
                    subjects.append((there.index, draft.subject, salt))
                if draft.revoked_before is not None and draft.subject is not None:
                    revocations.append(self._revocation(draft.subject, before=draft.revoked_before))
                if draft.unique is not None:
                    publications.append((draft.unique, there.index))
                known[record] = there
            answers.append(there)
        if len(known) > before:
            connection.executemany("INSERT INTO leaf VALUES (?, ?, ?)", leaves)
            connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", entries)
            connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
            connection.executemany("INSERT INTO subject (idx, consent_id, salt) VALUES (?, ?, ?)", subjects)
            connection.executemany(_REVOKE, revocations)
            connection.executemany("INSERT INTO publication VALUES (?, ?)", publications)
            connection.execute("UPDATE head SET size=?, roots=?, recorded_at=?", (tree.size, bytes(tree), recorded_at))
        return answers

    def _record(self, draft: Draft) -> UUID:
        # Made from the request id, so that one index serves both; the key keeps anybody from making the way back.
        name = f"request {draft.request_id}" if draft.unique is None else f"unique {draft.unique}"
        key = self._database.settings["record_key"]
        return UUID(bytes=hashlib.blake2b(name.encode(), key=key, digest_size=16).digest(), version=4)

    def erase(self, consent_id: bytes, *, draft: Draft, now: int) -> Appended:
        """Delete the rows about a consent id and append `draft`, which names how many there were; see Store."""
        with self._database.writing() as connection:
            before = draft.revoked_before
            appended = self._erase(connection, [consent_id], draft=draft, now=now)
            connection.execute("INSERT OR IGNORE INTO erased VALUES (?)", (self._keyed(consent_id),))
            if before is not None:
                connection.execute(_REVOKE, self._revocation(consent_id, before=before))
        self._sweep_soon()
        return appended

    def _erase(
        self, connection: sqlite3.Connection, consent_ids: Iterable[bytes], *, draft: Draft, now: int
    ) -> Appended:
        count = sum(
            connection.execute("DELETE FROM subject WHERE consent_id=?", (consent_id,)).rowcount
            for consent_id in consent_ids
        )
        return self._append_counted(connection, draft, count=count, now=now)

    def _append_counted(self, connection: sqlite3.Connection, draft: Draft, *, count: int, now: int) -> Appended:
        # The entry about it is nobody's: with a subject it would itself be what is to be forgotten.
        content = {**draft.content, "count": count}
        counted = replace(draft, content=content, subject=None, revokes=False, ends=False)
        (appended,) = self._append(connection, [counted], now=now)
        return appended

    def erased(self) -> frozenset[bytes]:
        """Return the keyed hashes of all consent ids that were erased here."""
        with self._database.using() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT key FROM erased"))

    def erase_again(self, keys: Mapping[bytes, int], *, draft: Draft, now: int) -> Appended:
        """Erase the consent ids with these keyed hashes; see Store."""
        with self._database.writing() as connection:
            known = connection.execute("SELECT DISTINCT consent_id FROM subject")
            found = [consent_id for (consent_id,) in known if self._keyed(consent_id) in keys]
            appended = self._erase(connection, found, draft=draft, now=now)
            connection.executemany("INSERT OR IGNORE INTO erased VALUES (?)", [(key,) for key in keys])
            connection.executemany(_REVOKE, [(key, before, key) for key, before in keys.items()])
        self._sweep_soon()
        return appended

    def prune(self, ranges: Sequence[tuple[int, int]], *, draft: Draft, now: int) -> Appended:
        """Empty the bodies of entries; an empty body is one that was pruned; see Store."""
        with self._database.writing() as connection:
            count = sum(
                connection.execute("UPDATE entry SET body=x'' WHERE idx >= ? AND idx < ? AND body <> x''", one).rowcount
                for one in ranges
            )
            connection.executemany("DELETE FROM subject WHERE idx >= ? AND idx < ?", ranges)
            appended = self._append_counted(connection, draft, count=count, now=now)
        self._sweep_soon()
        return appended

    def _sweep_soon(self) -> None:
        self._unswept = True
        # It is done: what keeps the files from being swept is for the next sweep.
        with contextlib.suppress(LedgerUnavailableError):
            self.sweep()

    def sweep(self) -> None:
        """Empty the write-ahead log, where deleted rows still lie, unless a reader needs it; see Store."""
        if self._unswept:
            # Cleared first: an erasure meanwhile sets it again.
            self._unswept, swept = False, False
            try:
                swept = self._database.swept()
            finally:
                self._unswept = self._unswept or not swept

    def head(self) -> Head:
        """Return size and root of the tree."""
        with self._database.using() as connection:
            size, roots = connection.execute("SELECT size, roots FROM head").fetchone()
        return Head(size=size, root=merkle.Frontier.from_bytes(roots, size=size).root())

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return hashes of complete subtrees; see merkle.Nodes."""
        return hashes_in(self._database, height, first=first, last=last)

    def entries(self, first: int = 0, *, last: int | None = None) -> Iterator[bytes]:
        """Yield the exact bytes of entries, a page at a time, so that nobody waits for a slow reader."""
        for page in self._paged("SELECT body FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", first, last):
            for (body,) in page:
                if body:
                    yield body

    def stored(self, first: int = 0, *, last: int | None = None) -> Iterator[Stored]:
        """Yield every place of the log, a page at a time."""
        statement = (
            "SELECT idx, hash, nullif(body, x'') FROM leaf JOIN entry USING (idx)"
            " WHERE idx >= ? AND idx < ? ORDER BY idx"
        )
        for page in self._paged(statement, first, last):
            yield from map(Stored._make, page)

    def _paged(self, statement: str, first: int, last: int | None) -> Iterator[list[tuple[Any, ...]]]:
        end = self.head().size if last is None else last
        while first < end:
            with self._database.using() as connection:
                page = connection.execute(statement, (first, min(first + PAGE, end))).fetchall()
            if len(page) != min(PAGE, end - first):
                raise LedgerCorruptError(f"an entry between {first} and {first + PAGE} is missing")
            yield page
            first += len(page)

    def index_at(self, moment: int) -> int:
        """Return the index of the first entry recorded at or after a moment, by bisection: time never goes back."""
        low, high = 0, self.head().size
        with self._database.using() as connection:
            while low < high:
                middle = (low + high) // 2
                row = connection.execute("SELECT recorded_at FROM entry WHERE idx=?", (middle,)).fetchone()
                if row is None:
                    raise LedgerCorruptError(f"entry {middle} is missing")
                low, high = (middle + 1, high) if row[0] < moment else (low, middle)
        return low

    def index_of(self, record: UUID) -> int | None:
        """Return the index of the entry with this record id."""
        with self._database.using() as connection:
            row = connection.execute("SELECT idx FROM leaf WHERE record=?", (record.bytes,)).fetchone()
        return None if row is None else int(row[0])

    def publications(self) -> dict[str, bytes]:
        """Return the entries that were appended under a unique name."""
        with self._database.using() as connection:
            return dict(connection.execute("SELECT name, body FROM publication JOIN entry USING (idx) ORDER BY idx"))

    # --- checkpoints

    def seal(self, sign: Seal, *, name: str) -> Checkpoint:
        """Return a checkpoint of the whole tree; the lock of the transaction lets one process sign at a time."""
        with self._database.writing() as connection:
            head = self.head()
            row = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
            if row is not None:
                try:
                    last = Checkpoint.unchecked(row[1], name=name)
                    extends = last.size <= head.size and merkle.root(self, size=last.size) == last.root
                except (VerificationError, ValueError) as error:
                    raise LedgerCorruptError(
                        f"the checkpoint at {row[0]} entries cannot be followed: {error}"
                    ) from error
                if last.size != row[0] or not extends:
                    raise LedgerCorruptError(f"the ledger no longer extends its checkpoint at {row[0]} entries")
                if last.size == head.size:
                    return last
            checkpoint = sign(head.size, head.root)
            connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (checkpoint.size, checkpoint.note))
            return checkpoint

    def checkpoint(self, *, limit: int | None = None) -> bytes | None:
        """Return the signed note of the newest checkpoint, or of the newest with at most `limit` entries."""
        with self._database.using() as connection:
            row = connection.execute(
                "SELECT note FROM checkpoint WHERE ?1 IS NULL OR size <= ?1 ORDER BY size DESC LIMIT 1", (limit,)
            ).fetchone()
        return None if row is None else bytes(row[0])


def _known(connection: sqlite3.Connection, records: Sequence[UUID]) -> dict[UUID, Appended]:
    marks = ",".join("?" * len(records))
    rows = connection.execute(
        f"SELECT idx, hash, record, recorded_at FROM leaf JOIN entry USING (idx) WHERE record IN ({marks})",  # noqa: S608
        [record.bytes for record in records],
    )
    known = {}
    for index, node, raw, recorded_at in rows:
        record = UUID(bytes=raw)
        known[record] = Appended(index=index, record=record, leaf_hash=node, recorded_at=recorded_at)
    return known


def hashes_in(database: Database, height: int, *, first: int, last: int) -> list[bytes]:
    """Return the hashes of complete subtrees that a file holds; see merkle.Nodes."""
    with database.using() as connection:
        if height == 0:
            rows = connection.execute("SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx", (first, last))
        else:
            rows = connection.execute(
                "SELECT hash FROM node WHERE height=? AND number >= ? AND number < ? ORDER BY number",
                (height, first, last),
            )
        return [row[0] for row in rows]
