"""Write notices down, and compare them: one byte form, and a question only for what has changed (decisions 10, 11)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.canonical import canonical
from consent.choice.choice import acceptance, refusal
from consent.choice.consent import Consent
from consent.choice.notice import Notice, changed_terms
from tests.choice.conftest import SERVICES, MakeCatalogue, MakeNotice, catalogue_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


# -- decision 10


@given(VALUES)
def test_canonical_bytes_read_back(value: Any) -> None:
    """Canonical bytes are JSON that says the value again, and the same bytes come from what is read back."""
    try:
        data = canonical(value)
    except ValueError:
        assert "\\ud" in json.dumps(value)
        return
    assert json.loads(data) == value
    assert canonical(json.loads(data)) == data


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """Two maps of the same content have the same bytes, in whatever order they were made."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [1.0, [0.5], {"a": {"b": [float("nan")]}}, {"a": float("inf")}, b"bytes", object()])
def test_what_has_no_canonical_form(value: Any) -> None:
    """Floats, and what JSON cannot say, are refused."""
    with pytest.raises((TypeError, ValueError)):
        canonical(value)


def test_what_a_notice_holds(make_notice: MakeNotice) -> None:
    """Decision 10: exactly these parts, and the digest of the bytes as a name."""
    notice = make_notice()
    assert set(notice.content) == {
        *("schema", "language", "site", "controller", "revision", "validity"),
        *("purposes", "services", "policies", "wording"),
    }
    assert notice.digest == hashlib.sha256(notice.data).hexdigest()
    assert notice.short.hex() == notice.digest[:16]
    assert Notice(notice.data).digest == notice.digest
    assert b" " not in notice.data.replace(b"We ask.", b"").replace(b"Meridian Media Ltd", b"").replace(
        b"The Meridian", b""
    ).replace(b"Reader statistics", b"").replace(b"Harbour Maps", b"").replace(b"pages read", b"")


def test_only_what_is_used_is_asked(make_notice: MakeNotice) -> None:
    """Purposes without a service are not asked for; what is strictly necessary is told and not asked."""
    notice = make_notice()
    assert notice.purposes == ("analytics", "marketing", "media")
    assert list(notice.services) == ["harbour-maps", "lantern-ads", "lantern-video", "reader-stats"]
    assert [service["key"] for service in notice.content["services"]] == sorted(SERVICES)
    assert notice.of("media") == ("harbour-maps", "lantern-video")
    assert notice.purpose_of("session") is None


def test_a_notice_is_the_same_in_every_process(make_notice: MakeNotice) -> None:
    """Decision 10: another process, with another seed for its hashes, writes the same bytes."""
    script = "from tests.choice.conftest import notice_of; print(notice_of().digest)"
    for seed in ("0", "1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert run.stdout.strip() == make_notice().digest


def test_order_in_the_configuration_does_not_matter(make_notice: MakeNotice) -> None:
    """Decision 10: services and hosts in another order are the same notice."""
    turned = dict(reversed(list(SERVICES.items())))
    turned["reader-stats"] = turned["reader-stats"] | {"hosts": ["a.example", "b.example"]}
    assert make_notice(turned).data == make_notice().data


# -- decision 11


def changed(key: str, **fields: Any) -> dict[str, dict[str, Any]]:
    """Return the services with some fields of one changed, or a new one."""
    return SERVICES | {key: SERVICES.get(key, {}) | fields}


WITHOUT_VIDEO = {key: value for key, value in SERVICES.items() if key != "lantern-video"}
EVERYTHING = {"analytics", "marketing", "media", "harbour-maps", "lantern-video", "lantern-ads", "reader-stats"}
ASKED_AGAIN: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    # what today's notice is built with; who is asked what: whoever granted everything, and whoever refused everything
    "nothing": ({}, set(), set()),
    "another language": ({"language": "uk"}, set(), set()),
    "a typo in the wording": ({"wording": {"banner.ask": "We asked."}}, set(), set()),
    "a typo in a description": ({"services": changed("reader-stats", description="Counts readers.")}, set(), set()),
    "another title": ({"services": changed("reader-stats", title="Numbers")}, set(), set()),
    "another policy address": ({"services": changed("reader-stats", policy_url="https://x.example")}, set(), set()),
    "another validity": ({"validity": "P3M"}, set(), set()),
    "a pattern": ({"services": changed("reader-stats", patterns=["x("])}, set(), set()),
    "a removed service": ({"services": WITHOUT_VIDEO}, set(), set()),
    "another country": ({"services": changed("reader-stats", country="US")}, {"reader-stats"}, set()),
    "another host": ({"services": changed("reader-stats", hosts=["c.example"])}, {"reader-stats"}, set()),
    "another provider": ({"services": changed("reader-stats", provider="X")}, {"reader-stats"}, set()),
    "more data": ({"services": changed("reader-stats", data=["pages read", "location"])}, {"reader-stats"}, set()),
    "a longer life": (
        {"services": changed("reader-stats", cookies=[{"name": "_rs", "lifetime": "P2Y"}])},
        {"reader-stats"},
        set(),
    ),
    "a transfer": ({"services": changed("reader-stats", transfer="SCC")}, {"reader-stats"}, set()),
    "another purpose": ({"services": changed("reader-stats", purpose="marketing")}, {"reader-stats"}, set()),
    "selling": ({"services": changed("reader-stats", sells_or_shares=True)}, {"reader-stats"}, set()),
    "a new service": (
        {"services": changed("lantern-radio", purpose="media", hosts=["radio.lantern.example"])},
        {"lantern-radio"},
        set(),
    ),
    "a new purpose": (
        {"services": changed("chat", purpose="functional", hosts=["chat.example"])},
        {"functional", "chat"},
        {"functional", "chat"},
    ),
    "an editorial policy": ({"policies": (("privacy", "2", "1"),)}, set(), set()),
    "a material policy": ({"policies": (("privacy", "2", "2"),)}, EVERYTHING, set()),
    "a new policy": ({"policies": (("privacy", "1", "1"), ("cookies", "1", "1"))}, EVERYTHING, set()),
    "a revision": ({"revision": 2}, EVERYTHING, set()),
}


def asking(before: Notice, now: Notice, *, granted: bool, services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return what a visitor is asked today who granted or refused everything before."""
    choice = acceptance(before, now=0) if granted else refusal(before, now=0)
    return set(Consent(catalogue_of(services), now, choice=choice, asked_under=before).asking)


@pytest.mark.parametrize(("today", "granter", "refuser"), ASKED_AGAIN.values(), ids=ASKED_AGAIN)
def test_who_is_asked_again(
    make_notice: MakeNotice, today: dict[str, Any], granter: set[str], refuser: set[str]
) -> None:
    """Decision 11: only what changed is asked, only of those who granted it; a refusal stays a refusal."""
    before, now = make_notice(), make_notice(**today)
    services = today.get("services", SERVICES)
    assert asking(before, now, granted=True, services=services) == granter
    assert asking(before, now, granted=False, services=services) == refuser


@pytest.mark.parametrize(("today", "granter", "refuser"), ASKED_AGAIN.values(), ids=ASKED_AGAIN)
def test_what_is_asked_again_does_not_load(
    make_notice: MakeNotice, today: dict[str, Any], granter: set[str], refuser: set[str]
) -> None:
    """Decision 11: what has to be asked again is not allowed meanwhile, and everything else is."""
    before, now = make_notice(), make_notice(**today)
    catalogue = catalogue_of(today.get("services", SERVICES))
    consent = Consent(catalogue, now, choice=acceptance(before, now=0), asked_under=before)
    optional = {*now.purposes, *now.services}
    assert consent.allowed & optional == optional - granter
    assert changed_terms(before, now) <= granter


def test_our_own_version_is_nowhere_in_it(make_notice: MakeNotice) -> None:
    """Decision 11: an upgrade of this package asks nobody, for its version is in no notice."""
    from consent.version import __version__

    assert __version__ not in {str(value) for value in make_notice().content.values()}


def test_the_catalogue_keeps_its_promise(make_catalogue: MakeCatalogue) -> None:
    """Purposes are asked in the order of the catalogue, and services come sorted."""
    catalogue = make_catalogue()
    assert [purpose.key for purpose in catalogue.asked] == ["analytics", "marketing", "media"]
    assert [service.key for service in catalogue.services] == sorted(SERVICES)
