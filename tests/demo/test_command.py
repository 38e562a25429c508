"""Run the demo as a command."""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from consent.cli import demo
from consent.demo.folder import make

PATIENCE = 30


@dataclass(frozen=True)
class Running:
    """Hold a demo that answers, with everything it printed."""

    process: subprocess.Popen[bytes]
    port: int
    tracker_port: int
    printed: str


def parse(*arguments: str) -> argparse.Namespace:
    """Read a command line."""
    parser = argparse.ArgumentParser()
    demo.add(parser.add_subparsers())
    return parser.parse_args(["demo", *arguments])


def free_ports() -> tuple[int, int]:
    """Return two ports that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """Start the demo and wait until it has printed its addresses."""
    port, tracker_port = free_ports()
    code = (
        "import sys, argparse; from consent.cli import demo; p = argparse.ArgumentParser();"
        "demo.add(p.add_subparsers()); a = p.parse_args(); sys.exit(a.run(a))"
    )
    ports = ["--port", str(port), "--tracker-port", str(tracker_port)]
    with (folder.parent / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "demo", *ports, "--dir", str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
        )
    assert process.stdout
    try:
        printed = ""
        while "Ctrl-C" not in printed:
            assert select.select([process.stdout], [], [], PATIENCE)[0], "it never printed its addresses"
            more = os.read(process.stdout.fileno(), 65_536)
            assert more, "it ended before it answered"
            printed += more.decode()
        yield Running(process, port, tracker_port, printed)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def get(port: int, path: str, *, host: str = "meridian.localhost") -> tuple[int, bytes]:
    """Ask for one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Host": f"{host}:{port}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_closed(port: int) -> bool:
    """Wait until nobody listens on a port any more, and tell whether that came."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.05)
    return False


def test_the_demo_runs_says_where_it_is_and_ends_with_everything_it_started(tmp_path: Path) -> None:
    """Site, trackers, policies and audit page answer; SIGTERM ends both processes; a second start keeps the secrets."""
    with running(tmp_path / "site") as first:
        at = f"http://meridian.localhost:{first.port}"
        token = re.search(r"Audit token +(\S{20,})", first.printed)
        assert token
        for address in (f"{at}/", f"http://localhost:{first.port}/", f"{at}/en/what-the-trackers-saw"):
            assert address in first.printed
        assert f"{at}/privacy/audit/" in first.printed
        assert get(first.port, "/en/articles/night-ferry")[0] == 200
        assert get(first.port, "/privacy/", host="localhost")[0] == 200
        assert get(first.tracker_port, "/rs.js", host="stats.localhost")[0] == 200
        seen = json.loads(get(first.port, "/en/what-the-trackers-saw.json")[1])
        assert [sighting["host"] for sighting in seen["sightings"]] == ["stats.localhost"]
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(PATIENCE) == 0
        assert wait_until_closed(first.tracker_port)
    with running(tmp_path / "site") as second:
        assert token[1] in second.printed
        assert "names other origins" in second.printed
        assert "(wrote" not in second.printed


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_trackers_end_with_the_demo(tmp_path: Path, end: signal.Signals) -> None:
    """However the demo ends, by Ctrl-C in a terminal or killed, its second process does not outlive it or complain."""
    with running(tmp_path / "site") as started:
        os.killpg(started.process.pid, end)
        assert started.process.wait(PATIENCE) == (0 if end == signal.SIGINT else -signal.SIGKILL)
        assert wait_until_closed(started.tracker_port)
    assert (tmp_path / "errors").read_bytes() == b""


@pytest.mark.parametrize("option", ["--port", "--tracker-port"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    """The taken port and the option to change are named, and no folder is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = "--port" if option == "--tracker-port" else "--tracker-port"
        arguments = parse(option, str(port), other, str(free_ports()[0]), "--dir", str(tmp_path / "site"))
        assert arguments.run(arguments) == 1
    line = f"consent demo: port {port} of 127.0.0.1 is taken. Choose another one with {option}\n"
    assert capsys.readouterr().err == line
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "8123", "--tracker-port", "8123"), "cannot share a port"),
        (("--host", "203.0.113.7"), "cannot be opened"),
        (("--host", "no.such.host.invalid"), "is no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """Each impossible address is refused with exit code 1."""
    parsed = parse(*arguments, "--dir", str(tmp_path))
    assert parsed.run(parsed) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_broken_configuration_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the folder's own consent.toml is named."""
    make(tmp_path, port=8000)
    configuration = tmp_path / "consent.toml"
    configuration.write_text(configuration.read_text().replace("\n", "\nno_such_setting = 1\n", 1))
    port, tracker_port = free_ports()
    parsed = parse("--port", str(port), "--tracker-port", str(tracker_port), "--dir", str(tmp_path))
    assert parsed.run(parsed) == 1
    assert "no_such_setting: unknown setting" in capsys.readouterr().err


def test_without_a_server_installed_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra that brings uvicorn is named."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    parsed = parse()
    assert parsed.run(parsed) == 1
    assert "pip install 'asgi-consent[server]'" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8000.0", "٨"])
def test_a_port_is_a_number(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is wrong use: exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        parse("--port", port)
    assert exit_.value.code == 2
    assert "write a number from 1 to 65535" in capsys.readouterr().err
