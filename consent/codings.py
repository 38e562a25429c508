"""Undo the content codings of a body, piece by piece, each piece bounded however far its bytes expand."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any, Protocol

PIECE = 262_144
"""Bytes of one decoded piece, about."""
_SLICE = 256
"""Bytes of zstd taken in at once: a block of 4 bytes can mean 128 KiB. Source: RFC 8878 §3.1.1.2."""
_WINDOW = 8 << 20
"""Bytes of memory that zstd may ask for, as browsers have it. Source: RFC 9659."""


class CodingError(ValueError):
    """Tell that a body is not in the coding it is said to be in."""


class Decoder(Protocol):
    """Undo one content coding."""

    def pieces(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what the next bytes hold; raises CodingError."""


class _Zlib:
    """Undo gzip, and deflate with zlib's wrapper or without it: servers send either, and browsers read both."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._head = b""
        self._inner: Any = None

    def pieces(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what the next bytes hold."""
        if self._inner is None:
            data = self._head = self._head + data
            if len(data) < 2 and not last:
                return
            wrapped = data[:1] and data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            raw = self._wbits == zlib.MAX_WBITS and not wrapped
            self._inner = zlib.decompressobj(wbits=-zlib.MAX_WBITS if raw else self._wbits)
        try:
            out = self._inner.decompress(data, PIECE)
            while out:
                yield out
                out = self._inner.decompress(self._inner.unconsumed_tail, PIECE) if not self._inner.eof else b""
            if last:
                yield self._inner.flush()
        except zlib.error as error:
            raise CodingError(str(error)) from None


class _Brotli:
    """Undo brotli."""

    def __init__(self, module: Any) -> None:
        self._error: type[Exception] = module.error
        self._inner: Any = module.Decompressor()

    def pieces(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what the next bytes hold."""
        try:
            out = self._inner.process(data, output_buffer_limit=PIECE)
            while out:
                yield out
                out = b"" if self._inner.is_finished() else self._inner.process(b"", output_buffer_limit=PIECE)
        except self._error as error:
            raise CodingError(str(error)) from None


class _Zstd:
    """Undo zstd."""

    def __init__(self, inner: Any, error: type[Exception]) -> None:
        self._inner = inner
        self._error = error

    def pieces(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """Yield what the next bytes hold."""
        try:
            for at in range(0, len(data), _SLICE):
                if self._inner.eof:
                    return
                yield self._inner.decompress(data[at : at + _SLICE])
        except self._error as error:
            raise CodingError(str(error)) from None


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _found() -> dict[str, Callable[[], Decoder]]:
    """Return the codings that can be undone with the packages that are there."""
    gzip = partial(_Zlib, zlib.MAX_WBITS | 16)
    codings: dict[str, Callable[[], Decoder]] = {
        "gzip": gzip,
        "x-gzip": gzip,
        "deflate": partial(_Zlib, zlib.MAX_WBITS),
    }
    for name in ("brotli", "brotlicffi"):
        module: Any = _module(name)
        # Older versions know no bound for what comes out at once.
        if module is not None and hasattr(module.Decompressor, "can_accept_more_data"):
            codings.setdefault("br", partial(_Brotli, module))
    standard: Any = _module("compression.zstd")
    package: Any = _module("zstandard")
    if standard is not None:
        options = {standard.DecompressionParameter.window_log_max: _WINDOW.bit_length() - 1}
        codings["zstd"] = lambda: _Zstd(standard.ZstdDecompressor(options=options), standard.ZstdError)
    elif package is not None:
        codings["zstd"] = lambda: _Zstd(
            package.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(), package.ZstdError
        )
    return codings


DECODERS = _found()
"""Makes a decoder for each content coding that can be undone here."""
