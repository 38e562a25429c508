"""Work out from a request's headers who is asking, in the sense of what they agreed to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from consent.choice import cookie
from consent.choice.choice import Choice, refusal
from consent.choice.consent import Consent
from consent.choice.notice import Notice
from consent.choice.regimes import regime_for
from consent.choice.signals import global_privacy_control
from consent.choice.status import Status
from consent.site import Site

CACHE_SIZE = 4096
LONGEST_KEPT = 8192
"""Bytes of a `Cookie` header past which nothing is remembered for it."""
MOST_COOKIES = 200
"""How many cookies are looked at; browsers keep fewer for one site. Source: RFC 6265 §6.1 asks for 50."""
LINES = "\n"
"""Stands between the lines of one header: no header's value can hold it."""

RawHeaders = Sequence[tuple[bytes, bytes]]
Headers = dict[bytes, bytes]


@dataclass(frozen=True, eq=False)
class Visitor:
    """Hold what one request tells about its visitor.

    `consent_id` stays on the server. `cookies` are the names of all cookies the request carries; `once` tells that a
    cookie for loading a service once was used up by this request; `chose_language` that they switched the language,
    which then goes before that of a page; `fleeting` that what this request gets fits no other; `shared` that this is
    nobody, for whom pages are gated that are everybody's. `edition_tag` is that of the edition in force.
    """

    consent: Consent
    consent_id: bytes | None = field(default=None, repr=False)
    decided_at: int | None = None
    expires_at: int | None = None
    cookies: tuple[str, ...] = ()
    once: bool = False
    chose_language: bool = False
    fleeting: bool = False
    shared: bool = False
    edition_tag: str = ""
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
        under = consent.asked_under.digest if consent.asked_under is not None and consent.asking else ""
        said = [sorted(keys) for keys in (consent.allowed, consent.asking, consent.granted)]
        asked = (consent.notice.digest, self.chose_language, consent.regime, under)
        state = (self.edition_tag, asked, said, consent.gpc, consent.status)
        digest = hashlib.sha256(repr(state).encode()).hexdigest()
        return ("s" if self.shared else "c") + digest[:12]

    @cached_property
    def state(self) -> str:
        """Return all of a visitor that a page can depend on, but for the names of their cookies."""
        # A string remembers its hash, and is compared by identity first.
        consent = self.consent
        under = consent.asked_under.digest if consent.asked_under is not None else ""
        answers = [sorted(keys) for keys in (consent.allowed, consent.asking, consent.granted)]
        told = (consent.notice.digest, self.chose_language, under, consent.status, consent.gpc, consent.regime)
        return repr((self.state_tag, answers, told))


@dataclass(slots=True)
class _Known:
    """Remember what the exact headers of a request mean under one edition, and what after they expire.

    `fickle` tells that they can mean something else by now; `once` that they say so for one page; `holds_at` is the
    count of revocations under which the choice was last found not to be withdrawn.
    """

    visitor: Visitor
    expired: Visitor
    once: bool = False
    fickle: bool = False
    holds_at: int = -1


class Visitors:
    """Recognise visitors by the exact bytes of their headers; validity and withdrawal are checked on every use."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._name = site.cookie_name.encode()
        self._once_name = site.once_cookie_name.encode()
        self._language_name = site.language_cookie_name.encode()
        self._companion_name = site.companion_name.encode()
        self._country_header = site.settings.country_header.lower().encode()
        self._known: dict[tuple[bytes | None, bytes | None, bytes | None, bytes | None], _Known] = {}
        self._edition = site.edition(site.now())
        self._nobody = self._build_nobody()

    @property
    def nobody(self) -> Visitor:
        """Return for whom pages that are everybody's are gated: granted nothing, under the strictest regime."""
        return self._nobody

    def _build_nobody(self) -> Visitor:
        site, edition = self._site, self._edition
        consent = Consent(site.catalogue, edition.notices[site.settings.default_language])
        return Visitor(consent, shared=True, edition_tag=edition.tag + edition.companion)

    async def visitor(self, headers: Headers, *, path: str) -> Visitor:
        """Return who asks for `path`. Never raises for anything a visitor can send."""
        return self.recall(headers, path=path) or await self._recognise(headers, path=path)

    def recall(self, headers: Headers, *, path: str) -> Visitor | None:
        """Return who asks for `path`, None where these headers were not seen before."""
        now = self._site.now()
        edition = self._site.edition(now)
        if edition is not self._edition:
            self._edition, self._known = edition, {}
            self._nobody = self._build_nobody()
        get = headers.get
        cookies = get(b"cookie")
        known = self._known.get((cookies, get(b"accept-language"), get(b"sec-gpc"), get(self._country_header)))
        if known is None:
            return None
        if not known.fickle:
            return known.visitor
        return self._as_of(now, known, cookies, path=path)

    def _key(self, headers: Headers) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None]:
        get = headers.get
        return get(b"cookie"), get(b"accept-language"), get(b"sec-gpc"), get(self._country_header)

    def _as_of(self, now: float, known: _Known, cookies: bytes | None, *, path: str) -> Visitor:
        """Return a known visitor as of this moment."""
        visitor = known.visitor
        if visitor.expires_at is not None:
            if now >= visitor.expires_at:
                visitor = known.expired
            elif known.holds_at != (revoked := self._site.ledger.revoked):
                if self._withdrawn(visitor):
                    taken_back = _taken_back(known.expired.consent, int(now))
                    visitor = replace(known.expired, consent=taken_back, _translations={})
                else:
                    known.holds_at = revoked
        if known.once and cookies is not None:
            visitor = self._once(visitor, cookies, path=path, now=int(now))
        return visitor

    def _once(self, visitor: Visitor, cookies: bytes, *, path: str, now: int) -> Visitor:
        """Return a visitor to whom one service is open on this one page, if the cookie says so."""
        site = self._site
        value = next((value for name, value in _pairs(cookies) if name == self._once_name), None)
        if value is None:
            return visitor
        service = cookie.unseal_once(value, path=path, now=now, by=site.once_signer)
        allowed = frozenset(() if service is None or site.catalogue.service(service) is None else (service,))
        once = replace(visitor.consent, once=allowed)
        return replace(visitor, consent=once, once=True, fleeting=True, _translations={})

    def _withdrawn(self, visitor: Visitor) -> bool:
        ledger, made_at = self._site.ledger, visitor.decided_at
        return visitor.consent_id is not None and made_at is not None and ledger.withdrawn(visitor.consent_id, made_at)

    async def _recognise(self, headers: Headers, *, path: str) -> Visitor:
        """Return who asks, and remember it; a choice whose notice cannot be found now is looked up again."""
        site = self._site
        key = cookies, accept_language, gpc, country = self._key(headers)
        pairs = _pairs(cookies or b"")
        values = [value for name, value in pairs if name == self._name]
        chosen = next((value.decode("latin-1") for name, value in pairs if name == self._language_name), "")
        switched = site.spoken(chosen) if chosen else None
        language = switched or site.negotiate((accept_language or b"").decode("latin-1"))
        own = (self._name, self._once_name, self._language_name, self._companion_name)
        names = tuple(name.decode("latin-1") for name, _ in pairs[:MOST_COOKIES] if name not in own)
        blank = Consent(
            site.catalogue,
            self._edition.notices[language],
            regime=regime_for((country or b"").decode("latin-1"), regimes=site.settings.regimes),
            gpc=gpc is not None and global_privacy_control(gpc.decode("latin-1").split(LINES)),
        )
        tag = self._edition.tag
        nobody = Visitor(blank, cookies=names, chose_language=switched is not None, edition_tag=tag)
        known, lasting = _Known(nobody, nobody), True
        sealed = cookie.unseal(values[0], by=site.choice_signer) if len(values) == 1 else None
        if sealed is not None:
            asked_under = await site.archived_notice(sealed.notice)
            choice = cookie.read(sealed, notice=asked_under) if asked_under is not None else None
            lasting = asked_under is not None
            if choice is not None and asked_under is not None:
                known = self._known_choice(choice, asked_under, nobody)
        known.once = cookies is not None and self._once_name in cookies
        known.fickle = known.once or known.visitor.expires_at is not None
        if lasting and len(cookies or b"") <= LONGEST_KEPT:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[key] = known
        return self._as_of(site.now(), known, cookies, path=path)

    def _known_choice(self, choice: Choice, asked_under: Notice, nobody: Visitor) -> _Known:
        blank = nobody.consent
        status = Status.GIVEN if choice.grants else Status.REFUSED
        consent = replace(blank, choice=replace(choice, consent_id=None), asked_under=asked_under, status=status)
        if choice.grants and not consent.granted:
            consent = replace(consent, status=Status.INVALIDATED)
        visitor = replace(
            nobody,
            consent=consent,
            consent_id=choice.consent_id,
            decided_at=choice.decided_at,
            expires_at=self._site.expiry(choice),
            _translations={},
        )
        return _Known(visitor, replace(nobody, consent=replace(blank, status=Status.EXPIRED), _translations={}))


def _taken_back(nobody: Consent, now: int) -> Consent:
    """Return the consent of who withdrew: no choice, and where no choice would let services run, a refusal."""
    withdrawn = replace(nobody, status=Status.WITHDRAWN)
    if not nobody.regime.open:
        return withdrawn
    return replace(withdrawn, choice=refusal(nobody.notice, now=now), asked_under=nobody.notice)


def gathered(headers: RawHeaders) -> Headers:
    """Return a request's headers by name; several lines of one name become one, as HTTP allows to join them.

    Source: RFC 9110 §5.3; for `Cookie` RFC 9113 §8.2.3; `Sec-GPC` is told by its lines, which stay apart.
    """
    found = dict(headers)
    if len(found) == len(headers):
        return found
    joined: Headers = {}
    for name, value in headers:
        glue = {b"cookie": b"; ", b"sec-gpc": LINES.encode()}.get(name, b", ")
        joined[name] = joined[name] + glue + value if name in joined else value
    return joined


def _pairs(cookies: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names and values of a `Cookie` header, in order."""
    pairs = []
    for pair in cookies.split(b";"):
        name, _, value = pair.strip(b" \t").partition(b"=")
        pairs.append((name, value))
    return pairs if cookies else []
