"""Sign tree heads: C2SP signed notes (https://c2sp.org/signed-note) holding checkpoints (https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.errors import ConfigurationError, VerificationError

ED25519 = b"\x01"
_DASH = "\N{EM DASH} "


def note_name(origin: str) -> str:
    """Return the name a site's ledger signs under: its origin without the scheme, as tlog-checkpoint asks for."""
    return origin.split("://", 1)[-1].rstrip("/")


def _decode(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("this base64 text is not the only spelling of its bytes")
    return data


def _check_ed25519(public: bytes, signature: bytes, text: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, text)


@dataclass(frozen=True, slots=True)
class _Type:
    """Hold how signatures of one type are checked, and how many bytes its public keys have."""

    check: Callable[[bytes, bytes, bytes], None]
    length: int


_TYPES = {ED25519: _Type(_check_ed25519, 32)}
"""The signature types of C2SP signed notes that are understood, by their first byte; another one is added here."""


def _refuse_name(name: str) -> None:
    if not name or "+" in name or any(sign.isspace() for sign in name):
        raise ConfigurationError(f"{name!r} cannot name a key", remedy="Use a name without spaces and plus signs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Check signatures of one ledger: a key name, the bytes of the public key, and the type of signature."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @classmethod
    def from_text(cls, text: str) -> Verifier:
        """Read a verifier key, `name+id+key`; raise VerificationError if it is none."""
        try:
            name, key_id, key = text.strip().split("+", 2)
            kind, public = _decode(key)[:1], _decode(key)[1:]
            verifier = cls(name=name, public=public, kind=kind)
            right = kind in _TYPES and len(public) == _TYPES[kind].length and key_id == verifier.key_id.hex()
        except ValueError:
            right = False
        if not right:
            raise VerificationError("this is not a verifier key (name+id+key) of a type that is known, such as Ed25519")
        return verifier

    @property
    def text(self) -> str:
        """Return the verifier key as C2SP writes it."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that tell this key from others of the same name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    def open(self, note: bytes) -> str:
        """Return the text of a note this key has signed.

        Raises VerificationError if the note is malformed, or has no valid signature of this key.
        """
        try:
            text, lines = _split(note)
        except ValueError as error:
            raise VerificationError(f"this is not a signed note: {error}") from None
        for name, key_id, signature in lines:
            if name == self.name and key_id == self.key_id:
                try:
                    _TYPES[self.kind].check(self.public, signature, text.encode())
                except InvalidSignature:
                    raise VerificationError(f"the signature of {name} does not fit this note") from None
                return text
        raise VerificationError(f"no signature of {self.name} with key {self.key_id.hex()}")


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    text, gap, signatures = note.decode().rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise ValueError("it has no signature part")
    if any(ord(sign) < 32 and sign != "\n" for sign in text):
        raise ValueError("it has control characters")
    lines = []
    for line in signatures[:-1].split("\n"):
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        try:
            data = _decode(encoded)
        except binascii.Error:
            data = b""
        if not line.startswith(_DASH) or not name or len(data) < 5:
            raise ValueError("a signature line is malformed")
        lines.append((name, data[:4], data[4:]))
    return text + "\n", lines


class Signer:
    """Sign for one ledger with Ed25519. Its representation shows no key."""

    __slots__ = ("_private", "name", "verifier")

    def __init__(self, name: str, *, seed: bytes) -> None:
        _refuse_name(name)
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name=name, public=self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"<Signer {self.name} {self.verifier.key_id.hex()}>"

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Make a signer with a new key."""
        return cls(name, seed=secrets.token_bytes(32))

    @classmethod
    def from_text(cls, text: str) -> Signer:
        """Read what `to_text()` wrote; raise ConfigurationError, which never shows it, for anything else."""
        try:
            private, key, name, key_id, encoded = text.strip().split("+", 4)
            data = _decode(encoded)
            if (private, key) != ("PRIVATE", "KEY") or data[:1] != ED25519:
                raise ValueError
            signer = cls(name, seed=data[1:])
            if signer.verifier.key_id.hex() != key_id:
                raise ValueError
        except ValueError:
            raise ConfigurationError(
                "the ledger key is not a signing key (PRIVATE+KEY+name+id+key)",
                remedy="Give the key exactly as it was made; without one, a new key is made beside an SQLite ledger",
            ) from None
        return signer

    def to_text(self) -> str:
        """Return the signing key as text, `PRIVATE+KEY+name+id+key`: a secret."""
        encoded = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def sign(self, text: str) -> bytes:
        """Return `text`, which must end with a newline, as a signed note."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a newline")
        return f"{text}\n".encode() + self._line(text)

    def cosign(self, note: bytes) -> bytes:
        """Return a signed note with this key's signature after those it has."""
        text, _ = _split(note)
        return note + self._line(text)

    def _line(self, text: str) -> bytes:
        signature = base64.b64encode(self.verifier.key_id + self._private.sign(text.encode())).decode()
        return f"{_DASH}{self.name} {signature}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Hold a tree head: whose ledger, how many entries, which root; `note` are the signed bytes."""

    name: str
    size: int
    root: bytes
    note: bytes = b""

    @classmethod
    def signed(cls, signer: Signer, *, size: int, root: bytes) -> Checkpoint:
        """Sign a tree head."""
        text = f"{signer.name}\n{size}\n{base64.b64encode(root).decode()}\n"
        return cls(name=signer.name, size=size, root=root, note=signer.sign(text))

    @classmethod
    def opened(cls, note: bytes, *, verifier: Verifier) -> Checkpoint:
        """Read a checkpoint and check its signature; raise VerificationError if either fails."""
        return cls._read(verifier.open(note), note=note, name=verifier.name)

    @classmethod
    def unchecked(cls, note: bytes, *, name: str) -> Checkpoint:
        """Read a checkpoint without asking who signed it; raise VerificationError if it is none of this name."""
        try:
            text, _ = _split(note)
        except ValueError as error:
            raise VerificationError(f"this is not a signed note: {error}") from None
        return cls._read(text, note=note, name=name)

    def cosigned(self, signer: Signer) -> Checkpoint:
        """Return the same tree head with one more signature, which is the last."""
        return replace(self, note=signer.cosign(self.note))

    @property
    def last_key_id(self) -> bytes:
        """Return the four bytes of the key whose signature comes last: the key that goes on."""
        return _split(self.note)[1][-1][1]

    @classmethod
    def _read(cls, text: str, *, note: bytes, name: str) -> Checkpoint:
        lines = text.split("\n")
        try:
            size, root = int(lines[1]), _decode(lines[2])
        except (IndexError, ValueError):
            raise VerificationError("this note is not a checkpoint") from None
        if lines[0] != name or lines[1] != str(size) or size < 0 or len(root) != 32:
            raise VerificationError("this note is not a checkpoint of the ledger that signed it")
        return cls(name=name, size=size, root=root, note=note)


def key_beside(path: Path, *, name: str) -> Signer:
    """Read the signing key at `path`, or make one there, readable by its owner alone.

    Several workers may start at once: the file appears whole or not at all, and all of them end with the same key.
    Raises ConfigurationError if the file can neither be read nor made, or holds the key of another name.
    """
    try:
        if not path.exists():
            _place(path, text=Signer.generate(name).to_text() + "\n")
        signer = Signer.from_text(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read or make the ledger key: {error.strerror}",
            place=str(path),
            remedy="Make the folder writable, or set CONSENT_LEDGER_KEY",
        ) from error
    if signer.name != name:
        raise ConfigurationError(
            f"the ledger key signs for {signer.name!r}, not for {name!r}",
            place=str(path),
            remedy="A ledger belongs to one origin: use its own key, or a new ledger",
        )
    return signer


def _place(path: Path, *, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A hard link never replaces: who loses the race reads the winner's key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
