"""Undo content codings, with the packages that are there and without."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from consent import codings
from consent.codings import DECODERS, PIECE, CodingError

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_what_was_packed_comes_back(coding: str, step: int) -> None:
    """Whatever pieces it comes in, and whatever follows its end."""
    body = b"".join(b"Harbour news %d. " % n for n in range(5000))
    packed = PACKED[coding](body)
    decoder = DECODERS[coding]()
    out = [piece for at in range(0, len(packed), step) for piece in decoder.pieces(packed[at : at + step], last=False)]
    out += [*decoder.pieces(b"", last=True)]
    assert b"".join(out) == body


@pytest.mark.parametrize("coding", PACKED)
def test_no_piece_is_large_however_far_it_expands(coding: str) -> None:
    """Thirty megabytes of one letter come out a little at a time."""
    packed = PACKED[coding](b"a" * 30_000_000)
    total = 0
    for piece in DECODERS[coding]().pieces(packed, last=True):
        assert len(piece) <= 32 * PIECE
        total += len(piece)
    assert total == 30_000_000


@pytest.mark.parametrize("coding", PACKED)
def test_what_is_not_in_its_coding_is_told(coding: str) -> None:
    """Another body is an error of ours, whatever package reads it."""
    with pytest.raises(CodingError):
        list(DECODERS[coding]().pieces(b"\xff<p>Harbour news</p>" * 9, last=True))


def test_without_the_packages_two_codings_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be undone is not offered to the app."""
    for name in ("brotli", "brotlicffi", "zstandard", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    assert set(codings._found()) == {"gzip", "x-gzip", "deflate"}
