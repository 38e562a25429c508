"""Say what of the visits should not have been: what nobody agreed to, and what nobody declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from consent.choice.regimes import Regime
from consent.cli.findings.finding import Severity
from consent.cli.scanned.observed import TOLD, Asked, Kept, Seen, State, Stored, Visit, host_of
from consent.cli.scanned.owners import Owned, Owners

CODES = {
    "S001": "a request to a service that is not allowed",
    "S002": "a cookie of a service that is not allowed",
    "S003": "storage of a service that is not allowed",
    "S004": "a request to a host that no service names",
    "S005": "a cookie that no service names",
    "S006": "storage that no service names",
    "S007": "an answer that could not be given or was not kept",
    "S008": "a page that could not be visited",
    "S009": "a page without a banner",
    "S010": "a cookie that only its own site can delete",
}
"""Every code with its meaning; a code is never used again for another."""
SEVERITIES = dict.fromkeys(CODES, Severity.ERROR) | {"S009": Severity.WARNING, "S010": Severity.INFO}
_WORDS: dict[type[Asked | Kept | Stored], str] = {Asked: "host", Kept: "cookie", Stored: "key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Hold one thing that was found, with every state and page it was found in.

    `subject` is the host, cookie or key; `service` the keys it belongs to, empty for nobody's; `example` an address.
    """

    code: str
    subject: str
    service: str
    what: str
    remedy: str
    states: tuple[State, ...]
    pages: tuple[str, ...]
    example: str = ""
    initiator: str = ""

    @property
    def severity(self) -> Severity:
        """Return how much it weighs."""
        return SEVERITIES[self.code]

    def __str__(self) -> str:
        """Return the finding in one line."""
        when = ", ".join(TOLD[state] for state in self.states)
        where = self.pages[0] if len(self.pages) == 1 else f"{self.pages[0]} and {len(self.pages) - 1} more"
        by = f", asked for by {self.initiator}" if self.initiator else ""
        seen = f" ({when}; {where}{by})" if when else f" ({where})"
        return " ".join(f"{self.code} {self.severity} {self.subject}: {self.what}{seen}. {self.remedy}.".split())


def leaks(seen: Iterable[Seen], owners: Owners, *, regime: Regime) -> list[Leak]:
    """Return everything that should not have been, each once, errors first."""
    found: dict[tuple[str, str, str], Leak] = {}
    for page in seen:
        for leak in (*_of_page(page), *(one for visit in page.visits for one in _of_visit(visit, owners, regime))):
            key = (leak.code, leak.subject, leak.service)
            known = found.get(key)
            if known is not None:
                states = tuple(state for state in State if state in known.states + leak.states)
                leak = replace(known, states=states, pages=tuple(dict.fromkeys(known.pages + leak.pages)))
            found[key] = leak
    return sorted(found.values(), key=lambda one: (list(Severity).index(one.severity), one.code, one.subject))


def _of_page(page: Seen) -> Iterator[Leak]:
    if page.failure:
        yield _leak("S008", page.page, page.failure, "See that it answers, and scan it again", page.page)
    elif not any(visit.asking for visit in page.visits if visit.state is State.BEFORE):
        yield _leak(
            "S009",
            page.page,
            "the page shows no banner, so that nothing was answered there",
            "See that it passes the middleware, and that a service is declared that is asked for",
            page.page,
        )


def _of_visit(visit: Visit, owners: Owners, regime: Regime) -> Iterator[Leak]:
    if visit.failure:
        yield _leak(
            "S007",
            TOLD[visit.state],
            visit.failure,
            "See that the form of the banner reaches the site, and that the browser keeps its cookie",
            visit.page,
            state=visit.state,
        )
    for thing, owned, code in judged(visit, owners, regime):
        if not code:
            continue
        request = thing if isinstance(thing, Asked) else None
        yield _leak(
            code,
            subject_of(thing),
            _what(thing, owned, code),
            _remedy(owned, code),
            visit.page,
            state=visit.state,
            service=" ".join(owned.keys),
            example=request.url if request else "",
            initiator=request.initiator if request else "",
        )


def judged(visit: Visit, owners: Owners, regime: Regime) -> Iterator[tuple[Asked | Kept | Stored, Owned, str]]:
    """Yield every request, cookie and storage key of a visit with its owner and the code of what is wrong, if it is.

    A request that the page's own policy denied is none.
    """
    allowed = owners.allowed(visit.state, regime)
    for asked in visit.asked:
        if not asked.denied:
            owned = owners.of_request(asked)
            yield asked, owned, _code(owned, allowed, ("S001", "S004"))
    for cookie in visit.cookies:
        owned = owners.of_cookie(cookie, page=visit.page)
        code = _code(owned, allowed, ("S002", "S005"))
        if code == "S002" and _same(cookie, visit.left) and not owners.own_domain(cookie.domain, page=visit.page):
            code = "S010"
        yield cookie, owned, code
    for stored in visit.stored:
        owned = owners.of_stored(stored)
        yield stored, owned, _code(owned, allowed, ("S003", "S006"))


def subject_of(thing: Asked | Kept | Stored) -> str:
    """Return what a finding about something is about."""
    if isinstance(thing, Asked):
        return host_of(thing.url)
    if isinstance(thing, Kept):
        return f"cookie {thing.name} of {thing.domain.lstrip('.')}"
    return f"{thing.kind} {thing.name} of {thing.origin}"


def _same(cookie: Kept, others: Iterable[Kept]) -> bool:
    return any((cookie.name, cookie.domain, cookie.path) == (one.name, one.domain, one.path) for one in others)


def _code(owned: Owned, allowed: frozenset[str], codes: tuple[str, str]) -> str:
    """Return the code of what is not allowed, or of what is not declared; nothing where all is well."""
    if owned.site or (owned.declared and not allowed.isdisjoint(owned.keys)):
        return ""
    return codes[0] if owned.declared else codes[1]


def _what(thing: Asked | Kept | Stored, owned: Owned, code: str) -> str:
    if not owned.declared:
        return f"no service of the site names this {_WORDS[type(thing)]}"
    if code == "S010":
        return f"belongs to {owned}, and stays until that site deletes it"
    return f"belongs to {owned}, which is not allowed"


def _remedy(owned: Owned, code: str) -> str:
    if code == "S010":
        return "The page of choices tells the visitor where to ask"
    if owned.declared:
        return "`consent explain` tells what the gate sees; mark what it cannot see with data-consent"
    if owned.known:
        return f"It is a built-in service: add [services.{owned.keys[0]}]"
    return "Declare it in a service; --propose writes a draft"


def _leak(
    code: str,
    subject: str,
    what: str,
    remedy: str,
    page: str,
    *,
    state: State | None = None,
    service: str = "",
    example: str = "",
    initiator: str = "",
) -> Leak:
    return Leak(
        code=code,
        subject=subject,
        service=service,
        what=what,
        remedy=remedy,
        states=(state,) if state else (),
        pages=(page,),
        example=example,
        initiator=initiator,
    )
