"""Hold the script and the style sheet under addresses that name their content, so that they can be cached for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Hold one file with the digest of its bytes, in hex."""

    name: str
    data: bytes
    digest: str
    media_type: str

    @property
    def address(self) -> str:
        """Return the last part of its path: `consent.0123456789ab.js`."""
        stem, _, suffix = self.name.rpartition(".")
        return f"{stem}.{self.digest[:12]}.{suffix}"


def load(folder: Path) -> dict[str, Asset]:
    """Read every script and style sheet of a folder, by name."""
    return {path.name: _asset(path) for path in sorted(folder.iterdir()) if path.suffix in _MEDIA_TYPES}


def _asset(path: Path) -> Asset:
    data = path.read_bytes()
    return Asset(
        name=path.name, data=data, digest=hashlib.sha256(data).hexdigest(), media_type=_MEDIA_TYPES[path.suffix]
    )
