"""Stream a zip archive: whole for who takes all of it, held back for who waits, and none at all where it fails."""

from __future__ import annotations

import io
import os
import threading
import zipfile

import pytest

from consent.errors import LedgerUnavailableError
from consent.ledger.files import PIECE, Hashed, piped


def test_an_archive_is_streamed() -> None:
    """What was written comes out, large and small, in pieces that are not larger than one."""
    large = os.urandom(3 * PIECE)

    def write(files: Hashed) -> None:
        files.write("small", data=b"s")
        with files.stream("folder/large") as file:
            for at in range(0, len(large), 1_000):
                file.write(large[at : at + 1_000])

    pieces = list(piped(write))
    assert len(pieces) > 3
    assert max(map(len, pieces)) <= PIECE
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"small": b"s", "folder/large": large}


def test_nothing_is_made_ahead() -> None:
    """Whoever takes one piece has few more made; once they leave, the thread ends and is told so."""
    written, ended = 0, threading.Event()

    def write(files: Hashed) -> None:
        nonlocal written
        try:
            with files.stream("endless") as file:
                while True:
                    file.write(os.urandom(PIECE))
                    written += 1
        finally:
            ended.set()

    pieces = piped(write)
    next(pieces)
    assert not ended.wait(0.2)
    # One that was taken, one in the reader, one in the writer, and what the pipe holds.
    assert written < 8
    assert hasattr(pieces, "close")
    pieces.close()
    assert ended.wait(30)


@pytest.mark.parametrize("size", [0, 5 * PIECE])
def test_a_part_is_no_archive(size: int) -> None:
    """What fails on the way is raised, after the pieces that were made; they are not taken for an archive."""

    def write(files: Hashed) -> None:
        files.write("whole", data=os.urandom(size))
        with files.stream("part") as file:
            file.write(b"p")
            raise LedgerUnavailableError("gone")

    taken = io.BytesIO()
    with pytest.raises(LedgerUnavailableError, match="gone"):
        taken.writelines(piped(write))
    assert len(taken.getvalue()) >= size
    assert not zipfile.is_zipfile(taken)
