"""Talk to one PostgreSQL ledger: few connections, no session state, and no acknowledgement that is not one.

Nothing lives longer in a session than one transaction, and no statement is prepared, so that a pooler in transaction
mode may stand between. A WARNING at the end of a transaction means that its commit did not wait for the standbys
(https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION): such a commit counts as lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, errors
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError
from consent.ledger.identity import refuse_newer, refuse_other
from consent.ledger.store import Durability

CONNECTIONS = 4
"""The most connections of one process."""
CONNECT_PATIENCE = 5
"""Seconds to wait for one host to take a connection, unless the address says otherwise (connect_timeout)."""
PATIENCE = 10.0
"""Seconds to wait for the answer to one statement."""
DOUBT = 15.0
"""Seconds after which a statement is no longer tried again of which nobody knows whether it was done."""
PAUSE = 0.1
"""Seconds between two attempts at that."""
UNSAFE = "CN001"
"""The SQLSTATE of our own for a server that is not as durable as the settings say."""
_MIGRATIONS = Path(__file__).parent / "migrations" / "postgres"
_ROLES = Path(__file__).parent / "roles.sql"
_LOCK = 1131367527
_WAIT = 0.1
T = TypeVar("T")

log = logging.getLogger("consent.ledger")


def migrations() -> list[str]:
    """Return the numbered migrations, oldest first."""
    return [path.read_text(encoding="utf-8") for path in sorted(_MIGRATIONS.glob("*.sql"))]


def roles() -> str:
    """Return the SQL that lets the site's role in."""
    return _ROLES.read_text(encoding="utf-8")


class Connection(psycopg.Connection[TupleRow]):
    """Wait for no answer for ever, and remember what the server warned about."""

    patience: float | None = PATIENCE

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.warnings: list[str] = []
        self.add_notice_handler(self._notice)

    def _notice(self, notice: errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(notice.message_primary or "a warning")

    def wait(self, gen: PQGen[T], interval: float = _WAIT, timeout: float | None = None) -> T:
        """Wait for the server, as long as patience lasts where no time is given."""
        return super().wait(gen, interval, self.patience if timeout is None else timeout)


class Server:
    """Lend connections to the ledger at an `address` (`postgresql://…`) to any thread; none is carried over a fork.

    `copying` opens one into which a copy is not finished.
    """

    def __init__(self, address: str, *, origin: str, durability: Durability, copying: bool = False) -> None:
        self._copying = copying
        self._options = _options(address)
        self.place = _place(self._options)
        self._origin = origin
        self.durability = durability
        self.settings: Mapping[str, bytes] = {}
        self.forget()
        _servers.add(self)

    def forget(self) -> None:
        """Begin anew: in the child of a fork the connections are still the parent's."""
        # Kept and not used: closing one would say goodbye in the parent's name.
        self._carried = [*getattr(self, "_carried", []), *getattr(self, "_idle", [])]
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def close(self) -> None:
        """Close what is not lent; the next use opens it again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def using(self) -> Iterator[Connection]:
        """Lend a connection, each of whose statements is a transaction of its own."""
        with self._translated(), self._lent() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection inside a transaction; it is durable when it ends, with whatever could be seen in it."""
        with self._translated(), self._lent() as connection:
            with connection.transaction():
                connection.execute("SELECT consent.barrier(%s)", (self.durability.value,))
                yield connection
            _refuse_warned(connection)

    def repeated(self, query: bytes, parameters: Sequence[Any]) -> list[TupleRow]:
        """Run one statement that may be run twice, durably; once more where it cannot be known whether it was done."""
        deadline, doubtful = time.monotonic() + DOUBT, False
        with self._translated():
            while True:
                try:
                    with self._lent() as connection:
                        try:
                            rows = connection.execute(query, parameters, binary=True).fetchall()
                            _refuse_warned(connection)
                        except psycopg.OperationalError as error:
                            doubtful = doubtful or not error.sqlstate or _ends_session(error)
                            raise
                        return rows
                except psycopg.OperationalError:
                    # Where the server has answered, or was never asked, there is no doubt.
                    if not doubtful or time.monotonic() > deadline:
                        raise
                    time.sleep(PAUSE)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                _first_line(error), place=self.place, remedy="Let its owner run `consent ledger migrate`"
            ) from error
        except (psycopg.IntegrityError, errors.DataCorrupted, errors.IndexCorrupted) as error:
            raise LedgerCorruptError(f"{self.place}: {_first_line(error)}") from error
        except psycopg.Error as error:
            raise LedgerUnavailableError(f"{self.place}: {_first_line(error)}") from error

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Connection]:
        if not self._free.acquire(timeout=PATIENCE):
            raise LedgerUnavailableError(f"{self.place}: all connections are in use")
        try:
            connection = self._taken() or self._opened()
            try:
                yield connection
            except BaseException:
                if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    connection.close()
                raise
            finally:
                connection.warnings.clear()
                if not connection.closed:
                    with self._lock:
                        self._idle.append(connection)
        finally:
            self._free.release()

    def _taken(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            try:
                # Reads what the server may have said meanwhile: that it is going away, for one.
                connection.pgconn.consume_input()
            except psycopg.OperationalError:
                connection.close()
            else:
                return connection

    def _opened(self) -> Connection:
        connection = self.connect()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def exists(self) -> bool:
        """Tell whether the database has a ledger."""
        with self._translated(), self.connect() as connection:
            return applied(connection) > 0

    def pending(self) -> list[str]:
        """Return the SQL of the migrations that are not applied yet."""
        with self._translated(), self.connect() as connection:
            return migrations()[applied(connection) :]

    def migrated(self) -> bool:
        """Apply what is pending and let the role `consent_web` in; tell whether there is one."""
        with self.using(), self._translated(), self.connect() as connection:
            found = connection.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_web')").fetchone()
            if found == (True,):
                connection.execute(roles().encode())
            return found == (True,)

    def doubts(self) -> list[str]:
        """Return what the server says that does not go with the durability it is to have."""
        with self.using() as connection:
            return list(doubts(connection, durability=self.durability))

    def connect(self) -> Connection:
        """Return a new connection, for which the caller answers; psycopg's errors are not translated."""
        connection = Connection.connect(**self._options, autocommit=True, prepare_threshold=None)
        if not isinstance(connection, Connection):
            raise TypeError("psycopg connected as somebody else")
        return connection

    def _prepare(self, connection: Connection) -> None:
        scripts = migrations()
        if applied(connection) < len(scripts):
            migrate(connection, origin=self._origin, place=self.place)
            connection.patience = type(connection).patience
        done = applied(connection)
        refuse_newer(done, known=len(scripts), place=self.place)
        settings: dict[str, bytes] = dict(connection.execute("SELECT name, value FROM consent.setting").fetchall())
        refuse_other(settings, before=self.settings, origin=self._origin, copying=self._copying, place=self.place)
        if not self.settings:
            for doubt in doubts(connection, durability=self.durability):
                log.warning("%s: %s", self.place, doubt)
        self.settings = settings


def applied(connection: psycopg.Connection[TupleRow]) -> int:
    """Return how many migrations the database has."""
    # Read as rows: what a session has cached about names may be older than a lock it was given.
    there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'consent' AND tablename = 'migration')"
    if connection.execute(there).fetchone() == (False,):
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM consent.migration").fetchone()
    return int(row[0]) if row else 0


def migrate(connection: psycopg.Connection[TupleRow], *, origin: str, place: str) -> int:
    """Make or migrate the ledger of an origin, as one step; return how many migrations were applied.

    Raises ConfigurationError where the schema `consent` is somebody else's.
    """
    if isinstance(connection, Connection):
        # A migration takes as long as it takes.
        connection.patience = None
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        # Another process may have been first.
        done = applied(connection)
        taken = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'consent')"
        if done == 0 and connection.execute(taken).fetchone() == (True,):
            raise ConfigurationError(
                "this database has a schema `consent` that is not a ledger",
                place=place,
                remedy="Give the ledger a database of its own",
            )
        scripts = migrations()
        for number, script in enumerate(scripts[done:], done + 1):
            connection.execute(script.encode())
            connection.execute("INSERT INTO consent.migration (number) VALUES (%s)", (number,))
        if done == 0:
            values = {
                "origin": origin.encode(),
                "record_key": secrets.token_bytes(32),
                "revocation_key": secrets.token_bytes(32),
            }
            for name, value in values.items():
                connection.execute("INSERT INTO consent.setting VALUES (%s, %s)", (name, value))
        return max(0, len(scripts) - done)


def doubts(connection: psycopg.Connection[TupleRow], *, durability: Durability) -> Iterator[str]:
    """Yield, as sentences, what the server says that does not go with the durability of the settings."""
    named = ("fsync", "full_page_writes", "synchronous_standby_names")
    fsync, whole, standbys = (
        (connection.execute("SELECT current_setting(%s)", (name,)).fetchone() or ("",))[0] for name in named
    )
    if "off" in (fsync, whole):
        yield "fsync or full_page_writes is off: what is acknowledged is lost when the machine fails"
    # The state of another role's sender is shown to members of pg_monitor alone.
    states = [
        state for (state,) in connection.execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")
    ]
    waited_for = sum(state in ("sync", "quorum") for state in states)
    if durability is Durability.SYNCHRONOUS:
        if not str(standbys).strip():
            yield "no standby is synchronous (synchronous_standby_names is empty), so nothing is acknowledged"
        elif states and not waited_for:
            yield "none of the standbys that PostgreSQL waits for is connected, so nothing is acknowledged"
    elif durability is Durability.SINGLE and states and not waited_for:
        yield (
            "its standbys are asynchronous: a failover would lose entries that were acknowledged; name them in"
            ' synchronous_standby_names and set durability = "synchronous"'
        )


def _refuse_warned(connection: Connection) -> None:
    if connection.warnings:
        raise psycopg.OperationalError(f"the commit is not acknowledged: {connection.warnings[0]}")


def _ends_session(error: psycopg.Error) -> bool:
    """Tell whether a server that answered was going away, or taken away: the commit may have been done."""
    return (error.sqlstate or "").startswith(("08", "57P"))


def _options(address: str) -> dict[str, Any]:
    try:
        options = conninfo.conninfo_to_dict(address)
        # A sign of a password that was not written as %2F and the like splits the address elsewhere.
        if not str(options.get("port", 0)).replace(",", "").isdigit() or "@" in str(options.get("dbname", "")):
            raise psycopg.ProgrammingError
    except psycopg.ProgrammingError:
        # What libpq says may show a part of a password.
        raise ConfigurationError(
            "this is not the address of a PostgreSQL database",
            place="ledger",
            remedy="Write it as 'postgresql://user@host/database', with %40 and the like for signs in a password",
        ) from None
    options.setdefault("connect_timeout", CONNECT_PATIENCE)
    options.setdefault("application_name", "consent")
    if any("," in str(options.get(name, "")) for name in ("host", "hostaddr")):
        options.setdefault("target_session_attrs", "read-write")
    return options


def _place(options: Mapping[str, Any]) -> str:
    """Return where the ledger lies, without what is secret."""
    host, user = options.get("host", options.get("hostaddr", "")), options.get("user", "")
    return f"postgresql://{user}{'@' if user else ''}{host}/{options.get('dbname', '')}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _after_in_child() -> None:
    for server in list(_servers):
        server.forget()


os.register_at_fork(after_in_child=_after_in_child)
