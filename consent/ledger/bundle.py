"""Export a bundle: entries, texts, proof, checkpoint and verifier together, to be checked offline and without us."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import UUID

from consent.errors import LedgerUnavailableError, VerificationError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.export import Span, span
from consent.ledger.files import Hashed, piped, writing
from consent.ledger.gaps import events, refuse_holes
from consent.ledger.ledger import Ledger
from consent.ledger.progress import Progress, silent, watched
from consent.ledger.store import Store, Stored

FORMAT = "consent-bundle/2"
DAY = 86400
SHOWN = ("snapshot", "scan")
"""The kinds of documents that no entry names: pictures of what was shown, and reports of what was found."""
_NAMED = re.compile(rb'"([0-9a-f]{64})"')
_NAMING = re.compile(rb'"(?:facts|notice|rendering|sha256)":"([0-9a-f]{64})"')
"""What names a document in an entry; within a text of canonical JSON it cannot stand."""
_HERE = Path(__file__).parent
_CONSENT = _HERE.parent


class Choosing(Protocol):
    """Choose entries by where they stand and by what they say."""

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the names of the attributes that leave out entries of the range; none for all of them."""

    def span(self, store: Store, *, size: int) -> Span:
        """Return the range in which the chosen ones of the first `size` entries lie."""

    def test(self) -> Callable[[bytes], bool]:
        """Return a function that tells whether the exact bytes of an entry are chosen."""


def write_bundle(
    ledger: Ledger,
    out: Path,
    *,
    since: int | None = None,
    until: int | None = None,
    selection: Choosing | None = None,
    progress: Progress = silent,
) -> tuple[Checkpoint, Span]:
    """Export the entries recorded from `since` to before `until` (Unix seconds; all by default), with their evidence.

    A `selection` is taken instead, if given. `out` becomes a zip file if its name ends in `.zip`, else a folder; it
    appears whole or not at all, and the same ledger state gives the same bytes. Returns the checkpoint it is bound to,
    and the range of entries. Raises FileExistsError if `out` is there already, LedgerError if the ledger cannot be
    read.
    """
    with writing(out) as files:
        checkpoint = ledger.seal()
        if selection is None:
            of = span(ledger.store, size=checkpoint.size, since=since, until=until)
        else:
            of = selection.span(ledger.store, size=checkpoint.size)
        _write(ledger, files, checkpoint=checkpoint, of=of, selection=selection, progress=progress)
    return checkpoint, of


def stream_bundle(ledger: Ledger, *, selection: Choosing) -> Iterator[bytes]:
    """Yield the chosen entries with their evidence as a zip file, piece by piece, as fast as the pieces are taken.

    The files are those of `write_bundle`. Raises LedgerError if the ledger cannot be read; what was yielded by then is
    no zip file.
    """

    def write(files: Hashed) -> None:
        checkpoint = ledger.seal()
        of = selection.span(ledger.store, size=checkpoint.size)
        _write(ledger, files, checkpoint=checkpoint, of=of, selection=selection, progress=silent)

    return piped(write)


def _write(
    ledger: Ledger,
    files: Hashed,
    *,
    checkpoint: Checkpoint,
    of: Span,
    selection: Choosing | None,
    progress: Progress,
) -> None:
    store, size = ledger.store, checkpoint.size
    filters = selection.filters if selection else ()
    chosen = selection.test() if selection and filters else None
    proof: dict[str, Any] = {"first": of.first, "last": of.last, "size": size, "before": [], "after": []}
    if filters:
        proof["filter"] = {name: getattr(selection, name) for name in filters}
    filtered = " Of these, only those that fit the filter in `proof.json`." if chosen else ""
    readme = (_HERE / "bundle.md").read_text(encoding="utf-8")
    readme = readme.format(origin=store.origin, first=of.first, last=of.last, size=size, filtered=filtered)
    files.write("README.md", data=readme.encode())
    files.write("checkpoint", data=checkpoint.note)
    files.write("key", data=ledger.signer.verifier.text.encode() + b"\n")
    for name in ("verify.py", "verify.html"):
        files.write(name, data=(_CONSENT / name).read_bytes())
    for path in sorted((_HERE / "schemas").iterdir()):
        files.write(f"schemas/{path.name}", data=path.read_bytes())
    if (requirements := _HERE / "requirements.toml").exists():
        files.write("requirements.toml", data=requirements.read_bytes())
    files.write("proof.json", data=_json(proof))
    carried = _carried(store, of=of, size=size, pruned=chosen is None)
    cuts = _write_checkpoints(ledger, files, size=size)
    entries = _Entries(store, of=of, chosen=chosen, cuts=cuts, carried=carried)
    entries.write(files, size=size, progress=progress)
    files.write("erasures.json", data=_json(entries.erasures))
    _write_documents(store, files, named=sorted(entries.named))
    manifest = _json({"format": FORMAT, "origin": store.origin, "files": files.digests})
    files.write("manifest.json", data=manifest)
    statement = f"{FORMAT} manifest\n{store.origin}\n{hashlib.sha256(manifest).hexdigest()}\n"
    files.write("manifest.sig", data=ledger.signer.sign(statement))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _carried(store: Store, *, of: Span, size: int, pruned: bool) -> list[int]:
    """Return where the entries stand that a bundle needs from anywhere: which key took over, and what was pruned."""

    def missed(entry: dict[str, Any]) -> bool:
        return any(first < of.last and of.first < last for first, last in entry["ranges"])

    needed = list(events(store, "key-rotated"))
    needed += filter(missed, events(store, "pruned")) if pruned else ()
    found = sorted(index for entry in needed if (index := store.index_of(UUID(entry["record"]))) is not None)
    if found and found[-1] >= size:
        raise LedgerUnavailableError("entries were pruned, or a key took over, while this was exported: export again")
    return found


def _write_checkpoints(ledger: Ledger, files: Hashed, *, size: int) -> list[int]:
    """Write the last published checkpoint of each day and those in which keys handed over; return their sizes."""
    notes: dict[int, bytes] = {}
    daily = {one.at // DAY: one for one in ledger.store.published_checkpoints() if one.size <= size}
    tokens = {one.size: one.token for one in daily.values()}
    for note in (*(one.note for one in daily.values()), *_turnings(ledger, size=size)):
        try:
            notes[ledger.opened(note).size] = note
        except VerificationError:
            # It was signed by a key that was lost: nothing in the log vouches for that one.
            continue
    for at in sorted(notes):
        files.write(f"checkpoints/{at}.note", data=notes[at])
        if token := tokens.get(at):
            files.write(f"checkpoints/{at}.token", data=token)
    return sorted(notes)


def _turnings(ledger: Ledger, *, size: int) -> Iterator[bytes]:
    """Yield the first checkpoint after each entry that says that a key took over."""
    store = ledger.store

    def at_most(limit: int) -> tuple[int, bytes]:
        note = store.checkpoint(limit=limit)
        return (0, b"") if note is None else (Checkpoint.unchecked(note, name=ledger.signer.name).size, note)

    for entry in events(store, "key-rotated"):
        index = store.index_of(UUID(entry["record"]))
        low, high = (size if index is None else index + 1), size
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if at_most(middle)[0] > (index or 0) else (middle + 1, high)
        yield at_most(low)[1]


class _Entries:
    """Write the chosen entries with the hashes of all others, from left to right, and note what they name."""

    def __init__(
        self,
        store: Store,
        *,
        of: Span,
        chosen: Callable[[bytes], bool] | None,
        cuts: Sequence[int],
        carried: Sequence[int],
    ) -> None:
        self.named: set[str] = set()
        self.erasures: list[dict[str, Any]] = []
        self._store, self._of, self._chosen = store, of, chosen
        self._cuts, self._carried = cuts, carried

    def write(self, files: Hashed, *, size: int, progress: Progress) -> None:
        """Write both files; the hashes wait outside of memory until the entries are done."""
        of = self._of
        with tempfile.TemporaryFile() as hashes:
            with files.stream("entries.jsonl") as entries:
                self._outside(entries, hashes, first=0, last=of.first)
                self._inside(entries, hashes, progress=progress)
                self._outside(entries, hashes, first=of.last, last=size)
            hashes.seek(0)
            with files.stream("leaf-hashes.txt") as stream:
                while data := hashes.read(2**20):
                    stream.write(data)

    def _inside(self, entries: Any, hashes: IO[bytes], *, progress: Progress) -> None:
        of, missing, gap = self._of, 0, _Gap(hashes)
        carried, cuts = frozenset(self._carried), frozenset(self._cuts)
        places = watched(self._store.stored(of.first, last=of.last), total=of.last - of.first, progress=progress)
        for place in places:
            if place.index in cuts:
                gap.close()
            missing += place.body is None
            if self._chosen is None or place.index in carried or (place.body and self._chosen(place.body)):
                gap.close()
                self._entry(entries, hashes, place)
            else:
                gap.add(place)
        gap.close()
        refuse_holes(self._store, first=of.first, last=of.last, missing=missing)

    def _outside(self, entries: Any, hashes: IO[bytes], *, first: int, last: int) -> None:
        alone = [index for index in self._carried if first <= index < last]
        edges = {first, last, *(cut for cut in self._cuts if first < cut < last), *alone, *(n + 1 for n in alone)}
        for begin, end in pairwise(sorted(edges)):
            if begin in alone:
                (place,) = self._store.stored(begin, last=end)
                self._entry(entries, hashes, place)
                continue
            for height, node in merkle.cover_hashes(self._store, first=begin, last=end):
                hashes.write(f"{height} {node.hex()}\n".encode())

    def _entry(self, entries: Any, hashes: IO[bytes], place: Stored) -> None:
        body = place.body or b""
        entries.write(body + b"\n")
        hashes.write(place.leaf_hash.hex().encode() + b"\n")
        self.named.update(digest.decode() for digest in _NAMING.findall(body))
        if b'"kind":"erased"' in body:
            entry = json.loads(body)
            told = {name: entry.get(name) for name in ("recorded_at", "reason", "count")}
            self.erasures.append({"index": place.index, **told})


class _Gap:
    """Write the largest complete subtrees that stand for the entries left out between two others."""

    def __init__(self, hashes: IO[bytes]) -> None:
        self._hashes = hashes
        self._parts: list[tuple[int, int, bytes]] = []

    def add(self, place: Stored) -> None:
        """Leave out one more entry."""
        first, height, node = place.index, 0, place.leaf_hash
        while self._parts and self._parts[-1][1] == height and not self._parts[-1][0] & ((2 << height) - 1):
            first, _, left = self._parts.pop()
            node, height = merkle.node_hash(left, node), height + 1
        self._parts.append((first, height, node))

    def close(self) -> None:
        """End the gap before an entry, or where the root must be known."""
        for _, height, node in self._parts:
            self._hashes.write(f"{height} {node.hex()}\n".encode())
        self._parts.clear()


def _write_documents(store: Store, files: Hashed, *, named: list[str]) -> None:
    """Write the documents that entries name, those that these name in turn, and what shows a site from outside."""
    waiting = named
    for kind in SHOWN:
        for prefix in range(256):
            waiting += [document.digest for document in store.documents(f"{prefix:02x}", kind=kind)]
    index: dict[str, Any] = {}
    known = set(waiting)
    while waiting:
        digest = waiting.pop()
        document = store.document(digest)
        # One that was never archived is left out: the verifier says which entry names it.
        if document is None:
            continue
        files.write(f"documents/{digest}", data=document.data)
        index[digest] = {
            "kind": document.kind,
            "media_type": document.media_type,
            "language": document.language,
            "bytes": len(document.data),
        }
        if document.media_type == "application/json":
            more = {one.decode() for one in _NAMED.findall(document.data)} - known
            known |= more
            waiting += sorted(more)
    files.write("documents.json", data=_json(index))
