"""Look at where things are kept: the ledger and its key, the queue, and who else may read them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from consent.choice.lifetime import Lifetime
from consent.choice.regimes import Regime
from consent.cli.findings.finding import Finding, error, raised, warning
from consent.cli.opened import ledger_file
from consent.errors import ConfigurationError, LedgerError
from consent.ledger.checkpoint import Signer, key_beside, note_name
from consent.ledger.store import Durability, Store
from consent.opening import NO_ORIGIN, is_postgres, ledger_from, signer_from, store_from
from consent.settings import ConsentSettings

KEY_SUFFIX = ".key"
ENVIRONMENT_FILE = ".env"


def find(settings: ConsentSettings) -> Iterator[Finding]:
    """Yield what is wrong with the queue, the key, and who may read secret files; nothing is made or changed."""
    queue = settings.path(settings.queue_dir)
    if not _writable_folder(queue):
        yield error(
            "C406",
            "queue_dir",
            f"{str(settings.queue_dir)!r} cannot be written, so a refusal cannot wait for a ledger that is down",
            "Name a folder that the site may make or write",
        )
    database = ledger_file(settings)
    key = None if database is None else database.with_name(database.name + KEY_SUFFIX)
    yield from _short_retention(settings)
    yield from _key(settings, key)
    for path in (settings.folder / ENVIRONMENT_FILE, database, key):
        if path is not None:
            yield from _readable_by_others(path)


def publications(settings: ConsentSettings) -> tuple[Mapping[str, bytes], list[Finding]]:
    """Return what the ledger says was published, and what keeps it from being used.

    A ledger that does not exist yet is not made.
    """
    try:
        store = store_from(settings.ledger, settings=settings, origin=_origin(settings))
    except ConfigurationError as refused:
        return {}, [raised("C400", refused, place="ledger", remedy="Write it as 'sqlite:///consent.db'")]
    path = ledger_file(settings)
    if path is not None and not _writable_folder(path.parent, made=False):
        return {}, [_unusable(path, "its folder is missing or cannot be written")]
    try:
        if not store.exists():
            return {}, []
    except ConfigurationError as refused:
        return {}, [raised("C401", refused, place=store.place, remedy="Let the site's role read and write it")]
    except LedgerError as unusable:
        return {}, [_unusable(path, str(unusable))]
    if path is not None and not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
        return {}, [_unusable(path, "it is not a file that can be read and written")]
    with closing(store):
        try:
            if pending := len(store.pending()):
                # Opened any further it would be brought up to date, which is no business of who only looks.
                return {}, [_old(store, pending)]
            found = (*_lost_key(settings, store, path), *_unsigned(settings, path), *_doubts(settings, store))
            return store.publications(), list(found)
        except ConfigurationError as refused:
            remedy = (
                f"{refused.remedy or 'Use a new ledger'}{_only_tests(path) if 'belongs to' in refused.message else ''}"
            )
            return {}, [error("C402", refused.place or store.place, refused.message, remedy)]
        except LedgerError as unusable:
            return {}, [_unusable(path, str(unusable).removeprefix(f"{path}: "))]


def _old(store: Store, pending: int) -> Finding:
    return warning(
        "C410",
        store.place,
        f"{pending} {'migration is' if pending == 1 else 'migrations are'} pending, as after an upgrade, so nothing in"
        " it was looked at",
        "Run `consent ledger migrate`; where its role may, the site's next start does it, too",
    )


def _unusable(path: Path | None, what: str) -> Finding:
    return error(
        "C401",
        str(path or "ledger"),
        f"{what}, so no choice can be recorded and nothing is ever granted",
        "Put the ledger where the site may write, or restore it",
    )


def _key(settings: ConsentSettings, path: Path | None) -> Iterator[Finding]:
    name = note_name(_origin(settings))
    remedy = "Use the key this ledger was begun with"
    try:
        if settings.ledger_key is not None:
            signer = Signer.from_text(settings.ledger_key.get_secret_value())
            if signer.name != name:
                yield error("C403", "CONSENT_LEDGER_KEY", f"signs for {signer.name!r}, not for {name!r}", remedy)
        elif is_postgres(settings.ledger):
            signer_from(settings, origin=_origin(settings))
        elif path is not None and path.exists():
            key_beside(path, name=name)
    except ConfigurationError as refused:
        place = "CONSENT_LEDGER_KEY" if settings.ledger_key is not None else str(path)
        tests = _only_tests(ledger_file(settings)) if "signs for" in refused.message else ""
        yield error("C403", refused.place or place, refused.message, f"{refused.remedy or remedy}{tests}")
    except UnicodeDecodeError:
        yield error("C403", str(path), "is not a text", remedy)


def _only_tests(ledger: Path | None) -> str:
    return "" if ledger is None else f". If it holds only tests, delete {ledger.name} and {ledger.name}{KEY_SUFFIX}"


def _lost_key(settings: ConsentSettings, store: Store, path: Path | None) -> Iterator[Finding]:
    key = None if path is None else path.with_name(path.name + KEY_SUFFIX)
    if settings.ledger_key is None and key is not None and not key.exists() and store.checkpoint() is not None:
        yield warning(
            "C404",
            str(key),
            "the ledger has signed checkpoints, but its key is gone; the next start would make another one, which signs"
            " nothing until you say that the old one is lost",
            "Restore the key, or see `consent ledger resume`",
        )


def _doubts(settings: ConsentSettings, store: Store) -> Iterator[Finding]:
    for doubt in store.doubts():
        yield (error if settings.durability is Durability.SYNCHRONOUS else warning)(
            "C409", store.place, doubt, "Set the server up for what `durability` says, or the other way round"
        )


def _unsigned(settings: ConsentSettings, path: Path | None) -> Iterator[Finding]:
    key = None if path is None else path.with_name(path.name + KEY_SUFFIX)
    if settings.ledger_key is None and (key is None or not key.exists()):
        return
    with closing(ledger_from(settings)) as ledger, contextlib.suppress(ConfigurationError, UnicodeDecodeError):
        fault = ledger.fault()
        if fault is not None:
            yield error(
                "C407",
                str(path or "ledger"),
                fault,
                "Restore the newest copy of the database, or the key, or see `consent ledger resume`; nothing is signed"
                " until then",
            )


def _short_retention(settings: ConsentSettings) -> Iterator[Finding]:
    kept = settings.retention.get(Regime.OPT_OUT)
    if kept is not None and Regime.OPT_OUT in settings.regimes.values():
        lifetime = Lifetime.parse(kept)
        if lifetime.months * 30.5 + lifetime.seconds / 86400 < 24 * 30.5 - 2:
            yield warning(
                "C408",
                "retention.opt-out",
                f"{kept!r} is less than the 24 months that California asks for (11 CCR § 7101(a))",
                "Write 'P2Y' or more",
            )


def _readable_by_others(path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        everybody = mode & 0o007
        yield (error if everybody else warning)(
            "C405",
            str(path),
            f"has mode {mode:03o}, so {'everybody' if everybody else 'its group'} on this machine gets at the secrets",
            f"chmod 600 {path.name}",
        )


def _writable_folder(folder: Path, *, made: bool = True) -> bool:
    """Tell whether a folder can be written, or made where it is `made` on its first use."""
    if folder.exists() or not made:
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    above = next(one for one in folder.parents if one.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _origin(settings: ConsentSettings) -> str:
    return settings.origins[0] if settings.origins else NO_ORIGIN
