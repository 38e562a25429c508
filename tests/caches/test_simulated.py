"""Let visitors come and go behind caches of every kind: nobody ever gets a page with what somebody else said in it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent import ConsentMiddleware, testing
from consent.site import Site
from tests.caches.cache import Cache, Request, Response
from tests.conftest import ORIGIN, SERVICES

DATE = "Fri, 01 Jan 2027 10:00:00 GMT"
DAY = 86400
FRESH = 60
"""Seconds that the app lets caches keep its pages for."""
POLICY = """+++
title = "Privacy"
effective = {effective}
material = true
summary = "What is new."
+++

# Privacy

Text of version {version}.
"""
HOSTS = {
    "reader-stats": "stats.meridian-metrics.example",
    "lantern-ads": "ads.lantern.example",
    "lantern-video": "player.lantern.example",
}
EMBEDS = "".join(f'<script src="https://{host}/x.js"></script>' for host in HOSTS.values())
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "/en": (' lang="en"', {"cache-control": f"public, max-age={FRESH}"}),
    "/uk": (' lang="uk"', {"cache-control": f"s-maxage={FRESH}, max-age=5", "vary": "Accept-Encoding"}),
    "/no-language": ("", {"cache-control": f"public, max-age={FRESH}"}),
    "/dated": (' lang="en"', {"last-modified": DATE}),
    "/targeted": (' lang="en"', {"cache-control": "private, max-age=5", "cdn-cache-control": f"max-age={FRESH}"}),
    "/statistics": (' lang="en"', {"cache-control": f"public, max-age={FRESH}", "set-cookie": "_rs=1"}),
    "/session": (' lang="en"', {"cache-control": f"public, max-age={FRESH}", "set-cookie": "session=1"}),
    "/account": (' lang="en"', {"cache-control": "private, max-age=5"}),
    "/asks": (' lang="en"', {"cache-control": f"public, max-age={FRESH}"}),
}
OWN = {"/session", "/account", "/asks"}
"""What is its visitor's own in either mode."""
WHO = re.compile(r"who=(\w+)")
LIVE = re.compile(r'<script src="https://([^/"]+)')


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the pages as a site does that knows about caches and nothing about consent, but for one page."""
    path, sent = scope["path"], {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    language, own = PAGES[path]
    headers = {"content-type": "text/html; charset=utf-8", "last-modified": DATE} | own
    if path != "/dated":
        headers["etag"] = f'"{path[1:]}"'
    body = f"<!doctype html><html{language}><body><p>{path}</p>{EMBEDS}"
    if path == "/account":
        body += f"<p>Hello {WHO.findall(sent.get('cookie', ''))}"
    if path == "/asks":
        body += f"<p>analytics: {scope['state']['consent'].allows('analytics')}"
    tags = sent.get("if-none-match")
    known = headers.get("etag") in tags.split(", ") if tags is not None else sent.get("if-modified-since") == DATE
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if not known or name != "content-type"]
    await send({"type": "http.response.start", "status": 304 if known else 200, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if known else body.encode()})


def asked(served: ASGIApp) -> Any:
    """Return a function that asks an app as the last cache before it does."""

    def ask(request: Request) -> Response:
        sent: list[Message] = []
        incoming: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]

        async def receive() -> Message:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        path, _, query = request.path.partition("?")
        headers = {"host": "meridian.example"} | dict(request.headers)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https",
            "path": path,
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        asyncio.run(served(scope, receive, send))  # type: ignore[arg-type]
        start = next(message for message in sent if message["type"] == "http.response.start")
        body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        pairs = tuple((name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"])
        return Response(start["status"], pairs, body)

    return ask


class Visitor:
    """Browse with a cookie jar, a cache of one's own, a language and perhaps a signal."""

    def __init__(self, name: str, *, network: Any, direct: Any, clock: testing.Clock, language: str, gpc: bool) -> None:
        self.headers = {"accept-language": language} | ({"sec-gpc": "1"} if gpc else {})
        self.cookies = {"who": name}
        self.direct = direct
        self.cache = Cache(network, clock=clock, name="own", private=True)

    def _sent(self, **more: str) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return self.headers | {"cookie": cookies} | {name.replace("_", "-"): value for name, value in more.items()}

    def _taken(self, response: Response) -> Response:
        for value in response.all("set-cookie"):
            name, _, rest = value.partition("=")
            if "Expires=Thu, 01 Jan 1970" in rest:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = rest.partition(";")[0]
        return response

    def visit(self, path: str, **more: str) -> Response:
        """Navigate to a page."""
        sent = self._sent(accept="text/html,*/*;q=0.8", sec_fetch_dest="document") | {
            name.replace("_", "-"): value for name, value in more.items()
        }
        return self._taken(self.cache(Request(path, sent)))

    def state(self) -> dict[str, Any]:
        """Ask the server, past every cache, what holds for this visitor."""
        answer: dict[str, Any] = json.loads(self.direct(Request("/privacy/state", self._sent(accept="*/*"))).body)
        return answer

    def choose(self, **form: str) -> Response:
        """Answer as a form does."""
        body = urlencode(form | {"notice": self.state()["notice"]}).encode()
        sent = self._sent(content_type="application/x-www-form-urlencoded", sec_fetch_site="same-origin")
        response = self._taken(self.cache(Request("/privacy/choices", sent, "POST", body)))
        assert response.status in (200, 303), response
        return response


class Visits(RuleBasedStateMachine):
    """Two visitors, one shared cache, a clock, a change of policy, and pages kept from before the middleware."""

    mode = "private"
    ignores_vary = False

    @initialize(languages=st.tuples(*[st.sampled_from(["en", "uk"])] * 2), gpc=st.booleans(), early=st.booleans())
    def build(self, languages: tuple[str, str], gpc: bool, early: bool) -> None:
        """Open the site, and fill the caches with pages from before it had consent."""
        self.folder = TemporaryDirectory()
        policies = Path(self.folder.name) / "policies"
        (policies / "privacy").mkdir(parents=True)
        for version, effective in (("1", "2026-12-01"), ("2", "2027-01-17")):
            for language in ("en", "uk"):
                text = POLICY.format(version=version, effective=effective)
                (policies / "privacy" / f"{version}.{language}.md").write_text(text)
        self.clock = testing.Clock()
        self.site: Site = testing.site(
            clock=self.clock,
            cache=self.mode,
            site_name="The Meridian",
            origins=(ORIGIN,),
            languages=("en", "uk"),
            services=SERVICES,
            policies_dir=policies,
        )
        self.installed = True
        self.served = asked(ConsentMiddleware(app, site=self.site))
        bare = asked(app)
        network = Cache(lambda request: self.origin(request), clock=self.clock, ignores_vary=self.ignores_vary)
        self.network, self.origin = network, bare
        self.visitors = [
            Visitor(name, network=network, direct=self.served, clock=self.clock, language=language, gpc=gpc and n == 0)
            for n, (name, language) in enumerate(zip(("ada", "bo"), languages, strict=True))
        ]
        if early:
            for path in PAGES.keys() - {"/asks", "/account", "/dated"}:
                self.visitors[0].visit(path)
        self.clock.advance(2 * FRESH)
        self.origin = self.served
        self.everybodys: dict[str, list[bytes]] = {}
        self.changed_at = self.clock.now
        self._look()

    def _look(self) -> None:
        """Remember what nobody gets, whenever that may have changed."""
        for path in PAGES.keys() - OWN:
            page = self.served(Request(path, {"accept": "text/html", "sec-fetch-dest": "document"})).body
            seen = self.everybodys.setdefault(path, [page])
            if seen[-1] != page:
                seen.append(page)
                self.changed_at = self.clock.now

    @rule(who=st.integers(0, 1), path=st.sampled_from(sorted(PAGES)), reload=st.booleans())
    def visit(self, who: int, path: str, reload: bool) -> None:
        """Look at a page, and find in it what oneself has said, or nothing of anybody's."""
        visitor = self.visitors[who]
        state, name = visitor.state(), visitor.cookies["who"]
        once = any(cookie.endswith("consent-once") for cookie in visitor.cookies)
        stored = set(visitor.cookies)
        answer = visitor.visit(path, **({"cache_control": "no-cache"} if reload else {}))
        assert answer.status == 200, answer
        page = answer.body.decode()
        if "shared" in answer.hits:
            assert not answer.all("set-cookie"), "a cookie came out of a shared cache"
        assert "_rs" not in visitor.cookies or "reader-stats" in state["allowed"] or "_rs" in stored
        if path == "/account":
            assert f"Hello ['{name}']" in page
        if self.mode == "shared" and path not in OWN and answer.body in self.everybodys[path]:
            current = self.clock.now - self.changed_at < FRESH
            assert answer.body in self.everybodys[path][-2 if current else -1 :]
            return
        # Whatever is not everybody's is this visitor's own, as in private mode, and comes out of no shared cache.
        assert "shared" not in answer.hits
        live = {key for key, host in HOSTS.items() if host in LIVE.findall(page)}
        opened = live - set(state["allowed"])
        assert set(state["allowed"]) & HOSTS.keys() <= live
        assert opened <= ({"lantern-video"} if once else set())
        assert ('id="cst"' in page) is not state["answered"]
        assert f'data-status="{state["status"]}"' in page
        if path == "/asks":
            assert f"analytics: {'analytics' in state['allowed']}" in page
        if "uk" in path or path == "/no-language":
            language = "uk" if path == "/uk" else visitor.headers["accept-language"]
            assert re.findall(r'class="cst-link"[^>]* lang="(\w+)"', page) == [language]

    @rule(who=st.integers(0, 1), path=st.sampled_from(sorted(PAGES)))
    def frame(self, who: int, path: str) -> None:
        """Be shown a page in a frame of another site."""
        sent = {"sec_fetch_dest": "iframe", "sec_fetch_site": "cross-site"}
        assert self.visitors[who].visit(path, **sent).status == 200

    @rule(who=st.integers(0, 1), choice=st.sampled_from(["accept_all", "reject_all", "withdraw"]))
    def choose(self, who: int, choice: str) -> None:
        """Answer, or take back."""
        self.visitors[who].choose(choice=choice)

    @rule(who=st.integers(0, 1), key=st.sampled_from(["reader-stats", "lantern-video"]))
    def choose_one(self, who: int, key: str) -> None:
        """Agree to one service."""
        self.visitors[who].choose(choice="save", service=key)

    @rule(who=st.integers(0, 1), path=st.sampled_from(["/en", "/uk", "/account"]))
    def load_once(self, who: int, path: str) -> None:
        """Ask for one video on one page, and go there."""
        self.visitors[who].choose(choice="once", service="lantern-video", next=path)
        self.visit(who, path, False)
        self.visitors[who].cookies.pop("__Host-consent-once", None)

    @rule(who=st.integers(0, 1))
    def turn_the_signal(self, who: int) -> None:
        """Switch the opt-out preference signal."""
        headers = self.visitors[who].headers
        if headers.pop("sec-gpc", None) is None:
            headers["sec-gpc"] = "1"

    @rule(seconds=st.sampled_from([1, 10, FRESH + 1, DAY, 2 * DAY, 200 * DAY]))
    def wait(self, seconds: int) -> None:
        """Let pages go stale, a new policy come into force, and choices end."""
        self.clock.advance(seconds)
        self._look()

    @invariant()
    def nothing_of_a_visitor_is_kept(self) -> None:
        """Look into the shared cache: it holds what nobody gets, and pages from before, and nothing else."""
        if not hasattr(self, "everybodys"):
            return
        for path, entries in self.network.stored.items():
            for entry in entries:
                early = entry.at <= testing.EPOCH
                assert early or entry.answer.body in self.everybodys.get(path, []), (path, entry)
                assert early or self.mode == "shared", "a page was kept in private mode"

    def teardown(self) -> None:
        """Close the site."""
        if hasattr(self, "site"):
            self.site.close()
            self.folder.cleanup()


def run(mode: str, *, ignores_vary: bool, histories: int, steps: int) -> None:
    """Try many histories in one mode behind one kind of cache."""
    run_state_machine_as_test(
        type("Visits", (Visits,), {"mode": mode, "ignores_vary": ignores_vary}),
        # To find the shortest history takes minutes: every step of every try serves pages.
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


BEHIND = pytest.mark.parametrize("ignores_vary", [False, True], ids=["honours everything", "ignores Vary"])
MODES = pytest.mark.parametrize("mode", ["private", "shared"])


@MODES
@BEHIND
def test_no_state_in_anybody_elses_page(mode: str, ignores_vary: bool) -> None:
    """After any visits, answers and waits, pages hold what their own visitor said, and caches what nobody said."""
    run(mode, ignores_vary=ignores_vary, histories=15, steps=25)


@pytest.mark.long
@MODES
@BEHIND
def test_no_state_in_anybody_elses_page_for_long(mode: str, ignores_vary: bool) -> None:
    """The same over many more histories."""
    run(mode, ignores_vary=ignores_vary, histories=150, steps=40)
