"""Write entries as typed columns for analysis: Apache Parquet, a row group at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow
from pyarrow import parquet

from consent.ledger.alike import Alike
from consent.ledger.entry import CONSENT_FIELDS, HEADER
from consent.ledger.export import batches
from consent.ledger.store import Stored

ROWS = 10_000
"""How many rows a group has: what is held in memory at a time."""
_TIME = pyarrow.timestamp("ms", tz="UTC")
_WORD = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
_ANSWERS = pyarrow.map_(pyarrow.string(), pyarrow.bool_())
_POLICY = pyarrow.struct([(name, pyarrow.string()) for name in ("slug", "version", "language", "sha256")])
_OWN = {"index": pyarrow.int64(), "record": pyarrow.string(), "decided_at": _TIME, "recorded_at": _TIME}
_SHARED = {
    "kind": _WORD,
    "origin": _WORD,
    "late": pyarrow.bool_(),
    "status": _WORD,
    "method": _WORD,
    "scope": _WORD,
    "purposes": _ANSWERS,
    "services": _ANSWERS,
    "notice": _WORD,
    "rendering": _WORD,
    "policies": pyarrow.list_(_POLICY),
    "language": _WORD,
    "regime": _WORD,
    "country": _WORD,
    "signals": pyarrow.string(),
    "other": pyarrow.string(),
}
SCHEMA = pyarrow.schema({**_OWN, **_SHARED})
"""The columns. There is none for the subject; `signals` and `other` hold JSON."""


def as_parquet(places: Iterable[Stored]) -> Iterator[bytes]:
    """Yield a Parquet file, piece by piece; entries that were pruned are left out."""
    sink = _Pieces()
    alike: Alike[dict[str, Any]] = Alike(_shared)
    with parquet.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for batch in batches(places, size=ROWS):
            writer.write_batch(_rows(batch, alike))
            yield sink.taken()
    yield sink.taken()


def _rows(batch: list[Stored], alike: Alike[dict[str, Any]]) -> Any:
    own: list[list[Any]] = [[], [], [], []]
    shared, numbers, which = list[dict[str, Any]](), dict[int, int](), list[int]()
    for place in batch:
        if place.body is None:
            continue
        found = alike.read(place.body)
        if found is None:
            entry = json.loads(place.body)
            cells, times = _shared(entry), (entry["record"], entry["decided_at"], entry["recorded_at"])
        else:
            cells, times = found[0], (found[1].decode(), found[2].decode() or None, found[3].decode())
        for column, value in zip(own, (place.index, *times), strict=True):
            column.append(value)
        if id(cells) not in numbers:
            numbers[id(cells)] = len(shared)
            shared.append(cells)
        which.append(numbers[id(cells)])
    # What records have in common becomes columns once, and is then laid out by number.
    columns = [
        pyarrow.array([cells[name] for cells in shared], type=kind).take(pyarrow.array(which, type=pyarrow.int32()))
        for name, kind in _SHARED.items()
    ]
    texts = [pyarrow.array(column) for column in own]
    beside = [column.cast(kind) for column, kind in zip(texts, _OWN.values(), strict=True)]
    return pyarrow.record_batch([*beside, *columns], schema=SCHEMA)


def _shared(entry: Mapping[str, Any]) -> dict[str, Any]:
    record = entry["kind"] == "consent"
    cells: dict[str, Any] = {name: entry.get(name) for name in _SHARED}
    if record:
        cells |= {name: list(entry[name].items()) for name in ("purposes", "services")}
        cells["policies"] = [one | {"version": str(one["version"])} for one in entry["policies"]]
        cells["signals"] = _json(entry["signals"])
    known = {*HEADER, *(CONSENT_FIELDS if record else _SHARED)}
    rest = {name: value for name, value in entry.items() if name not in known}
    cells["other"] = _json(rest) if rest else None
    return cells


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class _Pieces:
    """Take what is written, to be handed on."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._pieces.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def writable(self) -> bool:
        """Tell that it takes bytes."""
        return True

    def readable(self) -> bool:
        """Tell that it gives none back."""
        return False

    def seekable(self) -> bool:
        """Tell that what was written has gone."""
        return False

    def close(self) -> None:
        """Do nothing: what was written last is still to be taken."""

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
