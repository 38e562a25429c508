"""Fetch pinned npm packages, each known by the digest of its bytes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

PINNED = {
    "bootstrap": ("5.3.9", "06bdf78289c3c12ea99d40df84eedf6278c724c73eebf38f11f3a65b44ec8c94"),
    "bulma": ("1.0.4", "4a3669880f72a69d13c34eafc294073ca106927e3ca8c534f56828a837b99105"),
    "@picocss/pico": ("2.1.1", "4affbb56f49df6d5325610b06762156f1dcdbc6ef57cea5c136d7e8a00a8cd24"),
    "vnu-jar": ("26.9.27", "5970d3ffca91a627cf0965e5d91bb2e4242307c29292998de0b419d6a901b2b7"),
    "vanilla-cookieconsent": ("3.1.0", "1d106b5f433b60d945dfed4c54f5535a8f61a30f2559b3f7548ed79e482aa4b6"),
    "klaro": ("0.7.22", "da7f3f4a9e3931da6c32c2667312736837e702316ae03835a0e726ae94eb3f2a"),
    "orejime": ("3.2.1", "a4d7ec8bc3b9fabe95d3ca318e8e872048c3044dd218a998bed397acd23f06a9"),
    "tarteaucitronjs": ("1.34.0", "e805b555e9bf4c4895d4f064b70bc0b517d67ba49d7b47d4bdc4e595b9f65f00"),
}
"""The version of each package, and the SHA-256 of its archive."""


def fetch(name: str, folder: Path) -> Path:
    """Return the folder of a package's files, fetched by `npm pack` into `folder`.

    Raises FileNotFoundError where there is no npm, RuntimeError where npm cannot fetch, and ValueError where what came
    is not what was pinned.
    """
    version, digest = PINNED[name]
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"there is no npm, which fetches {name}: install it (apt-get install npm)")
    into = folder / f"{name.rpartition('/')[2]}-{version}"
    into.mkdir(parents=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(into), f"{name}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm cannot fetch {name}@{version}: {done.stderr.strip()}")
    (archive,) = into.glob("*.tgz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != digest:
        raise ValueError(f"{name}@{version} has the digest {found}, and not {digest}")
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    return into / "package"
