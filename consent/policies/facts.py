"""Hold what the settings fill into a policy, so that it can be archived with the version it was filled into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from consent.choice.canonical import canonical
from consent.choice.catalogue import Catalogue, Cookie, Purpose, Service, Text, in_language
from consent.errors import PolicyError

SCHEMA = 1
CONTROLLER_FIELDS = ("name", "address", "contact", "dpo", "authority")
_SERVICE_FIELDS = (
    "key",
    "purpose",
    "title",
    "description",
    "provider",
    "country",
    "hosts",
    "storage",
    "data",
    "recipients",
    "transfer",
    "role",
    "retention",
    "exemption",
    "justification",
    "sells_or_shares",
    "policy_url",
)
_TUPLES = ("hosts", "storage", "data", "recipients")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Hold the site's name, its controller, and the purposes and services in use, in every language the site has them.

    What only the gate needs (patterns, how a script is revived) is not among them.
    """

    site_name: str
    controller: Mapping[str, str]
    default_language: str
    purposes: tuple[Purpose, ...] = ()
    services: tuple[Service, ...] = ()

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        *,
        site_name: str,
        controller: Mapping[str, str | None],
        default_language: str,
        words: Mapping[str, Mapping[str, str]],
    ) -> Facts:
        """Take the facts out of a catalogue.

        `words` gives texts by key for each of the site's languages. A purpose or service without a title or description
        of its own gets that of the key `purpose.<key>.title` and so on, written out here because later releases of this
        package may word it differently.
        """
        used = {service.purpose for service in catalogue.services}
        purposes = tuple(
            Purpose(
                key=purpose.key,
                title=purpose.title or _standard(words, f"purpose.{purpose.key}.title") or purpose.key,
                description=purpose.description or _standard(words, f"purpose.{purpose.key}.description"),
            )
            for purpose in catalogue.purposes
            if purpose.key in used
        )
        services = tuple(
            Service(
                cookies=service.cookies,
                **{name: getattr(service, name) for name in _SERVICE_FIELDS}
                | {
                    "title": service.title or _standard(words, f"service.{service.key}.title") or service.key,
                    "description": service.description or _standard(words, f"service.{service.key}.description"),
                },
            )
            for service in catalogue.services
        )
        return cls(
            site_name=site_name,
            controller={name: controller.get(name) or "" for name in CONTROLLER_FIELDS},
            default_language=default_language,
            purposes=purposes,
            services=services,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Facts:
        """Read archived facts; raise PolicyError for bytes of another kind or a later schema."""
        try:
            value = json.loads(data)
            if value["schema"] != SCHEMA:
                raise PolicyError(
                    f"archived facts have schema {value['schema']!r}, and this release reads {SCHEMA}",
                    remedy="Update asgi-consent",
                )
            return cls(
                site_name=value["site_name"],
                controller=value["controller"],
                default_language=value["default_language"],
                purposes=tuple(Purpose(**purpose) for purpose in value["purposes"]),
                services=tuple(_service(service) for service in value["services"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PolicyError(f"archived facts cannot be read ({error})", remedy="Restore the ledger") from None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: UTF-8 JSON with sorted keys and no spaces."""
        value = {
            "schema": SCHEMA,
            "site_name": self.site_name,
            "controller": dict(self.controller),
            "default_language": self.default_language,
            "purposes": [_plain(purpose, ("key", "title", "description")) for purpose in self.purposes],
            "services": [
                {**_plain(service, _SERVICE_FIELDS), "cookies": [asdict(cookie) for cookie in service.cookies]}
                for service in self.services
            ],
        }
        return canonical(value)

    @property
    def sha256(self) -> str:
        """Return the hexadecimal digest of the canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def field(self, name: str) -> str:
        """Return what fills the field `site_name` or `controller.…`; empty where the site has not set it."""
        if name == "site_name":
            return self.site_name
        return self.controller.get(name.removeprefix("controller."), "")

    def text(self, text: Text, language: str) -> str:
        """Return a text of the catalogue in `language`, else in the site's default language."""
        return in_language(text, language, self.default_language)

    def purpose(self, key: str) -> Purpose:
        """Return the purpose of this key, with the key for a title where it is not known."""
        return next((purpose for purpose in self.purposes if purpose.key == key), Purpose(key=key, title=key))


def _standard(words: Mapping[str, Mapping[str, str]], key: str) -> dict[str, str]:
    return {language: texts[key] for language, texts in words.items() if texts.get(key)}


def _plain(thing: Purpose | Service, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(thing, name) for name in names}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _service(value: dict[str, Any]) -> Service:
    fields: dict[str, Any] = {name: tuple(held) if name in _TUPLES else held for name, held in value.items()}
    return Service(**{**fields, "cookies": tuple(Cookie(**cookie) for cookie in fields["cookies"])})
