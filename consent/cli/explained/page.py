"""Gate one page and its headers as the site would, and say what was done to each part of it, and why."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from consent.choice.catalogue import Catalogue
from consent.cli.explained.recorder import UNDECLARED, Reason, Recorder
from consent.gate import charset, csp, headers
from consent.gate.document import Document
from consent.gate.html import Gate, nested
from consent.gate.inquest import verdict_of_address
from consent.gate.insert import NOTHING, Attributes, Insert
from consent.gate.rules import Rules, View
from consent.gate.scanner import CAP
from consent.gate.tags import Judged
from consent.gate.xml import XmlGate
from consent.gating import encoding_of
from consent.holding import GATED_HEADERS
from consent.kinds import Kind
from consent.marking import ENFORCED

BANNER, ASSETS = b"<!--consent:banner-->", b"<!--consent:assets-->"
"""Stand for what is written into a page, whose own text says nothing about the page."""
LONGEST_SHOWN = 200
_NAME = re.compile(rb"</?([A-Za-z][^\t\n\f\r />]*)")
_BECOMES = headers.POLICIES | {b"nel", b"report-to"}


class Done(StrEnum):
    """Say what the gate does to a tag or a header."""

    PASSED = "passed"
    REPORTED = "passed, reported"
    PARKED = "parked"
    RENAMED = "renamed"
    NEUTRALISED = "neutralised"
    EMPTIED = "emptied"
    REMOVED = "removed"
    SHORTENED = "shortened"
    STOPPED = "answered 204"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Hold one tag or header: where it stands, what was done to it, and by which reasons.

    `line` counts from 1, 0 for a header. `placeholder` tells that one is shown in its place.
    """

    line: int
    name: str
    text: str
    done: Done
    services: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    placeholder: bool = False
    note: str = ""

    @property
    def telling(self) -> bool:
        """Tell whether there is more to say than that it passed."""
        return self.done is not Done.PASSED or bool(self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Hold everything that was done to one page; `output` is the page as a visitor would get it, but for the texts of
    what is inserted, which is told in `inserted` as line and name.
    """

    headers: tuple[Part, ...]
    tags: tuple[Part, ...]
    inserted: tuple[tuple[int, str], ...]
    parked: frozenset[str]
    found: frozenset[str]
    output: bytes


def explain_page(
    body: bytes,
    *,
    kind: Kind = Kind.HTML,
    content_type: str,
    rules: Rules,
    allowed: frozenset[str],
    asking: bool,
    address: str = "",
) -> Explanation:
    """Return what the gate does to a page.

    Args:
        body: the page as the app sends it.
        kind: what a browser reads it as: HTML, or a kind of XML.
        content_type: its `Content-Type` header, empty where there is none.
        rules: the site's rules.
        allowed: the keys of the services and purposes that are agreed to.
        asking: whether the visitor has something left to answer, and so meets the banner.
        address: the page's own absolute address, where it is known.
    """
    encoding = encoding_of(kind, content_type, body)
    wide = charset.decodable(encoding) is charset.Kind.TRANSCODE
    codec = "utf-8" if wide else charset.codec(encoding)
    recorder = Recorder(rules, allowed)
    witness = _Witness(recorder)
    insert = Insert(
        banner=BANNER if asking else b"",
        first_gated=b"" if asking else ASSETS,
        also_granted=True,
        placeholder=witness.placeholder,
    )
    if kind is Kind.HTML:
        witness.gate = Gate(recorder.view, charset=codec, insert=insert, address=address, observer=witness)
    else:
        witness.gate = XmlGate(
            recorder.view,
            charset=codec,
            nested=partial(nested, recorder.view, 0),
            insert=NOTHING if kind is Kind.XML else insert,
            bases=rules.page(address),
            observer=witness,
        )
    stream = charset.Transcoder(witness, charset=encoding) if wide else witness
    out = stream.feed(body) + stream.end()
    inserted = []
    for mark, name in ((BANNER, "banner"), (ASSETS, "script and style")):
        out = out.replace(mark.decode("ascii").encode(charset.codec(encoding)), b"")
        at = witness.out.find(mark)
        if at >= 0:
            inserted.append((witness.out.count(b"\n", 0, at) + 1, name))
    return Explanation(
        headers=(),
        tags=witness.parts(),
        inserted=tuple(inserted),
        parked=frozenset(witness.gate.parked),
        found=frozenset(witness.gate.found),
        output=out,
    )


class _Witness:
    """Watch a gate: keep what it is fed, so that places become lines, and what is told about each tag."""

    def __init__(self, recorder: Recorder) -> None:
        self.gate: Document
        self.out = bytearray()
        self._recorder = recorder
        self._fed = bytearray()
        self._parts: list[tuple[int, Part]] = []

    def feed(self, chunk: bytes) -> bytes:
        """Feed the gate."""
        self._fed += chunk
        out = self.gate.feed(chunk)
        self.out += out
        return out

    def end(self) -> bytes:
        """End the page."""
        out = self.gate.end()
        self.out += out
        return out

    def tag(self, left: int, tag: bytes, judged: Judged, *, two_readings: bool) -> None:
        """Write down what becomes of a tag."""
        reasons = self._recorder.taken()
        done = Done.PASSED
        notes = []
        if judged.held:
            done = Done.PARKED
            if len(tag) > CAP:
                done = Done.NEUTRALISED
                notes.append("longer than 1 MiB, so that nobody reads it")
            elif not set(judged.held) <= {reason.service for reason in reasons if not reason.allowed}:
                notes.append("what this loads cannot be told for certain")
        elif judged.found:
            done = Done.REPORTED
        elif judged.rewritten is not None:
            done = Done.RENAMED
            notes.append("only the gate writes attributes that begin with data-consent-")
        elif any(not reason.allowed for reason in reasons):
            notes.append("nothing in this tag itself can load or run")
        if two_readings and judged.held:
            notes.append("these bytes can be read in two ways, and both are gated")
        part = Part(
            line=0,
            name=f"<{judged.name.decode('latin-1')}>",
            text=tag[:LONGEST_SHOWN].decode("utf-8", "replace"),
            done=done,
            services=tuple(dict.fromkeys((*judged.held, *(reason.service for reason in reasons)))),
            reasons=reasons,
            note="; ".join(notes),
        )
        self._parts.append((len(self._fed) - left, part))

    def emptied(self, left: int, content: bytes) -> None:
        """Write down what nothing goes on of."""
        start = len(self._fed) - left
        unfinished = _NAME.match(content) is not None and b">" not in content
        name = _NAME.match(content)
        note = (
            "a tag that never ends; what is written after it could end it"
            if unfinished
            else "what an XML reader makes of this could be anybody's"
            if isinstance(self.gate, XmlGate)
            else "two readings of these bytes do not end alike, so neither goes on"
        )
        part = Part(
            line=0,
            name=f"<{name[1].decode('latin-1').lower()}>" if name else "(content)",
            text=content[:LONGEST_SHOWN].decode("utf-8", "replace"),
            done=Done.EMPTIED,
            services=(UNDECLARED,) if not unfinished else (),
            note=note,
        )
        self._parts = [(at, one) for at, one in self._parts if at < start]
        self._parts.append((start, part))

    def placeholder(self, service: str, tag: str, about: Attributes) -> bytes:
        """Write nothing, and note that a placeholder would be written for a service the visitor can be asked about."""
        at, part = self._parts[-1]
        self._parts[-1] = (at, replace(part, placeholder=self._recorder.declared(service)))
        return b""

    def parts(self) -> tuple[Part, ...]:
        """Return everything written down, with lines, in the order of the page."""
        ends = [match.end() for match in re.finditer(rb"\n", self._fed)]
        ordered = sorted(self._parts, key=lambda part: part[0])
        return tuple(replace(part, line=bisect.bisect_right(ends, at) + 1) for at, part in ordered)


def explain_headers(
    raw: Sequence[tuple[bytes, bytes]],
    *,
    kind: Kind = Kind.HTML,
    rules: Rules,
    allowed: frozenset[str],
    hold_undeclared: bool,
    address: str = "",
) -> tuple[Part, ...]:
    """Return what the gate does to response headers, each by itself; those that it never looks at are left out.

    Args:
        raw: pairs of lower-case name and value.
        kind: what a browser takes the answer for.
        rules: the site's rules.
        allowed: the keys of the services and purposes that are agreed to.
        hold_undeclared: whether cookies that nobody declares are held back.
        address: the absolute address that answered, where it is known.
    """
    bases = rules.page(address)
    recorder = Recorder(rules, allowed)
    view = recorder.view
    narrowing = csp.Narrowing(
        (host for service in view.held_services for host in service.hosts),
        declared=(host for s in view.held_services if rules.catalogue.service(s.key) for host in s.hosts),
    )
    together = headers.hold_headers(list(raw), view, bases=bases)
    recorder.taken()
    parts = []
    for name, value in raw:
        text = value.decode("latin-1")
        if name == b"set-cookie":
            parts.append(_cookie(text, rules.catalogue, view, hold_undeclared=hold_undeclared))
            continue
        if name in headers.POLICIES:
            if kind.marked:
                passing = headers.hold_reports(narrowing.narrow(text), view, bases)
                note = "; ".join(narrowing.undenied([text])) if name == ENFORCED else ""
            else:
                # Reports of what is no page go for everybody.
                passing, note = headers.hold_reports(text, rules.view(frozenset()), bases), ""
            reasons: tuple[Reason, ...] = recorder.taken()
        elif name == b"location":
            held = any(verdict_of_address(view, place, bases=bases) for place in headers.readings(value))
            reasons = recorder.taken()
            passing, note = text, "for what a page loads by itself; who follows a link here goes on" if held else ""
        else:
            result = headers.hold_headers([(name, value)], view, bases=bases)
            passing = result[0][1].decode("latin-1") if result else ""
            note, reasons = "", recorder.taken()
            if name == b"nel" and (name, value) not in together:
                passing = headers.hold_error_logging(text, None)
        done = Done.PASSED if passing == text else Done.SHORTENED if passing else Done.REMOVED
        if name == b"location" and note:
            done = Done.STOPPED
        if done is Done.SHORTENED and name in _BECOMES:
            note = "; ".join((f"becomes {passing}", *([note] if note else ())))
        services = tuple(dict.fromkeys(reason.service for reason in reasons))
        if name in GATED_HEADERS or name in headers.POLICIES:
            parts.append(
                Part(
                    line=0,
                    name=name.decode("latin-1"),
                    text=text[:LONGEST_SHOWN],
                    done=done,
                    services=services,
                    reasons=reasons,
                    note=note,
                )
            )
    return tuple(parts)


def _cookie(value: str, catalogue: Catalogue, view: View, *, hold_undeclared: bool) -> Part:
    _, held, undeclared = headers.hold_cookies([value], catalogue, view.allowed, hold_undeclared=hold_undeclared)
    name = headers.cookie_name(value)
    owners = headers.cookie_owners(name, catalogue)
    done = Done.REMOVED if held else Done.REPORTED if undeclared else Done.PASSED
    note = "" if owners else "our own" if not undeclared else "no service names this cookie"
    reasons = tuple(
        Reason(
            found=f"cookie {name}",
            service=owner.key,
            allowed=owner.key in view.allowed,
            why=f"{owner.purpose}, {'allowed' if owner.key in view.allowed else 'not agreed to'}",
        )
        for owner in owners
    )
    return Part(
        line=0,
        name="set-cookie",
        # The value of a cookie can be a secret, and decides nothing.
        text=name,
        done=done,
        services=tuple(owner.key for owner in owners) or ((UNDECLARED,) if undeclared else ()),
        reasons=reasons,
        note=note,
    )
