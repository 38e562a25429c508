"""Judge one start tag: whose addresses it holds, and how it reads once they are parked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

from consent.gate import code, css, local, references
from consent.gate.address import Address, read
from consent.gate.elements import (
    ANIMATIONS,
    BY_NAME,
    CONNECTS,
    CONTENTS,
    DESCRIBES,
    DOCUMENTS,
    EMBEDS,
    FRAMES,
    LISTS,
    NEVER_PLAIN,
    ONE,
    QUIET,
    SETS,
    TEXTUAL,
    TRACKED,
    Text,
    paints,
    text_kind,
    unseen,
)
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
_REFRESH = re.compile(r"""[\s\d.]*+[;,\s]*+(?:[uU][rR][lL]\s*+=\s*+)?["']?(.*)""", re.DOTALL)


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


Nested = Callable[[str], tuple[tuple[str, ...], tuple[str, ...]]]
"""Gates a document inside an attribute: for whom something in it is held, and the undeclared hosts it asks."""


def attributes(raw: bytes, charset: str) -> list[tuple[str, str, int, bool]]:
    """Return every attribute as name, value, offset of its name, and whether it is the first of that name."""
    found = []
    seen = set()
    for match in ATTRIBUTE.finditer(raw):
        value = match[2] if match[2] is not None else match[3] if match[3] is not None else match[4]
        name = match[1].lower().decode("latin-1")
        text = value.decode(charset, "replace") if value else ""
        found.append((name, references.resolve(text), match.start(1), name not in seen))
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


def rewrite(tag: bytes, name_end: int, prefixes: dict[int, bytes], service: str, *, script: bool) -> bytes:
    """Return `tag` with attributes renamed by their offsets, and the service it is parked for after its name."""
    key = escape(service, quote=True).encode("ascii", "xmlcharrefreplace")
    pieces = [tag[:name_end], b' type="text/plain"' if script else b"", b' data-consent-service="', key, b'"']
    pieces.append(_prefixed(tag, name_end, prefixes))
    if script and tag[1:name_end].lower() == b"style":
        pieces.append(STYLE_STOP)
    return b"".join(pieces)


class Judge:
    """Judge start tags and element texts of pages of one charset under one view."""

    def __init__(self, view: View, charset: str, bases: tuple[Address, ...], nested: Nested) -> None:
        self._view = view
        self._charset = charset
        self._bases = bases
        self._nested = nested

    def tag(self, tag: bytes, name_end: int) -> Judged:
        """Return what is known about a whole start tag; its name ends at offset `name_end`."""
        name = tag[1:name_end].lower()
        listed = attributes(tag[name_end:-1], self._charset)
        first = {label: value for label, value, _, is_first in listed if is_first}
        inquest = _Inquest(self, name, first)
        held: dict[str, str] = {}
        mark = first.get(MARK)
        if mark is not None:
            verdict = self._view.marked(mark)
            inquest.granted = verdict is None
            if verdict is not None:
                held = dict.fromkeys(inquest.holding(), verdict.service or "")
        else:
            for label, value in first.items():
                found = inquest.attribute(label, value)
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
            about=tuple((label, first[label]) for label in DESCRIBES if label in first) if name in EMBEDS else (),
            plain=not (rewritten or found_hosts or inquest.granted or base) and name not in NEVER_PLAIN,
            textual=name in TEXTUAL,
            tracked=name in TRACKED,
        )

    def park(self, tag: bytes, name_end: int, service: str) -> bytes:
        """Return a script's or style's start tag parked for what its text holds."""
        renamed = {
            name_end + place: PARKED if label == "type" else FOREIGN
            for label, _, place, _ in attributes(tag[name_end:-1], self._charset)
            if label == "type" or _forged(label)
        }
        return rewrite(tag, name_end, renamed, service, script=True)

    def text(self, kind: Text, content: bytes) -> Judged:
        """Return what is known about the text of a script or style element."""
        inquest = _Inquest(self, b"style" if kind is Text.STYLE else b"script", {})
        text = content.decode(self._charset, "replace")
        held = list(inquest.text(kind, text))
        return Judged(
            name=b"",
            held=tuple(dict.fromkeys(held)),
            found=tuple(dict.fromkeys(inquest.found)),
            granted=inquest.granted,
        )


class _Inquest:
    """Collect what the addresses of one tag, or of one text, lead to."""

    def __init__(self, judge: Judge, name: bytes, first: dict[str, str]) -> None:
        self._judge = judge
        self._view = judge._view
        self._name = name
        self._first = first
        self.found: list[str] = []
        self.granted = False
        self.base: Address | None = None

    def holding(self) -> Iterator[str]:
        """Yield the names of this tag's attributes that can load something."""
        for label in self._first:
            if self._loads(label) or label in ("srcdoc", "style") or (self._name == b"meta" and label == "content"):
                yield label

    def _loads(self, label: str) -> bool:
        return (
            label in ONE
            or label in SETS
            or label in LISTS
            or label in BY_NAME.get(self._name, ())
            or (label.endswith(":href") and self._name not in (b"a", b"area"))
        )

    def attribute(self, label: str, value: str) -> Verdict | None:
        """Return for whom one attribute is held."""
        name = self._name
        if label == "srcdoc":
            return self._document(value) if name == b"iframe" and value else None
        if label == "style" or ("(" in value and not self._loads(label) and paints(label)):
            return self._all(css.addresses(value))
        if label.startswith("on"):
            return self._first_of(self.text(Text.CODE, value))
        if label in SETS or label in LISTS:
            return self._all(value.replace(",", " ").split())
        if name == b"meta":
            return self._refresh(value) if label == "content" else None
        if name == b"param":
            return self._param(value) if label == "value" else None
        if name in ANIMATIONS and label in ("to", "from", "by", "values"):
            moves = "href" in self._first.get("attributename", "href").lower()
            return self._all([*css.addresses(value), *(value.split(";") if moves else ())])
        if name == b"link" and label == "href":
            return self._link(value)
        if name == b"base" and label == "href":
            return self._base(value)
        if self._loads(label) or (label == "href" and name not in (b"a", b"area", b"base", b"link")):
            return self._address(value, document=name in DOCUMENTS)
        return None

    def _all(self, values: Iterator[str] | list[str]) -> Verdict | None:
        held = None
        for value in values:
            verdict = self._address(value)
            held = held or verdict
        return held

    def _refresh(self, value: str) -> Verdict | None:
        if self._first.get("http-equiv", "").strip().lower() != "refresh":
            return None
        target = refresh_target(value)
        return self._address(target, document=True) if target is not None else None

    def _param(self, value: str) -> Verdict | None:
        if self._first.get("name", "").lower() not in ("src", "movie", "data", "code", "url", "filename"):
            return None
        return self._address(value)

    def _link(self, value: str) -> Verdict | None:
        relations = self._first.get("rel", "").lower().split()
        if "stylesheet" not in relations and all(relation in QUIET for relation in relations):
            return None
        if not set(relations) <= CONNECTS | QUIET:
            return self._address(value)
        held: Verdict | None = None
        for address in self._readings(value):
            verdicts = [self._note(owner.service, owner.host) for owner in self._view.rules.claimants(address)]
            if verdicts and None not in verdicts:
                held = held or verdicts[0]
        return held

    def _base(self, value: str) -> Verdict | None:
        verdict = self._address(value)
        address = read(value)
        if verdict is None and (address.host or address.relative):
            own = self._view.rules.has_own_paths
            if address.host:
                self.base = address if own or self._view.rules.owner_of(address) is not None else None
            elif own and value:
                self.base = next((a for a in reversed(list(self._readings(value))) if a.path[:1] == "/"), None)
        return verdict

    def _readings(self, value: str) -> Iterator[Address]:
        address = read(value)
        yield address
        if address.relative:
            for base in self._judge._bases:
                yield read(value, base=base)

    def _note(self, service: str | None, host: str) -> Verdict | None:
        if service is None:
            self.found.append(host)
            return Verdict(None) if self._view.undeclared_held else None
        if service in self._view.allowed:
            self.granted = self.granted or self._view.grants(service)
            return None
        return Verdict(service)

    def _address(self, value: str, *, document: bool = False) -> Verdict | None:
        held: Verdict | None = None
        for address in self._readings(value):
            if address.scheme and not address.host:
                verdict = self._local(address, document=document)
            else:
                owner = self._view.rules.owner_of(address)
                verdict = self._note(owner.service, owner.host) if owner is not None else None
            held = held or verdict
        return held

    def _local(self, address: Address, *, document: bool) -> Verdict | None:
        if address.scheme == "javascript":
            text = unquote(address.rest)
            verdict = self._first_of(self.text(Text.CODE, text))
            return verdict or (self._document(code.plain(text)) if document and "<" in code.plain(text) else None)
        if address.scheme != "data" or not (document or self._name in (b"script", b"link", b"style")):
            return None
        content = local.opened(address.rest)
        if content is None or (document and not content.document):
            return None
        if not document:
            return self._first_of(self.text(Text.CODE if self._name == b"script" else Text.STYLE, content.text))
        if content.opaque and self._view.held_services:
            return Verdict(None)
        verdict = self._document(content.text)
        if content.xml and verdict is None:
            # What an element's content means to HTML, and what its prefix means, does not bind an XML reader.
            verdict = self._document(content.markup) or self._first_of(
                iter(self._view.held_inline(references.resolve(content.text)))
            )
        return verdict

    def _document(self, text: str) -> Verdict | None:
        held, found = self._judge._nested(text)
        self.found += found
        return Verdict(held[0] or None) if held else None

    @staticmethod
    def _first_of(keys: Iterator[str]) -> Verdict | None:
        first = next(keys, None)
        return Verdict(first or None) if first is not None else None

    def text(self, kind: Text, text: str) -> Iterator[str]:
        """Yield for whom a text is held: service keys, and "" for undeclared hosts."""
        if kind is Text.STYLE:
            values: list[str] = list(css.addresses(text))
        elif kind is Text.MAP:
            values = list(code.strings(text))
        else:
            yield from self._view.held_inline(text)
            self.granted = self.granted or self._view.grants_inline(text)
            values = list(code.imports(text))
        for value in values:
            verdict = self._address(value)
            if verdict is not None:
                yield verdict.service or ""


def refresh_target(value: str) -> str | None:
    """Return the address in the content of a refresh, or None where it names none."""
    match = _REFRESH.match(value)
    return (match[1].rstrip("\"'") or None) if match else None


def _outside(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return ("",), ()


def verdict_of_address(view: View, address: str) -> Verdict | None:
    """Return for whom an address outside of a page is held, or None where it passes."""
    return _Inquest(Judge(view, "utf-8", (), _outside), b"", {})._address(address)


def verdict_of_link(view: View, attributes: dict[str, str]) -> Verdict | None:
    """Return for whom a link with these attributes (`href`, `rel`, `imagesrcset`) is held, or None where it passes."""
    inquest = _Inquest(Judge(view, "utf-8", (), _outside), b"link", attributes)
    verdicts = [inquest.attribute(label, attributes[label]) for label in ("href", "imagesrcset") if label in attributes]
    return next((verdict for verdict in verdicts if verdict is not None), None)


def _slash_in_value(raw: bytes) -> bool:
    """Tell whether the last slash belongs to an unquoted value, as in `<a href=x/>`."""
    last = max(ATTRIBUTE.finditer(raw), key=lambda match: match.start(), default=None)
    return last is not None and last[4] is not None and last.end() == len(raw) and last[4].endswith(b"/")
