"""Prove many entries of one tree in order of their index, reading and hashing every part of it once."""

from __future__ import annotations

from functools import lru_cache

from consent.ledger import merkle

_KEPT = 64
"""Subtrees of 256 leaves or nodes that are kept in mind: two of each stride would do for a tree of any size."""
_WIDTH = 1 << merkle.STRIDE


class Paths:
    """Give the audit paths of the tree of `size` leaves (RFC 9162, section 2.1.3.1)."""

    def __init__(self, nodes: merkle.Nodes, *, size: int) -> None:
        self._nodes = nodes
        self._size = size
        self._levels = lru_cache(_KEPT)(self._read)
        self._edge = lru_cache(_KEPT)(lambda first: merkle.range_root(nodes, first=first, last=size))

    def of(self, index: int) -> list[bytes]:
        """Return the audit path of one leaf, the lowest node first; raise ValueError if there is no such leaf."""
        if not 0 <= index < self._size:
            raise ValueError(f"a tree of {self._size} leaves has no leaf {index}")
        path, height = [], 0
        while 1 << height < self._size:
            sibling = index >> height ^ 1
            first = sibling << height
            if first + (1 << height) <= self._size:
                path.append(self._node(height, sibling))
            elif first < self._size:
                path.append(self._edge(first))
            height += 1
        return path

    def _node(self, height: int, number: int) -> bytes:
        base = height - height % merkle.STRIDE
        block = number >> (merkle.STRIDE - height + base)
        return self._levels(base, block)[height - base][number - (block << (merkle.STRIDE - height + base))]

    def _read(self, base: int, block: int) -> list[list[bytes]]:
        """Return the levels of one block of nodes, from its lowest up, as far as they are complete."""
        last = min((block + 1) * _WIDTH, self._size >> base)
        levels = [list(self._nodes.hashes(base, first=block * _WIDTH, last=last))]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append([merkle.node_hash(below[n], below[n + 1]) for n in range(0, len(below) - 1, 2)])
        return levels
