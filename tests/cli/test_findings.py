"""Test what holds for any configuration that `consent check` looks at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.choice.catalogue import Service
from consent.choice.wording import ENGLISH
from consent.cli.findings import catalogue, texts
from consent.cli.findings.finding import Severity
from consent.cli.findings.site import is_local
from consent.declared import catalogue_of, known_services
from consent.errors import ConfigurationError
from consent.settings import ConsentSettings
from tests.cli.place import ORIGIN


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("a.example", "a.example", True),
        ("b.a.example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("ba.example", "a.example", False),
        ("a.example:8000", "a.example", True),
        ("a.example/maps", "a.example", True),
        ("a.example/maps", "a.example/maps/embed", True),
        ("a.example/maps", "a.example/mapsize", False),
        ("b.a.example/maps", "a.example/forms", False),
    ],
)
def test_which_hosts_meet(first: str, second: str, meet: bool) -> None:
    """A host stands for itself and its sub-domains, below its path where it has one."""
    assert catalogue._overlap(first, second) is meet
    assert catalogue._overlap(second, first) is meet


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_what_is_local(host: str, local: bool) -> None:
    """Loopback names and addresses are the machine itself; a private network is not."""
    assert is_local(host) is local


@pytest.mark.parametrize("key", known_services())
def test_a_built_in_service_needs_nothing_but_its_key(key: str) -> None:
    """Switching one on leaves at most what only the site can know: how long its provider keeps the data."""
    site = ConsentSettings(origins=(ORIGIN,), languages=("en", "uk"), services={key: {}})
    assert [(one.code, one.severity) for one in catalogue.find(site)] == [("C203", Severity.INFO)]


def test_everything_wrong_in_one_table_is_found() -> None:
    """One mistake in a service hides no other, and each is told once."""
    wrong = {
        "colour": "red",
        "shape": "round",
        "purpose": "fun",
        "hosts": ["https://a"],
        "role": "owner",
        "data": ["a"],
    }
    findings = list(catalogue.find(ConsentSettings(origins=(ORIGIN,), services={"mine": wrong})))
    told = [finding.what for finding in findings if finding.code == "C200"]
    assert sorted(told) == [
        "'https://a' is not a host",
        "'owner' is not allowed",
        "purpose 'fun' does not exist",
        "unknown field 'colour'",
        "unknown field 'shape'",
    ]


NAMES = st.sampled_from([*Service.__dataclass_fields__, "colour"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["necessary", "P1M", "_ga*", "a.b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "lifetime", "en", "uk", "title"]), inner, max_size=3)
    ),
    max_leaves=6,
)
TABLES = st.dictionaries(
    st.sampled_from(["youtube", "own", "consent", "Own", "analytics"]),
    st.dictionaries(NAMES, VALUES, max_size=5),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(services=TABLES, purposes=TABLES)
def test_no_catalogue_breaks_the_check(services: dict[str, Any], purposes: dict[str, Any]) -> None:
    """Whatever the tables hold, the check ends with findings; without errors, the catalogue can be built."""
    site = ConsentSettings(origins=(ORIGIN,), services=services, purposes=purposes)
    findings = list(catalogue.find(site))
    assert all("\n" not in str(finding) for finding in findings)
    refused = {"C200", "C201"} & {finding.code for finding in findings}
    try:
        catalogue_of(site, cookies=())
    except ConfigurationError:
        assert refused
    else:
        assert not refused


@settings(deadline=None)
@given(
    key=st.sampled_from([key for key, text in ENGLISH.items() if isinstance(text, str)]),
    text=st.text("{}!:.[]abn0 ") | st.text(),
)
def test_a_text_without_findings_can_be_shown(key: str, text: str) -> None:
    """A text of the site's own that the check does not refuse can be filled in with what its page gives."""
    english = ENGLISH[key]
    assert isinstance(english, str)
    refused = {finding.code for finding in texts._text("place", key, text)}
    if "C503" not in refused:
        fields = dict.fromkeys(texts._fields(english), "x")
        assert isinstance(text.format_map(fields), str)
