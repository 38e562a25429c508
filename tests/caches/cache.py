"""Stand between visitors and an app as caches do, and keep whatever the rules let them keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime

Ask = Callable[["Request"], "Response"]


@dataclass(frozen=True)
class Request:
    """Hold a request for one path; header names are in lower case."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """Hold an answer; `hits` names the caches whose stored body it is."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    hits: tuple[str, ...] = ()

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        """Return the values of a header as one, empty without any."""
        return ", ".join(self.all(name))


@dataclass(frozen=True)
class Stored:
    """Hold what a cache kept: for which headers, since when."""

    asked: Mapping[str, str]
    answer: Response
    at: float


def directives(value: str) -> dict[str, str]:
    """Return the directives of a `Cache-Control`."""
    pairs = [part.strip().partition("=") for part in value.lower().split(",") if part.strip()]
    return {name.strip(): argument.strip(' "') for name, _, argument in pairs}


class Cache:
    """Keep answers as RFC 9111 lets a cache, which is more than most caches keep.

    A `private` cache is a browser's. One that `ignores_vary` serves what it kept for one request to any other for the
    same path, as some content networks do. Cookies in an answer do not keep it from being stored: the RFC lets them.
    """

    def __init__(
        self,
        origin: Ask,
        *,
        clock: Callable[[], float],
        name: str = "shared",
        private: bool = False,
        ignores_vary: bool = False,
    ) -> None:
        self._origin = origin
        self._clock = clock
        self._name = name
        self._private = private
        self._ignores_vary = ignores_vary
        self.stored: dict[str, list[Stored]] = {}

    def __call__(self, request: Request) -> Response:
        """Answer from what is kept, else ask on."""
        if request.method != "GET":
            return self._origin(request)
        kept = self._matching(request)
        reload = self._private and "no-cache" in directives(request.headers.get("cache-control", ""))
        if kept is not None and self._fresh(kept) and not reload:
            return self._confirmed(request, kept)
        if kept is not None and (conditions := self._conditions(kept)):
            own = {"if-none-match", "if-modified-since"}
            headers = {name: value for name, value in request.headers.items() if name not in own}
            answer = self._origin(replace(request, headers=headers | conditions))
            if answer.status != 304:
                self._keep(request, answer)
                return answer
            return self._confirmed(request, self._refreshed(request, kept, answer))
        answer = self._origin(request)
        self._keep(request, answer)
        return answer

    # -- what is kept

    def _keep(self, request: Request, answer: Response) -> None:
        said, conditional = self._said(answer), {"range", "if-none-match", "if-modified-since"} & request.headers.keys()
        if answer.status not in (200, 301, 404, 410) or "no-store" in said or answer.get("vary").strip() == "*":
            self._drop(request)
            return
        if not self._private and "private" in said:
            self._drop(request)
            return
        if conditional and answer.status != 200:
            return
        entry = Stored(request.headers, replace(answer, hits=()), self._clock())
        others = [one for one in self.stored.get(request.path, []) if not self._fits(request, one)]
        self.stored[request.path] = [*others, entry]

    def _drop(self, request: Request) -> None:
        self.stored[request.path] = [one for one in self.stored.get(request.path, []) if not self._fits(request, one)]

    def _refreshed(self, request: Request, kept: Stored, answer: Response) -> Stored:
        """Freshen a stored answer by a 304, whose headers replace the stored ones (RFC 9111 §4.3.4)."""
        names = {name for name, _ in answer.headers}
        headers = (*(pair for pair in kept.answer.headers if pair[0] not in names), *answer.headers)
        fresh = Stored(kept.asked, replace(kept.answer, headers=headers), self._clock())
        self.stored[request.path] = [one for one in self.stored[request.path] if one is not kept]
        said = self._said(fresh.answer)
        if "no-store" not in said and (self._private or "private" not in said):
            self.stored[request.path].append(fresh)
        return fresh

    # -- what fits

    def _matching(self, request: Request) -> Stored | None:
        return next((one for one in reversed(self.stored.get(request.path, [])) if self._fits(request, one)), None)

    def _fits(self, request: Request, kept: Stored) -> bool:
        if self._ignores_vary:
            return True
        names = [name.strip().lower() for name in kept.answer.get("vary").split(",") if name.strip()]
        return all(request.headers.get(name) == kept.asked.get(name) for name in names)

    def _said(self, answer: Response) -> dict[str, str]:
        targeted = "" if self._private else answer.get("cdn-cache-control")
        return directives(targeted or answer.get("cache-control"))

    def _fresh(self, kept: Stored) -> bool:
        said, age = self._said(kept.answer), self._clock() - kept.at
        if "no-cache" in said:
            return False
        for name in ("max-age",) if self._private else ("s-maxage", "max-age"):
            if name in said:
                return age < int(said[name])
        if dated := kept.answer.get("last-modified"):
            return age < 0.1 * max(0.0, kept.at - parsedate_to_datetime(dated).timestamp())
        return False

    # -- conditions

    @staticmethod
    def _conditions(kept: Stored) -> dict[str, str]:
        tag, dated = kept.answer.get("etag"), kept.answer.get("last-modified")
        return ({"if-none-match": tag} if tag else {}) | ({"if-modified-since": dated} if dated else {})

    def _confirmed(self, request: Request, kept: Stored) -> Response:
        """Answer with what is kept, or with 304 to somebody who has it (RFC 9110 §13.2.2)."""
        tags = request.headers.get("if-none-match")
        if tags is not None:
            known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
            same = tags == "*" or kept.answer.get("etag").removeprefix("W/") in known
        else:
            since, dated = request.headers.get("if-modified-since"), kept.answer.get("last-modified")
            same = bool(since and dated) and parsedate_to_datetime(dated) <= parsedate_to_datetime(since or "")
        hits = (*kept.answer.hits, self._name)
        if same and kept.answer.status == 200:
            return replace(kept.answer, status=304, body=b"", hits=hits)
        return replace(kept.answer, hits=hits)
