"""Help a site test itself: a ledger in memory, a clock that stands still, and visitors who agree.

site = consent.testing.site(services={"matomo-cloud": {}})
app = ConsentMiddleware(my_app, site=site)
client = TestClient(app, base_url="https://testserver")
consent.testing.grant(client, "analytics")
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from consent.ledger.sqlite import SqliteStore
from consent.opening import NO_ORIGIN
from consent.settings import ConsentSettings
from consent.site import Site

EPOCH = 1_800_000_000
"""Where a frozen clock stands unless told otherwise, in Unix seconds: 15 January 2027."""


class Clock:
    """Stand still until told to move; call it for Unix seconds."""

    def __init__(self, now: float = EPOCH) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Answer(Protocol):
    """Read a response, as Starlette's and FastAPI's test clients give it."""

    @property
    def status_code(self) -> int: ...
    def json(self) -> Any: ...


class Client(Protocol):
    """Send requests, as Starlette's and FastAPI's test clients do; its base address must begin with `https://`."""

    @property
    def get(self) -> Callable[..., Any]: ...
    @property
    def post(self) -> Callable[..., Any]: ...


def settings(**values: Any) -> ConsentSettings:
    """Return settings for tests: a fixed key, and a folder of its own for whatever is kept. Files are not read."""
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    (folder / "consent.toml").touch()
    return ConsentSettings.from_toml(folder / "consent.toml", **({"secret_keys": ("for tests only",)} | values))


@cache
def _folder() -> Path:
    """Make the folder that all tests of this process share, and remove it at the end of the process."""
    folder = Path(tempfile.mkdtemp(prefix="consent-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def site(*, clock: Clock | None = None, random: Callable[[int], bytes] | None = None, **values: Any) -> Site:
    """Return a site with a ledger in memory, to be given to `ConsentMiddleware(app, site=…)`.

    `values` are settings. With `random`, consent ids are what it returns.
    """
    chosen = settings(**values)
    store = SqliteStore(":memory:", origin=chosen.origins[0] if chosen.origins else NO_ORIGIN)
    given: dict[str, Any] = {} if random is None else {"random": random}
    return Site(chosen, clock=clock or Clock(), store=store, **given)


def grant(client: Client, *keys: str, prefix: str = "/privacy") -> Any:
    """Say yes to some purposes and services and no to all else, as a visitor would; return the response.

    Raises ValueError, with the keys there are, for one that is none of them.
    """
    state = client.get(f"{prefix}/state").json()
    asked = client.get(f"{prefix}/notices/{state['notice']}.json").json()
    purposes = {purpose["key"] for purpose in asked["purposes"]}
    services = {service["key"] for service in asked["services"]}
    if unknown := [key for key in keys if key not in purposes | services]:
        raise ValueError(
            f"{', '.join(map(repr, unknown))} cannot be granted: purposes are {', '.join(sorted(purposes))};"
            f" services are {', '.join(sorted(services)) or 'none'}"
        )
    body = {
        "choice": "save",
        "purpose": [key for key in keys if key in purposes],
        "service": [key for key in keys if key not in purposes],
        "notice": state["notice"],
    }
    return _checked(client.post(f"{prefix}/choices", json=body))


def refuse(client: Client, *, prefix: str = "/privacy") -> Any:
    """Say no to everything; return the response."""
    return _checked(client.post(f"{prefix}/choices", json={"choice": "reject_all"}))


def withdraw(client: Client, *, prefix: str = "/privacy") -> Any:
    """Take everything back; return the response."""
    return _checked(client.post(f"{prefix}/choices", json={"choice": "withdraw"}))


def _checked(response: Any) -> Any:
    if response.status_code != 200:
        raise AssertionError(f"the choice was answered {response.status_code}: {response.text[:500]}")
    url = str(getattr(response, "url", "https://"))
    if urlsplit(url).scheme != "https":
        raise AssertionError('cookies are Secure: build the client with base_url="https://testserver"')
    return response
