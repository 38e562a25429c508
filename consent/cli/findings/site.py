"""Look at what the site says about itself: its origins, its cookies, its rules by country, and who answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from consent.choice.lifetime import Lifetime
from consent.cli.findings.finding import Finding, error, info, warning
from consent.declared import known_services
from consent.gate.rules import Undeclared
from consent.settings import ConsentSettings

SHORTEST_VALIDITY, LONGEST_VALIDITY = "P1M", "P13M"
_START = datetime(2027, 1, 31, tzinfo=UTC)


def find(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what is wrong with the settings of the site as a whole."""
    yield from _origins(settings)
    yield from _countries(settings)
    if settings.cache == "shared":
        yield from _shared(settings)
    holds = Lifetime.parse(settings.validity).after(_START)
    for bound, wrong, remedy in (
        (SHORTEST_VALIDITY, "short: visitors will be asked over and over", "Choose a longer one, such as 'P6M'"),
        (LONGEST_VALIDITY, "long: authorities expect to be asked again within a year or so", "Choose 'P6M' or 'P1Y'"),
    ):
        limit = Lifetime.parse(bound).after(_START)
        if holds < limit if bound == SHORTEST_VALIDITY else holds > limit:
            yield warning("C107", "validity", f"{settings.validity!r} is {wrong}", remedy)
    if settings.undeclared is Undeclared.ALLOW:
        yield warning(
            "C108",
            "undeclared",
            "third parties that no service names load before anybody has agreed",
            'Set undeclared = "hold", and declare what the site uses',
        )
    missing = [name for name in ("name", "contact") if not getattr(settings.controller, name).strip()]
    if missing:
        yield warning(
            "C109",
            "controller",
            f"no {' and no '.join(missing)}: visitors must be told who answers for the data (GDPR Art. 13(1)(a))",
            "Fill in [controller]",
        )


def _origins(settings: ConsentSettings) -> Iterator[Finding]:
    if not settings.origins:
        yield error(
            "C100",
            "origins",
            "the site does not say where it lives: its ledger has no name, and its own forms are known by Host alone",
            'Add origins = ["https://meridian.example"], with the address that visitors use',
        )
    for origin in settings.origins:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        if parts.scheme == "https" and settings.insecure_cookies:
            yield error(
                "C103",
                "insecure_cookies",
                f"cookies of {origin} would also be sent without encryption",
                "Remove insecure_cookies",
            )
        if parts.scheme == "http" and not is_local(host):
            effect = (
                "choices travel readable for everybody on the way"
                if settings.insecure_cookies
                else "browsers keep no Secure cookie from there, so no choice is remembered"
            )
            yield error("C101", f"origins, {origin}", effect, f"Serve the site as https://{parts.netloc}")
        domain = settings.cookie_domain.removeprefix(".").lower()
        if domain and host != domain and not host.endswith(f".{domain}"):
            yield error(
                "C104",
                "cookie_domain",
                f"browsers refuse a cookie for {domain} from {origin}, so no choice is remembered there",
                "Name a domain that all origins lie in, or leave it empty",
            )

    plain = [one for one in settings.origins if one.startswith("http://") and is_local(urlsplit(one).hostname or "")]
    if plain and not settings.insecure_cookies:
        yield info(
            "C102",
            f"origins, {' '.join(plain)}",
            "not every browser keeps a Secure cookie from a local address without encryption",
            "For such a browser set insecure_cookies = true, on this machine only",
        )


def _countries(settings: ConsentSettings) -> Iterator[Finding]:
    if settings.country_header and not settings.regimes:
        yield warning(
            "C105",
            "country_header",
            "the country is read, pages vary by it, and nothing depends on it",
            "Add [regimes], or remove country_header",
        )
    if settings.regimes and not settings.country_header:
        yield warning(
            "C106",
            "regimes",
            "no country is ever known, so everybody is asked first",
            "Set country_header to what a proxy of yours sets, or remove [regimes]",
        )


def _shared(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what one page for everybody cannot do; docs/caching.md tells why."""
    loose = sorted(country for country, regime in settings.regimes.items() if regime.open)
    if loose:
        yield warning(
            "C130",
            "regimes",
            f"{', '.join(loose)}: a page that is everybody's follows the strictest one, so nothing runs before a yes",
            'Remove the regimes, or set cache = "private"',
        )
    late = sorted(key for key in settings.services if _needs_a_reload(settings, key))
    if late:
        yield warning(
            "C131",
            f"services, {' '.join(late)}",
            "the page that a reload brings is the same one, so a service that cannot start late never starts",
            'Set revive = "in-place" if it can, or cache = "private"',
        )


def _needs_a_reload(settings: ConsentSettings, key: str) -> bool:
    table, known = settings.services[key], known_services().get(key)
    return bool(table.get("revive", known.revive if known else "") == "reload")


def is_local(host: str) -> bool:
    """Tell whether a host name stands for the machine itself (RFC 6761 §6.3, and the loopback addresses)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
