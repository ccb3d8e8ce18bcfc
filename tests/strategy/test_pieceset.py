from __future__ import annotations

import collections
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite.strategy.availability import Availability
from torrentlite.strategy.pieceset import PieceSet, draw
from torrentlite.wire import bitfield


@given(
    total=st.integers(1, 300),
    start=st.sets(st.integers(0, 299)),
    steps=st.lists(st.tuples(st.sampled_from(["add", "discard", "look"]), st.integers(0, 299)), max_size=60),
)
def test_it_is_a_set(total: int, start: set[int], steps: list[tuple[str, int]]) -> None:
    model = {piece for piece in start if piece < total}
    pieces = PieceSet(bitfield.of(model), total)
    counted = Availability(total)
    for what, piece in steps:
        piece %= total
        if what == "add":
            assert counted.gain(piece, pieces) is (piece not in model)
            model.add(piece)
        elif what == "discard":
            assert pieces.discard(piece) is (piece in model)
            model.discard(piece)
        else:
            assert pieces.bits == bitfield.of(model)
        assert (piece in pieces) is (piece in model)
        assert pieces.count == len(model)
        assert pieces.full is (len(model) == total)
    assert pieces.bits == bitfield.of(model)


def test_many_changes_between_two_looks() -> None:
    pieces = PieceSet(0, 1000)
    counted = Availability(1000)
    for piece in range(0, 1000, 3):
        counted.gain(piece, pieces)
    assert pieces.bits == bitfield.of(range(0, 1000, 3))
    for piece in range(0, 1000, 6):
        pieces.discard(piece)
    assert pieces.bits == bitfield.of(range(3, 1000, 6))


@given(st.sets(st.integers(0, 5000), min_size=1), st.integers(0, 1 << 32))
def test_draw_draws_a_member(members: set[int], seed: int) -> None:
    assert draw(bitfield.of(members), random.Random(seed)) in members


@pytest.mark.parametrize(
    "members",
    [range(1), range(5), range(300), range(5000, 5050), range(0, 9000, 90), [3, 4, 5, 900]],
    ids=["one", "five", "dense", "a crowd far up", "spread", "a crowd and one"],
)
def test_draw_is_uniform_where_pieces_are_not_far_apart(members: range | list[int]) -> None:
    rng = random.Random(0)
    bits = bitfield.of(members)
    tally = collections.Counter(draw(bits, rng) for _ in range(200 * len(members)))
    assert sorted(tally) == list(members)
    assert max(tally.values()) < 200 * 2.5
    assert min(tally.values()) > 200 / 2.5


def test_draw_reaches_every_piece_of_a_thin_set() -> None:
    rng = random.Random(0)
    members = [0, 7, 50_000, 99_999]
    bits = bitfield.of(members)
    assert {draw(bits, rng) for _ in range(200)} <= set(members)
    assert len({draw(bits, rng) for _ in range(200)}) >= 2
