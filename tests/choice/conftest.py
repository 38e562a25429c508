"""Build catalogues, notices and visitors' consents for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from consent.choice.catalogue import STANDARD_PURPOSES, Catalogue, Purpose, service_from_table
from consent.choice.notice import Notice, PolicyReference, build

MakeCatalogue = Callable[..., Catalogue]
MakeNotice = Callable[..., Notice]

SERVICES: dict[str, dict[str, Any]] = {
    "harbour-maps": {"purpose": "media", "hosts": ["maps.harbour.example"], "provider": "Harbour Maps"},
    "lantern-video": {"purpose": "media", "hosts": ["player.lantern.example"], "title": "Lantern"},
    "lantern-ads": {"purpose": "marketing", "hosts": ["ads.lantern.example"], "sells_or_shares": True},
    "reader-stats": {
        "title": {"en": "Reader statistics", "uk": "Статистика"},
        "purpose": "analytics",
        "hosts": ["b.example", "a.example"],
        "cookies": [{"name": "_rs", "lifetime": "P30D"}],
        "data": ["pages read"],
    },
    "session": {"purpose": "necessary", "cookies": [{"name": "sid"}]},
}


def catalogue_of(services: Mapping[str, Mapping[str, Any]] = SERVICES, **purposes: str) -> Catalogue:
    """Return a catalogue of these services, and of purposes with titles of their own where given."""
    keys = dict.fromkeys((*STANDARD_PURPOSES, *purposes))
    return Catalogue(
        purposes=tuple(Purpose(key=key, title=purposes.get(key, "")) for key in keys),
        services=tuple(service_from_table(key, table) for key, table in services.items()),
    )


def notice_of(
    services: Mapping[str, Mapping[str, Any]] = SERVICES,
    *,
    language: str = "en",
    revision: int = 1,
    policies: tuple[tuple[str, str, str], ...] = (("privacy", "1", "1"),),
    wording: Mapping[str, str] | None = None,
    validity: str = "P6M",
) -> Notice:
    """Return a notice; `policies` are slug, version and material version."""
    return build(
        catalogue_of(services),
        language=language,
        default_language="en",
        site="The Meridian",
        controller={"name": "Meridian Media Ltd"},
        policies=[
            PolicyReference(
                slug=slug, title=slug, version=version, language=language, sha256="0" * 64, material_version=material
            )
            for slug, version, material in policies
        ],
        wording={"banner.ask": "We ask.", "purpose.analytics.title": "Statistics"} | dict(wording or {}),
        validity=validity,
        revision=revision,
    )


@pytest.fixture
def make_catalogue() -> MakeCatalogue:
    """Return a function that builds catalogues."""
    return catalogue_of


@pytest.fixture
def make_notice() -> MakeNotice:
    """Return a function that builds notices."""
    return notice_of
