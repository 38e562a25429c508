"""Hold one thing that is wrong with a configuration, under a code that never changes its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent.errors import ConfigurationError

CODES = {
    "C001": "the configuration cannot be read",
    "C002": "a CONSENT_ variable that no setting reads",
    "C003": "no configuration file",
    "C010": "no secret",
    "C011": "a secret that is too short",
    "C012": "a secret that others know",
    "C013": "a secret in the configuration file",
    "C014": "an audit token that is too short",
    "C015": "two equal audit tokens",
    "C016": "no audit token",
    "C100": "no origin",
    "C101": "an origin without encryption",
    "C102": "Secure cookies on a local origin",
    "C103": "insecure cookies on an encrypted origin",
    "C104": "a cookie domain that does not cover an origin",
    "C105": "a country header without regimes",
    "C106": "regimes without a country header",
    "C107": "a choice that holds unusually long or short",
    "C108": "undeclared hosts are allowed",
    "C109": "nobody answers for the data",
    "C120": "a policy of ours that cannot be enforced",
    "C121": "sub-domains that a policy of ours names one by one",
    "C122": "a reported host that no service declares",
    "C123": "a reported host of a service not agreed to",
    "C124": "a reported host of the site's own",
    "C130": "regimes that shared pages do not follow",
    "C131": "a service that shared pages cannot start",
    "C200": "a purpose or service that contradicts itself",
    "C201": "a host claimed twice",
    "C202": "a service lacks what a notice says",
    "C203": "a service lacks what a receipt says",
    "C204": "a text is missing in a language",
    "C205": "a cookie without a lifetime",
    "C206": "a necessary service without justification",
    "C207": "an exemption without justification",
    "C208": "a tracker declared as necessary",
    "C209": "the host of a known service",
    "C210": "a large cookie",
    "C211": "a cookie that is too large",
    "C212": "no service",
    "C213": "a purpose without words",
    "C300": "no folder of policies",
    "C301": "no privacy policy in force",
    "C302": "no cookie policy in force",
    "C303": "a policy that cannot be read",
    "C304": "a policy that is not filled in",
    "C305": "a policy is missing in a language",
    "C306": "a published policy was edited",
    "C307": "a published policy is gone from the folder",
    "C400": "not an address of a ledger",
    "C401": "a ledger that cannot be used",
    "C402": "a ledger that is not this site's",
    "C403": "a ledger key that cannot be used",
    "C404": "the ledger key is gone",
    "C405": "a secret file that others can read",
    "C406": "a queue that cannot be written",
    "C407": "a ledger that is signed no more",
    "C408": "records of opt-outs that are not kept long enough",
    "C409": "a database that is less durable than the settings say",
    "C410": "a ledger that is not brought up to date",
    "C500": "no wording in a language",
    "C501": "a text of the site's own that nothing shows",
    "C502": "a text that leaves something out",
    "C503": "a text that cannot be filled in",
    "C504": "texts in a language that nobody is asked in",
    "C505": "no folder of templates",
    "C506": "a template that cannot be used",
    "C507": "a wording that no speaker has reviewed",
    "C510": "a theme that is hard to read",
    "C511": "answers whose words do not weigh the same",
    "C512": "answers that do not look the same",
}
"""Every code with its meaning; a code is never used again for another."""


class Severity(StrEnum):
    """Say how much a finding weighs, the heaviest first."""

    ERROR = "error"
    """The site does not start, breaks a promise to its visitors, or gives a secret away."""
    WARNING = "warning"
    """The site works, and somebody should decide about this before it goes live."""
    INFO = "info"
    """Good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold what was found, where, and what to do about it."""

    code: str
    severity: Severity
    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        """Return the finding in one line."""
        text = f"{self.code} {self.severity} {self.place}: {_sentence(self.what)} {_sentence(self.remedy)}"
        return " ".join(text.split())

    @property
    def rank(self) -> tuple[int, str]:
        """Return what findings are sorted by: errors first, then by code."""
        return (list(Severity).index(self.severity), self.code)


def error(code: str, place: str, what: str, remedy: str) -> Finding:
    """Return a finding that makes the check fail."""
    return Finding(code=code, severity=Severity.ERROR, place=place, what=what, remedy=remedy)


def warning(code: str, place: str, what: str, remedy: str) -> Finding:
    """Return a finding that somebody should decide about."""
    return Finding(code=code, severity=Severity.WARNING, place=place, what=what, remedy=remedy)


def info(code: str, place: str, what: str, remedy: str) -> Finding:
    """Return a finding that is good to know."""
    return Finding(code=code, severity=Severity.INFO, place=place, what=what, remedy=remedy)


def raised(code: str, refused: ConfigurationError, *, place: str, remedy: str) -> Finding:
    """Return what was refused as a finding; `place` and `remedy` serve where the error names none."""
    return error(code, refused.place or place, refused.message, refused.remedy or remedy)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
