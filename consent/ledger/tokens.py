"""Let auditors in by tokens that are shown once, kept as digests, end by themselves, and can be taken back."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

STATS, RECORDS = "stats", "records"
SCOPES = (STATS, RECORDS)
"""What a token opens: the statistics, or the entries and their exports too."""
TOKEN_BYTES = 32
UNGUESSABLE = 32
"""Characters of a token from which on nobody guesses it, however often they try."""
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Hold what is known of a token: the auditor's name for it, its SHA-256, what it opens, and until when.

    `created_at`, `expires_at` and `revoked_at` are in Unix seconds; None where it does not end, or was not taken back.
    Raises ValueError for a name or scope that is none.
    """

    name: str
    digest: bytes = field(repr=False)
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} cannot name a token: use small letters, digits and hyphens, and nobody's name, since it"
                " stands in the log for ever"
            )
        if not self.scopes or set(self.scopes) - set(SCOPES):
            raise ValueError(f"a token has one or more of the scopes {', '.join(SCOPES)}")

    def state(self, now: float) -> str:
        """Return whether it is `valid`, `expired` or `revoked` at a Unix second."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"


def fresh() -> str:
    """Return a new token, which is nowhere else."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token, under which it is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def configured(texts: Sequence[str]) -> list[Token]:
    """Return the tokens of the setting, each a token or `sha256:` and its digest in hex: they open everything.

    They are named by the beginning of their digest, since the setting has no names.
    """
    tokens = []
    for text in texts:
        hashed = _HASHED.fullmatch(text)
        digest = bytes.fromhex(hashed[1]) if hashed else digest_of(text)
        tokens.append(Token(name=f"setting-{digest.hex()[:8]}", digest=digest, scopes=SCOPES, created_at=0))
    return tokens
