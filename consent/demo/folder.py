"""Write the folder of the demo site: configuration, secrets and policies, each only where it is not there yet."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from string import Template

from consent.demo.articles import SITE
from consent.errors import ConfigurationError
from consent.settings import CONFIG_FILE

ENVIRONMENT_FILE = ".env"
CORRECTIONS_FILE = "corrections.jsonl"
POLICIES = "policies"


def make(folder: Path, *, port: int) -> list[str]:
    """Write whatever the folder lacks and return the names of what was written.

    Nothing that is there already is changed, so that a second start goes on with the same secrets and ledger.
    Raises ConfigurationError where the folder cannot be written, or belongs to a site that is not the demo.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder / CONFIG_FILE)
        written = [
            name
            for name, text, mode in (
                (CONFIG_FILE, _configuration(port), 0o644),
                (ENVIRONMENT_FILE, _secrets(), 0o600),
            )
            if _write_once(folder / name, text, mode=mode)
        ]
        policies = folder / POLICIES
        if not policies.exists():
            shutil.copytree(SITE / POLICIES, policies)
            written.append(POLICIES)
    except OSError as error:
        raise ConfigurationError(
            error.strerror or str(error),
            place=str(error.filename or folder),
            remedy="Name a folder that can be written, with --dir",
        ) from None
    return written


def _refuse_foreign(file: Path) -> None:
    """Raise ConfigurationError for a configuration that does not begin as the demo's does."""
    mark = _configuration(0).partition("\n")[0].encode()
    if file.exists() and file.read_bytes().partition(b"\n")[0].rstrip() != mark:
        raise ConfigurationError(
            "was not written by the demo, which would serve and record in another site's folder",
            place=str(file),
            remedy="Name another folder with --dir",
        )


def _configuration(port: int) -> str:
    return Template((SITE / "consent.toml.template").read_text(encoding="utf-8")).substitute(port=port)


def _secrets() -> str:
    return (
        f"CONSENT_SECRET_KEYS='{json.dumps([secrets.token_urlsafe(32)])}'\n"
        f"CONSENT_AUDIT_TOKENS='{json.dumps([secrets.token_urlsafe(24)])}'\n"
    )


def _write_once(file: Path, text: str, *, mode: int) -> bool:
    """Create a file that never, not even for a moment, has a wider mode than it should; leave an existing one alone."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as opened:
        opened.write(text)
    return True
