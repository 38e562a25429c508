"""Ask a time-stamp authority since when a checkpoint has existed (RFC 3161); needs the extra `timestamp`."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable

from consent.errors import ConfigurationError, VerificationError

MEDIA_TYPE = "application/timestamp-query"
GRANTED = (0, 1)
"""The answers that come with a token: granted, and granted with modifications (RFC 3161 §2.4.2)."""


def refuse_without_client() -> None:
    """Raise ConfigurationError where the package that time stamps need is not installed."""
    if importlib.util.find_spec("rfc3161_client") is None:
        raise ConfigurationError(
            "time stamps need a package that is not installed",
            place="timestamp_url",
            remedy="pip install 'asgi-consent[timestamp]'",
        )


def stamped(note: bytes, *, ask: Callable[[bytes], bytes]) -> bytes:
    """Return a time-stamp token over a note; `ask` brings a request to the authority and returns its answer.

    Raises VerificationError where the answer has no token, or one about something else. Whether the authority is to be
    believed is for who verifies: its certificate is in the token, and who vouches for that is not known here.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

    # SHA-512 is what the builder takes unless told otherwise; every other digest here is SHA-256.
    builder = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.cert_request(cert_request=True).nonce(nonce=True).build()
    try:
        answer = decode_timestamp_response(ask(request.as_bytes()))
        if answer.status not in GRANTED:
            raise VerificationError(
                f"the time-stamp authority refused: {'; '.join(answer.status_string) or answer.status}"
            )
        info = answer.tst_info
        if info.message_imprint.message != hashlib.sha256(note).digest() or info.nonce != request.nonce:
            raise VerificationError("the time-stamp authority answered about something else")
        return answer.time_stamp_token()
    except ValueError as error:
        raise VerificationError(f"the time-stamp authority's answer cannot be read: {error}") from None
