"""Check evidence of consent offline: python verify.py BUNDLE|RECEIPT [--key VERIFIER_KEY] [--checkpoint EARLIER].

One file, for an auditor who trusts nobody: it needs Python 3.11 and `cryptography`, nothing of ours. It checks that
1. every entry is canonical JSON, says what an entry must say, and has the leaf hash listed for its place;
2. the leaf hashes in this order, with one hash for each complete subtree that is left out, give the root of the signed
   checkpoint (RFC 6962, https://c2sp.org/tlog-checkpoint), and on the way the roots of all earlier checkpoints;
3. every document that an entry names is there under its SHA-256, and the manifest lists all files by theirs;
4. one key signed all of it: the one you give, or its successor;
and that a visitor's receipt leads to its signed checkpoint and says what its entries say. It stops at the first fault.
Time stamps are carried, not checked here (see README.md). Exit status: 0 it verifies, 1 it does not, 2 wrong use.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache, partial, reduce
from itertools import accumulate
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMATS, SEALED = ("consent-bundle/1", "consent-bundle/2"), ("manifest.json", "manifest.sig")
SMALL, LINE = 2**26, 2**20  # bytes of a small file and of a line
EARLIER, UNCHECKED = "the earlier checkpoint", "carried, not checked here"
LEVELS = (
    "self-signed: what is here fits together, but whoever made the key could have made all of it",
    "pinned key: the holder of the key you gave vouches for it, and could have rewritten it before signing",
    "earlier checkpoint or receipt: nothing recorded before it has changed since, but what came after it could have",
)
KIND = "consent|policy-published|notice-published|erased|pruned|gap|exported|key-rotated|hold|audit|snapshot"
STATUS = "unknown|requested|request-deferred|refused|given|renewed|withdrawn|expired|terminated|invalidated"
IRREGULAR = {"renewed": "RenewedConsentGiven", "terminated": "ConsentRevoked"}  # in the Data Privacy Vocabulary
DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31"
LEAP_DAY = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
TIME = rf'"(?!0000)(?:\d{{4}}-(?:{DAY})|{LEAP_DAY})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"'
UUID = '"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"'
DIGEST, TEXT = '"[0-9a-f]{64}"', r'"(?:[^"\\]|\\.)+"'
ANSWERS = rf"\{{(?:{TEXT}:(?:true|false),?)*\}}"
POLICY = rf'\{{"language":{TEXT},"sha256":{DIGEST},"slug":{TEXT},"version":(?:{TEXT}|-?\d+)\}}'
# How each value of an entry may be spelled, in canonical JSON: what all entries have, and what consent records have.
HEADER = {"schema": "1", "kind": f'"(?:{KIND})"', "record": UUID, "origin": TEXT, "late": "true|false"}
HEADER |= {"decided_at": f"null|{TIME}", "recorded_at": TIME, "subject": f"null|{DIGEST}"}
RECORD = HEADER | {"notice": f"null|{DIGEST}", "rendering": f"null|{DIGEST}", "country": f"null|{TEXT}"}
RECORD |= {"status": f'"(?:{STATUS})"', "method": TEXT, "scope": TEXT, "language": TEXT, "regime": TEXT}
RECORD |= {"purposes": ANSWERS, "services": ANSWERS, "policies": rf"\[(?:{POLICY},?)*\]", "signals": r"[\[{].*"}
RECORDED = re.compile(f'"record":{UUID},"recorded_at":({TIME})'.encode())
# What is a record's own, and what may stand there instead; no text looks so in canonical JSON.
ANY = b'"record":"00000000-0000-4000-8000-000000000000","recorded_at":"1970-01-01T00:00:00Z"'
DECIDED, SUBJECT = re.compile(f'"decided_at":{TIME}'.encode()), re.compile(f'"subject":{DIGEST}}}\\Z'.encode())
DOCUMENT = re.compile(rb'"(?:facts|notice|rendering|sha256)":"([0-9a-f]{64})"')
LEFT_OUT = re.compile(rb"(0|[1-9]\d?) ([0-9a-f]{64})\n")  # the height and hash of a subtree
NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)?[A-Za-z0-9_-][A-Za-z0-9._-]*")
Files = dict[str, Callable[[], Any]]  # how to open each file of a bundle; a file by itself has no name


class Failed(argparse.ArgumentTypeError):
    """Say what is wrong with the evidence, or with what was given."""


decode = json.JSONDecoder(  # what not every reader of JSON reads alike is not read as what it would have to be
    object_pairs_hook=lambda pairs: made if len(made := dict(pairs)) == len(pairs) else None,
    parse_int=lambda digits: int(digits) if len(digits) < 16 else digits,
    parse_float=str,
    parse_constant=str,
).decode
encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@lru_cache(4_000)
def read_entry(data: bytes, name: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Return an entry and which documents it names; raise Failed unless it is canonical and says what it must."""
    entry = None
    with suppress(ValueError, RecursionError):
        entry = decode(data.decode())
    if not isinstance(entry, dict) or encode(entry).encode(errors="replace") != data:
        raise Failed("is not JSON as it must be: one object in canonical form")
    fields = RECORD if entry.get("kind") == "consent" else dict.fromkeys(entry, ".*") | HEADER
    for key in fields | entry:
        if key not in entry or not re.fullmatch(fields.get(key, "none"), encode(entry[key]), re.ASCII | re.DOTALL):
            raise Failed(f"lacks the field {key!r}, or has one there that is not allowed")
    if entry["origin"].split("://")[-1] != name:
        raise Failed(f"is of another origin, {entry['origin']}")
    return entry, frozenset(f"documents/{digest.decode()}" for digest in DOCUMENT.findall(data))


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Compute an RFC 6962 root from left to right, and keep in `seen` what it was at the sizes `watched`."""

    def __init__(self, watched: Iterable[int]) -> None:
        self.size, self.watched, self.parts = 0, frozenset(watched), list[tuple[int, bytes]]()  # height, hash
        self.seen = {0: hashlib.sha256(b"").digest()}

    def add(self, node: bytes, height: int = 0) -> None:
        """Add a complete subtree of 2^height leaves."""
        if height and (height > 63 or self.size & ((1 << height) - 1)):
            raise Failed("has a subtree where none of that height can stand")
        self.size += 1 << height
        while self.parts and self.parts[-1][0] == height:
            node, height = node_hash(self.parts.pop()[1], node), height + 1
        self.parts.append((height, node))
        if self.size in self.watched:
            (_, right), *others = reversed(self.parts)
            self.seen[self.size] = reduce(lambda node, left: node_hash(left[1], node), others, right)


def climbed(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that an audit path leads to from a leaf (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size or bool(path) != (size > 1):
        raise Failed("has a proof for another place")
    if size == 1:
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return node_hash(climbed(leaf, index, half, path[:-1]), path[-1])
    return node_hash(path[-1], climbed(leaf, index - half, size - half, path[:-1]))


def unbase64(encoded: str) -> bytes:
    """Read base64 in its one right spelling."""
    if base64.b64encode(data := base64.b64decode(encoded, validate=True)).decode() != encoded:
        raise ValueError("base64 in an unusual spelling")
    return data


def read_key(written: str) -> tuple[str, bytes, bytes]:
    """Return the name, id and Ed25519 key of a verifier key `name+id+key`; raise Failed if it is none."""
    with suppress(ValueError):
        name, digits, encoded = written.split("+", 2)
        data = unbase64(encoded)
        own = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if name and own.hex() == digits and len(data) == 33 and data[0] == 1:
            return name, own, data[1:]
    raise Failed(f"{written!r} is no verifier key: it looks like name+id+key")


def open_note(what: str, note: bytes, keys: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the lines of a signed note (https://c2sp.org/signed-note) and who signed; raise Failed if no key did."""
    signers = set[str]()
    with suppress(ValueError, InvalidSignature):
        said, signatures = note.decode().rsplit("\n\n", 1)
        for line in signatures.removesuffix("\n").split("\n"):
            dash, by, encoded = line.split(" ")
            signature = unbase64(encoded)
            for key, (name, own, public) in ((key, read_key(key)) for key in keys):
                if (dash, by, signature[:4]) == ("\N{EM DASH}", name, own):
                    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], f"{said}\n".encode())
                    signers.add(key)
        if signers and signatures.endswith("\n"):
            return said.split("\n"), signers
    raise Failed(f"{what} is not a note that {' or '.join(sorted(keys))} has signed")


def open_checkpoint(what: str, note: bytes, keys: Iterable[str]) -> tuple[int, bytes, set[str]]:
    """Return the size and root of a checkpoint, and which keys signed it; raise Failed unless one of them did."""
    (name, size, root, *_), signers = open_note(what, note, keys)
    if name != read_key(min(signers))[0] or not re.fullmatch("0|[1-9][0-9]*", size):
        raise Failed(f"{what} is not a checkpoint of this ledger")
    return int(size), unbase64(root), signers


def opened(path: Path) -> Files:
    """Return how to open a file, or each file of a bundle, a folder or a zip file, without unpacking it."""
    found: list[tuple[str, Callable[[], Any]]]
    if path.is_file() and not zipfile.is_zipfile(path):
        return {"": partial(path.open, "rb")}
    if path.is_file():
        archive = zipfile.ZipFile(path)
        found = [(one.orig_filename, partial(archive.open, one)) for one in archive.infolist()]
        if any(one.file_size > 1000 * one.compress_size + SMALL for one in archive.infolist()):
            raise Failed("the bundle holds a file that grows beyond measure")
    else:
        inside = [one for one in path.rglob("*") if one.is_symlink() or not one.is_dir()]
        if any(one.is_symlink() or not one.is_file() for one in inside):
            raise Failed("the bundle holds a symbolic link, or what else is neither a file nor a folder")
        found = [(one.relative_to(path).as_posix(), partial(one.open, "rb")) for one in inside]
    if len({name.lower() for name, _ in found if NAME.fullmatch(name)}) != len(found):
        raise Failed("the bundle holds a file whose name no bundle has, or two of one name")
    return dict(found)


def read(files: Files, name: str) -> bytes:
    """Read one small file."""
    if name not in files:
        raise Failed(f"{name} is missing")
    with files[name]() as file:
        return bytes(file.read(SMALL))  # what is larger is cut off, and so is not what was signed


class Report:
    """Hold what was found, up to the first problem, and the index of the bad entry where it is one."""

    def __init__(self, level: int) -> None:
        self.level, self.entries, self.facts, self.problems = level, 0, list[str](), list[str]()
        self.index: int | None = None


class Bundle:
    """Check the parts of a bundle one against the other; raise Failed at the first that does not fit."""

    def __init__(self, files: Files, report: Report, kept: Files) -> None:
        self.files, self.report, self.leaves = files, report, dict[int, bytes]()  # the leaves of an earlier receipt
        self.key = read(files, "key").decode().strip()
        self.name = read_key(self.key)[0]
        named = ("checkpoint", *(name for name in files if name.endswith(".note")))
        self.notes = {name: read(files, name) for name in named}
        if kept:
            earlier = read(kept, "checkpoint" if "checkpoint" in kept else "")
            self.notes[EARLIER], self.leaves = read_receipt(earlier)[1:3] if earlier[:1] == b"{" else (earlier, {})
        self.digests = dict[str, str]()
        for name, open_file in files.items():
            with open_file() as file:
                self.digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        self.documents = {name for name, digest in self.digests.items() if name == f"documents/{digest}"}
        self.gone, self.newest = list[int](), b""  # where pruned entries stood; when the last one was recorded
        self.events = list[tuple[int, dict[str, Any]]]()  # where others were pruned, or a key handed over
        sizes = (re.findall(rb"\A[^\n]+\n(\d{1,19})\n", note) for note in self.notes.values())
        self.tree = Tree(int(digits) for size in sizes for digits in size)

    def check_entries(self) -> None:
        """Check every entry and its place in the tree."""
        proof, hidden, tree, report = decode(read(self.files, "proof.json").decode()), 0, self.tree, self.report
        first, last = proof["first"], proof["last"]
        with self.files["entries.jsonl"]() as entries, self.files["leaf-hashes.txt"]() as hashes:
            while listed := hashes.readline(LINE):
                report.index = tree.size
                if len(listed) > 65 and (left := LEFT_OUT.fullmatch(listed)):
                    tree.add(bytes.fromhex(left[2].decode()), int(left[1]))
                    hidden += max(0, min(tree.size, last) - max(report.index, first))
                else:
                    tree.add(self.check_entry(report.index, entries.readline(LINE), listed))
                    report.entries += first <= report.index < last
            report.index = tree.size
            if tree.size < last or entries.read(1):
                raise Failed("is missing, or one too many")
        ranges = sorted((begin, min(end, at)) for at, event in self.events for begin, end in event.get("ranges", ()))
        reached = [0, *accumulate((end for _, end in ranges), max)]
        for report.index in self.gone:
            if reached[bisect_left(ranges, (report.index + 1,))] <= report.index:
                raise Failed("is missing, and no entry of the bundle reports that it was pruned")
        report.index = None
        held = f"{report.entries} entries, {first} to {last - 1}," if last > first else "no entries"
        report.facts.append(f"{held} of the {tree.size} in the ledger of {self.name}")
        report.facts += [f"{len(self.gone)} of these entries were pruned, as others report"] if self.gone else []
        if hidden and "filter" not in proof:
            raise Failed(f"proof.json leaves out {hidden} entries of its range, and names no filter")
        if hidden:
            report.facts.append(f"{hidden} others are left out by the filter {encode(proof['filter'])}: not proved")

    def check_entry(self, index: int, line: bytes, listed: bytes) -> bytes:
        """Check one entry, and return its leaf hash."""
        data = line.removesuffix(b"\n")
        pruned = line == b"\n" and re.fullmatch(rb"[0-9a-f]{64}\n", listed)  # its hash stands for it
        leaf = bytes.fromhex(listed.decode()) if pruned else hashlib.sha256(b"\0" + data).digest()
        if not line or listed != leaf.hex().encode() + b"\n":
            raise Failed("is missing, or does not have the leaf hash that is listed for it")
        if self.leaves.get(index, leaf) != leaf:
            raise Failed("is not the one that the receipt holds")
        if pruned:
            self.gone.append(index)
            return leaf
        recorded, alike = RECORDED.search(data), data
        if recorded:  # so that records which differ in nothing else are read once
            before, after = data[: recorded.start()], data[recorded.end() :]
            alike = DECIDED.sub(b'"decided_at":null', before, 1) + ANY + SUBJECT.sub(b'"subject":null}', after)
        entry, named = read_entry(alike, self.name)
        if entry["kind"] != "consent":
            entry, named = read_entry(data, self.name)
        if missing := named - self.documents:
            raise Failed(f"names what is missing or changed: {', '.join(sorted(missing))}")
        if recorded is None or self.newest > recorded[1]:
            raise Failed("is older than the entry before it")
        self.newest = recorded[1]
        if entry["kind"] in ("pruned", "key-rotated"):
            self.events.append((index, entry))
        return leaf

    def check_files(self) -> None:
        """Check that the manifest is signed and lists all files, and that documents are named by their digests."""
        manifest = read(self.files, "manifest.json")
        said, _ = open_note("manifest.json", read(self.files, "manifest.sig"), [self.key])
        if said[0].split(" ")[0] not in FORMATS or said[2:] != [self.digests["manifest.json"]]:
            raise Failed("manifest.json is not the one that was signed")
        listed = decode(manifest.decode())["files"].items() | {(name, self.digests[name]) for name in SEALED}
        misnamed = {name for name in self.files if name.startswith("documents/")} - self.documents
        if unlike := misnamed | {name for name, _ in listed ^ self.digests.items()}:
            raise Failed(f"the manifest and the files that are there differ: {', '.join(sorted(unlike))}")
        stamps = sum(name.endswith(".token") for name in self.files)
        self.report.facts += [f"{stamps} time stamps: {UNCHECKED}"] if stamps else []

    def check_checkpoints(self, given: str) -> None:
        """Check every checkpoint against the tree, and follow the key that was given to the bundle's own."""
        rotations = [(at, event["old"], event["new"]) for at, event in self.events if event["kind"] == "key-rotated"]
        keys = {self.key, given, *(key for _, *both in rotations for key in both if key)}
        opened = {name: open_checkpoint(name, note, keys) for name, note in self.notes.items()}
        for name, (size, root, _) in opened.items():
            if name == EARLIER and size not in self.tree.seen and size < self.tree.size:
                self.report.facts.append(f"{name} cannot be tried: its {size} entries end in a part left out")
            elif self.tree.seen.get(size) != root or (name == "checkpoint" and size != self.tree.size):
                raise Failed(f"{name} is not of this tree: of {self.tree.size} entries, the first {size} differ")
            elif name == EARLIER:
                self.report.level = 2
        for index, old, new in rotations:
            covered = any(old in signers and size > index for size, _, signers in opened.values())
            if covered and old == given != self.key:
                given = new
                self.report.facts.append(f"the key {old} handed over to {new}, as entry {index} says")
        if given != self.key:
            raise Failed(f"the key {self.key} signed this bundle, and {given} does not lead to it")


def read_receipt(data: bytes) -> tuple[str, bytes, dict[int, bytes], list[str]]:
    """Return the key and checkpoint of a receipt, the leaf hashes of its entries, and what they say."""
    if b'"consent:checkpoint"' not in data:
        raise Failed("is neither bundle nor receipt: nothing shows whose it is, or that it is whole; export a bundle")
    receipt, leaves = decode(data.decode()), dict[int, bytes]()
    key, note = receipt["consent:key"], receipt["consent:checkpoint"].encode()
    size, root, _ = open_checkpoint("the receipt", note, [key])
    facts = [f"{len(receipt['dpv:hasRecordOfActivity'])} records of {size} entries in the ledger of {read_key(key)[0]}"]
    for record in receipt["dpv:hasRecordOfActivity"]:
        index, body = record["consent:index"], record["consent:entry"].encode()
        leaves[index] = hashlib.sha256(b"\0" + body).digest()
        if climbed(leaves[index], index, size, [*map(unbase64, record["consent:path"])]) != root:
            raise Failed(f"record {index} of the receipt has a proof that does not lead to its checkpoint")
        (entry, _), (event,) = read_entry(body, read_key(key)[0]), record["dpv:hasConsentStatus"]
        status = IRREGULAR.get(entry["status"], f"Consent{entry['status'].title().replace('-', '')}")
        meant = [entry[name] for name in ("recorded_at", "late", "regime", "scope", "record", "decided_at", "method")]
        meant += [f"dpv:{status}", *filter(None, [entry["notice"], *(it["sha256"] for it in entry["policies"])])]
        meant += [[one, f"dpv:Consent{'Given' if yes else 'Refused'}"] for one, yes in entry["services"].items()]
        said = [record[f"consent:{it}"] for it in ("recordedAt", "late", "regime", "scope")]
        said += [record["dct:identifier"], event["dpv:isIndicatedAtTime"], event["dpv:hasIndicationMethod"]]
        said += [event["@type"][0], *(notice["consent:sha256"] for notice in record["dpv:hasNotice"])]
        said += [[one["dct:identifier"], one["dpv:hasConsentStatus"]["@type"]] for one in record["dpv:hasProcess"]]
        if encode(said) != encode(meant):
            raise Failed(f"record {index} of the receipt says something else than its entry")
        facts.append(f"{entry['decided_at']} {entry['status']}, record {entry['record']}")
    return key, note, leaves, facts


def verify(path: Path, *, key: str | None = None, earlier: Path | None = None) -> Report:
    """Check a bundle or receipt, with a key and an earlier checkpoint, receipt or bundle that came another way."""
    report = Report(level=0 if key is None else 1)
    try:
        files, kept = opened(path), opened(earlier) if earlier else {}
        if "" in files:
            own, _, leaves, report.facts = read_receipt(read(files, ""))
            report.entries = len(leaves)
            if kept or key not in (None, own):
                raise Failed(f"the receipt is signed by {own}: hold another key, or what was kept, against a bundle")
        else:
            bundle = Bundle(files, report, kept)
            own = bundle.key
            bundle.check_entries()
            bundle.check_files()
            bundle.check_checkpoints(key or own)
        report.facts += [f"key: {key or own}", f"evidence: {LEVELS[report.level]}"]
    except Exception as error:  # whatever a forger thinks of is a finding, and no traceback
        problem = str(error) if isinstance(error, Failed) else f"cannot be read: {error!r}"
        report.problems.append(problem if report.index is None else f"entry {report.index} {problem}")
    return report


def run(given: argparse.Namespace, check: Callable[..., Report] = verify) -> int:
    """Verify what was given, print what came of it, and return the exit status."""
    if missing := [path for path in (given.evidence, given.checkpoint) if path and not path.exists()]:
        PARSER.error(f"{missing[0]} is not there")
    report = check(given.evidence, key=given.key, earlier=given.checkpoint)
    bad = "" if report.index is None else f", first bad entry: {report.index}"
    good = "verified" if report.entries else "verified, but it holds no entries"
    told = [*report.facts, *report.problems, f"NOT VERIFIED{bad}" if report.problems else good]
    told = [line.encode("unicode_escape").decode() for line in told]  # so that nothing moves the cursor
    if given.json:
        told = [json.dumps({"verified": not report.problems, **vars(report)})]
    print(*told, sep="\n", file=sys.stderr if report.problems and not given.json else sys.stdout)
    return 1 if report.problems else 0


PARSER = argparse.ArgumentParser(description="Check a consent bundle, or a receipt, offline.")
PARSER.add_argument("evidence", type=Path, help="a bundle (a folder or a .zip file), or a visitor's receipt")
PARSER.add_argument("--key", type=lambda it: read_key(it) and it, help="the verifier key (name+id+key) you trust")
PARSER.add_argument("--checkpoint", type=Path, help="a checkpoint, receipt or bundle that somebody kept earlier")
PARSER.add_argument("--json", action="store_true", help="print one JSON object")
if __name__ == "__main__":
    sys.exit(run(PARSER.parse_args()))
