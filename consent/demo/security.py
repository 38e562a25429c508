"""Write the news site's Content-Security-Policy, which names every third party it embeds."""

from __future__ import annotations

from collections.abc import Mapping

_SOURCES: Mapping[str, tuple[str, ...]] = {
    "script-src": ("stats", "ads", "social", "comments"),
    "style-src": ("fonts",),
    "font-src": ("fonts",),
    "img-src": ("stats", "ads"),
    "frame-src": ("ads", "video", "social", "donate"),
    "connect-src": ("stats", "comments"),
}


def content_security_policy(*, nonce: str, tracker_port: int) -> str:
    """Return the policy of one page.

    Source: W3C Content Security Policy Level 3.
    """
    directives = ["default-src 'self'"]
    for directive, names in _SOURCES.items():
        own = [] if directive == "frame-src" else ["'self'"]
        if directive == "script-src":
            own.append(f"'nonce-{nonce}'")
        hosts = [f"http://{name}.localhost:{tracker_port}" for name in names]
        directives.append(" ".join([directive, *own, *hosts]))
    directives += ["object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"]
    return "; ".join(directives)
