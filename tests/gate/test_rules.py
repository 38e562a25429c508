"""Decide whose an address, a mark or a script is."""

from __future__ import annotations

import pytest

from consent.choice.catalogue import Catalogue, Purpose, Service
from consent.gate.address import read
from consent.gate.rules import Owner, Rules, Undeclared, Verdict
from tests.gate.example import catalogue, rules


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("https://tracker.test/x", "tracker"),
        ("https://a.b.tracker.test/x", "tracker"),
        ("https://maps.test/embed?q=1", "player"),
        ("https://maps.test/embed/deep", "player"),
        ("https://maps.test/x/..//%65mbed", "player"),
        ("https://maps.test/widget/1", "widget"),
        ("https://localhost:8001/", "player"),
        ("//stats.meridian.example/s.js", "own-stats"),
        ("https://meridian.example/beacon/1", "own-stats"),
        ("/beacon", "own-stats"),
        ("https://login.test/", "login"),
    ],
)
def test_an_address_belongs_to_the_service_that_claims_it(address: str, service: str) -> None:
    """The longest host and then the longest path decide."""
    owner = rules().owner(address)
    assert owner is not None
    assert owner.service == service


@pytest.mark.parametrize(
    "address",
    ["/news", "news", "https://meridian.example/", "https://img.meridian.example/x", "data:,", "/beacons", ""],
)
def test_the_sites_own_addresses_belong_to_nobody_else(address: str) -> None:
    """Relative addresses and the site's hosts pass, unless a declared service claims them."""
    assert rules().owner(address) is None


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://tracker.test.evil.example/", "tracker.test.evil.example"),
        ("https://maps.test/embedded", "maps.test"),
        ("https://localhost:9000/", "localhost"),
        ("https://nottracker.test/", "nottracker.test"),
    ],
)
def test_what_nobody_claims_is_undeclared(address: str, host: str) -> None:
    """A host that only looks like a claimed one belongs to no service."""
    assert rules().owner(address) == Owner(None, host)


def test_a_relative_address_follows_the_base() -> None:
    """A base on a claimed host makes relative addresses that service's."""
    assert rules().owner("x.js", base="https://tracker.test/") == Owner("tracker", "tracker.test")


def test_the_site_goes_before_a_known_service_but_not_before_a_declared_one() -> None:
    """A site that is itself a known service's host is not held; its declared statistics host is."""
    known = Service(key="video", purpose="media", hosts=("www.video.example",))
    stats = Service(key="stats", purpose="media", hosts=("stats.video.example",))
    site = Rules(
        Catalogue(purposes=(Purpose(key="media"),), services=(stats,), known=(known,)), site_hosts=("video.example",)
    )
    assert site.owner("https://www.video.example/") is None
    assert site.owner("https://stats.video.example/") == Owner("stats", "stats.video.example")


@pytest.mark.parametrize(
    ("undeclared", "verdict"),
    [(Undeclared.ALLOW, None), (Undeclared.REPORT, None), (Undeclared.HOLD, Verdict(None))],
)
def test_undeclared_hosts_follow_the_setting(undeclared: Undeclared, verdict: Verdict | None) -> None:
    """Only `hold` holds a host that nobody declared."""
    site = rules(undeclared)
    assert site.view(frozenset()).verdict(site.owner("https://x.example/")) == verdict


def test_known_services_are_held_whatever_is_allowed() -> None:
    """A known service that the site has not declared cannot be agreed to."""
    site = rules()
    view = site.view(frozenset(("widget", "tracker")))
    assert view.verdict(site.owner("https://widget.test/")) == Verdict("widget")
    assert view.verdict(site.owner("https://tracker.test/")) is None


@pytest.mark.parametrize(
    ("allowed", "mark", "verdict"),
    [
        ((), "tracker", Verdict("tracker")),
        (("tracker",), "tracker", None),
        (("tracker",), "analytics", Verdict("analytics")),
        (("tracker", "own-stats"), "analytics", Verdict("analytics")),
        (("analytics",), "analytics", None),
        ((), "functional", Verdict("functional")),
        (("functional",), "functional", None),
        ((), "necessary", None),
        (("widget", "bogus"), "bogus", Verdict("bogus")),
        (("widget",), "widget", Verdict("widget")),
    ],
)
def test_a_mark_names_a_service_or_a_purpose(allowed: tuple[str, ...], mark: str, verdict: Verdict | None) -> None:
    """A purpose passes when it was granted itself, whatever its services; an unknown key never does."""
    assert rules().view(frozenset(allowed)).marked(mark) == verdict


def test_inline_owners_are_found_by_their_patterns() -> None:
    """Plain substrings give an inline script away."""
    assert rules().inline_owners("x; trackerStats(1); widgetQueue.push()") == {"tracker", "widget"}
    assert rules().inline_owners("tracker") == frozenset()


def test_a_connection_concerns_everybody_on_the_host() -> None:
    """Connecting tells the host and no path: all who claim part of it are concerned."""
    assert {owner.service for owner in rules().claimants(read("https://maps.test"))} == {"player", "widget"}
    assert rules().claimants(read("https://meridian.example")) == (Owner("own-stats", "meridian.example"),)
    assert rules().claimants(read("https://img.meridian.example")) == (Owner("own-stats", "img.meridian.example"),)


def test_everything_is_open_only_where_nothing_could_be_held_or_found() -> None:
    """A page need not be looked at only without known services, undeclared hosts and held ones."""
    site = Catalogue(purposes=catalogue().purposes, services=catalogue().services)
    everybody = frozenset(service.key for service in site.services)
    assert Rules(site, site_hosts=(), undeclared=Undeclared.ALLOW).view(everybody).everything
    assert not Rules(site, site_hosts=(), undeclared=Undeclared.ALLOW).view(frozenset()).everything
    assert not Rules(site, site_hosts=(), undeclared=Undeclared.REPORT).view(everybody).everything
    assert not rules(Undeclared.ALLOW).view(everybody).everything


def test_views_are_kept_but_not_without_bound() -> None:
    """The same set gives the same view, and old views are let go."""
    site = rules()
    first = site.view(frozenset())
    assert site.view(frozenset()) is first
    for number in range(200):
        site.view(frozenset((f"s{number}",)))
    assert site.view(frozenset()) is not first
