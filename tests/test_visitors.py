"""Recognise visitors by their headers: once for the same bytes, and anew wherever time or a withdrawal counts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import testing
from consent.choice import cookie
from consent.choice.choice import acceptance, identified
from consent.choice.status import Status
from consent.ledger.entry import Draft
from consent.ledger.store import Document
from consent.site import Site
from consent.visitors import Visitor, Visitors, gathered
from tests.conftest import SERVICES, MakeSite

ID = bytes(range(16))


def seen(visitors: Visitors, *headers: tuple[str, str], path: str = "/") -> Visitor:
    """Return who sends these headers."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return asyncio.run(visitors.visitor(gathered(raw), path=path))


def accepted(site: Site, *, now: int | None = None) -> tuple[str, str]:
    """Return the `Cookie` header of somebody who accepted everything."""
    notice = site.edition(site.now()).notices["en"]
    choice = identified(acceptance(notice, now=int(site.now()) if now is None else now), consent_id=ID)
    return "cookie", f"{site.cookie_name}={cookie.seal(choice, notice=notice, by=site.choice_signer)}"


def test_who_sends_nothing(make_site: MakeSite) -> None:
    """A visitor without headers is asked in the default language, and has agreed to nothing."""
    visitor = seen(Visitors(make_site()))
    assert (visitor.consent.status, visitor.consent.language, visitor.consent_id) == (Status.UNKNOWN, "en", None)
    assert visitor.cookies == ()
    assert not visitor.once


def test_who_has_agreed(make_site: MakeSite) -> None:
    """A good cookie tells the choice; its id stays with us, out of the consent and out of every `repr`."""
    site = make_site()
    visitor = seen(Visitors(site), accepted(site))
    assert visitor.consent.status is Status.GIVEN
    assert set(SERVICES) <= visitor.consent.allowed
    assert visitor.consent_id == ID
    assert visitor.consent.choice is not None
    assert visitor.consent.choice.consent_id is None
    assert repr(ID)[2:-1] not in repr(visitor)


def test_the_same_bytes_are_read_once(make_site: MakeSite) -> None:
    """The same headers are recognised without being read again."""
    site = make_site()
    visitors, header = Visitors(site), accepted(site)
    assert seen(visitors, header) is seen(visitors, header)
    assert seen(visitors, header, ("sec-gpc", "1")) is not seen(visitors, header)


def test_memory_is_bounded(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Visitors who send ever new cookies do not fill the memory, and those who have agreed are still recognised."""
    monkeypatch.setattr("consent.visitors.CACHE_SIZE", 10)
    site = make_site()
    visitors, header = Visitors(site), accepted(site)
    for number in range(35):
        assert not seen(visitors, ("cookie", f"sid={number}")).consent.answered
        assert seen(visitors, header).consent_id == ID
        assert len(visitors._known) <= 10


def test_time_counts_on_every_use(make_site: MakeSite) -> None:
    """A choice ends at its second, though its bytes are known."""
    clock = testing.Clock()
    site = make_site(clock=clock)
    visitors, header = Visitors(site), accepted(site)
    end = seen(visitors, header).expires_at
    assert end is not None
    for moment, status in ((end - 1, Status.GIVEN), (end, Status.EXPIRED), (end - 1, Status.GIVEN)):
        clock.now = moment
        visitor = seen(visitors, header)
        assert visitor.consent.status is status
        assert (visitor.consent_id is None) is (status is Status.EXPIRED)


@pytest.mark.parametrize(("made_at", "status"), [(-1, "withdrawn"), (0, "withdrawn"), (1, "given")])
def test_withdrawals_count_on_every_use(make_site: MakeSite, made_at: int, status: str) -> None:
    """Decision 15: a cookie as old as its id's withdrawal is no choice, though its bytes are known; a newer one is."""
    site = make_site()
    now = int(site.now())
    visitors, header = Visitors(site), accepted(site, now=now + made_at)
    assert seen(visitors, header).consent.status is Status.GIVEN
    draft = Draft(kind="erased", content={"reason": "visitor"}, decided_at=now, subject=ID, revokes=True, ends=True)
    asyncio.run(site.ledger.honour(draft))
    visitor = seen(visitors, header)
    assert visitor.consent.status == status
    assert (visitor.consent_id == ID) is (status == "given")
    assert visitor.consent.answered is (status == "given")


def test_a_notice_of_another_worker(make_site: MakeSite) -> None:
    """Decision 26: a notice that this worker does not know yet is looked up in the archive, and not again at once."""
    clock = testing.Clock()
    theirs, ours = make_site(clock=clock, notice_revision=2), make_site(clock=clock)
    visitors, header = Visitors(ours), accepted(theirs)
    ours.start()
    assert seen(visitors, header).consent.status is Status.UNKNOWN
    notice = theirs.edition(theirs.now()).notices["en"]
    ours.ledger.archive(Document(kind="notice", media_type="application/json", data=notice.data, language="en"))
    assert seen(visitors, header).consent.status is Status.UNKNOWN, "not looked up again within ten seconds"
    clock.advance(11)
    visitor = seen(visitors, header)
    assert visitor.consent.status is Status.INVALIDATED, "another revision: known, and asked again"
    assert visitor.consent.asked_under == notice


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ([("accept-language", "uk")], "uk"),
        ([("accept-language", "fr"), ("accept-language", "uk")], "uk"),
        ([("accept-language", "uk"), ("cookie", "__Host-consent-language=en")], "en"),
        ([("accept-language", "en"), ("cookie", "__Host-consent-language=uk")], "uk"),
        ([("accept-language", "uk"), ("cookie", "__Host-consent-language=xx")], "uk"),
        ([("cookie", "__Host-consent-language=\xff")], "en"),
        ([("cookie", "a=b"), ("cookie", "__Host-consent-language=uk")], "uk"),
    ],
)
def test_languages(make_site: MakeSite, headers: list[tuple[str, str]], language: str) -> None:
    """The language is what the visitor switched to, else what the browser asks for, else the site's own."""
    assert seen(Visitors(make_site(languages=("en", "uk"))), *headers).consent.language == language


@pytest.mark.parametrize(
    ("lines", "gpc"), [(["1"], True), (["0", "1"], True), (["1", "0"], True), (["0"], False), (["1, 1"], False)]
)
def test_signals_in_several_lines(make_site: MakeSite, lines: list[str], gpc: bool) -> None:
    """One line that says `1` is enough."""
    assert seen(Visitors(make_site()), *(("sec-gpc", line) for line in lines)).consent.gpc is gpc


@pytest.mark.parametrize(
    ("country", "regime"),
    [("US", "opt-out"), ("us", "opt-out"), ("IE", "opt-in"), ("", "opt-in"), (None, "opt-in"), ("\xff", "opt-in")],
)
@pytest.mark.parametrize("configured", [True, False])
def test_regimes(make_site: MakeSite, country: str | None, regime: str, configured: bool) -> None:
    """A country is only believed from the header the site has named."""
    site = make_site(regimes={"us": "opt-out"}, **({"country_header": "CF-IPCountry"} if configured else {}))
    headers = [] if country is None else [("cf-ipcountry", country)]
    assert seen(Visitors(site), *headers).consent.regime == (regime if configured else "opt-in")


def test_other_cookies_are_named(make_site: MakeSite) -> None:
    """The names of all other cookies are known, so that those of services not allowed can be expired."""
    site = make_site()
    lines = [("cookie", "_rs=1; sid=2"), ("cookie", f"bare; =x; a=b=c; {site.language_cookie_name}=en")]
    assert seen(Visitors(site), *lines).cookies == ("_rs", "sid", "bare", "", "a")


def test_state_tags(make_site: MakeSite) -> None:
    """A tag tells states apart, not visitors."""
    site, other = make_site(), make_site(notice_revision=2)
    tags = {
        seen(Visitors(site)).state_tag,
        seen(Visitors(site), ("sec-gpc", "1")).state_tag,
        seen(Visitors(site), accepted(site)).state_tag,
        seen(Visitors(other)).state_tag,
    }
    assert len(tags) == 4
    assert seen(Visitors(site), ("cookie", "sid=1")).state_tag == seen(Visitors(site), ("cookie", "sid=2")).state_tag


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"cookie", b"sec-gpc", b"accept-language", b"x-country"]),
            st.binary(max_size=60) | st.sampled_from([b"__Host-consent=", b"__Host-consent-once=a", b"=;;=", b";"]),
        ),
        max_size=5,
    )
)
def test_no_headers_break_it(make_site: MakeSite, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever the headers hold, somebody is recognised who has agreed to nothing."""
    visitors = _shared(make_site)
    visitor = asyncio.run(visitors.visitor(gathered(headers), path="/"))
    assert visitor.consent.allowed == {"consent", "necessary"}


_made: list[Visitors] = []


def _shared(make_site: MakeSite) -> Visitors:
    if not _made:
        _made.append(Visitors(make_site(languages=("en", "uk"), country_header="X-Country")))
    return _made[0]


def test_headers_are_gathered() -> None:
    """Several lines of one name are one line, as HTTP joins them."""
    raw = [(b"a", b"1"), (b"cookie", b"x=1"), (b"a", b"2"), (b"cookie", b"y=2")]
    assert gathered(raw) == {b"a": b"1, 2", b"cookie": b"x=1; y=2"}
    assert gathered([(b"a", b"1")]) == {b"a": b"1"}
