"""Look at what must stay secret: the signing keys, the audit tokens, and who else may know them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from consent.cli.findings.finding import Finding, error, info, warning
from consent.settings import ConsentSettings

SHORTEST = 32
"""Characters of a secret that nobody guesses: 24 random bytes in base64, or 16 in hex."""
KEYS, TOKENS = "CONSENT_SECRET_KEYS", "CONSENT_AUDIT_TOKENS"
_SECRET_SETTINGS = ("secret_keys", "audit_tokens", "ledger_key")
_FILLERS = ("change", "example", "placeholder", "secret", "password", "your-", "your_", "xxxx", "...", "…")
_FEWEST_CHARACTERS = 10
_EXAMPLES = (".env.*", "*.example", "*.sample", "*.template", "*.dist", "README*")
_EXAMPLE_BYTES = 1_000_000
_ANOTHER = "python -c 'import secrets; print(secrets.token_urlsafe(32))' writes a new one"


def find(settings: ConsentSettings, *, config: Path) -> Iterator[Finding]:
    """Yield what is wrong with keys and tokens; no finding ever shows one."""
    keys = [key.get_secret_value() for key in settings.secret_keys]
    tokens = [token.get_secret_value() for token in settings.audit_tokens]
    if not keys or not all(keys):
        yield error(
            "C010",
            KEYS,
            f"there is {'an empty' if keys else 'no'} secret to sign cookies with, so the site does not start",
            f"Set it to a JSON list with one long random text: {_ANOTHER}",
        )
    examples = _example_texts(settings.folder)
    for number, key in enumerate(keys, 1):
        if not key:
            continue
        place = f"{KEYS}, key {number}"
        if len(key) < SHORTEST:
            yield error(
                "C011",
                place,
                f"has {len(key)} characters, and whoever guesses it can forge choices",
                f"Use at least {SHORTEST} random characters: {_ANOTHER}",
            )
        yield from _known(key, place, examples)
    yield from _tokens(tokens, examples)
    yield from _in_file(config)


def _tokens(tokens: list[str], examples: dict[str, str]) -> Iterator[Finding]:
    if not tokens:
        yield info(
            "C016",
            TOKENS,
            "there is no token, so the auditor's pages are off",
            "Set it to a JSON list with one long random text for each auditor",
        )
    for number, token in enumerate(tokens, 1):
        place = f"{TOKENS}, token {number}"
        if len(token) < SHORTEST:
            yield error(
                "C014",
                place,
                f"has {len(token)} characters, and whoever guesses it reads the ledger",
                f"Use at least {SHORTEST} random characters: {_ANOTHER}",
            )
        yield from _known(token, place, examples)
        if token in tokens[: number - 1]:
            yield warning(
                "C015",
                place,
                f"is the same as token {tokens.index(token) + 1}, so one cannot be taken back without the other",
                "Give every auditor a token of their own",
            )


def _known(secret: str, place: str, examples: dict[str, str]) -> Iterator[Finding]:
    """Yield a finding for a secret that is a filler, or stands in a file that is there to be copied."""
    remedy = f"Replace it: {_ANOTHER}"
    filler = next((filler for filler in _FILLERS if filler in secret.lower()), None)
    if filler is not None or len(set(secret)) < _FEWEST_CHARACTERS:
        yield error("C012", place, "reads like a filler and not like a random text", remedy)
    for name, text in examples.items():
        if secret in text:
            yield error("C012", place, f"also stands in {name}, which is there to be shown to others", remedy)


def _example_texts(folder: Path) -> dict[str, str]:
    texts = {}
    for pattern in _EXAMPLES:
        for path in sorted(folder.glob(pattern)):
            try:
                with path.open("rb") as file:
                    texts[path.name] = file.read(_EXAMPLE_BYTES).decode("utf-8", errors="replace")
            except OSError:
                continue
    return texts


def _in_file(config: Path) -> Iterator[Finding]:
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError:
        return
    for name in _SECRET_SETTINGS:
        if name in values:
            yield warning(
                "C013",
                f"{config.name}, {name}",
                "a secret stands in the configuration, which is copied and committed more freely than secrets may be",
                f"Move it to the environment or to .env, as CONSENT_{name.upper()}",
            )
