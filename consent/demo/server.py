"""Run the news site and its pretend third parties: two processes, started and ended together."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from consent.demo.folder import CORRECTIONS_FILE
from consent.demo.pages import create_site
from consent.demo.sightings import TrackerLog, TrackerProcess
from consent.errors import ConfigurationError
from consent.middleware import ConsentMiddleware
from consent.settings import CONFIG_FILE, CONFIG_VARIABLE

BACKLOG = 256
_SECONDS_TO_END = 5
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def listen(host: str, port: int, *, option: str) -> socket.socket:
    """Return a listening socket; raise ConfigurationError, naming the option to change, where there is none to have."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise ConfigurationError(
            f"{host!r} is no address of this machine: {error.strerror}", remedy="Choose another one with --host"
        ) from None
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
        raise ConfigurationError(f"port {port} of {host} {why}", remedy=f"Choose another one with {option}") from None
    return opened


def guarded_site(folder: Path, *, trackers: TrackerLog, tracker_port: int, csp: bool) -> Starlette:
    """Return the news site as a reader meets it: behind consent, which is read from the folder, and compression."""
    os.environ[CONFIG_VARIABLE] = str(folder / CONFIG_FILE)
    corrections = folder / CORRECTIONS_FILE
    app = create_site(trackers=trackers, tracker_port=tracker_port, corrections=corrections, csp=csp)
    app.add_middleware(ConsentMiddleware)
    app.add_middleware(GZipMiddleware)
    return app


def serve(
    folder: Path,
    *,
    listening: socket.socket,
    tracker_listening: socket.socket,
    announce: Callable[[], None],
    csp: bool = False,
) -> int:
    """Serve until Ctrl-C or SIGTERM and return an exit code, 1 if the site did not start.

    `announce` is called once the site answers.
    """
    host, tracker_port = tracker_listening.getsockname()[:2]
    log = TrackerProcess(host=_EVERY_ADDRESS.get(host, host), port=tracker_port)
    with trackers(tracker_listening):
        return _serve(guarded_site(folder, trackers=log, tracker_port=tracker_port, csp=csp), listening, announce)


@contextmanager
def trackers(listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Run the third parties in a process that ends with this one, however this one ends.

    The process reads a pipe nobody writes to: the system closes it when this process is gone, even by SIGKILL.
    """
    command = [sys.executable, "-m", "consent.demo.trackers", str(listening.fileno())]
    process = subprocess.Popen(  # noqa: S603 - our own module, no outside input
        command,
        stdin=subprocess.PIPE,
        pass_fds=[listening.fileno()],
        env={name: value for name, value in os.environ.items() if not name.upper().startswith("CONSENT_")},
        process_group=0,  # Ctrl-C in a terminal is for this process; the other one ends with it
    )
    listening.close()
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Server(uvicorn.Server):
    """Tell when the site answers."""

    def __init__(self, app: ASGIApp, *, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_level="warning", access_log=False, ws="none", lifespan="on", timeout_graceful_shutdown=2
            )
        )
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._announce()


def _serve(app: ASGIApp, listening: socket.socket, announce: Callable[[], None]) -> int:
    server = _Server(app, announce=announce)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0 if server.started else 1


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM, which would end this process at once, into an exit that also ends the third parties."""
    raise KeyboardInterrupt
