"""Count what consent records say, each record once for ever: finished chunks are archived, so that no reader recounts.

A chunk's counts are a document like any other, named by its digest. Whoever counts a chunk gets the same bytes, so that
processes need not agree on who does; the log itself holds none of it, and no count is about anybody.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from consent.choice.canonical import canonical
from consent.ledger.progress import Progress, silent
from consent.ledger.store import Document, Store

CHUNK = 16_384
"""Entries that are counted into one archived document."""
PIECE = 1_024
"""Entries between two looks at the clock."""
KIND = "tally"
SCHEMA = 1


class Cell(NamedTuple):
    """Name what records have in common: the ordinal of their day (UTC), notice, language, regime and answers."""

    day: int
    notice: str
    language: str
    regime: str
    yes: tuple[str, ...]
    no: tuple[str, ...]


class Tally:
    """Hold the counts of a store's consent records as far as they have been counted; any thread may ask.

    `weeks` has them by the ordinal of the week's Monday, `hours` how many records by the hour (`2026-11-22T10`), and
    `counted` is the number of entries looked at. A record says what a visitor chose for the whole site; what was loaded
    once is none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._restart()

    def _restart(self) -> None:
        self.counted = 0
        self.weeks: dict[int, Counter[Cell]] = defaultdict(Counter)
        self.hours: Counter[str] = Counter()
        self._begin_chunk()
        self._archive = False

    def _begin_chunk(self) -> None:
        self._cells: Counter[Cell] = Counter()
        self._hours: Counter[str] = Counter()

    def catch_up(self, *, seconds: float | None = None, progress: Progress = silent) -> int:
        """Count what is new, for about so many seconds at most; return the size of the ledger.

        Raises LedgerError if the ledger cannot be read.
        """
        until = None if seconds is None else time.monotonic() + seconds
        with self._turn:
            size = self._store.head().size
            if size < self.counted:
                self._restart()
            if not self._archive:
                self._read_archive(size)
            while self.counted < size and (until is None or time.monotonic() < until):
                self._count_piece(size)
                progress(self.counted, size)
        return size

    def _count_piece(self, size: int) -> None:
        last = min(self.counted + PIECE, (self.counted // CHUNK + 1) * CHUNK, size)
        cells, hours = _counts(self._store.entries(self.counted, last=last))
        # Nothing is kept of a piece that could not be read to its end.
        self._add(cells, hours)
        self._cells += cells
        self._hours += hours
        self.counted = last
        if last % CHUNK == 0:
            self._store.archive(_document(last - CHUNK, self._cells, self._hours))
            self._begin_chunk()

    def _add(self, cells: Mapping[Cell, int], hours: Mapping[str, int]) -> None:
        for cell, count in cells.items():
            self.weeks[monday(cell.day)][cell] += count
        self.hours.update(hours)

    def _read_archive(self, size: int) -> None:
        chunks: dict[int, tuple[Counter[Cell], Counter[str]]] = {}
        for document in self._store.documents("", kind=KIND):
            first, cells, hours = _read(document)
            # What was counted before a pruning has more in it than what was counted after.
            if first not in chunks or cells.total() > chunks[first][0].total():
                chunks[first] = (cells, hours)
        while self.counted in chunks and self.counted + CHUNK <= size:
            self._add(*chunks[self.counted])
            self.counted += CHUNK
        self._archive = True


def monday(day: int) -> int:
    """Return the ordinal of the Monday of a day's week. Source: ISO 8601."""
    return day - (day - 1) % 7


@lru_cache(maxsize=4096)
def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _counts(bodies: Iterable[bytes]) -> tuple[Counter[Cell], Counter[str]]:
    cells: Counter[Cell] = Counter()
    hours: Counter[str] = Counter()
    for body in bodies:
        entry = json.loads(body) if b'"kind":"consent"' in body else {}
        if entry.get("scope") != "site":
            continue
        recorded, answers = entry["recorded_at"], entry["purposes"]
        cell = Cell(
            _ordinal(recorded[:10]),
            entry["notice"] or "",
            entry["language"],
            entry["regime"],
            tuple(key for key in answers if answers[key]),
            tuple(key for key in answers if not answers[key]),
        )
        cells[cell] += 1
        hours[recorded[:13]] += 1
    return cells, hours


def _document(first: int, cells: Mapping[Cell, int], hours: Mapping[str, int]) -> Document:
    listed = [[*cell[:4], list(cell.yes), list(cell.no), count] for cell, count in sorted(cells.items())]
    content = {"schema": SCHEMA, "first": first, "last": first + CHUNK, "cells": listed, "hours": dict(hours)}
    return Document(kind=KIND, media_type="application/json", data=canonical(content))


def _read(document: Document) -> tuple[int, Counter[Cell], Counter[str]]:
    content = json.loads(document.data)
    cells: Counter[Cell] = Counter()
    for *named, yes, no, count in content["cells"]:
        day, notice, language, regime = named
        cells[Cell(day, notice, language, regime, tuple(yes), tuple(no))] = count
    return content["first"], cells, Counter(content["hours"])
