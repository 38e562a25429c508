"""Say everything a visitor is told when asked, as canonical bytes that can be archived and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from consent.choice.canonical import canonical
from consent.choice.catalogue import Catalogue, in_language

SCHEMA = 1
SHORT_BYTES = 8
"""How much of a notice's digest a cookie carries: enough that no two notices of one site can be confused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReference:
    """Name the exact policy text a notice links to.

    `material_version` is the newest version up to this one that was marked material: two notices that share it need
    no new question about this policy.
    """

    slug: str
    title: str
    version: str
    language: str
    sha256: str
    material_version: str


@dataclass(frozen=True)
class Notice:
    """Hold one notice in one language; `data` are its canonical bytes, and all else is read from them."""

    data: bytes

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def short(self) -> bytes:
        """Return the first bytes of the digest, as a cookie carries them."""
        return bytes.fromhex(self.digest[: SHORT_BYTES * 2])

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """Return what the canonical bytes say."""
        content: Mapping[str, Any] = json.loads(self.data)
        return content

    @property
    def language(self) -> str:
        """Return the language tag the notice is written in."""
        return str(self.content["language"])

    @cached_property
    def purposes(self) -> tuple[str, ...]:
        """Return the keys of the purposes asked for, in the order shown."""
        return tuple(purpose["key"] for purpose in self.content["purposes"] if purpose["asked"])

    @cached_property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the terms of every service that needs a yes, by key, sorted."""
        asked = set(self.purposes)
        return {
            service["key"]: service["terms"]
            for service in self.content["services"]
            if service["terms"]["purpose"] in asked
        }

    def purpose_of(self, service: str) -> str | None:
        """Return the purpose a service has in this notice, None where the notice does not name it."""
        terms = self.services.get(service)
        return None if terms is None else str(terms["purpose"])

    def of(self, purpose: str) -> tuple[str, ...]:
        """Return the keys of the services of one purpose."""
        return tuple(key for key, terms in self.services.items() if terms["purpose"] == purpose)

    @cached_property
    def revision(self) -> tuple[Any, ...]:
        """Return what makes every grant under this notice stand or fall: its revision and its material policies."""
        policies = sorted((policy["slug"], policy["material_version"]) for policy in self.content["policies"])
        return (self.content["revision"], *policies)


def build(
    catalogue: Catalogue,
    *,
    language: str,
    default_language: str,
    site: str,
    controller: Mapping[str, str],
    policies: Sequence[PolicyReference],
    wording: Mapping[str, str],
    validity: str,
    revision: int,
) -> Notice:
    """Write down what a visitor is told, in one language.

    `wording` holds every text of the banner and the second layer by key; the texts of the purposes come from it too,
    under `purpose.<key>.title` and `.description`, where the catalogue gives none. `validity` is an ISO 8601 duration.
    """
    asked = {purpose.key for purpose in catalogue.asked}
    used = {service.purpose for service in catalogue.services}

    def text(given: Any, key: str) -> str:
        return in_language(given, language, default_language) or wording.get(key, "")

    content = {
        "schema": SCHEMA,
        "language": language,
        "site": site,
        "controller": dict(controller),
        "revision": revision,
        "validity": validity,
        "purposes": [
            {
                "key": purpose.key,
                "asked": purpose.key in asked,
                "title": text(purpose.title, f"purpose.{purpose.key}.title") or purpose.key,
                "description": text(purpose.description, f"purpose.{purpose.key}.description"),
            }
            for purpose in catalogue.purposes
            if purpose.key in used or purpose.required
        ],
        "services": [
            {
                "key": service.key,
                "title": text(service.title, f"service.{service.key}.title") or service.key,
                "description": text(service.description, f"service.{service.key}.description"),
                "policy_url": service.policy_url,
                "terms": service.terms(),
            }
            for service in catalogue.services
        ],
        "policies": [
            {
                "slug": policy.slug,
                "title": policy.title,
                "version": policy.version,
                "language": policy.language,
                "sha256": policy.sha256,
                "material_version": policy.material_version,
            }
            for policy in sorted(policies, key=lambda policy: policy.slug)
        ],
        "wording": {key: value for key, value in wording.items() if not key.startswith(("purpose.", "service."))},
    }
    return Notice(canonical(content))


def changed_terms(old: Notice, new: Notice) -> frozenset[str]:
    """Return the services of `new` for which a yes under `old` does not hold any more.

    Compared are the terms of each service, the material policy versions and the revision, never the digests: another
    language, a typo or an upgrade of this package asks nobody.
    """
    if old.revision != new.revision:
        return frozenset(new.services)
    return frozenset(key for key, terms in new.services.items() if old.services.get(key) != terms)
