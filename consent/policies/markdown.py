"""Parse the Markdown of a policy into tokens, with what the settings know filled in."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from consent.policies.document import INLINE_FIELDS, TABLE_FIELDS, PolicyVersion, without_unset_lines
from consent.policies.facts import Facts

TABLE = "policy_table"
"""The type of the token that stands for a table of services or cookies; its `info` is the name of the table."""

_INLINE = re.compile(rf"\{{\{{[ \t]*(?P<name>{'|'.join(map(re.escape, INLINE_FIELDS))})\??[ \t]*\}}\}}")
_TABLE = re.compile(rf"\{{\{{[ \t]*(?P<name>{'|'.join(TABLE_FIELDS)})[ \t]*\}}\}}[ \t]*")
_EMAIL = re.compile(r"[^\s@<>()\[\]\",;:\\]+@[^\s@<>()\[\]\",;:\\]+\.[^\s@<>()\[\]\",;:\\]+")
_SCHEME = re.compile(r"\s*(?P<scheme>[^/?#]*?):")
_SCHEMES = ("http", "https", "mailto", "tel")


def tokens(document: PolicyVersion, facts: Facts | None) -> list[Token]:
    """Return the tokens of a document's body.

    Values out of `facts` come in as text after parsing, so that nothing in them is read as Markdown or HTML; addresses
    for mail and the web become links. Without facts the fields stay as they are written. A required field that the site
    has not set is shown in double brackets, as a place still to be filled in.
    """
    body = document.body
    if facts is not None:
        body = without_unset_lines(body, frozenset(name for name in INLINE_FIELDS if not facts.field(name).strip()))
    found: list[Token] = _PARSER.parse(body)
    for token in found:
        if token.children:
            token.children = [part for child in token.children for part in _filled(child, facts)]
    return found


def safe_link(address: str) -> bool:
    """Tell whether an address may stand in a policy: on this site, on the web, for mail or for a telephone."""
    scheme = _SCHEME.match(address)
    return (scheme is None or scheme["scheme"].lower() in _SCHEMES) and not re.search(r"[\x00-\x1f\x7f]", address)


def local(address: str) -> bool:
    """Tell whether an address lies on this site, so that showing it asks nobody else for anything."""
    return address.startswith("/") and not address.startswith(("//", "/\\"))


def text_of(token: Token) -> str:
    """Return the plain text of an inline token."""
    parts = []
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        else:
            parts.append(text_of(child) if child.children else child.content)
    return "".join(parts)


def _filled(token: Token, facts: Facts | None) -> list[Token]:
    if token.type != "policy_field":
        return [token]
    name = token.info
    if facts is None:
        return [_text(f"{{{{ {name} }}}}")]
    value = facts.field(name).strip()
    if not value:
        return [_text(f"[[{name}]]")]
    href = _href(value)
    if href:
        return [Token("link_open", "a", 1, attrs={"href": href}), _text(value), Token("link_close", "a", -1)]
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    parts = [_text(lines[0])]
    for line in lines[1:]:
        parts += [Token("hardbreak", "br", 0), _text(line)]
    return parts


def _href(value: str) -> str:
    if _EMAIL.fullmatch(value):
        return f"mailto:{value}"
    if value.startswith(("https://", "http://")) and not re.search(r"\s", value) and safe_link(value):
        return value
    return ""


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _field_rule(state: StateInline, silent: bool) -> bool:
    match = _INLINE.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("policy_field", "", 0).info = match["name"]
    state.pos = match.end()
    return True


def _table_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    match = _TABLE.fullmatch(state.src, state.bMarks[start] + state.tShift[start], state.eMarks[start])
    if match is None:
        return False
    if not silent:
        state.line = start + 1
        token = state.push(TABLE, "", 0)
        token.info = match["name"]
        token.map = [start, state.line]
    return True


class _PolicyMarkdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return safe_link(url)


def _parser() -> MarkdownIt:
    parser = _PolicyMarkdown("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    parser.inline.ruler.before("escape", "policy_field", _field_rule)
    parser.block.ruler.before("fence", TABLE, _table_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    return parser


_PARSER = _parser()
