from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from torrentlite.limits import MAX_ASKERS
from torrentlite.metainfo.layout import BLOCK_SIZE, Block
from torrentlite.strategy.download import PieceDownload

TAIL = 100
SIZE = 3 * BLOCK_SIZE + TAIL


def download() -> PieceDownload[str]:
    return PieceDownload(7, bytearray(SIZE), 0.0)


def send(target: PieceDownload[str], peer: str, index: int) -> tuple[str, ...] | None:
    length = TAIL if index == 3 else BLOCK_SIZE
    return target.receive(peer, index * BLOCK_SIZE, bytes([index + 1]) * length)


def test_blocks_are_asked_for_from_the_front_and_the_last_is_short() -> None:
    piece = download()
    assert piece.ask("a", 1, 0.0) == [Block(7, 0, BLOCK_SIZE)]
    assert piece.ask("b", 9, 1.0) == [
        Block(7, BLOCK_SIZE, BLOCK_SIZE),
        Block(7, 2 * BLOCK_SIZE, BLOCK_SIZE),
        Block(7, 3 * BLOCK_SIZE, TAIL),
    ]
    assert piece.asked_at == 1.0
    assert piece.ask("c", 9, 2.0) == []
    assert piece.asked_at == 1.0
    assert piece.requested_of("a") == [Block(7, 0, BLOCK_SIZE)]
    assert piece.requested_of("c") == []


def test_a_whole_piece_is_in_its_buffer() -> None:
    piece = download()
    piece.ask("a", 2, 0.0)
    piece.ask("b", 2, 0.0)
    for peer, index in (("b", 3), ("a", 0), ("b", 2), ("a", 1)):
        assert send(piece, peer, index) == ()
    assert piece.missing == 0
    assert piece.contributors() == ["a", "a", "b", "b"]
    assert bytes(piece.buffer or b"") == b"\1" * BLOCK_SIZE + b"\2" * BLOCK_SIZE + b"\3" * BLOCK_SIZE + b"\4" * TAIL


@pytest.mark.parametrize(
    ("begin", "length"),
    [
        (1, BLOCK_SIZE),
        (0, BLOCK_SIZE - 1),
        (0, BLOCK_SIZE + 1),
        (0, 0),
        (3 * BLOCK_SIZE, BLOCK_SIZE),
        (3 * BLOCK_SIZE, TAIL + 1),
        (4 * BLOCK_SIZE, BLOCK_SIZE),
        (SIZE, TAIL),
        (1 << 31, BLOCK_SIZE),
    ],
)
def test_nothing_is_written_that_was_not_asked_for(begin: int, length: int) -> None:
    piece = download()
    piece.ask("a", 9, 0.0)
    assert piece.receive("a", begin, b"x" * length) is None
    assert bytes(piece.buffer or b"") == bytes(SIZE)
    assert piece.missing == 4


def test_strangers_and_duplicates_are_refused() -> None:
    piece = download()
    piece.ask("a", 1, 0.0)
    assert send(piece, "b", 0) is None
    assert send(piece, "a", 1) is None
    assert send(piece, "a", 0) == ()
    assert send(piece, "a", 0) is None


def test_a_late_block_is_taken_while_it_is_missing() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    assert piece.release("a")
    assert send(piece, "a", 1) == ()
    assert piece.free == [3, 2, 0]
    piece.ask("b", 1, 0.0)
    assert send(piece, "a", 0) == ("b",)
    assert send(piece, "b", 0) is None
    assert piece.contributors() == ["a", "a"]
    assert piece.idle


def test_release_gives_back_only_what_nobody_else_is_asked_for() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    assert [block.begin for block in piece.ask_again("b", 2, MAX_ASKERS)] == [0, BLOCK_SIZE]
    assert not piece.release("a", 0b0001)
    assert piece.free == []
    assert piece.release("a")
    assert piece.free == [3, 2]
    assert piece.release("b", 0b0010)
    assert not piece.release("b", 0b0010)
    assert piece.free == [3, 2, 1]


def test_doubles_go_to_the_least_contested_and_are_bounded() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    assert [block.begin // BLOCK_SIZE for block in piece.ask_again("b", 2, MAX_ASKERS)] == [0, 1]
    assert [block.begin // BLOCK_SIZE for block in piece.ask_again("c", 3, MAX_ASKERS)] == [2, 3, 0]
    assert [block.begin // BLOCK_SIZE for block in piece.ask_again("d", 9, MAX_ASKERS)] == [1, 2, 3]
    for index in range(4):
        assert sum(bits >> index & 1 for bits in piece.asked.values()) == MAX_ASKERS
    assert piece.ask_again("e", 9, MAX_ASKERS) == []
    assert "e" not in piece.asked
    assert piece.ask_again("a", 9, MAX_ASKERS) == []


def test_nobody_competes_with_itself() -> None:
    piece = download()
    piece.ask("a", 3, 0.0)
    piece.ask("b", 1, 0.0)
    assert piece.ask_again("a", 9, MAX_ASKERS) == [Block(7, 3 * BLOCK_SIZE, TAIL)]


def test_the_first_copy_of_a_double_ends_the_other_requests() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    piece.ask_again("b", 1, MAX_ASKERS)
    piece.ask_again("c", 4, MAX_ASKERS)
    assert send(piece, "b", 0) == ("a", "c")
    assert send(piece, "a", 1) == ("c",)
    assert send(piece, "a", 0) is None
    assert sorted(piece.requested_of("c")) == [Block(7, 2 * BLOCK_SIZE, BLOCK_SIZE), Block(7, 3 * BLOCK_SIZE, TAIL)]


def test_a_forgotten_peer_leaves_its_blocks_and_sends_no_more() -> None:
    piece = download()
    piece.ask("a", 2, 0.0)
    send(piece, "a", 0)
    assert piece.forget("a")
    assert not piece.forget("a")
    assert piece.free == [3, 2, 1]
    assert piece.contributors() == ["a"]
    assert send(piece, "a", 1) is None


def test_the_blocks_of_liars_can_be_thrown_away() -> None:
    piece = download()
    piece.ask("a", 2, 0.0)
    piece.ask("b", 2, 0.0)
    for peer, index in (("a", 0), ("b", 2), ("b", 3)):
        send(piece, peer, index)
    assert piece.discard(lambda peer: peer == "b")
    assert not piece.discard(lambda peer: peer == "c")
    assert piece.free == [3, 2]
    assert piece.missing == 3
    assert not piece.untouched
    piece.discard(lambda peer: peer == "a")
    assert not piece.untouched
    piece.release("a")
    assert piece.untouched


def test_a_restart_leaves_nothing_to_mix_with() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    send(piece, "a", 0)
    piece.release("a")
    piece.restart("b", 1.0)
    assert (piece.owner, piece.restarts, piece.missing, piece.untouched) == ("b", 1, 4, True)
    assert send(piece, "a", 1) is None


def test_a_spilled_piece_counts_blocks_without_a_buffer() -> None:
    piece = download()
    piece.ask("a", 4, 0.0)
    for index in (0, 1, 3):
        send(piece, "a", index)
    buffer = piece.buffer
    runs = piece.detach()
    assert [(begin, bytes(data)) for begin, data in runs] == [
        (0, b"\1" * BLOCK_SIZE + b"\2" * BLOCK_SIZE),
        (3 * BLOCK_SIZE, b"\4" * TAIL),
    ]
    assert piece.buffer is None
    assert piece.leaving is buffer
    assert send(piece, "a", 2) == ()
    assert piece.missing == 0
    assert piece.detach() == []


def test_repr_tells_how_far_it_is() -> None:
    piece = download()
    piece.ask("a", 2, 0.0)
    send(piece, "a", 0)
    assert repr(piece) == "<PieceDownload 7: 2 free, 3 missing of 4>"


def run_of(*indexes: int) -> list[tuple[int, int, bytes]]:
    return [(7, index * BLOCK_SIZE, bytes([index + 1]) * (TAIL if index == 3 else BLOCK_SIZE)) for index in indexes]


def test_a_run_is_taken_as_one() -> None:
    piece = download()
    piece.ask("a", 9, 0.0)
    assert piece.receive_run("a", run_of(1, 2))
    assert piece.receive_run("a", run_of(0))
    assert piece.missing == 1
    assert piece.senders == ["a", "a", "a", None]
    assert piece.requested_of("a") == [Block(7, 3 * BLOCK_SIZE, TAIL)]
    assert bytes(piece.buffer or b"") == b"".join(data for _, _, data in run_of(0, 1, 2)) + bytes(TAIL)
    assert not piece.receive_run("a", run_of(0)), "twice"


@pytest.mark.parametrize(
    "run",
    [
        run_of(0, 2),
        run_of(1, 0),
        run_of(0, 0),
        run_of(2, 3),  # the last one is short
        [(7, 1, bytes(BLOCK_SIZE))],
        [(7, 0, bytes(BLOCK_SIZE - 1))],
        [(7, 0, bytes(BLOCK_SIZE - 1)), (7, BLOCK_SIZE, bytes(BLOCK_SIZE + 1))],
        [(7, 3 * BLOCK_SIZE, bytes(BLOCK_SIZE))],
        [(7, 1 << 31, bytes(BLOCK_SIZE))],
    ],
)
def test_an_odd_run_is_left_alone(run: list[tuple[int, int, bytes]]) -> None:
    piece = download()
    piece.ask("a", 9, 0.0)
    assert not piece.receive_run("a", run)
    assert bytes(piece.buffer or b"") == bytes(SIZE)
    assert piece.missing == 4


def test_a_run_of_strangers_or_of_many_is_left_alone() -> None:
    piece = download()
    piece.ask("a", 2, 0.0)
    assert not piece.receive_run("b", run_of(0, 1))
    assert not piece.receive_run("a", run_of(0, 1, 2)), "not asked for all of it"
    assert piece.ask_again("b", 1, MAX_ASKERS)
    assert not piece.receive_run("a", run_of(0, 1)), "another is to be told"
    piece.detach()
    assert not piece.receive_run("a", run_of(1)), "there is no buffer to put it in"
    assert piece.missing == 4


@given(st.lists(st.sampled_from(["ask a", "ask b", "again", "run", "block"]), max_size=12), st.randoms())
def test_a_run_is_as_so_many_blocks(steps: list[str], dice: random.Random) -> None:
    whole, single = download(), download()
    for step in steps:
        peer, first = dice.choice("ab"), dice.randrange(4)
        run = run_of(*range(first, dice.randint(first, 3) + 1))
        for piece in (whole, single):
            if step.startswith("ask"):
                piece.ask(step[-1], first + 1, 0.0)
            elif step == "again":
                piece.ask_again(peer, first + 1, MAX_ASKERS)
            elif step == "block" or piece is single or not piece.receive_run(peer, run):
                for _, begin, data in run:
                    piece.receive(peer, begin, data)
        assert whole.senders == single.senders
        assert (whole.missing, whole.asked, whole.free) == (single.missing, single.asked, single.free)
        assert whole.buffer == single.buffer
