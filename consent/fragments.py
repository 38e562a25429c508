"""Render what is put into a site's own pages: banner, link to the choice, and what stands for a parked embed."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from jinja2 import TemplateError

from consent.assets import Asset
from consent.choice.canonical import canonical
from consent.choice.consent import Consent
from consent.choice.notice import Notice
from consent.choice.status import Status
from consent.embed import described
from consent.errors import ConfigurationError
from consent.pages import Pages

logger = logging.getLogger("consent")

CACHE_SIZE = 512
_PATH = "/@:!$&'()*+,;=~%"
_NEXT = "nextaddressofthispage"
"""Stands for the page's own path in what is rendered once for all pages."""
_MARKED = re.compile(f"(next=)?{_NEXT}".encode())
"""Splits what is rendered into texts and, between them, whether the path stands in an address or in a field."""


class Fragments:
    """Render fragments once for each state of a visitor, and fill in the path of the page for each response."""

    def __init__(self, pages: Pages, *, assets: Mapping[str, Asset], prefix: str, change_link: str) -> None:
        self._pages = pages
        self._assets = assets
        self._prefix = prefix
        self._change_link = change_link
        self._rendered: OrderedDict[tuple[object, ...], list[bytes]] = OrderedDict()

    def banner(self, consent: Consent, *, next_path: str, companion: str = "") -> bytes:
        """Return the first layer for whoever has something left to answer, naming what has changed since.

        `companion` tells the script of a page that is everybody's how to read who is looking at it.
        """
        under = consent.asked_under.digest if consent.asked_under is not None else ""
        kind = (under, consent.asking, consent.granted, consent.status, consent.gpc, consent.regime, consent.allowed)

        def render() -> bytes:
            once = self._template("consent_once_form.html", consent)
            context = banner_context(consent.notice, consent, self._prefix) | {"companion": companion}
            return self._template("consent_banner.html", consent, **context) + once

        return self._filled(("banner", consent.notice.digest, companion, *kind), render, next_path)

    def link(self, consent: Consent, *, next_path: str) -> bytes:
        """Return what follows `<body>` once all is answered: the link, and the form to load something once."""

        def render() -> bytes:
            link = self._template("consent_link.html", consent) if self._change_link == "button" else b""
            optional = {service.key for service in consent.catalogue.optional}
            return link if optional <= consent.allowed else link + self._template("consent_once_form.html", consent)

        return self._filled(("link", consent.notice.digest, consent.allowed, consent.status), render, next_path)

    def assets(self, consent: Consent) -> bytes:
        """Return the references to script and style that stand before the first parked tag of an answered page."""
        key = ("assets", consent.notice.digest, consent.allowed, consent.status)
        return self._filled(key, lambda: self._template("consent_assets.html", consent), "")

    def watch(self, claims: str, *, hold_rest: bool) -> bytes:
        """Return the reference to the script that watches a page's own scripts, with who claims which host.

        With `hold_rest` it parks what nobody claims, too.
        """
        address = f"{quote(self._prefix, safe=_PATH)}/assets/{self._assets['consent-watch.js'].address}"
        rest = ' data-rest=""' if hold_rest else ""
        return f'<script src="{escape(address)}" data-hosts="{escape(claims)}"{rest}></script>'.encode("ascii")

    def placeholder(
        self,
        consent: Consent,
        *,
        service: str,
        tag: str,
        about: tuple[tuple[str, str], ...] = (),
        next_path: str,
    ) -> bytes:
        """Return what stands where an embed of a declared service is parked; nothing for a service without a name."""
        entry = next((s for s in consent.notice.content["services"] if s["key"] == service), None)
        if entry is None:
            return b""

        def render() -> bytes:
            purposes = {purpose["key"]: purpose for purpose in consent.notice.content["purposes"]}
            return self._template(
                "consent_placeholder.html",
                consent,
                service={"key": service, "title": entry["title"], "provider": entry["terms"]["provider"]},
                purpose=purposes[entry["terms"]["purpose"]],
                tag=tag,
                embed=embed,
                objected=objected,
            )

        objected, embed = service in consent.objected, described(about)
        return self._filled(("placeholder", consent.notice.digest, service, tag, embed, objected), render, next_path)

    def rendering(self, notice: Notice) -> bytes:
        """Return how a notice looked, as canonical JSON: the banner's HTML, and the digests of script and style."""
        context = banner_context(notice, None, self._prefix)
        common = self._common(notice, allowed=(), status=Status.UNKNOWN) | {"next": "/"}
        try:
            html = self._pages.render("consent_banner.html", language=notice.language, **(common | context))
        except TemplateError as error:
            raise ConfigurationError(
                f"cannot be rendered: {error}", place="consent_banner.html", remedy="Mend the template in templates_dir"
            ) from None
        assets = {name: asset.digest for name, asset in self._assets.items()}
        return canonical({"schema": 1, "notice": notice.digest, "html": html, "assets": assets})

    def _template(self, template: str, consent: Consent, **context: Any) -> bytes:
        common = self._common(consent.notice, allowed=consent.allowed, status=consent.status)
        return self._pages.fragment(template, language=consent.language, **(common | context))

    def _common(self, notice: Notice, *, allowed: Collection[str], status: Status) -> dict[str, Any]:
        return {
            "notice": notice.digest,
            "next": _NEXT,
            "allowed": sorted(allowed),
            "status": status,
            "change_link": self._change_link,
        }

    def _filled(self, key: tuple[object, ...], render: Callable[[], bytes], next_path: str) -> bytes:
        pieces = self._rendered.get(key)
        if pieces is None:
            try:
                pieces = _MARKED.split(render())
            except TemplateError as error:
                # Whatever is wrong with a template: the page is shown, and nothing loads that was not agreed to.
                logger.error("a fragment was left out, because its template cannot be rendered: %s", error)
                pieces = [b""]
            self._rendered[key] = pieces
            if len(self._rendered) > CACHE_SIZE:
                self._rendered.popitem(last=False)
        if len(pieces) == 1:
            return pieces[0]
        in_query = f"next={quote(next_path, safe='/')}".encode("ascii")
        in_field = escape(next_path).encode("ascii", "xmlcharrefreplace")
        filled = pieces.copy()
        filled[1::2] = [in_query if in_address else in_field for in_address in pieces[1::2]]
        return b"".join(filled)


def banner_context(notice: Notice, consent: Consent | None, prefix: str) -> dict[str, Any]:
    """Return what the banner's template is given: what this notice says, and for whom something changed, what."""
    content = notice.content
    running = in_use(consent) if consent is not None else frozenset()
    named = running or (consent.asking if consent is not None else frozenset(notice.services))
    services = [s for s in content["services"] if s["key"] in notice.services and s["key"] in named]
    purposes = [
        {
            **{name: purpose[name] for name in ("key", "title", "description")},
            "services": [
                {"key": service["key"], "title": service["title"], "provider": service["terms"]["provider"]}
                for service in services
                if service["terms"]["purpose"] == purpose["key"]
            ],
        }
        for purpose in content["purposes"]
        if purpose["asked"] and any(notice.purpose_of(key) == purpose["key"] for key in named)
    ]
    asked_again = consent is not None and not _first_asked(consent)
    return {
        "purposes": purposes,
        "services_count": len(services),
        "same": _same_provider(content),
        "open": bool(running),
        "validity": content["validity"],
        "policies": [
            {"slug": p["slug"], "title": p["title"], "href": f"{prefix}/policies/{quote(p['slug'])}"}
            for p in content["policies"]
        ],
        "changed": _changed(notice, consent, prefix) if consent is not None and asked_again else None,
        "carried": carried(consent, accept=consent.asking) if consent is not None and asked_again else None,
        "reject_carried": carried(consent, accept=()) if consent is not None and asked_again else None,
        "gpc": consent is not None and consent.gpc,
    }


def _first_asked(consent: Consent) -> bool:
    """Tell whether all that is left to ask was never answered, and is what it was when the visitor last chose."""
    old, new = consent.asked_under, consent.notice
    if consent.choice is None or old is None:
        return True
    stands = {*old.purposes, *(key for key, terms in old.services.items() if new.services.get(key) == terms)}
    chosen = consent.choice
    said = {key for key in old.services if chosen.says(key, purpose=old.purpose_of(key)) is not None}
    return old.revision == new.revision and consent.asking <= stands - said - chosen.purposes.keys()


def _same_provider(content: Mapping[str, Any]) -> list[list[str]]:
    """Return the keys that stand for one company, where there are several; every other has its own.

    What the site marked with a purpose is its own.
    """
    keys = {content["controller"]["name"]: [purpose["key"] for purpose in content["purposes"] if purpose["asked"]]}
    for service in content["services"]:
        keys.setdefault(service["terms"]["provider"] or service["key"], []).append(service["key"])
    return [together for together in keys.values() if len(together) > 1]


def in_use(consent: Consent) -> frozenset[str]:
    """Return the purposes and services that run without an answer, as the regime of this visitor lets them."""
    running = consent.asking & consent.allowed if consent.regime.open else frozenset()
    return running if running & consent.notice.services.keys() else frozenset()


def changed_policies(old: Notice, notice: Notice, prefix: str) -> list[dict[str, str]]:
    """Return the policies that changed materially between two notices, each with a link to what changed in it."""
    known = {policy["slug"]: policy for policy in old.content["policies"]}
    changed = []
    for policy in notice.content["policies"]:
        slug, before = policy["slug"], known.get(policy["slug"])
        if before is not None and before["material_version"] == policy["material_version"]:
            continue
        href = f"{prefix}/policies/{quote(slug)}"
        if before is not None:
            href += f"/{quote(before['version'])}...{quote(policy['version'])}"
        changed.append({"title": policy["title"], "version": policy["version"], "href": href})
    return changed


def carried(consent: Consent, *, accept: Collection[str]) -> dict[str, list[str]]:
    """Return the fields of a form that keeps what was granted, adds `accept`, and leaves everything else refused."""
    notice = consent.notice
    yes = consent.granted | frozenset(accept)
    purposes = [key for key in notice.purposes if key in yes]
    services = [key for key in notice.services if key in yes and notice.purpose_of(key) not in purposes]
    without = [key for key in notice.services if key not in yes and notice.purpose_of(key) in purposes]
    return {"purposes": purposes, "services": services, "without": without}


def _changed(notice: Notice, consent: Consent, prefix: str) -> dict[str, Any]:
    def titles(entries: list[dict[str, Any]]) -> list[str]:
        return [entry["title"] for entry in entries if entry["key"] in consent.asking]

    old = consent.asked_under
    return {
        "purposes": titles(notice.content["purposes"]),
        "services": titles(notice.content["services"]),
        "all": old is not None and old.revision != notice.revision,
        "policies": changed_policies(old, notice, prefix) if old is not None else [],
    }
