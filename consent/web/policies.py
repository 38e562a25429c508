"""Serve the policies: the version in force, every version for ever, their history, and what changed between two."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from babel import Locale
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.choice.consent import Consent
from consent.choice.notice import Notice
from consent.errors import LedgerError
from consent.opening import NO_ORIGIN
from consent.policies.compare import Comparison, compare
from consent.policies.document import PolicyVersion, parse
from consent.policies.facts import Facts
from consent.policies.library import Key, Library, day
from consent.policies.render import RenderedPolicy, render
from consent.site import Site
from consent.web import feed
from consent.web.answers import FOR_EVER, SHORTLY, Answers, visitor_of
from consent.web.layer import standing


class Policies:
    """Handle `/privacy/`, `/privacy/policies/…` and `/privacy/notices/…`."""

    def __init__(self, site: Site, answers: Answers) -> None:
        self._site = site
        self._answers = answers
        self._prefix = site.settings.prefix
        self._rendered = lru_cache(maxsize=64)(self._render)
        self._compared = lru_cache(maxsize=64)(self._compare)
        self._archived: dict[Key, PolicyVersion] = {}
        self._facts: dict[str, Facts] = {}

    # -- pages

    async def index(self, request: Request) -> Response:
        """List the policies, the choice, and the checkpoint."""
        language, edition = visitor_of(request).consent.language, self._site.edition(self._site.now())
        shown = []
        for slug, version in edition.versions.items():
            document = self._site.library.get(slug, version, language, default=self._site.settings.default_language)
            if document is not None:
                href = self._href(slug)
                shown.append({**_described(document), "href": href, "history_href": f"{href}/history"})
        return self._answers.page(
            request,
            "consent_index.html",
            policies=shown,
            checkpoint=await self._checkpoint(),
            **standing(visitor_of(request).consent),
        )

    async def checkpoint(self, request: Request) -> Response:
        """Serve the checkpoint that was published last, as the note it is."""
        note = await self._checkpoint()
        if note is None:
            return self._answers.error(request, 404)
        return self._answers.bytes(note.encode(), media_type="text/plain; charset=utf-8", cache="no-cache")

    async def feed(self, request: Request) -> Response:
        """Serve the versions of all policies, or of one, as an Atom feed with the newest checkpoint."""
        library, language = await self._library(), visitor_of(request).consent.language
        slugs = [request.path_params["slug"]] if "slug" in request.path_params else list(library.slugs)
        documents = [
            (self._absolute(f"{self._href(slug)}/{quote(version)}"), library.languages(slug, version), document)
            for slug in slugs
            for version in self._past(library, slug)
            if (document := library.get(slug, version, language, default=self._site.settings.default_language))
        ]
        if not documents and "slug" in request.path_params:
            return self._answers.error(request, 404)
        words = self._site.pages.wording(language)
        one = documents[-1][2].title if "slug" in request.path_params else words("index.title")
        home = self._href(slugs[0]) if "slug" in request.path_params else f"{self._prefix}/policies"
        data = feed.write(
            address=self._absolute(f"{home}.atom"),
            home=self._absolute(home if "slug" in request.path_params else f"{self._prefix}/"),
            title=f"{one} \N{EN DASH} {self._site.settings.name}",
            author=self._site.settings.controller.name or self._site.settings.name,
            language=language,
            entries=[
                feed.Entry(
                    address=address,
                    title=words("banner.policy_version", title=document.title, version=document.version),
                    effective=document.effective,
                    summary=document.summary,
                    texts=[(tag, f"{address}/{quote(tag)}") for tag in languages],
                )
                for address, languages, document in sorted(
                    documents, key=lambda told: (told[2].effective, told[2].slug), reverse=True
                )
            ],
            checkpoint=await self._checkpoint(),
        )
        response = self._answers.tagged(request, data, media_type=feed.MEDIA_TYPE, cache=SHORTLY)
        response.headers["Vary"] = "Accept-Language, Cookie"
        return response

    async def in_force(self, request: Request) -> Response:
        """Serve the version in force, in the visitor's language."""
        slug = request.path_params["slug"]
        version = self._site.edition(self._site.now()).versions.get(slug)
        document = await self._document(slug, version, visitor_of(request).consent.language) if version else None
        if document is None:
            return self._answers.error(request, 404)
        return await self._policy(request, document, cache="no-cache")

    async def version(self, request: Request) -> Response:
        """Lead to a version in the visitor's language."""
        slug, version = request.path_params["slug"], request.path_params["version"]
        document = await self._document(slug, version, visitor_of(request).consent.language)
        if document is None:
            return self._answers.error(request, 404)
        target = f"{self._href(slug)}/{quote(version)}/{quote(document.language)}"
        return RedirectResponse(target, 302, {"Cache-Control": "no-store"})

    async def permanent(self, request: Request) -> Response:
        """Serve one version in one language at its permanent address, with the facts archived with it."""
        document = await self._exact(request)
        if document is None:
            return self._answers.error(request, 404)
        return await self._policy(request, document, cache=SHORTLY)

    async def source(self, request: Request) -> Response:
        """Serve the exact bytes of one version in one language."""
        document = await self._exact(request)
        if document is None:
            return self._answers.error(request, 404)
        return self._answers.tagged(request, document.source, media_type="text/markdown; charset=utf-8", cache=FOR_EVER)

    async def history(self, request: Request) -> Response:
        """List all versions of a policy that are or were in force, the newest first."""
        slug = request.path_params["slug"]
        language = visitor_of(request).consent.language
        library = await self._library()
        versions = self._past(library, slug)
        if not versions:
            return self._answers.error(request, 404)
        shown: list[dict[str, Any]] = []
        for before, version in zip([None, *versions], versions, strict=False):
            document = library.get(slug, version, language, default=self._site.settings.default_language)
            if document is None:
                continue
            texts = {tag: library.find(slug, version, tag) for tag in library.languages(slug, version)}
            href = f"{self._href(slug)}/{quote(version)}"
            shown.append(
                {
                    **_described(document),
                    "material": document.material and before is not None,
                    "href": href,
                    "compare_href": f"{self._href(slug)}/{quote(before)}...{quote(version)}" if before else None,
                    "languages": [{"tag": t, "name": _own_name(t), "href": f"{href}/{quote(t)}"} for t in texts],
                    "sha256": {tag: text.sha256 for tag, text in texts.items() if text is not None},
                }
            )
        newest = shown[-1]
        policy = {"slug": slug, "title": newest["title"]}
        return self._answers.page(request, "consent_history.html", policy=policy, versions=shown[::-1])

    async def comparison(self, request: Request) -> Response:
        """Show what changed between two versions, in the visitor's language."""
        slug = request.path_params["slug"]
        language = visitor_of(request).consent.language
        old, _, new = request.path_params["versions"].partition("...")
        before, after = await self._document(slug, old, language), await self._document(slug, new, language)
        if before is None or after is None:
            return self._answers.error(request, 404)
        facts = [(await self._facts_of(document)).to_bytes() for document in (before, after)]
        comparison = await asyncio.to_thread(self._compared, before, after, *facts, language)
        whole = "whole" in request.query_params
        blocks = [
            {"kind": "omitted", "html": ""} if block is None else {"kind": block.change, "html": Markup(block.html)}  # noqa: S704 - escaped by compare
            for block in (comparison.blocks if whole else comparison.excerpt())
        ]
        return self._answers.page(
            request,
            "consent_compare.html",
            cache=SHORTLY,
            policy={"slug": slug, "title": after.title, "effective": after.effective, "summary": after.summary},
            a=old,
            b=new,
            blocks=blocks,
            whole_href=None if whole or comparison.same else "?whole",
        )

    async def notice(self, request: Request) -> Response:
        """Serve an archived notice as it was told, or, as `.json`, its canonical bytes."""
        name = request.path_params["digest"]
        digest = name.removesuffix(".json")
        notice = await self._notice(digest)
        if notice is None:
            return self._answers.error(request, 404)
        if name.endswith(".json"):
            return self._answers.tagged(request, notice.data, media_type="application/json", cache=FOR_EVER)
        return self._answers.page(
            request,
            "consent_notice.html",
            cache=SHORTLY,
            notice=notice.content,
            digest=digest,
            json_href=f"{self._prefix}/notices/{digest}.json",
        )

    # -- finding

    async def _notice(self, digest: str) -> Notice | None:
        if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            return None
        notice = await self._site.archived_notice(bytes.fromhex(digest[:16]))
        return notice if notice is not None and notice.digest == digest else None

    async def _checkpoint(self) -> str | None:
        try:
            published = await asyncio.to_thread(self._site.ledger.published)
        except LedgerError:
            return None
        return published.note.decode() if published else None

    async def _exact(self, request: Request) -> PolicyVersion | None:
        slug, version, language = (request.path_params[name] for name in ("slug", "version", "language"))
        document = (await self._library()).find(slug, version, language)
        return document if document is not None and document.effective <= self._today else None

    async def _document(self, slug: str, version: str, language: str) -> PolicyVersion | None:
        library = await self._library()
        document = library.get(slug, version, language, default=self._site.settings.default_language)
        return document if document is not None and document.effective <= self._today else None

    async def _library(self) -> Library:
        """Return the policies on disk, and the published ones that are only left in the archive."""
        site = self._site
        lost = [key for key in site.published if site.library.find(*key) is None and key not in self._archived]
        for key in lost:
            try:
                stored = await asyncio.to_thread(site.ledger.document, site.published[key].sha256)
            except LedgerError:
                continue
            if stored is not None:
                slug, version, language = key
                self._archived[key] = parse(
                    stored.data, slug=slug, version=version, language=language, place=f"archive/{stored.digest}"
                )
        if not self._archived:
            return site.library
        return Library(documents=(*site.library.documents, *self._archived.values()))

    @property
    def _today(self) -> Any:
        return day(datetime.fromtimestamp(self._site.now(), UTC))

    def _past(self, library: Library, slug: str) -> list[str]:
        versions = library.versions(slug)
        return [one for one in versions if (since := library.effective(slug, one)) and since <= self._today]

    async def _facts_of(self, document: PolicyVersion) -> Facts:
        published = self._site.published.get(document.key)
        if published is None:
            return self._site.facts
        if published.facts not in self._facts:
            try:
                stored = await asyncio.to_thread(self._site.ledger.document, published.facts)
            except LedgerError:
                stored = None
            if stored is None:
                return self._site.facts
            self._facts[published.facts] = Facts.from_bytes(stored.data)
        return self._facts[published.facts]

    # -- rendering

    def _href(self, slug: str) -> str:
        return f"{self._prefix}/policies/{quote(slug)}"

    def _absolute(self, path: str) -> str:
        """Return the whole address of a path, as it is written where there is no page around it."""
        return f"{next(iter(self._site.settings.origins), NO_ORIGIN)}{path}"

    def _compare(
        self, before: PolicyVersion, after: PolicyVersion, old: bytes, new: bytes, language: str
    ) -> Comparison:
        facts = Facts.from_bytes(old), Facts.from_bytes(new)
        return compare(before, after, facts=facts, words=self._site.pages.wording(language))

    def _render(self, document: PolicyVersion, facts: bytes, language: str) -> RenderedPolicy:
        words = self._site.pages.wording(self._site.spoken(language) or self._site.settings.default_language)
        return render(document, facts=Facts.from_bytes(facts), words=words, prefix=self._prefix)

    async def _policy(self, request: Request, document: PolicyVersion, *, cache: str) -> Response:
        facts = await self._facts_of(document)
        rendered = self._rendered(document, facts.to_bytes(), document.language)
        library = await self._library()
        base = f"{self._href(document.slug)}/{quote(document.version)}"
        permanent = f"{base}/{quote(document.language)}"
        in_force = self._site.edition(self._site.now()).versions.get(document.slug) == document.version
        lasting = cache == SHORTLY
        agreed = None if lasting else self._agreed(visitor_of(request).consent, document)
        languages = [
            {"tag": tag, "name": _own_name(tag), "href": href, "address": self._absolute(href)}
            for tag in library.languages(document.slug, document.version)
            if (href := f"{base}/{quote(tag)}")
        ]
        response = self._answers.page(
            request,
            "consent_policy.html",
            cache=f"private, {cache}" if agreed else cache,
            language=self._site.spoken(document.language) if lasting else None,
            policy={
                **_described(document),
                "html": Markup(rendered.html),  # noqa: S704 - escaped by the policy renderer
                "contents": [(one.level, one.id, one.text) for one in rendered.contents],
                "source_href": f"{permanent}.md",
                "history_href": f"{self._href(document.slug)}/history",
                "feed_href": f"{self._href(document.slug)}.atom",
                "permanent_href": permanent,
                "address": self._absolute(permanent),
                "in_force": in_force,
            },
            agreed=agreed,
            languages=languages,
        )
        for target, parameters in (
            (self._absolute(permanent), 'rel="canonical"'),
            *((one["address"], f'rel="alternate"; hreflang="{one["tag"]}"') for one in languages),
            (self._absolute(base), 'rel="alternate"; hreflang="x-default"'),
            (f"{self._absolute(self._href(document.slug))}.atom", f'rel="alternate"; type="{feed.MEDIA_TYPE}"'),
        ):
            response.headers.append("Link", f"<{target}>; {parameters}")
        return response

    def _agreed(self, consent: Consent, document: PolicyVersion) -> dict[str, Any] | None:
        """Return under which other version of a policy this visitor agreed, None where that is no news to them."""
        choice, under = consent.choice, consent.asked_under
        if choice is None or under is None or not choice.grants:
            return None
        version = next((one["version"] for one in under.content["policies"] if one["slug"] == document.slug), None)
        if version is None or version == document.version:
            return None
        href = f"{self._href(document.slug)}/{quote(version)}...{quote(document.version)}"
        return {"version": version, "day": datetime.fromtimestamp(choice.decided_at, UTC).date(), "href": href}


def _described(document: PolicyVersion) -> Mapping[str, Any]:
    names = ("slug", "title", "version", "effective", "material", "summary", "language", "sha256")
    return {name: getattr(document, name) for name in names}


def _own_name(tag: str) -> str:
    return Locale.parse(tag, sep="-").get_display_name() or tag
