"""Test what is archived beside a published policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consent.choice.catalogue import Catalogue, Purpose, Service
from consent.errors import PolicyError
from consent.policies.facts import Facts

MakeFacts = Callable[..., Facts]


def test_archived_facts_read_back_equal(make_facts: MakeFacts) -> None:
    """Facts survive their canonical bytes, and those bytes survive the facts."""
    facts = make_facts()
    again = Facts.from_bytes(facts.to_bytes())
    assert again == facts
    assert again.to_bytes() == facts.to_bytes()
    assert again.sha256 == facts.sha256


def test_only_purposes_in_use_are_kept_with_their_words_written_out(make_facts: MakeFacts) -> None:
    """A standard purpose takes its title from the wording of each language, or else its key."""
    assert [(purpose.key, purpose.title) for purpose in make_facts().purposes] == [
        ("analytics", {"en": "Measurement", "uk": "Вимірювання"}),
        ("media", "media"),
    ]


def test_a_site_s_own_words_win() -> None:
    """A title in the catalogue is kept as it is."""
    catalogue = Catalogue(
        purposes=(Purpose(key="media", title="Films"),),
        services=(Service(key="lantern", purpose="media", hosts=("lantern.example",)),),
    )
    words = {"en": {"purpose.media.title": "Media", "service.lantern.title": "Lantern"}}
    facts = Facts.of(catalogue, site_name="S", controller={}, default_language="en", words=words)
    assert facts.purposes[0].title == "Films"
    assert facts.services[0].title == {"en": "Lantern"}


def test_what_only_the_gate_needs_is_not_archived() -> None:
    """Patterns and the way a script is revived change no policy."""

    def facts(**gate: object) -> Facts:
        service = Service(key="lantern", purpose="media", hosts=("lantern.example",), **gate)  # type: ignore[arg-type]
        catalogue = Catalogue(purposes=(Purpose(key="media"),), services=(service,))
        return Facts.of(catalogue, site_name="S", controller={}, default_language="en", words={})

    assert facts().to_bytes() == facts(patterns=("lantern(",), revive="reload").to_bytes()
    assert facts().sha256 != facts(provider="Lantern Ltd").sha256


def test_unset_parts_of_the_controller_are_empty(make_facts: MakeFacts) -> None:
    """A field that the site has not set is an empty text and never None."""
    facts = make_facts()
    assert facts.field("controller.dpo") == ""
    assert facts.field("controller.name") == "Meridian Media Ltd"
    assert facts.field("site_name") == "The Meridian"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"schema":1}', b'{"schema":2}'], ids=str)
def test_unreadable_facts_are_refused(data: bytes) -> None:
    """Bytes that are no facts, or of a later schema, raise a PolicyError."""
    with pytest.raises(PolicyError):
        Facts.from_bytes(data)
