"""Test which entries a filter chooses, and that texts which mean nothing are refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.ledger import merkle
from consent.ledger.checkpoint import Signer
from consent.ledger.entry import Draft
from consent.ledger.formats import as_proofs
from consent.ledger.ledger import Ledger
from consent.ledger.paths import Paths
from consent.ledger.selection import FIELDS, Selection, SelectionError
from consent.ledger.sqlite import SqliteStore

MakeDraft = Callable[..., Draft]
MakeStore = Callable[..., SqliteStore]
NOTICE, OTHER = "ab" * 32, "cd" * 32


def fill(store: SqliteStore, make_draft: MakeDraft) -> None:
    """Append six entries, the first five of them choices, recorded at 10, 20 and 30."""
    policy = {"slug": "privacy", "version": "3", "language": "en", "sha256": NOTICE}
    store.append(
        [make_draft(content={"notice": NOTICE, "policies": [policy]}), make_draft(content={"language": "uk"})], now=10
    )
    store.append([make_draft(content={"status": "withdrawn", "services": {"maps": False}})], now=20)
    store.append([make_draft(content={"signals": {"kind": "gap", "language": "uk", "slug": "privacy"}})], now=20)
    store.append([make_draft(content={"notice": OTHER, "purposes": {"«карти»": True}})], now=30)
    content = {"slug": "privacy", "version": "4", "language": "uk", "sha256": OTHER}
    store.append([Draft(kind="policy-published", content=content, unique="policy")], now=30)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"first": ["1"], "last": ["3"]}, [1, 2]),
        ({"first": ["9"]}, []),
        ({"last": ["99"]}, [0, 1, 2, 3, 4, 5]),
        ({"since": ["1970-01-01T00:00:20Z"], "until": ["1970-01-01T00:00:30Z"]}, [2, 3]),
        ({"since": ["1970-01-01T00:00:20Z"], "first": ["3"]}, [3, 4, 5]),
        ({"kind": ["consent"]}, [0, 1, 2, 3, 4]),
        ({"kind": ["gap"]}, []),
        ({"kind": ["gap", "policy-published"]}, [5]),
        ({"status": ["withdrawn"]}, [2]),
        ({"purpose": ["«карти»"]}, [4]),
        ({"service": ["maps"]}, [2]),
        ({"service": ["youtube"], "status": ["withdrawn"]}, []),
        ({"language": ["uk"]}, [1, 5]),
        ({"policy": ["privacy"]}, [0, 5]),
        ({"policy": ["privacy/3"]}, [0]),
        ({"policy": ["privacy/4"]}, [5]),
        ({"notice": ["ab" * 4]}, [0]),
        ({"notice": [NOTICE, OTHER]}, [0, 4]),
    ],
    ids=str,
)
def test_what_is_chosen(
    make_store: MakeStore, make_draft: MakeDraft, given: dict[str, list[str]], expected: list[int]
) -> None:
    """Of several values one must fit, of several fields all; what an entry says elsewhere does not count."""
    store = make_store()
    fill(store, make_draft)
    selection = Selection.read(given)
    of = selection.span(store, size=6)
    assert [place.index for place in selection.places(store, of=of)] == expected


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"colour": ["red"]}, "colour", "is no filter"),
        ({"first": ["-1"]}, "first", "no index"),
        ({"first": ["²"]}, "first", "no index"),
        ({"last": ["9" * 17]}, "last", "no index"),
        ({"first": ["1", "2"]}, "first", "twice"),
        ({"first": ["3"], "last": ["2"]}, "last", "before the first"),
        ({"since": ["yesterday"]}, "since", "is not a date"),
        ({"until": ["9999-12-31"]}, "until", "is not a date"),
        ({"since": ["2026-01-02"], "until": ["2026-01-01"]}, "until", "is not after"),
        ({"kind": ["choice"]}, "kind", "use one of consent"),
        ({"status": ["yes"]}, "status", "use one of"),
        ({"purpose": [""]}, "purpose", "without spaces"),
        ({"service": ["a b"]}, "service", "without spaces"),
        ({"language": ["\udcff"]}, "language", "without spaces"),
        ({"notice": ["xyz"]}, "notice", "hex digits"),
    ],
    ids=str,
)
def test_what_means_nothing(given: dict[str, list[str]], field: str, said: str) -> None:
    """Each mistake is named with its field."""
    with pytest.raises(SelectionError, match=said) as error:
        Selection.read(given)
    assert error.value.field == field


@given(st.dictionaries(st.sampled_from(FIELDS), st.lists(st.text(max_size=20), max_size=2)))
def test_any_text(given: dict[str, list[str]]) -> None:
    """No text makes reading raise anything else."""
    with contextlib.suppress(SelectionError):
        Selection.read(given).test()


def test_paths(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """Every audit path is that of the plain algorithm, for every leaf of small trees and around powers of two."""

    class Leaves:
        def __init__(self, size: int) -> None:
            self._levels = [[merkle.leaf_hash(bytes([n % 256, n // 256])) for n in range(size)]]
            while len(self._levels[-1]) > 1:
                below = self._levels[-1]
                pairs = range(0, len(below) - 1, 2)
                self._levels.append([merkle.node_hash(below[n], below[n + 1]) for n in pairs])

        def hashes(self, height: int, *, first: int, last: int) -> list[bytes]:
            return self._levels[height][first:last]

    for size in (*range(1, 301), 511, 512, 513, 777):
        leaves = Leaves(size)
        paths = Paths(leaves, size=size)
        for index in range(size) if size < 40 or size > 290 else {0, size // 2, size - 2, size - 1}:
            assert paths.of(index) == merkle.inclusion_proof(leaves, index=index, size=size)
    with pytest.raises(ValueError, match="has no leaf 777"):
        Paths(leaves, size=777).of(777)


def test_proofs(make_store: MakeStore, make_draft: MakeDraft) -> None:
    """The file of proofs names the checkpoint, and each line of it proves one entry of the selection."""
    store = make_store()
    fill(store, make_draft)
    checkpoint = Ledger(store, signer=Signer("meridian.example", seed=b"s" * 32)).seal()
    selection = Selection.read({"language": ["uk"]})
    places = list(selection.places(store, of=selection.span(store, size=6)))
    first, *lines = [
        json.loads(line) for line in b"".join(as_proofs(places, store=store, checkpoint=checkpoint)).splitlines()
    ]
    assert first == {"checkpoint": checkpoint.note.decode()}
    for line, place in zip(lines, places, strict=True):
        assert place.body is not None
        leaf, path = merkle.leaf_hash(place.body), [bytes.fromhex(node) for node in line["path"]]
        assert (line["index"], line["leaf_hash"]) == (place.index, leaf.hex())
        assert merkle.includes(leaf, index=place.index, size=6, proof=path, root=checkpoint.root)
