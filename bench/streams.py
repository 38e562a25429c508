"""Measure what many answers that stream at the same time hold in memory: `python -m bench.streams`.

All of them go through the whole middleware, and all are at the same chunk at the same time: what each holds there must
not depend on how much of its page has passed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
import tracemalloc

from starlette.types import Message, Receive, Scope, Send

from bench.middleware import bench_site, scope
from bench.pages import article
from consent import ConsentMiddleware

CHUNK = 4096


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _away(message: Message) -> None:
    return None


async def measure(count: int, size: int) -> tuple[list[tuple[int, float]], float]:
    """Return the kilobytes that each answer holds after so many bytes, and the seconds that all of them took."""
    page = article(size)
    chunks = [page[at : at + CHUNK] for at in range(0, len(page), CHUNK)]
    together = asyncio.Barrier(count)
    held: list[tuple[int, float]] = []
    looks = {round(len(chunks) * part / 10) for part in range(1, 10)}
    at_rest = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, chunk in enumerate(chunks, 1):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < len(chunks)})
            first = await together.wait() == 0
            if first and number in looks:
                held.append((number * CHUNK, (tracemalloc.get_traced_memory()[0] - at_rest) / count / 1000))
            await together.wait()

    site = bench_site("report")
    guarded = ConsentMiddleware(app, site=site)
    tracemalloc.start()
    at_rest = tracemalloc.get_traced_memory()[0]
    begin = time.perf_counter()
    await asyncio.gather(*(guarded(scope(), _nothing, _away) for _ in range(count)))
    seconds = time.perf_counter() - begin
    tracemalloc.stop()
    await asyncio.to_thread(site.close)
    return held, seconds


def main() -> None:
    """Print what an answer holds as its page goes by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many answers stream at the same time")
    parser.add_argument("--size", type=int, default=120_000, help="bytes of each page")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    held, seconds = asyncio.run(measure(args.count, args.size))
    print(f"{args.count} answers of {args.size / 1000:.0f} KB at the same time, in chunks of {CHUNK} bytes")
    for passed, kilobytes in held:
        print(f"  after {passed / 1000:6.0f} KB each holds {kilobytes:6.1f} KB, its task and its request included")
    print(f"  {seconds:.1f} s, with every allocation traced")


if __name__ == "__main__":
    main()
