"""Decide which counts may be published, so that none under ten can be had from them: by looking, adding or subtracting.

A group is a row of a table: its records are a set of cells, and whoever knows the published rows can compute every sum
and difference of them. So a row is published only while no row under ten lies in the span of what is published
(secondary, or complementary, cell suppression), and what a published total leaves over is ten at least, or nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 10
"""The size of the smallest group that is published."""
_PRIME = (1 << 61) - 1
"""Sums are compared modulo this: a chance agreement, of one in 10¹⁸, would hide a row more and show none."""

Name = tuple[str, ...]
_Vector = dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Describe a row: its sizes, each with the cells it is the sum of, and the row it is a part of.

    The first size is how many records there are, the others how many of them answer about each purpose.
    """

    name: Name
    sizes: tuple[int, ...]
    cells: tuple[frozenset[int], ...]
    parent: Name | None = None

    @property
    def small(self) -> bool:
        """Tell whether the row has to be kept back for its own sake."""
        return _reveals(self.sizes)


def _reveals(sizes: Sequence[int]) -> bool:
    return any(0 < size < LEAST for size in sizes)


def publishable(groups: Sequence[Group]) -> frozenset[Name]:
    """Return the names of the rows that may be published together; parents must come before what is a part of them."""
    if not any(group.small for group in groups):
        return frozenset(group.name for group in groups)
    published: set[Name] = set()
    spans = [_Span(measure, groups) for measure in range(len(groups[0].sizes))]
    children: dict[Name, list[Group]] = defaultdict(list)
    for group in groups:
        if group.parent is not None:
            children[group.parent].append(group)
    level = [group for group in groups if group.parent is None]
    while level:
        for group in sorted(level, key=lambda one: (-one.sizes[0], one.name)):
            if not group.small and all(span.may_take(group) for span in spans):
                for span in spans:
                    span.take(group)
                published.add(group.name)
        level = [child for group in level if group.name in published for child in children[group.name]]
    for parent in groups:
        if parent.name in published:
            for table in sorted({child.name[0] for child in children[parent.name]}):
                rows = [child for child in children[parent.name] if child.name[0] == table]
                _leave_enough(rows, children, published)
    return frozenset(published)


def _leave_enough(rows: Sequence[Group], children: dict[Name, list[Group]], published: set[Name]) -> None:
    """Keep back the smallest of the rows that add up to a published one until the rest is no small group."""
    shown = sorted((row for row in rows if row.name in published), key=lambda one: (one.sizes[0], one.name))
    hidden = [row for row in rows if row.name not in published]
    while hidden and shown and _reveals([sum(sizes) for sizes in zip(*(one.sizes for one in hidden), strict=True)]):
        hidden.append(shown.pop(0))
        _keep_back(children, hidden[-1].name, published)


def _keep_back(children: dict[Name, list[Group]], name: Name, published: set[Name]) -> None:
    published.discard(name)
    for child in children[name]:
        _keep_back(children, child.name, published)


class _Span:
    """Hold what can be computed of one size from the published rows, and what is missing to compute each secret one."""

    def __init__(self, measure: int, groups: Sequence[Group]) -> None:
        self._measure = measure
        self._rows: dict[int, _Vector] = {}
        self._secrets = [self._vector(group) for group in groups if _reveals(group.sizes[measure : measure + 1])]

    def _vector(self, group: Group) -> _Vector:
        return dict.fromkeys(group.cells[self._measure], 1)

    def may_take(self, group: Group) -> bool:
        """Tell whether every secret still cannot be computed with this row."""
        new, pivot = self._left_of(group)
        return not any(_is_multiple(secret, new, pivot) for secret in self._secrets)

    def take(self, group: Group) -> None:
        """Add a row."""
        new, pivot = self._left_of(group)
        if new and self._secrets:
            for vector in (*self._rows.values(), *self._secrets):
                _eliminate(vector, new, pivot)
            self._rows[pivot] = new

    def _left_of(self, group: Group) -> tuple[_Vector, int]:
        """Return what a row adds to those that are there, scaled to one at its pivot."""
        new = self._vector(group)
        for pivot, row in self._rows.items():
            _eliminate(new, row, pivot)
        if not new:
            return new, -1
        pivot = min(new)
        inverse = pow(new[pivot], -1, _PRIME)
        return {cell: value * inverse % _PRIME for cell, value in new.items()}, pivot


def _eliminate(vector: _Vector, row: _Vector, pivot: int) -> None:
    factor = vector.get(pivot, 0)
    if not factor:
        return
    for cell, value in row.items():
        left = (vector.get(cell, 0) - factor * value) % _PRIME
        if left:
            vector[cell] = left
        else:
            vector.pop(cell, None)


def _is_multiple(vector: _Vector, row: _Vector, pivot: int) -> bool:
    factor = vector.get(pivot, 0)
    return (
        bool(factor)
        and vector.keys() == row.keys()
        and all(vector[cell] == factor * value % _PRIME for cell, value in row.items())
    )
