"""Turn a policy into HTML that is safe to serve, with a table of contents and the tables of services."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from consent.policies import tables
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts
from consent.policies.markdown import TABLE, local, safe_link, text_of, tokens
from consent.policies.tables import Entry, Group, Table, Value, Words

ID_PREFIX = "section-"
PREFIX = "/privacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Hold one line of a table of contents; `level` is that of the heading element, 2 to 6."""

    level: int
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPolicy:
    """Hold a policy as HTML, without its title, and its headings in order."""

    html: str
    contents: tuple[Heading, ...]


def render(document: PolicyVersion, *, facts: Facts, words: Words, prefix: str = PREFIX) -> RenderedPolicy:
    """Render a document with these facts, which for a published version are the ones archived with it.

    `words` is the wording of the document's language (keys: `tables.WORDS`). Raw HTML in the Markdown is shown as text;
    links lead to this site, the web, mail and telephones only; an image of another site becomes a link, because showing
    it would ask that site. Nothing in the result has an inline style or script. The title is left to the page: headings
    begin at h2. Links to `/privacy/…` lead to the `prefix` under which the site serves these pages.
    """
    contents = _Contents()
    found = tokens(document, facts)
    lowered = any(token.type == "heading_open" and token.tag == "h1" for token in found)
    parts = []
    for index, token in enumerate(found):
        if token.type in ("heading_open", "heading_close"):
            level = min(6, int(token.tag[1]) + lowered)
            token.tag = f"h{level}"
            if token.type == "heading_open":
                token.attrs = {"id": contents.add(level, text_of(found[index + 1])).id}
        elif token.type in ("th_open", "td_open"):
            # markdown-it writes the alignment as a style attribute, which a strict Content-Security-Policy refuses.
            align = str(token.attrs.pop("style", "")).partition(":")[2]
            if align:
                token.attrs["class"] = f"consent-align-{align}"
            if token.type == "th_open":
                token.attrs["scope"] = "col"
        elif token.type == TABLE:
            content = _table_field(token.info, document, facts, words, contents)
            parts.append(Token("html_block", "", 0, content=content))
            continue
        elif token.type == "inline" and prefix != PREFIX:
            _move_links(token, prefix)
        parts.append(token)
    html = _RENDERER.render(parts, _OPTIONS, {})
    return RenderedPolicy(html=html, contents=tuple(contents.headings))


class _Contents:
    """Collect headings, and give each an id of its own."""

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self._used: set[str] = set()

    def add(self, level: int, text: str) -> Heading:
        words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
        # The prefix keeps an id from shadowing a global of the page's scripts.
        wanted = self.unique(ID_PREFIX + ("-".join(words) or "1"))
        heading = Heading(level=level, id=wanted, text=" ".join(text.split()))
        self.headings.append(heading)
        return heading

    def unique(self, stem: str) -> str:
        wanted, number = stem, 1
        while wanted in self._used:
            number += 1
            wanted = f"{stem}-{number}"
        self._used.add(wanted)
        return wanted

    @property
    def below(self) -> int:
        """Return the level of a heading one below the last one."""
        return min(6, self.headings[-1].level + 1) if self.headings else 2


class _Renderer(RendererHTML):
    def link_open(self, found: Sequence[Token], index: int, options: OptionsDict, env: object) -> str:
        token = found[index]
        return f"<a{_link_attributes(str(token.attrs.get('href', '')))}{_title(token)}>"

    def image(self, found: Sequence[Token], index: int, options: OptionsDict, env: object) -> str:
        token = found[index]
        source, alt = str(token.attrs.get("src", "")), text_of(token)
        if local(source):
            return f'<img src="{escape(source)}" alt="{escape(alt)}"{_title(token)}>'
        return f"<a{_link_attributes(source)}{_title(token)}>{escape(alt or source)}</a>"

    def table_open(self, found: Sequence[Token], index: int, options: OptionsDict, env: object) -> str:
        return '<div class="consent-table"><table>\n'

    def table_close(self, found: Sequence[Token], index: int, options: OptionsDict, env: object) -> str:
        return "</table></div>\n"


_RENDERER = _Renderer()
_OPTIONS = OptionsDict(
    {
        "maxNesting": 20,
        "html": False,
        "linkify": False,
        "typographer": False,
        "quotes": "",
        "xhtmlOut": False,
        "breaks": False,
        "langPrefix": "language-",
        "highlight": None,
    }
)


def _move_links(token: Token, prefix: str) -> None:
    for child in token.children or ():
        href = str(child.attrs.get("href", ""))
        if child.type == "link_open" and href.startswith(f"{PREFIX}/"):
            child.attrs["href"] = prefix + href.removeprefix(PREFIX)


def _link_attributes(href: str) -> str:
    away = ' rel="noreferrer"' if re.match(r"(?:https?:)?//", href, re.IGNORECASE) else ""
    return f' href="{escape(href)}"{away}'


def _title(token: Token) -> str:
    title = str(token.attrs.get("title", ""))
    return f' title="{escape(title)}"' if title else ""


def _table_field(name: str, document: PolicyVersion, facts: Facts, words: Words, contents: _Contents) -> str:
    if name == "cookies":
        return _table(tables.cookies(facts, language=document.language, words=words))
    if name == "recipients":
        return _table(tables.recipients(facts, language=document.language, words=words))
    groups = tables.services(facts, language=document.language, words=words)
    level = contents.below
    html = "".join(_group(group, level, contents) for group in groups)
    return html or f"<p>{escape(words('policy.none'))}</p>\n"


def _group(group: Group, level: int, contents: _Contents) -> str:
    heading = contents.add(level, group.title)
    text = f"<p>{escape(group.text)}</p>\n" if group.text else ""
    entries = "".join(_entry(entry, min(6, level + 1), contents) for entry in group.entries)
    return (
        f'<section class="consent-purpose">\n<h{level} id="{escape(heading.id)}">{escape(group.title)}</h{level}>\n'
        f"{text}{entries}</section>\n"
    )


def _entry(entry: Entry, level: int, contents: _Contents) -> str:
    text = f"<p>{escape(entry.text)}</p>\n" if entry.text else ""
    details = "".join(
        f"<div><dt>{escape(detail.label)}</dt><dd>{'<br>'.join(map(_value, detail.values))}</dd></div>\n"
        for detail in entry.details
    )
    return (
        f'<section class="consent-service">\n<h{level} id="{contents.unique(f"service-{entry.key}")}">'
        f"{escape(entry.title)}</h{level}>\n{text}<dl>\n{details}</dl>\n</section>\n"
    )


def _table(table: Table) -> str:
    if not table.rows:
        return f"<p>{escape(table.empty)}</p>\n"
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in table.head)
    rows = "".join(
        f'<tr><th scope="row">{_value(row[0])}</th>{"".join(f"<td>{_value(value)}</td>" for value in row[1:])}</tr>\n'
        for row in table.rows
    )
    label = escape(", ".join(table.head))
    return (
        f'<div class="consent-table" tabindex="0" role="group" aria-label="{label}"><table>\n'
        f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _value(value: Value) -> str:
    text = f"<code>{escape(value.text)}</code>" if value.code else escape(value.text)
    if value.href and safe_link(value.href):
        return f"<a{_link_attributes(value.href)}>{text}</a>"
    return text or "—"
