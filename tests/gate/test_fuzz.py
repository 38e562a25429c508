"""Put odd documents before a judge that others wrote."""

from __future__ import annotations

import random

import pytest

from tests.gate.fuzz import document, judge, live


def _leaks(seed: int, documents: int) -> tuple[int, list[tuple[str, list[str]]]]:
    random_ = random.Random(seed)
    alive = 0
    leaking = []
    for _ in range(documents):
        markup = document(random_)
        before, leaks, _ = judge(markup)
        alive += before > 0
        if leaks:
            leaking.append((markup, leaks))
    return alive, leaking


@pytest.mark.parametrize("seed", range(4))
def test_no_odd_document_leaks(seed: int) -> None:
    """Nothing of 20,000 documents, over four seeds, asks the tracker once they are gated."""
    alive, leaking = _leaks(seed, 5000)
    assert alive > 3000
    assert leaking == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1040))
def test_no_odd_document_leaks_at_length(seed: int) -> None:
    """Nothing of two million documents leaks, on seeds that nothing was mended with."""
    assert _leaks(seed, 50_000)[1] == []


def test_the_judge_sees_what_is_live() -> None:
    """A judge that never finds anything would prove nothing."""
    assert live(b"<img src=//tracker.test>", scripting=True)
    assert live(b"<noscript><img src=//tracker.test></noscript>", scripting=False)
    assert not live(b"<noscript><img src=//tracker.test></noscript>", scripting=True)
    assert not live(b"<!-- <img src=//tracker.test> -->", scripting=False)
