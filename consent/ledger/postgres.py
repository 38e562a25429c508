"""Keep a ledger in PostgreSQL: many processes on many machines append to one log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from consent.errors import LedgerCorruptError, LedgerUnavailableError, VerificationError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.entry import Appended, Draft, leaf, pseudonym
from consent.ledger.postgres_shelf import PostgresShelf
from consent.ledger.server import Server
from consent.ledger.store import Durability, Head, Seal, Stored

PAGE = 1_000
"""How many entries are read at a time."""
AHEAD = 100 * 86400
"""Seconds for which partitions are made ahead."""
_WIDTH = 1 << merkle.STRIDE
_TURNS = 100
"""How often a statement that another process was ahead of is made anew."""
_SIZE = b"SELECT idx + 1 FROM consent.leaf ORDER BY idx DESC LIMIT 1"
_APPEND = "SELECT idx, hash, record, recorded_at FROM consent.append(%s, %s, %b, %b, %b, %b, %b, %b, %b::bigint[], %b)"
_ERASE = "SELECT idx, hash, record, recorded_at FROM consent.erase(%s, %s, %b, %b, %b, %s, %b, %b, %s::bigint[])"
_PRUNE = "SELECT idx, hash, record, recorded_at FROM consent.prune(%s, %s, %b, %b, %b, %s, %s::bigint[], %s::bigint[])"


class PostgresStore(PostgresShelf):
    """Keep a ledger in the schema `consent` of the database at an address; see Store.

    `address` is a connection URI (`postgresql://…`), which may name several hosts; `server` is what talks to it, where
    there is one already. Raises ConfigurationError if the address is none.
    """

    def __init__(
        self, address: str, *, origin: str, durability: Durability = Durability.SINGLE, server: Server | None = None
    ) -> None:
        self._origin = origin
        super().__init__(server or Server(address, origin=origin, durability=durability))
        self._newest = 0
        self._made_until = 0

    def __repr__(self) -> str:
        return f"<PostgresStore {self._server.place} of {self._origin}>"

    @property
    def origin(self) -> str:
        """Return the origin whose ledger this is."""
        return self._origin

    @property
    def place(self) -> str:
        """Return where the ledger lies, without a password."""
        return self._server.place

    def open(self) -> None:
        """Open the database, and make or migrate it where its role may; do nothing if it is open."""
        with self._server.using():
            pass

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._server.close()

    def exists(self) -> bool:
        """Tell whether there is a ledger; make none."""
        return self._server.exists()

    def doubts(self) -> list[str]:
        """Return what the server says that does not go with the durability it is to have, as sentences."""
        return self._server.doubts()

    def pending(self) -> list[str]:
        """Return the SQL of the migrations that the database does not have yet; see Store."""
        return self._server.pending()

    def migrate(self) -> bool:
        """Make or migrate the ledger and let the site's role in; tell whether there is such a role."""
        return self._server.migrated()

    # --- the log

    def append(self, drafts: Sequence[Draft], *, now: int) -> list[Appended]:
        """Append entries in one statement, which takes the head of the log while it runs; see Store."""
        if not drafts:
            return []
        records = [self._record(draft) for draft in drafts]
        first = {record: draft for draft, record in zip(reversed(drafts), reversed(records), strict=True)}
        unique = [(record, first[record]) for record in dict.fromkeys(records)]
        salts = [b"" if draft.subject is None else secrets.token_bytes(16) for _, draft in unique]
        beside = (
            [draft.subject or b"" for _, draft in unique],
            salts,
            [
                b"" if draft.subject is None or draft.revoked_before is None else self._keyed(draft.subject)
                for _, draft in unique
            ],
            [draft.revoked_before or 0 for _, draft in unique],
            [draft.unique or "" for _, draft in unique],
        )

        def made(recorded_at: int) -> tuple[Any, ...]:
            bodies = [
                leaf(
                    draft,
                    record=record,
                    origin=self._origin,
                    recorded_at=recorded_at,
                    subject=None if draft.subject is None else pseudonym(draft.subject, salt=salt),
                )
                for (record, draft), salt in zip(unique, salts, strict=True)
            ]
            hashes = [merkle.leaf_hash(body) for body in bodies]
            return ([record for record, _ in unique], hashes, bodies, *beside)

        known = {one.record: one for one in self._stamped(_APPEND, made, now=now)}
        return [known[record] for record in records]

    def _stamped(self, query: str, made: Any, *, now: int) -> list[Appended]:
        """Run a statement that appends, at a time before which nothing was recorded."""
        for _ in range(_TURNS):
            recorded_at = max(now, self._newest)
            self._make_months(recorded_at)
            parameters = (self._server.durability.value, recorded_at, *made(recorded_at))
            rows = self._server.repeated(query.encode(), parameters)
            self._newest = max(recorded_at, *(row[3] for row in rows))
            if rows[0][0] >= 0:
                return [
                    Appended(index=index, record=record, leaf_hash=node, recorded_at=moment)
                    for index, node, record, moment in rows
                ]
        raise LedgerUnavailableError(f"{self._server.place}: others were always ahead")

    def _make_months(self, recorded_at: int) -> None:
        if recorded_at + AHEAD // 2 > self._made_until:
            with self._server.writing() as connection:
                connection.execute("SELECT consent.make_months(%s, %s)", (recorded_at, recorded_at + AHEAD))
            self._made_until = recorded_at + AHEAD

    def _record(self, draft: Draft) -> UUID:
        # Made from the request id, so that one index serves both; the key keeps anybody from making the way back.
        name = f"request {draft.request_id}" if draft.unique is None else f"unique {draft.unique}"
        key = self._settings()["record_key"]
        return UUID(bytes=hashlib.blake2b(name.encode(), key=key, digest_size=16).digest(), version=4)

    def erase(self, consent_id: bytes, *, draft: Draft, now: int) -> Appended:
        """Delete the rows about a consent id and append `draft`, which names how many there were; see Store."""
        keys = {self._keyed(consent_id): draft.revoked_before or 0}
        return self._erase([consent_id], keys, draft=draft, now=now)

    def _erase(self, consent_ids: list[bytes], keys: Mapping[bytes, int], *, draft: Draft, now: int) -> Appended:
        return self._counted(
            "SELECT count(*) FROM consent.subject WHERE consent_id = ANY (%s)",
            *([consent_ids], _ERASE, ([b"", *consent_ids], list(keys), list(keys.values()))),
            draft=draft,
            now=now,
        )

    def erased(self) -> frozenset[bytes]:
        """Return the keyed hashes of all consent ids that were erased here."""
        return frozenset(self._column("SELECT key FROM consent.erased"))

    def erase_again(self, keys: Mapping[bytes, int], *, draft: Draft, now: int) -> Appended:
        """Erase the consent ids with these keyed hashes; see Store."""
        known = self._column("SELECT DISTINCT consent_id FROM consent.subject")
        return self._erase([one for one in known if self._keyed(one) in keys], keys, draft=draft, now=now)

    def prune(self, ranges: Sequence[tuple[int, int]], *, draft: Draft, now: int) -> Appended:
        """Empty the bodies of entries; an empty body is one that was pruned; see Store."""
        firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
        return self._counted(
            "SELECT count(*) FROM consent.entry JOIN unnest(%s::bigint[], %s::bigint[]) AS given (first, last)"
            " ON idx >= given.first AND idx < given.last WHERE body <> ''",
            *([firsts, lasts], _PRUNE, (firsts, lasts)),
            draft=draft,
            now=now,
        )

    def _counted(
        self, counting: str, counted: Sequence[Any], query: str, given: Sequence[Any], *, draft: Draft, now: int
    ) -> Appended:
        """Append a draft with the count of what its statement deletes; once more where that changed meanwhile."""
        record = self._record(draft)
        for _ in range(_TURNS):
            row = self._one(counting, *counted)
            count = row[0] if row else 0
            # The entry about it is nobody's: with a subject it would itself be what is to be forgotten.
            content = {**draft.content, "count": count}
            whole = replace(draft, content=content, subject=None, revokes=False, ends=False)

            def made(recorded_at: int, whole: Draft = whole, count: int = count) -> tuple[Any, ...]:
                body = leaf(whole, record=record, origin=self._origin, recorded_at=recorded_at, subject=None)
                return (record, merkle.leaf_hash(body), body, count, *given)

            try:
                (appended,) = self._stamped(query, made, now=now)
            except LedgerUnavailableError as error:
                if getattr(error.__cause__, "sqlstate", "") != "CN002":
                    raise
            else:
                return appended
        raise LedgerUnavailableError(f"{self._server.place}: others were always ahead")

    def sweep(self) -> None:
        """Do nothing: what was deleted is for the server's own vacuum."""

    def head(self) -> Head:
        """Return size and root of the tree."""
        size = self.size()
        return Head(size=size, root=merkle.root(self, size=size))

    def size(self) -> int:
        """Return how many entries there are."""
        row = self._one(_SIZE.decode())
        return int(row[0]) if row else 0

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return hashes of complete subtrees, computing those that no sealing has kept yet; see merkle.Nodes."""
        if height == 0:
            return self._column("SELECT hash FROM consent.leaf WHERE idx >= %s AND idx < %s ORDER BY idx", first, last)
        kept = self._column(
            "SELECT hash FROM consent.node WHERE height=%s AND number >= %s AND number < %s ORDER BY number",
            *(height, first, last),
        )
        if len(kept) < last - first:
            begin = (first + len(kept)) * _WIDTH
            below = self.hashes(height - merkle.STRIDE, first=begin, last=last * _WIDTH)
            for start in range(0, len(below) - _WIDTH + 1, _WIDTH):
                level = below[start : start + _WIDTH]
                while len(level) > 1:
                    level = [merkle.node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
                kept += level
        return kept

    def entries(self, first: int = 0, *, last: int | None = None) -> Iterator[bytes]:
        """Yield the exact bytes of entries, a page at a time, so that nobody waits for a slow reader."""
        for one in self.stored(first, last=last):
            if one.body is not None:
                yield one.body

    def stored(self, first: int = 0, *, last: int | None = None) -> Iterator[Stored]:
        """Yield every place of the log, a page at a time."""
        end = self.size() if last is None else last
        while first < end:
            until = min(first + PAGE, end)
            # The times leave out the partitions of other months.
            page = self._rows(
                "SELECT idx, hash, body FROM consent.leaf JOIN consent.entry USING (idx, recorded_at)"
                " WHERE leaf.idx >= %s AND leaf.idx < %s AND entry.idx >= %s AND entry.idx < %s"
                " AND entry.recorded_at >= (SELECT recorded_at FROM consent.leaf WHERE idx=%s)"
                " AND entry.recorded_at <= (SELECT recorded_at FROM consent.leaf WHERE idx=%s) ORDER BY idx",
                *(first, until, first, until, first, until - 1),
            )
            if len(page) != until - first:
                raise LedgerCorruptError(f"an entry between {first} and {until} is missing")
            for index, node, body in page:
                yield Stored(index=index, leaf_hash=node, body=body or None)
            first = until

    def index_at(self, moment: int) -> int:
        """Return the index of the first entry recorded at or after a moment, by bisection: time never goes back."""
        low, high = 0, self.size()
        while low < high:
            middle = (low + high) // 2
            row = self._one("SELECT recorded_at FROM consent.leaf WHERE idx=%s", middle)
            if row is None:
                raise LedgerCorruptError(f"entry {middle} is missing")
            low, high = (middle + 1, high) if row[0] < moment else (low, middle)
        return low

    def index_of(self, record: UUID) -> int | None:
        """Return the index of the entry with this record id."""
        row = self._one("SELECT idx FROM consent.leaf WHERE record=%s", record)
        return None if row is None else int(row[0])

    def publications(self) -> dict[str, bytes]:
        """Return the entries that were appended under a unique name, by that name, in order of index."""
        return dict(
            self._rows(
                "SELECT name, body FROM consent.publication JOIN consent.leaf USING (idx)"
                " JOIN consent.entry USING (idx, recorded_at) ORDER BY idx"
            )
        )

    # --- checkpoints

    def seal(self, sign: Seal, *, name: str) -> Checkpoint:
        """Return a checkpoint of the whole tree; what is signed is durable before it is signed.

        Several processes may seal at once: all sign beginnings of the same log.
        """
        last = self._followed(name=name)
        if last is not None and last.size == self.size():
            return last
        with self._server.writing() as connection:
            row = connection.execute(_SIZE).fetchone()
            size = int(row[0]) if row else 0
        # The commit has waited for the standbys: whatever was counted outlives a failover.
        self.keep_nodes(size)
        checkpoint = sign(size, merkle.root(self, size=size))
        with self._server.writing() as connection:
            connection.execute(
                "INSERT INTO consent.checkpoint VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (checkpoint.size, checkpoint.note),
            )
            query = "SELECT note FROM consent.checkpoint WHERE size=%s"
            row = connection.execute(query, (checkpoint.size,)).fetchone()
        # Another process may have been first, and may have signed with another key.
        return checkpoint if row is None else Checkpoint.unchecked(row[0], name=name)

    def _followed(self, *, name: str) -> Checkpoint | None:
        row = self._one("SELECT size, note FROM consent.checkpoint ORDER BY size DESC LIMIT 1")
        if row is None:
            return None
        try:
            last = Checkpoint.unchecked(row[1], name=name)
            extends = merkle.root(self, size=last.size) == last.root
        except (VerificationError, ValueError) as error:
            raise LedgerCorruptError(f"the checkpoint at {row[0]} entries cannot be followed: {error}") from error
        if last.size != row[0] or not extends:
            raise LedgerCorruptError(f"the ledger no longer extends its checkpoint at {row[0]} entries")
        return last

    def keep_nodes(self, size: int) -> None:
        """Keep the roots of the complete subtrees among the first `size` leaves."""
        height = merkle.STRIDE
        while count := size >> height:
            row = self._one("SELECT max(number) FROM consent.node WHERE height=%s", height)
            first = 0 if row is None or row[0] is None else row[0] + 1
            while first < count:
                nodes = self.hashes(height, first=first, last=min(first + 64, count))
                if not nodes:
                    raise LedgerCorruptError(f"a leaf of subtree {first} of height {height} is missing")
                with self._server.writing() as connection:
                    connection.cursor().executemany(
                        "INSERT INTO consent.node VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                        [(height, number, node) for number, node in enumerate(nodes, first)],
                    )
                first += len(nodes)
            height += merkle.STRIDE

    def checkpoint(self, *, limit: int | None = None) -> bytes | None:
        """Return the signed note of the newest checkpoint, or of the newest with at most `limit` entries."""
        most = 2**62 if limit is None else limit
        row = self._one("SELECT note FROM consent.checkpoint WHERE size <= %s ORDER BY size DESC LIMIT 1", most)
        return None if row is None else bytes(row[0])
