"""Seal choices into cookies and read them back: small, signed, and never an exception (decisions 13 and 14)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_decode, base64_encode

from consent.choice import cookie
from consent.choice.choice import DAY, Choice, Method, acceptance, identified, refusal, selection
from consent.choice.notice import Notice
from consent.errors import ConfigurationError
from tests.choice.conftest import SERVICES, MakeNotice, notice_of

NOTICE = notice_of()
SIGNER = cookie.signer(["for tests only"], purpose="choice")
ID = bytes(range(16))
KEYS = st.sets(st.sampled_from([*NOTICE.purposes, *NOTICE.services]))
TIMES = st.integers(0, 2**32 - 1)


def unsealed(value: str, notice: Notice = NOTICE) -> Choice | None:
    """Return the choice that a cookie value holds."""
    sealed = cookie.unseal(value.encode(), by=SIGNER)
    return None if sealed is None else cookie.read(sealed, notice=notice)


@given(
    keys=KEYS,
    without=st.sets(st.sampled_from(list(NOTICE.services))),
    now=TIMES,
    consent_id=st.binary(min_size=16, max_size=16),
)
def test_what_is_sealed_is_read(keys: set[str], without: set[str], now: int, consent_id: bytes) -> None:
    """Any choice comes back from its cookie as it went in."""
    chosen = selection(
        NOTICE,
        now=now,
        purposes=keys & set(NOTICE.purposes),
        services=keys & set(NOTICE.services),
        without=without,
    )
    choice = identified(chosen, consent_id=consent_id)
    assert unsealed(cookie.seal(choice, notice=NOTICE, by=SIGNER)) == choice


@given(st.binary(max_size=600))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    """Whatever a cookie holds, it is a choice or none."""
    assert cookie.unseal(value, by=SIGNER) is None
    assert cookie.unseal_once(value, path="/", now=0, by=SIGNER) is None


@given(st.binary(max_size=60))
def test_no_signed_bytes_make_it_raise(payload: bytes) -> None:
    """Even bytes that we signed, for another format or by mistake, are a choice or none."""
    value = SIGNER.sign(base64_encode(payload))
    sealed = cookie.unseal(value, by=SIGNER)
    choice = None if sealed is None else cookie.read(sealed, notice=NOTICE)
    assert choice is None or choice.grants == (choice.consent_id is not None)
    assert cookie.unseal_once(SIGNER.sign(payload), path="/", now=0, by=SIGNER) is None


@given(st.data())
def test_no_altered_cookie_is_read(data: st.DataObject) -> None:
    """A cookie with one byte changed is none of ours."""
    value = cookie.seal(identified(acceptance(NOTICE, now=5), consent_id=ID), notice=NOTICE, by=SIGNER).encode()
    at = data.draw(st.integers(0, len(value) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != value[at]))
    altered = value[:at] + bytes([byte]) + value[at + 1 :]
    sealed = cookie.unseal(altered, by=SIGNER)
    # The last digit of base64 has bits that mean nothing: such a signature is the same signature.
    assert sealed is None or at == len(value) - 1


def test_119_bytes_at_sixty_services() -> None:
    """Decision 13: with its name, the cookie has 119 bytes at four purposes and sixty services."""
    purposes = ("functional", "analytics", "marketing", "media")
    services = {f"service-{n:02}": {"purpose": purposes[n % 4], "hosts": [f"h{n}.example"]} for n in range(60)}
    notice = notice_of(services)
    assert (len(notice.purposes), len(notice.services)) == (4, 60)
    for choice in (
        acceptance(notice, now=1_800_000_000),
        selection(notice, now=2**32 - 1, purposes=purposes, without=list(services)[::2]),
    ):
        value = cookie.seal(identified(choice, consent_id=ID), notice=notice, by=SIGNER)
        assert len(f"__Host-{cookie.NAME}={value}") == 119
        assert value.isascii()
        assert not set(value) & set(' ",;\\')


def test_the_cap_of_512_bytes() -> None:
    """Decision 13: what is longer than 512 bytes is not even looked at."""
    services = {f"s{n}": {"purpose": "media", "hosts": [f"h{n}.example"]} for n in range(2000)}
    notice = notice_of(services)
    value = cookie.seal(identified(acceptance(notice, now=0), consent_id=ID), notice=notice, by=SIGNER)
    assert len(value) > cookie.MAX_BYTES
    assert cookie.unseal(value.encode(), by=SIGNER) is None


def test_a_cookie_of_another_notice(make_notice: MakeNotice) -> None:
    """Bits mean something only under the notice they were written for."""
    value = cookie.seal(identified(acceptance(NOTICE, now=0), consent_id=ID), notice=NOTICE, by=SIGNER)
    assert unsealed(value, make_notice(language="uk")) is None


@pytest.mark.parametrize("keys", [[], [""], ["good", ""]], ids=["none", "empty", "one empty"])
def test_nobody_signs_with_nothing(keys: list[str]) -> None:
    """Decision 13: an empty list of keys, or an empty key, is refused."""
    with pytest.raises(ConfigurationError):
        cookie.signer(keys, purpose="choice")


@pytest.mark.parametrize(
    ("signing", "verifying", "valid"),
    [
        (["a"], ["a"], True),
        (["a"], ["a", "b"], True),
        (["a"], ["b", "a"], True),
        (["a", "b"], ["b"], True),
        (["a", "b"], ["a"], False),
        (["a"], ["b"], False),
    ],
)
def test_keys_rotate(signing: list[str], verifying: list[str], valid: bool) -> None:
    """Decision 13: the last key signs, all of them verify."""
    value = cookie.seal(refusal(NOTICE, now=0), notice=NOTICE, by=cookie.signer(signing, purpose="choice"))
    assert (cookie.unseal(value.encode(), by=cookie.signer(verifying, purpose="choice")) is not None) is valid


def test_no_cookie_passes_for_another_kind() -> None:
    """A cookie of one kind is not valid as one of another, though the keys are the same."""
    once = cookie.signer(["for tests only"], purpose="once")
    value = cookie.seal(refusal(NOTICE, now=0), notice=NOTICE, by=SIGNER)
    assert cookie.unseal(value.encode(), by=once) is None
    assert cookie.unseal(cookie.seal_once("a", path="/", now=0, by=once).encode(), by=SIGNER) is None


@given(TIMES)
def test_refusers_are_alike(now: int) -> None:
    """Decision 14: whoever refuses on one day has the same bytes, without an id, however they refused."""
    day = now - now % DAY
    values = {
        cookie.seal(choice, notice=NOTICE, by=SIGNER)
        for choice in (
            refusal(NOTICE, now=now),
            refusal(NOTICE, now=day),
            selection(NOTICE, now=now, purposes=()),
            identified(refusal(NOTICE, now=now), consent_id=ID),
        )
    }
    assert len(values) == 1
    choice = unsealed(values.pop())
    assert choice is not None
    assert (choice.consent_id, choice.decided_at, choice.method) == (None, day, Method.REJECT_ALL)


@pytest.mark.parametrize("flags", range(256))
def test_flags(flags: int) -> None:
    """Of all first bytes only those of a known method are read, and only with an id where something is granted."""
    good = cookie.seal(identified(acceptance(NOTICE, now=0), consent_id=ID), notice=NOTICE, by=SIGNER)
    payload = base64_decode(SIGNER.unsign(good))
    value = SIGNER.sign(base64_encode(bytes([flags]) + payload[1:])).decode()
    assert (unsealed(value) is not None) is (flags in {0x80 | method for method in Method})


@pytest.mark.parametrize(
    ("path", "seconds", "opened"),
    [("/a", 0, True), ("/a", 60, True), ("/a", 61, False), ("/a", -1, False), ("/b", 0, False), ("/a/", 0, False)],
)
def test_loading_once(path: str, seconds: int, opened: bool) -> None:
    """Decision 17: for one service, at one path, for sixty seconds."""
    once = cookie.signer(["for tests only"], purpose="once")
    value = cookie.seal_once("lantern-video", path="/a", now=1000, by=once).encode()
    found = cookie.unseal_once(value, path=path, now=1000 + seconds, by=once)
    assert found == ("lantern-video" if opened else None)


def test_no_key_is_shown() -> None:
    """No `repr` of a choice or of what a cookie holds shows the consent id."""
    choice = identified(acceptance(NOTICE, now=0), consent_id=b"\xabMeridianSecret\xcd")
    sealed = cookie.unseal(cookie.seal(choice, notice=NOTICE, by=SIGNER).encode(), by=SIGNER)
    assert "MeridianSecret" not in repr(choice) + repr(sealed)


def test_services_are_there() -> None:
    """The services of these tests cover every purpose that is asked."""
    assert {SERVICES[key]["purpose"] for key in NOTICE.services} == set(NOTICE.purposes)
