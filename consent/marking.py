"""Mark a gated page, in its headers, as this visitor's own, and narrow the policy it comes with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from consent.choice.consent import Consent
from consent.gate import headers
from consent.sharing import FOR_SHARED_CACHES
from consent.site import Site
from consent.visitors import Visitor

RawHeaders = list[tuple[bytes, bytes]]

DATED = b"last-modified"
"""What would bring a page back from before a change: of the page, of its gating, or of its visitor's mind."""
CACHE_HEADERS = FOR_SHARED_CACHES | {DATED}
"""What a page that is its visitor's own loses."""
SHARED_CACHE_HEADERS = frozenset({DATED})
"""What a page that is everybody's loses."""
BODY_HEADERS = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-md5",
        b"digest",
        b"repr-digest",
    }
)
"""What describes the bytes of the app's own page, and not those of the gated one."""
ENFORCED = b"content-security-policy"
REPORT_ONLY = b"content-security-policy-report-only"
SEEN = (
    CACHE_HEADERS
    | BODY_HEADERS
    | {ENFORCED, REPORT_ONLY, b"cache-control", b"content-language", b"content-type", b"etag", b"vary"}
)
"""The headers that decide how a page is gated, and the only ones that are changed for it."""
_TYPE = re.compile(rb"(?i:text/html;[ ]?charset=[a-z0-9_-]+|application/xhtml\+xml.*)", re.DOTALL)
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'")


@dataclass(frozen=True, slots=True)
class Marked:
    """Hold the headers of a gated page, the nonce its policy asks for, and whether that policy had to be narrowed."""

    headers: RawHeaders
    nonce: str = ""
    narrowed: bool = False


def parted(raw: RawHeaders) -> tuple[tuple[tuple[bytes, bytes], ...], RawHeaders]:
    """Return the headers that decide how a page is gated, and those that pass as they are."""
    seen: RawHeaders = []
    passing: RawHeaders = []
    for header in raw:
        (seen if header[0] in SEEN else passing).append(header)
    return tuple(seen), passing


def marked(
    raw: Iterable[tuple[bytes, bytes]],
    *,
    site: Site,
    visitor: Visitor,
    consent: Consent,
    negotiated: bool = False,
    confirming: bool = False,
    tag: str | None = None,
    encoding: str = "",
) -> Marked:
    """Return the headers of a page gated for one visitor, or for nobody where it is everybody's.

    What is everybody's keeps the app's own word to caches. Its policy is not narrowed by services that may be granted:
    the next visitor to get this page from a cache may have granted them, and a reload would bring the same page. But it
    reports to none of them, since the next one may have granted nothing.

    `negotiated` tells that the language came from `Accept-Language`; `confirming` that there is no new body. `tag` ends
    the entity tag: that of the visitor's state where none is given, nothing where the body is the app's own. `encoding`
    is the one the page was scanned in: a `text/html` that does not plainly name one gets it, so that no browser reads
    the page in another.
    """
    kept: RawHeaders = []
    varies, types, cached, narrowed = [], [], b"", False
    dropped = SHARED_CACHE_HEADERS if visitor.shared else CACHE_HEADERS
    allowed = frozenset(s.key for s in site.catalogue.services) if visitor.shared else consent.allowed
    narrowing, policies = site.narrowing(allowed), []
    nonces: dict[bytes, str] = {}
    for name, value in raw:
        name = name.lower()
        if name in dropped or (name in BODY_HEADERS and not confirming):
            continue
        if name == b"content-type" and encoding:
            types.append(value)
        elif name == b"vary":
            varies.append(value)
        elif name == b"cache-control":
            cached = cached + b", " + value if cached else value
        elif name == b"etag" and tag != "":
            ending = visitor.state_tag if tag is None else tag
            kept.append((name, headers.etag_with(value.decode("latin-1"), ending).encode("latin-1")))
        elif name in (ENFORCED, REPORT_ONLY):
            policy = value.decode("latin-1")
            found = _NONCE.search(policy)
            if found:
                nonces.setdefault(name, found[1])
            tightened = narrowing.narrow(policy)
            if name == ENFORCED:
                narrowed |= tightened != policy and not visitor.shared
                policies.append(tightened)
            reporting = headers.hold_reports(tightened, site.rules.view(consent.allowed))
            kept.append((name, reporting.encode("latin-1")))
        else:
            kept.append((name, value))
    if tag != "" and site.settings.csp != "off":
        narrowed |= site.settings.denies and not site.optional <= allowed
        kept += _own_policy(site, allowed)
    if tag != "" and not site.settings.denies:
        site.reports.undenied(narrowing.undenied(policies))
    if types:
        plain = len(types) == 1 and _TYPE.fullmatch(types[0]) is not None
        kept.insert(0, (b"content-type", types[0] if plain else f"text/html; charset={encoding}".encode("ascii")))
    vary = b", ".join(varies)
    if not visitor.shared:
        if visitor.fleeting:
            cached = b"no-store"
        elif b"no-store" not in cached.lower():
            cached = b"private, no-cache"
        vary = _vary(vary, negotiated, site.settings.country_header)
    kept.extend((name, value) for name, value in ((b"cache-control", cached), (b"vary", vary)) if value)
    # What is only reported on need not carry the nonce that is asked for.
    return Marked(kept, nonces.get(ENFORCED) or nonces.get(REPORT_ONLY, ""), narrowed)


def marked_alone(raw: Iterable[tuple[bytes, bytes]], *, site: Site, visitor: Visitor, tag: str) -> RawHeaders:
    """Return the headers of an answer that comes without a gated page, marked as a visitor's own; `tag` as above."""
    return marked(raw, site=site, visitor=visitor, consent=visitor.consent, confirming=True, tag=tag).headers


def _own_policy(site: Site, allowed: frozenset[str]) -> RawHeaders:
    """Return the policy of our own beside whatever policy the page has: a browser keeps to both."""
    policy: RawHeaders = [(ENFORCED if site.settings.denies else REPORT_ONLY, site.policy(allowed).encode("ascii"))]
    if site.settings.secure:
        policy.append((b"reporting-endpoints", f'consent="{site.reports_address}"'.encode("ascii")))
    return policy


@lru_cache(maxsize=256)
def _vary(existing: bytes, negotiated: bool, country_header: str) -> bytes:
    names = ["Cookie", "Sec-GPC"]
    if negotiated:
        names.append("Accept-Language")
    if country_header:
        names.append(country_header)
    return headers.vary(existing.decode("latin-1") or None, names).encode("latin-1")
