"""Write chosen entries in a form that is asked for, piece by piece, so that memory stays flat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from consent.errors import ConfigurationError
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.export import as_jsonl, batches
from consent.ledger.paths import Paths
from consent.ledger.requests import as_requests
from consent.ledger.store import Store, Stored
from consent.ledger.table import as_csv

PARQUET = "parquet"
PROOFS = "proofs.jsonl"
CCPA = "ccpa"
FORMATS = ("jsonl", PROOFS, "csv", PARQUET, CCPA)


def pieces(store: Store, *, form: str, places: Iterable[Stored], checkpoint: Checkpoint) -> Iterator[bytes]:
    """Yield the bytes of an export of these places, which lie under the checkpoint (see `Selection.places`).

    Raises ConfigurationError where Parquet is asked for and not installed.
    """
    if form == PROOFS:
        return as_proofs(places, store=store, checkpoint=checkpoint)
    if form == PARQUET:
        return _as_parquet(places)
    return {"jsonl": as_jsonl, "csv": as_csv, CCPA: as_requests}[form](places)


def as_proofs(places: Iterable[Stored], *, store: Store, checkpoint: Checkpoint) -> Iterator[bytes]:
    """Yield what proves each entry of the same selection as JSON Lines: the checkpoint first, then one for each entry.

    Each line has the entry's index, its leaf hash, and the audit path to the root of the checkpoint (RFC 6962).
    """
    yield json.dumps({"checkpoint": checkpoint.note.decode()}, ensure_ascii=False).encode() + b"\n"
    paths = Paths(store, size=checkpoint.size)
    for batch in batches(places):
        lines = []
        for place in batch:
            if place.body is not None:
                path = '","'.join(node.hex() for node in paths.of(place.index))
                path = f'"{path}"' if path else ""
                lines.append(f'{{"index":{place.index},"leaf_hash":"{place.leaf_hash.hex()}","path":[{path}]}}\n')
        yield "".join(lines).encode()


def _as_parquet(places: Iterable[Stored]) -> Iterator[bytes]:
    try:
        from consent.ledger.parquet import as_parquet
    except ImportError:
        raise ConfigurationError(
            "Parquet needs PyArrow", remedy="Install it with: pip install 'asgi-consent[parquet]'"
        ) from None
    return as_parquet(places)
