"""Work out from a request's headers who is asking, in the sense of what they agreed to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from consent.choice import cookie
from consent.choice.consent import Consent
from consent.choice.notice import Notice
from consent.choice.regimes import Regime, regime_for
from consent.choice.signals import global_privacy_control
from consent.choice.status import Status
from consent.site import Site
from consent.version import __version__

CACHE_SIZE = 4096
MAX_CONSENT_COOKIES = 1

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, eq=False)
class Visitor:
    """Hold what one request tells about its visitor.

    `consent_id` stays on the server. `cookies` are the names of all cookies the request carries; `once` tells that a
    cookie for loading a service once was used up by this request.
    """

    consent: Consent
    consent_id: bytes | None = field(default=None, repr=False)
    decided_at: int | None = None
    expires_at: int | None = None
    cookies: tuple[str, ...] = ()
    once: bool = False
    _translations: dict[str, Consent] = field(default_factory=dict, repr=False)

    def in_language(self, notice: Notice) -> Consent:
        """Return the same consent, asked in the language of another notice of today."""
        if notice.digest == self.consent.notice.digest:
            return self.consent
        translated = self._translations.get(notice.digest)
        if translated is None:
            translated = self._translations[notice.digest] = replace(self.consent, notice=notice)
        return translated

    @cached_property
    def state_tag(self) -> str:
        """Return what tells pages gated for this state from pages gated for any other, to end an entity tag with."""
        consent = self.consent
        state = (__version__, consent.notice.digest, sorted(consent.allowed), sorted(consent.asking), consent.gpc)
        return "c" + hashlib.sha256(repr(state).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class _Known:
    """Remember what one exact cookie means under one edition."""

    visitor: Visitor
    expired: Visitor


class Visitors:
    """Recognise visitors by their cookie's exact bytes; validity and withdrawal are checked on every use."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._name = site.cookie_name.encode()
        self._once_name = site.once_cookie_name.encode()
        self._language_name = site.language_cookie_name.encode()
        self._country_header = site.settings.country_header.lower().encode()
        self._known: dict[tuple[bytes, str, Regime, bool], _Known] = {}
        self._edition = site.edition(site.now())

    async def visitor(self, headers: RawHeaders, *, path: str) -> Visitor:
        """Return who asks for `path`. Never raises for anything a visitor can send."""
        site, now = self._site, self._site.now()
        edition = site.edition(now)
        if edition is not self._edition:
            self._edition, self._known = edition, {}
        lines, gpc_lines, country, accepted = [], [], "", ""
        for name, value in headers:
            if name == b"cookie":
                lines.append(value)
            elif name == b"sec-gpc":
                gpc_lines.append(value.decode("latin-1"))
            elif name == b"accept-language":
                accepted = value.decode("latin-1")
            elif name == self._country_header:
                country = value.decode("latin-1")
        value, once_value, language_value, names = self._cookies(lines)
        language = site.spoken(language_value) if language_value else None
        language = language or site.negotiate(accepted)
        regime = regime_for(country, regimes=site.settings.regimes) if self._country_header else Regime.OPT_IN
        gpc = bool(gpc_lines) and global_privacy_control(gpc_lines)
        key = (value, language, regime, gpc)
        known = self._known.get(key)
        if known is None:
            known, lasting = await self._recognise(value, language, regime, gpc)
            if lasting:
                if len(self._known) >= CACHE_SIZE:
                    self._known.clear()
                self._known[key] = known
        visitor = known.visitor
        if visitor.decided_at is not None and visitor.expires_at is not None:
            if now >= visitor.expires_at:
                visitor = known.expired
            elif self._withdrawn(visitor):
                withdrawn = replace(known.expired.consent, status=Status.WITHDRAWN)
                visitor = replace(known.expired, consent=withdrawn, _translations={})
        if names:
            visitor = replace(visitor, cookies=names)
        if once_value:
            service = cookie.unseal_once(once_value, path=path, now=int(now), by=site.once_signer)
            allowed = frozenset(() if service is None or site.catalogue.service(service) is None else (service,))
            once = replace(visitor.consent, once=allowed)
            visitor = replace(visitor, consent=once, once=True, _translations={})
        return visitor

    def _withdrawn(self, visitor: Visitor) -> bool:
        ledger, made_at = self._site.ledger, visitor.decided_at
        return visitor.consent_id is not None and made_at is not None and ledger.withdrawn(visitor.consent_id, made_at)

    def _cookies(self, lines: list[bytes]) -> tuple[bytes, bytes, str, tuple[str, ...]]:
        """Return the values of our three cookies (choice, one load, language), and the names of all others."""
        if not lines:
            return b"", b"", "", ()
        values, once, language, names = [], b"", "", []
        for line in lines:
            for pair in line.split(b";"):
                name, _, value = pair.strip(b" \t").partition(b"=")
                if name == self._name:
                    values.append(value)
                elif name == self._once_name:
                    once = value
                elif name == self._language_name:
                    language = value.decode("latin-1")
                else:
                    names.append(name.decode("latin-1"))
        value = values[0] if len(values) == MAX_CONSENT_COOKIES else b""
        return value, once, language, tuple(names)

    async def _recognise(self, value: bytes, language: str, regime: Regime, gpc: bool) -> tuple[_Known, bool]:
        site = self._site
        blank = Consent(site.catalogue, self._edition.notices[language], regime=regime, gpc=gpc)
        nobody = Visitor(blank)
        sealed = cookie.unseal(value, by=site.choice_signer) if value else None
        if sealed is None:
            return _Known(nobody, nobody), True
        asked_under = await site.archived_notice(sealed.notice)
        if asked_under is None:
            return _Known(nobody, nobody), False
        choice = cookie.read(sealed, notice=asked_under)
        if choice is None:
            return _Known(nobody, nobody), True
        status = Status.GIVEN if choice.grants else Status.REFUSED
        consent = replace(blank, choice=replace(choice, consent_id=None), asked_under=asked_under, status=status)
        if choice.grants and not consent.granted:
            consent = replace(consent, status=Status.INVALIDATED)
        known = Visitor(
            consent,
            consent_id=choice.consent_id,
            decided_at=choice.decided_at,
            expires_at=site.expiry(choice),
        )
        return _Known(known, Visitor(replace(blank, status=Status.EXPIRED))), True
