"""Say what is wrong with a site's configuration, and what to do about it."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path

from consent.cli.findings import catalogue, keys, loads, looks, policies, site, storage, texts
from consent.cli.findings.finding import Finding, Severity, info, raised, warning
from consent.errors import ConfigurationError
from consent.settings import CONFIG_FILE, CONFIG_VARIABLE, PREFIX, ConsentSettings, unknown_variables


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `consent check`."""
    parser = subparsers.add_parser(
        "check",
        help="say what is wrong with a site's configuration",
        description=f"{__doc__} Exits with 1 if there are errors. The project's docs/checks.md explains every code.",
    )
    parser.add_argument(
        "--config",
        metavar="PATH",
        type=Path,
        help=f"the configuration (default: {CONFIG_VARIABLE}, else {CONFIG_FILE})",
    )
    parser.add_argument("--json", action="store_true", help="write the findings as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings, errors first; return 1 if there are errors."""
    today = datetime.now(UTC).date()
    found = sorted(findings(args.config, environment=os.environ, today=today), key=lambda finding: finding.rank)
    counts = Counter(finding.severity for finding in found)
    if args.json:
        answer = {"findings": [asdict(finding) for finding in found]} | {f"{one}s": counts[one] for one in Severity}
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        print("\n".join([*map(str, found), _summary(counts)]))
    return 1 if counts[Severity.ERROR] else 0


def findings(config: Path | None, *, environment: Mapping[str, str], today: date) -> Iterator[Finding]:
    """Yield everything that is found in one run; nothing more where the settings cannot be read at all."""
    for name in unknown_variables(environment):
        similar = get_close_matches(
            name.upper(), [f"{PREFIX}{field.upper()}" for field in ConsentSettings.model_fields]
        )
        remedy = f"Did you mean {' or '.join(similar)}?" if similar else "Correct its name, or remove it"
        yield warning("C002", name, "no setting reads this variable", remedy)
    named = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    path = named or Path(CONFIG_FILE)
    if named is None and not path.is_file():
        yield info(
            "C003",
            str(path.resolve()),
            "there is no such file, so only the environment is read",
            "Go to the site's folder, name the file with --config, or let `consent init` write one",
        )
    try:
        settings = ConsentSettings() if named is None else ConsentSettings.from_toml(named)
    except ConfigurationError as refused:
        yield raised(
            "C001", refused, place=str(path), remedy="Correct it; the project's docs/settings.md lists every setting"
        )
        return
    library, unreadable = policies.read(settings)
    published, unusable = storage.publications(settings)
    yield from keys.find(settings, config=path)
    yield from site.find(settings)
    yield from catalogue.find(settings)
    yield from loads.find(settings, today=today)
    yield from unreadable
    yield from policies.find(settings, library, today=today)
    yield from policies.compare(settings, library, published)
    yield from unusable
    yield from storage.find(settings)
    yield from texts.find(settings)
    yield from looks.find(settings)


def _summary(counts: Counter[Severity]) -> str:
    if not counts:
        return "Nothing to find fault with."
    words = {
        Severity.ERROR: ("error", "errors"),
        Severity.WARNING: ("warning", "warnings"),
        Severity.INFO: ("note", "notes"),
    }
    return ", ".join(f"{counts[one]} {words[one][counts[one] != 1]}" for one in Severity if counts[one]) + "."
