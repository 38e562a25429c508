"""Work out what one visitor has agreed to, as of one request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from consent.choice.catalogue import Catalogue
from consent.choice.choice import Choice
from consent.choice.notice import Notice, changed_terms
from consent.choice.regimes import Regime
from consent.choice.status import Status

logger = logging.getLogger("consent")
_warned: set[str] = set()


@dataclass(frozen=True)
class Consent:
    """Answer whether something is allowed, for the visitor of one request.

    `choice` is what the visitor answered, None without a valid answer; `asked_under` is the archived notice it was
    made under; `notice` is today's. `once` names services to load on this one page. Nothing here shows the consent id.
    """

    catalogue: Catalogue
    notice: Notice
    choice: Choice | None = None
    asked_under: Notice | None = None
    status: Status = Status.UNKNOWN
    regime: Regime = Regime.OPT_IN
    gpc: bool = False
    once: frozenset[str] = frozenset()

    @property
    def language(self) -> str:
        """Return the language tag this visitor is asked in."""
        return self.notice.language

    @property
    def answered(self) -> bool:
        """Tell whether nothing is left to ask."""
        return not self.asking

    @cached_property
    def _answers(self) -> Mapping[str, bool | None]:
        """Return yes, no or None (still to be asked) for every purpose and service of today's notice."""
        choice, old, new = self.choice, self.asked_under, self.notice
        if choice is None or old is None:
            return dict.fromkeys((*new.purposes, *new.services))
        renewed = old.revision == new.revision
        changed = changed_terms(old, new)
        answers: dict[str, bool | None] = {}
        for purpose in new.purposes:
            said = choice.purposes.get(purpose)
            answers[purpose] = said if renewed or not said else None
        for service in new.services:
            said = choice.says(service, purpose=old.purpose_of(service) or new.purpose_of(service))
            answers[service] = None if said and service in changed else said
        return answers

    @cached_property
    def asking(self) -> frozenset[str]:
        """Return the purposes and services that have no valid answer; what was refused is not asked again."""
        return frozenset(key for key, answer in self._answers.items() if answer is None)

    @cached_property
    def objected(self) -> frozenset[str]:
        """Return the services that the browser's opt-out preference signal turns off, whatever was answered."""
        return self.catalogue.objectionable if self.gpc else frozenset()

    @cached_property
    def granted(self) -> frozenset[str]:
        """Return the purposes and services this visitor explicitly agreed to, under terms that still hold."""
        return frozenset(key for key, answer in self._answers.items() if answer)

    @cached_property
    def allowed(self) -> frozenset[str]:
        """Return the keys of all purposes and services that may load and store now."""
        keys = {key for key, answer in self._answers.items() if answer or (answer is None and self.regime.open)}
        keys |= self.once
        keys -= self.objected
        if self.gpc:
            keys.discard("marketing")
        keys |= {service.key for service in self.catalogue.services if service.required}
        keys |= {purpose.key for purpose in self.catalogue.purposes if purpose.required}
        return frozenset(keys)

    def allows(self, purpose_or_service: str) -> bool:
        """Tell whether a purpose or a service may load or store now.

        Returns False, and logs once, for a key that the catalogue does not have.
        """
        if purpose_or_service in self.allowed:
            return True
        known = self.catalogue.purpose(purpose_or_service) or self.catalogue.service(purpose_or_service)
        if known is None and purpose_or_service not in _warned and len(_warned) < 1000:
            _warned.add(purpose_or_service)
            logger.warning("allows(%r): no such purpose or service in the catalogue", purpose_or_service)
        return False
