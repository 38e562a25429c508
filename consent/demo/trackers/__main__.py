"""Run the pretend third parties on a socket that the demo has opened, until the demo is gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import uvicorn

from consent.demo.trackers.app import create_trackers


async def serve(listening: socket.socket) -> None:
    """Serve until the other end of standard input is closed, which also happens when the demo is killed."""
    config = uvicorn.Config(
        create_trackers(), log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    async def stop_with_parent() -> None:
        await asyncio.to_thread(sys.stdin.buffer.read)
        server.should_exit = True

    watching = asyncio.create_task(stop_with_parent())
    await server.serve(sockets=[listening])
    watching.cancel()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
