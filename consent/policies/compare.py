"""Compare two versions of a policy so that a reader sees what changed, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from itertools import groupby
from typing import Literal

from markdown_it.token import Token

from consent.policies import tables
from consent.policies.document import PolicyVersion
from consent.policies.facts import Facts
from consent.policies.markdown import TABLE, tokens
from consent.policies.tables import Value, Words

Change = Literal["kept", "added", "removed", "changed"]

_UNITS = re.compile(r"\w+|\s+|[^\w\s]")
_MARKS = {"strong_open": "strong", "em_open": "em"}
_ALIKE = 0.4
"""How alike two blocks must be, from 0 to 1, to be shown as one block that changed."""
_PAIRS = 10_000
"""How many pairs of blocks are weighed against each other in one place before they are paired by order alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Hold one word, space or punctuation mark with the marks it stands under (`strong`, `em`, `code`) and its link."""

    text: str
    marks: tuple[str, ...] = ()
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Hold a run of words that were kept, added or removed together."""

    change: Literal["kept", "added", "removed"]
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """Return the segment without its marks."""
        return "".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Hold one heading, paragraph, list item, table row or code block; `kind` is the element that shows it."""

    change: Change
    kind: str
    segments: tuple[Segment, ...]

    @property
    def html(self) -> str:
        """Return the block as safe HTML: removed words in `<del>`, added ones in `<ins>`."""
        return _html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Hold what became of every block from an older version to a newer one."""

    blocks: tuple[Block, ...]

    @property
    def same(self) -> bool:
        """Tell whether a reader sees no difference at all."""
        return all(block.change == "kept" for block in self.blocks)

    @property
    def html(self) -> str:
        """Return all blocks as safe HTML: removed words in `<del>`, added ones in `<ins>`."""
        return "".join(block.html for block in self.blocks)

    def excerpt(self, *, around: int = 1) -> tuple[Block | None, ...]:
        """Return what changed with `around` kept blocks on either side; None stands where blocks are left out."""
        near = {
            index
            for centre, block in enumerate(self.blocks)
            if block.change != "kept"
            for index in range(centre - around, centre + around + 1)
        }
        shown: list[Block | None] = []
        for index, block in enumerate(self.blocks):
            if index in near:
                shown.append(block)
            elif not shown or shown[-1] is not None:
                shown.append(None)
        return tuple(shown)

    def text(self, *, around: int = 1) -> str:
        """Return the changes as plain text: `[-removed-]`, `{+added+}`, and `…` where unchanged blocks are left out."""
        return "\n\n".join("…" if block is None else _plain(block) for block in self.excerpt(around=around))


def compare(
    older: PolicyVersion, newer: PolicyVersion, *, words: Words, facts: tuple[Facts, Facts] | None = None
) -> Comparison:
    """Compare two documents block by block, and inside changed blocks word by word.

    `facts` are those of the older and of the newer version, so that a service that came or an address that moved shows
    too; without them fields and tables are compared as they are written. `words` is the wording of the page's language.
    """
    before = _blocks(older, facts[0] if facts else None, words)
    after = _blocks(newer, facts[1] if facts else None, words)
    return Comparison(blocks=tuple(_aligned(before, after)))


@dataclass(frozen=True, slots=True)
class _Raw:
    kind: str
    words: tuple[Word, ...]


def _blocks(document: PolicyVersion, facts: Facts | None, words: Words) -> list[_Raw]:
    found = [_Raw("h1", _cut(document.title))]
    kinds: list[str] = []
    row: list[Word] | None = None
    for token in tokens(document, facts):
        if token.type == TABLE:
            found += _table(token.info, document.language, facts, words)
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            found.append(_Raw("p", tuple(row or ())))
            row = None
        elif token.type == "heading_open":
            kinds.append(token.tag)
        elif token.type == "list_item_open":
            kinds.append("li")
        elif token.type in ("heading_close", "list_item_close"):
            kinds.pop()
        elif token.type in ("fence", "code_block"):
            found.append(_Raw("pre", _cut(token.content.rstrip("\n"), ("code",))))
        elif token.type == "inline":
            cut = _inline(token.children or [])
            if row is None:
                found.append(_Raw(kinds[-1] if kinds else "p", cut))
            else:
                row += (_cut(" · ") if row else ()) + cut
    return found


def _inline(children: Iterable[Token]) -> tuple[Word, ...]:
    cut: list[Word] = []
    marks: list[str] = []
    href = ""
    for child in children:
        if child.type in _MARKS:
            marks.append(_MARKS[child.type])
        elif child.type.removesuffix("_close") in ("strong", "em"):
            marks.pop()
        elif child.type == "link_open":
            href = str(child.attrs.get("href", ""))
        elif child.type == "link_close":
            href = ""
        elif child.type in ("softbreak", "hardbreak"):
            cut += _cut(" ", tuple(marks), href)
        elif child.type == "image":
            cut += _cut(child.content or str(child.attrs.get("src", "")), tuple(marks), str(child.attrs.get("src", "")))
        else:
            cut += _cut(child.content, (*marks, *(["code"] if child.type == "code_inline" else [])), href)
    return tuple(cut)


def _cut(text: str, marks: tuple[str, ...] = (), href: str = "") -> tuple[Word, ...]:
    return tuple(Word(text=unit, marks=marks, href=href) for unit in _UNITS.findall(text))


def _value(value: Value) -> tuple[Word, ...]:
    return _cut(value.text or "—", ("code",) if value.code else ())


def _table(name: str, language: str, facts: Facts | None, words: Words) -> Iterator[_Raw]:
    if facts is None:
        yield _Raw("p", _cut(f"{{{{ {name} }}}}"))
        return
    if name == "services":
        for group in tables.services(facts, language=language, words=words):
            yield _Raw("h3", _cut(group.title))
            if group.text:
                yield _Raw("p", _cut(group.text))
            for entry in group.entries:
                yield _Raw("h4", _cut(entry.title))
                if entry.text:
                    yield _Raw("p", _cut(entry.text))
                for detail in entry.details:
                    values = [_value(value) for value in detail.values]
                    joined = [word for n, value in enumerate(values) for word in (_cut(", ") if n else ()) + value]
                    yield _Raw("li", (*_cut(f"{detail.label}: "), *joined))
        return
    layout = tables.cookies if name == "cookies" else tables.recipients
    for row in layout(facts, language=language, words=words).rows:
        cells = [_value(value) for value in row]
        yield _Raw("p", tuple(word for n, cell in enumerate(cells) for word in (_cut(" · ") if n else ()) + cell))


def _aligned(before: Sequence[_Raw], after: Sequence[_Raw]) -> Iterator[Block]:
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (_whole("kept", block) for block in after[c:d])
            continue
        done_before, done_after = a, c
        for i, j in _pairs(before[a:b], after[c:d]):
            yield from (_whole("removed", block) for block in before[done_before : a + i])
            yield from (_whole("added", block) for block in after[done_after : c + j])
            yield _changed(before[a + i], after[c + j])
            done_before, done_after = a + i + 1, c + j + 1
        yield from (_whole("removed", block) for block in before[done_before:b])
        yield from (_whole("added", block) for block in after[done_after:d])


def _pairs(before: Sequence[_Raw], after: Sequence[_Raw]) -> list[tuple[int, int]]:
    """Pair the blocks that are versions of each other, in order, so that the likenesses add up to the most."""
    if len(before) * len(after) > _PAIRS:
        return [(n, n) for n in range(min(len(before), len(after))) if _likeness(before[n], after[n]) >= _ALIKE]
    likeness = [[_likeness(old, new) for new in after] for old in before]
    best = [[0.0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i in reversed(range(len(before))):
        for j in reversed(range(len(after))):
            paired = likeness[i][j] + best[i + 1][j + 1] if likeness[i][j] >= _ALIKE else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        if likeness[i][j] >= _ALIKE and best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(old: _Raw, new: _Raw) -> float:
    """Return how much of two blocks' words agree, spaces and marks left aside, from 0 to 1."""
    if old.kind != new.kind:
        return 0.0
    first, second = ([word.text for word in block.words if not word.text.isspace()] for block in (old, new))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE else 0.0


def _whole(change: Literal["kept", "added", "removed"], block: _Raw) -> Block:
    return Block(change=change, kind=block.kind, segments=(Segment(change=change, words=block.words),))


def _changed(old: _Raw, new: _Raw) -> Block:
    segments: list[Segment] = []
    for tag, a, b, c, d in SequenceMatcher(None, old.words, new.words, autojunk=False).get_opcodes():
        if tag == "equal":
            segments.append(Segment(change="kept", words=new.words[c:d]))
            continue
        if b > a:
            segments.append(Segment(change="removed", words=old.words[a:b]))
        if d > c:
            segments.append(Segment(change="added", words=new.words[c:d]))
    return Block(change="changed", kind=new.kind, segments=tuple(_joined(segments)))


def _joined(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Let a lone space between two changes belong to both, so that a rewritten phrase reads as one."""
    lone = [
        segment.change == "kept" and segment.text.isspace() and 0 < index < len(segments) - 1
        for index, segment in enumerate(segments)
    ]
    for blank, group in groupby(range(len(segments)), key=lambda n: segments[n].change == "kept" and not lone[n]):
        run = [segments[n] for n in group]
        if blank or len({"removed", "added"} & {segment.change for segment in run}) < 2:
            yield from run
            continue
        for change in ("removed", "added"):
            words = tuple(word for segment in run if segment.change in ("kept", change) for word in segment.words)
            yield Segment(change=change, words=words)


def _html(block: Block) -> str:
    tag = {"li": "p", "h1": "h2"}.get(block.kind, block.kind)
    item = " consent-item" if block.kind == "li" else ""
    inner = "".join(_segment(segment) for segment in block.segments)
    return f'<{tag} class="consent-{block.change}{item}">{inner}</{tag}>\n'


def _segment(segment: Segment) -> str:
    inner = "".join(
        _run(marks, href, "".join(word.text for word in group))
        for (marks, href), group in groupby(segment.words, key=lambda word: (word.marks, word.href))
    )
    tag = {"added": "ins", "removed": "del"}.get(segment.change)
    return f"<{tag}>{inner}</{tag}>" if tag else inner


def _run(marks: tuple[str, ...], href: str, text: str) -> str:
    html = escape(text)
    for mark in reversed(marks):
        html = f"<{mark}>{html}</{mark}>"
    return f'<a href="{escape(href)}">{html}</a>' if href else html


def _plain(block: Block) -> str:
    lead = "- " if block.kind == "li" else "#" * int(block.kind[1]) + " " if re.fullmatch("h[1-6]", block.kind) else ""
    parts = []
    for segment in block.segments:
        text = "".join(
            "".join(word.text for word in group) + (f" <{href}>" if href else "")
            for href, group in groupby(segment.words, key=lambda word: word.href)
        )
        parts.append({"added": f"{{+{text}+}}", "removed": f"[-{text}-]"}.get(segment.change, text))
    return lead + "".join(parts)
