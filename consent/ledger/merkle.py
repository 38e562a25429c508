"""Build and check Merkle trees as RFC 6962 and RFC 9162 describe them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

STRIDE = 8
"""A store keeps the roots of complete subtrees of 256, 256² … leaves, so that no proof reads many rows."""
EMPTY_ROOT = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one entry (RFC 6962, section 2.1: a zero byte, then the entry)."""
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, section 2.1: a one byte, then both children)."""
    return _sha256(b"\1" + left + right).digest()


class Nodes(Protocol):
    """Read the hashes of complete subtrees."""

    def hashes(self, height: int, *, first: int, last: int) -> Sequence[bytes]:
        """Return the hashes numbered `first` to `last` (excluded) of the complete subtrees of 2^height leaves.

        `height` is a multiple of STRIDE; height 0 are the leaf hashes.
        """


class Frontier:
    """Hold the roots of the complete subtrees that cover a tree: all that appending needs."""

    __slots__ = ("roots", "size")

    def __init__(self, size: int = 0, *, roots: Iterable[bytes] = ()) -> None:
        self.size = size
        self.roots = list(roots)
        if len(self.roots) != size.bit_count():
            raise ValueError(
                f"a tree of {size} leaves is covered by {size.bit_count()} subtrees, not {len(self.roots)}"
            )

    @classmethod
    def from_bytes(cls, data: bytes, *, size: int) -> Frontier:
        """Read what `bytes()` wrote."""
        return cls(size, roots=(data[n : n + 32] for n in range(0, len(data), 32)))

    def __bytes__(self) -> bytes:
        return b"".join(self.roots)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash; return (height, number, hash) of each subtree it completes whose height a store keeps."""
        number, height, node, kept = self.size, 0, leaf, []
        while number & 1:
            node = _sha256(b"\1" + self.roots.pop() + node).digest()
            number >>= 1
            height += 1
            if not height % STRIDE:
                kept.append((height, number, node))
        self.roots.append(node)
        self.size += 1
        return kept

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        return _joined(self.roots) if self.roots else EMPTY_ROOT


def _joined(roots: Sequence[bytes]) -> bytes:
    node = roots[-1]
    for left in reversed(roots[:-1]):
        node = node_hash(left, node)
    return node


def cover(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield (height, number) of the largest complete subtrees that cover the leaves `first` to `last` (excluded)."""
    while first < last:
        height = (last - first).bit_length() - 1
        if first:
            height = min(height, (first & -first).bit_length() - 1)
        yield height, first >> height
        first += 1 << height


def subtree(nodes: Nodes, *, height: int, number: int) -> bytes:
    """Return the hash of one complete subtree of 2^height leaves."""
    width = 1 << height % STRIDE
    level = list(nodes.hashes(height - height % STRIDE, first=number * width, last=(number + 1) * width))
    if len(level) != width:
        raise ValueError(f"the tree does not reach subtree {number} of height {height}")
    while len(level) > 1:
        level = [node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


def cover_hashes(nodes: Nodes, *, first: int, last: int) -> list[tuple[int, bytes]]:
    """Return (height, hash) of the subtrees that cover a range: what stands for the leaves that are left out."""
    return [(height, subtree(nodes, height=height, number=number)) for height, number in cover(first, last)]


def range_root(nodes: Nodes, *, first: int, last: int) -> bytes:
    """Return the hash of the leaves `first` to `last` (excluded) as one tree; `first` must be aligned to its width."""
    if first == last:
        return EMPTY_ROOT
    return _joined([node for _, node in cover_hashes(nodes, first=first, last=last)])


def root(nodes: Nodes, *, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return range_root(nodes, first=0, last=size)


def _split(width: int) -> int:
    return 1 << (width - 1).bit_length() - 1


def inclusion_proof(nodes: Nodes, *, index: int, size: int) -> list[bytes]:
    """Return the audit path of one leaf in the tree of `size` leaves (RFC 9162, section 2.1.3.1).

    Raises ValueError if the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path, first, last = [], 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(range_root(nodes, first=middle, last=last))
            last = middle
        else:
            path.append(range_root(nodes, first=first, last=middle))
            first = middle
    return path[::-1]


def consistency_proof(nodes: Nodes, *, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is the beginning of that of `new` leaves (RFC 9162, 2.1.4.1).

    Raises ValueError if the older tree is the larger one.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves has no beginning of {old}")
    if old in (0, new):
        return []
    path, first, last, whole = [], 0, new, True
    while old != last:
        middle = first + _split(last - first)
        if old <= middle:
            path.append(range_root(nodes, first=middle, last=last))
            last = middle
        else:
            path.append(range_root(nodes, first=first, last=middle))
            first, whole = middle, False
    if not whole:
        path.append(range_root(nodes, first=first, last=last))
    return path[::-1]


def includes(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether an audit path leads from a leaf hash to a root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, end, node = index, size - 1, leaf
    for sibling in proof:
        if end == 0:
            return False
        if number & 1 or number == end:
            node = node_hash(sibling, node)
            while not number & 1 and number:
                number >>= 1
                end >>= 1
        else:
            node = node_hash(node, sibling)
        number >>= 1
        end >>= 1
    return end == 0 and node == root


def consistent(*, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the older tree is the beginning of the newer one (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if not old & (old - 1):
        path.insert(0, old_root)
    if not path:
        return False
    number, end = old - 1, new - 1
    while number & 1:
        number >>= 1
        end >>= 1
    older = newer = path[0]
    for sibling in path[1:]:
        if end == 0:
            return False
        if number & 1 or number == end:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not number & 1 and number:
                number >>= 1
                end >>= 1
        else:
            newer = node_hash(newer, sibling)
        number >>= 1
        end >>= 1
    return end == 0 and older == old_root and newer == new_root
