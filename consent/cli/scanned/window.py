"""Open pages in a fresh profile of the browser, and write down what they ask for and keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, Error, Frame, Locator, Page, Request, TimeoutError

from consent.cli.scanned.browser import first_line
from consent.cli.scanned.observed import Asked, Kept, Stored

LONGEST_ADDRESS = 500
LONGEST_NAME = 200
LOAD_SECONDS = 10.0
"""How long a page is waited for that has come and is not complete: some never are."""
MOST_SCREENS = 60
"""How far down a page is scrolled: some never end."""
MOST_REQUESTS = 5000
"""How many requests of one visit are written down."""
FIRST_ERROR = 400
_WEB = ("http:", "https:", "ws:", "wss:")
_DENIED = ("csp", "ERR_BLOCKED_BY_CSP")
_SIGNAL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true, configurable: true })"
_SCROLL = """() => {
  scrollBy({ top: innerHeight || 600, behavior: 'instant' });
  return scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
}"""
_STORAGE = """async () => {
  const found = [];
  for (const kind of ['localStorage', 'sessionStorage']) {
    try { for (const key of Object.keys(window[kind])) found.push([kind, key]); } catch { /* not for this frame */ }
  }
  try { for (const one of await indexedDB.databases()) found.push(['IndexedDB', one.name]); } catch { /* neither */ }
  try { for (const name of await caches.keys()) found.push(['Cache', name]); } catch { /* neither */ }
  try {
    for (const one of await navigator.serviceWorker.getRegistrations()) {
      const worker = one.active || one.waiting || one.installing;
      if (worker) found.push(['service worker', new URL(worker.scriptURL).pathname]);
    }
  } catch { /* neither */ }
  return [self.origin, found];
}"""
_LINKS = "() => [...document.links].filter((link) => !link.download).map((link) => link.href)"


class VisitError(Exception):
    """Say in one line why a page could not be visited, or an answer not be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Say how long is waited, in seconds: for a page to answer, and for what it loads afterwards."""

    timeout: float
    settle: float


class Window:
    """Hold one page in a profile of its own; use it as a context, so that the profile is gone afterwards."""

    def __init__(self, browser: Browser, *, patience: Patience, signal: bool = False) -> None:
        self._patience = patience
        self._context = browser.new_context(
            viewport={"width": 1280, "height": 900}, extra_http_headers={"Sec-GPC": "1"} if signal else {}
        )
        self._context.set_default_timeout(patience.timeout * 1000)
        if signal:
            self._context.add_init_script(_SIGNAL)
        self._requests: dict[Request, None] = {}
        self._sockets: list[str] = []
        self._denied: set[Request] = set()
        self._pending: set[Request] = set()
        self._initiators: dict[str, list[str]] = {}
        self._context.on("request", self._requested)
        self._context.on("requestfinished", self._finished)
        self._context.on("requestfailed", self._failed)
        self._page = self._context.new_page()
        self._page.on("websocket", lambda socket: self._sockets.append(socket.url))
        self._context.on("page", _shut)
        session = self._context.new_cdp_session(self._page)
        session.on("Network.requestWillBeSent", self._sent)
        session.send("Network.enable")

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Error):
            self._context.close()

    # -- what happens

    def _requested(self, request: Request) -> None:
        if request.url.startswith(_WEB) and len(self._requests) < MOST_REQUESTS:
            self._requests[request] = None
            self._pending.add(request)

    def _finished(self, request: Request) -> None:
        self._pending.discard(request)

    def _failed(self, request: Request) -> None:
        self._pending.discard(request)
        if request.failure and request.failure.endswith(_DENIED):
            self._denied.add(request)

    def _sent(self, event: dict[str, Any]) -> None:
        initiator, url = event.get("initiator", {}), event.get("request", {}).get("url", "")
        frames = initiator.get("stack", {}).get("callFrames") or [{}]
        place = initiator.get("url") or frames[0].get("url", "")
        line = initiator.get("lineNumber", frames[0].get("lineNumber"))
        number = f", line {int(line) + 1}" if place and line is not None else ""
        self._initiators.setdefault(url, []).append(place[:LONGEST_ADDRESS] + number)

    # -- what is done

    def open(self, address: str) -> None:
        """Go to a page, wait, and scroll down once, so that it loads what waits for that.

        Raises VisitError where it does not answer, answers with an error, or sends the visitor to another site.
        """
        try:
            response = self._page.goto(address, wait_until="domcontentloaded")
        except TimeoutError:
            raise VisitError(f"did not answer within {self._patience.timeout:g} seconds") from None
        except Error as error:
            raise VisitError(f"cannot be visited: {first_line(error).partition(' at ')[0]}") from None
        if response is not None and response.status >= FIRST_ERROR:
            raise VisitError(f"answered {response.status} {response.status_text}".strip())
        there = urlsplit(self._page.url)
        if there.hostname != urlsplit(address).hostname:
            raise VisitError(f"leads to another site, {there.scheme}://{there.netloc}: scan that one")
        self.settle()

    def settle(self) -> None:
        """Wait as long as was asked for, and as long again at most for what is still on its way."""
        settle = self._patience.settle
        with suppress(Error):
            self._page.wait_for_load_state("load", timeout=min(self._patience.timeout, LOAD_SECONDS) * 1000)
        with suppress(Error):
            for _ in range(MOST_SCREENS):
                if self._page.evaluate(_SCROLL):
                    break
                self._page.wait_for_timeout(40)
        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < settle or (self._pending and spent < 2 * settle):
            self._page.wait_for_timeout(50)

    def forget(self) -> None:
        """Write down requests from here on."""
        self._requests.clear()
        self._sockets.clear()
        self._initiators.clear()

    def button(self, value: str) -> Locator | None:
        """Return the button of a form of ours that gives an answer, None where it is not shown."""
        found = self._page.locator(f'form[method="post"] button[name="choice"][value="{value}"]')
        with suppress(Error):
            return next((one for one in found.all() if one.is_visible()), None)
        return None

    def target(self, button: Locator) -> str:
        """Return the address that a button sends its form to."""
        return urljoin(self._page.url, str(button.evaluate("(one) => one.form.getAttribute('action')")))

    def press(self, button: Locator) -> None:
        """Give an answer, counting requests from then on. Raises VisitError where the site does not take it."""
        self.forget()
        try:
            with self._page.expect_response(lambda response: response.request.method == "POST") as answered:
                button.click()
            status = answered.value.status
        except Error as error:
            raise VisitError(f"the button does nothing: {first_line(error)}") from None
        if status >= FIRST_ERROR:
            raise VisitError(f"the site answered {status} to the choice")
        self.settle()

    # -- what there is

    def asked(self) -> tuple[Asked, ...]:
        """Return the requests that were written down, in order."""
        # The same address asked for several times has several initiators, in the same order.
        told = {url: iter(initiators) for url, initiators in self._initiators.items()}
        listed = [
            Asked(
                url=request.url[:LONGEST_ADDRESS],
                kind=_kind(request),
                initiator=next(told.get(request.url, iter(())), "") or _frame(request),
                denied=request in self._denied,
            )
            for request in self._requests
        ]
        sockets = [Asked(url=url[:LONGEST_ADDRESS], kind="websocket", initiator="") for url in self._sockets]
        return (*listed, *sockets)

    def cookies(self) -> tuple[Kept, ...]:
        """Return all cookies of the profile, without their values."""
        now = time.time()
        kept = [
            Kept(
                name=_text(cookie.get("name", "")),
                domain=cookie.get("domain", ""),
                path=cookie.get("path", "/"),
                lifetime=round(cookie["expires"] - now) if cookie.get("expires", -1) >= 0 else None,
                http_only=bool(cookie.get("httpOnly")),
            )
            for cookie in self._context.cookies()
        ]
        return tuple(sorted(kept, key=lambda one: (one.domain, one.name, one.path)))

    def stored(self) -> tuple[Stored, ...]:
        """Return the keys that the page and its frames keep in the browser."""
        found: set[tuple[str, str, str]] = set()
        for frame in self._page.frames:
            with suppress(Error):
                origin, pairs = frame.evaluate(_STORAGE)
                found.update((origin, kind, _text(name)) for kind, name in pairs)
        return tuple(Stored(kind=kind, name=name, origin=origin) for origin, kind, name in sorted(found))

    def links(self) -> tuple[str, ...]:
        """Return where the links of the page lead, each once."""
        with suppress(Error):
            return tuple(dict.fromkeys(self._page.evaluate(_LINKS)))
        return ()


def _shut(page: Page) -> None:
    """Close a page that was opened by another: nobody is followed there."""
    with suppress(Error):
        page.close()


def _text(name: object) -> str:
    """Return a name that a site chose, cut, and without what UTF-8 cannot carry."""
    return str(name)[:LONGEST_NAME].encode("utf-8", "replace").decode()


def _kind(request: Request) -> str:
    frame = _of(request, lambda: request.frame)
    inner = isinstance(frame, Frame) and frame.parent_frame is not None
    return "frame" if request.resource_type == "document" and inner else request.resource_type


def _frame(request: Request) -> str:
    before = request.redirected_from
    if before is not None:
        return f"redirect from {before.url[:LONGEST_ADDRESS]}"
    frame = _of(request, lambda: request.frame)
    return frame.url[:LONGEST_ADDRESS] if isinstance(frame, Frame) and not request.is_navigation_request() else ""


def _of(request: Request, read: Callable[[], Frame]) -> Frame | None:
    """Return the frame of a request; a service worker's has none."""
    try:
        return read()
    except Error:
        return None
