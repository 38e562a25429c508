"""Look at what pages load beyond what the gate can see: what browsers reported, and what a policy of ours can deny."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from consent.choice.catalogue import Catalogue
from consent.cli.findings.finding import Finding, info, warning
from consent.declared import catalogue_of
from consent.errors import ConfigurationError, LedgerError
from consent.gate.address import Address
from consent.gate.rules import Rules, Undeclared
from consent.gate.sources import shared_hosts
from consent.ledger.store import Total
from consent.ledger.totals import OTHER
from consent.opening import NO_ORIGIN, store_from
from consent.reports import REPORT
from consent.settings import ConsentSettings

DAYS = 30
"""How long ago a report may be to be told of."""
MOST = 20
"""How many hosts are told of, those reported most often first."""


def find(settings: ConsentSettings, *, today: date) -> Iterator[Finding]:
    """Yield what a policy of ours cannot do, and the hosts that browsers reported under it."""
    try:
        catalogue = catalogue_of(settings, cookies=())
    except ConfigurationError:
        return
    if settings.csp == "enforce" and settings.undeclared is not Undeclared.HOLD:
        yield warning(
            "C120",
            "csp",
            f"denies nothing while undeclared hosts may load (undeclared = {settings.undeclared.value!r}), because a"
            " policy cannot let them pass; it is sent as report-only",
            'Set undeclared = "hold"',
        )
    if settings.csp != "off":
        for host, key in shared_hosts(catalogue, settings.hosts).items():
            yield info(
                "C121",
                "csp",
                f"sub-domains of {host} load only if they are named, because the service {key!r} is one of them",
                "Add those that pages load from to origins, or as hosts of a necessary service",
            )
    rules = Rules(catalogue, site_hosts=settings.hosts)
    counts: Counter[str] = Counter()
    for total in (totals := _totals(settings, today)):
        counts[total.subject] += total.count
    del counts[OTHER]
    for host, count in counts.most_common(MOST):
        first = min(total.hour for total in totals if total.subject == host)
        since = datetime.fromtimestamp(first, UTC).date()
        yield _reported(host, f"{count} report{'s' if count > 1 else ''} since {since}", catalogue, rules, settings)


def _reported(host: str, told: str, catalogue: Catalogue, rules: Rules, settings: ConsentSettings) -> Finding:
    asked = Address(host=host)
    keys = list(dict.fromkeys(owner.service for owner in rules.claimants(asked) if owner.service))
    if rules.owner_of(asked) is None and not keys:
        return warning(
            "C124", host, f"pages load from it, but the policy does not name it ({told})", "Add its origin to origins"
        )
    declared = [key for key in keys if catalogue.service(key) is not None]
    if declared:
        done = "was denied it" if settings.denies else "loads it, and nothing denies it"
        remedy = "Let pages wait for a yes" if settings.denies else 'Set csp = "enforce", or let pages wait for a yes'
        return warning(
            "C123",
            f"services.{declared[0]}",
            f"a script of the site's own asks {host} before a yes and {done} ({told})",
            f"{remedy}: request.state.consent, window.consent.allows({declared[0]!r})",
        )
    matching = f". Built in are {', '.join(f'[services.{key}]' for key in keys)}" if keys else ""
    return warning(
        "C122",
        host,
        f"this site loads it, and no service declares it ({told}){matching}",
        "Declare it in [services], or remove what loads it",
    )


def _totals(settings: ConsentSettings, today: date) -> list[Total]:
    """Return what was reported; nothing from a ledger that is not there or cannot be used, which is told elsewhere."""
    first = datetime.combine(today - timedelta(days=DAYS), datetime.min.time(), UTC)
    try:
        with closing(store_from(settings.ledger, settings=settings, origin=_origin(settings))) as store:
            return store.totals(REPORT, first=int(first.timestamp())) if store.exists() else []
    except (ConfigurationError, LedgerError):
        return []


def _origin(settings: ConsentSettings) -> str:
    return settings.origins[0] if settings.origins else NO_ORIGIN
