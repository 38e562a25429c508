"""Mark a gated page, in its headers, as this visitor's own, and narrow the policy it comes with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from consent.choice.consent import Consent
from consent.gate import headers
from consent.site import Site
from consent.visitors import Visitor

RawHeaders = list[tuple[bytes, bytes]]

CACHE_HEADERS = frozenset(
    {
        b"cdn-cache-control",
        b"cloudflare-cdn-cache-control",
        b"edge-control",
        b"last-modified",
        b"netlify-cdn-cache-control",
        b"surrogate-control",
        b"vercel-cdn-cache-control",
        b"x-accel-expires",
    }
)
"""What would bring a gated page back from before a change, or let a shared cache keep it."""
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
    tagged: bool = True,
    encoding: str = "",
) -> Marked:
    """Return the headers of a page gated for one visitor.

    `negotiated` tells that the language came from `Accept-Language`; `confirming` that there is no new body. Without
    `tagged` the body is the app's own, and so is its entity tag. `encoding` is the one the page was scanned in: a
    `text/html` that does not plainly name one gets it, so that no browser reads the page in another.
    """
    kept: RawHeaders = []
    varies, types, cached, narrowed = [], [], b"", False
    narrowing, policies = site.narrowing(consent.allowed), []
    nonces: dict[bytes, str] = {}
    for name, value in raw:
        name = name.lower()
        if name in CACHE_HEADERS or (name in BODY_HEADERS and not confirming):
            continue
        if name == b"content-type" and encoding:
            types.append(value)
        elif name == b"vary":
            varies.append(value)
        elif name == b"cache-control":
            cached = cached + b", " + value if cached else value
        elif name == b"etag" and tagged:
            kept.append((name, headers.etag_with(value.decode("latin-1"), visitor.state_tag).encode("latin-1")))
        elif name in (ENFORCED, REPORT_ONLY):
            policy = value.decode("latin-1")
            found = _NONCE.search(policy)
            if found:
                nonces.setdefault(name, found[1])
            tightened = narrowing.narrow(policy)
            if name == ENFORCED:
                narrowed |= tightened != policy
                policies.append(tightened)
            kept.append((name, tightened.encode("latin-1")))
        else:
            kept.append((name, value))
    if tagged and site.settings.csp != "off":
        narrowed |= site.settings.denies and not site.optional <= consent.allowed
        kept += _own_policy(site, consent)
    if tagged and not site.settings.denies:
        site.reports.undenied(narrowing.undenied(policies))
    if types:
        plain = len(types) == 1 and _TYPE.fullmatch(types[0]) is not None
        kept.insert(0, (b"content-type", types[0] if plain else f"text/html; charset={encoding}".encode("ascii")))
    if visitor.once:
        cached = b"no-store"
    elif b"no-store" not in cached.lower():
        cached = b"private, no-cache"
    kept.append((b"cache-control", cached))
    kept.append((b"vary", _vary(b", ".join(varies), negotiated, site.settings.country_header)))
    # What is only reported on need not carry the nonce that is asked for.
    return Marked(kept, nonces.get(ENFORCED) or nonces.get(REPORT_ONLY, ""), narrowed)


def _own_policy(site: Site, consent: Consent) -> RawHeaders:
    """Return the policy of our own beside whatever policy the page has: a browser keeps to both."""
    policy: RawHeaders = [
        (ENFORCED if site.settings.denies else REPORT_ONLY, site.policy(consent.allowed).encode("ascii"))
    ]
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
