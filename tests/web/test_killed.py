"""Kill the serving process under load, or let its disk be full: what was acknowledged is there once, and it starts."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from consent.ledger import merkle
from consent.ledger.sqlite import SqliteStore
from consent.opening import ledger_from
from consent.site import Site
from tests.conftest import ORIGIN, SERVICES

MakeStored = Callable[..., Site]
SERVER = """
import resource
import sys
import uvicorn
from consent import ConsentMiddleware, ConsentSettings
from starlette.applications import Starlette
app = ConsentMiddleware(Starlette(), ConsentSettings.from_toml(sys.argv[1]))
if limit := int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
uvicorn.run(app, fd=int(sys.argv[2]), log_level="error")
"""
VISITORS = 4
PATIENCE = 120


@contextmanager
def serving(site: Site, listening: socket.socket, *, limit: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a site from another process, and kill it at the end; `limit` is how many bytes its files may have."""
    folder = site.settings.folder
    settings = {
        "services": SERVICES,
        "origins": [ORIGIN],
        "site_name": "The Meridian",
        "secret_keys": ["for tests only"],
    }
    environment = {f"CONSENT_{name.upper()}": json.dumps(value) for name, value in settings.items()}
    words = [sys.executable, "-c", SERVER, str(folder / "consent.toml"), str(listening.fileno()), str(limit)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        words,
        env={**os.environ, **environment, "PYTHONPATH": str(root)},
        cwd=root,
        pass_fds=[listening.fileno()],
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def notice(port: int) -> str:
    """Return the digest of the notice that is shown, once the server answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            status, body = ask(port, "GET", "/privacy/state")
        except (OSError, HTTPException):
            status, body = 0, b""
        if status == 200:
            return str(json.loads(body)["notice"])
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(port: int, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = None if fields is None else json.dumps(fields)
        connection.request(method, path, body, {"Content-Type": "application/json", "Origin": ORIGIN})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def choose(port: int, shown: str, *, acknowledged: list[bytes], stop: threading.Event) -> None:
    """Make one choice after the other until the server is gone; note what it acknowledged."""
    fields = {"notice": shown, "choice": "accept_all", "layer": "banner"}
    while not stop.is_set():
        try:
            status, body = ask(port, "POST", "/privacy/choices", fields)
        except (OSError, HTTPException):
            return
        if status == 200 and json.loads(body)["status"] == "given":
            acknowledged.append(body)


def killed(make_stored: MakeStored, times: int) -> None:
    """Serve, load, kill and count, so many times on one ledger."""
    site = make_stored()
    made = acknowledged = 0
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        for turn in range(times):
            with serving(site, listening) as process:
                shown, stop = notice(port), threading.Event()
                found: list[list[bytes]] = [[] for _ in range(VISITORS)]
                threads = [
                    threading.Thread(
                        target=choose,
                        args=(port, shown),
                        kwargs={"acknowledged": mine, "stop": stop},
                    )
                    for mine in found
                ]
                for thread in threads:
                    thread.start()
                # A point that is random, and the same for every run of this test.
                enough = random.Random(turn).randrange(5, 60)
                deadline = time.monotonic() + PATIENCE
                while sum(map(len, found)) < enough:
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
                process.send_signal(signal.SIGKILL)
                stop.set()
                process.wait()
                # Who waits to be let in is told that nobody is there.
                drain(listening)
                for thread in threads:
                    thread.join()
            acknowledged += sum(map(len, found))
            made += VISITORS
            store = SqliteStore(site.settings.folder / "consent.db", origin=ORIGIN)
            entries = [json.loads(body) for body in store.entries()]
            given = [entry for entry in entries if entry["kind"] == "consent"]
            # Every visitor may have had one choice on its way, recorded and not yet answered.
            assert acknowledged <= len(given) <= acknowledged + made
            assert len({entry["record"] for entry in entries}) == len(entries) == store.head().size
            tree = merkle.Frontier()
            for body in store.entries():
                tree.append(merkle.leaf_hash(body))
            assert tree.root() == store.head().root == merkle.root(store, size=store.head().size)
            store.close()
    ledger = ledger_from(site.settings)
    assert ledger.fault() is None
    assert ledger.seal().size == len(entries)
    ledger.close()


def drain(listening: socket.socket) -> None:
    """Close the connections that the killed process never took."""
    listening.settimeout(0.05)
    try:
        while True:
            listening.accept()[0].close()
    except TimeoutError:
        listening.settimeout(None)


def test_killed_while_serving(make_stored: MakeStored) -> None:
    """Five times at random points."""
    killed(make_stored, 5)


@pytest.mark.long
def test_killed_while_serving_often(make_stored: MakeStored) -> None:
    """Fifty times at random points."""
    killed(make_stored, 50)


def test_stopped_while_serving(make_stored: MakeStored) -> None:
    """A server that is told to stop records everything it took, and signs it."""
    site = make_stored()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        with serving(site, listening) as process:
            shown = notice(port)
            for _ in range(20):
                assert ask(port, "POST", "/privacy/choices", {"notice": shown, "choice": "accept_all"})[0] == 200
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    ledger = ledger_from(site.settings)
    entries = [json.loads(body) for body in ledger.store.entries()]
    assert sum(entry["kind"] == "consent" for entry in entries) == 20
    checkpoint = ledger.checkpoint()
    assert checkpoint is not None
    assert checkpoint.size == len(entries)
    ledger.close()


def test_files_that_may_not_grow(make_stored: MakeStored) -> None:
    """Where no file may grow any more grants are refused and refusals honoured; later all of it is there."""
    site = make_stored()
    path = site.settings.folder / "consent.db"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        with serving(site, listening) as process:
            shown = notice(port)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        grant, refusal = ({"notice": shown, "choice": choice} for choice in ("accept_all", "reject_all"))
        given = 0
        with serving(site, listening, limit=path.stat().st_size + 60_000) as process:
            notice(port)
            while (answer := ask(port, "POST", "/privacy/choices", grant))[0] == 200:
                given += 1
                assert given < 1_000
            refused = [ask(port, "POST", "/privacy/choices", refusal)[0] for _ in range(3)]
            process.kill()
            said = process.stderr.read() if process.stderr else b""
        assert (answer[0], refused) == (503, [200, 200, 200])
        assert b"the ledger cannot be used" in said
        assert b"Traceback" not in said
        with serving(site, listening) as process:
            notice(port)
            assert ask(port, "POST", "/privacy/choices", grant)[0] == 200
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    ledger = ledger_from(site.settings)
    bodies = list(ledger.store.entries())
    statuses = [entry["status"] for entry in map(json.loads, bodies) if entry["kind"] == "consent"]
    assert given > 0
    assert (statuses.count("given"), statuses.count("refused")) == (given + 1, 3)
    tree = merkle.Frontier()
    for body in bodies:
        tree.append(merkle.leaf_hash(body))
    assert tree.root() == ledger.store.head().root
    assert ledger.fault() is None
    ledger.close()
