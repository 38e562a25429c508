"""Read the catalogue a site declares, over the built-in list of known services."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from consent import shipped
from consent.choice import companion, cookie
from consent.choice.catalogue import (
    KEY,
    NECESSARY,
    STANDARD_PURPOSES,
    Catalogue,
    Cookie,
    Purpose,
    Service,
    service_from_table,
)
from consent.errors import CatalogueError
from consent.settings import ConsentSettings

OWN_SERVICE = "consent"
"""The key of the service that we are ourselves: it keeps the choice."""


@cache
def known_services() -> Mapping[str, Service]:
    """Return the built-in services by key."""
    tables = tomllib.loads(shipped.KNOWN_SERVICES.read_text(encoding="utf-8"))
    return {key: service_from_table(key, table) for key, table in tables.items()}


def own_cookies(settings: ConsentSettings) -> tuple[Cookie, ...]:
    """Return our own cookies under their names on this site: the choice, what loads once, the language.

    Where pages are everybody's, the companion that their script reads comes last.
    """
    marked = "" if settings.insecure_cookies else "__Secure-" if settings.cookie_domain else "__Host-"
    return (
        Cookie(name=marked + cookie.NAME, lifetime=settings.validity),
        Cookie(name=marked + cookie.ONCE_NAME, lifetime=f"PT{cookie.ONCE_SECONDS}S"),
        Cookie(name=marked + cookie.LANGUAGE_NAME, lifetime="session"),
        *([Cookie(name=marked + companion.NAME, lifetime=settings.validity)] if settings.cache == "shared" else []),
    )


def catalogue_of(settings: ConsentSettings, *, cookies: Sequence[Cookie]) -> Catalogue:
    """Return a site's catalogue: its own services, built-in ones it switched on, and ours with these `cookies`.

    Raises CatalogueError, naming place and remedy, for whatever contradicts itself.
    """
    known = known_services()
    own = Service(
        key=OWN_SERVICE,
        purpose=NECESSARY,
        provider=settings.controller.name or settings.name,
        cookies=tuple(cookies),
        exemption="strictly-necessary",
        justification="keeps the visitor's own choice",
    )
    declared = [_declared(key, table, known) for key, table in settings.services.items()]
    return Catalogue(
        purposes=_purposes(settings.purposes),
        services=(own, *declared),
        known=tuple(service for key, service in known.items() if key not in settings.services),
    )


def _declared(key: str, table: Mapping[str, Any], known: Mapping[str, Service]) -> Service:
    if key == OWN_SERVICE:
        raise CatalogueError("this key is our own", place=f"services.{key}", remedy="Choose another key")
    if not table and key not in known:
        similar = get_close_matches(key, known, n=3)
        remedy = (
            f"Did you mean {' or '.join(similar)}?"
            if similar
            else "Give its purpose, and its hosts, cookies or patterns"
        )
        raise CatalogueError(
            "is not a built-in service, and nothing is said about it", place=f"services.{key}", remedy=remedy
        )
    return service_from_table(key, table, base=known.get(key))


def _purposes(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Purpose, ...]:
    for key, table in tables.items():
        place = f"purposes.{key}"
        if not KEY.fullmatch(key):
            raise CatalogueError(
                f"{key!r} is not a key", place=place, remedy="Use lower-case letters, digits and single hyphens"
            )
        for name, text in table.items():
            if name not in ("title", "description"):
                raise CatalogueError(f"unknown field {name!r}", place=place, remedy="Allowed are title and description")
            if not isinstance(text, str) and not (
                isinstance(text, Mapping) and all(isinstance(one, str) for one in text.values())
            ):
                raise CatalogueError(
                    "is not a text", place=f"{place}.{name}", remedy="Write a string, or one string per language"
                )
    keys = dict.fromkeys((*STANDARD_PURPOSES, *tables))
    return tuple(Purpose(key=key, **tables.get(key, {})) for key in keys)
