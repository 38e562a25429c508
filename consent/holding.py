"""Hold back what one answer's headers would store, load or lead to, and tell whether the answer may be everybody's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope

from consent.asked import address_of, host_of, is_own_act
from consent.gate import headers
from consent.gate.inquest import verdict_of_address
from consent.gate.rules import Verdict, View
from consent.kinds import Kind, kind_of
from consent.marking import RawHeaders, marked_alone
from consent.sharing import is_private
from consent.site import Site
from consent.visitors import Visitor

GATED_HEADERS = frozenset(
    {
        b"link",
        b"location",
        b"nel",
        b"refresh",
        b"report-to",
        b"reporting-endpoints",
        b"set-cookie",
        b"speculation-rules",
    }
)
"""Headers of which something may be held back, whatever the body is."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def seen_through(raw: object) -> Kind | None:
    """Return the kind of an answer whose headers tell it at a glance, None where they need a second look."""
    if type(raw) is not list:
        return None
    named = dict(raw)
    return _told_by(tuple(named), named.get(b"content-type")) if len(named) == len(raw) else None


@lru_cache(maxsize=512)
def _told_by(names: tuple[bytes, ...], media_type: bytes | None) -> Kind | None:
    if media_type is None or not GATED_HEADERS.isdisjoint(names) or not b"".join(names).islower():
        return None
    kind = kind_of(media_type.decode("latin-1"))
    if kind is Kind.HTML:
        return None if b"content-encoding" in names else kind
    return kind if headers.POLICIES.isdisjoint(names) else None


def looked_through(raw: RawHeaders) -> tuple[Kind, bool, bool]:
    """Return the kind of an answer, whether any of its headers is gated, and whether a policy of its own reports."""
    content_type, gated, reports = "", False, False
    for name, value in raw:
        if name == b"content-type":
            content_type += f",{value.decode('latin-1')}"
        elif name in GATED_HEADERS:
            gated = True
        elif name in headers.POLICIES and b"report-uri" in value.lower():
            reports = True
    return kind_of(content_type), gated, reports


def without_held(message: Message, *, site: Site, visitor: Visitor, scope: Scope, page: bool = True) -> Message:
    """Return a start without what its headers would store or load for services that are not allowed.

    What is no `page`, whose headers are marked later, becomes this visitor's own here where it differs by visitor.
    The app's own message and list stay as they are: it may send the same ones to the next visitor.
    """
    consent = visitor.consent
    response = MutableHeaders(raw=list(message["headers"]))
    cookies = response.getlist("set-cookie")
    hold_undeclared = site.settings.undeclared_cookies == "hold"
    kept, held, undeclared = headers.hold_cookies(
        cookies, site.catalogue, consent.allowed, hold_undeclared=hold_undeclared
    )
    site.reports.cookies(undeclared)
    if held:
        del response["set-cookie"]
        for value in kept:
            response.append("set-cookie", value)
    raw = response.raw
    bases = site.rules.page(address_of(scope))
    if not page:
        # For nobody, so that it is the same for everybody: static files are often sent with a page's policy.
        raw = headers.hold_reporting(raw, site.rules.view(frozenset()), bases=bases)
    if not page and not visitor.shared and _differs(raw, cookies, site=site, scope=scope):
        raw = marked_alone(raw, site=site, visitor=visitor, tag="")
    return {**message, "headers": headers.hold_headers(raw, site.rules.view(consent.allowed), bases=bases)}


def _differs(raw: RawHeaders, cookies: list[str], *, site: Site, scope: Scope) -> bool:
    """Tell whether another visitor could get other headers."""
    strictest, _, _ = headers.hold_cookies(cookies, site.catalogue, ())
    view = site.rules.view(frozenset())
    if strictest != cookies or _verdict_of_location(raw, view, scope) is not None:
        return True
    return headers.hold_headers(raw, view, bases=view.rules.page(address_of(scope))) != raw


def allowed_links(links: Iterable[bytes], view: View, scope: Scope) -> list[bytes]:
    """Return the values of `Link` headers without the links that would ask a held host."""
    bases = view.rules.page(address_of(scope))
    return [link for _, link in headers.hold_headers([(b"link", link) for link in links], view, bases=bases)]


def leads_astray(raw: RawHeaders, view: View, scope: Scope) -> bool:
    """Tell whether a redirect sends a request that no visitor made themselves to somebody who is held back."""
    verdict = _verdict_of_location(raw, view, scope)
    return verdict is not None and not is_own_act(scope, sure=verdict.service is not None)


def _verdict_of_location(raw: RawHeaders, view: View, scope: Scope) -> Verdict | None:
    places = [place for name, value in raw if name == b"location" for place in headers.readings(value)]
    bases = view.rules.page(address_of(scope))
    verdicts = [verdict_of_address(view, place, bases=bases) for place in places]
    return next((verdict for verdict in verdicts if verdict is not None), None)


def is_everybodys(status: int, raw: RawHeaders, kind: Kind, *, site: Site, nobody: Visitor, scope: Scope) -> bool:
    """Tell whether caches may keep this answer for everybody, as far as the app and the kind of answer allow it.

    Style sheets and XML that ask a service that is held back cannot be mended by a script, and a redirect to one may be
    followed by one visitor's own act and not by another's page.
    """
    if is_private(raw) or kind.held_whole:
        return False
    allowed = nobody.consent.allowed
    if status in REDIRECTS and _verdict_of_location(raw, site.rules.view(allowed), scope) is not None:
        return False
    cookies = [value.decode("latin-1") for name, value in raw if name == b"set-cookie"] if kind.page else []
    hold_undeclared = site.settings.undeclared_cookies == "hold"
    return not headers.hold_cookies(cookies, site.catalogue, allowed, hold_undeclared=hold_undeclared)[0]


def expired_cookies(*, site: Site, visitor: Visitor, scope: Scope) -> RawHeaders:
    """Return headers that delete the cookies a request carries and that may not be stored any more."""
    values = headers.expire_cookies(
        visitor.cookies,
        site.catalogue,
        visitor.consent.allowed,
        host=host_of(scope),
        consent_cookie=site.cookie_name,
    )
    if visitor.once:
        values.append(site.cookie_header(site.once_cookie_name, "", expires_at=0))
    return [(b"set-cookie", value.encode("latin-1")) for value in values]
