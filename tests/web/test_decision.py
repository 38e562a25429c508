"""Decide over every submission Hypothesis can think of: the laws that no choice may break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.choice import Choice
from consent.choice.consent import Consent
from consent.choice.notice import Notice, changed_terms
from consent.choice.status import Status
from consent.web.decision import Control, Decision, Submission, decide, granted, record_of, unchanged
from tests.choice.conftest import SERVICES, catalogue_of, notice_of

TODAY = notice_of()
BEFORE = notice_of(SERVICES | {"reader-stats": SERVICES["reader-stats"] | {"country": "US"}})
SMALLER = notice_of({key: table for key, table in SERVICES.items() if key != "harbour-maps"})
REVISED = notice_of(revision=2)
NOTICES = {"today": TODAY, "before": BEFORE, "smaller": SMALLER, "revised": REVISED}
CATALOGUE = catalogue_of()
OLD_ID, NEW_ID = b"o" * 16, b"n" * 16

KEYS = st.sets(st.sampled_from(sorted({*TODAY.purposes, *TODAY.services}))).map(sorted).map(tuple)
SERVICE_KEYS = st.sets(st.sampled_from(sorted(TODAY.services))).map(sorted).map(tuple)
SHOWN = st.sampled_from([None, *NOTICES.values()])
CONTROLS = st.sampled_from([Control.ACCEPT_ALL, Control.REJECT_ALL, Control.SAVE, Control.WITHDRAW])


def submission(
    control: Control = Control.SAVE,
    shown: Notice | None = TODAY,
    purposes: tuple[str, ...] = (),
    services: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Submission:
    """Return what a visitor sends."""
    return Submission(
        control=control, layer="banner", shown=shown, purposes=purposes, services=services, without=without
    )


def visitor(choice: Choice | None, under: Notice | None, *, gpc: bool = False) -> Consent:
    """Return what a visitor had agreed to before."""
    return Consent(CATALOGUE, TODAY, choice=choice, asked_under=under, gpc=gpc)


def decided(one: Submission, before: Consent, *, consent_id: bytes | None = None, now: int = 1000) -> Decision:
    """Decide, with the ids of these tests."""
    return decide(one, before=before, consent_id=consent_id, fresh_id=NEW_ID, today=TODAY, now=now)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Consent, bytes | None]:
    """Draw a visitor, as some first choice has left them."""
    gpc = draw(st.booleans())
    nobody = visitor(None, None, gpc=gpc)
    if draw(st.booleans()):
        return nobody, None
    under = draw(st.sampled_from(list(NOTICES.values())))
    keys = draw(KEYS)
    first = submission(
        draw(CONTROLS),
        under,
        purposes=tuple(key for key in keys if key in under.purposes),
        services=tuple(key for key in keys if key in under.services),
    )
    choice = decide(first, before=nobody, consent_id=None, fresh_id=OLD_ID, today=under, now=500).choice
    return visitor(choice, under, gpc=gpc), choice.consent_id


@st.composite
def submissions(draw: st.DrawFn) -> Submission:
    """Draw what somebody sends: any control, under any notice or none, with keys that this notice has."""
    shown = draw(SHOWN)
    known = shown or TODAY
    keys = draw(KEYS)
    return submission(
        draw(CONTROLS),
        shown,
        purposes=tuple(key for key in keys if key in known.purposes),
        services=tuple(key for key in keys if key in known.services),
        without=draw(SERVICE_KEYS),
    )


def wished(one: Submission) -> set[str]:
    """Return everything a submission says yes to."""
    known = one.shown or TODAY
    if one.control is Control.ACCEPT_ALL:
        return {*known.purposes, *known.services}
    if one.control is not Control.SAVE:
        return set()
    own = {key for purpose in one.purposes for key in known.of(purpose)} - set(one.without)
    return own | set(one.purposes) | set(one.services)


@given(submissions(), histories())
def test_what_is_granted_was_asked_for(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """No decision grants anything that the visitor did not say yes to, whatever held before."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    assert granted(decision.choice, decision.shown) <= wished(one)


@given(submissions(), histories())
def test_a_no_is_never_turned_into_a_yes(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """What a visitor did not wish is not allowed afterwards, nor is it while the ledger is down."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    for choice in (decision.choice, decision.kept.choice):
        after = visitor(choice, decision.shown, gpc=before.gpc)
        assert after.granted <= wished(one)


@given(histories(), SHOWN, st.sampled_from([Control.REJECT_ALL, Control.WITHDRAW, Control.SAVE]))
def test_refusing_leaves_nothing(history: tuple[Consent, bytes | None], shown: Notice | None, control: Control) -> None:
    """Refusing or withdrawing leaves nothing granted, conflicts with nothing, needs no record first, has no id."""
    before, consent_id = history
    decision = decided(submission(control, shown), before, consent_id=consent_id)
    assert not decision.choice.grants
    assert decision.conflict == frozenset()
    assert not decision.adds
    assert decision.choice.consent_id is None
    assert decision.choice.decided_at == 0
    assert visitor(decision.choice, decision.shown).allowed == {"necessary", "session"}
    assert decision.withdrawn == before.granted


@given(submissions(), histories())
def test_the_signal_is_heard(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """With the browser's signal, nothing that sells or shares is granted."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    if before.gpc:
        assert granted(decision.choice, decision.shown).isdisjoint({"lantern-ads", "marketing"})


@given(submissions(), histories())
def test_what_adds_nothing_may_be_honoured(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """Where a decision adds nothing, everything it grants was granted before: so no record is needed first."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    after = granted(decision.choice, decision.shown)
    held = before.granted if consent_id is not None else frozenset()
    assert decision.adds or after <= held
    assert granted(decision.kept.choice, decision.shown) <= held


@given(submissions(), histories())
def test_conflicts(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """A decision conflicts exactly where it grants under terms that are not today's, or under no notice at all."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    yes = granted(decision.choice, decision.shown)
    assert decision.conflict <= yes
    if one.shown is None:
        assert decision.conflict == yes
    else:
        assert changed_terms(one.shown, TODAY) & yes <= decision.conflict
        if one.shown is TODAY:
            assert decision.conflict == frozenset()


@given(submissions(), histories())
def test_ids_and_status(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """An id is made at the first grant, kept by the next, and dropped with the last; the status says which it was."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    if decision.choice.grants:
        assert decision.choice.consent_id == (consent_id or NEW_ID)
        assert decision.status is (Status.RENEWED if consent_id else Status.GIVEN)
    else:
        assert decision.choice.consent_id is None
        assert decision.status is (Status.WITHDRAWN if consent_id else Status.REFUSED)
    assert decision.subject == (decision.choice.consent_id or consent_id)


@given(submissions(), histories(), st.integers(0, 2000))
def test_later_choices_are_later(one: Submission, history: tuple[Consent, bytes | None], now: int) -> None:
    """A choice of an id is later than its former one, even where the clock went back."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id, now=now)
    if consent_id is not None and decision.choice.grants and before.choice is not None:
        assert decision.choice.decided_at > before.choice.decided_at


@given(submissions(), histories())
def test_records(one: Submission, history: tuple[Consent, bytes | None]) -> None:
    """Every decision has a record: it revokes where something was taken back, and ends where nothing is left."""
    before, consent_id = history
    decision = decided(one, before, consent_id=consent_id)
    draft = record_of(decision, submission=one, rendering="0" * 64, country=None, now=1000)
    assert draft.subject == decision.subject
    assert draft.revokes == (consent_id is not None and bool(decision.withdrawn))
    assert draft.ends == (decision.status is Status.WITHDRAWN)
    if draft.subject is None:
        assert draft.decided_at == 0, "the day alone"
    answers = draft.content["services"]
    yes = {key for key, answer in answers.items() if answer}
    assert yes == granted(decision.choice, decision.shown) & decision.shown.services.keys()


@given(histories())
def test_saying_it_again(history: tuple[Consent, bytes | None]) -> None:
    """Only a choice that is valid, complete and the same is no news."""
    before, consent_id = history
    again = submission(
        Control.SAVE,
        before.asked_under or TODAY,
        purposes=tuple(key for key, yes in before.choice.purposes.items() if yes) if before.choice else (),
        services=tuple(key for key, yes in before.choice.services.items() if yes) if before.choice else (),
        without=tuple(key for key, yes in before.choice.services.items() if not yes) if before.choice else (),
    )
    decision = decided(again, before, consent_id=consent_id)
    if before.choice is None or not before.answered:
        assert not unchanged(decision)
    elif not before.gpc:
        assert unchanged(decision)


@pytest.mark.parametrize("field", ["purposes", "services", "without"])
def test_unknown_keys(field: str) -> None:
    """A key that neither notice has is an error."""
    with pytest.raises(KeyError):
        decided(submission(Control.SAVE, TODAY, **{field: ("harbour",)}), visitor(None, None))


def test_a_purpose_is_no_way_around_the_record() -> None:
    """A service under changed terms is a new yes, even where its purpose held before and is all that is sent."""
    first = decide(
        submission(Control.ACCEPT_ALL, BEFORE),
        before=visitor(None, None),
        consent_id=None,
        fresh_id=OLD_ID,
        today=BEFORE,
        now=500,
    )
    before = visitor(first.choice, BEFORE)
    assert before.asking == {"reader-stats"}
    decision = decided(submission(purposes=("analytics", "media")), before, consent_id=OLD_ID)
    assert decision.adds
    kept = visitor(decision.kept.choice, TODAY)
    assert kept.granted == {"media", "harbour-maps", "lantern-video"}
    assert "reader-stats" in kept.asking
    assert "lantern-ads" not in kept.asking
