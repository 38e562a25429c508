"""Work out what visitors agreed to: choices, regimes, signals, and what is allowed by them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.choice import Choice, Method, acceptance, identified, refusal, selection
from consent.choice.consent import Consent
from consent.choice.lifetime import Lifetime
from consent.choice.regimes import Regime, regime_for
from consent.choice.signals import global_privacy_control
from tests.choice.conftest import catalogue_of, notice_of

NOTICE = notice_of()
CATALOGUE = catalogue_of()
OPTIONAL = {*NOTICE.purposes, *NOTICE.services}
NECESSARY = {"necessary", "session"}
KEYS = st.sets(st.sampled_from(sorted(OPTIONAL)))


def consent(choice: Choice | None = None, **values: object) -> Consent:
    """Return the consent of a visitor who chose under today's notice."""
    asked_under = NOTICE if choice is not None else None
    return Consent(CATALOGUE, NOTICE, choice=choice, asked_under=asked_under, **values)  # type: ignore[arg-type]


# -- selections


@pytest.mark.parametrize(
    ("purposes", "services", "without", "granted"),
    [
        ((), (), (), set()),
        (("media",), (), (), {"media", "harbour-maps", "lantern-video"}),
        (("media",), (), ("harbour-maps",), {"media", "lantern-video"}),
        ((), ("lantern-video",), (), {"lantern-video"}),
        (("media",), ("harbour-maps",), ("harbour-maps",), {"media", "harbour-maps", "lantern-video"}),
        (("media",), (), ("harbour-maps", "lantern-video"), {"media"}),
        (("analytics",), ("lantern-video",), (), {"analytics", "reader-stats", "lantern-video"}),
        ((), (), ("lantern-video",), set()),
    ],
)
def test_selections(
    purposes: tuple[str, ...], services: tuple[str, ...], without: tuple[str, ...], granted: set[str]
) -> None:
    """A purpose stands for its services but those left out; a service may be granted on its own."""
    choice = selection(NOTICE, now=0, purposes=purposes, services=services, without=without)
    assert consent(choice).granted == granted
    assert consent(choice).allowed == granted | NECESSARY
    assert consent(choice).answered


@given(purposes=KEYS, services=KEYS, without=KEYS)
def test_nothing_is_granted_that_was_not_asked_for(purposes: set[str], services: set[str], without: set[str]) -> None:
    """What is granted was named, or belongs to a purpose that was; every other answer is an explicit no."""
    purposes &= set(NOTICE.purposes)
    choice = selection(
        NOTICE,
        now=0,
        purposes=purposes,
        services=services - set(NOTICE.purposes),
        without=without & set(NOTICE.services),
    )
    named = purposes | services | {key for purpose in purposes for key in NOTICE.of(purpose)}
    assert consent(choice).granted <= named
    assert set(choice.purposes) == set(NOTICE.purposes)
    assert not consent(choice).asking


@pytest.mark.parametrize("key", ["necessary", "session", "harbour", "", "Media", "functional"])
@pytest.mark.parametrize("field", ["purposes", "services", "without"])
def test_what_is_not_asked_cannot_be_answered(key: str, field: str) -> None:
    """A key that the notice does not ask for is refused, in every field."""
    with pytest.raises(KeyError):
        selection(NOTICE, now=0, **({"purposes": ()} | {field: (key,)}))


def test_a_refusal_never_gets_an_id() -> None:
    """Decision 14: an id is given to nobody who grants nothing."""
    assert identified(refusal(NOTICE, now=0), consent_id=bytes(16)).consent_id is None
    assert identified(acceptance(NOTICE, now=0), consent_id=bytes(16)).consent_id == bytes(16)


def test_methods_have_words() -> None:
    """Each method has the name that forms and records use."""
    assert [method.word for method in Method] == ["reject_all", "accept_all", "save"]


# -- regimes and signals


@pytest.mark.parametrize(
    ("regime", "open_before"), [(Regime.OPT_IN, False), (Regime.OPT_OUT, True), (Regime.NOTICE_ONLY, True)]
)
@pytest.mark.parametrize("gpc", [False, True])
def test_before_an_answer(regime: Regime, open_before: bool, gpc: bool) -> None:
    """Before an answer the regime decides, and the browser's signal is heard under each of them."""
    allowed = consent(regime=regime, gpc=gpc).allowed
    assert allowed >= NECESSARY
    assert ("reader-stats" in allowed) is open_before
    assert ("lantern-ads" in allowed) is (open_before and not gpc)


@pytest.mark.parametrize("regime", list(Regime))
def test_a_no_holds_under_every_regime(regime: Regime) -> None:
    """Who refused is refused, whatever the regime allows those who did not answer."""
    assert consent(refusal(NOTICE, now=0), regime=regime).allowed == NECESSARY


@given(purposes=KEYS, gpc=st.booleans(), regime=st.sampled_from(list(Regime)))
def test_the_signal_only_takes_away(purposes: set[str], gpc: bool, regime: Regime) -> None:
    """The signal never allows anything, and never takes what neither sells nor advertises."""
    choice = selection(NOTICE, now=0, purposes=purposes & set(NOTICE.purposes))
    without, under = consent(choice, regime=regime), consent(choice, regime=regime, gpc=gpc)
    assert without.allowed - under.allowed <= ({"lantern-ads", "marketing"} if gpc else set())
    assert under.allowed <= without.allowed


@pytest.mark.parametrize(
    ("country", "regime"),
    [("US", Regime.OPT_OUT), ("us", Regime.OPT_OUT), ("IE", Regime.OPT_IN), ("", Regime.OPT_IN), (None, Regime.OPT_IN)],
)
def test_the_regime_of_a_country(country: str | None, regime: Regime) -> None:
    """Whoever's country is not named is asked first."""
    assert regime_for(country, regimes={"US": Regime.OPT_OUT}) is regime


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["1"], True),
        ([" 1\t"], True),
        (["0", "1"], True),
        ([], False),
        ([""], False),
        (["0"], False),
        (["true"], False),
        (["1, 1"], False),
        (["11"], False),
        (["?1"], False),
    ],
)
def test_the_signals_one_value(values: list[str], said: bool) -> None:
    """Only the exact value `1` says it."""
    assert global_privacy_control(values) is said


def test_loading_once_opens_one_service() -> None:
    """What loads once is allowed on that page, answers nothing, and bows to the signal."""
    once = frozenset({"lantern-video"})
    assert consent(once=once).allowed == NECESSARY | {"lantern-video"}
    assert consent(refusal(NOTICE, now=0), once=once).allowed == NECESSARY | {"lantern-video"}
    assert "lantern-video" in consent(once=once).asking
    assert consent(once=frozenset({"lantern-ads"}), gpc=True).allowed == NECESSARY


# -- lifetimes


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("P6M", "2026-08-31T12:00:00", "2027-02-28T12:00:00"),
        ("P6M", "2027-08-31T00:00:00", "2028-02-29T00:00:00"),
        ("P6M", "2026-11-22T23:59:59", "2027-05-22T23:59:59"),
        ("P1Y", "2028-02-29T00:00:00", "2029-02-28T00:00:00"),
        ("P13M", "2026-12-31T00:00:00", "2028-01-31T00:00:00"),
        ("P30D", "2026-02-01T00:00:00", "2026-03-03T00:00:00"),
        ("P2W", "2026-12-25T00:00:00", "2027-01-08T00:00:00"),
        ("PT20M", "2026-12-31T23:50:00", "2027-01-01T00:10:00"),
        ("P1M1DT1H1S", "2026-01-31T00:00:00", "2026-03-01T01:00:01"),
    ],
)
def test_calendar_months(text: str, begin: str, end: str) -> None:
    """Decision 13: months are months of the calendar, and a month's end stays a month's end."""
    start = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert Lifetime.parse(text).after(start) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "6M", "P6", "P-1D", "P1.5D", "p6m", "P1D ", "Session", "P1M1Y", "PT1D"]
)
def test_what_is_no_lifetime(text: str) -> None:
    """Anything but an ISO 8601 duration or `session` is refused, and the message shows how to write one."""
    with pytest.raises(ValueError, match="P30D"):
        Lifetime.parse(text)


@given(st.integers(0, 30), st.integers(0, 400), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_a_lifetime_never_ends_before_it_begins(months: int, days: int, start: datetime) -> None:
    """A lifetime ends after its days at the earliest, and within its months' longest length."""
    end = Lifetime(months=months, seconds=days * 86400).after(start)
    assert start + timedelta(days=days + 28 * months) <= end <= start + timedelta(days=days + 31 * months)
