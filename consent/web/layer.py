"""Lay out what the second layer shows: purposes with their services, and what a withdrawal cannot delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from consent.choice.consent import Consent
from consent.choice.notice import Notice
from consent.choice.status import Status
from consent.fragments import in_use

SAYS_MORE = frozenset({Status.GIVEN, Status.RENEWED, Status.EXPIRED, Status.INVALIDATED})
"""What can be said of a choice while services run without an answer; of the rest, only that there is none."""


def standing(consent: Consent) -> dict[str, Any]:
    """Return how a visitor stands: the status to name, what was agreed to, and what runs without an answer."""
    running = in_use(consent)
    return {
        "stated": consent.status if not running or consent.status in SAYS_MORE else Status.REQUESTED,
        "agreed": _purposes(consent.notice, consent.granted),
        "in_use": _purposes(consent.notice, running),
    }


def purposes_shown(consent: Consent, *, changed: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return every purpose of today's notice with its services, and where the visitor stands with each."""
    content = consent.notice.content
    granted, asking = consent.granted - consent.objected, consent.asking
    on = granted | in_use(consent)
    return [
        {
            **purpose,
            "granted": purpose["key"] in granted,
            "on": purpose["key"] in on,
            "answered": purpose["key"] not in asking,
            "services": [
                {
                    **service,
                    **service["terms"],
                    "cookies": [{"name": name, "lifetime": life} for name, life, _, _ in service["terms"]["cookies"]],
                    "granted": service["key"] in granted,
                    "on": service["key"] in on,
                    "answered": service["key"] not in asking,
                    "changed": service["key"] in changed,
                }
                for service in content["services"]
                if service["terms"]["purpose"] == purpose["key"]
            ],
        }
        for purpose in content["purposes"]
    ]


def undeletable(consent: Consent, withdrawn: Iterable[str], site_hosts: Collection[str]) -> list[dict[str, str]]:
    """Return the withdrawn services that may keep cookies under hosts of their own, which this site cannot delete."""

    def is_own(host: str) -> bool:
        bare = host.partition("/")[0].partition(":")[0]
        return bare in site_hosts

    taken_back = set(withdrawn)
    titles = {service["key"]: service["title"] for service in consent.notice.content["services"]}
    return [
        {"title": titles.get(service.key, service.key), "provider": service.provider, "policy_url": service.policy_url}
        for service in consent.catalogue.optional
        if service.key in taken_back and any(not is_own(host) for host in service.hosts)
    ]


def _purposes(notice: Notice, keys: Collection[str]) -> list[str]:
    """Return the titles of the purposes that have a service among `keys`."""
    concerned = {notice.purpose_of(key) for key in keys}
    return [purpose["title"] for purpose in notice.content["purposes"] if purpose["key"] in concerned]
