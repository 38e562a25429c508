"""Test the tree against published vectors, a naive implementation, and one written by others."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pymerkle  # type: ignore[import-untyped]
import pytest

from consent.ledger import merkle

LEAVES = [
    bytes.fromhex(data)
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The input of the test vectors of Certificate Transparency (transparency-dev/merkle, testonly/reference_test.go)."""
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MOST = 130


class Naive:
    """Hold leaves, and compute every hash from its definition."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.root = functools.cache(self._root)

    def _root(self, first: int, last: int) -> bytes:
        if last - first == 1:
            return self.leaves[first]
        if first == last:
            return merkle.EMPTY_ROOT
        middle = first + (1 << (last - first - 1).bit_length() - 1)
        return merkle.node_hash(self.root(first, middle), self.root(middle, last))

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return hashes of complete subtrees; see merkle.Nodes."""
        assert height % merkle.STRIDE == 0
        assert last << height <= len(self.leaves)
        return [self.root(n << height, n + 1 << height) for n in range(first, last)]


TREE = Naive([merkle.leaf_hash(str(number).encode()) for number in range(2 * 65_536 // 100)])


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    """The roots of the published vectors come out, by appending and by computing."""
    tree = merkle.Frontier()
    for data in LEAVES[:size]:
        tree.append(merkle.leaf_hash(data))
    assert tree.root().hex() == ROOTS[size]
    assert merkle.root(Naive([merkle.leaf_hash(data) for data in LEAVES]), size=size).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ],
)
def test_published_inclusion_proofs(index: int, size: int, proof: list[str]) -> None:
    """The audit paths of the published vectors come out."""
    nodes = Naive([merkle.leaf_hash(data) for data in LEAVES])
    assert [node.hex() for node in merkle.inclusion_proof(nodes, index=index, size=size)] == proof


def test_appending_keeps_the_nodes_a_store_needs() -> None:
    """Appending reports every complete subtree of a kept height, once, with its number and hash."""
    tree, kept = merkle.Frontier(), []
    for leaf in TREE.leaves:
        kept += tree.append(leaf)
    expected = [(8, number, TREE.root(number * 256, (number + 1) * 256)) for number in range(len(TREE.leaves) // 256)]
    assert kept == expected


def test_frontier_round_trip() -> None:
    """A frontier read back from its bytes goes on like the first."""
    tree = merkle.Frontier()
    for number, leaf in enumerate(TREE.leaves[:300]):
        again = merkle.Frontier.from_bytes(bytes(tree), size=number)
        assert again.root() == tree.root() == TREE.root(0, number)
        again.append(leaf)
        tree.append(leaf)
        assert again.roots == tree.roots


def test_frontier_refuses_a_wrong_size() -> None:
    """Roots that cannot cover a tree of that size are refused."""
    with pytest.raises(ValueError, match="3 leaves is covered by 2 subtrees, not 1"):
        merkle.Frontier.from_bytes(b"x" * 32, size=3)


def test_every_inclusion_proof() -> None:
    """For every leaf of every size up to 130 the proof verifies, and none with a leaf, bit, place or length changed."""
    for size in range(MOST + 1):
        root = TREE.root(0, size)
        for index in range(size):
            proof = merkle.inclusion_proof(TREE, index=index, size=size)
            leaf = TREE.leaves[index]
            assert merkle.includes(leaf, index=index, size=size, proof=proof, root=root)
            assert not merkle.includes(TREE.leaves[index + 1], index=index, size=size, proof=proof, root=root)
            assert not merkle.includes(leaf, index=index, size=size, proof=[*proof, root], root=root)
            if proof and (index + size) % 4 == 0:
                assert not merkle.includes(leaf, index=index, size=size, proof=proof[:-1], root=root)
                assert not merkle.includes(leaf, index=index ^ 1, size=size, proof=proof, root=root)
                altered = [*proof[:-1], bytes([proof[-1][0] ^ 1]) + proof[-1][1:]]
                assert not merkle.includes(leaf, index=index, size=size, proof=altered, root=root)


def test_every_consistency_proof() -> None:
    """For every pair of sizes up to 130 the proof verifies, and none that was altered, or for another root."""
    for new in range(MOST + 1):
        for old in range(new + 1):
            proof = merkle.consistency_proof(TREE, old=old, new=new)
            roots = {"old_root": TREE.root(0, old), "new_root": TREE.root(0, new)}
            assert merkle.consistent(old=old, new=new, proof=proof, **roots)
            wrong = roots | {"old_root": b"x" * 32}
            assert not merkle.consistent(old=old, new=new, proof=proof, **wrong)
            if proof and (old + new) % 4 == 0:
                assert not merkle.consistent(old=old, new=new, proof=[*proof, b"x" * 32], **roots)
                assert not merkle.consistent(old=old, new=new, proof=proof[:-1], **roots)
                assert not merkle.consistent(old=old, new=new, proof=proof, **(roots | {"new_root": b"x" * 32}))


def test_proofs_of_a_large_tree() -> None:
    """Proofs that read the kept nodes of a larger tree verify too."""
    size = len(TREE.leaves)
    root = TREE.root(0, size)
    for index in (0, 255, 256, 700, 1_023, 1_024, size - 1):
        proof = merkle.inclusion_proof(TREE, index=index, size=size)
        assert merkle.includes(TREE.leaves[index], index=index, size=size, proof=proof, root=root)
        consistency = merkle.consistency_proof(TREE, old=index, new=size)
        assert merkle.consistent(old=index, old_root=TREE.root(0, index), new=size, new_root=root, proof=consistency)


def test_impossible_questions() -> None:
    """Proofs of what cannot be are refused, and never verify."""
    with pytest.raises(ValueError, match="has no leaf 3"):
        merkle.inclusion_proof(TREE, index=3, size=3)
    with pytest.raises(ValueError, match="has no beginning of 4"):
        merkle.consistency_proof(TREE, old=4, new=3)
    with pytest.raises(ValueError, match="does not reach subtree"):
        merkle.subtree(_Short(), height=0, number=0)
    assert not merkle.includes(b"", index=3, size=3, proof=[], root=b"")
    assert not merkle.consistent(old=4, old_root=b"", new=3, new_root=b"", proof=[])
    assert not merkle.consistent(old=3, old_root=b"", new=4, new_root=b"", proof=[])


class _Short:
    """Know no hash at all."""

    def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
        """Return nothing."""
        return []


def test_another_implementation_agrees() -> None:
    """pymerkle, written by others, has the same roots, and accepts our leaves in its own proofs."""
    theirs, ours = pymerkle.InmemoryTree(algorithm="sha256"), merkle.Frontier()
    for number in range(100):
        data = f"entry {number}".encode()
        theirs.append_entry(data)
        ours.append(merkle.leaf_hash(data))
        assert theirs.get_root() == ours.root()
    proof = theirs.prove_inclusion(58, 100)
    pymerkle.verify_inclusion(merkle.leaf_hash(b"entry 57"), ours.root(), proof)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (3, 3), (1, 8), (5, 100), (64, 130), (0, 130), (7, 8)])
def test_cover_is_without_gaps(first: int, last: int) -> None:
    """The subtrees that cover a range follow each other without a gap, and hash to what they stand for."""
    position = first
    for (height, number), (same, node) in zip(
        merkle.cover(first, last), merkle.cover_hashes(TREE, first=first, last=last), strict=True
    ):
        assert (number << height, height) == (position, same)
        position += 1 << height
        assert node == TREE.root(position - (1 << height), position)
    assert position == last
