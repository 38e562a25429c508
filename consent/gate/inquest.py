"""Find out whose addresses stand in the attributes of one tag, in one text, or in one header."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from consent.gate import code, css, local, speculation
from consent.gate.address import Address, read
from consent.gate.elements import (
    ANIMATIONS,
    BY_NAME,
    CONNECTS,
    DOCUMENTS,
    LISTS,
    ONE,
    QUIET,
    SETS,
    Text,
    paints,
)
from consent.gate.rules import Verdict, View

_REFRESH = re.compile(r"""[\s\d.]*+[;,\s]*+(?:[uU][rR][lL]\s*+=\s*+)?["']?(.*)""", re.DOTALL)

Nested = Callable[[str, bool], tuple[tuple[str, ...], tuple[str, ...]]]
"""Gates a document inside an attribute: takes its text and whether it is XML, returns for whom something in it is held
and the undeclared hosts it asks."""


class Inquest:
    """Collect what the addresses of one tag, or of one text, lead to."""

    def __init__(
        self, view: View, bases: tuple[Address, ...], nested: Nested, name: bytes, first: dict[str, str]
    ) -> None:
        self._view = view
        self._bases = bases
        self._nested = nested
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
            return self.address(value, document=name in DOCUMENTS)
        return None

    def _all(self, values: Iterator[str] | list[str]) -> Verdict | None:
        held = None
        for value in values:
            verdict = self.address(value)
            held = held or verdict
        return held

    def _refresh(self, value: str) -> Verdict | None:
        if self._first.get("http-equiv", "").strip().lower() != "refresh":
            return None
        target = refresh_target(value)
        return self.address(target, document=True) if target is not None else None

    def _param(self, value: str) -> Verdict | None:
        if self._first.get("name", "").lower() not in ("src", "movie", "data", "code", "url", "filename"):
            return None
        return self.address(value)

    def _link(self, value: str) -> Verdict | None:
        relations = self._first.get("rel", "").lower().split()
        if "stylesheet" not in relations and all(relation in QUIET for relation in relations):
            return None
        if not set(relations) <= CONNECTS | QUIET:
            return self.address(value)
        held: Verdict | None = None
        for address in self._readings(value):
            verdicts = [self._note(owner.service, owner.host) for owner in self._view.rules.claimants(address)]
            if verdicts and None not in verdicts:
                held = held or verdicts[0]
        return held

    def _base(self, value: str) -> Verdict | None:
        verdict = self.address(value)
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
            for base in self._bases:
                yield read(value, base=base)

    def _note(self, service: str | None, host: str) -> Verdict | None:
        if service is None:
            self.found.append(host)
            return Verdict(None) if self._view.undeclared_held else None
        if service in self._view.allowed:
            self.granted = self.granted or self._view.grants(service)
            return None
        return Verdict(service)

    def address(self, value: str, *, document: bool = False) -> Verdict | None:
        """Return for whom an address is held, whatever loads it."""
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
        return self._document(content.text, xml=content.xml)

    def _document(self, text: str, *, xml: bool = False) -> Verdict | None:
        held, found = self._nested(text, xml)
        self.found += found
        return Verdict(held[0] or None) if held else None

    @staticmethod
    def _first_of(keys: Iterator[str]) -> Verdict | None:
        first = next(keys, None)
        return Verdict(first or None) if first is not None else None

    def _is_own(self, value: str) -> bool:
        return self._view.rules.owner_of(read(value)) is None

    def text(self, kind: Text, text: str) -> Iterator[str]:
        """Yield for whom a text is held: service keys, and "" for undeclared hosts."""
        if kind is Text.STYLE:
            values: list[str] = list(css.addresses(text))
        elif kind is Text.MAP:
            values = list(code.strings(text))
            if speculation.leads_away(text, self._is_own):
                yield from self._view.anywhere
        else:
            yield from self._view.held_inline(text)
            self.granted = self.granted or self._view.grants_inline(text)
            values = list(code.imports(text))
        for value in values:
            verdict = self.address(value)
            if verdict is not None:
                yield verdict.service or ""


def gated_rules(view: View, body: bytes, bases: tuple[Address, ...] = ()) -> tuple[bytes, set[str], set[str]]:
    """Return a file of speculation rules, or none where some are held; for whom, and the undeclared hosts in it."""
    inquest = Inquest(view, bases, nothing_nested, b"script", {})
    held = set(inquest.text(Text.MAP, body.decode("utf-8", "replace")))
    return b"{}" if held else body, held, set(inquest.found)


def refresh_target(value: str) -> str | None:
    """Return the address in the content of a refresh, or None where it names none."""
    match = _REFRESH.match(value)
    return (match[1].rstrip("\"'") or None) if match else None


def nothing_nested(text: str, xml: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Hold every document that stands where none belongs."""
    return ("",), ()


def verdict_of_address(view: View, address: str, *, bases: tuple[Address, ...] = ()) -> Verdict | None:
    """Return for whom an address outside of a page is held, or None where it passes."""
    return Inquest(view, bases, nothing_nested, b"", {}).address(address)


def verdict_of_link(view: View, attributes: dict[str, str], *, bases: tuple[Address, ...] = ()) -> Verdict | None:
    """Return for whom a link with these attributes (`href`, `rel`, `imagesrcset`) is held, or None where it passes."""
    inquest = Inquest(view, bases, nothing_nested, b"link", attributes)
    verdicts = [inquest.attribute(label, attributes[label]) for label in ("href", "imagesrcset") if label in attributes]
    return next((verdict for verdict in verdicts if verdict is not None), None)
