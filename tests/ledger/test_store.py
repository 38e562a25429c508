"""Test what every store must do, over SQLite and PostgreSQL: order, durability, idempotency, several processes."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from consent import verify
from consent.choice.canonical import parse
from consent.errors import ConfigurationError
from consent.ledger import merkle
from consent.ledger.bundle import write_bundle
from consent.ledger.checkpoint import Checkpoint, Signer
from consent.ledger.entry import Draft, pseudonym
from consent.ledger.ledger import Ledger
from consent.ledger.postgres import PostgresStore
from consent.ledger.sqlite import PAGE, SqliteStore
from consent.ledger.store import HOUR, Document, Store, Total
from consent.ledger.tokens import Token

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., Store]
ORIGIN = "https://meridian.example"
ID = b"i" * 16
SIGNER = Signer("meridian.example", seed=b"s" * 32)
WRITER = """
import sys
from consent.ledger.entry import Draft
from consent.ledger.postgres import PostgresStore
from consent.ledger.sqlite import SqliteStore
address, name, count, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
kind = PostgresStore if address.startswith("postgresql:") else SqliteStore
store = kind(address, origin="https://meridian.example")
for first in range(0, count, batch):
    drafts = [
        Draft(kind="gap", content={"writer": name, "number": number}, request_id=f"{name} {number}")
        for number in range(first, first + batch)
    ]
    print(*(entry.index for entry in store.append(drafts, now=1_000)), sep="\\n", flush=True)
store.close()
"""


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest) -> str:
    """Return where the store of a test lies: a file, or a database of its own."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("tmp_path") / "consent.db")
    return str(request.getfixturevalue("make_database")())


@pytest.fixture
def make_store(address: str, close_later: Callable[..., None]) -> MakeStore:
    """Return a function that makes stores of one ledger, each closed after the test."""

    def make(*, origin: str = ORIGIN) -> Store:
        kind = PostgresStore if address.startswith("postgresql:") else SqliteStore
        store = kind(address, origin=origin)
        close_later(store)
        return store

    return make


def seal(store: Store) -> Checkpoint:
    """Seal a store with the key of the tests."""
    return store.seal(lambda size, root: Checkpoint.signed(SIGNER, size=size, root=root), name=SIGNER.name)


def root_of(store: Store) -> bytes:
    """Compute the root from the stored bytes alone."""
    tree = merkle.Frontier()
    for body in store.entries():
        tree.append(merkle.leaf_hash(body))
    return tree.root()


def test_append(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Entries get contiguous indices in the order given, and tree and rows agree."""
    store = make_store()
    assert store.head().root == merkle.EMPTY_ROOT
    appended = store.append([make_draft(), make_draft()], now=5) + store.append([make_draft()], now=6)
    assert [entry.index for entry in appended] == [0, 1, 2]
    assert [entry.recorded_at for entry in appended] == [5, 5, 6]
    bodies = list(store.entries())
    assert [merkle.leaf_hash(body) for body in bodies] == [entry.leaf_hash for entry in appended]
    assert [parse(body)["record"] for body in bodies] == [str(entry.record) for entry in appended]
    assert store.head().size == 3
    assert store.head().root == root_of(store)


def test_append_nothing(make_store: MakeStore) -> None:
    """Appending no drafts changes nothing."""
    store = make_store()
    assert store.append([], now=1) == []
    assert store.head().size == 0


def test_same_request_is_one_entry(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A request id appended again, in the same batch or later, gives the entry there is."""
    store = make_store()
    first, second = store.append([make_draft(request_id="r"), make_draft(request_id="r")], now=5)
    (third,) = store.append([make_draft(request_id="r", late=True)], now=9)
    assert first == second == third
    assert store.head().size == 1


def test_unique_name_is_one_entry(make_store: MakeStore) -> None:
    """A publication appended by several workers is one entry, listed under its name with the bytes of the first."""
    store = make_store()
    for title in ("first", "second"):
        store.append([Draft(kind="policy-published", content={"title": title}, unique="privacy/1/en")], now=5)
    store.append([Draft(kind="policy-published", content={"title": "third"}, unique="cookies/1/en")], now=5)
    assert [(name, parse(body)["title"]) for name, body in store.publications().items()] == [
        ("privacy/1/en", "first"),
        ("cookies/1/en", "third"),
    ]


def test_a_request_is_no_unique_name(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A request id that is spelled like a unique name is another entry."""
    store = make_store()
    store.append([make_draft(unique="same"), make_draft(request_id="same")], now=5)
    assert store.head().size == 2


def test_time_never_goes_back(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A clock that is set back does not make an entry older than the one before it."""
    store = make_store()
    times = [store.append([make_draft()], now=now)[0].recorded_at for now in (100, 50, 101)]
    assert times == [100, 100, 101]


def test_index_at(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The first entry at or after a moment is found, and the size if there is none."""
    store = make_store()
    for now in (10, 10, 20, 30):
        store.append([make_draft()], now=now)
    assert [store.index_at(moment) for moment in (0, 10, 11, 20, 30, 31)] == [0, 0, 2, 2, 3, 4]


def test_index_of(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """An entry is found by its record id."""
    store = make_store()
    entries = store.append([make_draft(), make_draft()], now=5)
    assert [store.index_of(entry.record) for entry in entries] == [0, 1]
    assert store.index_of(UUID(int=1)) is None


def test_pages(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Ranges of entries and of hashes come out whole across pages and kept nodes, and proofs from them verify."""
    store, count = make_store(), 2 * PAGE + 300
    appended = store.append([make_draft() for _ in range(count)], now=5)
    bodies = list(store.entries(PAGE - 1, last=2 * PAGE + 1))
    assert [merkle.leaf_hash(body) for body in bodies] == [e.leaf_hash for e in appended[PAGE - 1 : 2 * PAGE + 1]]
    assert merkle.root(store, size=count) == store.head().root == root_of(store)
    for index in (0, 255, 256, PAGE, count - 1):
        proof = merkle.inclusion_proof(store, index=index, size=count)
        leaf = appended[index].leaf_hash
        assert merkle.includes(leaf, index=index, size=count, proof=proof, root=store.head().root)


def test_reopened(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """What was appended is there after the file is closed and opened, and appending goes on."""
    make_store().append([make_draft(request_id="r")], now=5)
    again = make_store()
    again.append([make_draft(request_id="r"), make_draft()], now=6)
    assert again.head().size == 2
    assert again.head().root == root_of(again)


def test_subject_lies_beside_the_log(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """An entry holds a pseudonym that only the salt beside the log ties to the consent id, another one each time."""
    store = make_store()
    store.append([make_draft(subject=ID), make_draft(), make_draft(subject=ID)], now=5)
    records = store.records_of(ID)
    assert [record.index for record in records] == [0, 2]
    subjects = [parse(record.body)["subject"] for record in records]
    assert subjects == [pseudonym(ID, salt=record.salt) for record in records]
    assert subjects[0] != subjects[1]
    assert all(ID not in body and ID.hex().encode() not in body for body in store.entries())
    assert [parse(body)["subject"] is None for body in store.entries()] == [False, True, False]


def test_receipt_code(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A receipt code leads to the consent id until it is erased."""
    store, digest = make_store(), hashlib.sha256(b"code").digest()
    store.append([make_draft(subject=ID), make_draft(subject=ID)], now=5)
    assert store.consent_id_of(digest) is None
    assert store.give_code(ID, digest=digest) == 2
    assert store.consent_id_of(digest) == ID
    store.erase(ID, draft=Draft(kind="erased", content={"reason": "asked"}), now=6)
    assert store.consent_id_of(digest) is None


def test_revocations(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Revocations are kept under a keyed hash, in order, and can be forgotten by age."""
    store = make_store()
    store.append([make_draft(subject=ID, revokes=True, decided_at=5), make_draft(subject=ID)], now=5)
    store.append([make_draft(subject=b"o" * 16, ends=True, decided_at=8)], now=8)
    first, second = store.revocations()
    assert first.key == hmac.digest(store.revocation_key(), ID, "sha256")
    assert (first.before, second.before) == (5, 9)
    assert store.revocations(first.position) == [second]
    store.forget_revocations(9)
    assert store.revocations() == [second]


def test_one_revocation_an_id(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Of one id the newest revocation alone is kept, as far back as any reached, and readers of the older see it."""
    store = make_store()
    position = 0
    for before, kept in ((20, 20), (10, 20), (30, 30)):
        store.append([make_draft(subject=ID, revokes=True, decided_at=before)] * 2, now=before)
        store.append([make_draft(subject=ID, revokes=True, decided_at=before)], now=before)
        (revocation,) = store.revocations(position)
        assert revocation.before == kept
        position = revocation.position
    erased = Draft(kind="erased", content={"reason": "asked"}, decided_at=40, subject=ID, revokes=True)
    store.erase(ID, draft=erased, now=40)
    assert [revocation.before for revocation in store.revocations()] == [40]


def test_documents(make_store: MakeStore) -> None:
    """Documents are kept once by digest and found by the beginning of it, of odd length too."""
    store = make_store()
    documents = [Document(kind="notice", media_type="text/plain", data=b"%d" % n, language="en") for n in range(40)]
    for document in [*documents, *documents]:
        assert store.archive(document) == document.digest == hashlib.sha256(document.data).hexdigest()
    store.archive(Document(kind="rendering", media_type="text/css", data=b"css"))
    assert store.document(documents[3].digest) == documents[3]
    assert store.document("0" * 64) is None
    for prefix in ("", "4", documents[7].digest[:9], documents[7].digest):
        found = store.documents(prefix, kind="notice")
        expected = sorted((d for d in documents if d.digest.startswith(prefix)), key=lambda d: d.digest)
        assert found == expected


def test_seal(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A checkpoint is signed when there is news, and only then."""
    store = make_store()
    assert store.checkpoint() is None
    empty = seal(store)
    assert (empty.size, empty.root) == (0, merkle.EMPTY_ROOT)
    store.append([make_draft()], now=5)
    sealed = seal(store)
    assert (sealed.size, sealed.root) == (1, store.head().root)
    assert seal(store) == sealed
    assert store.checkpoint() == sealed.note


def test_another_origin(make_store: MakeStore) -> None:
    """A ledger opens for its own origin alone."""
    make_store().open()
    with pytest.raises(
        ConfigurationError, match=r"belongs to 'https://meridian.example', not to 'https://other.example'"
    ):
        make_store(origin="https://other.example").open()


def test_several_processes_write_at_once(make_store: MakeStore, address: str) -> None:
    """Writing processes get every index once, each its own in order, and tree and rows agree."""
    make_store().open()
    names = ("a", "b", "c")
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, address, name, "60", "3"], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    indices = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(indices) == list(range(180))
    store = make_store()
    assert store.head().root == root_of(store)
    for name in names:
        numbers = [parse(body)["number"] for body in store.entries() if parse(body)["writer"] == name]
        assert numbers == list(range(60))


def test_killed_writer(make_store: MakeStore, make_draft: MakeDraft, address: str) -> None:
    """What a process acknowledged before it was killed is there, tree and rows agree, and appending goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, address, "a", "1000000", "1"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    store = make_store()
    size = store.head().size
    assert acknowledged == list(range(len(acknowledged)))
    assert size >= len(acknowledged)
    assert [parse(body)["number"] for body in store.entries()] == list(range(size))
    assert store.head().root == root_of(store) == merkle.root(store, size=size)
    assert store.append([make_draft()], now=5)[0].index == size


def test_forked_process(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """A child of a fork opens a connection of its own, even if another thread was writing when it forked."""
    store, stop = make_store(), threading.Event()
    store.append([make_draft()], now=5)

    def write() -> None:
        while not stop.is_set():
            store.append([make_draft()], now=5)

    thread = threading.Thread(target=write)
    thread.start()
    child = os.fork()
    if child == 0:
        done = 1
        try:
            done = 0 if store.append([make_draft(content={"scope": "child"})], now=6)[0].index > 0 else 1
        finally:
            os._exit(done)
    stop.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(parse(body)["scope"] == "child" for body in store.entries()) == 1
    assert store.head().root == root_of(store)


def test_readers_do_not_stop_the_writer(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Entries can be appended while a reader is half through, and the reader sees the range it asked for."""
    store = make_store()
    store.append([make_draft() for _ in range(3)], now=5)
    reader = store.entries()
    next(reader)
    store.append([make_draft()], now=5)
    assert len(list(reader)) == 2


def test_totals(make_store: MakeStore) -> None:
    """Counts of the same hour, name and subject add up, and are found by name, by what lies below it, and by span."""
    store = make_store()
    names = ("report", "report.img-src", "reported", "repor")
    totals = [
        Total(hour=HOUR * n, name=name, subject=subject, count=1) for n, name in enumerate(names) for subject in "ab"
    ]
    store.add_totals(totals)
    store.add_totals(totals[::-1])
    assert [(total.name, total.subject, total.count) for total in store.totals("report")] == [
        (name, subject, 2) for name in names[:2] for subject in "ab"
    ]
    assert {total.name for total in store.totals("report", first=HOUR, last=2 * HOUR)} == {"report.img-src"}


def test_erase_forgets_and_counts(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """After an erasure nothing leads to the person, the entry says how many there were, and every proof verifies."""
    store = make_store()
    store.append([make_draft(subject=ID), make_draft(subject=b"o" * 16), make_draft(subject=ID)], now=5)
    before = seal(store)
    draft = Draft(
        kind="erased", content={"reason": "asked"}, decided_at=9, subject=ID, request_id="e", revokes=True, ends=True
    )
    erased = store.erase(ID, draft=draft, now=9)
    assert store.erase(ID, draft=draft, now=10) == erased
    entry = parse(next(store.entries(erased.index)))
    assert (entry["count"], entry["subject"]) == (2, None)
    assert store.records_of(ID) == []
    assert len(store.records_of(b"o" * 16)) == 1
    proof = merkle.consistency_proof(store, old=before.size, new=4)
    assert merkle.consistent(old=3, old_root=before.root, new=4, new_root=store.head().root, proof=proof)
    assert [revocation.before for revocation in store.revocations()] == [10]


def test_erased_again_after_a_restore(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Ids that a list from outside names by their keyed hash are forgotten, revoked and remembered as erased."""
    store = make_store()
    others = b"o" * 16, b"p" * 16
    store.append([make_draft(subject=subject) for subject in (ID, *others, ID)], now=5)
    keys = {hmac.digest(store.revocation_key(), one, "sha256"): before for one, before in ((ID, 30), (others[0], 40))}
    unknown = {b"u" * 32: 50}
    draft = Draft(kind="erased", content={"reason": "restored"}, decided_at=9, request_id="again")
    appended = store.erase_again(keys | unknown, draft=draft, now=9)
    assert parse(next(store.entries(appended.index)))["count"] == 3
    assert [len(store.records_of(one)) for one in (ID, *others)] == [0, 0, 1]
    assert store.erased() == {*keys, *unknown}
    assert {one.key: one.before for one in store.revocations()} == keys | unknown
    positions = [one.position for one in store.revocations()]
    assert positions == sorted(set(positions))
    erased = Draft(kind="erased", content={"reason": "asked"}, decided_at=60, subject=others[1])
    store.erase(others[1], draft=erased, now=60)
    assert len(store.erased()) == 4


def test_prune(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Pruned bodies are gone and counted; leaf hashes, times and proofs stay, and the entries are still known."""
    store = make_store()
    appended = store.append([make_draft(request_id=f"{n}", subject=ID) for n in range(6)], now=5)
    before = seal(store)
    draft = Draft(kind="pruned", content={"policy": "P2Y"}, decided_at=9, request_id="p")
    pruned = store.prune([(1, 3), (4, 5)], draft=draft, now=9)
    assert store.prune([(1, 3), (4, 5)], draft=draft, now=9) == pruned
    assert pruned.index == 6
    assert parse(next(store.entries(6)))["count"] == 3
    stored = list(store.stored())
    assert [one.body is None for one in stored] == [index in (1, 2, 4) for index in range(7)]
    assert [one.leaf_hash for one in stored[:6]] == [one.leaf_hash for one in appended]
    assert len(list(store.entries())) == 4
    assert [record.index for record in store.records_of(ID)] == [0, 3, 5]
    assert [store.index_at(moment) for moment in (5, 6, 10)] == [0, 6, 7]
    assert store.append([make_draft(request_id="1")], now=10) == [appended[1]]
    proof = merkle.consistency_proof(store, old=before.size, new=7)
    assert merkle.consistent(old=6, old_root=before.root, new=7, new_root=store.head().root, proof=proof)


def test_published_checkpoints(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """One process in turn publishes a checkpoint, and a time stamp is kept beside it."""
    first, second = make_store(), make_store()
    assert first.published_checkpoint() is None
    checkpoints = []
    for _ in range(2):
        first.append([make_draft()], now=5)
        checkpoints.append(seal(first))
    assert first.publish_checkpoint(checkpoints[0], at=100, after=50)
    assert not second.publish_checkpoint(checkpoints[0], at=101, after=100)
    assert not second.publish_checkpoint(checkpoints[1], at=101, after=50)
    assert second.publish_checkpoint(checkpoints[1], at=200, after=150)
    second.stamp_checkpoint(2, token=b"token")
    published = first.published_checkpoint()
    assert published is not None
    assert (published.size, published.at, published.note, published.token) == (2, 200, checkpoints[1].note, b"token")
    assert [(one.size, one.at, one.note, one.token) for one in second.published_checkpoints()] == [
        (1, 100, checkpoints[0].note, None),
        (2, 200, checkpoints[1].note, b"token"),
    ]
    assert [first.checkpoint(limit=limit) for limit in (0, 1, 9)] == [None, *(one.note for one in checkpoints)]


def test_bundle(make_store: MakeStore, make_draft: MakeDraft, tmp_path: Path) -> None:
    """A bundle has the entries, those that were pruned too, the documents and the checkpoints, and verifies."""
    store = make_store()
    digest = store.archive(Document(kind="notice", media_type="application/json", data=b'{"schema":1}', language="en"))
    ledger = Ledger(store, signer=SIGNER, clock=lambda: 900.0)
    for number in range(3):
        store.append([make_draft(content={"notice": digest}, subject=ID), make_draft()], now=5 + number)
        assert store.publish_checkpoint(ledger.seal(), at=86_400 * (number + 1), after=86_400 * number)
        store.stamp_checkpoint(2, token=b"token")
    draft = Draft(kind="pruned", content={"ranges": [[0, 1]], "reason": "retention"}, unique="pruned/1")
    store.prune([(0, 1)], draft=draft, now=9)
    write_bundle(ledger, tmp_path / "bundle")
    report = verify.verify(tmp_path / "bundle", key=SIGNER.verifier.text)
    assert report.problems == []
    bodies = (tmp_path / "bundle" / "entries.jsonl").read_bytes().split(b"\n")[:-1]
    assert bodies == [one.body or b"" for one in store.stored()]
    assert [len(list((tmp_path / "bundle").rglob(f"*{digest}*"))) > 0, bodies[0]] == [True, b""]


def test_tokens(make_store: MakeStore) -> None:
    """A token is kept under a name of its own, and taken back once."""
    store = make_store()
    firm = Token(name="firm", digest=b"d" * 32, scopes=("stats", "records"), created_at=5, expires_at=50)
    agency = Token(name="agency", digest=b"e" * 32, scopes=("stats",), created_at=6)
    assert store.tokens() == []
    assert [store.add_token(one) for one in (firm, agency, firm)] == [True, True, False]
    again = Token(name="other", digest=firm.digest, scopes=("stats",), created_at=7)
    assert store.add_token(again) is False
    assert store.tokens() == [agency, firm]
    assert [store.revoke_token("firm", at=20), store.revoke_token("firm", at=30)] == [True, False]
    assert store.revoke_token("nobody", at=20) is False
    assert {token.name: token.state(40) for token in store.tokens()} == {"agency": "valid", "firm": "revoked"}
    assert (firm.state(49), firm.state(50)) == ("valid", "expired")
