"""Narrow a Content-Security-Policy, and find what it cannot deny."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.csp import Narrowing


def narrow(policy: str, *held: str) -> str:
    """Return a policy narrowed by these hosts."""
    return Narrowing(held or ("tracker.test",)).narrow(policy)


def undenied(*policies: str, held: str = "tracker.test") -> tuple[str, ...]:
    """Return why these policies cannot deny one host."""
    return Narrowing([held], declared=[held]).undenied(policies)


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
        ("default-src 'none'; report-uri //tracker.test/r", "default-src 'none'"),
        ("img-src a.test; img-src tracker.test", "img-src a.test; img-src tracker.test"),
        ("script-src 'self', script-src tracker.test", "script-src 'self', script-src 'none'"),
        ("sandbox tracker.test; form-action tracker.test", "sandbox tracker.test; form-action tracker.test"),
        ("script-src tracker.test.evil nottracker.test", "script-src tracker.test.evil nottracker.test"),
        ("script-src 'sha256-tracker.test='", "script-src 'sha256-tracker.test='"),
        ("script-src * https: *.test 'strict-dynamic'", "script-src * https: *.test 'strict-dynamic'"),
        ("", ""),
    ],
)
def test_exact_sources_of_held_hosts_go(policy: str, narrowed: str) -> None:
    """What names a held host goes, an emptied list denies, and the rest keeps place and spelling."""
    assert narrow(policy) == narrowed


def test_each_response_keeps_its_own_nonces() -> None:
    """What is remembered for a policy serves all its nonces, in their order."""
    narrowing = Narrowing(["tracker.test"])
    for number in range(3):
        policy = f"script-src 'nonce-a{number}' tracker.test; style-src 'nonce-b{number}'"
        assert narrowing.narrow(policy) == f"script-src 'nonce-a{number}'; style-src 'nonce-b{number}'"
    assert narrowing.narrow("script-src '\0' 'nonce-a' tracker.test") == "script-src 'nonce-a' '\0'"


@pytest.mark.parametrize(
    ("policies", "reasons"),
    [
        (["default-src *"], ["has default-src with *, and cannot deny tracker.test"]),
        (["default-src 'none'; img-src https:"], ["has img-src with https:, and cannot deny tracker.test"]),
        (["default-src 'self'; img-src *.test"], ["has img-src with *.test, and cannot deny tracker.test"]),
        (["default-src 'self'; img-src https://*"], ["has img-src with https://*, and cannot deny tracker.test"]),
        (
            ["default-src 'none'; script-src 'nonce-x' 'strict-dynamic'"],
            ["has script-src with 'strict-dynamic', and cannot deny tracker.test"],
        ),
        (["default-src 'self' 'unsafe-inline' 'unsafe-eval' data: *.other.test"], []),
        (["default-src 'self'; script-src-elem https:; script-src 'self'"], ["has script-src-elem with https:"]),
        (["default-src 'self'; frame-src https:", "child-src 'none'"], []),
        (["default-src https:", "default-src *, default-src 'self'"], []),
        (["default-src https:", "img-src 'self'"], ["has default-src with https:"]),
        (["script-src 'self'"], ["says nothing of style-src, img-src, font-src, connect-src, media-src, object-src"]),
        (["frame-ancestors 'self'; upgrade-insecure-requests"], []),
        ([""], []),
        ([], []),
    ],
)
def test_what_policies_together_cannot_deny(policies: list[str], reasons: list[str]) -> None:
    """A load is denied where one policy denies it; what is open in all is told with the source that opens it."""
    found = undenied(*policies)
    assert len(found) == len(reasons)
    assert all(told.startswith(reason) for told, reason in zip(found, reasons, strict=True))


@pytest.mark.parametrize(
    ("held", "policy", "narrowed", "findings"),
    [
        ("maps.test/embed", "default-src maps.test/embed/x", "default-src 'none'", 0),
        ("maps.test/embed", "default-src maps.test", "default-src maps.test", 1),
        ("localhost:8001", "default-src localhost:8001 localhost:9000", "default-src localhost:9000", 0),
        ("localhost:8001", "default-src localhost:*", "default-src localhost:*", 1),
    ],
)
def test_paths_and_ports_are_kept_apart(held: str, policy: str, narrowed: str, findings: int) -> None:
    """A source that allows more than the held part of a host stays, and is named."""
    assert narrow(policy, held) == narrowed
    assert len(undenied(narrowed, held=held)) == findings


@given(st.text(alphabet=st.sampled_from("abc*:/.;, '\"-\t1"), max_size=60))
def test_nothing_raises_and_nothing_is_added(policy: str) -> None:
    """Without held hosts a policy is as it was; narrowing twice changes nothing more."""
    assert Narrowing([]).narrow(policy) == policy
    once = narrow(policy, "a.b")
    assert narrow(once, "a.b") == once
    undenied(policy, held="a.b")


def test_the_order_of_held_hosts_does_not_matter() -> None:
    """The header is the same in every process."""
    policy = "script-src b.test a.test https:; img-src *.test"
    one, other = ({"a.test", "b.test"}, ["b.test", "a.test"])
    assert Narrowing(one).narrow(policy) == Narrowing(other).narrow(policy) == "script-src https:; img-src *.test"
    assert Narrowing(one, declared=one).undenied([policy]) == Narrowing(other, declared=other).undenied([policy])
