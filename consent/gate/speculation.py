"""Read speculation rules: which links of a page they let the browser load before anybody follows one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

IsOwn = Callable[[str], bool]
"""Tells whether an absolute address is the site's own."""

_RULES = ('"prefetch', '"prerender')
_OWN_PATH = re.compile(r"/(?![/\\])")
_PLAIN_HOST = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?/", re.IGNORECASE)
_WITHIN_HOST = frozenset({"pathname", "search", "hash"})


def leads_away(text: str, is_own: IsOwn) -> bool:
    """Tell whether rules may match links to other hosts than the site's own.

    Rules that list addresses have them spelled out, and are judged by those. Those that select links of the document
    match every link there is, unless they require a path or a host of the site. Follows HTML §7.6.1 (speculation
    rules) and the URL Pattern Standard; rules that cannot be read could lead anywhere.

    Args:
        text: the rules, as JSON.
        is_own: tells whether an absolute address is the site's own.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return any(word in text for word in _RULES)
    lists = content.values() if isinstance(content, dict) else ()
    rules = [rule for rules in lists if isinstance(rules, list) for rule in rules if isinstance(rule, dict)]
    return any(
        not _stays(rule.get("where"), is_own) for rule in rules if rule.get("source") == "document" or "where" in rule
    )


def _stays(where: object, is_own: IsOwn) -> bool:
    """Tell whether every link that meets a condition surely leads to the site itself."""
    if not isinstance(where, dict):
        return False
    for key, of_all in (("and", False), ("or", True)):
        inner = where.get(key)
        if isinstance(inner, list) and inner:
            return (all if of_all else any)(_stays(one, is_own) for one in inner)
    patterns = where.get("href_matches")
    several = patterns if isinstance(patterns, list) else [patterns]
    return bool(several) and all(_within(pattern, is_own) for pattern in several)


def _within(pattern: object, is_own: IsOwn) -> bool:
    if isinstance(pattern, dict):
        return bool(pattern) and pattern.keys() <= _WITHIN_HOST
    if not isinstance(pattern, str):
        return False
    plain = _PLAIN_HOST.match(pattern)
    return is_own(plain[0]) if plain else _OWN_PATH.match(pattern) is not None
