"""Have a time-stamp authority say since when a checkpoint has existed (RFC 3161), and check it; needs an extra."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography.x509 import Certificate

from consent.errors import ConfigurationError, VerificationError

MEDIA_TYPE = "application/timestamp-query"
GRANTED = (0, 1)
"""The answers that come with a token: granted, and granted with modifications (RFC 3161 §2.4.2)."""
_STATUS_GRANTED = bytes.fromhex("3003020100")


def refuse_without_client(*, place: str = "timestamp_url") -> None:
    """Raise ConfigurationError where the package that time stamps need is not installed; `place` is who asks for it."""
    if importlib.util.find_spec("rfc3161_client") is None:
        raise ConfigurationError(
            "time stamps need a package that is not installed",
            place=place,
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


def seen_at(token: bytes, *, note: bytes, trusted: Sequence[Certificate]) -> datetime:
    """Return when an authority saw a note, by its time-stamp token.

    `trusted` are the certificates that the authority's own must lead to; they count as they were at that time (UTC).
    Raises VerificationError where the token cannot be read, is about something else, or leads to none of them.
    """
    import rfc3161_client

    # The client reads whole answers; a token is what is left of one that said "granted" (RFC 3161 §2.4.2).
    body = _STATUS_GRANTED + token
    digits = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    length = digits if len(body) < 128 else bytes([128 + len(digits)]) + digits
    builder = rfc3161_client.VerifierBuilder()
    for certificate in dict.fromkeys(trusted):
        builder = builder.add_root_certificate(certificate)
    try:
        answer = rfc3161_client.decode_timestamp_response(b"\x30" + length + body)
        builder.build().verify_message(answer, note)
        return answer.tst_info.gen_time.replace(tzinfo=UTC)
    except Exception as error:  # a certificate inside is read too, and what that raises has no common class
        raise VerificationError(f"the time stamp does not verify: {error}") from None
