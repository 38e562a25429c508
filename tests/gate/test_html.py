"""Gate whole pages: what is parked, what is untouched, what is written in."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.gate import html, scanner
from consent.gate.html import Gate, Insert
from consent.gate.rules import Undeclared
from tests.gate.example import CASES, NOBODY, case_body, gated, rules, text
from tests.gate.fuzz import document

EVERYBODY = rules().view(frozenset(("tracker", "player", "login", "own-stats")))
STRICT = rules(Undeclared.HOLD).view(frozenset())
# Dead for the tree builder, but the same bytes could live in another context: gated, as both readings are.
_GATED_THOUGH_DEAD = {
    *("svg_desc_style", "svg_fo_textarea", "template_inert", "nul_in_tag", "two_open", "script_dbl_escaped"),
    "plain_preconnect",
}


@pytest.mark.parametrize("case", CASES, ids=[str(case["id"]) for case in CASES])
def test_a_collected_case_is_gated_if_it_lives_and_else_left_alone(case: dict[str, object]) -> None:
    """What a browser would ask for is parked, and what it would not ask for keeps its bytes."""
    body, charset = case_body(case)
    out, gate = gated(body, charset=charset)
    live = bool(case["live_with_scripting"] or case["live_without_scripting"])
    identity = str(case["id"])
    if live or identity in _GATED_THOUGH_DEAD:
        assert gate.parked
    else:
        assert not gate.parked
        kept = body if identity != "unclosed_tag_eof" else body[: body.rindex(b"<")]
        assert out == kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '<script async src="//tracker.test/a.js"></script>',
            '<script type="text/plain" data-consent-service="tracker" async'
            ' data-consent-src="//tracker.test/a.js"></script>',
            id="script",
        ),
        pytest.param(
            '<script type="module" src="//tracker.test/a.js"></script>',
            '<script type="text/plain" data-consent-service="tracker" data-consent-type="module"'
            ' data-consent-src="//tracker.test/a.js"></script>',
            id="module",
        ),
        pytest.param(
            "<script>trackerStats(1)</script>",
            '<script type="text/plain" data-consent-service="tracker">trackerStats(1)</script>',
            id="inline",
        ),
        pytest.param(
            "<script data-consent=analytics>f()</script>",
            '<script type="text/plain" data-consent-service="analytics" data-consent=analytics>f()</script>',
            id="marked",
        ),
        pytest.param(
            "<script data-consent='n&quot;x'>f()</script>",
            '<script type="text/plain" data-consent-service="n&quot;x" data-consent=\'n&quot;x\'>f()</script>',
            id="marked-with-an-unknown-key",
        ),
        pytest.param(
            '<img src="/own.png" srcset="//tracker.test/a 1x">',
            '<img data-consent-service="tracker" src="/own.png" data-consent-srcset="//tracker.test/a 1x">',
            id="only-the-held-attribute",
        ),
        pytest.param(
            "<iframe data-consent=player src=/own></iframe>",
            '<iframe name="consent-1" data-consent-service="player" data-consent=player data-consent-src=/own>'
            "</iframe>",
            id="marked-frame",
        ),
        pytest.param(
            "<link rel=preload as=image imagesrcset='//tracker.test/a 1x' href=//tracker.test/b>",
            '<link data-consent-service="tracker" rel=preload as=image'
            " data-consent-imagesrcset='//tracker.test/a 1x' data-consent-href=//tracker.test/b>",
            id="preload",
        ),
        pytest.param(
            "<style>p{background:u\\72l(//tracker.test/x)}</style>",
            '<style type="text/plain" data-consent-service="tracker">'
            "consent{}p{background:u\\72l(//tracker.test/x)}</style>",
            id="style",
        ),
    ],
)
def test_a_held_tag_is_parked_in_this_form(before: str, after: str) -> None:
    """The parked form is the one that the visitor's script can undo."""
    assert text(before) == after


@pytest.mark.parametrize(
    "markup",
    [
        "<script src='http://tracker&period;test/'></script>",
        '<script type=importmap>{"imports":{"a":"https:\\/\\/tracker.test\\/a"}}</script>',
        '<script type=speculationrules>{"prefetch":[{"urls":["https://tracker.test/"]}]}</script>',
        "<script type=module>import x from 'https://player.test/x.js'</script>",
        '<script src="data:text/javascript,trackerStats()"></script>',
        "<iframe srcdoc='<img src=//tracker.test/>'></iframe>",
        "<iframe src='data:text/html,<img src=//tracker.test/>'></iframe>",
        "<iframe src='data:text/html;base64,PGltZyBzcmM9Ly90cmFja2VyLnRlc3QvPg=='></iframe>",
        "<iframe src='javascript:trackerStats()'></iframe>",
        "<frame src=//tracker.test>",
        "<image src=//tracker.test>",
        "<source srcset='/a 1x, //tracker.test/b 2x'>",
        "<video poster=//tracker.test></video>",
        "<audio src=//tracker.test></audio>",
        "<track src=//tracker.test>",
        "<embed src=//tracker.test>",
        "<object data=//tracker.test></object>",
        "<applet archive=//tracker.test></applet>",
        "<link rel=manifest href=//tracker.test>",
        "<link rel='dns-prefetch' href=//tracker.test>",
        "<link rel='alternate stylesheet' href=//tracker.test>",
        "<input type=image src=//tracker.test>",
        "<body background=//tracker.test>",
        "<td background=//tracker.test>",
        "<a ping='/own //tracker.test/p'>",
        "<img attributionsrc=//tracker.test>",
        "<meta http-equiv=Refresh content=\"0; URL='//tracker.test'\">",
        "<base href=//tracker.test>",
        "<div style=\"background-image:image-set('//tracker.test/x' 1x)\">",
        "<style>@import/**/'//tracker.test';</style>",
        "<svg><use href=//tracker.test/x /></svg>",
        "<svg><feImage xlink:href=//tracker.test /></svg>",
        "<svg><style>@import '//tracker.test'</style></svg>",
        "<svg><image><set attributeName=href to=//tracker.test></image></svg>",
        "<svg><rect fill='url(//tracker.test/#a)'/></svg>",
        "<svg><desc><script/>trackerStats()</script></desc></svg>",
        "<noscript><img src=//tracker.test></noscript>",
        "<template shadowrootmode=open><img src=//tracker.test></template>",
        "<img src=//widget.test/known>",
    ],
)
def test_everything_that_loads_is_held(markup: str) -> None:
    """Each way to load something is parked, and passes once it is agreed to."""
    out, gate = gated(markup)
    assert gate.parked <= {"tracker", "player", "widget"}
    assert gate.parked
    assert out != markup.encode()
    if "widget" not in gate.parked:
        assert text(markup, view=EVERYBODY) == markup


@pytest.mark.parametrize(
    "markup",
    [
        "<!-- <script src=//tracker.test></script> --><p>x",
        "<textarea><img src=//tracker.test></textarea>",
        "<title><img src=//tracker.test></title>",
        "<style>/* <img src=//tracker.test> */</style>",
        '<script type="application/ld+json">{"@id":"https://tracker.test/","n":"<img src=//tracker.test>"}</script>',
        "<a href=//tracker.test>x</a>",
        "<link rel=canonical href=//tracker.test>",
        "<link itemprop=url href=//tracker.test>",
        "<form action=//tracker.test></form>",
        "<p>trackerStats( and <code>tracker.test</code>",
        "<img src=/own srcset='/a 1x, https://img.meridian.example/b 2x'>",
        "<img alt='//tracker.test' src=/tracker.test>",
        "<svg><path d='M0 0' fill='url(#a)' style='fill:red'/><title>x</title></svg>",
        "<p style='color:red'>",
        "<blockquote cite=//tracker.test>",
        "<script src=//login.test></script>",
        "<meta property=og:image content=//tracker.test>",
        "<img src=data:image/gif;base64,R0lGOD>",
        "caf\u00e9 \x00 < a <3 &lt; </",
    ],
)
def test_what_loads_nothing_is_left_alone(markup: str) -> None:
    """Text, comments, data and links to follow keep every byte."""
    out, gate = gated(markup)
    assert out == markup.encode()
    assert not gate.parked


def test_a_base_on_an_undeclared_host_carries_its_relative_addresses_along() -> None:
    """Relative addresses are judged as what the base makes of them."""
    page = "<base href=//maps.test/><iframe src=embed?x></iframe><img src=other>"
    out, gate = gated(page)
    assert gate.parked == {"player"}
    assert gate.found == {"maps.test"}
    assert b"<img src=other>" in out


def test_a_held_base_leaves_relative_addresses_to_the_site() -> None:
    """A base that is parked no longer sends anything anywhere."""
    assert text("<base href=//tracker.test/><img src=x>").endswith("<img src=x>")


@pytest.mark.parametrize(
    ("page", "first"),
    [
        ("<!doctype html><html><head></head><body class=x>{}<p>", "whole"),
        ("\ufeff \n<!-- x --><!DOCTYPE html><title>t</title><link rel=icon href=/i>{}<div>", "no body tag"),
        ("<?xml version='1.0'?><html><meta charset=utf-8><script>1</script>{}<p><body>", "element first"),
        ("<html>{}<svg></svg>", "foreign first"),
        ("<!doctype html><head><template><p></p></template></head><body>{}x", "template in the head"),
        ("<!doctype html><head><noscript><img src=/x></noscript></head><body>{}x", "noscript in the head"),
    ],
)
def test_the_banner_stands_where_the_body_begins(page: str, first: str) -> None:
    """The banner follows the body tag, or comes before the first element that is not of the head."""
    body = page.replace("{}", "")
    for cuts in ((), range(1, len(body.encode()))):
        out, _ = gated(body, insert=Insert(banner=b"[B]"), cuts=cuts)
        assert out.decode() == page.replace("{}", "[B]"), first


@pytest.mark.parametrize(
    "page",
    ["<p>a fragment", "text <html>", "<!doctype html><frameset><frame src=/x></frameset>", "<div><body>", "", "<body>"],
)
def test_no_banner_in_what_is_no_document(page: str) -> None:
    """Fragments and framesets get none."""
    for cuts in ((), range(1, len(page))):
        assert gated(page, insert=Insert(banner=b"[B]"), cuts=cuts)[0].decode() == page


@pytest.mark.parametrize(
    ("preview", "shown"), [("/own.jpg", True), ("/beacon/p.jpg", False), ("/BEACON/x/../y", False)]
)
def test_a_preview_that_asks_somebody_held_is_not_shown(preview: str, shown: bool) -> None:
    """A picture on a path of the site that belongs to a service does not stand in a placeholder either."""
    told: list[dict[str, str]] = []

    def placeholder(service: str, tag: str, about: Iterable[tuple[str, str]]) -> bytes:
        told.append(dict(about))
        return b""

    frame = f'<iframe src="//player.test/1" title=x data-consent-preview="{preview}"></iframe>'
    gated(frame, insert=Insert(placeholder=placeholder))
    assert told == [{"title": "x"} | ({"data-consent-preview": preview} if shown else {})]


def test_the_first_gated_tag_is_announced_once_and_placeholders_stand_before_embeds() -> None:
    """What is written in goes before the tag it is for."""
    insert = Insert(first_gated=b"[S]", placeholder=lambda service, tag, about: f"[{tag} {service}]".encode())
    page = "<p><img src=//tracker.test><iframe src=//player.test></iframe><video poster=//player.test></video>"
    out = text(page, insert=insert)
    assert out.startswith('<p>[S]<img data-consent-service="tracker"')
    assert out.count("[S]") == 1
    assert '[iframe player]<iframe name="consent-1" data-consent-service="player"' in out
    assert "[video" not in out


@pytest.mark.parametrize(
    "page",
    ["<noscript><img src=//tracker.test></noscript>", "<svg><image href=//tracker.test /></svg>", "<p>nothing"],
)
def test_nothing_is_written_where_two_readings_are_possible(page: str) -> None:
    """Markup of ours inside of noscript or SVG could mean something else."""
    insert = Insert(first_gated=b"[S]", placeholder=lambda service, tag, about: b"[P]")
    assert "[" not in text(page, insert=insert)


def test_a_granted_tag_is_announced_on_request() -> None:
    """With `also_granted` the script comes along where a granted service runs."""
    page = "<p><script src=/own.js></script><script src=//tracker.test></script>"
    insert = Insert(first_gated=b"[S]", also_granted=True)
    assert text(page, view=EVERYBODY, insert=insert) == page.replace("<script src=//", "[S]<script src=//")
    assert text("<p><script src=//login.test></script>", view=EVERYBODY, insert=insert).count("[S]") == 0


def test_undeclared_hosts_are_found_and_held_on_request() -> None:
    """`report` names the host, `hold` parks it too."""
    page = "<img src=//x.example/y><img src=/own>"
    out, gate = gated(page)
    assert (out.decode(), gate.found, gate.parked) == (page, {"x.example"}, set())
    out, gate = gated(page, view=STRICT)
    assert (gate.found, gate.parked) == ({"x.example"}, {""})
    assert out.decode() == '<img data-consent-service="" data-consent-src=//x.example/y><img src=/own>'


def test_a_style_held_for_an_attribute_is_not_read_as_a_sheet() -> None:
    """A style element whose start tag is parked loads nothing by its text either."""
    out = text("<style src=//tracker.test>@import '//tracker.test';</style>")
    assert out.startswith('<style type="text/plain" data-consent-service="tracker" data-consent-src=')
    assert ">consent{}@import" in out


def test_an_unfinished_tag_at_the_end_is_dropped() -> None:
    """Nothing that follows the page can finish its last tag."""
    assert text("<p>x</p><script src='//tracker.test/") == "<p>x</p>"
    assert text("<p>x</p><img alt") == "<p>x</p>"


def _random(seed: int) -> random.Random:
    return random.Random(seed)


def _cuts(data: bytes, seed: int) -> list[int]:
    random_ = _random(seed)
    return sorted(random_.randrange(len(data) + 1) for _ in range(random_.randint(1, 12)))


@pytest.mark.parametrize("case", CASES, ids=[str(case["id"]) for case in CASES])
def test_a_case_cut_into_bytes_comes_out_the_same(case: dict[str, object]) -> None:
    """The cuts between chunks change nothing, down to single bytes."""
    body, charset = case_body(case)
    insert = Insert(banner=b"[B]", first_gated=b"[S]", placeholder=lambda service, tag, about: b"[P]")
    whole, gate = gated(body, charset=charset, insert=insert)
    pieces, other = gated(body, charset=charset, insert=insert, cuts=range(1, len(body)))
    assert pieces == whole
    assert (gate.parked, gate.found) == (other.parked, other.found)


@given(st.integers(min_value=0, max_value=2**32))
@settings(max_examples=300, deadline=None)
def test_an_odd_document_comes_out_the_same_however_it_is_cut(seed: int) -> None:
    """Chunking does not matter for any document the grammar makes."""
    body = document(_random(seed)).encode()
    insert = Insert(banner=b"[B]", first_gated=b"[S]")
    whole, _ = gated(body, insert=insert)
    assert gated(body, insert=insert, cuts=_cuts(body, seed))[0] == whole
    assert gated(body, insert=insert, cuts=range(1, len(body)))[0] == whole


_ODD_BYTES = (
    b"<",
    b">",
    b"</",
    b"<!--",
    b"-->",
    b'="',
    b"='",
    b" src",
    b"<script",
    b"<svg>",
    b"<![CDATA[",
    b"]]>",
    b"<p ",
)
_MARKUP = st.binary(max_size=40) | st.sampled_from(_ODD_BYTES)


@given(st.lists(_MARKUP, max_size=12).map(b"".join), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_any_bytes_pass_and_none_is_added(body: bytes, seed: int) -> None:
    """Whatever bytes come, nothing raises, and what holds nothing comes out as it came."""
    out, gate = gated(body)
    assert gated(body, cuts=_cuts(body, seed))[0] == out
    if not gate.parked:
        assert body.startswith(out) or out == body


@given(st.integers(min_value=0, max_value=2**32))
@settings(max_examples=200, deadline=None)
def test_outside_of_gated_tags_every_byte_is_as_it_came(seed: int) -> None:
    """Undoing the parking gives the document back, but for what was emptied or cut off at the end."""
    body = document(_random(seed)).encode()
    out, gate = gated(body)
    if "" in gate.parked:
        return
    undone = out.replace(b' type="text/plain" data-consent-service="tracker"', b"")
    undone = (
        re.sub(rb' name="consent-\d+"', b"", undone)
        .replace(b' data-consent-service="tracker"', b"")
        .replace(b"data-consent-", b"")
        .replace(b"consent{}", b"")
    )
    assert body.startswith(undone)


def test_a_page_gated_twice_in_one_view_is_the_same() -> None:
    """A remembered verdict says what a fresh one said."""
    page = document(_random(5)) * 20
    assert text(page) == text(page, view=rules().view(frozenset())) == text(page)


@pytest.mark.parametrize(
    "markup",
    [
        "<p>a</p><div title='{}' src=//tracker.test>b</div>c",
        "<p>a</p><img alt={} src=//tracker.test>b",
        "<p>a</p><script>{};trackerStats()</script>b",
        "<p>a</p><style>{};p{{background:url(//tracker.test)}}</style>b",
        "<p>a</p><noscript>{}<img src=//tracker.test></noscript>b",
        "<p>a</p><svg><![CDATA[>{}<img src=//tracker.test>]]></svg>b",
        "<p>a</p><script src=//tracker.test x={}></script>b",
        "<p>a</p></div title={}>b",
        "<p>a</p><{}>b",
        "<p>a</p><!--{}-->b",
    ],
)
def test_what_is_too_long_to_hold_is_neutralised_and_scanning_goes_on(
    markup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the cap nothing is asked for, the rest of the page arrives, and chunking still does not matter."""
    for module in (scanner, html):
        monkeypatch.setattr(module, "CAP", 1000)
    body = markup.format("y" * 3000) + "<i>rest</i>"
    view = rules().view(frozenset())
    whole, _ = gated(body, view=view)
    assert whole.startswith(b"<p>a</p>")
    assert whole.endswith(b"b<i>rest</i>") or whole.endswith(b"c<i>rest</i>")
    assert b" src=//tracker.test" not in whole
    for step in (1, 7, 999, 1001):
        assert gated(body, view=view, cuts=range(step, len(body), step))[0] == whole


def test_little_is_held_while_a_page_streams() -> None:
    """A chunk of plain markup goes out at once, but for a tag cut in two."""
    gate = Gate(NOBODY, charset="utf-8")
    assert gate.feed(b"<p>one</p><p>two</p><di") == b"<p>one</p><p>two</p>"
    assert gate.feed(b"v><!-- long") == b"<div><!-- l"
    assert gate.feed(b" comment --><script src=/own.js>") == b"ong comment --><script src=/own.js>"


def test_parked_frames_are_told_apart_from_every_earlier_visit() -> None:
    """Each has a name of its own, in markup that can be read in two ways too; its old name is kept for its return."""
    body = "<iframe name=a src=//tracker.test></iframe><svg><iframe src=//tracker.test></iframe></svg>"
    body += "<iframe src=//tracker.test></iframe>"
    out = text(body)
    assert re.findall(r'<iframe name="([^"]+)"', out) == ["consent-1", "consent-2", "consent-3"]
    assert "data-consent-name=a" in out
