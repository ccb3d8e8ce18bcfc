from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given, strategies as st

from torrentlite.limits import SPARE_KEPT
from torrentlite.strategy.memory import PieceMemory


def taken(memory: PieceMemory, size: int, *, first: bool = False) -> bytearray | memoryview:
    buffer = memory.take(size, first=first)
    assert buffer is not None
    assert len(buffer) == size
    return buffer


def test_the_limit_holds() -> None:
    memory = PieceMemory(100)
    buffers = [taken(memory, 40), taken(memory, 40)]
    assert memory.take(40) is None
    assert memory.used == 80
    memory.give(buffers.pop())
    assert memory.used == 40
    taken(memory, 60)
    assert memory.used == 100


def test_a_piece_over_the_limit_is_granted_alone() -> None:
    memory = PieceMemory(10)
    buffer = taken(memory, 64)
    assert memory.take(64) is None
    assert memory.take(1) is None
    memory.give(buffer)
    taken(memory, 64)


def test_buffers_are_recycled_by_size() -> None:
    memory = PieceMemory(100)
    first = taken(memory, 40)
    memory.give(first)
    assert taken(memory, 40) is first
    memory.give(first)
    assert len(taken(memory, 30)) == 30


def test_it_is_full_from_a_refusal_to_the_next_change() -> None:
    memory = PieceMemory(100)
    steps: list[Callable[[], object]] = [
        lambda: memory.take(90),
        lambda: memory.take(40),
        lambda: memory.give(bytearray(90)),
        lambda: memory.take(50),
        lambda: memory.take(70),
        lambda: memory.take(10),
    ]
    full = []
    for step in steps:
        step()
        full.append(memory.full)
    assert full == [False, True, False, False, True, False]


def test_what_comes_along_is_spare_as_far_as_the_limit_goes() -> None:
    made = 0

    def fresh(size: int) -> list[bytearray]:
        nonlocal made
        made += 1
        return [bytearray(size) for _ in range(4)]

    memory = PieceMemory(50, fresh)
    buffers = [taken(memory, 10) for _ in range(4)]
    assert made == 1
    buffers.append(taken(memory, 10))
    assert made == 2
    assert memory.take(10) is None
    assert len({id(buffer) for buffer in buffers}) == 5
    memory.give(buffers.pop())
    taken(memory, 10)
    assert made == 2, "three of the second four were over the limit, and this one was given back"


def test_trim_lets_spare_buffers_go() -> None:
    memory = PieceMemory(100)
    buffer = taken(memory, 40)
    memory.give(buffer)
    memory.trim()
    assert taken(memory, 40) is not buffer
    assert memory.used == 40


def test_what_nobody_has_needed_for_a_while_is_let_go() -> None:
    made = 0

    def fresh(size: int) -> list[bytearray]:
        nonlocal made
        made += 1
        return [bytearray(size)]

    memory = PieceMemory(100, fresh)
    one, two = taken(memory, 40), taken(memory, 40)
    memory.give(one)
    memory.tick(1000.0 + SPARE_KEPT)  # one is still out, and the other may be needed in a moment
    taken(memory, 40)
    assert made == 2
    memory.give(one)
    memory.give(two)
    memory.tick(1000.0 + 2 * SPARE_KEPT - 0.1)
    memory.give(taken(memory, 40))
    assert made == 2, "the next piece, of whatever torrent, has it"
    memory.tick(1000.0 + 2 * SPARE_KEPT)
    taken(memory, 40)
    assert made == 3


def test_small_pieces_cannot_starve_a_torrent_with_big_ones() -> None:
    memory = PieceMemory(100)
    small = [taken(memory, 10) for _ in range(10)]
    assert memory.take(50, first=True) is None
    for _ in range(5):
        memory.give(small.pop())
        assert memory.take(10) is None, "room is kept for the one that has nothing"
    taken(memory, 50, first=True)
    memory.give(small.pop())
    taken(memory, 10)


def test_a_hungry_torrent_that_left_blocks_nobody_for_ever() -> None:
    memory = PieceMemory(100)
    small = [taken(memory, 10) for _ in range(10)]
    assert memory.take(90, first=True) is None
    while small:
        memory.give(small.pop())
    taken(memory, 10, first=True)
    taken(memory, 10)


@given(
    st.integers(1, 200),
    st.lists(st.tuples(st.sampled_from([7, 20, 50, 300]), st.booleans(), st.booleans()), max_size=80),
)
def test_used_is_what_is_out(limit: int, steps: list[tuple[int, bool, bool]]) -> None:
    memory = PieceMemory(limit)
    out: list[bytearray] = []
    for size, give, first in steps:
        if give and out:
            memory.give(out.pop(0))
        else:
            lacked = memory.lacks(size)
            buffer = memory.take(size, first=first)
            assert first or (buffer is None) is lacked
            if buffer is None:
                assert out, "one is always granted"
            else:
                assert all(buffer is not other for other in out)
                out.append(buffer)
        assert memory.used == sum(map(len, out))
        assert memory.used <= max(limit, max(map(len, out), default=0))
        spare = sum(map(len, itertools.chain.from_iterable(memory._spare.values())))
        assert spare == memory._spare_bytes
        assert spare == 0 or memory.used + spare <= limit
