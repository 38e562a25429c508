"""Delete records once nobody needs the proof: by regime, from the end of validity, never under a legal hold."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from consent.choice.lifetime import Lifetime
from consent.errors import LedgerUnavailableError
from consent.ledger.entry import Appended, Draft, rfc3339
from consent.ledger.gaps import events
from consent.ledger.progress import STEP, Progress, silent
from consent.ledger.store import Store

MOST_RANGES = 1_000
MOST_ENTRIES = 10_000
"""How much one `pruned` entry covers, so that it stays small and no writer waits long."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Say that entries recorded from `since` to before `until` (Unix seconds; None is no bound) must stay."""

    name: str
    since: int | None = None
    until: int | None = None

    def covers(self, recorded_at: int) -> bool:
        """Tell whether an entry recorded at a Unix second must stay."""
        return (self.since is None or recorded_at >= self.since) and (self.until is None or recorded_at < self.until)


def holds(store: Store) -> dict[str, Hold]:
    """Return the legal holds in force by name, as the log says."""
    found: dict[str, Hold] = {}
    for entry in events(store, "hold"):
        if entry["action"] == "add":
            found[entry["name"]] = Hold(
                name=entry["name"], since=_seconds(entry["since"]), until=_seconds(entry["until"])
            )
        else:
            found.pop(entry["name"], None)
    return found


def hold(store: Store, one: Hold, *, now: int) -> Appended:
    """Put a legal hold into force; raise ValueError if there is one of this name, or the name is none."""
    if not _NAME.fullmatch(one.name):
        raise ValueError(f"{one.name!r} cannot name a hold: use small letters, digits and hyphens, and nobody's name")
    if one.since is not None and one.until is not None and one.since >= one.until:
        raise ValueError("the hold ends before it begins")
    if one.name in holds(store):
        raise ValueError(f"there is a hold {one.name!r} already")
    return _append_hold(store, one, action="add", now=now)


def release(store: Store, name: str, *, now: int) -> Appended:
    """End a legal hold; raise ValueError if there is none of this name."""
    one = holds(store).get(name)
    if one is None:
        raise ValueError(f"there is no hold {name!r}")
    return _append_hold(store, one, action="remove", now=now)


def _append_hold(store: Store, one: Hold, *, action: str, now: int) -> Appended:
    content = {
        "action": action,
        "name": one.name,
        "since": None if one.since is None else rfc3339(one.since),
        "until": None if one.until is None else rfc3339(one.until),
    }
    number = sum(entry["name"] == one.name for entry in events(store, "hold"))
    unique = f"hold/{one.name}/{number}"
    return store.append([Draft(kind="hold", content=content, decided_at=now, unique=unique)], now=now)[0]


def _seconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp())


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Say how long records are kept past the end of their choice's validity, by regime; others are kept for ever.

    `validity` is that of records whose notice is not archived.
    """

    kept: Mapping[str, Lifetime]
    validity: Lifetime
    written: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: Mapping[str, str], *, validity: str) -> Retention:
        """Read ISO 8601 durations."""
        read = {regime: Lifetime.parse(text) for regime, text in kept.items()}
        return cls(kept=read, validity=Lifetime.parse(validity), written=kept)


@dataclass(slots=True)
class Ranges:
    """Gather indices, in order, as ranges whose second index is excluded."""

    found: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0

    def add(self, index: int) -> None:
        """Add an index beyond the last."""
        if self.found and self.found[-1][1] == index:
            self.found[-1] = (self.found[-1][0], index + 1)
        else:
            self.found.append((index, index + 1))
        self.count += 1


def outlived(store: Store, retention: Retention, *, now: int, progress: Progress = silent) -> Iterator[tuple[str, int]]:
    """Yield the regime and index of every record that need not be kept at `now` (Unix seconds), in order."""
    if not retention.kept:
        return
    validities: dict[str | None, Lifetime] = {None: retention.validity}
    bound = list(holds(store).values())
    moment = datetime.fromtimestamp(now, UTC)
    last = _due_before(store, retention, now=now)
    for place in store.stored(0, last=last):
        if place.index % STEP == 0:
            progress(place.index, last)
        if place.body is None or b'"kind":"consent"' not in place.body:
            continue
        entry = json.loads(place.body)
        kept = retention.kept.get(entry["regime"])
        recorded_at = datetime.fromisoformat(entry["recorded_at"])
        if kept is None or any(one.covers(int(recorded_at.timestamp())) for one in bound):
            continue
        # What was allowed once was used up by the next page.
        ends = recorded_at if entry["scope"] == "once" else _validity(store, entry, validities).after(recorded_at)
        if kept.after(ends) <= moment:
            yield entry["regime"], place.index
    progress(last, last)


def _due_before(store: Store, retention: Retention, *, now: int) -> int:
    """Return the index from which on no record can have outlived its time: recorded less than the shortest time ago."""
    shortest = min((one.months * 28 * 86400 + one.seconds for one in retention.kept.values()), default=now)
    return store.index_at(now - shortest)


def _validity(store: Store, entry: Mapping[str, Any], known: dict[str | None, Lifetime]) -> Lifetime:
    digest = entry["notice"]
    if digest not in known:
        document = store.document(digest)
        notice = {} if document is None else json.loads(document.data)
        known[digest] = Lifetime.parse(notice["validity"]) if "validity" in notice else known[None]
    return known[digest]


def prune(store: Store, retention: Retention, *, now: int, progress: Progress = silent) -> dict[str, int]:
    """Delete the bodies of all records that have outlived their time; return how many, by regime.

    Each part is one step of its own, with an entry that names every index: what is done stays done if the next fails.
    """
    waiting = {regime: Ranges() for regime in retention.kept}
    done = dict.fromkeys(retention.kept, 0)

    def flush(regime: str) -> None:
        ranges = waiting[regime]
        if ranges.count:
            waiting[regime] = Ranges()
            store.prune(ranges.found, draft=_pruned(regime, ranges.found, retention, now=now), now=now)
            done[regime] += ranges.count

    for regime, index in outlived(store, retention, now=now, progress=progress):
        ranges = waiting[regime]
        ranges.add(index)
        if len(ranges.found) >= MOST_RANGES or ranges.count >= MOST_ENTRIES:
            flush(regime)
    for regime in retention.kept:
        flush(regime)
    # What keeps it from being done keeps it until the next time.
    with contextlib.suppress(LedgerUnavailableError):
        store.reclaim(_due_before(store, retention, now=now))
    return done


def _pruned(regime: str, ranges: Sequence[tuple[int, int]], retention: Retention, *, now: int) -> Draft:
    content = {
        "reason": "retention",
        "regime": regime,
        "retention": retention.written[regime],
        "ranges": [list(one) for one in ranges],
    }
    return Draft(kind="pruned", content=content, decided_at=now, unique=f"pruned/{uuid.uuid4().hex}")
