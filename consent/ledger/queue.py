"""Keep refusals and withdrawals on disk while the ledger is down, in the order they were made."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from consent.choice.canonical import canonical, parse
from consent.ledger.entry import Draft

_ENDING = ".jsonl"


class Queue:
    """Hold drafts in the folder `path`, one file for each batch, readable by its owner alone.

    Several processes may share the folder. Every method but `names` raises OSError when the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, drafts: Sequence[Draft]) -> str:
        """Keep drafts, durable on return; return the name of their file."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{secrets.token_hex(8)}{_ENDING}"
        unfinished = self._path / f".{name}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(canonical(_to_json(draft)) + b"\n" for draft in drafts)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._path / name)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        self._sync()
        return name

    def names(self) -> list[str]:
        """Return the names of the files that wait, oldest first."""
        try:
            found = os.listdir(self._path)
        except OSError:
            return []
        return sorted(name for name in found if name.endswith(_ENDING) and not name.startswith("."))

    def read(self, name: str) -> list[Draft]:
        """Return the drafts of one file; raise ValueError if they are not what was put there."""
        data = (self._path / name).read_bytes()
        if not data.endswith(b"\n"):
            raise ValueError("the file does not end with a whole line")
        return [_from_json(parse(line)) for line in data[:-1].split(b"\n")]

    def done(self, name: str) -> None:
        """Forget a file whose drafts are recorded."""
        (self._path / name).unlink(missing_ok=True)
        self._sync()

    def set_aside(self, name: str) -> None:
        """Keep a file that cannot be read out of the way, for a person to look at."""
        (self._path / name).rename(self._path / f"{name}.unreadable")
        self._sync()

    @contextlib.contextmanager
    def turn(self, *, wait: bool = False) -> Iterator[bool]:
        """Tell whether it is the caller's turn to deliver: one at a time does, so that the order holds."""
        descriptor = os.open(self._path / ".turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _to_json(draft: Draft) -> dict[str, Any]:
    return {
        "kind": draft.kind,
        "content": draft.content,
        "decided_at": draft.decided_at,
        "request_id": draft.request_id,
        "subject": None if draft.subject is None else draft.subject.hex(),
        "revokes": draft.revokes,
        "ends": draft.ends,
        "unique": draft.unique,
        "late": True,
    }


def _from_json(value: Any) -> Draft:
    try:
        subject, decided_at = value["subject"], value["decided_at"]
        if decided_at is not None and type(decided_at) is not int:
            raise TypeError("decided_at is no Unix second")
        return Draft(**{**value, "subject": None if subject is None else bytes.fromhex(subject)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is not a draft: {error}") from None
