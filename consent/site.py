"""Build everything a site needs once from its settings: catalogue, policies, notices, rules, pages, ledger."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

from babel.core import negotiate_locale

from consent import assets, shipped
from consent.choice import companion, cookie
from consent.choice.choice import DAY, Choice
from consent.choice.consent import Consent
from consent.choice.lifetime import Lifetime
from consent.choice.notice import Notice, PolicyReference, build
from consent.declared import catalogue_of, own_cookies
from consent.errors import LedgerError, LedgerUnavailableError
from consent.fragments import Fragments
from consent.gate import sources
from consent.gate.bodies import Bodies, Page
from consent.gate.csp import Narrowing
from consent.gate.rules import Rules, Undeclared
from consent.ledger.store import Document, Store
from consent.opening import ledger_from
from consent.pages import Pages
from consent.policies import library as policies
from consent.policies.facts import Facts
from consent.policies.library import Key, Library
from consent.policies.publish import gaps
from consent.publication import Published, of_notice, of_policies, published_policies
from consent.reports import Reports
from consent.settings import ConsentSettings
from consent.version import __version__

logger = logging.getLogger("consent")

SHOWN_WHEN_ASKING = ("banner.", "choices.", "placeholder.", "purpose.", "service.")
NOT_DRAWN = {"secret_keys", "ledger", "ledger_key", "queue_dir", "audit_tokens", "max_body"}
"""Settings that no page shows anything of."""
LOOK_AGAIN_SECONDS = 10.0
"""How long an unknown notice digest is not looked up again, and a failed publication not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Hold what is in force until the policies change next; `until` is in Unix seconds, None for no end in sight.

    `tag` tells pages gated under this edition, as this site draws them, from any other. `companion` is what a page that
    is everybody's tells its script, empty where there is none.
    """

    until: float | None
    versions: Mapping[str, str]
    notices: Mapping[str, Notice]
    renderings: Mapping[str, Document]
    tag: str
    companion: str


class Site:
    """Hold everything that is built once, shared by the middleware, the pages under the prefix, and the commands.

    `clock` gives Unix seconds and `random` bytes; tests give their own. Raises ConfigurationError for settings that
    cannot be served. Nothing is opened before `start` or the first use.
    """

    def __init__(
        self,
        settings: ConsentSettings,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.now = clock
        self.random = random
        self.choice_signer = cookie.signer(settings.keys, purpose="choice")
        self.once_signer = cookie.signer(settings.keys, purpose="once")
        own = own_cookies(settings)
        self.cookie_name, self.once_cookie_name, self.language_cookie_name = (one.name for one in own[:3])
        self.companion_name = self.cookie_name.removesuffix(cookie.NAME) + companion.NAME
        self.shared = settings.cache == "shared"
        self.catalogue = catalogue_of(settings, cookies=own)
        self.assets = assets.load(shipped.STATIC, settings.look)
        self.pages = Pages(
            site_name=settings.name,
            prefix=settings.prefix,
            assets=self.assets,
            spoken=settings.spoken,
            overrides=settings.wording,
            templates=settings.path(settings.templates_dir) if settings.templates_dir else None,
        )
        self.fragments = Fragments(
            self.pages, assets=self.assets, prefix=settings.prefix, change_link=settings.change_link
        )
        self.rules = Rules(self.catalogue, site_hosts=settings.hosts, undeclared=settings.undeclared)
        self.reports_address = quote(f"{settings.prefix}/reports", safe="/@:!$&'()*+=~%")
        self.optional = frozenset(service.key for service in self.catalogue.optional)
        self.facts = self._facts()
        self.bodies = Bodies[bytes]()
        self.gated_pages = Bodies[Page]()
        self.library = library_of(settings, facts=self.facts, now=self.now())
        self.ledger = ledger_from(settings, clock=clock, store=store)
        self.reports = Reports(self.rules, denied=settings.denies, count=self.ledger.count, clock=clock)
        self.narrowing = lru_cache(maxsize=64)(self._narrowing)
        self.policy = lru_cache(maxsize=64)(self._policy)
        self.watch = lru_cache(maxsize=64)(self._watch)
        self.negotiate = lru_cache(maxsize=512)(self._negotiate)
        self._validity = Lifetime.parse(settings.validity)
        self._notices: dict[bytes, Notice] = {}
        self._unknown: dict[bytes, float] = {}
        self.published: dict[Key, Published] = {}
        self._published = False
        self._publish_again = 0.0
        self._edition = self._build_edition(self.now())

    # -- what is in force

    def edition(self, now: float) -> Edition:
        """Return what is in force at a moment (Unix seconds)."""
        if self._edition.until is not None and now >= self._edition.until:
            self._edition = self._build_edition(now)
            self._published = False
        return self._edition

    def _build_edition(self, now: float) -> Edition:
        moment = datetime.fromtimestamp(now, UTC)
        versions = {slug: version for slug in self.library.slugs if (version := self.library.in_force(slug, moment))}
        notices = {language: self._notice(language, versions) for language in self.pages.spoken}
        self._notices |= {notice.short: notice for notice in notices.values()}
        change = self.library.next_change(moment)
        renderings = {
            language: Document(
                kind="rendering",
                media_type="application/json",
                data=self.fragments.rendering(notice),
                language=language,
            )
            for language, notice in notices.items()
        }
        nobody = Consent(self.catalogue, notices[self.settings.default_language])
        return Edition(
            until=None if change is None else change.timestamp(),
            versions=MappingProxyType(versions),
            notices=MappingProxyType(notices),
            renderings=MappingProxyType(renderings),
            tag=self._tag([rendering.digest for rendering in renderings.values()]),
            companion=companion.described(nobody, name=self.companion_name) if self.shared else "",
        )

    def _tag(self, renderings: list[str]) -> str:
        """Return a digest of all that decides how a page is gated and drawn, beside the page and its visitor."""
        drawn = self.settings.model_dump_json(exclude=NOT_DRAWN)
        return hashlib.sha256("\0".join((__version__, drawn, self.pages.digest, *renderings)).encode()).hexdigest()

    def _notice(self, language: str, versions: Mapping[str, str]) -> Notice:
        references = []
        for slug, version in versions.items():
            document = self.library.get(slug, version, language, default=self.settings.default_language)
            if document is not None:
                references.append(
                    PolicyReference(
                        slug=slug,
                        title=document.title,
                        version=version,
                        language=document.language,
                        sha256=document.sha256,
                        material_version=self.library.material_version(slug, version) or version,
                    )
                )
        return build(
            self.catalogue,
            language=language,
            default_language=self.settings.default_language,
            site=self.settings.name,
            controller=self.settings.controller.model_dump(),
            policies=references,
            wording=self.pages.wording(language).texts(*SHOWN_WHEN_ASKING),
            validity=self.settings.validity,
            revision=self.settings.notice_revision,
        )

    def _facts(self) -> Facts:
        return Facts.of(
            self.catalogue,
            site_name=self.settings.name,
            controller=self.settings.controller.model_dump(),
            default_language=self.settings.default_language,
            words={
                language: self.pages.wording(language).texts("purpose.", "service.") for language in self.pages.spoken
            },
        )

    def expiry(self, choice: Choice) -> int:
        """Return the Unix second at which a choice ends to hold.

        A refusal's day is counted whole, so that its rounded time never makes it end early.
        """
        begin = choice.decided_at if choice.grants else choice.decided_at + DAY
        return int(self._validity.after(datetime.fromtimestamp(begin, UTC)).timestamp())

    def choice_headers(self, choice: Choice, *, notice: Notice) -> list[str]:
        """Return the `Set-Cookie` values that keep a choice made under `notice`, and its companion where needed."""
        expires_at = self.expiry(choice)
        value = cookie.seal(choice, notice=notice, by=self.choice_signer)
        headers = [self.cookie_header(self.cookie_name, value, expires_at=expires_at)]
        if self.shared:
            headers.append(self.companion_header(choice, asked_under=notice))
        return headers

    def companion_header(self, choice: Choice, *, asked_under: Notice) -> str:
        """Return the `Set-Cookie` value of what scripts may read of a choice: no id, and nothing we ever believe."""
        today = self.edition(self.now()).notices[self.settings.default_language]
        consent = Consent(self.catalogue, today, choice=choice, asked_under=asked_under)
        value, expires_at = companion.value_of(consent), self.expiry(choice)
        return self.cookie_header(self.companion_name, value, expires_at=expires_at, readable=True)

    def cookie_header(
        self,
        name: str,
        value: str,
        *,
        expires_at: int | None = None,
        strict: bool = False,
        readable: bool = False,
    ) -> str:
        """Return a `Set-Cookie` value; `expires_at` is in Unix seconds, None for the browser's session."""
        settings = self.settings
        parts = [f"{name}={value}", "Path=/", "SameSite=Strict" if strict else "SameSite=Lax"]
        if not readable:
            parts.insert(2, "HttpOnly")
        if expires_at is not None:
            parts.append(f"Expires={format_datetime(datetime.fromtimestamp(expires_at, UTC), usegmt=True)}")
        if settings.cookie_domain:
            parts.append(f"Domain={settings.cookie_domain}")
        if not settings.insecure_cookies:
            parts.append("Secure")
        return "; ".join(parts)

    def _narrowing(self, allowed: frozenset[str]) -> Narrowing:
        """Return what narrows policies to the services allowed; all others are denied, declared or known."""
        declared = [host for s in self.catalogue.optional if s.key not in allowed for host in s.hosts]
        known = [host for service in self.catalogue.known for host in service.hosts]
        return Narrowing([*declared, *known], declared=declared)

    def _policy(self, allowed: frozenset[str]) -> str:
        """Return the Content-Security-Policy of our own for the services allowed."""
        return sources.policy(
            self.catalogue,
            allowed,
            own_hosts=self.settings.hosts,
            secure=self.settings.secure,
            reports=self.reports_address,
        )

    def _watch(self, allowed: frozenset[str]) -> bytes:
        """Return what watches the scripts of a page on which something is held back; nothing where nothing is."""
        hold_rest = self.settings.undeclared is Undeclared.HOLD
        if not self.settings.watch or (self.optional <= allowed and not hold_rest):
            return b""
        claims = sources.claims(self.catalogue, allowed, own_hosts=self.settings.hosts)
        return self.fragments.watch(claims, hold_rest=hold_rest)

    def _negotiate(self, accept_language: str) -> str:
        wanted = []
        for part in accept_language[:1000].lower().replace(" ", "").split(","):
            tag, _, quality = part.partition(";q=")
            try:
                wanted.append((-float(quality or 1), tag))
            except ValueError:
                continue
        tags = [tag for quality, tag in sorted(wanted, key=lambda one: one[0]) if quality < 0]
        found = negotiate_locale(tags, self.pages.spoken, sep="-")
        # Babel answers in the spelling of the browser, not in ours.
        return self.spoken(found or "") or self.settings.default_language

    def spoken(self, tag: str) -> str | None:
        """Return the site's own language that a page's language tag stands for, None where it has none."""
        for candidate in (tag.lower(), tag.lower().partition("-")[0]):
            for language in self.pages.spoken:
                if language.lower() == candidate:
                    return language
        return None

    # -- the archive

    async def archived_notice(self, short: bytes) -> Notice | None:
        """Return the notice whose digest begins so, from memory, else by one look into the archive."""
        known = self._notices.get(short)
        if known is not None or self._unknown.get(short, 0.0) > self.now():
            return known
        try:
            found = await asyncio.to_thread(self.ledger.documents, short.hex(), kind="notice")
        except LedgerError:
            found = []
        if len(found) == 1:
            self._notices[short] = Notice(found[0].data)
            return self._notices[short]
        if len(self._unknown) > 1000:
            self._unknown.clear()
        self._unknown[short] = self.now() + LOOK_AGAIN_SECONDS
        return None

    # -- opening, publishing, closing

    def start(self) -> None:
        """Open the ledger and publish what is in force; blocks, and goes on without a ledger that cannot be reached.

        Raises ConfigurationError where the ledger belongs to another origin, or a published policy was edited.
        """
        self.ledger.start()
        try:
            self.publish()
        except LedgerUnavailableError as error:
            logger.error("the ledger cannot be used (%s): grants are refused until it can", error)

    def close(self) -> None:
        """Let go of the ledger, once everything that waits has been written or queued; `start` opens it again."""
        self.ledger.close()
        self._published = False
        self._publish_again = 0.0

    async def ensure_published(self) -> None:
        """See that the texts in force are in the ledger. Raises LedgerUnavailableError while they cannot be."""
        if self._published:
            return
        if self.now() < self._publish_again:
            raise LedgerUnavailableError("the ledger could not be used a moment ago")
        self._publish_again = self.now() + 1.0
        await asyncio.to_thread(self.publish)
        self._publish_again = 0.0

    def publish(self) -> None:
        """Archive all texts in force and append what is new among them to the ledger; several workers agree."""
        now = int(self.now())
        edition = self.edition(now)
        store = self.ledger.store
        entries = store.publications()
        self.published = published_policies(entries)
        publications = [
            *of_policies(self.library, facts=self.facts, now=now),
            *(
                of_notice(notice, rendering=edition.renderings[language], now=now)
                for language, notice in edition.notices.items()
            ),
        ]
        documents = [Document(kind="asset", media_type=one.media_type, data=one.data) for one in self.assets.values()]
        # Whatever the check finds, what visitors are shown must be there for the records that name it.
        for document in (*documents, *(one for publication in publications for one in publication.documents)):
            store.archive(document)
        policies.verify_published(self.library, {key: one.sha256 for key, one in self.published.items()})
        new = [publication for publication in publications if publication.draft.unique not in entries]
        if new:
            store.append([publication.draft for publication in new], now=now)
            self.published = published_policies(store.publications())
        self._published = True


def library_of(settings: ConsentSettings, *, facts: Facts, now: float) -> Library:
    """Read the site's policies; a site without a folder for them has none. Raises PolicyError for unreadable ones.

    A document with unfilled fields cannot be published, and so is left out; the log says what is in force at `now`
    (Unix seconds) instead.
    """
    folder = settings.path(settings.policies_dir)
    if not folder.is_dir():
        return Library()
    library = policies.read(folder)
    unfinished = [document for document in library.documents if gaps(document, facts=facts)]
    complete = Library(documents=tuple(document for document in library.documents if document not in unfinished))
    for document in unfinished:
        kept = complete.in_force(document.slug, datetime.fromtimestamp(now, UTC))
        logger.warning(
            "%s has unfilled fields and is not published, %s: run `consent check`",
            document.place,
            f"so version {kept} stays in force" if kept else f"so no version of {document.slug} is in force",
        )
    return complete
