"""Test that policies become HTML that is safe, and says what it should."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.errors import PolicyError
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts
from consent.policies.render import Heading, render

MakePolicy = Callable[..., PolicyVersion]
MakeFacts = Callable[..., Facts]

ALLOWED = {
    *("a", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li"),
    *("ol", "p", "pre", "section", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {"alt", "aria-label", "class", "href", "id", "rel", "role", "scope", "src", "start", "tabindex", "title"}
VOID = {"br", "hr", "img"}


class Reader(HTMLParser):
    """Note every element, attribute and text, and every end tag that does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.unbalanced = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note an end that does not fit."""
        self.unbalanced |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def read(html: str) -> Reader:
    """Read a fragment to its end."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def assert_safe(html: str) -> Reader:
    """Fail for any element, attribute or address that has no place in a policy."""
    reader = read(html)
    assert not reader.unbalanced
    assert not reader.open
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.tags:
        assert tag in ALLOWED
        assert set(attributes) <= ATTRIBUTES
        href = attributes.get("href", "/")
        assert re.match(r"(?:https?|mailto|tel):|[^:]*(?:[/?#]|$)", href, re.IGNORECASE), href
        assert attributes.get("src", "/x").startswith("/")
        assert not attributes.get("src", "/x").startswith("//")
    return reader


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "text <img src=x onerror=alert(1)> text",
        "<!-- comment -->",
        "<a href='javascript:alert(1)'>x</a>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](&#x6A;avascript:alert(1))",
        "[x](data:text/html,x)",
        "[x](vbscript:x) [y](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "![pixel](https://tracker.example/p.gif)",
        "![pixel](//tracker.example/p.gif)",
        "![pixel](/\\tracker.example/p.gif)",
        "![pixel](http:p.gif)",
        '[x](/a "\\" onmouseover=alert(1) \\"")',
        "[x]: javascript:alert(1)\n\n[x]",
        "```html onclick=x\n<script>\n```",
        "    <script>\n",
        "| a |\n|:-:|\n| <b> |",
        "# <script>x</script>\n",
        '# " onmouseover="x\n',
    ],
)
def test_nothing_unsafe_gets_through(make_policy: MakePolicy, make_facts: MakeFacts, body: str) -> None:
    """Raw HTML is shown as text, and no link, image or style does what a policy may not."""
    rendered = render(make_policy(body + "\n"), facts=make_facts(), words=str)
    assert_safe(rendered.html)


@pytest.mark.parametrize("field", ["name", "address", "contact", "dpo"])
@pytest.mark.parametrize("value", ["<script>x</script>", "*a* [x](javascript:x) `c`", "{{ site_name }}", "a\n# b", "|"])
def test_values_of_the_settings_are_only_text(
    make_policy: MakePolicy, make_facts: MakeFacts, field: str, value: str
) -> None:
    """What a setting holds is shown letter by letter and never read as Markdown, HTML or a field."""
    policy = make_policy(f"Here: {{{{ controller.{field} }}}}.\n\n| a |\n|--|\n| {{{{ controller.{field} }}}} |\n")
    reader = assert_safe(render(policy, facts=make_facts(**{field: value}), words=str).html)
    assert " ".join(value.split()) in " ".join(reader.text.split())
    assert {tag for tag, _ in reader.tags} <= {"p", "br", "div", "table", "thead", "tbody", "tr", "th", "td"}


def test_values_of_the_catalogue_are_only_text(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """A hostile catalogue can bring in neither elements nor scripts."""
    hostile = '"><script>x</script>'
    facts = make_facts(
        {
            "a": {
                "purpose": "media",
                "title": hostile,
                "description": hostile,
                "provider": hostile,
                "country": hostile,
                "storage": [hostile],
                "cookies": [{"name": hostile, "lifetime": "P1D"}],
                "data": [hostile],
                "recipients": [hostile],
                "transfer": hostile,
                "retention": hostile,
                "policy_url": "javascript:alert(1)",
            }
        }
    )
    policy = make_policy("{{ services }}\n\n{{ cookies }}\n\n{{ recipients }}\n")
    reader = assert_safe(render(policy, facts=facts, words=str).html)
    assert "<script>x</script>" in reader.text
    assert "a" not in {tag for tag, _ in reader.tags}


PIECES = (
    *("#", "## ", "- ", "> ", "1. ", "`", "```", "*", "**", "_", "[", "]", "(", ")", "!", "<", ">", "&", "&#58;", "|"),
    *("|-|\n", "\n", "\n\n", "    ", "\\", '"', "'", "javascript:", "https://x.example", "//", "/", "a", "ї"),
    *("\n\n{{ services }}\n\n", "\n\n{{ cookies }}\n\n", "{{ controller.contact }}", "\x00", "\u2028"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_markdown_makes_it_unsafe(make_policy: MakePolicy, make_facts: MakeFacts, body: str) -> None:
    """Whatever the Markdown, the HTML is balanced and holds only what is allowed."""
    try:
        policy = make_policy(body)
    except PolicyError:
        return
    assert_safe(render(policy, facts=make_facts(), words=str).html)


def test_headings_begin_at_two_and_have_ids(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """A document that uses first-level headings is lowered, and no two headings share an id."""
    policy = make_policy("# Хто ми\n\n## Rights *now* & `then`\n\n## Rights now then\n\n###### Deep\n\n## …\n")
    rendered = render(policy, facts=make_facts(), words=str)
    assert rendered.contents == (
        Heading(level=2, id="section-хто-ми", text="Хто ми"),
        Heading(level=3, id="section-rights-now-then", text="Rights now & then"),
        Heading(level=3, id="section-rights-now-then-2", text="Rights now then"),
        Heading(level=6, id="section-deep", text="Deep"),
        Heading(level=3, id="section-1", text="…"),
    )
    assert '<h3 id="section-rights-now-then">Rights <em>now</em> &amp; <code>then</code></h3>' in rendered.html


def test_a_document_without_first_level_keeps_its_levels(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Headings that begin at two stay there."""
    rendered = render(make_policy("## A\n\nB\n-\n"), facts=make_facts(), words=str)
    assert [heading.level for heading in rendered.contents] == [2, 2]


def test_settings_are_filled_in_and_addresses_linked(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Names are text, mail and web addresses are links, and lines of an address are broken."""
    policy = make_policy(
        "{{ controller.name }}\n\n{{ controller.address }}\n\n**{{controller.contact}}** {{ controller.dpo }}\n"
    )
    facts = make_facts(address="1 Quay Street\n\n Dublin ", dpo="https://meridian.example/dpo?a&b")
    assert render(policy, facts=facts, words=str).html == (
        "<p>Meridian Media Ltd</p>\n<p>1 Quay Street<br>\nDublin</p>\n"
        '<p><strong><a href="mailto:privacy@meridian.example">privacy@meridian.example</a></strong> '
        '<a href="https://meridian.example/dpo?a&amp;b" rel="noreferrer">https://meridian.example/dpo?a&amp;b</a></p>\n'
    )


def test_the_line_of_an_unset_optional_field_is_left_out(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """An optional field takes its line away where it is not set, and only there."""
    policy = make_policy("One.\n\nOfficer: {{ controller.dpo? }}\nTwo.\n")
    assert render(policy, facts=make_facts(), words=str).html == "<p>One.</p>\n<p>Two.</p>\n"
    assert "Officer: A. Byrne" in render(policy, facts=make_facts(dpo="A. Byrne"), words=str).html


def test_an_unset_required_field_is_shown_as_unfilled(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """A preview shows what is missing instead of hiding it."""
    policy = make_policy("Officer: {{ controller.dpo }}\n")
    assert "[[controller.dpo]]" in render(policy, facts=make_facts(), words=str).html


def test_fields_in_code_stay_as_written(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Code is shown as it is, tables included."""
    policy = make_policy("`{{ site_name }}`\n\n```\n{{ services }}\n```\n")
    html = render(policy, facts=make_facts(), words=str).html
    assert "<code>{{ site_name }}</code>" in html
    assert "<code>{{ services }}\n</code>" in html


def test_services_are_listed_below_their_heading(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Purposes come into the table of contents one level below the heading before them, services below those."""
    rendered = render(make_policy("## Services\n\nThese:\n{{ services }}\nEnd.\n"), facts=make_facts(), words=str)
    assert [(heading.level, heading.text) for heading in rendered.contents] == [
        (2, "Services"),
        (3, "Measurement"),
        (3, "media"),
    ]
    reader = assert_safe(rendered.html)
    assert [attributes["id"] for tag, attributes in reader.tags if tag == "h4"] == [
        "service-reader-stats",
        "service-lantern-video",
    ]
    assert '<a href="https://lantern.example/privacy?a=1&amp;b=2" rel="noreferrer">' in rendered.html
    assert "<dd>_rs — 13 months<br>_rs_* — policy.lifetime.session</dd>" in rendered.html
    assert "<p>These:</p>" in rendered.html
    assert "<p>End.</p>" in rendered.html


def test_a_table_used_twice_has_different_ids(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Two lists of services in one document still have one id each."""
    assert_safe(render(make_policy("{{ services }}\n\n{{ services }}\n"), facts=make_facts(), words=str).html)


def test_tables_say_so_when_there_is_nothing(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """A site without services has a sentence in place of each table."""
    policy = make_policy("{{ services }}\n\n{{ cookies }}\n\n{{ recipients }}\n")
    assert render(policy, facts=make_facts({}), words=str).html == "<p>policy.none</p>\n" * 3


def test_alignment_needs_no_inline_style(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Table cells are aligned by class, and header cells have a scope."""
    html = render(make_policy("| a | b |\n|---|--:|\n| 1 | 2 |\n"), facts=make_facts(), words=str).html
    assert '<th scope="col">a</th>' in html
    assert '<th class="consent-align-right" scope="col">b</th>' in html
    assert '<td class="consent-align-right">2</td>' in html
    assert "style=" not in html


def test_images_of_other_sites_become_links(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Showing a picture may not ask another company's server."""
    html = render(
        make_policy('![map](/static/map.png "Plan") ![logo](https://x.example/logo.png)\n'),
        facts=make_facts(),
        words=str,
    ).html
    assert '<img src="/static/map.png" alt="map" title="Plan">' in html
    assert '<a href="https://x.example/logo.png" rel="noreferrer">logo</a>' in html


def test_own_links_follow_the_prefix(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Links to our pages lead to where the site serves them; other links stay."""
    policy = make_policy("[a](/privacy/choices) [b](/privacyfirst) [c](https://x.example/privacy/)\n")
    html = render(policy, facts=make_facts(), words=str, prefix="/datenschutz").html
    assert re.findall(r'href="([^"]*)"', html) == [
        "/datenschutz/choices",
        "/privacyfirst",
        "https://x.example/privacy/",
    ]
    assert "/privacy/choices" in render(policy, facts=make_facts(), words=str).html


def test_rendering_is_the_same_every_time(make_policy: MakePolicy, make_facts: MakeFacts) -> None:
    """Archived facts give the same page as the ones they were made from."""
    policy = make_policy("# {{ site_name }}\n\n{{ services }}\n\n{{ cookies }}\n")
    facts = make_facts()
    archived = Facts.from_bytes(facts.to_bytes())
    assert render(policy, facts=archived, words=str) == render(policy, facts=facts, words=str)
