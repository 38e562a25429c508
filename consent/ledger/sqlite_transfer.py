"""Read and write a ledger in SQLite as it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from consent.ledger import merkle
from consent.ledger.database import Database
from consent.ledger.sqlite import hashes_in
from consent.ledger.transfer import Line, Row, Table


class SqliteMovable:
    """Open the ledger in the SQLite file at `path` for copying; see Movable."""

    def __init__(self, path: Path, *, origin: str) -> None:
        self._database = Database(path, origin=origin, copying=True)
        self.place = self._database.place

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def size(self) -> int:
        """Return how many lines the log has."""
        with self._database.using() as connection:
            return int(connection.execute("SELECT size FROM head").fetchone()[0])

    def settings(self) -> Mapping[str, bytes]:
        """Return origin and keys."""
        with self._database.using() as connection:
            return dict(connection.execute("SELECT name, value FROM setting"))

    def adopt(self, settings: Mapping[str, bytes]) -> None:
        """Take these settings."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM setting")
            connection.executemany("INSERT INTO setting VALUES (?, ?)", list(settings.items()))
        self._database.settings = settings

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return hashes of complete subtrees; see merkle.Nodes."""
        return hashes_in(self._database, height, first=first, last=last)

    def lines(self, first: int, *, last: int) -> list[Line]:
        """Return lines of the log."""
        with self._database.using() as connection:
            rows = connection.execute(
                "SELECT idx, hash, record, recorded_at, body FROM leaf JOIN entry USING (idx)"
                " WHERE idx >= ? AND idx < ? ORDER BY idx",
                (first, last),
            ).fetchall()
        return [Line(index=i, hash=h, record=r, recorded_at=t, body=b) for i, h, r, t, b in rows]

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines to the log."""
        with self._database.writing() as connection:
            size, roots = connection.execute("SELECT size, roots FROM head").fetchone()
            tree = merkle.Frontier.from_bytes(roots, size=size)
            for line in lines:
                connection.execute("INSERT INTO leaf VALUES (?, ?, ?)", (line.index, line.hash, line.record))
                connection.execute("INSERT INTO entry VALUES (?, ?, ?)", (line.index, line.recorded_at, line.body))
                connection.executemany("INSERT INTO node VALUES (?, ?, ?)", tree.append(line.hash))
            newest = lines[-1].recorded_at
            connection.execute("UPDATE head SET size=?, roots=?, recorded_at=?", (tree.size, bytes(tree), newest))

    def rows(self, table: Table, *, after: Row | None) -> list[Row]:
        """Return a page of rows."""
        with self._database.using() as connection:
            return connection.execute(table.page(schema="", mark="?", more=after is not None), after or ()).fetchall()

    def replace(self, tables: Mapping[Table, Iterator[list[Row]]]) -> None:
        """Put these rows in place of those there are."""
        with self._database.writing() as connection:
            for table, pages in tables.items():
                connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - a name of ours
                for page in pages:
                    connection.executemany(table.insert(schema="", mark="?"), page)
