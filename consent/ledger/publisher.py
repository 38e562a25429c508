"""Let others see checkpoints, at a pace that times nobody: a page, a file, a log line, an address, a time stamp."""

from __future__ import annotations

import http.client
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consent.errors import ConsentError
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.outside import replace_file
from consent.ledger.store import Published, Store
from consent.ledger.timestamp import MEDIA_TYPE, stamped

PATIENCE = 10.0
"""Seconds an address may take to answer."""
AGAIN = 60.0
"""Seconds until an address that failed is tried again."""
LAST_WORDS = 2.0
"""Seconds that closing waits for an address."""
LONGEST = 2**20
"""Bytes of an answer that are read."""

log = logging.getLogger("consent.ledger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Say how often checkpoints are published, in seconds, and where else than on the page of policies.

    `file` is replaced by each; `url` gets each by POST; `timestamp_url` is an RFC 3161 time-stamp authority.
    """

    every: int = 3600
    file: Path | None = None
    url: str = ""
    timestamp_url: str = ""


class Publisher:
    """Publish the checkpoints of a store; one process in turn does, and all of them write the file."""

    def __init__(self, store: Store, outlets: Outlets, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._outlets = outlets
        self._clock = clock
        self._written: bytes | None = None
        self._sending: threading.Thread | None = None
        self._unsent: Published | None = None
        self._send_at = 0.0
        self._closed = False

    def turn(self, read: Callable[[bytes], Checkpoint]) -> None:
        """Publish the newest checkpoint if it is time to, and go on sending what was not sent; `read` opens a note."""
        now = int(self._clock())
        published = self._store.published_checkpoint()
        if published is None or now >= published.at + self._outlets.every:
            published = self._publish(published, read=read, now=now)
        if published is not None:
            self._write(published.note)
        if self._unsent is not None and time.monotonic() >= self._send_at and not self._busy:
            self._send_at = time.monotonic() + AGAIN
            self._closed = False
            self._sending = threading.Thread(
                target=self._send, args=(self._unsent,), name="consent-publish", daemon=True
            )
            self._sending.start()

    def _publish(self, before: Published | None, *, read: Callable[[bytes], Checkpoint], now: int) -> Published | None:
        note = self._store.checkpoint()
        if note is None or (before is not None and before.note == note):
            return before
        checkpoint = read(note)
        if not self._store.publish_checkpoint(checkpoint, at=now, after=now - self._outlets.every):
            return self._store.published_checkpoint()
        log.info("checkpoint published: %s", " ".join(note.decode().split()))
        published = Published(size=checkpoint.size, at=now, note=note)
        if self._outlets.url or self._outlets.timestamp_url:
            self._unsent, self._send_at = published, 0.0
        return published

    def _write(self, note: bytes) -> None:
        file = self._outlets.file
        if file is None or note == self._written:
            return
        try:
            if not file.exists() or file.read_bytes() != note:
                replace_file(file, note, mode=0o644)
            self._written = note
        except OSError as error:
            log.error("the published checkpoint cannot be written to %s: %s", file, error.strerror or error)

    @property
    def _busy(self) -> bool:
        return self._sending is not None and self._sending.is_alive()

    def close(self) -> None:
        """Wait a moment for what is being sent; what is not sent by then is left to the next publication."""
        self._closed = True
        if self._sending is not None and self._busy:
            self._sending.join(LAST_WORDS)

    # --- in a thread of its own, since addresses may be slow

    def _send(self, published: Published) -> None:
        outlets = self._outlets
        sent = [
            _tried(url, partial(work, published))
            for url, work in ((outlets.url, self._post_note), (outlets.timestamp_url, self._stamp))
            if url
        ]
        if all(sent) and self._unsent is published:
            self._unsent = None

    def _post_note(self, published: Published) -> None:
        _post(self._outlets.url, published.note, media_type="text/plain; charset=utf-8")

    def _stamp(self, published: Published) -> None:
        ask = partial(_post, self._outlets.timestamp_url, media_type=MEDIA_TYPE)
        token = stamped(published.note, ask=ask)
        if not self._closed:
            self._store.stamp_checkpoint(published.size, token=token)


def _tried(url: str, work: Callable[[], None]) -> bool:
    try:
        work()
    except (OSError, ValueError, http.client.HTTPException, ConsentError) as error:
        log.error("the published checkpoint was not taken by %s, and is sent again: %s", url, error)
        return False
    return True


def _post(url: str, data: bytes, *, media_type: str) -> bytes:
    request = urllib.request.Request(url, data=data, headers={"Content-Type": media_type})  # noqa: S310 - the settings refuse all but http and https
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
        body: bytes = answer.read(LONGEST)
    return body
