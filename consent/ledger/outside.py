"""Keep outside the database what a restored backup would take back: the newest checkpoint, and who was erased."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from consent.errors import LedgerCorruptError, OutsideError

_LINE = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,15})")


class Outside:
    """Hold a checkpoint at `path`, and beside it, under `.erasures`, the keyed hashes of erased consent ids.

    Several processes may share the files, each inside `locked`. Every method raises OutsideError when they cannot be
    used. Backups of the database should leave these files out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._erasures = path.with_name(f"{path.name}.erasures")
        self._lock = path.with_name(f".{path.name}.lock")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time compare and swap."""
        with _failing(self._lock):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _failing(self._lock):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def checkpoint(self) -> bytes | None:
        """Return the signed note that was kept last, None where none ever was."""
        with _failing(self.path):
            return self.path.read_bytes() if self.path.exists() else None

    def keep(self, note: bytes) -> None:
        """Put a signed note in the place of the one before; durable on return, and never half there."""
        with _failing(self.path):
            replace_file(self.path, note, mode=0o600)

    def set_aside(self) -> Path | None:
        """Move the checkpoint out of the way, for an auditor to look at; return where to."""
        with _failing(self.path):
            if not self.path.exists():
                return None
            number = next(n for n in range(1, 10**6) if not self._aside(n).exists())
            self.path.rename(self._aside(number))
            return self._aside(number)

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.abandoned-{number}")

    def erasures(self) -> dict[bytes, int]:
        """Return the keyed hashes of erased ids, each with the Unix second before which its cookies are no choice."""
        with _failing(self._erasures):
            data = self._erasures.read_bytes() if self._erasures.exists() else b""
        found: dict[bytes, int] = {}
        # A line that was cut off when its process died stands for an erasure that did not happen.
        for line in data.split(b"\n")[:-1]:
            match = _LINE.fullmatch(line)
            if match is None:
                raise LedgerCorruptError(f"{self._erasures}: a line is not a keyed hash and a time")
            key = bytes.fromhex(match[1].decode())
            found[key] = max(found.get(key, 0), int(match[2]))
        return found

    def add_erasure(self, key: bytes, *, before: int) -> None:
        """Note an erasure, durable on return."""
        with _failing(self._erasures):
            descriptor = os.open(self._erasures, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                file.seek(0, os.SEEK_END)
                end = file.tell()
                if end:
                    file.seek(end - 1)
                    # Whatever was cut off goes, so that the next line begins where a line begins.
                    if file.read(1) != b"\n":
                        file.seek(0)
                        end = file.read().rfind(b"\n") + 1
                        file.truncate(end)
                file.seek(end)
                file.write(f"{key.hex()} {before}\n".encode())
                file.flush()
                os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file so that it appears whole or not at all, durable on return. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _failing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutsideError(f"{path}: {error.strerror or error}") from error
