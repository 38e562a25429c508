"""Read and write a ledger in PostgreSQL as it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from consent.ledger.postgres import PostgresStore
from consent.ledger.server import Server
from consent.ledger.store import Durability
from consent.ledger.transfer import Line, Row, Table


class PostgresMovable:
    """Open the ledger in the database at an address for copying; see Movable."""

    def __init__(self, address: str, *, origin: str, durability: Durability) -> None:
        self._server = Server(address, origin=origin, durability=durability, copying=True)
        self._store = PostgresStore(address, origin=origin, server=self._server)
        self.place = self._server.place

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def size(self) -> int:
        """Return how many lines the log has."""
        return self._store.size()

    def settings(self) -> Mapping[str, bytes]:
        """Return origin and keys."""
        with self._server.using() as connection:
            return dict(connection.execute("SELECT name, value FROM consent.setting").fetchall())

    def adopt(self, settings: Mapping[str, bytes]) -> None:
        """Take these settings."""
        with self._server.writing() as connection:
            connection.execute("DELETE FROM consent.setting")
            connection.cursor().executemany("INSERT INTO consent.setting VALUES (%s, %s)", list(settings.items()))
        self._server.settings = settings

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return hashes of complete subtrees; see merkle.Nodes."""
        return self._store.hashes(height, first=first, last=last)

    def lines(self, first: int, *, last: int) -> list[Line]:
        """Return lines of the log."""
        with self._server.using() as connection:
            rows = connection.execute(
                "SELECT leaf.idx, hash, record, leaf.recorded_at, coalesce(body, consent.body_dropped(leaf.idx))"
                " FROM consent.leaf LEFT JOIN consent.entry"
                " ON entry.idx = leaf.idx AND entry.recorded_at = leaf.recorded_at"
                " WHERE leaf.idx >= %s AND leaf.idx < %s ORDER BY leaf.idx",
                (first, last),
                binary=True,
            ).fetchall()
        return [Line(index=i, hash=h, record=r.bytes, recorded_at=t, body=b) for i, h, r, t, b in rows if b is not None]

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines to the log."""
        with self._server.writing() as connection:
            times = (lines[0].recorded_at, lines[-1].recorded_at)
            connection.execute("SELECT consent.make_months(%s, %s)", times)
            cursor = connection.cursor()
            with cursor.copy("COPY consent.leaf (idx, hash, record, recorded_at) FROM STDIN") as leaves:
                for line in lines:
                    leaves.write_row((line.index, line.hash, UUID(bytes=line.record), line.recorded_at))
            with cursor.copy("COPY consent.entry (idx, recorded_at, body) FROM STDIN") as entries:
                for line in lines:
                    entries.write_row((line.index, line.recorded_at, line.body))
        self._store.keep_nodes(lines[-1].index + 1)

    def rows(self, table: Table, *, after: Row | None) -> list[Row]:
        """Return a page of rows."""
        query = table.page(schema="consent.", mark="%s", more=after is not None)
        with self._server.using() as connection:
            return connection.execute(query.encode(), after or (), binary=True).fetchall()

    def replace(self, tables: Mapping[Table, Iterator[list[Row]]]) -> None:
        """Put these rows in place of those there are."""
        with self._server.writing() as connection:
            cursor = connection.cursor()
            for table, pages in tables.items():
                connection.execute(f"DELETE FROM consent.{table.name}".encode())  # noqa: S608 - a name of ours
                for page in pages:
                    cursor.executemany(table.insert(schema="consent.", mark="%s").encode(), page)
            connection.execute(
                "SELECT setval(pg_get_serial_sequence('consent.revocation', 'position'), max(position))"
                " FROM consent.revocation HAVING count(*) > 0"
            )
