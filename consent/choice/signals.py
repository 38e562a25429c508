"""Read what the browser says on its visitor's behalf."""

from collections.abc import Iterable


def global_privacy_control(values: Iterable[str]) -> bool:
    """Tell whether `Sec-GPC` asks not to sell or share, given the values of all its header lines.

    Only the exact value `1` counts; among several lines one is enough.
    Source: W3C Global Privacy Control, "The Sec-GPC Header Field".
    """
    return any(value.strip(" \t") == "1" for value in values)
