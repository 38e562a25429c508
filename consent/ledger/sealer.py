"""Sign what extends the last checkpoint and nothing else, and say so where that cannot be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial

from consent.errors import ConfigurationError, LedgerCorruptError, LedgerUnavailableError, VerificationError
from consent.ledger import merkle
from consent.ledger.checkpoint import Checkpoint, Signer, Verifier, note_name
from consent.ledger.entry import Appended, Draft
from consent.ledger.outside import Outside
from consent.ledger.store import Store

ROTATED = "key-rotated"
RESUME = "see `consent ledger resume`"


class Sealer:
    """Sign the tree heads of one store; `outside` keeps the newest where no restored database reaches it.

    `signer` signs checkpoints, or is called for what does, and again after it was replaced.
    """

    def __init__(self, store: Store, *, signer: Signer | Callable[[], Signer], outside: Outside | None) -> None:
        self._store = store
        self._source = signer
        self._signer: Signer | None = None
        self.outside = outside

    @property
    def signer(self) -> Signer:
        """Return what signs checkpoints.

        Raises ConfigurationError if it is not that of the store's origin, LedgerUnavailableError while its key cannot
        be read.
        """
        if self._signer is None:
            self._signer = self._given()
        return self._signer

    def _given(self) -> Signer:
        try:
            signer = self._source if isinstance(self._source, Signer) else self._source()
        except ConfigurationError as error:
            if isinstance(error.__cause__, OSError):
                raise LedgerUnavailableError(str(error)) from error
            raise
        if signer.name != note_name(self._store.origin):
            raise ConfigurationError(
                f"the ledger key signs for {signer.name!r}, and the ledger belongs to {self._store.origin!r}",
                remedy="Give the key that belongs to this ledger",
            )
        return signer

    # --- signing

    def seal(self) -> Checkpoint:
        """Return a checkpoint of all entries, signing one if there is news.

        Raises LedgerCorruptError if the ledger does not extend what was signed last, in the database or outside of it,
        or another key signed that; OutsideError if the copy outside cannot be kept.
        """
        with self._turn():
            self._refuse_restored()
            self._refuse_foreign_key()
            return self._seal(partial(_signed, self.signer))

    def _seal(self, sign: Callable[[int, bytes], Checkpoint]) -> Checkpoint:
        checkpoint = self._store.seal(sign, name=self.signer.name)
        if self.outside is not None and self.outside.checkpoint() != checkpoint.note:
            self.outside.keep(checkpoint.note)
        return checkpoint

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.outside is None else self.outside.locked()

    def _refuse_restored(self) -> None:
        note = None if self.outside is None else self.outside.checkpoint()
        if note is None or note == self._store.checkpoint() or self.outside is None:
            return
        try:
            kept = Checkpoint.unchecked(note, name=self.signer.name)
        except VerificationError as error:
            raise LedgerCorruptError(f"{self.outside.path}: {error}") from error
        if kept.size > self._store.head().size or merkle.root(self._store, size=kept.size) != kept.root:
            raise LedgerCorruptError(
                f"the ledger does not extend the checkpoint of {kept.size} entries that was signed last; an older copy"
                " of the database may have been restored",
                remedy=RESUME,
            )

    def _refuse_foreign_key(self) -> None:
        """Let a key go on only where it signed last, or where the log says that it took over."""
        last = self._last()
        if last is None or self._succeeds(last):
            return
        # The file of the key may have been replaced by a rotation.
        self._signer = None
        if not self._succeeds(last):
            raise LedgerCorruptError(
                f"the last checkpoint was signed by the key {last.last_key_id.hex()}, and not by"
                f" {self.signer.verifier.key_id.hex()}: give the new key if it was rotated",
                remedy=f"if it was lost, {RESUME}",
            )

    def _succeeds(self, last: Checkpoint) -> bool:
        own, wanted = self.signer.verifier.key_id, last.last_key_id
        if own == wanted:
            return True
        took_over = {new.key_id: None if old is None else old.key_id for old, new in self.rotations()}
        while own in took_over:
            before = took_over.pop(own)
            if before == wanted:
                return True
            if before is None:
                return False
            own = before
        return False

    def rotations(self) -> list[tuple[Verifier | None, Verifier]]:
        """Return which key took over from which, in order; a lost key vouched for nobody."""
        entries = [json.loads(body) for body in self._store.publications().values() if b'"key-rotated"' in body]
        return [
            (Verifier.from_text(entry["old"]) if entry["old"] else None, Verifier.from_text(entry["new"]))
            for entry in entries
            if entry["kind"] == ROTATED
        ]

    def _last(self) -> Checkpoint | None:
        note = self._store.checkpoint()
        try:
            return None if note is None else Checkpoint.unchecked(note, name=self.signer.name)
        except VerificationError as error:
            raise LedgerCorruptError(f"the last checkpoint cannot be followed: {error}") from error

    # --- reading

    def opened(self, note: bytes) -> Checkpoint:
        """Read a checkpoint that this key signed, or one that the log names; raise VerificationError for any other."""
        try:
            return Checkpoint.opened(note, verifier=self.signer.verifier)
        except VerificationError:
            related = {verifier for rotation in self.rotations() for verifier in rotation if verifier is not None}
            for verifier in sorted(related, key=lambda one: one.key_id):
                with contextlib.suppress(VerificationError):
                    return Checkpoint.opened(note, verifier=verifier)
            raise

    def fault(self) -> str | None:
        """Return why no checkpoint is signed any more, None where all is well; without a remedy. Changes nothing."""
        try:
            self._refuse_restored()
            self._refuse_foreign_key()
            last = self._last()
            if last is not None:
                extends = last.size <= self._store.head().size
                if not extends or merkle.root(self._store, size=last.size) != last.root:
                    return f"the ledger no longer extends its checkpoint at {last.size} entries"
        except LedgerCorruptError as error:
            return error.message
        return None

    # --- what only an operator may do

    def rotate(self, successor: Signer, *, now: int) -> Checkpoint:
        """Let another key sign from now on: the old one vouches for it with its last signature.

        Appends an entry that names both, and signs a checkpoint that covers it with both. Doing it again with the same
        successor does nothing more. Raises as `seal` does.
        """
        with self._turn():
            self._refuse_restored()
            last = self._last()
            if last is not None and last.last_key_id == successor.verifier.key_id:
                return last
            self._refuse_foreign_key()
            old, new = self.signer, successor.verifier
            self._store.append([_rotation(old.verifier.text, new, reason="rotated", now=now)], now=now)
            return self._seal(lambda size, root: _signed(old, size, root).cosigned(successor))

    def resume(self, *, now: int) -> list[Appended]:
        """Sign again after a backup was restored or the key was lost; what happened stays visible for ever.

        Appends a `gap` entry with the checkpoint that is not extended, or an entry about a key that took over from a
        lost one, and returns them. Raises LedgerCorruptError where the database contradicts its own checkpoint.
        """
        with self._turn():
            drafts = []
            try:
                self._refuse_restored()
            except LedgerCorruptError:
                drafts.append(self._restored(now=now))
            try:
                self._refuse_foreign_key()
            except LedgerCorruptError:
                drafts.append(_rotation(None, self.signer.verifier, reason="lost", now=now))
            if not drafts:
                return []
            appended = self._store.append(drafts, now=now)
            if drafts[0].kind == "gap" and self.outside is not None:
                self.outside.set_aside()
            self._seal(partial(_signed, self.signer))
            return appended

    def _restored(self, *, now: int) -> Draft:
        note = (self.outside.checkpoint() if self.outside else None) or b""
        try:
            lost = max(0, Checkpoint.unchecked(note, name=self.signer.name).size - self._store.head().size)
        except VerificationError:
            lost = 0
        content = {"reason": "restored", "count": lost, "abandoned": note.decode(errors="replace")}
        return Draft(kind="gap", content=content, decided_at=now)


def _signed(signer: Signer, size: int, root: bytes) -> Checkpoint:
    return Checkpoint.signed(signer, size=size, root=root)


def _rotation(old: str | None, new: Verifier, *, reason: str, now: int) -> Draft:
    content = {"old": old, "new": new.text, "reason": reason}
    return Draft(kind=ROTATED, content=content, decided_at=now, unique=f"key/{new.text}/{reason}")
