"""Make receipt codes, and read them as people type them."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from consent.ledger import code


def test_a_code_holds_140_bits_in_groups() -> None:
    """A code has seven groups of four symbols, every bit of which comes from chance."""
    assert code.fresh(lambda n: b"\0" * n) == "0000-0000-0000-0000-0000-0000-0000"
    assert code.fresh(lambda n: b"\xff" * n) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert len({code.fresh(os.urandom) for _ in range(100)}) == 100


@given(st.binary(min_size=18, max_size=18), st.data())
def test_a_code_is_read_however_it_is_typed(chance: bytes, data: st.DataObject) -> None:
    """Case, spaces, hyphens, and signs that look alike make no difference."""
    made = code.fresh(lambda n: chance[:n])
    alike = {"0": "0Oo", "1": "1IiLl"}
    typed = ""
    for symbol in made:
        spellings = alike.get(symbol, symbol + symbol.lower())
        typed += data.draw(st.sampled_from(["", " ", "-", "  "])) + data.draw(st.sampled_from(spellings))
    assert code.digest(typed) == code.digest(made)


@given(st.text(max_size=60))
def test_anything_typed_has_a_digest(typed: str) -> None:
    """Whatever is typed is 32 bytes, and not those of a code that it is not."""
    made = code.fresh(lambda n: bytes(range(n)))
    assert len(code.digest(typed)) == 32
    assert (code.digest(typed) == code.digest(made)) == (len(typed) >= code.LENGTH and typed.upper() in made)
