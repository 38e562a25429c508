"""Visit a page as on a phone, with a slow processor and a slow network, and measure what it costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from bench.served import WAYS, Way
from tests.browser.chromium import FLAGS

ARGUMENTS = (*FLAGS, "--disable-blink-features=AutomationControlled")
"""How the browser is started: as for the tests, and not saying that a program drives it, or some would not ask it."""

VIEWPORT = (360, 640)
SLOWER = 4
"""By how much the processor is slowed down."""
NETWORK = {
    "offline": False,
    "latency": 562.5,
    "downloadThroughput": 1474.56 * 1024 / 8,
    "uploadThroughput": 675 * 1024 / 8,
}
"""Lighthouse's slow 4G as its throttling by DevTools has it (core/config/constants.js, mobileSlow4G): milliseconds
until an answer begins, and bytes a second."""
QUIET = 0.8
"""How many seconds without a request and without a change of the measure end a visit."""
_WATCH = """({ banner, reject }) => {
  const seen = window.__seen = { banner: null, lcp: null, lcpOurs: false, lcpWhat: '', cls: 0, clsOurs: 0, blocked: 0 };
  const within = (node) => !!(node?.nodeType === 1 ? node : node?.parentElement)?.closest(banner);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      seen.lcp = entry.startTime;
      seen.lcpOurs = within(entry.element);
      seen.lcpWhat = entry.element ? entry.element.localName : '';
    }
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      seen.cls += entry.value;
      if (entry.sources.some((one) => within(one.node))) seen.clsOurs += entry.value;
    }
  }).observe({ type: 'layout-shift', buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.blocked += Math.max(0, entry.duration - 50);
  }).observe({ type: 'longtask', buffered: true });
  const look = () => {
    const button = document.querySelector(reject);
    if (button && button.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
      const box = button.getBoundingClientRect();
      const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      if (hit && (hit === button || button.contains(hit))) { seen.banner = performance.now(); return; }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Hold what one visit cost: bytes over the network with their headers, milliseconds from the start of the visit."""

    received: int
    """Bytes of the site's own hosts, headers included."""
    requests: int
    """Requests to the site over the network."""
    before: int
    """Requests to the site that were sent before the banner could be answered."""
    banner: float | None
    lcp: float
    lcp_in_banner: bool
    lcp_element: str
    shift: float
    shift_in_banner: float
    blocked: float
    """Milliseconds by which tasks of the main thread were longer than 50 each, as total blocking time counts them."""
    trackers: int
    """Services that were asked."""

    def row(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


class _Wire:
    """Write down what goes over the network."""

    def __init__(self, session: CDPSession, own: str) -> None:
        self.own = own
        self.sent: dict[str, tuple[str, float]] = {}
        self.received: dict[str, float] = {}
        self.cached: set[str] = set()
        self.pending: set[str] = set()
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.requestServedFromCache", lambda event: self.cached.add(event["requestId"]))
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", lambda event: self.pending.discard(event["requestId"]))
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", NETWORK)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})

    def _sent(self, event: dict[str, Any]) -> None:
        address = event["request"]["url"]
        if address.startswith("https:"):
            self.sent[event["requestId"]] = (address, event["timestamp"])
            self.pending.add(event["requestId"])

    def _answered(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self.cached.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        self.received[event["requestId"]] = event["encodedDataLength"]
        self.pending.discard(event["requestId"])

    def mine(self) -> list[str]:
        """Return the requests to the site that went over the network."""
        return [
            key for key, (address, _) in self.sent.items() if address.startswith(self.own) and key not in self.cached
        ]

    def trackers(self) -> int:
        """Return how many services were asked."""
        return len({address.split("/")[2] for address, _ in self.sent.values() if not address.startswith(self.own)})


class Phone:
    """Hold one fresh profile of the browser."""

    def __init__(self, browser: Browser, way: Way, port: int, *, state: Any = None, script: bool = True) -> None:
        self.way = way
        self.site = f"https://{way.name}.localhost:{port}"
        width, height = VIEWPORT
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=2,
            is_mobile=True,
            has_touch=True,
            locale="en-IE",
            java_script_enabled=script,
            storage_state=state,
        )
        self.context.set_default_timeout(30_000)

    def visit(self, path: str) -> tuple[Visit, Page]:
        """Open a page in a new tab, wait until nothing moves any more, and return what it cost."""
        page = self.context.new_page()
        session = self.context.new_cdp_session(page)
        wire = _Wire(session, self.site)
        looked = ", ".join(way.banner for way in WAYS)
        reject = f'{{"banner": {looked!r}, "reject": {self.way.reject!r}}}'
        page.add_init_script(f"({_WATCH})({reject})")
        page.goto(self.site + path)
        self._settle(page, wire)
        seen = page.evaluate("window.__seen")
        begin = min(at for _, at in wire.sent.values())
        mine = wire.mine()
        shown = seen["banner"]
        found = Visit(
            received=int(sum(wire.received.get(key, 0) for key in mine)),
            requests=len(mine),
            before=sum(shown is not None and (wire.sent[key][1] - begin) * 1000 < shown for key in mine),
            banner=shown,
            lcp=seen["lcp"],
            lcp_in_banner=seen["lcpOurs"],
            lcp_element=seen["lcpWhat"],
            shift=round(seen["cls"], 4),
            shift_in_banner=round(seen["clsOurs"], 4),
            blocked=seen["blocked"],
            trackers=wire.trackers(),
        )
        return found, page

    def answer(self, page: Page, selector: str, *, seconds: float) -> tuple[int, float]:
        """Press a button of the banner; return how many services the page then asks, and what layout shift follows."""
        before: float = page.evaluate("window.__seen.cls")
        asked: set[str] = set()
        page.on(
            "request", lambda request: asked.add(request.url.split("/")[2]) if self.site not in request.url else None
        )
        page.locator(selector).click()
        page.wait_for_timeout(seconds * 1000)
        return len(asked), round(page.evaluate("window.__seen.cls") - before, 4)

    def banner_shows(self, path: str) -> bool:
        """Tell whether a page shows its banner; for a profile without JavaScript too."""
        page = self.context.new_page()
        page.goto(self.site + path)
        page.wait_for_timeout(500)
        return page.locator(self.way.reject).is_visible()

    def photograph(self, page: Page, path: Path) -> None:
        """Keep a picture of what the visitor sees."""
        page.screenshot(path=path)

    def _settle(self, page: Page, wire: _Wire) -> None:
        page.wait_for_load_state("load")
        quiet, before = 0.0, ""
        for _ in range(400):
            page.wait_for_timeout(100)
            now = page.evaluate("JSON.stringify(window.__seen)")
            quiet = 0.0 if wire.pending or now != before else quiet + 0.1
            before = now
            if quiet >= QUIET:
                return
        raise RuntimeError(f"{self.site} never came to rest: {wire.pending}")

    def close(self) -> None:
        """Forget the profile."""
        self.context.close()
