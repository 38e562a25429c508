"""Read what a browser reports about a Content-Security-Policy, and keep which kind of load asked which host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from consent.gate.address import read
from consent.gate.csp import DIRECTIVES

CSP_REPORT = "application/csp-report"
REPORTS = "application/reports+json"
MOST = 100
"""How many reports of one message are looked at."""
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
_SCHEMES = frozenset(("http", "https", "ws", "wss"))


def violations(body: bytes, media_type: str) -> list[tuple[str, str]]:
    """Return the directive and the host of each violation that names a host; nothing else is looked at.

    Follows CSP3 §5.3 for `application/csp-report` and Reporting API §2.4 for `application/reports+json`. Raises
    ValueError for what is neither.
    """
    try:
        content = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    reports = _single(content) if media_type == CSP_REPORT else _several(content)
    return [found for directive, blocked in reports if (found := _violation(directive, blocked)) is not None]


def _single(content: Any) -> Iterator[tuple[Any, Any]]:
    report = content.get("csp-report") if isinstance(content, dict) else None
    if not isinstance(report, dict):
        raise ValueError("no csp-report")
    yield report.get("effective-directive") or report.get("violated-directive"), report.get("blocked-uri")


def _several(content: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(content, list):
        raise ValueError("no list of reports")
    for report in content[:MOST]:
        if not isinstance(report, dict):
            raise ValueError("no report")
        body = report.get("body")
        if report.get("type") == "csp-violation" and isinstance(body, dict):
            yield body.get("effectiveDirective"), body.get("blockedURL")


def _violation(directive: Any, blocked: Any) -> tuple[str, str] | None:
    if not isinstance(directive, str) or not isinstance(blocked, str):
        return None
    name = directive.strip().partition(" ")[0].lower()
    address = read(blocked)
    if name not in DIRECTIVES or address.scheme not in _SCHEMES or not _HOST.fullmatch(address.host):
        return None
    return name, address.host
