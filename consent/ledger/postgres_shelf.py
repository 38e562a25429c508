"""Keep in PostgreSQL what lies beside the log: documents, published checkpoints, subjects, revocations, totals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.server import Server
from consent.ledger.shelf import digests, document_of, published_of, row_of, row_of_document, token_of
from consent.ledger.store import Document, Published, Record, Revocation, Total
from consent.ledger.tokens import Token

_PUBLISHING = 1131367529


class PostgresShelf:
    """Be the part of a PostgreSQL store that the tree knows nothing of; see Store."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _settings(self) -> dict[str, bytes]:
        if not self._server.settings:
            with self._server.using():
                pass
        return dict(self._server.settings)

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._server.using() as connection:
            return connection.execute(query.encode(), parameters, binary=True).fetchall()

    def _one(self, query: str, *parameters: object) -> tuple[Any, ...] | None:
        return next(iter(self._rows(query, *parameters)), None)

    def _column(self, query: str, *parameters: object) -> list[bytes]:
        return [row[0] for row in self._rows(query, *parameters)]

    # --- published checkpoints

    def publish_checkpoint(self, checkpoint: Checkpoint, *, at: int, after: int) -> bool:
        """Let everybody see a checkpoint, unless another process did so meanwhile; see Store."""
        with self._server.writing() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_PUBLISHING,))
            done = connection.execute(
                "INSERT INTO consent.published (size, at, note) SELECT %s, %s, %s"
                " WHERE NOT EXISTS (SELECT FROM consent.published WHERE at > %s OR size >= %s)",
                (checkpoint.size, at, checkpoint.note, after, checkpoint.size),
            )
            return done.rowcount == 1

    def published_checkpoint(self) -> Published | None:
        """Return the checkpoint that was published last."""
        row = self._one("SELECT size, at, note, token FROM consent.published ORDER BY size DESC LIMIT 1")
        return published_of(row)

    def published_checkpoints(self) -> list[Published]:
        """Return all checkpoints that were published."""
        rows = self._rows("SELECT size, at, note, token FROM consent.published ORDER BY size")
        return [one for one in map(published_of, rows) if one is not None]

    def stamp_checkpoint(self, size: int, *, token: bytes) -> None:
        """Keep a time-stamp token beside a published checkpoint."""
        with self._server.writing() as connection:
            connection.execute("UPDATE consent.published SET token=%s WHERE size=%s", (token, size))

    # --- documents

    def archive(self, document: Document) -> str:
        """Keep a document unless it is kept already."""
        with self._server.writing() as connection:
            connection.execute(
                "INSERT INTO consent.document VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                row_of_document(document),
            )
        return document.digest

    def document(self, digest: str) -> Document | None:
        """Return the document of this digest (64 hex digits)."""
        row = self._one(
            "SELECT kind, media_type, data, language FROM consent.document WHERE digest=%s", bytes.fromhex(digest)
        )
        return document_of(row)

    def documents(self, prefix: str, *, kind: str) -> list[Document]:
        """Return the documents of one kind whose digest begins with these hex digits, ordered by digest."""
        low, high = digests(prefix)
        rows = self._rows(
            "SELECT kind, media_type, data, language FROM consent.document"
            " WHERE digest BETWEEN %s AND %s AND kind=%s ORDER BY digest",
            *(low, high, kind),
        )
        return [one for one in map(document_of, rows) if one is not None]

    # --- beside the log

    def records_of(self, consent_id: bytes) -> list[Record]:
        """Return the entries about one consent id, in order of index."""
        rows = self._rows(
            "SELECT idx, record, recorded_at, body, salt FROM consent.subject JOIN consent.leaf USING (idx)"
            " JOIN consent.entry USING (idx, recorded_at) WHERE consent_id=%s ORDER BY idx",
            consent_id,
        )
        return [
            Record(index=index, record=record, recorded_at=recorded_at, body=body, salt=salt)
            for index, record, recorded_at, body, salt in rows
        ]

    def give_code(self, consent_id: bytes, *, digest: bytes) -> int:
        """Let the entries about a consent id be found by a receipt code."""
        with self._server.writing() as connection:
            return connection.execute(
                "UPDATE consent.subject SET code=%s WHERE consent_id=%s", (digest, consent_id)
            ).rowcount

    def consent_id_of(self, digest: bytes) -> bytes | None:
        """Return the consent id whose receipt code has this SHA-256."""
        row = self._one("SELECT consent_id FROM consent.subject WHERE code=%s LIMIT 1", digest)
        return None if row is None else bytes(row[0])

    def revocation_key(self) -> bytes:
        """Return the key under which revocations are kept."""
        return self._settings()["revocation_key"]

    def _keyed(self, consent_id: bytes) -> bytes:
        return hmac.digest(self.revocation_key(), consent_id, hashlib.sha256)

    def revocations(self, position: int = 0) -> list[Revocation]:
        """Return the revocations after a position, in order."""
        rows = self._rows(
            "SELECT position, key, before FROM consent.revocation WHERE position > %s ORDER BY position", position
        )
        return [Revocation(position=number, key=key, before=before) for number, key, before in rows]

    def forget_revocations(self, before: int) -> None:
        """Delete the revocations from before a Unix second."""
        with self._server.writing() as connection:
            connection.execute("DELETE FROM consent.revocation WHERE before < %s", (before,))

    def add_totals(self, totals: Sequence[Total]) -> None:
        """Add counts to those that are kept."""
        # Always in the same order, so that no two processes wait for each other.
        ordered = sorted((total.hour, total.name, total.subject, total.count) for total in totals)
        with self._server.writing() as connection:
            connection.cursor().executemany(
                "INSERT INTO consent.total AS kept VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (hour, name, subject) DO UPDATE SET count = kept.count + excluded.count",
                ordered,
            )

    def totals(self, name: str, *, first: int = 0, last: int | None = None) -> list[Total]:
        """Return the totals of one name and those below it; see Store."""
        rows = self._rows(
            "SELECT hour, name, subject, count FROM consent.total"
            " WHERE hour >= %s AND hour < %s AND (name = %s OR starts_with(name, %s))"
            ' ORDER BY hour, name COLLATE "C", subject COLLATE "C"',
            *(first, 2**62 if last is None else last, name, f"{name}."),
        )
        return [Total(hour=hour, name=each, subject=subject, count=count) for hour, each, subject, count in rows]

    # --- tokens of auditors

    def tokens(self) -> list[Token]:
        """Return the tokens of auditors."""
        rows = self._rows(
            "SELECT name, digest, scopes, created_at, expires_at, revoked_at FROM consent.audit_token"
            ' ORDER BY name COLLATE "C"'
        )
        return [token_of(row) for row in rows]

    def add_token(self, token: Token) -> bool:
        """Keep a token unless there was one like it; see Store."""
        with self._server.writing() as connection:
            done = connection.execute(
                "INSERT INTO consent.audit_token VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", row_of(token)
            )
            return done.rowcount == 1

    def revoke_token(self, name: str, *, at: int) -> bool:
        """Take a token back; see Store."""
        with self._server.writing() as connection:
            done = connection.execute(
                "UPDATE consent.audit_token SET revoked_at=%s WHERE name=%s AND revoked_at IS NULL", (at, name)
            )
            return done.rowcount == 1
