"""Say which entries an export holds, alike on the command line and over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from consent.choice.canonical import encode
from consent.choice.status import Status
from consent.ledger.alike import Alike
from consent.ledger.entry import KINDS
from consent.ledger.export import Span, moment, span
from consent.ledger.gaps import refuse_holes
from consent.ledger.progress import Progress, silent, watched
from consent.ledger.store import Store, Stored

Entry = Mapping[str, Any]
LARGEST = 2**53
"""No index and no time is as large; every JSON reader keeps smaller numbers exactly."""
_KEY = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]{1,100}")
_NOTICE = re.compile(r"[0-9a-f]{8,64}")


class SelectionError(ValueError):
    """Refuse a filter that means nothing, with the `field` it was given for."""

    def __init__(self, problem: str, *, field: str) -> None:
        self.field = field
        super().__init__(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Choose entries; what is left empty leaves nothing out.

    `first` and `last` (excluded) are indices, `since` and `until` (excluded) Unix seconds of `recorded_at`. A policy is
    `slug` or `slug/version`, a notice its digest or the first 8 or more hex digits of it. Of several values for one
    field one must fit; of several fields all must.
    """

    first: int = 0
    last: int | None = None
    since: int | None = None
    until: int | None = None
    kind: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    notice: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: Mapping[str, Sequence[str]]) -> Selection:
        """Read texts by field, as a query or a command line has them; raise SelectionError for what means nothing."""
        values: dict[str, Any] = {}
        for name, texts in given.items():
            if name not in FIELDS:
                raise SelectionError(f"{name!r} is no filter; use {', '.join(FIELDS)}", field=name)
            if name in _ONE and len(texts) > 1:
                raise SelectionError("is given twice", field=name)
            read = [_READERS[name](text, name) for text in texts]
            if read:
                values[name] = read[0] if name in _ONE else tuple(dict.fromkeys(read))
        chosen = cls(**values)
        if chosen.last is not None and chosen.last < chosen.first:
            raise SelectionError(f"{chosen.last} lies before the first index, {chosen.first}", field="last")
        if chosen.since is not None and chosen.until is not None and chosen.until <= chosen.since:
            raise SelectionError("is not after the time from which entries are asked for", field="until")
        return chosen

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the names of the fields that leave entries out by what they say; empty for a contiguous range."""
        return tuple(name for name in _FACETS if getattr(self, name))

    def span(self, store: Store, *, size: int) -> Span:
        """Return the range of indices among the first `size` entries in which the chosen ones lie."""
        of = span(store, size=size, since=self.since, until=self.until)
        first = min(max(of.first, self.first), of.last)
        last = of.last if self.last is None else min(of.last, self.last)
        return Span(first=first, last=max(first, last))

    def test(self) -> Callable[[bytes], bool]:
        """Return a function that tells whether the exact bytes of an entry are chosen, whatever its index and time.

        It reads only entries that can fit: within a text of canonical JSON no bare quotation mark can stand, so that
        what it looks for is found in every entry that fits.
        """
        facets = [(_FACETS[name], getattr(self, name)) for name in self.filters]
        needles = [[needle.encode() for value in values for needle in facet.needles(value)] for facet, values in facets]

        def fits(entry: Entry) -> bool:
            return all(any(facet.fits(entry, value) for value in values) for facet, values in facets)

        def chosen(body: bytes) -> bool:
            for alternatives in needles:
                if not any(needle in body for needle in alternatives):
                    return False
            found = alike.read(body)
            return fits(json.loads(body)) if found is None else found[0]

        alike: Alike[bool] = Alike(fits)
        return chosen

    def places(self, store: Store, *, of: Span, progress: Progress = silent) -> Iterator[Stored]:
        """Yield the chosen places of a range (see `span`), telling `progress` how much of it was looked at.

        Without filters these are all of it, those that were pruned too; with filters nobody knows what a pruned one
        said, and none is yielded. Raises LedgerCorruptError where bytes are gone that no entry reports as pruned.
        """
        missing, chosen = 0, self.test() if self.filters else None
        for place in watched(store.stored(of.first, last=of.last), total=of.last - of.first, progress=progress):
            missing += place.body is None
            if chosen is None or (place.body is not None and chosen(place.body)):
                yield place
        refuse_holes(store, first=of.first, last=of.last, missing=missing)


@dataclass(frozen=True, slots=True)
class _Facet:
    """Hold what stands in the bytes of an entry that fits, and how to tell for sure."""

    needles: Callable[[str], tuple[str, ...]]
    fits: Callable[[Entry, str], bool]


def _answered(field: str) -> _Facet:
    def fits(entry: Entry, value: str) -> bool:
        return entry["kind"] == "consent" and value in entry[field]

    return _Facet(lambda value: (f"{encode(value)}:",), fits)


def _said(field: str) -> _Facet:
    return _Facet(lambda value: (f'"{field}":{encode(value)}',), lambda entry, value: entry.get(field) == value)


def _of_policy(entry: Entry, value: str) -> bool:
    slug, slash, version = value.partition("/")
    named = entry["policies"] if entry["kind"] == "consent" else [entry]
    return any(one.get("slug") == slug and (not slash or str(one["version"]) == version) for one in named)


def _under_notice(entry: Entry, value: str) -> bool:
    return (entry.get("notice") or "").startswith(value)


_FACETS = {
    "kind": _said("kind"),
    "status": _said("status"),
    "purpose": _answered("purposes"),
    "service": _answered("services"),
    "language": _said("language"),
    "policy": _Facet(lambda value: (f'"slug":{encode(value.partition("/")[0])}',), _of_policy),
    "notice": _Facet(lambda value: (f'"notice":"{value}',), _under_notice),
}


def _index(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) < LARGEST):
        raise SelectionError(f"{text!r} is no index of an entry: write a whole number such as 1200", field=name)
    return int(text)


def _moment(text: str, name: str) -> int:
    try:
        return moment(text, end=name == "until")
    except (ValueError, OverflowError):
        raise SelectionError(
            f"{text!r} is not a date: write it as 2026-11-01, or with a time as 2026-11-01T10:00:00Z", field=name
        ) from None


def _one_of(allowed: Sequence[str]) -> Callable[[str, str], str]:
    def read(text: str, name: str) -> str:
        if text not in allowed:
            raise SelectionError(f"{text!r} is no {name}; use one of {', '.join(allowed)}", field=name)
        return text

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str, str], str]:
    def read(text: str, name: str) -> str:
        if not pattern.fullmatch(text):
            raise SelectionError(f"{text!r} is no {name}: {what}", field=name)
        return text

    return read


_key = _matching(_KEY, "write it as the entries name it, without spaces")
_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "first": _index,
    "last": _index,
    "since": _moment,
    "until": _moment,
    "kind": _one_of(KINDS),
    "status": _one_of(tuple(str(status) for status in Status)),
    "purpose": _key,
    "service": _key,
    "language": _key,
    "policy": _key,
    "notice": _matching(_NOTICE, "write its digest, or the first 8 or more of its hex digits"),
}
_ONE = ("first", "last", "since", "until")
FIELDS = tuple(one.name for one in fields(Selection))
"""The names that a filter can have, in a query and as options of the command line."""
