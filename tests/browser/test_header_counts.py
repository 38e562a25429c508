"""Count in Chromium, over TLS, what each response header asks: before a choice, after it, withdrawn, and without us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright
from starlette.types import Receive, Scope, Send

from consent import ConsentMiddleware
from consent.testing import site
from tests.browser.chromium import FLAGS, find_chromium
from tests.gate.listener import Listener, pin

pytestmark = pytest.mark.browser

Serve = Callable[..., int]
REQUEST, CONNECTION, LOOKUP, NEVER = "/x", "(connect)", "(lookup)", ""
"""What a browser does: ask for an address, open a connection and ask nothing, look a name up, or none of it."""
BODY = b"<!doctype html><html lang=en><title>t</title><img src=/none.png><script src=/none.png></script>"
"""Meets the policies below with what they deny."""
GROUP = '{"group":"a","max_age":9999,"endpoints":[{"url":"{}/x"}]}'
DENY = "img-src 'none'; "


@dataclass(frozen=True)
class Case:
    """Hold headers, with `{}` for the tracker's address, and what Chromium does about them; or what is on the page."""

    does: str
    headers: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    markup: str = ""


CASES = {
    "link-preload": Case(REQUEST, (("link", "<{}/x>; rel=preload; as=image"),)),
    "link-modulepreload": Case(REQUEST, (("link", "<{}/x>; rel=modulepreload"),)),
    "link-prefetch": Case(REQUEST, (("link", "<{}/x>; rel=prefetch"),)),
    "link-dictionary": Case(REQUEST, (("link", "<{}/x>; rel=compression-dictionary; crossorigin"),)),
    "link-preconnect": Case(CONNECTION, (("link", "<{}>; rel=preconnect"),)),
    "link-dns-prefetch": Case(LOOKUP, (("link", "<{}>; rel=dns-prefetch"),)),
    # Firefox loads style sheets so; nobody was seen to load the others.
    "link-stylesheet": Case(NEVER, (("link", "<{}/x>; rel=stylesheet"),)),
    "link-icon": Case(NEVER, (("link", "<{}/x>; rel=icon"),)),
    "link-manifest": Case(NEVER, (("link", "<{}/x>; rel=manifest"),)),
    "hint-preload": Case(REQUEST, hint="<{}/x>; rel=preload; as=image"),
    "hint-preconnect": Case(CONNECTION, hint="<{}>; rel=preconnect"),
    "refresh": Case(REQUEST, (("refresh", "0; url={}/x"),)),
    "reporting-endpoints": Case(
        REQUEST, (("reporting-endpoints", 'a="{}/x"'), ("content-security-policy", DENY + "report-to a"))
    ),
    "report-to": Case(REQUEST, (("report-to", GROUP), ("content-security-policy", DENY + "report-to a"))),
    "nel": Case(
        REQUEST,
        (("report-to", GROUP), ("nel", '{"report_to":"a","max_age":9999,"success_fraction":1.0}')),
    ),
    "report-uri": Case(REQUEST, (("content-security-policy", DENY + "report-uri {}/x"),)),
    "report-only": Case(REQUEST, (("content-security-policy-report-only", DENY + "report-uri {}/x"),)),
    "integrity-policy": Case(
        REQUEST,
        (("reporting-endpoints", 'c="{}/x"'), ("integrity-policy", "blocked-destinations=(script), endpoints=(c)")),
    ),
    "speculation-rules": Case(REQUEST, (("speculation-rules", '"{}/x"'),)),
    "own-rules": Case(REQUEST, (("speculation-rules", '"/rules/own-rules"'),)),
    "rules": Case(
        REQUEST,
        markup='<script type=speculationrules>{"prefetch":[{"urls":["{}/x"],"eagerness":"immediate"}]}</script>',
    ),
    "rules-over-links": Case(
        REQUEST,
        markup="<a href={}/x>x</a><script type=speculationrules>"
        '{"prefetch":[{"source":"document","eagerness":"immediate"}]}</script>',
    ),
    "element-preconnect": Case(CONNECTION, markup="<link rel=preconnect href='{}'>"),
    "element-dns-prefetch": Case(LOOKUP, markup="<link rel=dns-prefetch href='{}'>"),
}
"""What is seen of nothing but an own profile, over TLS."""
COOKIES = (
    *("_st=1; Path=/", "_st_x = 2 ;path=/;;", '_st_q="a b"; Path="/"', "_st_e=", "=_st_n=5", "_st_d; Path=/"),
    *("_st_u=1; PATH=/; Expires=Thu, 01-Jan-2037 00:00:00 GMT; Unknown=x", "sid=4; Path=/; HttpOnly"),
)
RULES = '{"prefetch":[{"urls":["{}/x"],"eagerness":"immediate"}]}'


def _address(name: str) -> str:
    # Names below localhost are looked up by nobody else.
    return f"https://{name}.{'localhost' if CASES[name].does is LOOKUP else 'tracker.test'}"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers of the case that the path names."""
    if scope["type"] != "http":
        return
    path = scope["path"].removeprefix("/")
    name = path.removeprefix("rules/")
    case = CASES.get(name, Case(NEVER))
    kind, status, body = b"text/html", 200 if name in (*CASES, "cookies") else 404, BODY
    headers = [(field.encode(), value.replace("{}", _address(name)).encode()) for field, value in case.headers]
    if path != name:
        kind, headers, body = b"application/speculationrules+json", [], RULES.replace("{}", _address(name)).encode()
    elif case.markup:
        body += case.markup.replace("{}", _address(name)).encode()
    if case.hint:
        await send({"type": "http.response.early_hint", "links": [case.hint.replace("{}", _address(name)).encode()]})
        await asyncio.sleep(1)
    if name == "cookies":
        headers += [(b"set-cookie", cookie.encode()) for cookie in COOKIES]
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *headers]})
    await send({"type": "http.response.body", "body": body if status == 200 else b""})


class Profile:
    """Hold a browser with a profile of its own: only there a browser connects and looks names up ahead."""

    def __init__(self, context: BrowserContext, origin: str, listener: Listener) -> None:
        self.context = context
        self._origin = origin
        self._listener = listener

    def answer(self, choice: str) -> None:
        """Press a button of the page of choices."""
        page = self.context.new_page()
        page.goto(f"{self._origin}/privacy/choices")
        with page.expect_response(lambda response: response.request.method == "POST"):
            page.click(f'button[value="{choice}"]')
        page.wait_for_load_state("load")
        page.close()

    def visit_until(self, expected: dict[str, set[str]]) -> None:
        """Open every page, and again those whose answer on a busy machine came before the browser heeded a hint."""
        self.visit_all()
        for _ in range(5):
            did: dict[str, set[str]] = {}
            for host, path in self._listener.asked:
                did.setdefault(host.partition(".")[0], set()).add(path)
            missing = [name for name, paths in expected.items() if not paths <= did.get(name, set())]
            if not missing:
                return
            self.visit_all(missing)

    def visit_all(self, names: Iterable[str] = (*CASES, "cookies")) -> None:
        """Open every page, and give reports the time they take."""
        for name in names:
            page = self.context.new_page()
            page.goto(f"{self._origin}/{name}", wait_until="load")
            page.wait_for_timeout(300)
            page.close()
        page = self.context.new_page()
        page.wait_for_timeout(3000)
        page.close()

    @property
    def cookies(self) -> set[tuple[str, str]]:
        """Return the cookies that are not of this package."""
        stored = self.context.cookies(self._origin)
        return {(one["name"], one["value"]) for one in stored if not one["name"].startswith("__Host-consent")}

    def asked(self) -> dict[str, set[str]]:
        """Return what each case did since the last call, but for pictures of the tracker's own."""
        found: dict[str, set[str]] = {}
        for host, path in sorted(self._listener.asked):
            if path != "/favicon.ico":
                found.setdefault(host.partition(".")[0], set()).add(path)
        self._listener.asked.clear()
        return found


@contextmanager
def profile(listener: Listener, port: int, folder: Path) -> Iterator[Profile]:
    """Start a browser for which the site and the tracker are on loopback, under a certificate that it trusts."""
    arguments = [
        *FLAGS,
        f"--host-resolver-rules=MAP site.test 127.0.0.1:{port}, MAP *.tracker.test 127.0.0.1:{listener.port}",
        f"--ignore-certificate-errors-spki-list={pin(listener.certificate)}",
        "--short-reporting-delay",
        f"--log-net-log={folder}.json",
    ]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=find_chromium(), args=arguments, locale="en-IE"
        )
        yield Profile(context, "https://site.test", listener)
        context.close()


def looked_up(folder: Path) -> set[str]:
    """Return the cases whose names a closed browser has looked up."""
    log = Path(f"{folder}.json").read_text(encoding="utf-8", errors="replace")
    return {name for name, case in CASES.items() if case.does is LOOKUP and f'"host":"{_address(name)}"' in log}


def test_every_header_before_after_and_without_us(serve: Serve, tmp_path: Path) -> None:
    """Nothing is asked, connected to, looked up or stored before a choice and once it is withdrawn; after it all is."""
    listener = Listener(lambda host, path: ("text/css", b""), tmp_path)
    service = {
        **{"title": "Stats", "provider": "Stats Ltd", "purpose": "analytics", "hosts": ["tracker.test", "localhost"]},
        "cookies": [{"name": "_st", "lifetime": "P1D"}, {"name": "_st_*", "lifetime": "P1D"}],
    }
    made = site(services={"stats": service}, undeclared="report", origins=("https://site.test",))
    bare = serve(app, certificate=listener.certificate)
    guarded = serve(ConsentMiddleware(app, site=made), certificate=listener.certificate)
    of = {does: {name for name, case in CASES.items() if case.does is does} for does in (REQUEST, CONNECTION, LOOKUP)}

    with profile(listener, bare, tmp_path / "bare") as without_us:
        without_us.visit_until({name: {case.does} for name, case in CASES.items() if case.does not in (LOOKUP, NEVER)})
        expected, stored = without_us.asked(), without_us.cookies
    assert {name for name, paths in expected.items() if REQUEST in paths} == of[REQUEST]
    assert {name for name, paths in expected.items() if paths == {CONNECTION}} == of[CONNECTION]
    assert looked_up(tmp_path / "bare") == of[LOOKUP]
    assert {name for name, _ in stored} == {"_st", "_st_x", "_st_q", "_st_e", "", "_st_u", "sid"}

    with profile(listener, guarded, tmp_path / "before") as visitor:
        visitor.visit_all()
        assert visitor.asked() == {}
        assert visitor.cookies == {("sid", "4")}
    assert looked_up(tmp_path / "before") == set()

    with profile(listener, guarded, tmp_path / "after") as visitor:
        visitor.answer("accept_all")
        visitor.visit_until(expected)
        assert visitor.asked() == expected
        assert visitor.cookies == stored
        visitor.answer("withdraw")
        visitor.visit_all()
        visitor.asked()
        visitor.visit_all()
        assert visitor.asked() == {}
        # A cookie without a name comes back like the name of another, and no deletion by that name reaches it.
        assert visitor.cookies == {("sid", "4"), ("", "_st_d")}
    assert looked_up(tmp_path / "after") == of[LOOKUP]
    listener.close()
