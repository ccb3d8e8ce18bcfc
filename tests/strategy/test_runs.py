"""Ranges for a web seed: blocks that follow one another, by the same rules as everybody's."""

import random

from hypothesis import given, settings, strategies as st

from torrentlite.metainfo.layout import BLOCK_SIZE, Layout
from torrentlite.strategy.memory import PieceMemory
from torrentlite.strategy.picker import Picker
from torrentlite.strategy.pieceset import runs
from torrentlite.wire import bitfield

PIECE = 4 * BLOCK_SIZE


def picker(pieces=20, *, memory=1 << 30, last=PIECE):
    layout = Layout(PIECE, [(pieces - 1) * PIECE + last])
    return Picker(layout, PieceMemory(memory), random.Random(1))


def trusted(made, source, pieces=-1):
    """A source that may have a hand in many pieces."""
    made.add_peer(source, bitfield.full(made.layout.piece_count) if pieces < 0 else pieces)
    made._hands[source].trust = 1000


def contiguous(made, blocks):
    ends = [made.layout.offset(block.piece, block.begin) + block.length for block in blocks]
    return all(
        made.layout.offset(block.piece, block.begin) == end for block, end in zip(blocks[1:], ends[:-1], strict=True)
    )


@given(st.integers(0, 2**80), st.integers(1, 30))
def test_runs(pieces, length):
    found = runs(pieces, length)
    for start in range(90):
        expected = all(pieces >> piece & 1 for piece in range(start, start + length))
        assert bool(found >> start & 1) == expected


def test_a_run_is_of_whole_pieces_and_goes_on():
    made = picker()
    trusted(made, "web")
    blocks = made.pick_run("web", 12, 0.0, in_order=True)
    assert [block.piece for block in blocks] == [0] * 4 + [1] * 4 + [2] * 4
    assert made.pick_run("web", 8, 0.0, follow=3)[0].piece == 3
    assert {block.piece for block in made.pick_run("web", 1, 0.0, follow=5)} == {5}, "one piece at least begins"


def test_a_new_source_gets_as_many_pieces_as_it_is_trusted_with():
    made = picker()
    made.add_peer("web", bitfield.full(20))
    assert len({block.piece for block in made.pick_run("web", 100, 0.0)}) == 3
    assert made.pick_run("web", 100, 0.0) == []


def test_memory_is_asked_for_every_piece():
    made = picker(memory=2 * PIECE)
    trusted(made, "web")
    assert len(made.pick_run("web", 100, 0.0)) == 8


def test_what_a_peer_began_and_left_is_completed():
    made = picker(pieces=1)
    made.add_peer("peer", 1)
    (asked,) = made.pick("peer", 1, 0.0)
    made.received("peer", *asked[:2], bytes(BLOCK_SIZE))
    made.remove_peer("peer")
    trusted(made, "web")
    assert [block.begin for block in made.pick_run("web", 100, 0.0)] == [BLOCK_SIZE, 2 * BLOCK_SIZE, 3 * BLOCK_SIZE]


def test_holes_in_a_shared_piece_are_separate_ranges():
    made = picker(pieces=1)
    trusted(made, "peer")
    blocks = made.pick("peer", 4, 0.0)
    made.received("peer", *blocks[1][:2], bytes(BLOCK_SIZE))
    made.remove_peer("peer")
    trusted(made, "web")
    first, second = made.pick_run("web", 100, 0.0), made.pick_run("web", 100, 0.0)
    assert [block.begin for block in first] == [0]
    assert [block.begin for block in second] == [2 * BLOCK_SIZE, 3 * BLOCK_SIZE]


def test_what_a_reader_waits_for_comes_first():
    made = picker()
    trusted(made, "web")
    made.steer((7,), (0b111 << 8,), None)
    assert {block.piece for block in made.pick_run("web", 4, 0.0, follow=3)} == {7}
    assert {block.piece for block in made.pick_run("web", 12, 0.0, follow=3)} == {8, 9, 10}


def test_the_last_blocks_of_a_slow_source_are_asked_of_another():
    made = picker(pieces=2)
    trusted(made, "slow")
    trusted(made, "fast")
    slow = made.pick_run("slow", 8, 0.0)
    doubled = made.pick_run("fast", 100, 1.0)
    assert doubled
    assert set(doubled) < set(slow)
    assert contiguous(made, doubled)
    arrival = made.received("fast", *doubled[0][:2], bytes(BLOCK_SIZE))
    assert arrival.cancel == ("slow",)


def test_on_parole_it_gets_pieces_alone():
    made = picker()
    trusted(made, "web")
    trusted(made, "peer")
    blocks = made.pick_run("web", 4, 0.0, in_order=True, whole_piece=True)
    made.released("web", blocks[2:])
    taken = {block.piece for block in made.pick("peer", 500, 0.0)}
    assert blocks[0].piece not in taken


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(1, 40), st.integers(1, PIECE), st.integers(2, 40))
def test_any_mixture_completes_with_ranges_only(seed, pieces, last, memory):
    """Sources of ranges and peers, who fail and come back: every range follows, nothing is lost, all ends."""
    dice = random.Random(seed)
    made = picker(pieces, memory=memory * PIECE, last=last)
    names = [f"web{number}" for number in range(dice.randint(1, 3))] + ["peer"]
    for name in names:
        made.add_peer(name, bitfield.full(pieces))
    due = {name: [] for name in names}
    now = 0.0
    for _ in range(20_000):
        if made.have == bitfield.full(pieces):
            break
        now += 0.5
        name = dice.choice(names)
        if not due[name]:
            count = dice.randint(1, 40)
            if name == "peer":
                due[name] = list(made.pick(name, count, now))
            else:
                due[name] = list(made.pick_run(name, count, now, follow=dice.randint(-1, pieces)))
                assert contiguous(made, due[name])
        elif dice.random() < 0.05:
            made.remove_peer(name)
            made.add_peer(name, bitfield.full(pieces))
            due[name] = []
        elif dice.random() < 0.05:
            made.released(name, due[name])
            due[name] = []
        else:
            block = due[name].pop(0)
            arrival = made.received(name, block.piece, block.begin, bytes(block.length))
            for other in arrival.cancel:
                due[other] = [each for each in due[other] if each != block]
            if arrival.finished is not None:
                made.piece_right(arrival.finished.piece)
    assert made.have == bitfield.full(pieces)
