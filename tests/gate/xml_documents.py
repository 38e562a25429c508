"""Hold XML documents that ask the tracker in a browser, and some that only look as if they did."""

from __future__ import annotations

X = 'xmlns="http://www.w3.org/1999/xhtml"'
SVG = 'xmlns="http://www.w3.org/2000/svg"'
XSL = 'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"'
_XHTML, _XML, _SVG = "application/xhtml+xml", "text/xml", "image/svg+xml"
_STRICT = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">'
)

LIVE: dict[str, tuple[str, str]] = {
    "image": (_XHTML, f'<html {X}><body><img src="ASK"/></body></html>'),
    "frame": (_XHTML, f'<html {X}><body><iframe src="ASK"/></body></html>'),
    "srcdoc": (_XHTML, f"<html {X}><body><iframe srcdoc=\"&lt;img src='ASK'&gt;\"/></body></html>"),
    "style": (_XHTML, f'<html {X}><head><style>@import "ASK";</style></head><body/></html>'),
    "style-parts": (
        _XHTML,
        f'<html {X}><head><style>@import "http://tr<![CDATA[acker.t]]>estPATH";</style></head></html>',
    ),
    "attribute": (_XHTML, f"<html {X}><body style=\"background:url('ASK')\"/></html>"),
    "prefix": (_XML, '<h:html xmlns:h="http://www.w3.org/1999/xhtml"><h:img src="ASK"/></h:html>'),
    "odd-prefix": ("application/xml", '<é:html xmlns:é="http://www.w3.org/1999/xhtml"><é:img src="ASK"/></é:html>'),
    "entity": (
        _XHTML,
        f"<!DOCTYPE html [<!ENTITY x \"<img xmlns='http://www.w3.org/1999/xhtml' src='ASK'/>\">]><html {X}>&x;</html>",
    ),
    "plain-entity": (
        _XHTML,
        f'<!DOCTYPE html [<!ENTITY x "acker">]><html {X}><img src="http://tr&x;.testPATH"/></html>',
    ),
    "default": (_XHTML, f'<!DOCTYPE html [<!ATTLIST img src CDATA "ASK">]><html {X}><body><img/></body></html>'),
    "public-entity": (
        _XHTML,
        f'{_STRICT}<html {X}><body><img src="http://tracker&period;testPATH"/></body></html>',
    ),
    "title": (_XHTML, f'<html {X}><title><img src="ASK"/></title></html>'),
    "textarea": (_XHTML, f'<html {X}><body><textarea><img src="ASK"/></textarea></body></html>'),
    "in-style": (_XHTML, f'<html {X}><body><style><img src="ASK"/></style></body></html>'),
    "noscript": (_XHTML, f'<html {X}><body><noscript><img src="ASK"/></noscript></body></html>'),
    "instruction": (_XML, '<?xml-stylesheet type="text/css" href="ASK"?><r/>'),
    "late-instruction": (_XML, '<r/><?xml-stylesheet type="text/css" href="ASK"?>'),
    "after-comment": (_XHTML, f'<html {X}><!--> <p title="--><img src="ASK"/></html>'),
    "after-section": (_XHTML, f'<html {X}><![CDATA[ <p title=">]]><img src="ASK"/></html>'),
    "svg-image": (_SVG, f'<svg {SVG} xmlns:q="http://www.w3.org/1999/xlink"><image q:href="ASK"/></svg>'),
    "svg-use-style": (_SVG, f"<svg {SVG}><rect width='9' height='9' style=\"mask:url('ASK#a')\"/></svg>"),
    "svg-foreign": (_SVG, f'<svg {SVG}><foreignObject><p {X}><img src="ASK"/></p></foreignObject></svg>'),
    "utf-16": (_SVG, f'<?xml version="1.0"?><svg {SVG}><image href="ASK"/></svg>'),
    "sheet": (
        "text/xsl",
        f'<xsl:stylesheet version="1.0" {XSL}><xsl:template match="/"><html><img src="ASK"/></html></xsl:template>'
        "</xsl:stylesheet>",
    ),
}
"""Whether the tracker is asked: its address is written in for `ASK`, and its path alone for `PATH`."""

NEED_SCRIPTING: dict[str, tuple[str, str]] = {
    "script": (_XHTML, f'<html {X}><body><script src="ASK"/></body></html>'),
    "svg-script": (_SVG, f'<svg {SVG}><script href="ASK"/></svg>'),
    "section": (
        _XHTML,
        f'<html {X}><body><script>new Image().src="http://tr<![CDATA[acker.t]]>estPATH"</script></body></html>',
    ),
    "comment": (
        _XHTML,
        f'<html {X}><body><script>new Image().src="http://tr<!-- x -->acker.t<b/>estPATH"</script></body></html>',
    ),
    "reference": (
        _XHTML,
        f'<html {X}><body><script>new Image().src="http://tr&#x61;cker.testPATH"</script></body></html>',
    ),
    "handler": (_SVG, f"<svg {SVG} onload=\"new Image().src='ASK'\"/>"),
}

TRANSFORMED = '<?xml-stylesheet type="text/xsl" href="sheet"?><r/>'
"""Makes a page of the sheet that lies beside it."""

DEAD: dict[str, str] = {
    "comment": f'<html {X}><!-- <img src="ASK"/> --></html>',
    "section": f'<html {X}><p><![CDATA[<img src="ASK"/>]]></p></html>',
    "instruction": '<?other href="ASK"?><r/>',
    "link": f'<html {X}><body><a href="ASK">x</a></body></html>',
    "names": f'<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg"><!-- ASK -->]><svg {SVG} x="&ns;"/>',
    "own": f'<html {X}><head><script src="/own.js"/><style>p {{color:red}}</style></head><body>ASK</body></html>',
}


def filled(template: str, name: str) -> str:
    """Return a document that asks the tracker for its own name."""
    return template.replace("ASK", "http://tracker.testPATH").replace("PATH", f"/{name}")
