"""Take readers' reports of mistakes and keep them as lines of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_BODY = 16_384
MAX_TEXT = 4_000
MAX_REPLY_TO = 254


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Hold one report; `received` is in seconds since 1970, `reply_to` may be empty."""

    received: int
    language: str
    article: str
    text: str
    reply_to: str


def read_form(
    fields: Mapping[str, Sequence[str]], *, articles: Collection[str], language: str, now: int
) -> Correction | str:
    """Return the correction a form holds, or the key of the words that say what is missing."""
    article = _first(fields, "article")
    text = _first(fields, "text").strip()
    reply_to = _first(fields, "reply_to").strip()
    if article not in articles:
        return "corrections.no_article"
    if not text:
        return "corrections.no_text"
    if len(text) > MAX_TEXT:
        return "corrections.long_text"
    if reply_to and (len(reply_to) > MAX_REPLY_TO or "@" not in reply_to or any(c.isspace() for c in reply_to)):
        return "corrections.odd_address"
    return Correction(received=now, language=language, article=article, text=text, reply_to=reply_to)


def keep(correction: Correction, file: Path) -> None:
    """Append one report to a file that only its owner can read."""
    line = json.dumps(asdict(correction), ensure_ascii=False, sort_keys=True) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as opened:
        opened.write(line.encode())


def _first(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "")
