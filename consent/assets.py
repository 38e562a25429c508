"""Hold the script and the style sheet under addresses that name their content, so that they can be cached for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from consent.theme import Look

STYLE = "consent.css"
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


def load(folder: Path, look: Look | None = None) -> dict[str, Asset]:
    """Read every script and style sheet of a folder, by name; the one for the site's own pages gets its look."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _MEDIA_TYPES}
    found[STYLE] = (look or Look()).sheet(found[STYLE], positions=folder / "positions")
    return {name: _asset(name, data) for name, data in found.items()}


def _asset(name: str, data: bytes) -> Asset:
    media_type = _MEDIA_TYPES[Path(name).suffix]
    return Asset(name=name, data=data, digest=hashlib.sha256(data).hexdigest(), media_type=media_type)
