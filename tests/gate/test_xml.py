"""Gate documents that a browser reads as XML."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.gate import scanner, xml
from consent.gate.html import nested
from consent.gate.insert import NOTHING, Insert
from consent.gate.rules import View
from consent.gate.xml import XmlGate
from tests.gate.example import NOBODY, rules
from tests.gate.xml_documents import DEAD, LIVE, NEED_SCRIPTING, SVG, XSL, X, filled

EVERYBODY = rules().view(frozenset(("tracker", "player", "login", "own-stats")))
UNSURE = {"entity", "default", "comment", "in-style"}


def gated(
    body: bytes | str, *, view: View = NOBODY, insert: Insert = NOTHING, cuts: Iterable[int] = ()
) -> tuple[bytes, XmlGate]:
    """Return a document gated, cut at the given offsets, and the gate."""
    data = body.encode() if isinstance(body, str) else body
    gate = XmlGate(view, charset="utf-8", nested=partial(nested, view, 0), insert=insert)
    out, last = [], 0
    for cut in (*cuts, len(data)):
        out.append(gate.feed(data[last:cut]))
        last = cut
    out.append(gate.end())
    return b"".join(out), gate


@pytest.mark.parametrize("name", [*LIVE, *NEED_SCRIPTING])
def test_what_lives_in_xml_is_parked(name: str) -> None:
    """Each is parked wherever it is cut, and passes as it came once it is agreed to, unless nobody can be sure."""
    body = filled((LIVE | NEED_SCRIPTING)[name][1], name)
    out, gate = gated(body)
    assert gate.parked
    assert gated(body, cuts=range(1, len(body.encode())))[0] == out
    passed, _ = gated(body, view=EVERYBODY)
    assert (passed == body.encode()) is (name not in UNSURE)


@pytest.mark.parametrize("name", DEAD)
def test_what_loads_nothing_keeps_its_bytes(name: str) -> None:
    """Comments, sections, links, plain entities."""
    body = filled(DEAD[name], name)
    out, gate = gated(body)
    assert out == body.encode()
    assert not gate.parked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '<svg><image xlink:href="//tracker.test/"/></svg>',
            '<svg><image data-consent-service="tracker" data-consent-xlink-href="//tracker.test/"/></svg>',
        ),
        (
            '<r><h:script type="module" src="//tracker.test/"/></r>',
            '<r><h:script type="text/plain" data-consent-service="tracker" data-consent-type="module"'
            ' data-consent-src="//tracker.test/"/></r>',
        ),
        (
            "<r><style><![CDATA[@import '//tracker.test/';]]></style></r>",
            '<r><style type="text/plain" data-consent-service="tracker">consent{}'
            "<![CDATA[@import '//tracker.test/';]]></style></r>",
        ),
        ('<?xml-stylesheet href="//tracker.test/"?><r/>', '<?consent-xml-stylesheet href="//tracker.test/"?><r/>'),
        ('<!DOCTYPE r SYSTEM "x" [<!ELEMENT r ANY>]><r/>', '<!DOCTYPE r SYSTEM "x" ><r/>'),
        ('<r data-consent-x="y"/>', '<r data-page-data-consent-x="y"/>'),
    ],
)
def test_the_parked_form_is_well_formed(before: str, after: str) -> None:
    """No prefix is bound that was not, and no attribute stands twice."""
    assert gated(before)[0].decode() == after


@pytest.mark.parametrize(
    "inner",
    [
        '<img src="http://tracker.test/"/>',
        '<img src="http://{$x}tracker.test/"/>',
        '<xsl:element name="img"><xsl:attribute name="src">http://tracker.test/</xsl:attribute></xsl:element>',
        '<img><xsl:attribute name="src"><![CDATA[http://tracker.test/]]></xsl:attribute></img>',
        "<img src=\"{concat('http://tracker.test', '/')}\"/>",
        "<xsl:value-of select=\"concat('http://tracker.test', '/')\"/>",
        '<xsl:import href="http://tracker.test/"/>',
        "<xsl:copy-of select=\"document('http://tracker.test/')\"/>",
    ],
)
def test_a_transformation_is_read_like_a_script(inner: str) -> None:
    """Where attributes are made of texts, a text that spells a held host goes."""
    body = f'<xsl:stylesheet version="1.0" {XSL}><xsl:template match="/">{inner}</xsl:template></xsl:stylesheet>'
    out, gate = gated(body)
    assert gate.parked
    assert gated(body, cuts=range(1, len(body)))[0] == out
    assert b' select="concat' not in out
    assert b">http://tracker.test" not in out
    assert gated(body, view=EVERYBODY)[0].decode() == body


def test_the_banner_follows_the_body_of_an_xhtml_page_alone() -> None:
    """It is written once, after `<body>`; other documents get none."""
    insert = Insert(banner=b"[B]")
    page = f"<?xml version='1.0'?><!DOCTYPE html><html {X}><head/><body class='x'><p/></body></html>"
    assert gated(page, insert=insert)[0].decode() == page.replace("'x'>", "'x'>[B]")
    other = f"<svg {SVG}><foreignObject><body {X}><p/></body></foreignObject></svg>"
    assert gated(other, insert=insert)[0].decode() == other


def test_what_is_too_long_is_neutralised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the cap a tag keeps its name, a script does not run, and a document type defines nothing."""
    for module in (scanner, xml):
        monkeypatch.setattr(module, "CAP", 1000)
    view = rules().view(frozenset())
    for body in (
        f'<r><script x="{"y" * 3000}" src="//tracker.test/"/><i/></r>',
        f"<r><script>{'y' * 3000}; new Image().src='//tracker.test/'</script><i/></r>",
        f'<?xml-stylesheet {" " * 3000} href="//tracker.test/"?><i/>',
    ):
        for step in (4000, 999, 7):
            out, gate = gated(body, view=view, cuts=range(step, len(body), step))
            assert gate.parked
            assert b' src="//tracker' not in out
            assert b"<?xml" not in out
            assert b"<script>" not in out
            assert out.endswith((b"<i/></r>", b"<i/>"))


_PIECES = st.sampled_from(
    (
        *("<r>", "</r>", "<?xml-stylesheet ", "?>", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE r [", "]>", "<", ">"),
        *("<script>", "</script>", '<img src="//tracker.test/"/>', "<x:style>", "</x:style>", '"', "&a;", "text", "é"),
        *('<!ENTITY a "b">', XSL, f"<xsl:x {XSL}>", "http://tracker.test/"),
    )
)


@given(st.lists(_PIECES, max_size=12).map("".join), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_cuts_change_nothing(body: str, step: int) -> None:
    """Whatever comes, in whatever pieces, the same goes out, and nothing raises."""
    out, gate = gated(body)
    assert gated(body, cuts=range(step, len(body.encode()), step))[0] == out
    if not gate.parked:
        assert body.encode().startswith(out)


def test_a_second_prefix_speaks_of_transformations_too() -> None:
    """A document may bind several prefixes to XSLT, and bind them anywhere."""
    value = "<y:value-of select=\"'http://tracker.test/'\"/>"
    body = f'<xsl:stylesheet version="1.0" {XSL}><a xmlns:y="http://www.w3.org/1999/XSL/Transform">{value}</a></xsl:stylesheet>'
    out, gate = gated(body)
    assert gate.parked
    assert b' select="' not in out
    assert gated(body, cuts=range(1, len(body)))[0] == out
