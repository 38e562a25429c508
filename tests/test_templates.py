"""Check what a visitor is shown: equal answers, nothing inline, well-formed, small, legible."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from typing import get_args
from xml.etree import ElementTree

import pytest

from consent.assets import load
from consent.theme import Look, Position
from tests import shown

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
PHRASING = frozenset({"a", "button", "img", "span", "strong", "svg"})
BLOCKED = re.compile(r"cookie-?(banner|bar|consent|notice|law)|consent-?(banner|bar|popup|notice)|gdpr|onetrust|cmp")
"""What names of classes and ids look like that filter lists hide."""
BLOCKED_ADDRESSES = re.compile(
    r"cookie|gdpr|cmp[.-]|onetrust|consent([-_.](min|banner|dialog|manage|tracking|non-eu)|/manager|/message)"
    r"|privacy([-_](banner|bar|consent|cookie|manager|modal|policy|popup|templates)|/(bundle|cookie)|_popup)"
)
"""What the general patterns of filter lists against notices look for in addresses (EasyList Cookie List)."""
CASES = [(language, name) for language in shown.LANGUAGES for name in shown.every(language)]
PAGES = shown.pages()


class Element:
    """Hold one start tag, its attributes and the text up to its end tag."""

    def __init__(self, tag: str, attributes: dict[str, str], form: Element | None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.form = form
        self.text = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")


class Markup(HTMLParser):
    """Read a page strictly: every element that is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {[one.tag for one in self.open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> repeats an attribute"
        form = next((one for one in reversed(self.open) if one.tag == "form"), None)
        element = Element(tag, {name: value or "" for name, value in attrs}, form)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID, f"<{tag}/> is not closed in HTML"
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of a tag that have these attributes."""
        return [e for e in self.elements if e.tag == tag and all(e[n] == v for n, v in attributes.items())]


def rendered(name: str, language: str = "en") -> str:
    """Return one case as HTML."""
    template, context = shown.every(language)[name]
    return PAGES.render(template, language=language, **context)


def hidden(page: Markup, form: Element) -> list[tuple[str, str]]:
    """Return what a form sends besides its button."""
    return [(e["name"], e["value"]) for e in page.all("input", type="hidden") if e.form is form]


def test_every_template_is_looked_at() -> None:
    """Keep a new template from going untested; a part is looked at in the pages that include it."""
    pages = {template for template, _ in shown.every("en").values()}
    parts = {part for page in pages for part in re.findall(r'include "([^"]+)"', (shown.TEMPLATES / page).read_text())}
    assert pages | parts == {path.name for path in shown.TEMPLATES.iterdir()}


@pytest.mark.parametrize(("language", "name"), CASES)
def test_markup_is_well_formed_and_points_to_itself(language: str, name: str) -> None:
    """Close what is opened, use each id once, and refer only to ids that exist."""
    page = Markup(rendered(name, language))
    ids = [e["id"] for e in page.elements if e["id"]]
    assert len(ids) == len(set(ids))
    known = {*ids, "cst-once", "cst-always"}
    for element in page.elements:
        for attribute in ("aria-labelledby", "aria-describedby", "form", "for"):
            assert set(element[attribute].split()) <= known
        if element.tag == "a" and element["href"].startswith("#"):
            assert element["href"][1:] in known


@pytest.mark.parametrize(("language", "name"), CASES)
def test_nothing_is_inline(language: str, name: str) -> None:
    """Run under a Content-Security-Policy that allows no inline style, script or handler."""
    page = Markup(rendered(name, language))
    assert not page.all("style")
    assert all(element["src"] and not element.text for element in page.all("script"))
    assert not [a for e in page.elements for a in e.attributes if a == "style" or a.startswith("on")]
    assert not [e for e in page.elements for a in ("href", "src", "action") if e[a].lower().startswith("javascript:")]


@pytest.mark.parametrize(("language", "name"), CASES)
def test_names_do_not_look_like_what_filter_lists_block(language: str, name: str) -> None:
    """Keep a content blocker from hiding the way to a choice."""
    for element in Markup(rendered(name, language)).elements:
        for value in (*element["class"].split(), element["id"]):
            assert not BLOCKED.search(value)
        assert all(one.startswith(("cst-", "consent-")) for one in element["class"].split())


def test_addresses_do_not_look_like_what_filter_lists_block() -> None:
    """Keep a content blocker from taking script and style away, whatever the digest in their names."""
    for asset in load(shown.STATIC).values():
        assert not BLOCKED_ADDRESSES.search(f"/privacy/assets/{asset.address}")
    assert BLOCKED_ADDRESSES.search("/privacy/cookie.js")
    assert BLOCKED_ADDRESSES.search("/privacy/assets/consent-banner.0123.js")


def test_nothing_moves() -> None:
    """Have no motion that somebody would have to ask to be spared."""
    for asset in load(shown.STATIC).values():
        if asset.name.endswith(".css"):
            assert not re.search(rb"animation|transition|scroll-behavior", asset.data), asset.name
        assert b"smooth" not in asset.data


def test_a_notice_that_scrolls_can_be_scrolled_by_keyboard() -> None:
    """Without a link in it, the text of the first layer takes the focus itself."""
    linked: list[dict[str, str]] = shown.banner()["policies"]
    for policies in ([], linked):
        page = Markup(PAGES.render("consent_banner.html", language="en", **shown.banner(policies=policies)))
        (told,) = [element for element in page.elements if element["class"] == "cst-told"]
        assert (told["tabindex"] == "0") is (not policies)


@pytest.mark.parametrize(("language", "name"), CASES)
def test_text_never_becomes_markup(language: str, name: str) -> None:
    """Escape a title that looks like a tag, wherever it is shown."""
    page = Markup(rendered(name, language))
    assert not page.all("b")


@pytest.mark.parametrize(("language", "name"), CASES)
def test_every_control_has_a_name_that_holds_its_label(language: str, name: str) -> None:
    """Let speech control press what it can read (WCAG 2.5.3), and a screen reader say it."""
    page = Markup(rendered(name, language))
    for element in (*page.all("button"), *page.all("a")):
        label = " ".join(element.text.split())
        assert label
        assert label in (element["aria-label"] or label)


@pytest.mark.parametrize("language", shown.LANGUAGES)
def test_fragments_are_ascii(language: str) -> None:
    """Fit into a page of any charset."""
    for name in ("banner", "banner, asked again", "link", "once form", "assets", "placeholder"):
        template, context = shown.every(language)[name]
        assert PAGES.fragment(template, language=language, **context).isascii()


@pytest.mark.parametrize("language", shown.LANGUAGES)
@pytest.mark.parametrize(
    "name",
    [
        "banner",
        "banner, asked again",
        "banner, open",
        "banner, open, asked again",
        "choices",
        "choices, given",
        "choices, open",
    ],
)
def test_yes_and_no_are_equal(language: str, name: str) -> None:
    """Give accept and reject the same element and class, side by side, accept first, in every layer."""
    page = Markup(rendered(name, language))
    order = [e for e in page.all("button", name="choice") if e["value"] in ("accept_all", "reject_all", "save")]
    yes, no = order[:2]
    assert {n: v for n, v in yes.attributes.items() if n != "value"} == {
        n: v for n, v in no.attributes.items() if n != "value"
    }
    assert yes["class"] == "cst-button"
    assert page.elements.index(no) - page.elements.index(yes) < 10
    if "again" not in name:
        assert [yes["value"], no["value"]] == ["accept_all", "reject_all"]


@pytest.mark.parametrize(
    ("language", "told", "buttons"),
    [
        ("en", ["3 services are in use for: analytics, media.", "on unless"], ["Keep all on", "Switch all off"]),
        ("uk", ["Використовуються 3 сервіси: analytics, media.", "увімкнено"], ["Лишити все", "Вимкнути все"]),
    ],
)
def test_banner_says_what_runs_unasked(language: str, told: list[str], buttons: list[str]) -> None:
    """Say that services are in use where the regime lets them run, and offer to keep them or to switch them off."""
    page = Markup(rendered("banner, open", language))
    (region,) = page.all("section", id="cst")
    for words in told:
        assert words in " ".join(region.text.split())
    pressed = page.all("button", name="choice")
    assert [(button["value"], button.text) for button in pressed] == [
        ("accept_all", buttons[0]),
        ("reject_all", buttons[1]),
    ]
    assert "We ask to use" not in region.text
    again = Markup(rendered("banner, open, asked again", language))
    assert {button["value"] for button in again.all("button", name="choice")} == {"save"}
    assert not {button.text for button in again.all("button")} & {"Accept these", "Прийняти це"}


@pytest.mark.parametrize("name", ["banner, new policy", "choices, given"])
def test_a_changed_policy_is_named_and_compared(name: str) -> None:
    """Say which policy is the reason for asking again, in which version, and lead to what changed in it."""
    links = Markup(rendered(name)).all("a", href="/privacy/policies/privacy/1...2?lang=en")
    assert f"{shown.ODD}, version 2" in [link.text for link in links]
    assert "What we ask for changed" not in rendered("banner, new policy")


def test_comparison_says_since_when_and_in_short() -> None:
    """Give the day and the summary of the newer version above what changed word by word."""
    (main,) = Markup(rendered("comparison")).all("main")
    assert f"In force since October 1, 2026. {shown.ODD}" in main.text


def test_status_is_said_without_pointing_to_switches() -> None:
    """Name what was agreed to, so that the sentence is true on the list of policies too."""
    for name in ("index", "choices, given"):
        (main,) = Markup(rendered(name)).all("main")
        assert f"You said yes, in whole or in part, to: analytics, {shown.ODD}." in main.text


def test_choices_show_what_runs_unasked() -> None:
    """Show what the regime lets run as on, and say that it runs only until there is an answer."""
    for name in ("index, open", "choices, open"):
        (main,) = Markup(rendered(name)).all("main")
        assert f"Until you answer, services are in use for: analytics, {shown.ODD}." in main.text
        assert "Nothing that needs your yes" not in main.text
    page = Markup(rendered("choices, open"))
    ticked = {(e["name"], e["value"]) for e in page.all("input", type="checkbox") if "checked" in e.attributes}
    assert ticked == {("purpose", "analytics"), ("service", "vidbox")}
    assert not page.all("button", value="withdraw")


def test_audit_rows_say_what_they_are_about() -> None:
    """Name the policy text that was published, and what a choice allowed."""
    (body,) = Markup(rendered("audit entries")).all("tbody")
    for words in (f"cookies {shown.ODD} uk", "Allowed: analytics, vidbox", "Nothing allowed"):
        assert words in body.text


def test_banner_asked_again_keeps_what_was_answered() -> None:
    """Carry every earlier yes and no in hidden fields, with what changed added or left out."""
    page = Markup(rendered("banner, asked again"))
    accept, reject = (hidden(page, form) for form in page.all("form", method="post"))
    told = [("notice", shown.DIGEST), ("next", "/en/news/river?page=2"), ("layer", "banner")]
    assert accept == [*told, ("purpose", "analytics"), ("purpose", "media"), ("except", "vidbox")]
    assert reject == [*told, ("purpose", "analytics")]


def test_banner_names_every_purpose_and_how_many_services() -> None:
    """Say on the first layer what for, how many, how long, and where to read more."""
    page = Markup(rendered("banner"))
    (region,) = page.all("section", id="cst")
    for words in ("The Meridian", "analytics", "media", "3 services", "6 months", "Privacy policy", "Cookie policy"):
        assert words in region.text
    assert "necessary" not in region.text


def test_the_three_answers_of_the_banner_look_the_same() -> None:
    """Give accept, reject and choose the same element and class, in this order; choosing is a form of its own."""
    buttons = Markup(rendered("banner")).all("button")
    assert [button["value"] for button in buttons] == ["accept_all", "reject_all", ""]
    assert {button["class"] for button in buttons} == {"cst-button"}
    assert buttons[2].form is not None
    assert (buttons[2].form["action"], buttons[2].form["method"]) == ("/privacy/choices", "")


def test_banner_is_a_region_and_not_modal() -> None:
    """Let the page behind be read and used."""
    page = Markup(rendered("banner"))
    (region,) = page.all("section", id="cst")
    assert region["aria-labelledby"] == "cst-title"
    assert not [e for e in page.elements if e["aria-modal"] or e["role"] == "dialog" or "autofocus" in e.attributes]


def test_signal_is_said_to_be_honored_only_where_it_is_sent() -> None:
    """Show the honored opt-out signal (CCPA regulations 7025(c)(6)), and nothing without one."""
    assert "Global Privacy Control" in rendered("banner, asked again")
    assert "Global Privacy Control" not in rendered("banner")
    assert "Global Privacy Control" in rendered("choices, given")
    assert "Global Privacy Control" not in rendered("choices")


def test_change_link_is_left_to_the_site_that_has_one() -> None:
    """Add no link of our own under `change_link = "site"`."""
    assert Markup(rendered("banner")).all("nav", **{"class": "cst-link"})
    assert not Markup(rendered("banner, site has a link")).all("nav")


def test_nothing_is_ticked_before_an_answer() -> None:
    """Start with every switch off (GDPR recital 32)."""
    page = Markup(rendered("choices"))
    boxes = page.all("input", type="checkbox")
    assert {(e["name"], e["value"]) for e in boxes} == {
        ("purpose", "analytics"),
        ("purpose", "media"),
        ("service", "vidbox"),
        ("service", "odd"),
    }
    assert not [e for e in boxes if "checked" in e.attributes]


def test_what_is_granted_is_ticked() -> None:
    """Tick a purpose that is granted as a whole, else the services that are granted on their own."""
    page = Markup(rendered("choices, given"))
    ticked = {(e["name"], e["value"]) for e in page.all("input", type="checkbox") if "checked" in e.attributes}
    assert ticked == {("purpose", "analytics"), ("service", "vidbox")}


def test_withdrawing_takes_one_button_and_only_where_something_is_granted() -> None:
    """Make taking back as easy as giving (GDPR article 7(3))."""
    (button,) = Markup(rendered("choices, given")).all("button", value="withdraw")
    assert button.form is not None
    assert button.form["action"] == "/privacy/choices"
    assert not Markup(rendered("choices")).all("button", value="withdraw")


def test_enter_in_the_form_saves_and_never_accepts() -> None:
    """Make the form's own default button the one that saves: accept and reject belong to another form."""
    page = Markup(rendered("choices"))
    buttons = [e for e in page.all("button") if e.form is not None and e.form["id"] == "cst-own"]
    assert [(e["value"], e["form"]) for e in buttons] == [
        ("accept_all", "cst-all"),
        ("reject_all", "cst-all"),
        ("save", ""),
    ]


@pytest.mark.parametrize("language", shown.LANGUAGES)
@pytest.mark.parametrize("name", ["placeholder", "placeholder, described", "placeholder, objected"])
def test_placeholder_is_phrasing_content(language: str, name: str) -> None:
    """Stand inside a paragraph without closing it."""
    page = Markup(rendered(name, language))
    assert {element.tag for element in page.elements} <= PHRASING


def test_placeholder_loads_once_or_always_unless_the_signal_objects() -> None:
    """Offer the buttons that the small forms send, but not where they would be refused."""
    once, always = Markup(rendered("placeholder")).all("button")
    assert (once["form"], once["name"], once["value"]) == ("cst-once", "service", "odd")
    assert (always["form"], always["name"], always["value"]) == ("cst-always", "service", "odd")
    assert once["class"] == always["class"]
    assert not Markup(rendered("placeholder, objected")).all("button")


def test_placeholder_shows_what_the_site_says_of_the_embed() -> None:
    """Take over title, picture, link, size and classes, with the picture and the size hidden from screen readers."""
    page = Markup(rendered("placeholder, described"))
    (picture,) = page.all("img")
    assert (picture["src"], picture["alt"], picture["width"], picture["height"]) == ("/p.jpg", "", "640", "")
    assert page.all("strong")[0].text == shown.ODD
    assert page.all("a", href="https://odd.example/")[0]["aria-label"] == f"Open as a link: {shown.ODD}"
    assert page.elements[0]["class"] == "cst-hold cst-x"
    (size,) = Markup(rendered("placeholder")).all("svg")
    assert size["aria-hidden"] == "true"


def test_choices_in_place_are_a_part_of_the_page() -> None:
    """Send a fragment whose headings lie below the page's, whose forms the script takes, and that can be left."""
    page = Markup(rendered("choices, in place"))
    assert not page.all("h1")
    assert not page.all("html")
    (heading,) = page.all("h2", id="cst-heading")
    assert "autofocus" in heading.attributes
    forms = [form for form in page.all("form") if form["method"] == "post"]
    assert forms
    assert all("data-cst-form" in form.attributes for form in forms)
    (leave,) = [button for button in page.all("button") if button.form and button.form["method"] == "dialog"]
    assert not leave["value"]
    assert not [form for form in Markup(rendered("choices")).all("form") if "data-cst-form" in form.attributes]


def test_link_needs_no_style_sheet() -> None:
    """Leave an answered page with one small link in a line of its own, by means of elements alone."""
    assert [e.tag for e in Markup(rendered("link")).elements] == ["nav", "p", "small", "a"]


def test_pages_say_their_language() -> None:
    """Mark our own elements with the language they are in (WCAG 3.1)."""
    for language in shown.LANGUAGES:
        (html,) = Markup(rendered("choices", language)).all("html")
        assert html["lang"] == language
        for name in ("banner", "placeholder", "link"):
            assert Markup(rendered(name, language)).elements[1 if name == "banner" else 0]["lang"] == language


def test_script_is_told_what_it_may_revive() -> None:
    """Pass the script its configuration in data attributes only."""
    (script,) = Markup(rendered("script")).all("script")
    told = {name: value for name, value in script.attributes.items() if name.startswith("data-")}
    assert told == {
        "data-lang": "en",
        "data-prefix": "/privacy",
        "data-notice": shown.DIGEST,
        "data-status": "unknown",
        "data-allowed": "consent necessary",
        "data-clear": "a b*",
    }


def test_first_visit_is_small() -> None:
    """Keep script, style and banner under 4,000, 3,000 and together 8,000 gzipped bytes."""
    script, style = (
        max(len(gzip.compress(load(shown.STATIC, Look(position=one))[name].data, 9)) for one in get_args(Position))
        for name in ("consent.js", "consent.css")
    )
    assert script <= 4000
    assert style <= 3000
    for language in shown.LANGUAGES:
        template, context = shown.every(language)["banner"]
        banner = PAGES.fragment(template, language=language, **context)
        assert script + style + len(gzip.compress(banner, 9)) <= 8000


FRAGMENTS = [
    (language, name) for language, name in CASES if name.startswith(("banner", "link", "once", "place", "ass"))
]


@pytest.mark.parametrize(("language", "name"), FRAGMENTS)
def test_fragments_are_xml_too(language: str, name: str) -> None:
    """A page of the site may be XHTML: what is put into it must not break it."""
    fragment = rendered(name, language).encode("ascii", "xmlcharrefreplace").decode("ascii")
    assert len(ElementTree.fromstring(f"<x>{fragment}</x>")) > 0
