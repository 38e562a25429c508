"""Name everything that can go wrong, as one tree.

ConsentError
├── ConfigurationError            settings, catalogue or policies that cannot be served
│   ├── CatalogueError            a purpose or service that contradicts itself or another
│   └── PolicyError               a policy document that cannot be read or published
│       └── PolicyEditedError     a published version whose bytes changed on disk
├── LedgerError
│   ├── LedgerUnavailableError    nothing can be recorded at the moment; trying again later may work
│   │   └── OutsideError          what is kept outside the database cannot be read or written
│   └── LedgerCorruptError        what is stored contradicts itself
└── VerificationError             evidence that does not verify
"""

from __future__ import annotations


class ConsentError(Exception):
    """Stand at the root of every error this package raises on purpose."""


class ConfigurationError(ConsentError):
    """Refuse a configuration, in one line that says what to do.

    `place` names where the mistake lies (a file, a key), `remedy` what to do about it; either may be empty.
    """

    def __init__(self, message: str, *, place: str = "", remedy: str = "") -> None:
        self.message = message
        self.place = place
        self.remedy = remedy
        text = f"{place}: {message}" if place else message
        super().__init__(f"{text}. {remedy}" if remedy else text)


class CatalogueError(ConfigurationError):
    """Refuse a purpose or service that contradicts itself or another."""


class PolicyError(ConfigurationError):
    """Refuse a policy document that cannot be read or published."""


class PolicyEditedError(PolicyError):
    """Refuse a published policy version whose bytes on disk are no longer the published ones."""

    def __init__(self, message: str, *, published: str, on_disk: str, place: str = "", remedy: str = "") -> None:
        self.published = published
        self.on_disk = on_disk
        super().__init__(message, place=place, remedy=remedy)


class LedgerError(ConsentError):
    """Stand above everything the ledger reports."""


class LedgerUnavailableError(LedgerError):
    """Say that nothing can be recorded at the moment."""


class OutsideError(LedgerUnavailableError):
    """Say that what is kept outside the database cannot be read or written, so that nothing is signed or erased."""


class LedgerCorruptError(LedgerError):
    """Say that what the ledger stores contradicts itself; `remedy` says what to do, where something can be done."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}: {remedy}" if remedy else message)


class VerificationError(ConsentError):
    """Say that evidence does not verify; `index` is the first bad entry where one is known."""

    def __init__(self, message: str, *, index: int | None = None) -> None:
        self.index = index
        super().__init__(message)
