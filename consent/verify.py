"""Check a consent bundle offline: python verify.py BUNDLE [--key VERIFIER_KEY] [--checkpoint EARLIER_CHECKPOINT].

One file, for an auditor who trusts nobody: it needs Python 3.11 and `cryptography`, nothing of ours. It checks that
1. the checkpoint (https://c2sp.org/tlog-checkpoint) is signed by the key: the one you give, or else the bundle's own;
2. the manifest is signed by the same key, and lists every file of the bundle with its SHA-256, and no other file;
3. every entry is canonical JSON, says what an entry must say, and has the leaf hash listed for its place;
4. the leaf hashes in this order give the root that was signed (RFC 6962), and that of the earlier checkpoint;
5. every document is named by its SHA-256, and every document that an entry names is there.
Exit status: 0 the bundle verifies, 1 it does not (with the index of the first bad entry), 2 wrong use.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "consent-bundle/1"
LARGE, SEALED = ("entries.jsonl", "leaf-hashes.txt"), ("manifest.json", "manifest.sig")
SMALL, LINE, ALIKE = 2**26, 2**20, 10_000  # bytes of a small file and of an entry, and kinds of records kept in mind
LEVELS = (
    "self-signed: what is here fits together, but whoever made the key could have made all of it",
    "pinned key: the holder of the key you gave vouches for it, and could have rewritten it before signing",
    "earlier checkpoint: nothing that was recorded before it has been changed, reordered or removed since",
)
KIND = "consent|policy-published|notice-published|erased|pruned|gap|exported|key-rotated|hold|audit|snapshot"
STATUS = "unknown|requested|request-deferred|refused|given|renewed|withdrawn|expired|terminated|invalidated"
DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31"
LEAP_DAY = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
TIME = rf"(?!0000)(?:\d{{4}}-(?:{DAY})|{LEAP_DAY})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
DIGEST = r"[0-9a-f]{64}"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
DOCUMENT = re.compile(rb'"(?:facts|notice|rendering|sha256)":"([0-9a-f]{64})"')  # no text looks so in canonical JSON
RECORDED = re.compile(rf'"record":"{UUID}","recorded_at":"({TIME})"'.encode())
DECIDED, SUBJECT = (re.compile(own.encode()) for own in (f'"decided_at":"{TIME}"', f'"subject":"{DIGEST}"'))
OWN = {b"\0": DECIDED, b"\1": SUBJECT, b"\2": RECORDED}  # a record's own values; in their place, what no JSON holds
Head = tuple[int, bytes] | None  # size and root of a tree


class Failed(Exception):
    """Say what is wrong with a part of the bundle."""


def text(pattern: str = r"(?s).+", *, null: bool = False) -> Callable[[Any], bool]:
    """Return a check that a value is a text of this form, or null where that is allowed."""
    fits = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: bool(fits(value)) if isinstance(value, str) else null and value is None


def is_policy(value: Any) -> bool:
    """Tell whether a value names one version of a policy in one language."""
    return isinstance(value, dict) and value.keys() == POLICY.keys() and all(POLICY[key](value[key]) for key in POLICY)


POLICY: dict[str, Callable[[Any], bool]] = {"slug": text(), "language": text(), "sha256": text(DIGEST)}
POLICY["version"] = lambda value: type(value) is int or text()(value)
HEADER: dict[str, Callable[[Any], bool]] = {
    "schema": lambda value: type(value) is int and value == 1,
    "kind": text(KIND),
    "record": text(UUID),
    "origin": text(),
    "decided_at": text(TIME, null=True),
    "recorded_at": text(TIME),
    "late": lambda value: isinstance(value, bool),
    "subject": text(DIGEST, null=True),
}
RECORD: dict[str, Callable[[Any], bool]] = HEADER | {
    **dict.fromkeys(("method", "scope", "language", "regime"), text()),
    **dict.fromkeys(("purposes", "services"), lambda it: type(it) is dict and {*map(type, it.values())} <= {bool}),
    **dict.fromkeys(("notice", "rendering"), text(DIGEST, null=True)),
    "status": text(STATUS),
    "policies": lambda value: isinstance(value, list) and all(map(is_policy, value)),
    "country": text(null=True),
    "signals": lambda value: isinstance(value, dict | list),
}


def integer(digits: str) -> int:
    """Read an integer that every JSON reader keeps exactly; anything else is none."""
    if abs(number := int(digits)) >= 2**53:
        raise ValueError("a number is too large")
    return number


decode = json.JSONDecoder(parse_int=integer, parse_float=integer, parse_constant=integer).decode
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def read_entry(data: bytes, *, name: str, files: set[str], alike: set[bytes]) -> str:
    """Return when an entry was recorded, or raise Failed unless its bytes are canonical and say what they must."""
    shape = data  # records that differ in nothing but well-formed values of their own stand or fall together
    for mark, own in OWN.items():
        shape = own.sub(mark, shape, 1)
    if shape in alike and not any(mark in data for mark in OWN) and (recorded := RECORDED.search(data)):
        return recorded[1].decode()
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
        raise Failed(f"has fields that no consent record has: {', '.join(sorted(set(entry) - set(RECORD)))}")
    if entry["origin"].split("://")[-1] != name:
        raise Failed(f"is of another origin, {entry['origin']}")
    if missing := {f"documents/{digest.decode()}" for digest in DOCUMENT.findall(data)} - files:
        raise Failed(f"names what is missing or changed: {', '.join(sorted(missing))}")
    if fields is RECORD and len(alike) < ALIKE:
        alike.add(shape)
    return str(entry["recorded_at"])


class Tree:
    """Compute an RFC 6962 root from left to right, and keep in `seen` what it was at the size `watched`."""

    def __init__(self, watched: int | None = None) -> None:
        self.size, self.watched = 0, watched
        self.parts: list[tuple[int, bytes]] = []  # complete subtrees: height and hash
        self.seen = self.root() if watched == 0 else None

    def add(self, node: bytes, height: int = 0) -> None:
        """Add a complete subtree of 2^height leaves; one leaf is a subtree of height 0."""
        if not 0 <= height < 64 or self.size & ((1 << height) - 1) or len(node) != 32:
            raise Failed("has a subtree where none of that height can stand")
        self.size += 1 << height
        while self.parts and self.parts[-1][0] == height:
            node, height = hashlib.sha256(b"\1" + self.parts.pop()[1] + node).digest(), height + 1
        self.parts.append((height, node))
        if self.size == self.watched:
            self.seen = self.root()

    def root(self) -> bytes:
        """Return the root of what is in the tree."""
        node = self.parts[-1][1] if self.parts else hashlib.sha256(b"").digest()
        for _, left in reversed(self.parts[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


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
        with contextlib.suppress(ValueError):
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
        try:
            said, signatures = note.decode().rsplit("\n\n", 1)
            if not signatures.endswith("\n"):
                raise ValueError("the last line has no end")
            signed = False
            for line in signatures[:-1].split("\n"):
                dash, name, encoded = line.split(" ")
                signature = unbase64(encoded)
                if dash != "\N{EM DASH}":
                    raise ValueError("a malformed signature line")
                if name == self.name and signature[:4] == self.id:
                    Ed25519PublicKey.from_public_bytes(self.public).verify(signature[4:], f"{said}\n".encode())
                    signed = True
        except (ValueError, InvalidSignature):
            signed = False
        if not signed:
            raise Failed(f"is not a note that {self} has signed")
        return said.split("\n")

    def checkpoint(self, note: bytes) -> tuple[int, bytes]:
        """Return the size and root of a checkpoint that this key signed; raise Failed unless it is one."""
        name, size, root, *_ = [*self.open(note), "", ""]
        if name != self.name or not re.fullmatch("0|[1-9][0-9]*", size, re.ASCII) or len(unbase64(root)) != 32:
            raise Failed("is not a checkpoint of this ledger")
        return int(size), unbase64(root)


class Bundle:
    """Read the files of a bundle, a folder or a zip file, without unpacking it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip = zipfile.ZipFile(path) if path.is_file() else None
        self.close = self._zip.close if self._zip else lambda: None
        found = [] if self._zip else [one for one in path.rglob("*") if one.is_symlink() or not one.is_dir()]
        if any(one.is_symlink() or not one.is_file() for one in found):
            raise Failed("holds a symbolic link, or what else is neither a file nor a folder")
        names = [one.filename for one in self._zip.infolist()] if self._zip else []
        names += [one.relative_to(path).as_posix() for one in found]
        self.names = set(names)
        if len(self.names) != len(names):
            raise Failed("holds two files of one name")

    def open(self, name: str) -> IO[bytes]:
        """Open one file."""
        if name not in self.names:
            raise Failed(f"is missing {name}")
        return self._zip.open(name) if self._zip else (self._path / name).open("rb")

    def read(self, name: str) -> bytes:
        """Read one small file."""
        with self.open(name) as file:
            if len(data := file.read(SMALL + 1)) <= SMALL:
                return data
        raise Failed("is too large")


def lines(file: IO[bytes], digest: Any) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, and hash it on the way."""
    while line := file.readline(LINE):
        digest.update(line)
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

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note what goes wrong with one part of the bundle, and go on."""
        try:
            yield
        except Exception as error:  # whatever a forger thinks of is a finding, and no traceback
            self.problems.append(f"{name} {error if isinstance(error, Failed) else f'cannot be read: {error}'}")


def verify(path: Path, *, key: Key | None = None, earlier: bytes | None = None) -> Report:
    """Check the bundle at `path`, with a key and an earlier checkpoint that came another way where you have them."""
    report = Report()
    with report.part("the bundle"), contextlib.closing(Bundle(path)) as bundle:
        report.level = 0 if key is None else 1 if earlier is None else 2
        key = key or Key.read(bundle.read("key").decode())
        head = known = None
        with report.part("checkpoint"):
            head = key.checkpoint(bundle.read("checkpoint"))
        with report.part("the earlier checkpoint"):
            known = None if earlier is None else key.checkpoint(earlier)
        files, digests = dict[str, str](), dict[str, str]()
        with report.part("manifest.json"):
            manifest = bundle.read("manifest.json")
            said = key.open(bundle.read("manifest.sig"))
            if said[0] != f"{FORMAT} manifest" or said[2:] != [hashlib.sha256(manifest).hexdigest()]:
                raise Failed("is not the one that was signed")
            files = json.loads(manifest)["files"]
            if unlisted := bundle.names ^ {*files, *SEALED}:
                raise Failed(f"and the files that are there differ: {', '.join(sorted(unlisted))}")
        for name in sorted(bundle.names - {*SEALED, *LARGE}):
            with report.part(name):
                digests[name] = hashlib.sha256(bundle.read(name)).hexdigest()
                if name.startswith("documents/") and name != f"documents/{digests[name]}":
                    bundle.names.remove(name)  # so that the first entry to name it says so too
                    raise Failed("is not the document of that digest")
        with report.part("the tree"):
            digests |= check_entries(bundle, report, name=key.name, head=head, known=known)
        for name in sorted(files):
            if digests.get(name, files[name]) != files[name]:
                report.problems.append(f"{name} is not the file that the manifest lists")
        report.facts += [f"key: {key}", *([] if report.problems else [f"evidence: {LEVELS[report.level]}"])]
    return report


def check_entries(bundle: Bundle, report: Report, *, name: str, head: Head, known: Head) -> dict[str, str]:
    """Check every entry, its place in the tree, and the root; return the digests of the two files read."""
    proof, newest, alike, gone = decode(bundle.read("proof.json").decode()), "", set[bytes](), set[int]()
    first, last, pruned = proof["first"], proof["last"], list[range]()
    tree, digests = Tree(known[0] if known else None), [hashlib.sha256(), hashlib.sha256()]
    for height, node in proof["before"]:
        tree.add(bytes.fromhex(node), height)
    if tree.size != first or (head is not None and proof["size"] != head[0]):
        raise Failed("of proof.json begins or ends elsewhere than it says")
    with bundle.open(LARGE[0]) as entries, bundle.open(LARGE[1]) as hashes:
        listed = lines(hashes, digests[1])
        for index, data in enumerate(lines(entries, digests[0]), first):
            leaf, said = hashlib.sha256(b"\0" + data).digest(), next(listed, b"")
            try:
                if not data and re.fullmatch(DIGEST.encode(), said):  # pruned: its hash stands for it
                    leaf = bytes.fromhex(said.decode())
                    gone.add(index)
                elif said != leaf.hex().encode():
                    raise Failed("does not have the leaf hash that is listed for it")
                elif newest > (newest := read_entry(data, name=name, files=bundle.names, alike=alike)):
                    raise Failed("is older than the entry before it")
                told = decode(data.decode())["ranges"] if b'"kind":"pruned"' in data else ()
                pruned += [range(max(begin, first), min(end, index)) for begin, end in told]
            except Failed as error:
                report.blame(index, str(error))
            tree.add(leaf)
            report.entries += 1
        if first + report.entries != last or next(listed, None) is not None:
            report.blame(min(first + report.entries, last), "is missing, or one too many")
    if lost := gone.difference(*pruned):
        report.blame(min(lost), "is missing, and no entry of the bundle reports that it was pruned")
    for height, node in proof["after"]:
        tree.add(bytes.fromhex(node), height)
    if head is not None and (tree.size, tree.root()) != head:
        report.problems.append(f"the tree of {tree.size} entries does not have the root signed for {head[0]}")
    held = f"{last - first} entries, {first} to {last - 1}," if last > first else "no entries"
    report.facts.append(f"{held} of the {head[0] if head else tree.size} in the ledger of {name}")
    report.facts += [f"{len(gone)} of these entries were pruned, as others report"] if gone else []
    if known is not None and tree.seen is None and known[0] < tree.size:
        report.level = min(report.level, 1)
        report.facts.append(f"the earlier checkpoint cannot be tried: its {known[0]} entries end in a part left out")
    elif known is not None and tree.seen != known[1]:
        report.problems.append(f"the tree does not go through the earlier checkpoint at {known[0]} entries")
    return {name: digest.hexdigest() for name, digest in zip(LARGE, digests, strict=True)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run(parse(argparse.ArgumentParser(description="Check a consent bundle offline.")).parse_args(arguments))


def parse(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Tell a parser what the command takes."""
    parser.add_argument("bundle", type=Path, help="a folder or a .zip file")
    parser.add_argument("--key", type=Key.read, help="the verifier key (name+id+key), from another way than the bundle")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of this ledger that somebody kept earlier")
    return parser


def say(*told: str, to: TextIO) -> None:
    """Print lines whole, with an escape for what would move the cursor or cannot be printed."""
    for line in told:
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        print(shown.encode(to.encoding or "utf-8", "backslashreplace").decode(to.encoding or "utf-8"), file=to)


def run(given: argparse.Namespace) -> int:
    """Verify what was given, print what came of it, and return the exit status."""
    try:
        earlier = None if given.checkpoint is None else given.checkpoint.read_bytes()
        given.bundle.stat()
    except OSError as error:
        say(f"{error.filename}: {error.strerror}", to=sys.stderr)
        return 2
    report = verify(given.bundle, key=given.key, earlier=earlier)
    say(*report.facts, to=sys.stdout)
    if report.problems:
        found = "" if report.index is None else f", first bad entry: {report.index}"
        say(*report.problems, f"NOT VERIFIED{found}", to=sys.stderr)
        return 1
    say("verified" if report.entries else "verified, but it holds no entries", to=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
