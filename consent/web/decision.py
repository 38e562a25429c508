"""Decide what a submitted choice means, and write down the record of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from consent.choice.choice import DAY, Choice, Method, acceptance, identified, refusal, selection
from consent.choice.consent import Consent
from consent.choice.notice import Notice, changed_terms
from consent.choice.status import Status
from consent.ledger.entry import Draft


class Control(StrEnum):
    """Say which button was pressed."""

    ACCEPT_ALL = "accept_all"
    REJECT_ALL = "reject_all"
    SAVE = "save"
    WITHDRAW = "withdraw"
    ONCE = "once"
    ALWAYS = "always"


LAYERS = frozenset({"banner", "choices", "placeholder"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Hold what a visitor sent, in the terms of the notice they were shown; `shown` is None where it is unknown."""

    control: Control
    layer: str
    shown: Notice | None
    purposes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Return by which control of which layer the choice was made, as a record says it."""
        return f"{self.layer}:{self.control}"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Hold a new choice beside the one it replaces.

    `prior_id` is the consent id the visitor had, None for who had granted nothing. `conflict` names what was granted
    under terms that have changed since they were shown.
    """

    choice: Choice
    shown: Notice
    before: Consent
    conflict: frozenset[str]
    prior_id: bytes | None = field(repr=False)

    @property
    def status(self) -> Status:
        """Return the status of the choice."""
        if self.choice.grants:
            return Status.GIVEN if self.prior_id is None else Status.RENEWED
        return Status.REFUSED if self.prior_id is None else Status.WITHDRAWN

    @property
    def subject(self) -> bytes | None:
        """Return the consent id that the record belongs to, None for who never granted anything."""
        return self.choice.consent_id or self.prior_id

    @cached_property
    def withdrawn(self) -> frozenset[str]:
        """Return the purposes and services that were granted before and are not any more."""
        return self.before.granted - granted(self.choice, self.shown)

    @cached_property
    def kept(self) -> Decision:
        """Return the part that counts even where nothing can be recorded: every no, and every yes that held before."""
        choice, held = self.choice, self.before.granted if self.prior_id is not None else frozenset()
        given = granted(choice, self.shown) & self.shown.services.keys()
        # A purpose stands for its services: with a new one among them, those that held are kept one by one.
        fresh = {self.shown.purpose_of(key) for key in given - held}
        purposes = {key: yes for key, yes in choice.purposes.items() if not yes or (key in held and key not in fresh)}
        services = {key: yes for key, yes in choice.services.items() if not yes or key in held}
        for key in held & given:
            if self.shown.purpose_of(key) not in purposes:
                services[key] = True
        kept = replace(choice, purposes=purposes, services=services)
        if not kept.grants:
            kept = replace(kept, consent_id=None, decided_at=choice.decided_at - choice.decided_at % DAY)
        return replace(self, choice=kept)

    @property
    def adds(self) -> bool:
        """Tell whether something is granted that did not hold before, so that it must be recorded first."""
        return self.choice != self.kept.choice

    @property
    def answers(self) -> bool:
        """Tell whether anything is answered at all."""
        return bool(self.choice.purposes or self.choice.services)


def decide(
    submission: Submission, *, before: Consent, consent_id: bytes | None, fresh_id: bytes, today: Notice, now: int
) -> Decision:
    """Turn a submission into a choice.

    `before` is what the visitor had agreed to under `consent_id`; `fresh_id` is taken at the first grant. Raises
    KeyError for a purpose or service that neither the notice shown nor today's has.
    """
    shown = submission.shown or today
    chosen = _chosen(submission, before, shown, today, now=now)
    choice = _without_objected(chosen, before.objected, shown, now=now)
    conflict = granted(choice, shown) & (changed_terms(shown, today) | (shown.services.keys() - today.services.keys()))
    if choice.grants and (submission.shown is None or shown.revision != today.revision):
        conflict |= granted(choice, shown)
    if choice.grants:
        choice = identified(
            replace(choice, decided_at=_after(before, consent_id, now=now)), consent_id=consent_id or fresh_id
        )
    return Decision(choice=choice, shown=shown, before=before, conflict=conflict, prior_id=consent_id)


def granted(choice: Choice, notice: Notice) -> frozenset[str]:
    """Return the purposes a choice says yes to, and the services it does for their own or their purpose's sake."""
    services = {key for key in notice.services if choice.says(key, purpose=notice.purpose_of(key))}
    return frozenset(services | {key for key, yes in choice.purposes.items() if yes})


def _after(before: Consent, consent_id: bytes | None, *, now: int) -> int:
    """Return the time of a choice: later than any earlier one of its consent id, so that cookies can be ordered."""
    return now if before.choice is None or consent_id is None else max(now, before.choice.decided_at + 1)


def unchanged(decision: Decision) -> bool:
    """Tell whether a submission says again what the visitor's valid choice already says."""
    old = decision.before.choice
    return (
        old is not None
        and decision.before.answered
        and old.notice == decision.choice.notice
        and old.purposes == decision.choice.purposes
        and old.services == decision.choice.services
    )


def _chosen(submission: Submission, before: Consent, shown: Notice, today: Notice, *, now: int) -> Choice:
    if submission.control is Control.ACCEPT_ALL:
        return acceptance(shown, now=now)
    if submission.control is Control.ALWAYS:
        return _added(submission, before, shown, today, now=now)
    if submission.control is not Control.SAVE:
        return refusal(shown, now=now)
    without = [key for key in submission.without if key in shown.services]
    for key in submission.without:
        if key not in shown.services and key not in today.services:
            raise KeyError(key)
    return selection(shown, now=now, purposes=submission.purposes, services=submission.services, without=without)


def _added(submission: Submission, before: Consent, shown: Notice, today: Notice, *, now: int) -> Choice:
    """Return one service more than before: every other answer stays, and what was never answered stays open."""
    key = submission.services[0] if len(submission.services) == 1 else ""
    if key not in shown.services or key not in today.services:
        raise KeyError(key)
    changed = changed_terms(shown, today)
    answers = {
        one: one in before.granted and one not in changed
        for one in (*shown.purposes, *shown.services)
        if one not in before.asking and (one in today.services or one in today.purposes)
    }
    # A purpose stands for its services: where one of them is open, those that hold are kept one by one.
    purposes = {
        one: yes
        for one, yes in answers.items()
        if one in shown.purposes and (not yes or all(answers.get(service) is not None for service in shown.of(one)))
    }
    services = {
        one: yes
        for one, yes in answers.items()
        if one in shown.services and yes != purposes.get(shown.purpose_of(one) or "")
    }
    return Choice(
        notice=shown.digest, decided_at=now, method=Method.SAVE, purposes=purposes, services={**services, key: True}
    )


def _without_objected(choice: Choice, objected: Collection[str], notice: Notice, *, now: int) -> Choice:
    """Return a choice without what the browser's opt-out preference signal turns off."""
    if not objected or not choice.grants:
        return choice
    purposes = {
        key: yes and not (notice.of(key) and all(service in objected for service in notice.of(key)))
        for key, yes in choice.purposes.items()
    }
    services = dict(choice.services)
    for key in notice.services:
        if key in objected and choice.says(key, purpose=notice.purpose_of(key)):
            services[key] = False
    services = {key: yes for key, yes in services.items() if yes or purposes.get(notice.purpose_of(key) or "")}
    stripped = replace(choice, purposes=purposes, services=services)
    return stripped if stripped.grants else refusal(notice, now=now)


def record_of(
    decision: Decision, *, submission: Submission, rendering: str | None, country: str | None, now: int
) -> Draft:
    """Return the consent record of a decision, with nothing in it that says who the visitor is."""
    choice, notice = decision.choice, decision.shown
    answered = {key: choice.says(key, purpose=notice.purpose_of(key)) for key in notice.services}
    identifiable = decision.subject is not None
    return Draft(
        kind="consent",
        content=content_of(
            submission,
            status=decision.status,
            scope="site",
            purposes=choice.purposes,
            services={key: answer for key, answer in answered.items() if answer is not None},
            notice=notice,
            rendering=rendering,
            consent=decision.before,
            country=country,
        ),
        decided_at=_after(decision.before, decision.prior_id, now=now) if identifiable else choice.decided_at,
        subject=decision.subject,
        revokes=decision.prior_id is not None and bool(decision.withdrawn),
        ends=decision.status is Status.WITHDRAWN,
    )


def content_of(
    submission: Submission,
    *,
    status: Status,
    scope: str,
    purposes: Mapping[str, bool],
    services: Mapping[str, bool],
    notice: Notice,
    rendering: str | None,
    consent: Consent,
    country: str | None,
) -> dict[str, Any]:
    """Return what a consent record says beside its header."""
    return {
        "status": str(status),
        "method": submission.method,
        "scope": scope,
        "purposes": dict(purposes),
        "services": dict(services),
        "notice": notice.digest if submission.shown is not None else None,
        "rendering": rendering if submission.shown is not None else None,
        "policies": [
            {name: policy[name] for name in ("slug", "version", "language", "sha256")}
            for policy in notice.content["policies"]
        ],
        "language": notice.language,
        "regime": str(consent.regime),
        "country": country,
        "signals": {"gpc": consent.gpc},
    }


def titles(notice: Notice, keys: Collection[str]) -> list[str]:
    """Return the titles of some purposes and services, as the notice words them."""
    return [
        entry["title"] for name in ("purposes", "services") for entry in notice.content[name] if entry["key"] in keys
    ]
