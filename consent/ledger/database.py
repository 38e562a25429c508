"""Open one SQLite file the way a ledger needs it: durable, private, for one origin, and never over a fork.

SQLite before 3.51.3 can lose the newest commits when several connections write and one of them resets the write-ahead
log at the wrong moment (https://www.sqlite.org/wal.html, "the WAL-reset bug"); sites with several workers should run a
newer one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger.identity import refuse_newer, refuse_other

MEMORY = ":memory:"
KEY_SUFFIX = ".key"
"""What follows the name of the file in that of its signing key."""
APPLICATION_ID = 0x436F4C67
"""Tells a ledger from other SQLite files (PRAGMA application_id)."""
PATIENCE = 5.0
"""Seconds to wait for another process to finish its commit."""
_MIGRATIONS = Path(__file__).parent / "migrations" / "sqlite"

log = logging.getLogger("consent.ledger")


def migrations() -> list[str]:
    """Return the numbered migrations, oldest first."""
    return [path.read_text() for path in sorted(_MIGRATIONS.glob("*.sql"))]


class Database:
    """Hold one connection to the SQLite file at `path`, or to memory for `":memory:"`, for all threads in turn.

    `max_pages` limits the size of the file (PRAGMA max_page_count); 0 sets no limit. `copying` opens a ledger into
    which a copy is not finished.
    """

    def __init__(self, path: Path | str, *, origin: str, max_pages: int = 0, copying: bool = False) -> None:
        self._copying = copying
        self.place = str(path)
        self._path = None if self.place == MEMORY else Path(path)
        self._origin = origin
        self._max_pages = max_pages
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._carried: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        self.settings: Mapping[str, bytes] = {}
        _databases.add(self)

    def hold(self) -> None:
        """Let no thread be inside SQLite while the process forks: a lock taken there would never be given back."""
        self._lock.acquire()

    def release(self) -> None:
        """Go on after a fork, in the parent."""
        self._lock.release()

    def forget(self) -> None:
        """Begin anew after a fork, in the child."""
        self._lock = threading.RLock()
        if self._connection is not None:
            # Closing a connection of the parent could take its write-ahead log away: it is kept, and not used.
            self._carried.append(self._connection)
            self._connection = None

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self._path is None or self._path.exists()

    def pending(self) -> list[str]:
        """Return the SQL of the migrations that the file does not have yet; neither make nor change it.

        Raises ConfigurationError for another program's file.
        """
        if self._path is None or not self._path.exists():
            return migrations()
        address = f"{self._path.resolve().as_uri()}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
                _refuse_foreign(connection, place=self.place)
                return migrations()[_number(connection, "PRAGMA user_version") :]
        except sqlite3.DatabaseError as error:
            raise LedgerUnavailableError(f"{self.place}: {error}") from error

    def close(self) -> None:
        """Close the file; the next use opens it again. What lies in memory is gone."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            if self._path is None:
                # Whatever lies there next is another one.
                self.settings = {}

    @contextlib.contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Lend the open connection; turn what SQLite raises into the errors of a store."""
        with self._lock:
            try:
                yield self._opened()
            except sqlite3.DatabaseError as error:
                if self._path is not None:
                    self.close()
                if isinstance(error, sqlite3.IntegrityError) or "malformed" in str(error):
                    raise LedgerCorruptError(f"{self.place}: {error}") from error
                raise LedgerUnavailableError(f"{self.place}: {error}") from error
            except OSError as error:
                self.close()
                raise LedgerUnavailableError(f"{self.place}: {error.strerror}") from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction that no other process can write beside; durable when it ends."""
        with self.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def swept(self) -> bool:
        """Move the write-ahead log into the file and empty it; tell whether that could be done without waiting."""
        with self.using() as connection:
            # Whoever waits here keeps all writers waiting.
            connection.execute("PRAGMA busy_timeout=0").fetchall()
            try:
                busy = _number(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.execute(f"PRAGMA busy_timeout={int(PATIENCE * 1000)}").fetchall()
        return busy == 0

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_there():
            return self._connection
        self.close()
        self._connection = connection = self._connect()
        try:
            self._prepare(connection)
        except BaseException:
            self.close()
            raise
        return connection

    def _is_there(self) -> bool:
        """Tell whether the path still leads to the open file: SQLite would go on writing to one that was taken away."""
        if self._path is None:
            return True
        found = self._path.stat()
        return (found.st_dev, found.st_ino) == self._file

    def _connect(self) -> sqlite3.Connection:
        if self._path is None:
            return sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
        if not self.settings:
            # Made here, since SQLite would make it readable for everybody. Made once: a ledger that was taken away is
            # waited for, never silently begun again.
            if not self._path.exists() and self._path.with_name(self._path.name + KEY_SUFFIX).exists():
                log.error(
                    "%s is gone, and its key is still there: an empty ledger is begun, and cookies that were withdrawn"
                    " count again; put the file back from a copy, or replace secret_keys to ask everybody anew",
                    self._path,
                )
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        found = self._path.stat()
        self._file = (found.st_dev, found.st_ino)
        return sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _refuse_foreign(connection, place=self.place)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", f"max_page_count={self._max_pages}"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        scripts = migrations()
        done = _number(connection, "PRAGMA user_version")
        refuse_newer(done, known=len(scripts), place=self.place)
        if done < len(scripts):
            self._migrate(connection, scripts=scripts)
        settings: dict[str, bytes] = dict(connection.execute("SELECT name, value FROM setting"))
        refuse_other(settings, before=self.settings, origin=self._origin, copying=self._copying, place=self.place)
        self.settings = settings

    def _migrate(self, connection: sqlite3.Connection, *, scripts: Sequence[str]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been first.
            done = _number(connection, "PRAGMA user_version")
            for script in scripts[done:]:
                for statement in script.split(";\n"):
                    connection.execute(statement)
            if done == 0:
                connection.executemany(
                    "INSERT INTO setting VALUES (?, ?)",
                    [
                        ("origin", self._origin.encode()),
                        ("record_key", secrets.token_bytes(32)),
                        ("revocation_key", secrets.token_bytes(32)),
                    ],
                )
            connection.execute(f"PRAGMA user_version={len(scripts)}")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def _number(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])


def _refuse_foreign(connection: sqlite3.Connection, *, place: str) -> None:
    tables = _number(connection, "SELECT count(*) FROM sqlite_schema")
    if tables and _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise ConfigurationError(
            "this SQLite file is not a ledger", place=place, remedy="Give the ledger a file of its own"
        )


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_held: list[Database] = []


def _before_fork() -> None:
    _held[:] = _databases
    for database in _held:
        database.hold()


def _after_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_in_child() -> None:
    while _held:
        _held.pop().forget()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
