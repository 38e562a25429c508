"""Spell out a Content-Security-Policy of our own."""

from __future__ import annotations

import pytest

from consent.choice.catalogue import Catalogue, Purpose, Service
from consent.gate.sources import claims, policy, shared_hosts

NEEDS = "data: blob: 'unsafe-inline' 'unsafe-eval'"


def catalogue(*services: Service, known: tuple[Service, ...] = ()) -> Catalogue:
    """Return a catalogue of these services, for any purpose they name."""
    purposes = sorted({service.purpose for service in (*services, *known)})
    return Catalogue(purposes=tuple(Purpose(key=key) for key in purposes), services=services, known=known)


def service(key: str, *hosts: str, purpose: str = "media") -> Service:
    """Return a service at these hosts."""
    return Service(key=key, purpose=purpose, hosts=hosts)


def sources(text: str, name: str = "default-src") -> str:
    """Return the sources of one directive, without what every page may need."""
    found = next(part for part in text.split("; ") if part.startswith(f"{name} "))
    return found.removeprefix(f"{name} ").removeprefix(f"'self' {NEEDS}").strip()


def test_a_whole_policy() -> None:
    """The site's hosts and those of the services allowed stand in it, and where violations are reported to."""
    site = catalogue(
        service("film", "film.test"), service("ads", "ads.test"), service("cdn", "c.test", purpose="necessary")
    )
    text = policy(site, {"film"}, own_hosts=["own.test"], reports="/privacy/reports")
    hosts = "own.test:* *.own.test:* c.test:* *.c.test:* film.test:* *.film.test:*"
    sockets = " ".join(f"wss://{host}" for host in hosts.split())
    assert text == (
        f"default-src 'self' {NEEDS} {hosts}; connect-src 'self' data: blob: {hosts} {sockets}; "
        "report-uri /privacy/reports; report-to consent"
    )


def test_a_site_without_encryption() -> None:
    """Its sockets have none either, and no endpoint of the Reporting API can be named: those need HTTPS."""
    text = policy(catalogue(), (), own_hosts=["a.test"], secure=False, reports="/r")
    assert "ws://a.test:*" in text
    assert text.endswith("; report-uri /r")


@pytest.mark.parametrize(
    ("host", "spelled"),
    [
        ("x.test:8001", "x.test:8001 *.x.test:8001"),
        ("maps.test/Embed", "maps.test:*/Embed maps.test:*/Embed/ *.maps.test:*/Embed *.maps.test:*/Embed/"),
        ("maps.test/", "maps.test:* *.maps.test:*"),
        ("x.test/a;b,c%20d", "x.test:*/a%3Bb%2Cc%20d x.test:*/a%3Bb%2Cc%20d/"),
        ("127.0.0.1:80", "127.0.0.1:80"),
    ],
)
def test_ports_and_paths(host: str, spelled: str) -> None:
    """A host without a port stands for every port, a path for itself and all below; nothing ends a directive early."""
    text = policy(catalogue(service("x", host)), {"x"}, own_hosts=[])
    assert sources(text).startswith(spelled)


def test_a_service_below_the_site_or_another_service() -> None:
    """No wildcard opens what lies below it: then sub-domains count by name."""
    stats, cdn = service("stats", "stats.own.test"), service("cdn", "c.test", purpose="necessary")
    site = catalogue(stats, cdn, known=(service("known", "deep.c.test"),))
    assert shared_hosts(site, ["own.test", "other.test"]) == {"own.test": "stats"}
    own = ["own.test", "other.test"]
    assert sources(policy(site, (), own_hosts=own)) == "own.test:* other.test:* *.other.test:* c.test:*"
    granted = "own.test:* other.test:* *.other.test:* c.test:* stats.own.test:* *.stats.own.test:*"
    assert sources(policy(site, {"stats"}, own_hosts=own)) == granted


def test_the_policy_is_the_same_in_every_process() -> None:
    """Neither the order of services nor of what is allowed changes the header."""
    a, b = service("a", "a.test"), service("b", "b.test")
    first = policy(catalogue(a, b), frozenset({"a", "b"}), own_hosts=["o.test"])
    assert first == policy(catalogue(b, a), ["b", "a"], own_hosts=["o.test"])


def test_claims_for_the_watching_script() -> None:
    """The longer host and path come first, a declared service before the site; what is allowed has no key."""
    site = catalogue(
        service("maps", "www.g.test/Maps=a"),
        service("film", "film.test:8001", "g.test:443"),
        service("shop", "own.test/shop"),
        service("cdn", "c.test", purpose="necessary"),
    )
    assert claims(site, (), own_hosts=["own.test"]).split(" ") == [
        r"www\.g\.test(:\d+)?/maps%3Da=maps",
        r"film\.test:8001=film",
        r"own\.test(:\d+)?/shop=shop",
        r"own\.test(:\d+)?",
        r"c\.test(:\d+)?",
        r"g\.test(:\d+)?=film",
    ]
    assert "=" not in claims(site, {"maps", "film", "shop"}, own_hosts=["own.test"])
