"""Count how many bytes the patterns read, on input made to be read again and again."""

from __future__ import annotations

import re
from functools import partial

import pytest

from consent.gate import html, scanner, xml
from consent.gate.html import Gate, nested
from consent.gate.tokens import end_of
from consent.gate.xml import XmlGate
from tests.gate.example import rules

_CAP = 32_768
_CHUNK = 2048


class _Counted:
    """Stand in for a pattern and add up the bytes it walks over."""

    total = 0

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def match(self, buf: bytes, pos: int = 0, *end: int) -> re.Match[bytes] | None:
        found = self._pattern.match(buf, pos, *end)
        _Counted.total += (found.end() if found else len(buf)) - pos
        return found

    def search(self, buf: bytes, pos: int = 0) -> re.Match[bytes] | None:
        found = self._pattern.search(buf, pos)
        _Counted.total += (found.end() if found else len(buf)) - pos
        return found


def _counting_xml(monkeypatch: pytest.MonkeyPatch) -> XmlGate:
    for module in (xml, scanner):
        monkeypatch.setattr(module, "CAP", _CAP)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, bytes):
                monkeypatch.setattr(module, name, _Counted(value))
    monkeypatch.setattr(
        scanner, "_STATES", {name: (_Counted(pattern), short) for name, (pattern, short) in scanner._STATES.items()}
    )
    view = rules().view(frozenset())
    gate = XmlGate(view, charset="utf-8", nested=partial(nested, view, 0))
    _Counted.total = 0
    return gate


def _counting(monkeypatch: pytest.MonkeyPatch) -> Gate:
    for module in (html, scanner):
        monkeypatch.setattr(module, "CAP", _CAP)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, _Counted(value))
    monkeypatch.setattr(scanner, "end_of", lambda name: _Counted(end_of(name)))
    monkeypatch.setattr(html, "end_of", lambda name: _Counted(end_of(name)))
    monkeypatch.setattr(
        scanner, "_STATES", {name: (_Counted(pattern), short) for name, (pattern, short) in scanner._STATES.items()}
    )
    gate = Gate(rules().view(frozenset()), charset="utf-8")
    body, head = gate._view.rules.skip
    gate._skip, gate._skip_head = _Counted(body).match, _Counted(head).match  # type: ignore[assignment]
    _Counted.total = 0
    return gate


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"<a x ", id="attributes"),
        pytest.param(b"<a x='", id="quotes"),
        pytest.param(b"<a", id="a-name"),
        pytest.param(b"x ", id="text"),
        pytest.param(b"<script>", id="scripts"),
        pytest.param(b"<!--<script>", id="escape-states"),
        pytest.param(b"<script><!--<script></script>", id="double-escapes"),
        pytest.param(b"<!-- ", id="comments"),
        pytest.param(b"<noscript>", id="noscript"),
        pytest.param(b"<svg><style>", id="svg-styles"),
        pytest.param(b"<svg>", id="svg"),
        pytest.param(b"<svg><g>", id="svg-groups"),
        pytest.param(b"<svg></x>", id="svg-ends"),
        pytest.param(b"<svg><![CDATA[", id="cdata"),
        pytest.param(b"<style>", id="styles"),
        pytest.param(b"<title>", id="titles"),
        pytest.param(b"<img src=//tracker.test/", id="held"),
        pytest.param(b"</script x ", id="end-tags"),
        pytest.param(b"<template><col>", id="templates"),
        pytest.param(b"<", id="brackets"),
        pytest.param(b"<p a=b=", id="values"),
    ],
)
@pytest.mark.parametrize("start", [b"", b"<svg>", b'<a x="'], ids=["", "in-svg", "in-a-quote"])
@pytest.mark.parametrize("size", [100_000, pytest.param(10_000_000, marks=pytest.mark.long)])
def test_every_byte_is_read_a_bounded_number_of_times(
    size: int, start: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated pieces in small chunks cost no more a byte than a page does, and little of them is held."""
    gate = _counting(monkeypatch)
    body = start + piece * (size // len(piece))
    held = 0
    for at in range(0, len(body), _CHUNK):
        gate.feed(body[at : at + _CHUNK])
        held = max(held, len(gate._rest))
    gate.end()
    assert _Counted.total < 20 * len(body)
    assert held <= _CAP + 2 * _CHUNK


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"<a x ", id="attributes"),
        pytest.param(b"<a x='", id="quotes"),
        pytest.param(b"<a>", id="tags"),
        pytest.param(b"x ", id="text"),
        pytest.param(b"<script>", id="scripts"),
        pytest.param(b"<script><![CDATA[", id="script-sections"),
        pytest.param(b"<script>x<!-- ", id="script-comments"),
        pytest.param(b"<![CDATA[", id="sections"),
        pytest.param(b"<!-- ", id="comments"),
        pytest.param(b"<?xml-stylesheet ", id="instructions"),
        pytest.param(b"<!DOCTYPE x [", id="types"),
        pytest.param(b"<!DOCTYPE x [ <!ENTITY a '>'>", id="entities"),
        pytest.param(b"<img src='//tracker.test/", id="held"),
        pytest.param(b"</a x ", id="end-tags"),
        pytest.param(b"<", id="brackets"),
        pytest.param(b"<!", id="declarations"),
    ],
)
@pytest.mark.parametrize(
    "start",
    [b"", b'<a x="', b'<t xmlns="http://www.w3.org/1999/XSL/Transform">'],
    ids=["", "in-a-quote", "in-a-transformation"],
)
@pytest.mark.parametrize("size", [100_000, pytest.param(10_000_000, marks=pytest.mark.long)])
def test_every_byte_of_xml_is_read_a_bounded_number_of_times(
    size: int, start: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for the gate of XML."""
    gate = _counting_xml(monkeypatch)
    body = start + piece * (size // len(piece))
    held = 0
    for at in range(0, len(body), _CHUNK):
        gate.feed(body[at : at + _CHUNK])
        held = max(held, len(gate._rest))
    gate.end()
    assert _Counted.total < 20 * len(body)
    assert held <= max(_CAP, xml.DOCTYPE_CAP) + 2 * _CHUNK
