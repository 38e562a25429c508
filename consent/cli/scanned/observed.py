"""Hold what a browser did and kept on one visit."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Say what the visitor has answered, in the order the visits are made."""

    BEFORE = "before"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    GPC = "gpc"
    GPC_ACCEPTED = "gpc-accepted"


TOLD = {
    State.BEFORE: "before a choice",
    State.REFUSED: "after refusing",
    State.ACCEPTED: "after accepting",
    State.WITHDRAWN: "after withdrawing",
    State.GPC: "with Sec-GPC",
    State.GPC_ACCEPTED: "with Sec-GPC, after accepting",
}
"""Every state as it stands in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold one request: its address, what it was for, and what made the browser send it.

    `denied` tells that the page's own policy kept it from being sent.
    """

    url: str
    kind: str
    initiator: str
    denied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Hold one cookie without its value; `lifetime` is in seconds from now, None for the browser's session."""

    name: str
    domain: str
    path: str
    lifetime: int | None
    http_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Hold one key of a storage: the kind, its name, and the origin it is kept for."""

    kind: str
    name: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Hold one visit of a page in one state.

    `left` are the cookies that were there before the withdrawal this visit follows. `failure` says why an answer could
    not be given or was not kept; `asking` tells that the banner was shown, and so a choice could be made.
    """

    page: str
    state: State
    asked: tuple[Asked, ...] = ()
    cookies: tuple[Kept, ...] = ()
    stored: tuple[Stored, ...] = ()
    left: tuple[Kept, ...] = ()
    asking: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Hold all visits of one page, where its links lead, or why it could not be visited."""

    page: str
    visits: tuple[Visit, ...] = ()
    links: tuple[str, ...] = field(default=(), repr=False)
    failure: str = ""


def host_of(url: str) -> str:
    """Return the host of an address, with its port."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
