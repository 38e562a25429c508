"""Test that checkpoints are published at a slower pace than they are signed, and where they go."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from consent.errors import ConfigurationError, VerificationError
from consent.ledger import publisher, timestamp, writer
from consent.ledger.entry import Draft
from consent.ledger.ledger import Ledger
from consent.ledger.publisher import Outlets
from consent.ledger.sqlite import SqliteStore
from consent.ledger.timestamp import stamped
from tests.ledger.authority import founded, run, stamp
from tests.ledger.test_ledger import wait_until

MakeDraft = Callable[..., Draft]
MakeLedger = Callable[..., Ledger]
MakeStore = Callable[..., SqliteStore]
Answer = Callable[[bytes], bytes]


class Address:
    """Be an address on this machine that takes what is sent to it, and answers with what `answer` makes of it."""

    def __init__(self, answer: Answer) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.status = 200
        address = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                address.taken.append((self.headers["Content-Type"], body))
                data = answer(body)
                self.send_response(address.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def make_address() -> Iterator[Callable[..., Address]]:
    """Return a function that makes addresses, closed after the test."""
    made: list[Address] = []

    def make(answer: Answer = lambda _: b"") -> Address:
        made.append(Address(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing take longer than it must."""
    monkeypatch.setattr(writer, "TICK", 0.01)
    monkeypatch.setattr(publisher, "AGAIN", 0.01)


class Clock:
    """Stand still until told."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def size_of(ledger: Ledger) -> int | None:
    """Return how many entries everybody may know of."""
    published = ledger.published()
    return None if published is None else published.size


def test_the_pace(make_ledger: MakeLedger, make_draft: MakeDraft, caplog: pytest.LogCaptureFixture) -> None:
    """The first checkpoint is published at once, the next not before its hour, however many are signed."""
    caplog.set_level(logging.INFO, "consent.ledger")
    clock = Clock()
    ledger = make_ledger(clock=clock, checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))
    wait_until(lambda: size_of(ledger) == 1)
    clock.now += 3599
    asyncio.run(ledger.record(make_draft()))
    ledger.close()
    assert size_of(ledger) == 1
    newest = ledger.checkpoint()
    assert newest is not None
    assert newest.size == 2
    clock.now += 1
    ledger.start()
    wait_until(lambda: size_of(ledger) == 2)
    ledger.close()
    said = [record.getMessage() for record in caplog.records if "published" in record.getMessage()]
    assert [text.split()[2:4] for text in said] == [["meridian.example", "1"], ["meridian.example", "2"]]


def test_the_file(make_ledger: MakeLedger, make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """Each process writes the file that its machine is to carry away, also what another process published."""
    files = [tmp_path / "first.txt", tmp_path / "second.txt"]
    for file in files:
        ledger = make_ledger(make_store(), outlets=Outlets(file=file), checkpoint_interval=0.0)
        asyncio.run(ledger.record(make_draft()))
        wait_until(file.exists)
        published = ledger.published()
        assert published is not None
        assert file.read_bytes() == published.note


def test_a_file_that_cannot_be_written(
    make_ledger: MakeLedger, make_draft: MakeDraft, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and nothing else suffers."""
    outlets = Outlets(file=tmp_path / "nowhere" / "checkpoint")
    ledger = make_ledger(outlets=outlets, checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))
    wait_until(lambda: "cannot be written to" in caplog.text)
    assert ledger.available


def test_the_address(
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    make_address: Callable[..., Address],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What an address does not take is sent again until it does, and then no more."""
    address = make_address()
    address.status = 500
    ledger = make_ledger(outlets=Outlets(url=address.url), checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))
    wait_until(lambda: len(address.taken) > 1)
    assert f"not taken by {address.url}" in caplog.text
    address.status = 200
    wait_until(lambda: ledger._publisher._unsent is None)
    published = ledger.published()
    assert published is not None
    assert set(address.taken) == {("text/plain; charset=utf-8", published.note)}


def test_a_slow_address_holds_nobody_up(
    make_ledger: MakeLedger,
    make_draft: MakeDraft,
    make_address: Callable[..., Address],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While an address does not answer, choices are recorded and signed, and closing does not wait for it."""
    monkeypatch.setattr(publisher, "LAST_WORDS", 0.01)
    answered = threading.Event()

    def wait(_: bytes) -> bytes:
        answered.wait(60)
        return b""

    address = make_address(wait)
    ledger = make_ledger(outlets=Outlets(url=address.url), checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))
    wait_until(lambda: len(address.taken) == 1)
    assert asyncio.run(ledger.record(make_draft())).index == 1
    ledger.close()
    checkpoint = ledger.checkpoint()
    assert checkpoint is not None
    assert checkpoint.size == 2
    answered.set()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a time-stamp authority of our own."""
    return founded(tmp_path_factory.mktemp("authority"))


def test_time_stamps(
    make_ledger: MakeLedger, make_draft: MakeDraft, make_address: Callable[..., Address], authority: Path
) -> None:
    """A published checkpoint is stamped, and another program finds the stamp good over its exact bytes."""
    address = make_address(lambda request: stamp(authority, request))
    ledger = make_ledger(outlets=Outlets(timestamp_url=address.url), checkpoint_interval=0.0)
    asyncio.run(ledger.record(make_draft()))

    def token() -> bytes | None:
        published = ledger.published()
        return None if published is None else published.token

    wait_until(lambda: token() is not None)
    published = ledger.published()
    assert published is not None
    (authority / "token").write_bytes(published.token or b"")
    (authority / "note").write_bytes(published.note)
    verify = ("ts", "-verify", "-in", "token", "-token_in", "-CAfile", "certificate.pem", "-data")
    assert "OK" in run(authority, *verify, "note")
    (authority / "note").write_bytes(published.note + b"\n")
    with pytest.raises(subprocess.CalledProcessError):
        run(authority, *verify, "note")


def test_answers_that_are_no_stamp(authority: Path) -> None:
    """A refusal, a stamp over something else, a repeated one and garbage are all refused."""
    kept: list[bytes] = []

    def remember(request: bytes) -> bytes:
        kept.append(stamp(authority, request))
        return kept[-1]

    stamped(b"note", ask=remember)
    for answer, why in (
        (lambda _: kept[0], "something else"),
        (lambda _: b"no", "cannot be read"),
        (lambda _: stamp(authority, b"no request"), "refused"),
    ):
        with pytest.raises(VerificationError, match=why):
            stamped(b"note", ask=answer)
    with pytest.raises(VerificationError, match="something else"):
        stamped(b"another", ask=lambda _: kept[0])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for time stamps without the package for them is told at start how to get it."""
    timestamp.refuse_without_client()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="timestamp"):
        timestamp.refuse_without_client()
