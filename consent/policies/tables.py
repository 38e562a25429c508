"""Lay out what a catalogue says about purposes, services and cookies, in words, ready to be shown or compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from babel.units import format_unit

from consent.choice.catalogue import Cookie, Service
from consent.choice.lifetime import Lifetime
from consent.policies.facts import Facts

Words = Callable[[str], str]
"""From the key of a text to that text in one language; raises KeyError for a key there is no text of."""

WORDS = (
    "policy.cookie",
    "policy.cookies",
    "policy.country",
    "policy.data",
    "policy.hosts",
    "policy.justification",
    "policy.kind",
    "policy.lifetime",
    "policy.lifetime.session",
    "policy.lifetime.storage",
    "policy.link",
    "policy.name",
    "policy.none",
    "policy.provider",
    "policy.purpose",
    "policy.recipients",
    "policy.retention",
    "policy.role",
    "policy.role.controller",
    "policy.role.joint-controller",
    "policy.role.processor",
    "policy.sells",
    "policy.sells.yes",
    "policy.service",
    "policy.storage",
    "policy.transfer",
)
"""The keys of every text that the tables need."""

MALTESE = {
    "year": ("sena", "snin"),
    "month": ("xahar", "xhur"),
    "day": ("jum", "ijiem"),
    "hour": ("siegħa", "sigħat"),
    "minute": ("minuta", "minuti"),
    "second": ("sekonda", "sekondi"),
}
"""Spans of time for one and for a few: Unicode's data have none in Maltese, and give English short forms instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Hold one value of a detail or a cell of a table; `code` marks a technical name, `href` makes it a link."""

    text: str
    href: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Hold a label and its values."""

    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold what is told about one service."""

    key: str
    title: str
    text: str
    details: tuple[Detail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Hold one purpose with its services."""

    key: str
    title: str
    text: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Hold a table with one header row; without rows it is `empty` words instead."""

    head: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    empty: str


def services(facts: Facts, *, language: str, words: Words) -> tuple[Group, ...]:
    """Return every purpose in use with its services, each with all that the catalogue tells about it."""
    return tuple(
        Group(
            key=purpose.key,
            title=facts.text(purpose.title, language) or purpose.key,
            text=facts.text(purpose.description, language),
            entries=tuple(
                _entry(service, facts, language, words) for service in facts.services if service.purpose == purpose.key
            ),
        )
        for purpose in facts.purposes
    )


def cookies(facts: Facts, *, language: str, words: Words) -> Table:
    """Return every cookie and every key of browser storage with its service, purpose and lifetime."""
    rows = []
    for group in services(facts, language=language, words=words):
        for service in (one for one in facts.services if one.purpose == group.key):
            title = Value(text=facts.text(service.title, language) or service.key)
            for name, kind, lifetime in _stored(service, language, words):
                rows.append((Value(text=name, code=True), title, Value(text=group.title), kind, lifetime))
    head = ("policy.name", "policy.service", "policy.purpose", "policy.kind", "policy.lifetime")
    return Table(head=tuple(words(key) for key in head), rows=tuple(rows), empty=words("policy.none"))


def recipients(facts: Facts, *, language: str, words: Words) -> Table:
    """Return every service of another company with its provider, country, and what a transfer abroad rests on."""
    ourselves = {facts.site_name, facts.field("controller.name")}
    rows = tuple(
        (
            Value(text=facts.text(service.title, language) or service.key),
            Value(text=service.provider, href=service.policy_url),
            Value(text=country_name(service.country, language)),
            Value(text=facts.text(facts.purpose(service.purpose).title, language)),
            Value(text=service.transfer),
        )
        for service in facts.services
        if service.provider not in ourselves
    )
    head = ("policy.service", "policy.provider", "policy.country", "policy.purpose", "policy.transfer")
    return Table(head=tuple(words(key) for key in head), rows=rows, empty=words("policy.none"))


def lifetime_in_words(text: str, *, language: str, words: Words) -> str:
    """Return a lifetime as a reader says it: `P13M` is "13 months", `P30D` "30 days"; `session` has words of its own.

    Raises ValueError for a text that is no lifetime.
    """
    lifetime = Lifetime.parse(text)
    if lifetime.session:
        return words("policy.lifetime.session")
    locale = locale_of(language)
    parts = [_span(count, unit, locale) for count, unit in _counts(lifetime)]
    # Not in the style for units, of which Babel knows half the pattern in most languages, and says the last part twice.
    return format_list(parts, "standard", locale=locale)


def _span(count: int, unit: str, locale: Locale) -> str:
    if locale.language == "mt":
        one, few = MALTESE[unit]
        form = locale.plural_form(count)
        return f"{count}-il {one}" if form == "many" else f"{count} {few if form in ('two', 'few') else one}"
    said = format_unit(count, f"duration-{unit}", "long", locale=locale)
    # Unicode's data leave out long words that are the same as the short ones, and Babel then answers with the key.
    return said if "duration-" not in said else format_unit(count, f"duration-{unit}", "short", locale=locale)


def country_name(code: str, language: str) -> str:
    """Return the name of a country by its ISO 3166-1 code; what is no code Babel knows stays as it is."""
    return str(locale_of(language).territories.get(code.upper(), code))


def locale_of(language: str) -> Locale:
    """Return Babel's locale for a language tag, else for the language alone, else English."""
    for tag in (language, language.partition("-")[0]):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


def _counts(lifetime: Lifetime) -> Iterator[tuple[int, str]]:
    months, seconds = lifetime.months, lifetime.seconds
    if months:
        yield (months // 12, "year") if months % 12 == 0 else (months, "month")
    if not seconds and months:
        return
    if seconds % 86400 == 0 and seconds:
        yield seconds // 86400, "day"
        return
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count, seconds = divmod(seconds, size)
        if count:
            yield count, unit
    if seconds or not (months or lifetime.seconds):
        yield seconds, "second"


def _stored(service: Service, language: str, words: Words) -> Iterator[tuple[str, Value, Value]]:
    for cookie in service.cookies:
        yield cookie.name, Value(text=words("policy.cookie")), _lifetime(cookie, language, words)
    for key in service.storage:
        yield key, Value(text=words("policy.storage")), Value(text=words("policy.lifetime.storage"))


def _lifetime(cookie: Cookie, language: str, words: Words) -> Value:
    return Value(text=lifetime_in_words(cookie.lifetime, language=language, words=words))


def _entry(service: Service, facts: Facts, language: str, words: Words) -> Entry:
    def code(texts: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(Value(text=text, code=True) for text in texts)

    cookies = tuple(
        Value(text=f"{cookie.name} — {_lifetime(cookie, language, words).text}") for cookie in service.cookies
    )
    provider = service.provider or service.key
    country = country_name(service.country, language)
    details = (
        ("policy.provider", (Value(text=f"{provider} ({country})" if country else provider),)),
        ("policy.role", (Value(text=words(f"policy.role.{service.role}") if service.role else ""),)),
        ("policy.data", (Value(text=", ".join(service.data)),)),
        ("policy.cookies", cookies),
        ("policy.storage", code(service.storage)),
        ("policy.hosts", code(service.hosts)),
        ("policy.recipients", (Value(text=", ".join(service.recipients)),)),
        ("policy.transfer", (Value(text=service.transfer),)),
        ("policy.retention", (Value(text=_retention(service.retention, language, words)),)),
        ("policy.justification", (Value(text=service.justification if service.required else ""),)),
        ("policy.sells", (Value(text=words("policy.sells.yes") if service.sells_or_shares else ""),)),
        ("policy.link", (Value(text=service.policy_url, href=service.policy_url),)),
    )
    shown = tuple(
        Detail(label=words(label), values=kept)
        for label, values in details
        if (kept := tuple(value for value in values if value.text))
    )
    return Entry(
        key=service.key,
        title=facts.text(service.title, language) or service.key,
        text=facts.text(service.description, language),
        details=shown,
    )


def _retention(text: str, language: str, words: Words) -> str:
    """Say a retention given as a duration in words; a retention given in words stays as it is."""
    try:
        return lifetime_in_words(text, language=language, words=words)
    except ValueError:
        return text
