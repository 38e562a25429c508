"""Gate what is spelled so that a server reads it one way and a browser another."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.choice.catalogue import Catalogue, Purpose, Service
from consent.gate import code, references
from consent.gate.css import addresses
from consent.gate.html import Gate
from consent.gate.rules import Rules
from tests.gate.example import gated, text
from tests.gate.fuzz import live

IMG = "<img src=//tracker.test/>"
XHTML = '<x xmlns="http://www.w3.org/1999/xhtml">{}</x>'


@pytest.mark.parametrize(
    "attribute",
    ["data-consent-service=necessary", 'DATA-consent-onerror="f()"', "data-consent-src=/x", "data-consent-"],
)
@pytest.mark.parametrize(
    "tag", ["<a {}>", "<img alt='' {}>", "<img src=//tracker.test/ {}>", "<iframe name=n {}>", "<svg><path {}/></svg>"]
)
def test_our_own_spelling_in_the_page_means_nothing(tag: str, attribute: str) -> None:
    """What the app sends in the spelling of parked attributes cannot be revived."""
    out = text(tag.format(attribute))
    assert f"data-page-{attribute}" in out
    assert ("data-consent-service=" in out.replace(f"data-page-{attribute}", "")) == ("tracker.test" in tag)


@pytest.mark.parametrize("tag", ["<a data-consent-open>", "<b data-consented=x>", "<b data-consent=necessary>"])
def test_the_sites_own_marks_are_left_as_they_are(tag: str) -> None:
    """The attribute that opens the choices, and marks, keep their names."""
    assert text(tag) == tag


def test_a_script_in_our_spelling_is_still_judged_by_its_text() -> None:
    """Renaming an attribute does not spare the script its look."""
    out = text("<script data-consent-x=1>trackerStats(1)</script>")
    assert out.startswith('<script type="text/plain" data-consent-service="tracker" data-page-data-consent-x=1>')
    own = text("<script data-consent-x=1>f()</script>")
    assert own == "<script data-page-data-consent-x=1>f()</script>"


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("&lta", "&lta"),
        ("&lt=", "&lt="),
        ("&lt a", "< a"),
        ("&lt", "<"),
        ("&lt;a", "<a"),
        ("&notit;", "&notit;"),
        ("&#1;", "\x01"),
        ("&#x80;", "\u20ac"),
        ("&#x81", "\x81"),
        ("&#0;&#xD800;&#99999999999;", "\ufffd\ufffd\ufffd"),
        ("&#116racker", "tracker"),
        ("&nope; & &;", "&nope; & &;"),
    ],
)
def test_references_are_read_as_in_an_attribute(value: str, meaning: str) -> None:
    """Names need their semicolon before letters, and controls are kept."""
    assert references.resolve(value) == meaning


@given(st.text())
def test_any_text_is_a_value_and_a_script(value: str) -> None:
    """Nothing makes reading references, escapes or imports raise."""
    references.resolve(value + "&#" + value)
    code.plain(value + "\\" + value)
    list(code.imports("import " + value))


@pytest.mark.parametrize(
    "markup",
    [
        f"<iframe srcdoc=\"&lta title='{IMG}'>\"></iframe>",
        f"<iframe srcdoc=\"<&#1;a title='{IMG}'>\"></iframe>",
        f'<iframe src="data:text/html; BASE64,{b64encode(IMG.encode()).decode()}"></iframe>',
        f'<iframe src="data: text/html,{IMG}"></iframe>',
        f'<iframe src="data:text/html;charset=utf-16le;base64,{b64encode(IMG.encode("utf-16le")).decode()}"></iframe>',
        f"<iframe src='data:application/foo+xml,{XHTML.format(IMG)}'></iframe>",
        f"<iframe src='data:text/xsl,{XHTML.format(IMG)}'></iframe>",
        f"<iframe src='data:application/xhtml+xml,{XHTML.format('<title>' + IMG + '</title>')}'></iframe>",
        "<iframe src='data:image/svg+xml,<?xml-stylesheet href=\"//tracker.test/\"?><svg/>'></iframe>",
        "<iframe src='data:text/xml,<!DOCTYPE x [<!ENTITY a \"&#60;b/>\">]><x/>'></iframe>",
        "<p style=\"background:image-set('data:;base64,AA' 9x, '//tracker.test/' 1x)\">",
        "<style>p{background:image-set('/a{}' 9x, '//tracker.test/' 1x)}</style>",
        '<style>p{background:url("https:\\\f//tracker.test/")}</style>',
        '<style>p{background:url("https://a\\"@tracker.test/")}</style>',
        '<style>p{background:u\\72l("https://a\\"@tracker.test/")}</style>',
        '<script type=importmap>{"imports":{"x":"\\u0068ttps://tracker.test/"}}</script>',
        '<script type=speculationrules>{"prefetch":[{"urls":["\\u0068ttps://tracker.test/"]}]}</script>',
        '<script type=module>import "\\x68ttps://player.t\\u{65}st/x"</script>',
        '<script type=module>import(/* x */ "https://player.test/x")</script>',
        '<script type=module>import a from/**/"https://player.test/x"</script>',
        '<svg><rect><set attributeName="filter" to="url(//tracker.test/#a)"/></rect></svg>',
        '<svg><animate attributeName="cursor" values="url(//tracker.test/),auto"/></svg>',
        "<body onload='trackerStats()'>",
        "<img src=/own.png onerror=\"new Image().src='https://player.test/'\">",
        "<iframe src=\"javascript:'\\x3cimg src=https://player.test>'\"></iframe>",
        "<script>s.src='https://player.test/x'</script>",
        '<script>s.src="https:\\/\\/cdn.player.test\\/x"</script>',
        "<script>s.src='\\x70layer.test/x'</script>",
        '<script>document.write("<img src=https://player.test/x>")</script>',
    ],
)
def test_odd_spellings_are_parked(markup: str) -> None:
    """What Chromium was seen to load is parked, wherever the page is cut."""
    whole, gate = gated(markup)
    assert gate.parked
    assert gated(markup, cuts=range(1, len(markup.encode())))[0] == whole


@pytest.mark.parametrize(
    "markup",
    [
        "<script>f('https://meridian.example/beacon')</script>",
        "<script>f('https://notplayer.test/')</script>",
        "<script>f('https://player.test.example/')</script>",
        "<script>f('https://login.test/')</script>",
        "<script>f('https://maps.test/other')</script>",
        '<script type=application/json>{"a": "https://player.test/"}</script>',
        "<script>let t = {}; x.player.testing()</script>",
        "<img src=/own.png onerror='this.hidden = true'>",
        "<iframe src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\"/>'></iframe>",
        "<iframe src='data:text/plain,//tracker.test/'></iframe>",
    ],
)
def test_what_only_looks_alike_passes(markup: str) -> None:
    """The site's own hosts, other hosts, data, and content that loads nothing keep their bytes."""
    out, gate = gated(markup)
    assert out.decode() == markup
    assert not gate.parked


def test_a_handler_is_parked_by_its_name() -> None:
    """An event handler is renamed and the element's own address stays."""
    assert text("<img src=/a onerror=trackerStats()>") == (
        '<img data-consent-service="tracker" src=/a data-consent-onerror=trackerStats()>'
    )


@pytest.mark.parametrize(
    ("markup", "parked"),
    [
        ("<img data-consent=necessary src=/a onerror=trackerStats()>", {"tracker"}),
        ("<img data-consent=necessary src=/a onerror='f()'>", set()),
        ("<img data-consent=player src=/a onload='new Image().src=\"//tracker.test\"'>", {"player", "tracker"}),
        ("<script data-consent=necessary src=/a.js onload=trackerStats()></script>", {"tracker"}),
        ("<a data-consent=necessary onclick='fetch(\"https://player.test/\")'>x</a>", {"player"}),
    ],
)
def test_a_mark_does_not_speak_for_event_handlers(markup: str, parked: set[str]) -> None:
    """What a marked element loads is as the mark says; what its handlers run is judged by itself."""
    out, gate = gated(markup)
    assert gate.parked == parked
    assert (b" onerror=t" in out, b" onload=" in out, b" onclick=" in out) == (False, False, False)


@pytest.mark.parametrize(
    ("address", "markup", "parked"),
    [
        ("https://meridian.example/", "<script src=stats/a.js></script>", True),
        ("https://meridian.example/news/1?q=/", "<script src=../stats/a.js></script>", True),
        ("https://meridian.example/stats/page", "<img src=a.gif>", True),
        ("https://meridian.example/", "<p style='background:url(stats/x.png)'>", True),
        ("https://meridian.example/", "<base href=/stats/><img src=a.gif>", True),
        ("https://meridian.example/", "<base href=https://meridian.example/st/><img src=../stats/a.gif>", True),
        ("https://meridian.example/news/", "<script src=stats/a.js></script>", False),
        ("https://meridian.example/", "<script src=statistics.js></script>", False),
        ("", "<script src=stats/a.js></script>", False),
    ],
)
def test_relative_addresses_start_from_the_page(address: str, markup: str, parked: bool) -> None:
    """A service on a path of the site is held however its path is written."""
    stats = Service(key="stats", purpose="analytics", hosts=("meridian.example/stats",))
    site = Rules(
        Catalogue(purposes=(Purpose(key="analytics"),), services=(stats,), known=()), site_hosts=("meridian.example",)
    )
    gate = Gate(site.view(frozenset()), charset="utf-8", address=address)
    gate.feed(markup.encode())
    gate.end()
    assert gate.parked == ({"stats"} if parked else set())


def test_escaped_line_ends_are_dropped_from_strings() -> None:
    """A backslash before a line end or a form feed leaves nothing."""
    for end in ("\n", "\r", "\r\n", "\f"):
        assert "https://x.test/" in list(addresses(f'a{{b:url("https:\\{end}//x.test/")}}'))


@pytest.mark.parametrize(
    "script",
    [
        'window.state={"video":{"src":"https://player.test/v/1","text":"He said: fetch it, Image by import"}}',
        'self.__next_f.push([1,"{\\"href\\":\\"https://player.test/\\"}"])',
        "var share = 'https://player.test/share?u='; track.push(share)",
    ],
    ids=["state", "pushed", "link"],
)
def test_a_script_that_only_holds_data_may_speak_of_any_host(script: str) -> None:
    """Pages carry their state in scripts, with addresses of videos and posts in it; without it they break."""
    markup = f"<script>{script}</script>"
    assert text(markup) == markup


@pytest.mark.parametrize(
    "markup",
    [
        "<svg><desc><mglyph>{script}",
        "<math><mi><annotation-xml><malignmark>{script}",
        "<svg><desc><div></desc>{script}",
        "<select><svg>{script}",
        "<div><svg></div>{script}",
        "<math><desc>{script}",
        "<p><b></p><svg><title>x</title>{script}",
        "<svg><desc><div></desc></svg></div></desc>{style}",
        "<svg><title><g></svg></g></title>{style}",
        "<math><mi><div></mi></math></div></mi>{style}",
        "<body><p><b></p><svg><title>x</title></svg></b></title>{style}",
        "<p><b></p><svg><g><desc>x</desc></g></svg></b></g>{style}",
        "<svg><desc><div></desc></svg></div></desc>{data}",
        "<div><svg></div><math></svg></div>x{style}",
        "<table><math></table><svg></math>{style}",
    ],
)
def test_foreign_content_that_outlives_its_end_tag_is_read_both_ways(markup: str) -> None:
    """Where HTML inside of foreign content keeps it open, or ends it, neither reading lets anything through."""
    script = '<script/>fetch("//tracker.test/")</script>'
    style = "<style><img src=//tracker.test/></style>"
    data = "<![CDATA[><img src=//tracker.test/>]]>"
    body = f"<!doctype html>{markup.format(script=script, style=style, data=data)}"
    assert gated(body.encode())[1].parked
    for scripting in (True, False):
        assert live(text(body).encode(), scripting=scripting) == []


@pytest.mark.parametrize(
    "markup",
    [
        "<svg><title>x</title><path d='M1 1'/></svg><script>if (1<b && '</p' > x) f()</script>",
        "<svg><foreignObject><div><p>x</p></div></foreignObject></svg><script>if (1<b && 2) f()</script>",
        "<svg></g><path/></svg><script>if (1<b && 2) f()</script>",
        "<div><svg></div></svg><script>if (1<b && 2) f()</script>",
        "<title>x</title></title><body><svg><title>x</title></svg><script>if (1<b && 2) f()</script>",
        "<body><template><title>x</title></template><script>if (1<b && 2) f()</script>",
    ],
)
def test_drawings_in_order_leave_the_scripts_after_them_alone(markup: str) -> None:
    """What is surely over by its end tag casts no doubt on the rest of the page."""
    assert text(f"<!doctype html>{markup}") == f"<!doctype html>{markup}"
