"""Mark a gated page, in its headers, as this visitor's own, and narrow the policy it comes with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from consent.choice.consent import Consent
from consent.gate import csp, headers
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
POLICIES = frozenset({ENFORCED, b"content-security-policy-report-only"})
_TYPE = re.compile(rb"(?i:text/html;[ ]?charset=[a-z0-9_-]+|application/xhtml\+xml.*)", re.DOTALL)
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'")


@dataclass(frozen=True, slots=True)
class Marked:
    """Hold the headers of a gated page, the nonce its policy asks for, and whether that policy had to be narrowed."""

    headers: RawHeaders
    nonce: str = ""
    narrowed: bool = False


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
    the next visitor to get this page from a cache may have granted them, and a reload would bring the same page.

    `negotiated` tells that the language came from `Accept-Language`; `confirming` that there is no new body. `tag` ends
    the entity tag: that of the visitor's state where none is given, nothing where the body is the app's own. `encoding`
    is the one the page was scanned in: a `text/html` that does not plainly name one gets it, so that no browser reads
    the page in another.
    """
    kept: RawHeaders = []
    varies, types, cached, nonce, narrowed = [], [], b"", "", False
    dropped = SHARED_CACHE_HEADERS if visitor.shared else CACHE_HEADERS
    deniable = frozenset(s.key for s in site.catalogue.services) if visitor.shared else consent.allowed
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
        elif name in POLICIES:
            policy = value.decode("latin-1")
            found = _NONCE.search(policy)
            nonce = nonce or (found[1] if found else "")
            tightened, _ = csp.narrow(policy, held_hosts=site.held_hosts(deniable))
            narrowed |= tightened != policy and name == ENFORCED and not visitor.shared
            kept.append((name, tightened.encode("latin-1")))
        else:
            kept.append((name, value))
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
    return Marked(kept, nonce, narrowed)


@lru_cache(maxsize=256)
def _vary(existing: bytes, negotiated: bool, country_header: str) -> bytes:
    names = ["Cookie", "Sec-GPC"]
    if negotiated:
        names.append("Accept-Language")
    if country_header:
        names.append(country_header)
    return headers.vary(existing.decode("latin-1") or None, names).encode("latin-1")
