"""Keep a choice in a signed cookie of 119 bytes, name included, at four purposes and sixty services."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.exc import BadData

from consent.choice.choice import Choice, Method
from consent.choice.notice import SHORT_BYTES, Notice
from consent.errors import ConfigurationError

NAME = "consent"
ONCE_NAME = "consent-once"
LANGUAGE_NAME = "consent-language"
MAX_BYTES = 512
ID_BYTES = 16
ONCE_SECONDS = 60
_TIME_BYTES = 4
_IDENTIFIED = 0x80
_HEAD = 1 + _TIME_BYTES + SHORT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Hold what a cookie with a good signature says, before the notice is known that gives its bits a meaning."""

    notice: bytes
    decided_at: int
    method: Method
    bits: bytes
    consent_id: bytes | None = field(repr=False)


def signer(keys: Sequence[str], *, purpose: str) -> Signer:
    """Return the signer of one kind of cookie: the last key signs, all verify, and the format version is in the salt.

    Raises ConfigurationError for an empty list or an empty key, which would let anybody sign.
    """
    if not keys or not all(keys):
        raise ConfigurationError(
            "there is no key to sign cookies with",
            place="CONSENT_SECRET_KEYS",
            remedy="Set it to a JSON list of long random texts; `consent init` writes one",
        )
    return Signer(list(keys), salt=f"consent.{purpose}.v1", digest_method=hashlib.sha256, key_derivation="hmac")


def seal(choice: Choice, *, notice: Notice, by: Signer) -> str:
    """Return the cookie value of a choice made under `notice`: signed, URL-safe base64."""
    flags = int(choice.method) | (_IDENTIFIED if choice.consent_id else 0)
    answers = [choice.purposes.get(key) for key in notice.purposes] + [
        choice.services.get(key) for key in notice.services
    ]
    payload = bytes([flags]) + choice.decided_at.to_bytes(_TIME_BYTES) + notice.short
    payload += (choice.consent_id or b"") + _pack(answers)
    return by.sign(base64_encode(payload)).decode("ascii")


def unseal(value: bytes, *, by: Signer) -> Sealed | None:
    """Return what a cookie says, None for one that is too long, malformed or not signed by us."""
    if len(value) > MAX_BYTES:
        return None
    try:
        payload = base64_decode(by.unsign(value))
        method = Method(payload[0] & ~_IDENTIFIED)
    except (BadSignature, BadData, ValueError, IndexError):
        return None
    rest = payload[_HEAD:]
    identified = bool(payload[0] & _IDENTIFIED)
    if len(payload) < _HEAD or (identified and len(rest) < ID_BYTES):
        return None
    return Sealed(
        notice=payload[1 + _TIME_BYTES : _HEAD],
        decided_at=int.from_bytes(payload[1 : 1 + _TIME_BYTES]),
        method=method,
        consent_id=rest[:ID_BYTES] if identified else None,
        bits=rest[ID_BYTES:] if identified else rest,
    )


def read(sealed: Sealed, *, notice: Notice) -> Choice | None:
    """Return the choice of a cookie, read by the archived notice it was made under; None where the two do not fit."""
    purposes, services = notice.purposes, tuple(notice.services)
    answers = _unpack(sealed.bits, len(purposes) + len(services))
    if answers is None or sealed.notice != notice.short:
        return None
    by_key = dict(zip((*purposes, *services), answers, strict=True))
    choice = Choice(
        notice=notice.digest,
        decided_at=sealed.decided_at,
        method=sealed.method,
        purposes={key: answer for key in purposes if (answer := by_key[key]) is not None},
        services={key: answer for key in services if (answer := by_key[key]) is not None},
        consent_id=sealed.consent_id,
    )
    return choice if choice.grants == (choice.consent_id is not None) else None


def seal_once(service: str, *, path: str, now: int, by: Signer) -> str:
    """Return the cookie value that lets one service load on the next page at one path, within a minute of `now`."""
    return by.sign(f"{now}.{service}.{_path_digest(path)}").decode("ascii")


def unseal_once(value: bytes, *, path: str, now: int, by: Signer) -> str | None:
    """Return the service that may load once at this path, None for a cookie of another path, too old, or not ours."""
    if len(value) > MAX_BYTES:
        return None
    try:
        made_at, service, digest = by.unsign(value).decode("ascii").split(".")
    except (BadSignature, ValueError):
        return None
    return service if digest == _path_digest(path) and 0 <= now - int(made_at) <= ONCE_SECONDS else None


def _path_digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def _pack(answers: Iterable[bool | None]) -> bytes:
    """Write two bits an answer, asked and yes, most significant first."""
    number, count = 1, 0
    for answer in answers:
        number = number << 2 | (0 if answer is None else 2 | answer)
        count += 2
    number <<= -count % 8
    return number.to_bytes((number.bit_length() + 7) // 8)[1:]


def _unpack(bits: bytes, count: int) -> list[bool | None] | None:
    if len(bits) != (count * 2 + 7) // 8:
        return None
    number = int.from_bytes(bits) >> (len(bits) * 8 - count * 2)
    pairs = [number >> 2 * n & 3 for n in reversed(range(count))]
    if 1 in pairs:
        return None
    return [None if pair == 0 else pair == 3 for pair in pairs]
