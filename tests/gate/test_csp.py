"""Narrow a Content-Security-Policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.csp import narrow


@pytest.mark.parametrize(
    ("policy", "narrowed"),
    [
        ("script-src 'self' tracker.test", "script-src 'self'"),
        (
            "script-src  https://a.tracker.test:443/x  'self'; img-src *.own.test",
            "script-src 'self'; img-src *.own.test",
        ),
        ("frame-src tracker.test *.tracker.test", "frame-src 'none'"),
        ("script-src TRACKER.test. x.test", "script-src x.test"),
        ("default-src 'none'; report-uri https://tracker.test/r /own", "default-src 'none'; report-uri /own"),
        ("img-src a.test; img-src tracker.test", "img-src a.test; img-src tracker.test"),
        ("script-src 'self', script-src tracker.test", "script-src 'self', script-src 'none'"),
        ("sandbox tracker.test; form-action tracker.test", "sandbox tracker.test; form-action tracker.test"),
        ("script-src tracker.test.evil nottracker.test", "script-src tracker.test.evil nottracker.test"),
        ("script-src 'sha256-tracker.test='", "script-src 'sha256-tracker.test='"),
        ("", ""),
    ],
)
def test_exact_sources_of_held_hosts_go(policy: str, narrowed: str) -> None:
    """What names a held host goes, an emptied list denies, and the rest keeps place and spelling."""
    assert narrow(policy, held_hosts=["tracker.test"]) == (narrowed, [])


@pytest.mark.parametrize(
    ("policy", "source"),
    [
        ("script-src *", "*"),
        ("img-src https:", "https:"),
        ("img-src *.test", "*.test"),
        ("script-src 'nonce-x' 'strict-dynamic'", "'strict-dynamic'"),
        ("img-src https://*", "https://*"),
    ],
)
def test_what_a_policy_cannot_deny_is_a_finding(policy: str, source: str) -> None:
    """An open source stays, and is named."""
    narrowed, findings = narrow(policy, held_hosts=["tracker.test"])
    assert narrowed == policy
    assert findings == [f"{policy.split()[0]} allows {source}, so the policy cannot deny tracker.test"]


def test_enforcing_spells_out_what_is_allowed() -> None:
    """Open sources give way to the list, where the first of them stood."""
    policy = "script-src 'nonce-x' https: 'strict-dynamic' tracker.test; img-src data: *"
    narrowed, findings = narrow(policy, held_hosts=["tracker.test"], enforce=["https://player.test"])
    assert narrowed == "script-src 'nonce-x' 'self' https://player.test; img-src data: 'self' https://player.test"
    assert findings == []


@pytest.mark.parametrize(
    ("held", "policy", "narrowed", "findings"),
    [
        ("maps.test/embed", "frame-src maps.test/embed/x", "frame-src 'none'", 0),
        ("maps.test/embed", "frame-src maps.test", "frame-src maps.test", 1),
        ("localhost:8001", "img-src localhost:8001 localhost:9000", "img-src localhost:9000", 0),
        ("localhost:8001", "img-src localhost:*", "img-src localhost:*", 1),
    ],
)
def test_paths_and_ports_are_kept_apart(held: str, policy: str, narrowed: str, findings: int) -> None:
    """A source that allows more than the held part of a host stays, and is named."""
    result, found = narrow(policy, held_hosts=[held])
    assert (result, len(found)) == (narrowed, findings)


@given(st.text(alphabet=st.sampled_from("abc*:/.;, '\"-\t1"), max_size=60))
def test_nothing_raises_and_nothing_is_added(policy: str) -> None:
    """Without held hosts a policy is as it was; narrowing twice changes nothing more."""
    assert narrow(policy, held_hosts=[]) == (policy, [])
    once, _ = narrow(policy, held_hosts=["a.b"])
    assert narrow(once, held_hosts=["a.b"])[0] == once


def test_the_order_of_held_hosts_does_not_matter() -> None:
    """The header is the same in every process."""
    policy = "script-src b.test a.test https:; img-src *.test"
    assert narrow(policy, held_hosts={"a.test", "b.test"}) == narrow(policy, held_hosts=["b.test", "a.test"])
