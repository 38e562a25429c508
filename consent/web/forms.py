"""Read what a visitor sends, form or JSON, without believing any of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MAX_FIELDS = 2000


class FormError(Exception):
    """Refuse a request with an HTTP status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


@dataclass(frozen=True, slots=True)
class Form:
    """Hold the fields of a form, each with all its values."""

    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """Return the only value of a field, empty where it is missing; several are an error."""
        values = self.fields.get(name, ())
        if len(values) > 1:
            raise FormError(400)
        return values[0] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return self.fields.get(name, ())


async def read(request: Request, *, limit: int) -> Form:
    """Read a body of at most `limit` bytes; raise FormError with 413 (too large), 415 (not a form or JSON) or 400."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (FORM, JSON):
        raise FormError(415)
    content = await body(request, limit)
    try:
        text = content.decode("utf-8")
        fields = _from_json(text) if media_type == JSON else _from_form(text)
    except (ValueError, RecursionError):
        raise FormError(400) from None
    return Form(fields)


async def body(request: Request, limit: int) -> bytes:
    """Return a body of at most `limit` bytes; raise FormError with 413 or 400."""
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise FormError(400)
    if len(declared) > 18 or int(declared) > limit:
        raise FormError(413)
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > limit:
                raise FormError(413)
    except ClientDisconnect:
        raise FormError(400) from None
    return bytes(content)


def _from_form(text: str) -> dict[str, tuple[str, ...]]:
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    return _gathered(pairs)


def _from_json(text: str) -> dict[str, tuple[str, ...]]:
    value = json.loads(text, object_pairs_hook=_without_repetition)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    pairs: list[tuple[str, str]] = []
    for name, values in value.items():
        for one in values if isinstance(values, list) else [values]:
            if not isinstance(one, str):
                raise ValueError("not a text")
            pairs.append((name, one))
    if len(pairs) > MAX_FIELDS:
        raise ValueError("too many values")
    return _gathered(pairs)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name is given twice")
    return names


def _gathered(pairs: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        # JSON can spell a lone surrogate, which no address, log or record can carry.
        value.encode()
        fields[name] = (*fields.get(name, ()), value)
    return fields
