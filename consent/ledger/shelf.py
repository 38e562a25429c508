"""Keep in SQLite what lies beside the log: documents, published checkpoints, subjects, revocations, totals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.database import Database
from consent.ledger.store import Document, Published, Record, Revocation, Total
from consent.ledger.tokens import Token


class SqliteShelf:
    """Be the part of an SQLite store that the tree knows nothing of; see Store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- published checkpoints

    def publish_checkpoint(self, checkpoint: Checkpoint, *, at: int, after: int) -> bool:
        """Let everybody see a checkpoint, unless another process did so meanwhile; see Store."""
        with self._database.writing() as connection:
            done = connection.execute(
                "INSERT INTO published (size, at, note) SELECT ?1, ?2, ?3"
                " WHERE NOT EXISTS (SELECT 1 FROM published WHERE at > ?4 OR size >= ?1)",
                (checkpoint.size, at, checkpoint.note, after),
            )
            return done.rowcount == 1

    def published_checkpoint(self) -> Published | None:
        """Return the checkpoint that was published last."""
        with self._database.using() as connection:
            row = connection.execute(
                "SELECT size, at, note, token FROM published ORDER BY size DESC LIMIT 1"
            ).fetchone()
        return published_of(row)

    def published_checkpoints(self) -> list[Published]:
        """Return all checkpoints that were published."""
        with self._database.using() as connection:
            rows = connection.execute("SELECT size, at, note, token FROM published ORDER BY size").fetchall()
        return [one for one in map(published_of, rows) if one is not None]

    def stamp_checkpoint(self, size: int, *, token: bytes) -> None:
        """Keep a time-stamp token beside a published checkpoint."""
        with self._database.writing() as connection:
            connection.execute("UPDATE published SET token=? WHERE size=?", (token, size))

    # --- documents

    def archive(self, document: Document) -> str:
        """Keep a document unless it is kept already."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO document VALUES (?, ?, ?, ?, ?)",
                row_of_document(document),
            )
        return document.digest

    def document(self, digest: str) -> Document | None:
        """Return the document of this digest (64 hex digits)."""
        with self._database.using() as connection:
            row = connection.execute(
                "SELECT kind, media_type, data, language FROM document WHERE digest=?",
                (bytes.fromhex(digest),),
            ).fetchone()
        return document_of(row)

    def documents(self, prefix: str, *, kind: str) -> list[Document]:
        """Return the documents of one kind whose digest begins with these hex digits, ordered by digest."""
        low, high = digests(prefix)
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT kind, media_type, data, language FROM document"
                " WHERE digest BETWEEN ? AND ? AND kind=? ORDER BY digest",
                (low, high, kind),
            ).fetchall()
        return [one for one in map(document_of, rows) if one is not None]

    # --- beside the log

    def records_of(self, consent_id: bytes) -> list[Record]:
        """Return the entries about one consent id, in order of index."""
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT idx, record, recorded_at, body, salt FROM subject JOIN entry USING (idx) JOIN leaf USING (idx)"
                " WHERE consent_id=? ORDER BY idx",
                (consent_id,),
            ).fetchall()
        return [
            Record(index=index, record=UUID(bytes=record), recorded_at=recorded_at, body=body, salt=salt)
            for index, record, recorded_at, body, salt in rows
        ]

    def give_code(self, consent_id: bytes, *, digest: bytes) -> int:
        """Let the entries about a consent id be found by a receipt code."""
        with self._database.writing() as connection:
            return connection.execute("UPDATE subject SET code=? WHERE consent_id=?", (digest, consent_id)).rowcount

    def consent_id_of(self, digest: bytes) -> bytes | None:
        """Return the consent id whose receipt code has this SHA-256."""
        with self._database.using() as connection:
            row = connection.execute("SELECT consent_id FROM subject WHERE code=? LIMIT 1", (digest,)).fetchone()
        return None if row is None else bytes(row[0])

    def revocation_key(self) -> bytes:
        """Return the key under which revocations are kept."""
        with self._database.using():
            return self._database.settings["revocation_key"]

    def _revocation(self, consent_id: bytes, *, before: int) -> tuple[bytes, int, bytes]:
        key = self._keyed(consent_id)
        return key, before, key

    def _keyed(self, consent_id: bytes) -> bytes:
        return hmac.digest(self._database.settings["revocation_key"], consent_id, hashlib.sha256)

    def revocations(self, position: int = 0) -> list[Revocation]:
        """Return the revocations after a position, in order."""
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT position, key, before FROM revocation WHERE position > ? ORDER BY position", (position,)
            ).fetchall()
        return [Revocation(position=number, key=key, before=before) for number, key, before in rows]

    def forget_revocations(self, before: int) -> None:
        """Delete the revocations from before a Unix second."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM revocation WHERE before < ?", (before,))

    def add_totals(self, totals: Sequence[Total]) -> None:
        """Add counts to those that are kept."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO total VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(total.hour, total.name, total.subject, total.count) for total in totals],
            )

    def totals(self, name: str, *, first: int = 0, last: int | None = None) -> list[Total]:
        """Return the totals of one name and those below it; see Store."""
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT hour, name, subject, count FROM total"
                " WHERE hour >= ? AND hour < ? AND (name = ? OR substr(name, 1, length(?) + 1) = ? || '.')"
                " ORDER BY hour, name, subject",
                (first, 2**62 if last is None else last, name, name, name),
            ).fetchall()
        return [Total(hour=hour, name=name, subject=subject, count=count) for hour, name, subject, count in rows]

    # --- tokens of auditors

    def tokens(self) -> list[Token]:
        """Return the tokens of auditors."""
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT name, digest, scopes, created_at, expires_at, revoked_at FROM audit_token ORDER BY name"
            ).fetchall()
        return [token_of(row) for row in rows]

    def add_token(self, token: Token) -> bool:
        """Keep a token unless there was one like it; see Store."""
        with self._database.writing() as connection:
            done = connection.execute("INSERT OR IGNORE INTO audit_token VALUES (?, ?, ?, ?, ?, ?)", row_of(token))
            return done.rowcount == 1

    def revoke_token(self, name: str, *, at: int) -> bool:
        """Take a token back; see Store."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE audit_token SET revoked_at=? WHERE name=? AND revoked_at IS NULL", (at, name)
            )
            return done.rowcount == 1


def row_of(token: Token) -> tuple[object, ...]:
    """Return a token as a row holds it."""
    scopes = " ".join(token.scopes)
    return token.name, token.digest, scopes, token.created_at, token.expires_at, token.revoked_at


def token_of(row: Sequence[Any]) -> Token:
    """Return the token of a row."""
    name, digest, scopes, created_at, expires_at, revoked_at = row
    return Token(
        name=name,
        digest=bytes(digest),
        scopes=tuple(scopes.split()),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def row_of_document(document: Document) -> tuple[object, ...]:
    """Return a document as a row holds it."""
    return bytes.fromhex(document.digest), document.kind, document.media_type, document.language, document.data


def document_of(row: Sequence[Any] | None) -> Document | None:
    """Return the document of a row (kind, media type, bytes, language), None for none."""
    if row is None:
        return None
    kind, media_type, data, language = row
    return Document(kind=kind, media_type=media_type, data=data, language=language)


def published_of(row: Sequence[Any] | None) -> Published | None:
    """Return the published checkpoint of a row (size, time, note, token), None for none."""
    if row is None:
        return None
    size, at, note, token = row
    return Published(size=size, at=at, note=note, token=token)


def digests(prefix: str) -> tuple[bytes, bytes]:
    """Return the first and the last digest that begins with these hex digits."""
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
