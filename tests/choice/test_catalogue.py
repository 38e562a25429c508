"""Read services from tables, and refuse in one line, with place and remedy, what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from consent.choice.catalogue import Catalogue, Cookie, Purpose, Service, in_language, service_from_table
from consent.errors import CatalogueError

GOOD: dict[str, Any] = {"purpose": "media", "hosts": ["a.example"]}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "the key": ("My_Service", GOOD, "services.My_Service"),
    "an unknown field": ("x", GOOD | {"host": "a"}, "'host'"),
    "no purpose": ("x", {"hosts": ["a.example"]}, 'Add purpose = "analytics"'),
    "nothing to know it by": ("x", {"purpose": "media"}, "Name at least one"),
    "hosts that are a text": ("x", GOOD | {"hosts": "a.example"}, "services.x.hosts"),
    "a host that is none": ("x", GOOD | {"hosts": ["https://a.example"]}, "'https://a.example' is not a host"),
    "an empty host": ("x", GOOD | {"hosts": [""]}, "services.x.hosts"),
    "a host that is a number": ("x", GOOD | {"hosts": [5]}, "services.x.hosts"),
    "a host with a star": ("x", GOOD | {"hosts": ["*.a.example"]}, "without scheme"),
    "a title that is a number": ("x", GOOD | {"title": 5}, "services.x.title"),
    "a title of numbers": ("x", GOOD | {"title": {"en": 5}}, "services.x.title"),
    "a country that is a list": ("x", GOOD | {"country": ["IE"]}, "services.x.country"),
    "selling that is a text": ("x", GOOD | {"sells_or_shares": "yes"}, "Write true or false"),
    "an unknown way to revive": ("x", GOOD | {"revive": "later"}, "reload"),
    "an unknown role": ("x", GOOD | {"role": "boss"}, "processor"),
    "an unknown exemption": ("x", GOOD | {"exemption": "fun"}, "communication"),
    "a cookie that is a text": ("x", GOOD | {"cookies": ["_x"]}, "services.x.cookies[0]"),
    "a cookie without a name": ("x", GOOD | {"cookies": [{"lifetime": "P1D"}]}, "services.x.cookies[0]"),
    "a cookie for everything": ("x", GOOD | {"cookies": [{"name": "*"}]}, "would match too much"),
    "a star in the middle": ("x", GOOD | {"cookies": [{"name": "a*b"}]}, "only at the end"),
    "a cookie's lifetime": ("x", GOOD | {"cookies": [{"name": "a", "lifetime": "long"}]}, "is not a lifetime"),
    "a cookie's field": ("x", GOOD | {"cookies": [{"name": "a", "path": 1}]}, "services.x.cookies[0]"),
}


@pytest.mark.parametrize(("key", "table", "told"), REFUSED.values(), ids=REFUSED)
def test_tables_that_are_refused(key: str, table: dict[str, Any], told: str) -> None:
    """A table that cannot be meant is refused in one line."""
    with pytest.raises(CatalogueError) as refusal:
        service_from_table(key, table)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_table_over_a_built_in_service() -> None:
    """A site's table replaces the fields it names, and keeps the others."""
    base = service_from_table("x", GOOD | {"provider": "Lantern & Sons", "country": "US"})
    service = service_from_table("x", {"country": "IE", "title": {"en": "X", "uk": "Ікс"}}, base=base)
    assert (service.provider, service.country, service.hosts) == ("Lantern & Sons", "IE", ("a.example",))


def test_hosts_are_lower_case() -> None:
    """Hosts are compared in lower case."""
    assert service_from_table("x", GOOD | {"hosts": ["WWW.A.Example"]}).hosts == ("www.a.example",)


@pytest.mark.parametrize(
    ("services", "purposes", "told"),
    [
        ([Service(key="a", purpose="media")] * 2, ["media"], "twice"),
        ([], ["media", "media"], "twice"),
        ([Service(key="a", purpose="fun")], ["media"], "services.a"),
        ([Service(key="media", purpose="media")], ["media"], "Rename"),
        (
            [Service(key=key, purpose="media", hosts=("h.example/",)) for key in ("a", "b")],
            ["media"],
            "already claimed by 'a'",
        ),
    ],
    ids=["services", "purposes", "purpose", "key", "host"],
)
def test_catalogues_that_are_refused(services: list[Service], purposes: list[str], told: str) -> None:
    """A catalogue that contradicts itself is refused."""
    with pytest.raises(CatalogueError, match=told):
        Catalogue(purposes=tuple(Purpose(key=key) for key in purposes), services=tuple(services))


@pytest.mark.parametrize(
    ("cookie", "name", "matches"),
    [
        ("_x", "_x", True),
        ("_x", "_xy", False),
        ("_x*", "_x", True),
        ("_x*", "_xy", True),
        ("_x*", "x", False),
        ("_x", "_X", False),
    ],
)
def test_cookie_names(cookie: str, name: str, matches: bool) -> None:
    """A star at the end stands for any ending; case counts."""
    assert Cookie(name=cookie, lifetime="session").matches(name) is matches


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ("plain", "uk", "plain"),
        ({"en": "a", "uk": "b"}, "uk", "b"),
        ({"en": "a", "uk": "b"}, "fr", "a"),
        ({"uk": "b"}, "fr", "b"),
        ({"uk": ""}, "uk", ""),
        ({}, "en", ""),
    ],
)
def test_texts_in_languages(text: Any, language: str, shown: str) -> None:
    """A text comes in the language asked for, else in the default one, else in any."""
    assert in_language(text, language, "en") == shown
