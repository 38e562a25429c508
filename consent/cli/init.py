"""Write what a site needs to begin: configuration, secrets and starter policies, over nothing that is there."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from consent import languages, shipped
from consent.errors import ConfigurationError
from consent.policies import library
from consent.policies.document import rewritten
from consent.settings import CONFIG_FILE

ENVIRONMENT_FILE = ".env"
IGNORE_FILE = ".gitignore"
POLICIES = "policies"
IGNORED = (ENVIRONMENT_FILE, "*.db", "*.db-*", "*.db.*", "*consent-checkpoint*", "consent-queue/")
"""What of a site's folder does not belong under version control."""
LOCAL_ORIGIN = "http://localhost:8000"
SECRET_BYTES = 32
TEMPLATE = Path(__file__).with_name("consent.toml.template")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent init`."""
    parser = subparsers.add_parser(
        "init", help="write configuration, secrets and starter policies into a site's folder", description=__doc__
    )
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", type=Path, default=Path(), help="the site's folder (default: this one)"
    )
    parser.add_argument("--name", type=_text, default="", help="the site's name, as visitors know it")
    parser.add_argument(
        "--origin",
        dest="origins",
        metavar="ORIGIN",
        type=_origin,
        action="append",
        help=f"the site's origin, such as https://meridian.example; may be repeated (default: {LOCAL_ORIGIN})",
    )
    parser.add_argument(
        "--language",
        dest="languages",
        metavar="TAG",
        choices=languages.available(),
        action="append",
        help=f"a language to ask in, the default one first; may be repeated: {', '.join(languages.available())} "
        f"(default: {languages.SOURCE})",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and say what to do next; raise ConfigurationError, with nothing written, where that cannot be."""
    folder: Path = args.folder
    written = write(
        folder,
        name=args.name,
        origins=args.origins or [LOCAL_ORIGIN],
        spoken=args.languages or [languages.SOURCE],
        today=datetime.now(UTC).date(),
    )
    print("\n".join([*(f"wrote {folder / path}" for path in written), "", *_next_steps(folder)]))
    return 0


def write(folder: Path, *, name: str, origins: Sequence[str], spoken: Sequence[str], today: date) -> list[Path]:
    """Write all files below `folder`, made if missing, and return their paths inside it.

    The starter policies take effect `today`. Raises ConfigurationError, with nothing left behind, where one of the
    files is there already or cannot be written.
    """
    files = {
        Path(CONFIG_FILE): configuration(name=name, origins=origins, spoken=spoken).encode(),
        Path(ENVIRONMENT_FILE): _secrets().encode(),
        **_starter_policies(spoken, today=today),
    }
    if not _is_there(folder / IGNORE_FILE):
        files[Path(IGNORE_FILE)] = "".join(f"{line}\n" for line in IGNORED).encode()
    made: list[Path] = []
    try:
        _refuse_overwriting(folder)
        for path, data in files.items():
            _make_folder((folder / path).parent, made=made)
            _make_file(folder / path, data, mode=0o600 if path.name == ENVIRONMENT_FILE else 0o644, made=made)
    except BaseException as error:
        _take_back(made)
        if isinstance(error, OSError):
            raise ConfigurationError(
                f"cannot be written ({error.strerror or error}), and nothing was left behind",
                place=str(error.filename or folder),
                remedy="Name a folder that can be written",
            ) from None
        raise
    return list(files)


def configuration(*, name: str, origins: Sequence[str], spoken: Sequence[str]) -> str:
    """Return the text of a commented consent.toml."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        site_name=f"site_name = {_toml(name)}" if name else '#site_name = ""',
        origins=_toml(list(dict.fromkeys(origins))),
        default_language=_toml(spoken[0]),
        languages=_toml(list(dict.fromkeys(spoken))),
    )


def _secrets() -> str:
    return (
        "# What must stay secret. Keep this file out of version control, and readable by the site alone.\n"
        f"CONSENT_SECRET_KEYS='{json.dumps([secrets.token_urlsafe(SECRET_BYTES)])}'\n"
        f"CONSENT_AUDIT_TOKENS='{json.dumps([secrets.token_urlsafe(SECRET_BYTES)])}'\n"
    )


def _starter_policies(spoken: Sequence[str], *, today: date) -> dict[Path, bytes]:
    return {
        Path(POLICIES) / document.place: rewritten(document, effective=today)
        for document in library.read(shipped.STARTER_POLICIES).documents
        if document.language in spoken
    }


def _refuse_overwriting(folder: Path) -> None:
    names = (CONFIG_FILE, ENVIRONMENT_FILE)
    in_the_way = [str(folder / name) for name in names if _is_there(folder / name)]
    policies = folder / POLICIES
    if _is_there(policies) and (not policies.is_dir() or any(policies.iterdir())):
        in_the_way.append(str(policies))
    if in_the_way:
        raise ConfigurationError(
            "in the way, so nothing was written",
            place=", ".join(in_the_way),
            remedy="Move away what is there, or name another folder",
        )


def _make_folder(folder: Path, *, made: list[Path]) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _make_file(path: Path, data: bytes, *, mode: int, made: list[Path]) -> None:
    # Never, not even for a moment, does a file have a wider mode than it should, and none that is there is opened.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    made.append(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _take_back(made: Sequence[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def _next_steps(folder: Path) -> list[str]:
    ignore = folder / IGNORE_FILE
    ignored = ignore.read_text(encoding="utf-8", errors="replace").split() if ignore.is_file() else []
    missing = [line for line in IGNORED if line not in ignored]
    return [
        "Next:",
        f"  - Fill in {folder / CONFIG_FILE}: who answers for the data, and the services the site uses.",
        f"  - Write the passages in double brackets in {folder / POLICIES}.",
        f"  - Add to {ignore}: {' '.join(missing)}"
        if missing
        else f"  - Keep {ENVIRONMENT_FILE} out of git, as {ignore} does.",
        f"  - See what is still missing, until nothing is: consent check --config {folder / CONFIG_FILE}",
        "  - Embed it: app.add_middleware(ConsentMiddleware)",
    ]


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _toml(value: str | list[str]) -> str:
    # JSON's escapes are TOML's too; the delete character is the one that TOML wants escaped and JSON does not.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8") from None
    return text


def _origin(text: str) -> str:
    origin = text.removesuffix("/").lower()
    try:
        parts = urlsplit(_text(origin))
        plain = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
            and f"{parts.scheme}://{parts.netloc}" == origin
        )
    except ValueError:
        plain = False
    if not plain:
        raise argparse.ArgumentTypeError(f"{text!r} is not an origin: write it as 'https://meridian.example'")
    return origin
