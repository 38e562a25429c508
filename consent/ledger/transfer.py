"""Move a ledger from one engine to another, with everything that makes it the same ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

from consent.errors import ConfigurationError, LedgerCorruptError
from consent.ledger import merkle

PAGE = 1_000
"""How many rows are moved at a time."""
COPYING = "copying"
"""The setting that marks a ledger into which a copy is not finished."""
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Name a table beside the log, its columns, and how many of the first ones are its key."""

    name: str
    columns: tuple[str, ...]
    key: int = 1

    def page(self, *, schema: str, mark: str, more: bool) -> str:
        """Return the statement that reads a page of rows in order of the key; `more` for those after a key."""
        key = ", ".join(self.columns[: self.key])
        after = f" WHERE ({key}) > ({', '.join([mark] * self.key)})" if more else ""
        return f"SELECT {', '.join(self.columns)} FROM {schema}{self.name}{after} ORDER BY {key} LIMIT {PAGE}"  # noqa: S608

    def insert(self, *, schema: str, mark: str) -> str:
        """Return the statement that adds a row."""
        marks = ", ".join([mark] * len(self.columns))
        return f"INSERT INTO {schema}{self.name} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608


BESIDE = (
    Table(name="subject", columns=("idx", "consent_id", "salt", "code")),
    Table(name="revocation", columns=("position", "key", "before")),
    Table(name="publication", columns=("name", "idx")),
    Table(name="document", columns=("digest", "kind", "media_type", "language", "data")),
    Table(name="checkpoint", columns=("size", "note")),
    Table(name="published", columns=("size", "at", "note", "token")),
    Table(name="erased", columns=("key",)),
    Table(name="total", columns=("hour", "name", "subject", "count"), key=3),
    Table(name="audit_token", columns=("name", "digest", "scopes", "created_at", "expires_at", "revoked_at")),
)
"""Every table beside the log; both engines have them alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Hold one line of the log as it is stored; `body` is empty where it was pruned."""

    index: int
    hash: bytes
    record: bytes
    recorded_at: int
    body: bytes


class Movable(merkle.Nodes, Protocol):
    """Read and write a ledger as it is stored; errors are those of a Store."""

    @property
    def place(self) -> str:
        """Return where it lies, without what is secret."""

    def close(self) -> None:
        """Let go of the database."""

    def size(self) -> int:
        """Return how many lines the log has."""

    def settings(self) -> Mapping[str, bytes]:
        """Return the ledger's own settings: origin and keys."""

    def adopt(self, settings: Mapping[str, bytes]) -> None:
        """Take these settings in place of one's own."""

    def lines(self, first: int, *, last: int) -> list[Line]:
        """Return lines of the log."""

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines to the log and to its tree, durably and as one step."""

    def rows(self, table: Table, *, after: Row | None) -> list[Row]:
        """Return a page of rows whose keys come after one."""

    def replace(self, tables: Mapping[Table, Iterator[list[Row]]]) -> None:
        """Put these rows, page by page, in place of all that tables beside the log hold, as one step."""


def copy(source: Movable, target: Movable, *, progress: Callable[[int, int], None]) -> int:
    """Copy a ledger whole, or go on where an earlier run ended; return how many entries it has.

    Raises ConfigurationError if the target holds anything else, LedgerCorruptError if the two do not agree.
    """
    wanted = {**source.settings(), COPYING: b"1"}
    found, begun = target.settings(), target.size()
    if found != wanted:
        same = {name: value for name, value in wanted.items() if name != COPYING} == found
        if same or begun or any(target.rows(table, after=None) for table in BESIDE):
            raise ConfigurationError(
                "holds this ledger already" if same else "holds another ledger",
                place=target.place,
                remedy="Copy into an empty database or a new file",
            )
        target.adopt(wanted)
    size = source.size()
    if begun > size or merkle.root(source, size=begun) != merkle.root(target, size=begun):
        raise LedgerCorruptError(f"{target.place}: what an earlier copy left does not agree with {source.place}")
    for first in range(begun, size, PAGE):
        lines = source.lines(first, last=min(first + PAGE, size))
        for index, line in zip_longest(range(first, min(first + PAGE, size)), lines):
            if line is None or line.index != index or (line.body and merkle.leaf_hash(line.body) != line.hash):
                raise LedgerCorruptError(f"{source.place}: entry {index} is missing or was changed")
        target.add(lines)
        progress(first + len(lines), size)
    target.replace({table: _pages(source, table) for table in BESIDE})
    if target.size() != size or merkle.root(target, size=size) != merkle.root(source, size=size):
        raise LedgerCorruptError(f"{target.place}: the copy does not have the root of {source.place}")
    if source.size() != size:
        raise ConfigurationError(
            "entries were added meanwhile", place=source.place, remedy="Stop the site, and run the copy again"
        )
    target.adopt(source.settings())
    return size


def _pages(source: Movable, table: Table) -> Iterator[list[Row]]:
    after: Row | None = None
    while page := source.rows(table, after=after):
        yield page
        after = page[-1][: table.key]
