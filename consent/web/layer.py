"""Lay out what the second layer shows: purposes with their services, and what a withdrawal cannot delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from consent.choice.consent import Consent


def purposes_shown(consent: Consent, *, changed: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return every purpose of today's notice with its services, and where the visitor stands with each."""
    content = consent.notice.content
    granted, asking = consent.granted - consent.objected, consent.asking
    return [
        {
            **purpose,
            "granted": purpose["key"] in granted,
            "answered": purpose["key"] not in asking,
            "services": [
                {
                    **service,
                    **service["terms"],
                    "cookies": [{"name": name, "lifetime": life} for name, life, _, _ in service["terms"]["cookies"]],
                    "granted": service["key"] in granted,
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
