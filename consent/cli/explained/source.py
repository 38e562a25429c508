"""Get the page to explain: from a file, from standard input, or by one request."""

from __future__ import annotations

import http.client
import mimetypes
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

from consent.codings import DECODERS, CodingError
from consent.errors import ConfigurationError
from consent.version import __version__

STDIN = "-"
LONGEST = 20_000_000
"""Bytes of a page that are read."""
TIMEOUT_SECONDS = 20.0
FIRST_ERROR = 400
IsHeld = Callable[[str], bool]
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Hold a page as it was got; `address`, `status` and `headers` only of one that was requested."""

    name: str
    body: bytes
    content_type: str = ""
    address: str = ""
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()


def is_address(text: str) -> bool:
    """Tell whether a text names a page by its address."""
    return text.lower().startswith(_SCHEMES)


def source(text: str, *, is_held: IsHeld = lambda address: False) -> Source:
    """Return the page that a text names: an address, `-`, or a file. Raises ConfigurationError where there is none.

    A redirect to an address that `is_held` is not followed: nobody there is asked, and it is what is explained.
    """
    if is_address(text):
        return _requested(text, is_held)
    try:
        if text == STDIN:
            body = _bounded(sys.stdin.buffer, "standard input")
            if not body:
                raise ConfigurationError("standard input is empty", remedy="See what the command before the pipe said")
            return Source(name="(standard input)", body=body)
        with Path(text).open("rb") as file:
            return Source(name=text, body=_bounded(file, text), content_type=mimetypes.guess_type(text)[0] or "")
    except OSError as error:
        raise ConfigurationError(f"cannot read {text}: {error.strerror or error}") from None


def _bounded(file: IO[bytes] | http.client.HTTPResponse, name: str) -> bytes:
    body = file.read(LONGEST + 1)
    if len(body) > LONGEST:
        _too_long(name)
    return body


def _too_long(name: str) -> NoReturn:
    raise ConfigurationError(f"{name} is longer than {LONGEST // 1_000_000} MB", remedy="Explain a shorter page")


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follow redirects to web addresses only, and to none that is held."""

    def __init__(self, is_held: IsHeld) -> None:
        self._is_held = is_held
        self.stopped = False

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request that follows; raise ConfigurationError where it would leave the web."""
        if not is_address(newurl):
            raise ConfigurationError(f"{req.full_url} redirects to {newurl}, which is no web address")
        leaves = urlsplit(newurl).hostname != urlsplit(req.full_url).hostname
        self.stopped = leaves and self._is_held(newurl)
        return None if self.stopped else super().redirect_request(req, fp, code, msg, headers, newurl)


def _requested(address: str, is_held: IsHeld) -> Source:
    redirects = _WebOnly(is_held)
    opener = urllib.request.build_opener(redirects)
    try:
        request = urllib.request.Request(  # noqa: S310 - only web addresses come here
            address,
            headers={"Accept": "text/html", "Accept-Encoding": "identity", "User-Agent": f"consent/{__version__}"},
        )
        try:
            response = opener.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code < FIRST_ERROR and not redirects.stopped:
                raise ConfigurationError(f"{address} redirects in a way that is not followed: {error.msg}") from None
            # A page that says what went wrong is a page too.
            response = error
        with response:
            raw = tuple(
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()
            )
            body = _bounded(response, address)
            status, final = response.status, response.url
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigurationError(f"cannot get {address}: {getattr(reason, 'strerror', None) or reason}") from None
    coding = dict(raw).get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return Source(
        name=final,
        body=_decoded(body, coding, final),
        content_type=", ".join(value.decode("latin-1") for name, value in raw if name == b"content-type"),
        address=final,
        status=status,
        headers=raw,
    )


def _decoded(body: bytes, coding: str, name: str) -> bytes:
    if coding in ("", "identity"):
        return body
    maker = DECODERS.get(coding)
    if maker is None:
        raise ConfigurationError(f"{name} answers in the content coding {coding!r}, which cannot be undone")
    decoder = maker()
    try:
        plain = b""
        for piece in decoder.pieces(body, last=True):
            plain += piece
            if len(plain) > LONGEST:
                _too_long(name)
    except CodingError:
        raise ConfigurationError(f"the body of {name} is not in the content coding it is said to be in") from None
    return plain
