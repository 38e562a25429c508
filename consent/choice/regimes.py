"""Say which rule applies to a visitor, by country."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Regime(StrEnum):
    """Say what holds while a visitor has not answered; from strictest to loosest."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"
    NOTICE_ONLY = "notice-only"

    @property
    def open(self) -> bool:
        """Tell whether services may run before an answer."""
        return self is not Regime.OPT_IN


def regime_for(country: str | None, *, regimes: Mapping[str, Regime]) -> Regime:
    """Return the regime of an ISO 3166-1 alpha-2 country; whoever is not named there is asked first."""
    return regimes.get((country or "").upper(), Regime.OPT_IN)
