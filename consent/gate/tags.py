"""Judge one start tag: whose addresses it holds, and how it reads once they are parked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from consent.gate import references
from consent.gate.address import Address
from consent.gate.elements import (
    CONTENTS,
    DESCRIBES,
    EMBEDS,
    FRAMES,
    NEVER_PLAIN,
    PREVIEW,
    TEXTUAL,
    TRACKED,
    Text,
    text_kind,
    unseen,
)
from consent.gate.inquest import Inquest, Nested
from consent.gate.rules import Verdict, View
from consent.gate.tokens import ATTRIBUTE

PARKED = b"data-consent-"
MARK = "data-consent"
FOREIGN = b"data-page-"
"""Goes before the names of attributes that came in our own spelling: only what the gate parked may be revived."""
_OURS, _HARMLESS = "data-consent-", "data-consent-open"
STYLE_STOP = b"consent{}"
"""Begins the text of a parked style element. Chromium's preload scanner fetches what a style element imports whatever
its type is; behind a rule nothing is imported. Whoever revives the element takes this off again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Hold what is known about one start tag."""

    name: bytes
    rewritten: bytes | None = None
    """The tag with its addresses parked, None where it passes as it came."""
    held: tuple[str, ...] = ()
    """For whom: service keys, and "" for undeclared hosts."""
    found: tuple[str, ...] = ()
    """Undeclared third-party hosts it asks."""
    granted: bool = False
    """Whether something of a granted service passes."""
    text: Text = Text.NONE
    closes: bool = False
    """Whether it ends in a slash that is not part of a value."""
    breaks_out: bool = False
    base: Address | None = None
    """Where a passing `base` sends relative addresses, if to another host."""
    leaves_hole: bool = False
    """Whether a frame, an object or a player is missing where it is parked."""
    about: tuple[tuple[str, str], ...] = ()
    """The attributes that describe what is missing."""
    textual: bool = False
    """Whether the bytes that follow are text: a script's, a style's, a title's …"""
    tracked: bool = False
    """Whether it changes how the bytes that follow are read."""
    plain: bool = False
    """Nothing held, found, granted or changed for the bytes that follow."""

    @property
    def passes(self) -> bool:
        """Tell whether there is nothing to write, and nothing to report."""
        return not (self.held or self.found or self.granted) and self.rewritten is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Say how tags are read: as HTML, or as XML with the document's own entities.

    `transforms` holds the prefixes of XSLT's elements in a document that has such, where attributes are made of texts.
    """

    xml: bool = False
    entities: Mapping[str, str] = field(default_factory=dict)
    transforms: frozenset[bytes] | None = None


HTML = Dialect()


def attributes(raw: bytes, charset: str, dialect: Dialect = HTML) -> list[tuple[str, str, int, bool]]:
    """Return every attribute as name, value, offset of its name, and whether it is the first of that name."""
    found = []
    seen = set()
    for match in ATTRIBUTE.finditer(raw):
        value = match[2] if match[2] is not None else match[3] if match[3] is not None else match[4]
        name = match[1].lower().decode("latin-1")
        text = value.decode(charset, "replace") if value else ""
        found.append((name, references.resolve(text, more=dialect.entities), match.start(1), name not in seen))
        seen.add(name)
    return found


def _forged(label: str) -> bool:
    """Tell whether an attribute of the page is spelled like one that the gate writes."""
    return label.startswith(_OURS) and label != _HARMLESS


def _prefixed(tag: bytes, start: int, prefixes: dict[int, bytes]) -> bytes:
    pieces: list[bytes] = []
    last = start
    for place in sorted(prefixes):
        pieces += (tag[last:place], prefixes[place])
        last = place
    return b"".join((*pieces, tag[last:]))


def _unprefixed(tag: bytes, start: int, places: list[int]) -> bytes:
    """Return an XML tag in which the colons of some attributes' names are hyphens: they would bind a prefix."""
    whole = bytearray(tag)
    for place in places:
        match = ATTRIBUTE.match(tag, start + place)
        if match is not None:
            whole[match.start(1) : match.end(1)] = match[1].replace(b":", b"-")
    return bytes(whole)


def rewrite(tag: bytes, name_end: int, prefixes: dict[int, bytes], service: str, *, script: bool) -> bytes:
    """Return `tag` with attributes renamed by their offsets, and the service it is parked for after its name."""
    key = escape(service, quote=True).encode("ascii", "xmlcharrefreplace")
    pieces = [tag[:name_end], b' type="text/plain"' if script else b"", b' data-consent-service="', key, b'"']
    pieces.append(_prefixed(tag, name_end, prefixes))
    if script and tag[1:name_end].lower().rpartition(b":")[2] == b"style":
        pieces.append(STYLE_STOP)
    return b"".join(pieces)


class Judge:
    """Judge start tags and element texts of pages of one charset under one view."""

    def __init__(
        self, view: View, charset: str, bases: tuple[Address, ...], nested: Nested, dialect: Dialect = HTML
    ) -> None:
        self._view = view
        self._charset = charset
        self._bases = bases
        self._nested = nested
        self._dialect = dialect

    def _inquest(self, name: bytes, first: dict[str, str]) -> Inquest:
        return Inquest(self._view, self._bases, self._nested, name, first)

    def tag(self, tag: bytes, name_end: int) -> Judged:
        """Return what is known about a whole start tag; its name ends at offset `name_end`."""
        prefix, name = b"", tag[1:name_end].lower()
        if self._dialect.xml:
            prefix, _, name = name.rpartition(b":")
        listed = attributes(tag[name_end:-1], self._charset, self._dialect)
        first = {label: value for label, value, _, is_first in listed if is_first}
        inquest = self._inquest(name, first)
        transforms = self._dialect.transforms
        held: dict[str, str] = {}
        mark = first.get(MARK)
        if mark is not None:
            verdict = self._view.marked(mark)
            inquest.granted = verdict is None
            if verdict is not None:
                held = dict.fromkeys(inquest.holding(), verdict.service or "")
            # A mark speaks for what the element loads, and not for what runs beside it.
            for label, value in first.items():
                if label.startswith("on") and (found := inquest.attribute(label, value)) is not None:
                    held[label] = found.service or ""
        else:
            for label, value in first.items():
                found = inquest.attribute(label, value)
                if found is None and transforms is not None and (prefix in transforms or "{" in value):
                    found = next(map(Verdict, self._view.held_spelled(value)), None)
                if found is not None:
                    held[label] = found.service or ""
        text = text_kind(name, first)
        if mark is not None:
            if inquest.granted:
                text = Text.NONE
            elif name in (b"script", b"style") and not held:
                held = {"type": (self._view.marked(mark) or Verdict(mark)).service or ""}
        rewritten = None
        renamed = {name_end + place: FOREIGN for label, _, place, _ in listed if _forged(label)}
        keys = tuple(dict.fromkeys(held.values()))
        if held:
            parks_type = name in (b"script", b"style")
            names = set(held) | ({"type"} if parks_type else set()) | ({"name"} if name in FRAMES else set())
            renamed.update((name_end + place, PARKED) for label, _, place, _ in listed if label in names)
            if self._dialect.xml:
                tag = _unprefixed(tag, name_end, [place for label, _, place, _ in listed if label in names])
            rewritten = rewrite(tag, name_end, renamed, " ".join(keys), script=parks_type)
            if parks_type:
                text = Text.NONE
        elif renamed:
            rewritten = tag[:name_end] + _prefixed(tag, name_end, renamed)
        found_hosts = tuple(dict.fromkeys(inquest.found))
        closes = tag.endswith(b"/>") and not _slash_in_value(tag[name_end:-1])
        breaks_out = name == b"font" and not first.keys().isdisjoint(("color", "face", "size"))
        base = inquest.base if not held else None
        return Judged(
            name=name,
            rewritten=rewritten,
            held=keys,
            found=found_hosts,
            granted=inquest.granted,
            text=text,
            closes=closes,
            breaks_out=breaks_out,
            base=base,
            leaves_hole=name in EMBEDS and not CONTENTS.isdisjoint(held) and not unseen(first),
            about=self._about(first, inquest) if name in EMBEDS else (),
            plain=not (rewritten or found_hosts or inquest.granted or base) and name not in NEVER_PLAIN,
            textual=name in TEXTUAL,
            tracked=name in TRACKED,
        )

    @staticmethod
    def _about(first: dict[str, str], inquest: Inquest) -> tuple[tuple[str, str], ...]:
        """Return what an embed says about itself, without a picture that would ask somebody held: it is shown."""
        return tuple(
            (label, first[label])
            for label in DESCRIBES
            if label in first and (label != PREVIEW or inquest.address(first[label]) is None)
        )

    def park(self, tag: bytes, name_end: int, service: str) -> bytes:
        """Return a script's or style's start tag parked for what its text holds."""
        renamed = {
            name_end + place: PARKED if label == "type" else FOREIGN
            for label, _, place, _ in attributes(tag[name_end:-1], self._charset, self._dialect)
            if label == "type" or _forged(label)
        }
        return rewrite(tag, name_end, renamed, service, script=True)

    def sheet(self, raw: bytes) -> Judged:
        """Return what is known about an instruction that asks for a style sheet, from what follows its target."""
        first = {label: value for label, value, _, is_first in attributes(raw, self._charset) if is_first}
        href = first.get("href", "")
        inquest = self._inquest(b"link", {"rel": "stylesheet"})
        verdict = inquest.attribute("href", href)
        if href.strip().lower().startswith("data:") and first.get("type", "text/css").strip().lower() != "text/css":
            # A transformation that a page brings along is a program.
            verdict = verdict or Verdict(None)
        return Judged(
            name=b"",
            held=(verdict.service or "",) if verdict is not None else (),
            found=tuple(dict.fromkeys(inquest.found)),
        )

    def text(self, kind: Text, text: str) -> Judged:
        """Return what is known about the text of a script or style element."""
        inquest = self._inquest(b"style" if kind is Text.STYLE else b"script", {})
        held = list(inquest.text(kind, text))
        return Judged(
            name=b"",
            held=tuple(dict.fromkeys(held)),
            found=tuple(dict.fromkeys(inquest.found)),
            granted=inquest.granted,
        )


def _slash_in_value(raw: bytes) -> bool:
    """Tell whether the last slash belongs to an unquoted value, as in `<a href=x/>`."""
    last = max(ATTRIBUTE.finditer(raw), key=lambda match: match.start(), default=None)
    return last is not None and last[4] is not None and last.end() == len(raw) and last[4].endswith(b"/")
