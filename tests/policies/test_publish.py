"""Test what keeps a policy from being published."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consent.errors import PolicyError
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts
from consent.policies.publish import refuse_unfilled, unset

MakePolicy = Callable[..., PolicyVersion]
MakeFacts = Callable[..., Facts]


def test_complete_documents_are_not_refused(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Fields that are set, optional or tables stand in nobody's way."""
    policy = make_policy("{{ controller.name }}\n\n{{ controller.dpo? }}\n\n{{ services }}\n")
    refuse_unfilled([policy], facts=make_facts())
    assert unset(policy, facts=make_facts()) == ()


def test_markers_are_refused_with_the_first_place(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """The error names document, line, text, and how many more there are."""
    documents = [make_policy("Fine.\n"), make_policy("Host: [[host]]\n\n{{ controller.dpo }}\n", version="2")]
    with pytest.raises(PolicyError) as caught:
        refuse_unfilled(documents, facts=make_facts())
    assert caught.value.place == "privacy/2.en.md, line 7"
    assert caught.value.message == "'host' is still to be filled in (and 1 more)"


def test_unset_settings_are_refused_by_name(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """A required field that the site has not set is named as the setting it is."""
    with pytest.raises(PolicyError) as caught:
        refuse_unfilled([make_policy("{{ controller.dpo }}\n")], facts=make_facts(dpo=" "))
    assert caught.value.place == "privacy/1.en.md, line 7"
    assert caught.value.remedy == "Set controller.dpo in consent.toml"
