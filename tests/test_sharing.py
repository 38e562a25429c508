"""Try what stands for a visitor's consent while an answer may still become everybody's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from consent.choice.consent import Consent
from consent.sharing import Watched
from consent.testing import site


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_who_copies_it_has_looked(copied: Callable[[Any], Any]) -> None:
    """A copy is the consent itself, which never changes, and the page is this visitor's own from then on."""
    made = site(services={"youtube": {}})
    consent = Consent(made.catalogue, made.edition(made.now()).notices["en"])
    watched = Watched(consent)
    assert not Watched.looked_at(watched)
    assert copied(watched) is consent
    assert Watched.looked_at(watched)
    made.close()
