"""Measure what a request costs: `python -m bench.middleware`.

The same app is called directly, without a server: bare, behind SessionMiddleware, behind GZipMiddleware, and behind
ConsentMiddleware for a visitor who has not answered, one who granted everything, and one who refused. The ways take
turns, and the best of many short rounds counts, in processor time of this thread; ratios and differences within one run
mean something on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.pages import PAGES, TRACKER
from consent import ConsentMiddleware
from consent.choice import cookie
from consent.choice.choice import acceptance, identified, refusal
from consent.site import Site
from consent.testing import Clock, site

PLAIN = b'{"answer":42}'
SMALL = b"<!doctype html><html lang=en><head><title>t</title></head><body><p>hello</p></body></html>"


def responds(body: bytes, content_type: bytes) -> ASGIApp:
    """Return an app that always answers with one body."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        # Rendered anew, as an app does it: bytes that nobody has hashed yet.
        await send({"type": "http.response.body", "body": bytes(bytearray(body))})

    return app


def responds_anew(body: bytes, content_type: bytes) -> ASGIApp:
    """Return an app whose every answer is another one, so that nothing is remembered of the last."""
    count = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal count
        count += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
        await send({"type": "http.response.body", "body": body + b"<!-- %d -->" % count})

    return app


def scope(cookies: bytes = b"", *, encoding: bytes = b"gzip") -> Scope:
    """Return a browser's request for a page."""
    headers = [
        (b"host", b"meridian.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36"),
        (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8"),
        (b"accept-language", b"en-IE,en;q=0.9"),
        (b"accept-encoding", encoding),
        (b"sec-fetch-dest", b"document"),
    ]
    if cookies:
        headers.append((b"cookie", cookies))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/article",
        "raw_path": b"/article",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 443),
    }


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _away(message: Message) -> None:
    return None


def bench_site(undeclared: str) -> Site:
    """Return a site with one tracker and a few built-in services."""
    services = {
        "tracker": {"purpose": "analytics", "hosts": [TRACKER], "patterns": [f"{TRACKER}/t.js"], "title": "Tracker"},
        **{key: {} for key in ("youtube", "matomo-cloud", "hotjar", "vimeo")},
    }
    made = site(
        clock=Clock(time.time()), origins=("https://meridian.example",), services=services, undeclared=undeclared
    )
    made.start()
    return made


def cookies_of(made: Site) -> dict[str, bytes]:
    """Return the consent cookie of a visitor who granted everything, and of one who refused."""
    now = int(made.now())
    notice = made.edition(now).notices["en"]
    choices = {
        "granted": identified(acceptance(notice, now=now), consent_id=bytes(16)),
        "refused": refusal(notice, now=now),
    }
    return {
        name: f"{made.cookie_name}={cookie.seal(choice, notice=notice, by=made.choice_signer)}".encode()
        for name, choice in choices.items()
    }


async def _round(call: Callable[[], Awaitable[None]], count: int) -> float:
    begin = time.thread_time_ns()
    for _ in range(count):
        await call()
    return (time.thread_time_ns() - begin) / count / 1e3


async def measure(app: ASGIApp, *, rounds: int, seconds: float) -> dict[str, float]:
    """Return the fewest microseconds of a request, by way."""
    made = bench_site("report")
    guarded = ConsentMiddleware(app, site=made)
    cookies = cookies_of(made)
    session = SessionMiddleware(app, secret_key="bench")  # noqa: S106 - nobody's secret
    gzip = GZipMiddleware(app)
    ways: dict[str, tuple[ASGIApp, bytes]] = {
        "bare": (app, b""),
        "SessionMiddleware": (session, b""),
        "GZipMiddleware": (gzip, b""),
        "consent, not answered": (guarded, b""),
        "consent, refused": (guarded, cookies["refused"]),
        "consent, everything granted": (guarded, cookies["granted"]),
    }

    def caller(way: ASGIApp, sent: bytes) -> Callable[[], Awaitable[None]]:
        async def call() -> None:
            await way(scope(sent), _nothing, _away)

        return call

    calls = {name: caller(*way) for name, way in ways.items()}
    counts = {}
    for name, call in calls.items():
        await _round(call, 5)
        counts[name] = max(5, int(seconds * 1e6 / max(await _round(call, 20), 0.1)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(await _round(call, counts[name]))
    await asyncio.to_thread(made.close)
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    """Print one table for each kind of response."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.03, help="how long one way runs in a round")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    html = b"text/html; charset=utf-8"
    kinds: dict[str, ASGIApp] = {
        "JSON": responds(PLAIN, b"application/json"),
        "HTML with nothing to gate, 90 bytes": responds(SMALL, html),
    }
    for name, page in PAGES.items():
        kinds[f"article page, {name}, never the same"] = responds_anew(page, html)
        kinds[f"article page, {name}, again and again"] = responds(page, html)
    for kind, app in kinds.items():
        found = asyncio.run(measure(app, rounds=args.rounds, seconds=args.seconds))
        bare, gzip = found["bare"], found["GZipMiddleware"]
        print(f"\n{kind}")
        print(f"  {'':30}{'µs a request':>14}{'over bare':>12}{'of gzip':>10}")
        for name, value in found.items():
            print(f"  {name:30}{value:14,.1f}{value - bare:+12,.1f}{(value - bare) / max(gzip - bare, 0.1):10.2f}")


if __name__ == "__main__":
    main()
