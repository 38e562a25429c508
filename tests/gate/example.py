"""Give the gate's tests one small site: The Meridian, a tracker it declares, and a widget it has not declared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from consent.choice.catalogue import Catalogue, Cookie, Purpose, Service
from consent.gate.charset import Kind, Transcoder, codec, decodable, sniff
from consent.gate.html import NOTHING, Gate, Insert
from consent.gate.rules import Rules, Undeclared, View

DATA = Path(__file__).parent / "data"
CASES: list[dict[str, object]] = json.loads((DATA / "gate-cases.json").read_text(encoding="utf-8"))["cases"]


def catalogue() -> Catalogue:
    """Return the site's catalogue."""
    return Catalogue(
        purposes=tuple(Purpose(key=key) for key in ("necessary", "functional", "analytics", "marketing", "media")),
        services=(
            Service(
                key="tracker",
                purpose="analytics",
                hosts=("tracker.test",),
                patterns=("tracker.test", "trackerStats("),
                cookies=(
                    Cookie(name="_tr", lifetime="P30D"),
                    Cookie(name="_tr_*", lifetime="session", path="/news"),
                    Cookie(name="__Host-tr", lifetime="session"),
                ),
            ),
            Service(key="player", purpose="media", hosts=("player.test", "maps.test/embed", "localhost:8001")),
            Service(
                key="login",
                purpose="necessary",
                hosts=("login.test",),
                cookies=(Cookie(name="sid", lifetime="session"),),
            ),
            Service(key="own-stats", purpose="analytics", hosts=("stats.meridian.example", "meridian.example/beacon")),
        ),
        known=(
            Service(
                key="widget",
                purpose="marketing",
                hosts=("widget.test", "maps.test/widget"),
                patterns=("widgetQueue",),
                cookies=(Cookie(name="_wg*", lifetime="P1Y"),),
            ),
        ),
    )


def rules(undeclared: Undeclared = Undeclared.REPORT) -> Rules:
    """Return the site's rules."""
    return Rules(catalogue(), site_hosts=("meridian.example",), undeclared=undeclared)


NOBODY = rules().view(frozenset())
"""What a visitor sees who has agreed to nothing."""


def gated(
    body: bytes | str,
    *,
    view: View = NOBODY,
    charset: str = "utf-8",
    insert: Insert = NOTHING,
    cuts: Iterable[int] = (),
) -> tuple[bytes, Gate]:
    """Return `body` gated, cut at the given offsets on its way in, and the gate."""
    data = body.encode() if isinstance(body, str) else body
    wide = decodable(charset) is Kind.TRANSCODE
    gate = Gate(view, charset="utf-8" if wide else codec(charset), insert=insert)
    stream = Transcoder(gate, charset=charset) if wide else gate
    out = []
    last = 0
    for cut in (*sorted(cuts), len(data)):
        out.append(stream.feed(data[last:cut]))
        last = cut
    out.append(stream.end())
    return b"".join(out), gate


def text(body: str, *, view: View = NOBODY, insert: Insert = NOTHING) -> str:
    """Return `body` gated, as text."""
    return gated(body, view=view, insert=insert)[0].decode()


def case_body(case: dict[str, object]) -> tuple[bytes, str]:
    """Return the exact bytes of one of the collected cases, and its charset."""
    body = str(case["body_latin1"]).encode("latin-1")
    return body, sniff(str(case["content_type"]), body)


def mentions(found: Iterable[str], host: str = "tracker.test") -> list[str]:
    """Return those of some texts in which a host is spelled out."""
    return [item for item in found if re.search(re.escape(host), item)]
