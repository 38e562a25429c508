"""Tell the script of a page that is everybody's what this visitor agreed to: one bit a key, in a cookie it can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consent.choice import cookie
from consent.choice.choice import acceptance
from consent.choice.consent import Consent
from consent.choice.notice import Notice

NAME = f"{cookie.NAME}-bits"
UNSETTLED = "0"
"""Stands for the digest where something is left to ask, so that no page takes the bits for an answer."""


def keys_of(notice: Notice) -> tuple[str, ...]:
    """Return what the bits stand for, in their order: the purposes asked for, then the services, sorted."""
    return (*notice.purposes, *sorted(notice.services))


def value_of(consent: Consent) -> str:
    """Return the cookie's value: what was granted, under the short digest of `consent`'s own notice."""
    digest = consent.notice.short.hex() if consent.answered else UNSETTLED
    bits = "".join("1" if key in consent.granted else "0" for key in keys_of(consent.notice))
    return f"{digest}.{bits}"


def described(consent: Consent, *, name: str) -> str:
    """Return what the script needs to read the cookie called `name`: that name, the digest, and the keys in order.

    A `!` ends each key that an opt-out preference signal turns off, whatever was answered.
    """
    notice = consent.notice
    everything = replace(consent, choice=acceptance(notice, now=0), asked_under=notice, gpc=True)
    keys: Sequence[str] = [key if key in everything.allowed else f"{key}!" for key in keys_of(notice)]
    return " ".join((name, notice.short.hex(), *keys))
