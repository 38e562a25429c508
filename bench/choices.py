"""Measure choices a second over HTTP: `python -m bench.choices`.

A server process answers `POST /privacy/choices` from 64 clients on loopback, each on a connection of its own: once
with the SQLite ledger, where an answer means that the record is durable, and once with a ledger that forgets. Both take
turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import socket
import statistics
import tempfile
import time
import uuid
from multiprocessing.connection import Connection
from pathlib import Path

import uvicorn

from bench.middleware import SMALL, responds
from consent import ConsentMiddleware, ConsentSettings
from consent.ledger.entry import Appended, Draft
from consent.site import Site

CLIENTS = 64
ORIGIN = "http://localhost"


def serve(listening: socket.socket, folder: str, keep: bool, ready: Connection) -> None:
    """Serve a site until the process is ended; without `keep` its ledger forgets."""
    logging.disable(logging.WARNING)
    settings = ConsentSettings(
        secret_keys=("bench",),
        origins=(ORIGIN,),
        services={"matomo-cloud": {}, "youtube": {}},
        ledger=f"sqlite:///{folder}/consent.db",
        queue_dir=Path(folder) / "queue",
    )
    site = Site(settings)

    async def forget(draft: Draft) -> Appended:
        return Appended(index=0, record=uuid.uuid4(), leaf_hash=b"", recorded_at=int(time.time()))

    if not keep:
        site.ledger.record = forget  # type: ignore[method-assign] # the baseline: everything but the ledger
    app = ConsentMiddleware(responds(SMALL, b"text/html"), site=site)
    site.start()
    ready.send(site.edition(site.now()).notices["en"].digest)
    uvicorn.run(app, fd=listening.fileno(), log_level="error", access_log=False, lifespan="off")


async def client(port: int, body: bytes, until: float) -> list[float]:
    """Accept again and again, as a new visitor each time; return the seconds each answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /privacy/choices HTTP/1.1\r\nHost: localhost\r\nOrigin: {ORIGIN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    took = []
    while (begin := time.perf_counter()) < until:
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        took.append(time.perf_counter() - begin)
    writer.close()
    return took


async def load(port: int, notice: str, seconds: float) -> list[float]:
    """Let all clients accept for some seconds."""
    body = json.dumps({"choice": "accept_all", "notice": notice}).encode()
    until = time.perf_counter() + seconds
    found = await asyncio.gather(*(client(port, body, until) for _ in range(CLIENTS)))
    return [one for each in found for one in each]


def measure(*, keep: bool, seconds: float) -> tuple[float, float, float]:
    """Return choices a second, and the median and 99th percentile of an answer in milliseconds."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        here, there = spawn.Pipe()
        server = spawn.Process(target=serve, args=(listening, folder, keep, there), daemon=True)
        server.start()
        try:
            notice = here.recv()
            port: int = listening.getsockname()[1]
            asyncio.run(load(port, notice, 0.5))
            took = asyncio.run(load(port, notice, seconds))
        finally:
            server.terminate()
            server.join()
    return len(took) / seconds, statistics.median(took) * 1e3, statistics.quantiles(took, n=100)[98] * 1e3


def main() -> None:
    """Print both ways, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(args.rounds):
        for keep in (True, False):
            rate, median, tail = measure(keep=keep, seconds=args.seconds)
            rates[keep].append(rate)
            name = "SQLite ledger" if keep else "a ledger that forgets"
            print(f"{name:24}{rate:10,.0f} choices a second   p50 {median:6.1f} ms   p99 {tail:6.1f} ms")
    print(f"ratio of the medians: {statistics.median(rates[True]) / statistics.median(rates[False]):.2f}")


if __name__ == "__main__":
    main()
