"""Write down what the gate asks its rules while it judges a page, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass

from consent.gate import skip
from consent.gate.address import Address
from consent.gate.rules import Memory, Owner, Rules, Verdict, View

UNDECLARED = ""
"""Stands where a service's key would, for a host that no service names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Hold one thing a tag was judged by: what was found in it, whose it is, and whether that is allowed."""

    found: str
    service: str
    allowed: bool
    why: str


class Recorder:
    """Hold the rules of a site for one set of allowed services, and every answer they give.

    The gate that is given `view` is the gate of the site; only nothing is remembered from one tag to the next, so that
    every tag is asked about.
    """

    def __init__(self, rules: Rules, allowed: frozenset[str]) -> None:
        self._reasons: list[Reason] = []
        self._site = rules
        self.view = _View(rules, allowed, self)

    def taken(self) -> tuple[Reason, ...]:
        """Return what was written down since the last call, each once."""
        reasons = tuple(dict.fromkeys(self._reasons))
        self._reasons.clear()
        return reasons

    def declared(self, service: str) -> bool:
        """Tell whether the visitor can be asked about a service."""
        return self._site.catalogue.service(service) is not None

    def owner(self, owner: Owner) -> None:
        """Write down whose an address is."""
        if owner.service is None:
            held = self.view.undeclared_held
            why = f'no service names this host, and undeclared is "{self._site.undeclared}"'
            self._note(f"host {owner.host}", UNDECLARED, not held, why)
        else:
            self._note(f"host {owner.host}" if owner.host else "a path of this site", owner.service)

    def mark(self, key: str, verdict: Verdict | None) -> None:
        """Write down what the site's own mark asks for."""
        catalogue = self._site.catalogue
        known = catalogue.purpose(key) or catalogue.service(key)
        why = "" if known else "this names neither a purpose nor a service"
        self._note(f'data-consent="{key}"', key, verdict is None, why)

    def inline(self, text: str, keys: tuple[str, ...]) -> None:
        """Write down which services not allowed a script gives away."""
        patterns = {key: pattern for pattern, key in self.view.held_patterns if pattern in text}
        for key in keys:
            self._note(f"{patterns[key]!r} in a script" if key in patterns else "a host spelled out in a script", key)

    def granted_inline(self, text: str) -> None:
        """Write down which services that are allowed a script gives away."""
        for key in sorted(self._site.inline_owners(text) & self.view.allowed):
            self._note("a pattern in a script", key)

    def _note(self, found: str, service: str, allowed: bool | None = None, why: str = "") -> None:
        if allowed is None:
            allowed = service in self.view.allowed
        self._reasons.append(Reason(found=found, service=service, allowed=allowed, why=why or self._why(service)))

    def _why(self, key: str) -> str:
        catalogue = self._site.catalogue
        service = catalogue.service(key)
        if service is None:
            if catalogue.purpose(key):
                return "this purpose is agreed to" if key in self.view.allowed else "this purpose is not agreed to"
            return f"a built-in service that is not declared: add [services.{key}] to ask for it"
        if service.required:
            return "strictly necessary"
        return f"{service.purpose}, agreed to" if key in self.view.allowed else f"{service.purpose}, not agreed to"


class _Rules(Rules):
    """Answer as the site's rules do, and let every answer be written down."""

    def __init__(self, rules: Rules, recorder: Recorder) -> None:
        # The same claims, not another reading of them.
        self.__dict__.update(rules.__dict__)
        self._recorder = recorder
        self.skip = skip.patterns()

    def owner_of(self, address: Address) -> Owner | None:
        owner = super().owner_of(address)
        if owner is not None:
            self._recorder.owner(owner)
        return owner

    def claimants(self, address: Address) -> tuple[Owner, ...]:
        owners = super().claimants(address)
        for owner in owners:
            self._recorder.owner(owner)
        return owners


class _View(View):
    """Give the site's verdicts, and let each be written down."""

    def __init__(self, rules: Rules, allowed: frozenset[str], recorder: Recorder) -> None:
        super().__init__(_Rules(rules, recorder), allowed)
        self._recorder = recorder

    def marked(self, key: str) -> Verdict | None:
        verdict = super().marked(key)
        self._recorder.mark(key.strip(), verdict)
        return verdict

    def held_inline(self, text: str) -> tuple[str, ...]:
        keys = super().held_inline(text)
        self._recorder.inline(text, keys)
        return keys

    def held_spelled(self, text: str) -> tuple[str, ...]:
        keys = super().held_spelled(text)
        self._recorder.inline(text, keys)
        return keys

    def grants_inline(self, text: str) -> bool:
        granted = super().grants_inline(text)
        if granted:
            self._recorder.granted_inline(text)
        return granted

    def memory(self, charset: str, depth: int, bases: tuple[Address, ...]) -> Memory:
        return _Forgetful()


class _Forgetful(Memory):
    def keep(self, key: bytes, value: object) -> None:
        """Keep nothing, so that every tag is judged where it stands."""
