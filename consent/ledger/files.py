"""Write the files of a bundle one after the other, into a folder or a zip file, and hash them on the way."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, cast

PIECE = 1 << 18
"""Bytes that are handed on at a time."""


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


def piped(write: Callable[[Hashed], object]) -> Iterator[bytes]:
    """Yield the pieces of a zip archive while `write`, in a thread of its own, writes the files in it.

    The thread waits wherever nobody takes the pieces, and ends when nobody will. What `write` raises is raised here,
    and what was yielded by then is no archive.
    """
    source, target = os.pipe()
    failed: list[BaseException] = []

    def run() -> None:
        # Where nobody reads any more there is nobody to tell.
        with contextlib.suppress(BrokenPipeError), open(target, "wb", buffering=PIECE) as file:
            try:
                _write_zip(file, write)
            except BrokenPipeError:
                raise
            except BaseException as error:
                failed.append(error)

    thread = threading.Thread(target=run, name="consent-bundle", daemon=True)
    thread.start()
    with open(source, "rb") as file:
        while piece := file.read(PIECE):
            yield piece
    thread.join()
    if failed:
        raise failed[0]


def _write_zip(file: IO[bytes], write: Callable[[Hashed], object]) -> None:
    out = _Forward(file)
    # It asks for no more than a stream can do: writing and flushing.
    with zipfile.ZipFile(cast("IO[bytes]", out), "w") as archive:
        try:
            write(Hashed(Zip(archive)))
        except BaseException:
            out.cut = True
            raise


class _Forward:
    """Hand on what is written, and once `cut` nothing: with the list at its end a part would be a whole archive."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.cut = False

    def write(self, data: Any) -> int:
        """Write, or leave it."""
        return len(data) if self.cut else self._file.write(data)

    def flush(self) -> None:
        """Do nothing: what is left is written when the file is closed."""
