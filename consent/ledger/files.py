"""Write the files of a bundle one after the other, into a folder or a zip file, and hash them on the way."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol


class Sink(Protocol):
    """Take the files of a bundle, one after the other."""

    def open(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Begin a file of this name, and finish it when the context ends."""


class Folder:
    """Write files into a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Begin a file; see Sink."""
        path = self._path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            yield file


class Zip:
    """Write files into a zip archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Begin a file; see Sink."""
        # One date for all: the same ledger gives the same bytes.
        entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        with self._archive.open(entry, "w", force_zip64=True) as file:
            yield file


class Hashed:
    """Write to a sink, and remember the SHA-256 of each file."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.digests: dict[str, str] = {}

    def write(self, name: str, *, data: bytes) -> None:
        """Write one small file."""
        with self._sink.open(name) as file:
            file.write(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Stream]:
        """Begin one large file."""
        with self._sink.open(name) as file:
            stream = Stream(file)
            yield stream
        self.digests[name] = stream.digest.hexdigest()


class Stream:
    """Write to a file, and hash what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write and hash."""
        self.digest.update(data)
        self._file.write(data)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[Hashed]:
    """Write files to `out`, a zip file if its name ends in `.zip`, else a folder; it appears whole or not at all.

    Raises FileExistsError if it is there already.
    """
    if out.exists():
        raise FileExistsError(errno.EEXIST, "it exists already", str(out))
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        if out.suffix == ".zip":
            with unfinished.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
                yield Hashed(Zip(archive))
        else:
            unfinished.mkdir()
            yield Hashed(Folder(unfinished))
        unfinished.rename(out)
    except BaseException:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        else:
            unfinished.unlink(missing_ok=True)
        raise
