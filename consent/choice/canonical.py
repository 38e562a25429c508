"""Write values as the one JSON form they have, so that equal values have equal digests for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LARGEST = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=dict
).encode
"""Write a value that is known to have a canonical form, as text."""


def refuse_unfit(value: object, *, place: str = "content") -> None:
    """Raise ValueError unless `value` has one canonical form: text, integers, booleans, null, lists, maps of them."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{place}: the text has a lone surrogate, which UTF-8 cannot carry") from None
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise ValueError(f"{place}: {value} is beyond ±(2^53 - 1), so not every reader keeps it exactly")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            refuse_unfit(item, place=f"{place}[{number}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{place}: the key {key!r} is not text")
            refuse_unfit(key, place=place)
            refuse_unfit(item, place=f"{place}.{key}")
    else:
        raise ValueError(
            f"{place}: {type(value).__name__} has no canonical form; use text, integers, booleans, lists, maps"
        )


def canonical(value: object) -> bytes:
    """Return the one byte form of a JSON value: UTF-8, keys sorted by code point, no white space, no floats.

    Raises ValueError for whatever has no such form.
    """
    refuse_unfit(value, place="value")
    return encode(value).encode()


def _no_float(text: str) -> object:
    raise ValueError(f"{text} is not an integer")


def parse(data: bytes) -> Any:
    """Read canonical bytes back, or raise ValueError if they are not the canonical bytes of anything."""
    value = json.loads(data.decode(), parse_float=_no_float, parse_constant=_no_float)
    if canonical(value) != data:
        raise ValueError("these bytes are JSON, but not in canonical form")
    return value
