"""Build policies and facts for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from consent.choice.catalogue import STANDARD_PURPOSES, Catalogue, Purpose, service_from_table
from consent.policies.document import PolicyVersion, parse
from consent.policies.facts import Facts

MakePolicy = Callable[..., PolicyVersion]
MakeFacts = Callable[..., Facts]

CONTROLLER = {
    "name": "Meridian Media Ltd",
    "address": "1 Quay Street, Dublin",
    "contact": "privacy@meridian.example",
    "dpo": "",
    "authority": "Data Protection Commission",
}
SERVICES: Mapping[str, Mapping[str, Any]] = {
    "reader-stats": {
        "title": {"en": "Reader statistics", "uk": "Статистика читачів"},
        "provider": "Meridian Media Ltd",
        "country": "IE",
        "purpose": "analytics",
        "hosts": ["stats.meridian.example"],
        "cookies": [{"name": "_rs", "lifetime": "P13M"}, {"name": "_rs_*", "lifetime": "session"}],
        "storage": ["rs.queue"],
        "data": ["pages read", "coarse location"],
    },
    "lantern-video": {
        "title": "Lantern",
        "description": "Shows films <in> the page.",
        "provider": "Lantern & Sons",
        "country": "US",
        "purpose": "media",
        "hosts": ["player.lantern.example"],
        "role": "controller",
        "transfer": "EU-US Data Privacy Framework",
        "retention": "P2Y",
        "recipients": ["Lantern Ads"],
        "sells_or_shares": True,
        "policy_url": "https://lantern.example/privacy?a=1&b=2",
    },
}


@pytest.fixture
def make_policy() -> MakePolicy:
    """Return a function that parses a policy with this body and otherwise ordinary front matter."""

    def make(
        body: str = "Text.\n",
        *,
        slug: str = "privacy",
        version: str = "1",
        language: str = "en",
        title: str = "Privacy policy",
        effective: date = date(2026, 3, 1),
        material: bool = True,
        summary: str = "First.",
    ) -> PolicyVersion:
        data = (
            f'+++\ntitle = "{title}"\neffective = {effective}\nmaterial = {str(material).lower()}\n'
            f'summary = "{summary}"\n+++\n{body}'
        )
        place = f"{slug}/{version}.{language}.md"
        return parse(data.encode(), slug=slug, version=version, language=language, place=place)

    return make


@pytest.fixture
def make_facts() -> MakeFacts:
    """Return a function that builds facts, with other services or parts of the controller where asked."""

    def make(services: Mapping[str, Mapping[str, Any]] = SERVICES, **controller: str) -> Facts:
        catalogue = Catalogue(
            purposes=tuple(Purpose(key=key) for key in STANDARD_PURPOSES),
            services=tuple(service_from_table(key, table) for key, table in services.items()),
        )
        return Facts.of(
            catalogue,
            site_name="The Meridian",
            controller=CONTROLLER | controller,
            default_language="en",
            words={
                "en": {"purpose.analytics.title": "Measurement", "purpose.analytics.description": "Counting readers."},
                "uk": {"purpose.analytics.title": "Вимірювання"},
            },
        )

    return make


@pytest.fixture
def write_policy(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a policy file below the test's own folder of policies."""

    def write(place: str, body: str = "Text.\n", *, effective: str = "2026-03-01", material: str = "true") -> Path:
        path = tmp_path / "policies" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'+++\ntitle = "Title"\neffective = {effective}\nmaterial = {material}\nsummary = "S"\n+++\n{body}',
            encoding="utf-8",
        )
        return path

    return write
