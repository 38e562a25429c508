"""Put odd documents before a judge that others wrote."""

from __future__ import annotations

import pytest

from tests.gate import fuzz_xml
from tests.gate.fuzz import live, run_block


@pytest.mark.parametrize(("kind", "documents"), [("html", 5000), ("foreign", 2000), ("xml", 2000)])
@pytest.mark.parametrize("seed", range(4))
def test_no_odd_document_leaks(seed: int, kind: str, documents: int) -> None:
    """Nothing of 28,000 HTML documents and 8,000 XML ones, over four seeds, asks the tracker once they are gated."""
    alive, leaking = run_block(kind, seed, 0, documents)
    assert alive > documents // 2
    assert leaking == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["html", "foreign", "xml"])
@pytest.mark.parametrize("seed", range(1000, 1040))
def test_no_odd_document_leaks_at_length(seed: int, kind: str) -> None:
    """Nothing of two million documents of each kind leaks, on seeds that nothing was mended with."""
    assert run_block(kind, seed, 0, 50_000)[1] == []


def test_the_judge_sees_what_is_live() -> None:
    """A judge that never finds anything would prove nothing."""
    assert live(b"<img src=//tracker.test>", scripting=True)
    assert live(b"<noscript><img src=//tracker.test></noscript>", scripting=False)
    assert not live(b"<noscript><img src=//tracker.test></noscript>", scripting=True)
    assert not live(b"<!-- <img src=//tracker.test> -->", scripting=False)
    assert fuzz_xml.live(b"<img xmlns='http://www.w3.org/1999/xhtml' src='//tracker.test/'/>")
    assert not fuzz_xml.live(b"<img src='//tracker.test/'/>")
