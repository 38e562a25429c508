"""Find what is shipped with the code: templates, starter policies, assets, data."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def _folder(installed: str, *, in_checkout: str) -> Path:
    beside = _HERE / installed
    return beside if beside.is_dir() else _HERE.parent / in_checkout


TEMPLATES = _folder("templates", in_checkout="templates")
STARTER_POLICIES = _folder("starter_policies", in_checkout="policies")
STATIC = _HERE / "web" / "static"
KNOWN_SERVICES = _HERE / "choice" / "known_services.toml"
