"""Build the folder of a site, change what is in it, and check it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from consent.cli.main import main
from consent.settings import ConsentSettings
from consent.site import Site

ORIGIN = "https://meridian.example"
SECRET = "wgT3kq-0ZrXv8HnJd5LbYc2MfPs9AeUi"
TOKEN = "Qm7vRz_1TyKx4WbNc8HdLf3JgSp6EoUa"
SERVICE: Mapping[str, Any] = {
    "title": "Reader statistics",
    "description": "Counts which articles are read.",
    "provider": "Meridian Media Ltd",
    "purpose": "analytics",
    "country": "IE",
    "hosts": ["stats.meridian.example"],
    "cookies": [{"name": "_rs", "lifetime": "P30D"}],
    "data": ["pages read"],
    "retention": "P13M",
    "policy_url": "https://meridian.example/stats",
}


class Place:
    """Hold the folder of a site, without a fault at first, and change what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {
            "site_name": "The Meridian",
            "origins": [ORIGIN],
            "undeclared": "hold",
            "controller": {
                "name": "Meridian Media Ltd",
                "address": "1 Quay Street, Dublin",
                "contact": "privacy@meridian.example",
            },
            "services": {"reader-stats": dict(SERVICE)},
        }
        self.variables: dict[str, Any] = {"CONSENT_SECRET_KEYS": [SECRET], "CONSENT_AUDIT_TOKENS": [TOKEN]}
        for slug in ("privacy", "cookies"):
            self.policy(f"{slug}/1.en.md")
        self.write()

    @property
    def config(self) -> Path:
        return self.folder / "consent.toml"

    def write(self) -> None:
        """Write the configuration and the secrets as they are now."""
        lines = [f"{key} = {toml(value)}" for key, value in self.settings.items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        environment = self.folder / ".env"
        environment.write_text("".join(f"{name}='{json.dumps(value)}'\n" for name, value in self.variables.items()))
        environment.chmod(0o600)

    def set(self, **settings: Any) -> None:
        """Change settings; None removes one."""
        self.settings |= settings
        self.settings = {key: value for key, value in self.settings.items() if value is not None}
        self.write()

    def service(self, key: str = "reader-stats", **fields: Any) -> None:
        """Change the fields of a service, or add one; None removes a field."""
        service = self.settings["services"].get(key, {}) | fields
        self.settings["services"][key] = {name: value for name, value in service.items() if value is not None}
        self.write()

    def variable(self, name: str, value: Any) -> None:
        """Change one line of the secrets; None removes it."""
        self.variables = {key: one for key, one in (self.variables | {name: value}).items() if one is not None}
        self.write()

    def policy(self, place: str, body: str = "Text.\n", *, effective: str = "2026-03-01") -> None:
        """Write a policy."""
        path = self.folder / "policies" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'+++\ntitle = "T"\neffective = {effective}\nmaterial = true\nsummary = "S"\n+++\n{body}')

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink()

    def publish(self) -> None:
        """Start the site once, which makes the ledger and its key, and publishes the policies."""
        site = Site(ConsentSettings.from_toml(self.config))
        site.start()
        site.ledger.seal()
        site.close()

    def start(self) -> None:
        """Build and start the site, as its server would; raise ConfigurationError where that cannot be."""
        site = Site(ConsentSettings.from_toml(self.config))
        try:
            site.start()
        finally:
            site.close()


def toml(value: Any) -> str:
    """Return a value as TOML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


Change = Callable[[Place], object]


def services(count: int) -> dict[str, Any]:
    """Return this many services."""
    return {f"service-{n}": {**SERVICE, "hosts": [f"s{n}.example.org"], "cookies": []} for n in range(count)}


def garbage(path: str) -> Change:
    """Return a change that puts a file there which is nothing in particular."""
    return lambda place: (place.folder / path).write_bytes(b"\xff\xfe nothing in particular " * 99)


def found(place: Place, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Check a site and return the findings; see that the exit status fits them."""
    capsys.readouterr()
    status = main(["check", "--config", str(place.config), "--json"])
    answer = json.loads(capsys.readouterr().out)
    findings: list[dict[str, str]] = answer["findings"]
    assert status == (1 if answer["errors"] else 0)
    assert answer["errors"] == sum(one["severity"] == "error" for one in findings)
    return findings
