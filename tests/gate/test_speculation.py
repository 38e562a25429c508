"""Gate speculation rules: what a browser loads ahead of time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.gate.inquest import gated_rules
from consent.gate.rules import Undeclared
from consent.gate.speculation import leads_away
from tests.gate.example import NOBODY, rules, text

ALL = rules().view(frozenset(("tracker", "player", "login", "own-stats")))
STRICT = rules(Undeclared.HOLD).view(frozenset(("tracker", "player", "login", "own-stats")))
OWN = {"href_matches": "/*"}
DOCUMENTS: dict[str, tuple[object, bool]] = {
    "every-link": (None, True),
    "own-path": (OWN, False),
    "own-host": ({"href_matches": "https://meridian.example/news/*"}, False),
    "own-parts": ({"href_matches": {"pathname": "/a"}}, False),
    "own-paths": ({"href_matches": ["/a", "/b"]}, False),
    "own-but": ({"and": [OWN, {"not": {"href_matches": "/out"}}]}, False),
    "own-or": ({"or": [OWN, {"href_matches": "/x"}]}, False),
    "own-or-any": ({"or": [OWN, {"selector_matches": "a"}]}, True),
    "no-condition": ({}, True),
    "no-conditions": ({"and": []}, True),
    "no-pattern": ({"href_matches": []}, True),
    "selector": ({"selector_matches": ".soon"}, True),
    "not": ({"not": OWN}, True),
    "other-host": ({"href_matches": "https://elsewhere.test/*"}, True),
    "any-host": ({"href_matches": "https://*/x"}, True),
    "scheme-relative": ({"href_matches": "//elsewhere.test/*"}, True),
    "parts-of-host": ({"href_matches": {"hostname": "*"}}, True),
    "number": ({"href_matches": 1}, True),
}
"""What links of the document must meet, and whether they may lead to another host then."""


def _rules(where: object, **more: object) -> str:
    condition = {} if where is None else {"where": where}
    return json.dumps({"prefetch": [{"source": "document", **condition, **more}]})


def _is_own(address: str) -> bool:
    return address == "https://meridian.example/"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_rules_over_links_stay_on_the_site(name: str) -> None:
    """Rules that may load any link of a page are held until everybody may be asked; those for the site's own pass."""
    where, away = DOCUMENTS[name]
    content = _rules(where)
    assert leads_away(content, _is_own) is away
    page = f'<script type="speculationrules">{content}</script>'
    assert (text(page) != page) is away
    assert text(page, view=ALL) == page
    assert (text(page, view=STRICT) != page) is away


@pytest.mark.parametrize(
    ("content", "away"),
    [
        ('{"prefetch": [{"where": {"href_matches": "/*"}}, {"where": {}}]}', True),
        ('{"prerender_until_script": [{"source": "document"}]}', True),
        ('{"prefetch": [{"urls": ["/next"]}]}', False),
        ('{"imports": {"a": "/a.js"}}', False),
        ('{"prefetch": [{"source": "document",}]}', True),
        ("nonsense", False),
        ("[" * 100_000 + '"prefetch', True),
        ("[]", False),
    ],
)
def test_rules_of_every_form_are_read(content: str, away: bool) -> None:
    """Addresses that are listed are judged by themselves; what cannot be read could lead anywhere."""
    assert leads_away(content, _is_own) is away


@pytest.mark.parametrize(
    ("content", "held"),
    [
        ('{"prefetch": [{"urls": ["/next", "https:\\/\\/tracker.test/x"]}]}', {"tracker"}),
        ('{"prefetch": [{"urls": ["https://login.test/x"]}]}', set()),
        (_rules(None), {"tracker", "player", "own-stats"}),
        (_rules(OWN), set()),
    ],
)
def test_a_file_of_rules_is_whole_or_empty(content: str, held: set[str]) -> None:
    """A file that a `Speculation-Rules` header names passes as it is, or says nothing."""
    out, parked, found = gated_rules(NOBODY, content.encode())
    assert (out, parked, found) == (b"{}" if held else content.encode(), held, set())
    assert gated_rules(ALL, content.encode())[0] == content.encode()


@given(st.binary())
def test_no_file_makes_gating_raise(body: bytes) -> None:
    """Any bytes may be said to be rules."""
    assert gated_rules(NOBODY, body)[0] in (body, b"{}")
