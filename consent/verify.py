"""Check evidence of consent offline: python verify.py BUNDLE|RECEIPT [--key VERIFIER_KEY] [--checkpoint EARLIER].

One file, for an auditor who trusts nobody: it needs Python 3.11 and `cryptography`, nothing of ours. It checks that
1. the checkpoint (https://c2sp.org/tlog-checkpoint) is signed by the bundle's key: the one you give, or its successor;
2. the manifest is signed by the same key, and lists every file of the bundle with its SHA-256, and no other file;
3. every entry is canonical JSON, says what an entry must say, and has the leaf hash listed for its place;
4. the leaf hashes in this order, with one hash for each complete subtree that is left out, give the root that was
   signed (RFC 6962), and on the way the roots of all earlier checkpoints;
5. every document is named by its SHA-256, and every document that an entry names is there;
and of a visitor's receipt, that each of its entries leads to its signed checkpoint and says what the receipt says.
Exit status: 0 the evidence verifies, 1 it does not (with the index of the first bad entry), 2 wrong use.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT, FORMATS = "consent-bundle/2", ("consent-bundle/1", "consent-bundle/2")
LARGE, SEALED = ("entries.jsonl", "leaf-hashes.txt"), ("manifest.json", "manifest.sig")
SMALL, LINE, ALIKE = 2**26, 2**20, 10_000  # bytes of a small file and of an entry, and kinds of records kept in mind
LEVELS = (
    "self-signed: what is here fits together, but whoever made the key could have made all of it",
    "pinned key: the holder of the key you gave vouches for it, and could have rewritten it before signing",
    "earlier checkpoint or receipt: nothing recorded before it has been changed, reordered or removed since",
)
KIND = "consent|policy-published|notice-published|erased|pruned|gap|exported|key-rotated|hold|audit|snapshot"
STATUS = "unknown|requested|request-deferred|refused|given|renewed|withdrawn|expired|terminated|invalidated"
IRREGULAR = {"renewed": "RenewedConsentGiven", "terminated": "ConsentRevoked"}  # in the Data Privacy Vocabulary
DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31"
LEAP_DAY = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
TIME = rf"(?!0000)(?:\d{{4}}-(?:{DAY})|{LEAP_DAY})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
DIGEST = r"[0-9a-f]{64}"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
DOCUMENT = re.compile(rb'"(?:facts|notice|rendering|sha256)":"([0-9a-f]{64})"')  # no text looks so in canonical JSON
RECORDED = re.compile(rf'"record":"{UUID}","recorded_at":"({TIME})"'.encode())
DECIDED, SUBJECT = (re.compile(own.encode()) for own in (f'"decided_at":"{TIME}"', f'"subject":"{DIGEST}"'))
OWN = {b"\0": DECIDED, b"\1": SUBJECT, b"\2": RECORDED}  # a record's own values; in their place, what no JSON holds
LEFT_OUT = re.compile(rb"(0|[1-9]\d?) ([0-9a-f]{64})")  # the height and hash of a subtree
NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)?[A-Za-z0-9_-][A-Za-z0-9._-]*")
EARLIER = "the earlier checkpoint"
Check = Callable[[Any], bool]
Files = dict[str, Callable[[], Any]]  # how to open each file of a bundle
Rotation = tuple[int, str, str]  # where which key handed over to which


class Failed(Exception):
    """Say what is wrong with a part of the bundle."""


def text(pattern: str = r"(?s).+", *, null: bool = False) -> Check:
    """Return a check that a value is a text of this form, or null where that is allowed."""
    fits = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: bool(fits(value)) if isinstance(value, str) else null and value is None


def is_policy(value: Any) -> bool:
    """Tell whether a value names one version of a policy in one language."""
    return isinstance(value, dict) and value.keys() == POLICY.keys() and all(POLICY[key](value[key]) for key in POLICY)


POLICY: dict[str, Check] = {"slug": text(), "language": text(), "sha256": text(DIGEST)}
POLICY["version"] = lambda value: type(value) is int or text()(value)
HEADER: dict[str, Check] = {
    **{"kind": text(KIND), "record": text(UUID), "origin": text()},
    **{"decided_at": text(TIME, null=True), "recorded_at": text(TIME), "subject": text(DIGEST, null=True)},
    "schema": lambda value: type(value) is int and value == 1,
    "late": lambda value: isinstance(value, bool),
}
RECORD: dict[str, Check] = HEADER | {
    **dict.fromkeys(("method", "scope", "language", "regime"), text()),
    **dict.fromkeys(("purposes", "services"), lambda it: type(it) is dict and {*map(type, it.values())} <= {bool}),
    **dict.fromkeys(("notice", "rendering"), text(DIGEST, null=True)),
    **{"status": text(STATUS), "country": text(null=True)},
    "policies": lambda value: isinstance(value, list) and all(map(is_policy, value)),
    "signals": lambda value: isinstance(value, dict | list),
}


def integer(digits: str) -> int:
    """Read an integer that every JSON reader keeps exactly; anything else is none."""
    if abs(number := int(digits)) >= 2**53:
        raise ValueError("a number is too large")
    return number


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, no two of one name."""
    if len(made := dict(pairs)) != len(pairs):
        raise ValueError("an object has two members of one name")
    return made


numbers: dict[str, Any] = {"parse_int": integer, "parse_float": integer, "parse_constant": integer}
decode = json.JSONDecoder(object_pairs_hook=unique, **numbers).decode
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def read_entry(data: bytes, *, name: str, files: Iterable[str] | None, alike: set[bytes]) -> dict[str, Any]:
    """Return an entry, or of a record like one before only its time; raise Failed unless it is canonical and valid."""
    shape = data  # records that differ in nothing but well-formed values of their own stand or fall together
    for mark, own in OWN.items():
        shape = own.sub(mark, shape, 1)
    if shape in alike and not any(mark in data for mark in OWN) and (recorded := RECORDED.search(data)):
        return {"recorded_at": recorded[1].decode()}
    try:
        entry = decode(data.decode())
        if encode(entry).encode() != data or not isinstance(entry, dict):
            raise ValueError("it is not an object in canonical form")
    except (ValueError, RecursionError) as error:
        raise Failed(f"is not JSON as it must be: {error}") from None
    fields = RECORD if entry.get("kind") == "consent" else HEADER
    if wrong := [key for key, fits in fields.items() if key not in entry or not fits(entry[key])]:
        raise Failed(f"lacks the field {wrong[0]!r}, or has a value there that is not allowed")
    if fields is RECORD and len(entry) != len(RECORD):
        raise Failed(f"has fields that no consent record has: {', '.join(sorted(entry.keys() - RECORD.keys()))}")
    if entry["origin"].split("://")[-1] != name:
        raise Failed(f"is of another origin, {entry['origin']}")
    named = {f"documents/{digest.decode()}" for digest in DOCUMENT.findall(data)}
    if files is not None and (missing := named.difference(files)):
        raise Failed(f"names what is missing or changed: {', '.join(sorted(missing))}")
    if fields is RECORD and len(alike) < ALIKE:
        alike.add(shape)
    return entry


def joined(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Compute an RFC 6962 root from left to right, and keep in `seen` what it was at the sizes `watched`."""

    def __init__(self, watched: Iterable[int] = ()) -> None:
        self.size, self.watched = 0, frozenset(watched)
        self.parts: list[tuple[int, bytes]] = []  # complete subtrees: height and hash
        self.seen = {0: self.root()}

    def add(self, node: bytes, height: int = 0) -> None:
        """Add a complete subtree of 2^height leaves."""
        if not 0 <= height < 64 or self.size & ((1 << height) - 1) or len(node) != 32:
            raise Failed("has a subtree where none of that height can stand")
        self.size += 1 << height
        while self.parts and self.parts[-1][0] == height:
            node, height = joined(self.parts.pop()[1], node), height + 1
        self.parts.append((height, node))
        if self.size in self.watched:
            self.seen[self.size] = self.root()

    def root(self) -> bytes:
        """Return the root of what is in the tree."""
        node = self.parts[-1][1] if self.parts else hashlib.sha256(b"").digest()
        for _, left in reversed(self.parts[:-1]):
            node = joined(left, node)
        return node


def climbed(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that an audit path leads to from a leaf (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size or bool(path) != (size > 1):
        raise Failed("has a proof for another place")
    if size == 1:
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return joined(climbed(leaf, index, half, path[:-1]), path[-1])
    return joined(path[-1], climbed(leaf, index - half, size - half, path[:-1]))


def unbase64(encoded: str) -> bytes:
    """Read base64 in its one right spelling."""
    if base64.b64encode(data := base64.b64decode(encoded, validate=True)).decode() != encoded:
        raise ValueError("base64 in an unusual spelling")
    return data


@dataclass(frozen=True)
class Key:
    """Check signed notes (https://c2sp.org/signed-note) of one Ed25519 key."""

    name: str
    public: bytes

    @classmethod
    def read(cls, written: str) -> Key:
        """Read `name+id+key`; raise ArgumentTypeError if it is no verifier key."""
        with suppress(ValueError):
            name, _, encoded = written.strip().split("+", 2)
            key = cls(name, unbase64(encoded)[1:])
            if str(key) == written.strip() and len(key.public) == 32:
                return key
        raise argparse.ArgumentTypeError(f"{written!r} is no verifier key: it looks like name+id+key")

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + self.public).decode()}"

    @property
    def id(self) -> bytes:
        """Return the key id of the signed-note specification."""
        return hashlib.sha256(self.name.encode() + b"\n\1" + self.public).digest()[:4]

    def open(self, note: bytes) -> list[str]:
        """Return the lines of a note; raise Failed unless this key signed it."""
        with suppress(ValueError, InvalidSignature):
            said, signatures = note.decode().rsplit("\n\n", 1)
            *signed, end = signatures.split("\n")
            marks = [(dash, name, unbase64(encoded)) for dash, name, encoded in (line.split(" ") for line in signed)]
            own = [signature[4:] for _, name, signature in marks if (name, signature[:4]) == (self.name, self.id)]
            for signature in own:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, f"{said}\n".encode())
            if own and not end and {dash for dash, *_ in marks} == {"\N{EM DASH}"}:
                return said.split("\n")
        raise Failed(f"is not a note that {self} has signed")

    def checkpoint(self, note: bytes) -> tuple[int, bytes]:
        """Return the size and root of a checkpoint that this key signed; raise Failed unless it is one."""
        name, size, root, *_ = [*self.open(note), "", ""]
        with suppress(ValueError):
            if name == self.name and re.fullmatch("0|[1-9][0-9]*", size) and len(unbase64(root)) == 32:
                return int(size), unbase64(root)
        raise Failed("is not a checkpoint of this ledger")


def opened(path: Path) -> Files:
    """Return how to open each file of a bundle, a folder or a zip file, without unpacking it."""
    found: list[tuple[str, Callable[[], Any]]]
    if path.is_file():
        archive = zipfile.ZipFile(path)
        found = [(one.orig_filename, partial(archive.open, one)) for one in archive.infolist()]
        if any(one.file_size > 1000 * one.compress_size + SMALL for one in archive.infolist()):
            raise Failed("holds a file that grows beyond measure")
    else:
        inside = [one for one in path.rglob("*") if one.is_symlink() or not one.is_dir()]
        if any(one.is_symlink() or not one.is_file() for one in inside):
            raise Failed("holds a symbolic link, or what else is neither a file nor a folder")
        found = [(one.relative_to(path).as_posix(), partial(one.open, "rb")) for one in inside]
    if strange := [name for name, _ in found if not NAME.fullmatch(name)]:
        raise Failed(f"holds a file whose name no bundle has: {strange[0]}")
    if len({name.lower() for name, _ in found}) != len(found):
        raise Failed("holds two files of one name")
    return dict(found)


def read(files: Files, name: str) -> bytes:
    """Read one small file."""
    if name not in files:
        raise Failed(f"is missing {name}")
    with files[name]() as file:
        data: bytes = file.read(SMALL + 1)
        if len(data) > SMALL:
            raise Failed("is too large")
    return data


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file without their ends."""
    while line := file.readline(LINE):
        yield line[:-1] if line.endswith(b"\n") else line + b" (no end of line)"


@dataclass
class Report:
    """Gather what is wrong, the index of the first bad entry where there is one, and what was checked."""

    problems: list[str] = field(default_factory=list)
    index: int | None = None
    entries: int = 0
    level: int = 0
    facts: list[str] = field(default_factory=list)

    def blame(self, index: int, problem: str) -> None:
        """Note what is wrong with an entry, if none before it is bad."""
        if self.index is None or index < self.index:
            self.index = index
            self.problems.insert(0, f"entry {index} {problem}")

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note what goes wrong with one part of the bundle, and go on."""
        try:
            yield
        except Exception as error:  # whatever a forger thinks of is a finding, and no traceback
            self.problems.append(f"{name} {error if isinstance(error, Failed) else f'cannot be read: {error}'}")

    def closed(self, key: Key | None) -> Report:
        """Say last which key was used, and, where nothing is wrong, what that proves."""
        self.facts += [f"key: {key}", *([] if self.problems else [f"evidence: {LEVELS[self.level]}"])]
        return self


def verify(path: Path, *, key: Key | None = None, earlier: bytes | None = None) -> Report:
    """Check the bundle at `path`, with a key and an earlier checkpoint or receipt that came another way."""
    report, own, leaves, listed = Report(level=0 if key is None else 1), None, dict[int, bytes](), dict[str, str]()
    with report.part("the bundle"):
        files = opened(path)
        own = Key.read(read(files, "key").decode())
        notes = {name: read(files, name) for name in files if name == "checkpoint" or name.endswith(".note")}
        with report.part(EARLIER):
            if earlier is not None:
                notes[EARLIER], leaves = read_receipt(earlier)[1:3] if earlier[:1] == b"{" else (earlier, leaves)
        with report.part("manifest.json"):
            manifest, said = read(files, "manifest.json"), own.open(read(files, "manifest.sig"))
            if said[0].split(" ")[0] not in FORMATS or said[2:] != [hashlib.sha256(manifest).hexdigest()]:
                raise Failed("is not the one that was signed")
            listed = decode(manifest.decode())["files"]
            if unlike := files.keys() ^ {*listed, *SEALED}:
                raise Failed(f"and the files that are there differ: {', '.join(sorted(unlike))}")
        for name in sorted(files.keys() - {*SEALED}):
            with report.part(name):
                with files[name]() as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    if file.tell() > SMALL and name not in LARGE:
                        raise Failed("is too large")
                if name.startswith("documents/") and name != f"documents/{digest}":
                    del files[name]  # so that the first entry to name it says so too
                    raise Failed("is not the document of that digest")
                if listed.get(name, digest) != digest:
                    raise Failed("is not the file that the manifest lists")
        with report.part("the tree"):
            sizes = [re.match(rb"[^\n]+\n(\d{1,19})\n", note) for note in notes.values()]
            tree = Tree(int(size[1]) for size in sizes if size)
            rotations = check_entries(files, report, tree, name=own.name, leaves=leaves)
            check_checkpoints(report, tree, notes, rotations, own=own, given=key or own)
    return report.closed(key or own)


def check_entries(files: Files, report: Report, tree: Tree, *, name: str, leaves: dict[int, bytes]) -> list[Rotation]:
    """Check every entry and its place in the tree; return where which key handed over to which."""
    proof, newest, alike = decode(read(files, "proof.json").decode()), "", set[bytes]()
    first, last, hidden, gone = proof["first"], proof["last"], 0, array("Q")
    pruned, rotations = list[tuple[int, int]](), list[Rotation]()
    for height, node in proof["before"]:
        tree.add(bytes.fromhex(node), height)
    with files[LARGE[0]]() as entries, files[LARGE[1]]() as hashes:
        bodies = lines(entries)
        for listed in lines(hashes):
            index = tree.size
            if left := LEFT_OUT.fullmatch(listed):
                tree.add(bytes.fromhex(left[2].decode()), int(left[1]))
                hidden += max(0, min(tree.size, last) - max(index, first))
                continue
            data, entry = next(bodies, None), dict[str, Any]()
            leaf = hashlib.sha256(b"\0" + (data or b"")).digest()
            try:
                if data is None:
                    raise Failed("is missing")
                if not data and re.fullmatch(DIGEST.encode(), listed):  # pruned: its hash stands for it
                    leaf = bytes.fromhex(listed.decode())
                    gone.append(index)
                elif listed != leaf.hex().encode():
                    raise Failed("does not have the leaf hash that is listed for it")
                else:
                    entry = read_entry(data, name=name, files=files, alike=alike)
                    if newest > (newest := entry["recorded_at"]):
                        raise Failed("is older than the entry before it")
                if leaves.get(index, leaf) != leaf:
                    raise Failed("is not the one that the receipt holds")
                if entry.get("kind") == "pruned":
                    pruned += [(begin, min(end, index)) for begin, end in entry.get("ranges", ())]
                elif entry.get("kind") == "key-rotated":
                    rotations.append((index, entry["old"], entry["new"]))
                elif not first <= index < last:
                    raise Failed("lies outside: proof.json begins or ends elsewhere than it says")
            except Failed as error:
                report.blame(index, str(error))
            tree.add(leaf)
            report.entries += first <= index < last
        if tree.size < last or next(bodies, None) is not None:
            report.blame(tree.size, "is missing, or one too many")
    for height, node in proof["after"]:
        tree.add(bytes.fromhex(node), height)
    if proof["size"] != tree.size:
        raise Failed("of proof.json begins or ends elsewhere than it says")
    pruned.sort(reverse=True)
    reported = 0
    for index in gone:
        while pruned and pruned[-1][0] <= index:
            reported = max(reported, pruned.pop()[1])
        if index >= reported:
            report.blame(index, "is missing, and no entry of the bundle reports that it was pruned")
            break
    held = f"{report.entries} entries, {first} to {last - 1}," if last > first else "no entries"
    report.facts.append(f"{held} of the {tree.size} in the ledger of {name}")
    report.facts += [f"{len(gone)} of these entries were pruned, as others report"] if gone else []
    if hidden and "filter" not in proof:
        raise Failed(f"leaves out {hidden} entries of its range, and names no filter")
    if hidden:
        report.facts.append(f"{hidden} others of them are left out by the filter {encode(proof['filter'])}: not proved")
    return rotations


def check_checkpoints(
    report: Report, tree: Tree, notes: dict[str, bytes], rotations: list[Rotation], *, own: Key, given: Key
) -> None:
    """Check every checkpoint against the tree, and follow the key that was given to the bundle's own."""
    rotated = [Key.read(written) for _, *both in rotations for written in both if written]
    signed = dict[str, dict[str, tuple[int, bytes]]]()  # by name, then by key: the size and root of a checkpoint
    for name, note in sorted(notes.items()):
        signed[name] = {}
        for key in (own, given, *rotated):
            with suppress(Failed):
                signed[name][str(key)] = key.checkpoint(note)
    trusted = str(given)
    for index, before, after in rotations:
        covering = (by[trusted] for by in signed.values() if trusted in by and by[trusted][0] > index)
        if before == trusted != str(own) and any(tree.seen.get(size) == root for size, root in covering):
            trusted = after
            report.facts.append(f"the key {before} handed over to {after}, as entry {index} says")
    if trusted != str(own):
        report.problems.append(f"key {own} signed this bundle, and {given} does not lead to it")
    for name, by in signed.items():
        with report.part(name):
            if not by:
                raise Failed("is not a checkpoint that a key of this ledger has signed")
            size, root = next(iter(by.values()))
            if name == EARLIER and size not in tree.seen and size < tree.size:
                report.facts.append(f"{name} cannot be tried: its {size} entries end in a part left out")
            elif tree.seen.get(size) != root or (name == "checkpoint" and size != tree.size):
                raise Failed(f"is not of this tree of {tree.size} entries, which lacks the root signed for {size}")
            elif name == EARLIER:
                report.level = 2


def read_receipt(data: bytes) -> tuple[Key, bytes, dict[int, bytes], list[str]]:
    """Return the key and checkpoint of a receipt, the leaf hashes of its entries, and what they say."""
    receipt, leaves, facts = decode(data.decode()), dict[int, bytes](), list[str]()
    key, note = Key.read(receipt["consent:key"]), receipt["consent:checkpoint"].encode()
    size, root = key.checkpoint(note)
    for record in receipt["dpv:hasRecordOfActivity"]:
        index, body = record["consent:index"], record["consent:entry"].encode()
        leaves[index] = hashlib.sha256(b"\0" + body).digest()
        if climbed(leaves[index], index, size, [unbase64(node) for node in record["consent:path"]]) != root:
            raise Failed(f"has a record {index} whose proof does not lead to its checkpoint")
        entry, (event,) = read_entry(body, name=key.name, files=None, alike=set()), record["dpv:hasConsentStatus"]
        answers = {True: "dpv:ConsentGiven", False: "dpv:ConsentRefused"}
        status = IRREGULAR.get(entry["status"], f"Consent{entry['status'].title().replace('-', '')}")
        meant = (
            *(entry["record"], entry["recorded_at"], entry["late"], entry["regime"], entry["scope"]),
            *(f"dpv:{status}", entry["decided_at"], entry["method"]),
            [(service, answers[yes]) for service, yes in entry["services"].items()],
            [*filter(None, [entry["notice"]]), *(policy["sha256"] for policy in entry["policies"])],
        )
        said = (
            *(record["dct:identifier"], *(record[f"consent:{it}"] for it in ("recordedAt", "late", "regime", "scope"))),
            *(event["@type"][0], event["dpv:isIndicatedAtTime"], event["dpv:hasIndicationMethod"]),
            [(one["dct:identifier"], one["dpv:hasConsentStatus"]["@type"]) for one in record["dpv:hasProcess"]],
            [notice["consent:sha256"] for notice in record["dpv:hasNotice"]],
        )
        if said != meant:
            raise Failed(f"has a record {index} that says something else than its entry")
        facts.append(f"{entry['decided_at']} {entry['status']}, record {entry['record']}")
    return key, note, leaves, [f"{len(leaves)} records of the {size} entries in the ledger of {key.name}", *facts]


def verify_receipt(data: bytes, *, key: Key | None = None) -> Report:
    """Check a receipt by itself; held against a later bundle, as `earlier`, it proves more."""
    report, own = Report(level=0 if key is None else 1), key
    with report.part("the receipt"):
        own, _, leaves, report.facts = read_receipt(data)
        report.entries = len(leaves)
        if key not in (None, own):
            raise Failed(f"was signed by the key {own}, and not by the one that was given")
    return report.closed(own)


def parse(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Tell a parser what the command takes."""
    parser.add_argument("evidence", type=Path, help="a bundle (a folder or a .zip file), or a visitor's receipt")
    parser.add_argument("--key", type=Key.read, help="the verifier key (name+id+key), from another way than the bundle")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint, receipt or bundle that somebody kept earlier")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def say(status: int, *told: str) -> int:
    """Print lines whole, with an escape for what would move the cursor or cannot be printed; return the status."""
    to = sys.stderr if status else sys.stdout
    for line in told:
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        print(shown.encode(to.encoding or "utf-8", "backslashreplace").decode(to.encoding or "utf-8"), file=to)
    return status


def run(given: argparse.Namespace) -> int:
    """Verify what was given, print what came of it, and return the exit status."""
    try:
        earlier = None if given.checkpoint is None else kept(given.checkpoint)
        given.evidence.stat()
        is_receipt = given.evidence.is_file() and not zipfile.is_zipfile(given.evidence)
        receipt = kept(given.evidence) if is_receipt else b""
    except (OSError, Failed, zipfile.BadZipFile) as error:
        return say(2, str(error))
    if is_receipt and earlier is not None:
        return say(2, "a receipt is held against a bundle: verify BUNDLE --checkpoint RECEIPT")
    pinned, path = given.key, given.evidence
    report = verify_receipt(receipt, key=pinned) if is_receipt else verify(path, key=pinned, earlier=earlier)
    if given.json:
        print(json.dumps({"verified": not report.problems, **vars(report)}))
        return 1 if report.problems else 0
    say(0, *report.facts)
    if report.problems:
        found = "" if report.index is None else f", first bad entry: {report.index}"
        return say(1, *report.problems, f"NOT VERIFIED{found}")
    return say(0, "verified" if report.entries else "verified, but it holds no entries")


def kept(path: Path) -> bytes:
    """Return a checkpoint or a receipt, or the checkpoint of a bundle."""
    if path.is_dir() or zipfile.is_zipfile(path):
        return read(opened(path), "checkpoint")
    with path.open("rb") as file:
        return file.read(SMALL)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Check a consent bundle, or a receipt, offline.")
    return run(parse(parser).parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
