"""Be a time-stamp authority (RFC 3161), with the program openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
x509_extensions = stamping
[name]
CN = Example Time
[stamping]
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_cert = certificate.pem
signer_key = key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


def founded(folder: Path) -> Path:
    """Make an authority of a folder, with `certificate.pem` in it, and return the folder."""
    assert shutil.which("openssl"), "the tests need the program openssl"
    (folder / "authority.cnf").write_text(_CONFIGURATION)
    (folder / "serial").write_text("01")
    run(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "authority.cnf"),
        *("-keyout", "key.pem", "-out", "certificate.pem"),
    )
    return folder


def run(folder: Path, *words: str) -> str:
    """Run openssl in a folder."""
    done = subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def stamp(folder: Path, request: bytes) -> bytes:
    """Answer a request for a time stamp."""
    (folder / "request").write_bytes(request)
    run(
        folder,
        *("ts", "-reply", "-queryfile", "request", "-config", "authority.cnf", "-section", "one", "-out", "answer"),
    )
    return (folder / "answer").read_bytes()
