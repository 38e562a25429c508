"""Make odd XML documents from a grammar of pieces, and find in what expat reads of them what would ask the tracker."""

from __future__ import annotations

import random
from xml.parsers import expat

from consent.gate import css
from consent.gate.address import read
from tests.gate.test_xml import gated

_X = "http://www.w3.org/1999/xhtml"
_S = "http://www.w3.org/2000/svg"
LIVE = (
    '<img src="http://tracker.test/"/>',
    "<h:img src='//tracker.test/'/>",
    '<script src="http://tracker.test/"/>',
    '<script src="//tracker&#46;test/" defer=""></script>',
    '<script>new Image().src="http://tracker.test/"</script>',
    '<h:script><![CDATA[new Image().src="http://tracker.test/"]]></h:script>',
    '<script>new Image().src="http://tra<![CDATA[cker]]>.t&#101;st/"</script>',
    '<style>@import "//tracker.test/";</style>',
    '<style><img src="//tracker.test/"/></style>',
    "<s:style>p{background:url(//tr<!-- x -->acker.test/)}</s:style>",
    "<s:image l:href='http://tracker.test/'/>",
    '<s:use href="//tracker.test/#a"/>',
    "<title><img src='//tracker.test/'/></title>",
    '<iframe src="http://tracker.test/"/>',
    '<iframe srcdoc="&lt;img src=//tracker.test/&gt;"/>',
    "<p style=\"background:url('//tracker.test/')\"/>",
    '<img src="http://&t;.test/"/>',
    "<?xml-stylesheet href='//tracker.test/'?>",
    '<object data="//tracker.test/"/>',
    '<video poster="//tracker.test/"><source src="//tracker.test/"/></video>',
    "<img alt='>' srcset='//tracker.test/ 2x'/>",
    "&live;",
)
ODD = (
    *(f"<{name}>" for name in ("p", "h:p", "s:g", "script", "style", "title", "textarea", "noscript", "s:svg", "q")),
    *(f"</{name}>" for name in ("p", "h:p", "s:g", "script", "style", "title", "textarea", "noscript", "s:svg", "q")),
    *("<p/>", "<s:svg/>", "<script/>", "<title/>", "<!-- a -->", "<!-->", "-->", "<!-- > -->", "<![CDATA[", "]]>"),
    *("<![CDATA[<p title='>]]>", "<?x ?>", "<?x > '?>", "<?", "?>", "&amp;", "&t;", "&#60;", "text", " ", "é", ">"),
    *("<p title='<", '<p title=">">', "</p >", "<p\n>", "<b a='1' a='2'>", "<é>", "</é>", "<p q='&quot;'/>"),
    *("<!-- <img src='//tracker.test/'/> -->", "<![CDATA[<img src='//tracker.test/'/>]]>", "<!DOCTYPE x>", "]>"),
)
_TYPES = (
    *("", "", "", "<!DOCTYPE html>", '<!DOCTYPE html [<!ENTITY t "tracker">]>'),
    "<!DOCTYPE html [<!ENTITY live \"<img xmlns='http://www.w3.org/1999/xhtml' src='//tracker.test/'/>\">]>",
    '<!DOCTYPE html [<!ATTLIST p style CDATA "background:url(//tracker.test/)">]>',
    "<!DOCTYPE html [ <!-- ]> --> <?x ]> ?> <!ENTITY t 'tracker'> ]>",
    '<!DOCTYPE html [<!ENTITY % p "x"> <!ENTITY t "tracker"> ]>',
)


def document(random_: random.Random) -> str:
    """Return one document; most of its elements are closed, so that readers get some way into it."""
    head = random_.choice(("", "<?xml version='1.0'?>")) + random_.choice(_TYPES)
    body: list[str] = []
    open_: list[str] = []
    for _ in range(random_.randint(1, 10)):
        if random_.random() < 0.4:
            body.append(random_.choice(LIVE))
            continue
        piece = random_.choice(ODD)
        if piece.startswith("</") and random_.random() < 0.9:
            if open_:
                body.append(f"</{open_.pop()}>")
            continue
        if piece.startswith("<") and piece[1:2].isalpha() and piece.endswith(">") and not piece.endswith("/>"):
            open_.append(piece[1:].split()[0].rstrip(">"))
        if random_.random() < 0.02:
            piece = piece[: random_.randrange(len(piece))]
        body.append(piece)
    if random_.random() < 0.9:
        body += [f"</{name}>" for name in reversed(open_)]
    names = f'xmlns="{_X}" xmlns:h="{_X}" xmlns:s="{_S}" xmlns:l="http://www.w3.org/1999/xlink"'
    return f"{head}<html {names}>{''.join(body)}</html>" + random_.choice(
        ("", "<?xml-stylesheet href='//tracker.test/'?>")
    )


def _asks(address: str) -> bool:
    return read(address).host == "tracker.test"


class _Reader:
    """Collect what a document asks for, up to its first mistake."""

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self._open: list[tuple[str, bool, list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        _, _, local = name.rpartition(" ")
        known = name.startswith((_X, _S))
        plain = {label.rpartition(" ")[2]: value for label, value in attributes.items()}
        if known:
            keys = [
                "src",
                "poster",
                *(["data"] if local == "object" else []),
                *(["href"] if name.startswith(_S) else []),
            ]
            self.leaks += [f"{local} {key}" for key in keys if _asks(plain.get(key, ""))]
            if any(map(_asks, plain.get("srcset", "").split())):
                self.leaks.append("srcset")
            if any(map(_asks, css.addresses(plain.get("style", "")))):
                self.leaks.append("style")
            if local == "iframe" and "tracker.test" in plain.get("srcdoc", ""):
                self.leaks.append("srcdoc")
        texts = known and local in ("script", "style") and plain.get("type", "") == "" and "src" not in plain
        self._open.append((local, texts, []))

    def text(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)

    def end(self, _: str) -> None:
        local, texts, pieces = self._open.pop()
        content = "".join(pieces)
        if texts and local == "script" and "tracker.test" in content:
            self.leaks.append("script text")
        if texts and local == "style" and any(map(_asks, css.addresses(content))):
            self.leaks.append("style text")

    def instruction(self, target: str, data: str) -> None:
        if target == "xml-stylesheet" and not self._open and "tracker.test" in data:
            self.leaks.append("xml-stylesheet")


def live(markup: bytes) -> list[str]:
    """Return what in a document would ask the tracker, as expat reads it."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.ProcessingInstructionHandler = reader.instruction
    try:
        parser.Parse(markup, True)
    except expat.ExpatError:
        return reader.leaks
    return reader.leaks


def judge(markup: str) -> tuple[int, list[str], bytes]:
    """Return how much of a document was live, what of it still is after gating, and the gated document."""
    body = markup.encode()
    out, _ = gated(body)
    return len(live(body)), live(out), out
