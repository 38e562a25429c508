"""Hold what a visitor answered: an explicit yes or no, made under one notice."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from consent.choice.notice import Notice

DAY = 86400


class Method(IntEnum):
    """Say by which control a choice was made; four bits in the cookie."""

    REJECT_ALL = 0
    ACCEPT_ALL = 1
    SAVE = 2

    @property
    def word(self) -> str:
        """Return the name as forms and records write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Hold the answers of one visitor under the notice with this digest.

    `decided_at` is in Unix seconds, UTC. Who granted nothing has no consent id, a time rounded down to the day and one
    fixed set of answers, so that nothing tells one refuser from another.
    """

    notice: str
    decided_at: int
    method: Method
    purposes: Mapping[str, bool]
    services: Mapping[str, bool] = field(default_factory=dict)
    consent_id: bytes | None = field(default=None, repr=False)

    @property
    def grants(self) -> bool:
        """Tell whether anything was granted."""
        return any(self.purposes.values()) or any(self.services.values())

    def says(self, service: str, *, purpose: str | None) -> bool | None:
        """Return the answer for a service: its own, else that of its purpose, else None for never answered."""
        own = self.services.get(service)
        return own if own is not None else self.purposes.get(purpose or "")


def refusal(notice: Notice, *, now: int) -> Choice:
    """Return the choice of everybody who says no to this notice on this day."""
    return Choice(
        notice=notice.digest,
        decided_at=now - now % DAY,
        method=Method.REJECT_ALL,
        purposes=dict.fromkeys(notice.purposes, False),
    )


def acceptance(notice: Notice, *, now: int) -> Choice:
    """Return a yes to every purpose of a notice."""
    purposes = dict.fromkeys(notice.purposes, True)
    return Choice(notice=notice.digest, decided_at=now, method=Method.ACCEPT_ALL, purposes=purposes)


def selection(
    notice: Notice,
    *,
    now: int,
    purposes: Collection[str],
    services: Collection[str] = (),
    without: Collection[str] = (),
) -> Choice:
    """Return a yes to some purposes and services, and a no to all else.

    A purpose stands for all its services but those in `without`; `services` are granted on their own. Raises KeyError
    with the first key that the notice does not ask for.
    """
    for key in (*purposes, *services, *without):
        if key not in notice.services and key not in notice.purposes:
            raise KeyError(key)
    answers = {key: key in purposes for key in notice.purposes}
    deep: dict[str, bool] = {}
    for purpose, granted in answers.items():
        own = notice.of(purpose)
        if granted:
            deep |= {key: False for key in own if key in without and key not in services}
        elif any(key in services for key in own):
            deep |= {key: key in services for key in own}
    chosen = Choice(notice=notice.digest, decided_at=now, method=Method.SAVE, purposes=answers, services=deep)
    return chosen if chosen.grants else refusal(notice, now=now)


def identified(choice: Choice, *, consent_id: bytes) -> Choice:
    """Return a choice with the random number of its visitor; one that grants nothing never gets any."""
    return replace(choice, consent_id=consent_id) if choice.grants else choice
