"""Test that a comparison shows every change, and nothing that did not change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.policies.compare import Block, Comparison, compare
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts

MakePolicy = Callable[..., PolicyVersion]
MakeFacts = Callable[..., Facts]

Side = Literal["removed", "added"]


def side(comparison: Comparison, which: Side) -> list[str]:
    """Return the blocks of one of the two versions, put together from what was kept and what was on that side."""
    blocks = []
    for block in comparison.blocks:
        segments = [segment.text for segment in block.segments if segment.change in ("kept", which)]
        if block.change in ("kept", "changed", which):
            blocks.append("".join(segments))
    return blocks


def inner(block: Block) -> list[tuple[str, str]]:
    """Return what became of the words of a block."""
    return [(segment.change, segment.text) for segment in block.segments]


def test_equal_documents_have_no_changes(make_policy: MakePolicy) -> None:
    """A document compared with itself is all kept, and the plain text is empty."""
    policy = make_policy("## A\n\nText.\n\n- one\n")
    comparison = compare(policy, policy, words=str)
    assert comparison.same
    assert "<ins>" not in comparison.html
    assert comparison.text() == "…"


def test_words_are_compared_inside_a_changed_block(make_policy: MakePolicy) -> None:
    """Only the words that differ are marked."""
    older = make_policy("We keep server logs for 30 days.\n")
    newer = make_policy("We keep server logs for 14 days.\n")
    block = compare(older, newer, words=str).blocks[1]
    assert block.change == "changed"
    assert inner(block) == [
        ("kept", "We keep server logs for "),
        ("removed", "30"),
        ("added", "14"),
        ("kept", " days."),
    ]


def test_a_rewritten_phrase_reads_as_one(make_policy: MakePolicy) -> None:
    """Two changed words in a row are shown as one removal and one addition."""
    older = make_policy("You may write to us by ordinary letter.\n")
    newer = make_policy("You may write to us by electronic mail.\n")
    assert inner(compare(older, newer, words=str).blocks[1]) == [
        ("kept", "You may write to us by "),
        ("removed", "ordinary letter"),
        ("added", "electronic mail"),
        ("kept", "."),
    ]


def test_blocks_that_came_and_went_are_whole(make_policy: MakePolicy) -> None:
    """A new paragraph is added, a missing one removed, and both keep their places."""
    older = make_policy("Alpha is the first thing.\n\nOmega ends it all.\n")
    newer = make_policy("Alpha is the first thing.\n\nNothing else resembles this sentence here.\n")
    assert [(block.change, block.kind) for block in compare(older, newer, words=str).blocks] == [
        ("kept", "h1"),
        ("kept", "p"),
        ("removed", "p"),
        ("added", "p"),
    ]


def test_a_changed_block_is_found_among_new_ones(make_policy: MakePolicy) -> None:
    """A paragraph put in front of a changed one does not make the changed one look new."""
    older = make_policy("Logs are kept for 30 days by us.\n")
    newer = make_policy("Brand new words come before anything.\n\nLogs are kept for 14 days by us.\n")
    assert [block.change for block in compare(older, newer, words=str).blocks] == ["kept", "added", "changed"]


@pytest.mark.parametrize(
    ("older", "newer", "html"),
    [
        (
            "See [us](/a) now\n",
            "See [us](/b) now\n",
            '<p class="consent-changed">See <del><a href="/a">us</a></del><ins><a href="/b">us</a></ins> now</p>\n',
        ),
        (
            "We do not sell it\n",
            "We do **not** sell it\n",
            '<p class="consent-changed">We do <del>not</del><ins><strong>not</strong></ins> sell it</p>\n',
        ),
        ("a `b` c\n", "a `b` c d\n", '<p class="consent-changed">a <code>b</code> c<ins> d</ins></p>\n'),
        ("a\nb c\n", "a b c\n", '<p class="consent-kept">a b c</p>\n'),
        (
            "## A b\n",
            "### A b\n",
            '<h2 class="consent-removed"><del>A b</del></h2>\n<h3 class="consent-added"><ins>A b</ins></h3>\n',
        ),
        ("- a b\n", "- a b c\n", '<p class="consent-changed consent-item">a b<ins> c</ins></p>\n'),
        (
            "| a | b |\n|--|--|\n| c d | e |\n",
            "| a | b |\n|--|--|\n| c d | f |\n",
            '<p class="consent-kept">a · b</p>\n<p class="consent-changed">c d · <del>e</del><ins>f</ins></p>\n',
        ),
        ("```\nx <y>\n```\n", "```\nx <y>\n```\n", '<pre class="consent-kept"><code>x &lt;y&gt;</code></pre>\n'),
        ("![map](/a.png)\n", "![map](/a.png)\n", '<p class="consent-kept"><a href="/a.png">map</a></p>\n'),
        ("> quoted _words_\n", "> quoted _words_\n", '<p class="consent-kept">quoted <em>words</em></p>\n'),
    ],
    ids=["link", "emphasis", "code", "line break", "level", "item", "row", "block of code", "image", "quotation"],
)
def test_formats_are_compared_and_shown(make_policy: MakePolicy, older: str, newer: str, html: str) -> None:
    """A changed address or emphasis is a change, a changed line break is none, and structure is kept."""
    shown = compare(make_policy(older), make_policy(newer), words=str).html
    assert shown.partition("</h2>\n")[2] == html


def test_the_title_is_compared_too(make_policy: MakePolicy) -> None:
    """A renamed policy is a change."""
    comparison = compare(make_policy(title="Privacy policy"), make_policy(title="Privacy notice"), words=str)
    assert comparison.text() == "# Privacy [-policy-]{+notice+}\n\nText."


def test_facts_are_compared_with_the_text(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """An address that moved and a service that came show, though the Markdown is the same."""
    policy = make_policy("{{ controller.address }}\n\n{{ services }}\n\n{{ cookies }}\n\n{{ recipients }}\n")
    service = {"purpose": "media", "title": "Lantern", "provider": "Lantern Ltd", "hosts": ["lantern.example"]}
    more = service | {"cookies": [{"name": "_l", "lifetime": "P1Y"}], "description": "Shows films."}
    before = make_facts({"lantern": service})
    after = make_facts({"lantern": more}, address="2 Quay Street, Dublin")
    text = compare(policy, policy, words=str, facts=(before, after)).text(around=0)
    assert text.split("\n\n") == [
        "…",
        "[-1-]{+2+} Quay Street, Dublin",
        "…",
        "{+Shows films.+}",
        "…",
        "- {+policy.cookies: _l — 1 year+}",
        "…",
        "{+_l · Lantern · media · policy.cookie · 1 year+}",
        "…",
    ]
    assert compare(policy, policy, words=str, facts=(before, before)).same


def test_without_facts_fields_are_compared_as_written(make_policy: MakePolicy) -> None:
    """The command line compares the texts alone."""
    older, newer = make_policy("{{ site_name }} a b c\n"), make_policy("{{ site_name }} a b c\n\n{{ services }}\n")
    assert compare(older, newer, words=str).text() == "{{ site_name }} a b c\n\n{+{{ services }}+}".join(["…\n\n", ""])


def test_plain_text_leaves_out_what_did_not_change(make_policy: MakePolicy) -> None:
    """Around a change stand its neighbours, and an ellipsis stands for the rest; links show their address."""
    older = make_policy("## One\n\nA.\n\nB.\n\n- c [d](/e)\n\nF.\n\nG.\n")
    newer = make_policy("## One\n\nA.\n\nB.\n\n- c [d](/f)\n\nF.\n\nG.\n")
    text = compare(older, newer, words=str).text()
    assert text == "…\n\nB.\n\n- c [-d </e>-]{+d </f>+}\n\nF.\n\n…"


def test_comparison_is_safe_html(make_policy: MakePolicy) -> None:
    """Neither text, nor code, nor addresses can bring in elements."""
    hostile = 'x <script>a</script> [b](/"onclick="x) [c](javascript:d) `<i>` ![<u>](https://x.example/"p)\n'
    html = compare(make_policy("x\n"), make_policy(hostile, title="<b>"), words=str).html
    assert set(re.findall(r"<(\w+)", html)) <= {"h2", "p", "del", "ins", "a", "code"}
    assert 'href="javascript' not in html
    assert '"onclick' not in html


LINES = (
    "Alpha beta gamma.",
    "Alpha beta delta.",
    "Other words entirely",
    "## A",
    "- item",
    "",
    "one *two* [x](/y)",
    "1",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(older=st.lists(st.sampled_from(LINES)).map("\n\n".join), newer=st.lists(st.sampled_from(LINES)).map("\n\n".join))
def test_both_versions_can_be_put_together_again(make_policy: MakePolicy, older: str, newer: str) -> None:
    """Kept and removed blocks are the older document, kept and added ones the newer: nothing is lost or invented."""
    first, second = make_policy(older), make_policy(newer)
    comparison = compare(first, second, words=str)
    assert side(comparison, "removed") == side(compare(first, first, words=str), "removed")
    assert side(comparison, "added") == side(compare(second, second, words=str), "added")
    assert all(segment.words for block in comparison.blocks if block.change == "changed" for segment in block.segments)


def test_documents_of_very_many_blocks_are_still_compared(make_policy: MakePolicy) -> None:
    """Where too many blocks changed at once they are paired in order, and none is lost."""
    older = make_policy("\n\n".join(f"Paragraph {n} of the old text." for n in range(150)))
    newer = make_policy("\n\n".join(f"Paragraph {n} of the new text." for n in range(160)))
    comparison = compare(older, newer, words=str)
    assert [block.change for block in comparison.blocks] == ["kept"] + ["changed"] * 150 + ["added"] * 10
