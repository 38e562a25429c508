"""Export a bundle: entries, texts, proof, checkpoint and verifier together, to be checked offline and without us."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from consent.errors import LedgerCorruptError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.export import Span, span
from consent.ledger.gaps import refuse_holes
from consent.ledger.ledger import Ledger
from consent.ledger.progress import Progress, silent, watched
from consent.ledger.store import Store

FORMAT = "consent-bundle/1"
_NAMING = (b'"facts":"', b'"notice":"', b'"rendering":"', b'"sha256":"')
"""What stands before the digest of a document; within a text of canonical JSON it cannot stand."""
_VERIFIER = Path(__file__).parents[1] / "verify.py"
_README = """# Evidence of consent: {origin}

This bundle holds entries {first} to {last} (the last one excluded) of the consent ledger of {origin}, which had
{size} entries when it was signed. Everything needed to check it lies in it, and `verify.py` is short enough to be read
before it is run. It needs Python 3.11 or newer and the package `cryptography`:

    python verify.py .

Better evidence comes from outside the bundle: take `verify.py` from the project, the verifier key from the operator on
another way than the bundle came, and a checkpoint that somebody kept earlier:

    python verify.py BUNDLE --key VERIFIER_KEY --checkpoint EARLIER_CHECKPOINT

| file | what |
|---|---|
| `entries.jsonl` | the entries, one a line, byte for byte as they were recorded; an empty line is one that was pruned |
| `leaf-hashes.txt` | the RFC 6962 leaf hash of each entry, on the same line |
| `proof.json` | which range this is, and the hashes that stand for the entries outside it |
| `checkpoint` | the signed head of the whole tree (C2SP tlog-checkpoint) |
| `key` | the verifier key of the ledger (C2SP signed note) |
| `documents/` | policies, notices and renderings that the entries name, under their SHA-256 |
| `documents.json` | what each of them is |
| `manifest.json`, `manifest.sig` | the SHA-256 of every file, and the ledger's signature over them |

A consent record's `subject` is a pseudonym for that record alone; nothing in the bundle leads from it to a person.
"""


class _Sink(Protocol):
    """Take the files of a bundle, one after the other."""

    def open(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Begin a file of this name, and finish it when the context ends."""


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        path = self._path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            yield file


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        # One date for all: the same ledger gives the same bytes.
        entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        with self._archive.open(entry, "w", force_zip64=True) as file:
            yield file


class _Hashed:
    """Write to a sink, and remember the SHA-256 of each file."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self.digests: dict[str, str] = {}

    def write(self, name: str, *, data: bytes) -> None:
        """Write one small file."""
        with self._sink.open(name) as file:
            file.write(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[_Stream]:
        """Begin one large file."""
        with self._sink.open(name) as file:
            stream = _Stream(file)
            yield stream
        self.digests[name] = stream.digest.hexdigest()


class _Stream:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write and hash."""
        self.digest.update(data)
        self._file.write(data)


def write_bundle(
    ledger: Ledger,
    out: Path,
    *,
    since: int | None = None,
    until: int | None = None,
    progress: Progress = silent,
) -> tuple[Checkpoint, Span]:
    """Export the entries recorded from `since` to before `until` (Unix seconds; all by default), with their evidence.

    `out` becomes a zip file if its name ends in `.zip`, else a folder; it appears whole or not at all, and the same
    ledger state gives the same bytes. Returns the checkpoint it is bound to, and the range of entries. Raises
    FileExistsError if `out` is there already, LedgerError if the ledger cannot be read.
    """
    if out.exists():
        raise FileExistsError(errno.EEXIST, "it exists already", str(out))
    checkpoint = ledger.seal()
    of = span(ledger.store, size=checkpoint.size, since=since, until=until)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        if out.suffix == ".zip":
            with unfinished.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
                _write(ledger, _Hashed(_Zip(archive)), checkpoint=checkpoint, of=of, progress=progress)
        else:
            unfinished.mkdir()
            _write(ledger, _Hashed(_Folder(unfinished)), checkpoint=checkpoint, of=of, progress=progress)
        unfinished.rename(out)
    except BaseException:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        else:
            unfinished.unlink(missing_ok=True)
        raise
    return checkpoint, of


def _write(ledger: Ledger, files: _Hashed, *, checkpoint: Checkpoint, of: Span, progress: Progress) -> None:
    store = ledger.store
    readme = _README.format(origin=store.origin, first=of.first, last=of.last, size=checkpoint.size)
    files.write("README.md", data=readme.encode())
    files.write("checkpoint", data=checkpoint.note)
    files.write("key", data=ledger.signer.verifier.text.encode() + b"\n")
    files.write("verify.py", data=_VERIFIER.read_bytes())
    files.write("proof.json", data=_proof(store, size=checkpoint.size, of=of))
    named = _write_entries(store, files, of=of, progress=progress)
    _write_hashes(store, files, of=of)
    _write_documents(store, files, named=named)
    manifest = _json({"format": FORMAT, "origin": store.origin, "files": files.digests})
    files.write("manifest.json", data=manifest)
    statement = f"{FORMAT} manifest\n{store.origin}\n{hashlib.sha256(manifest).hexdigest()}\n"
    files.write("manifest.sig", data=ledger.signer.sign(statement))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _proof(store: Store, *, size: int, of: Span) -> bytes:
    def outside(first: int, last: int) -> list[list[object]]:
        return [[height, node.hex()] for height, node in merkle.cover_hashes(store, first=first, last=last)]

    return _json(
        {
            "first": of.first,
            "last": of.last,
            "size": size,
            "before": outside(0, of.first),
            "after": outside(of.last, size),
        }
    )


def _write_entries(store: Store, files: _Hashed, *, of: Span, progress: Progress) -> list[str]:
    named: set[bytes] = set()
    missing, total = 0, of.last - of.first
    with files.stream("entries.jsonl") as stream:
        for place in watched(store.stored(of.first, last=of.last), total=total, progress=progress):
            body = place.body or b""
            missing += not body
            stream.write(body + b"\n")
            for naming in _NAMING:
                named.update(part[:64] for part in body.split(naming)[1:])
    refuse_holes(store, first=of.first, last=of.last, missing=missing)
    return sorted(digest.decode() for digest in named if re.fullmatch(rb"[0-9a-f]{64}", digest))


def _write_hashes(store: Store, files: _Hashed, *, of: Span) -> None:
    with files.stream("leaf-hashes.txt") as stream:
        for first in range(of.first, of.last, 10_000):
            last = min(first + 10_000, of.last)
            hashes = store.hashes(0, first=first, last=last)
            if len(hashes) != last - first:
                raise LedgerCorruptError(f"a leaf hash between {first} and {last} is missing")
            stream.write("".join(f"{node.hex()}\n" for node in hashes).encode())


def _write_documents(store: Store, files: _Hashed, *, named: list[str]) -> None:
    index = {}
    for digest in named:
        document = store.document(digest)
        # One that was never archived is left out: the verifier says which entry names it.
        if document is not None:
            files.write(f"documents/{digest}", data=document.data)
            index[digest] = {
                "kind": document.kind,
                "media_type": document.media_type,
                "language": document.language,
                "bytes": len(document.data),
            }
    files.write("documents.json", data=_json(index))
