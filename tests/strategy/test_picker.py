from __future__ import annotations

import random

import pytest

from torrentlite import limits
from torrentlite.metainfo.layout import BLOCK_SIZE, Block, Layout
from torrentlite.strategy.memory import PieceMemory
from torrentlite.strategy.picker import Arrival, Picker
from torrentlite.strategy.wants import RANDOM_FIRST
from torrentlite.wire import bitfield

DATA = bytes(BLOCK_SIZE)


def new(
    pieces: int, blocks: int = 4, *, memory: int = 1000, seed: int = 0, sequential: bool = False
) -> tuple[Picker[str], PieceMemory]:
    """A picker for pieces of so many blocks, with memory for so many pieces."""
    pool = PieceMemory(memory * blocks * BLOCK_SIZE)
    layout = Layout(blocks * BLOCK_SIZE, [pieces * blocks * BLOCK_SIZE])
    return Picker(layout, pool, random.Random(seed), sequential=sequential), pool


def trusting(picker: Picker[str], *peers: str) -> None:
    """As if these peers had long proved themselves."""
    for peer in peers:
        picker._hands[peer].trust = 1_000_000


def deliver(picker: Picker[str], peer: str, blocks: list[Block]) -> list[Arrival[str]]:
    return [picker.received(peer, block.piece, block.begin, DATA[: block.length]) for block in blocks]


def fetch(picker: Picker[str], peer: str, piece: int) -> None:
    """Have this peer bring this piece, right."""
    blocks = picker.pick(peer, 1000, 0.0, only=1 << piece)
    deliver(picker, peer, blocks)
    picker.piece_right(piece)


def numbers(blocks: list[Block]) -> list[int]:
    """The pieces of these blocks, each once."""
    return list(dict.fromkeys(block.piece for block in blocks))


# -- the order of choice


def test_a_peer_goes_on_with_its_piece_then_helps_others_then_begins_one() -> None:
    picker, _ = new(10)
    for peer in ("a", "b"):
        picker.add_peer(peer, bitfield.full(10))
    first = picker.pick("a", 2, 0.0)
    second = picker.pick("b", 1, 0.0)
    assert numbers(second) == numbers(first), "shared before a new one is begun"
    assert numbers(picker.pick("a", 1, 0.0)) == numbers(first)
    third = picker.pick("b", 3, 0.0)
    assert len(third) == 3
    assert numbers(third) != numbers(first)
    picker.released("a", first)
    assert picker.pick("a", 2, 0.0) == first, "its own before that of another"
    assert numbers(picker.pick("a", 9, 0.0))[:1] == numbers(third)


def test_what_few_have_is_begun_before_what_others_are_at() -> None:
    picker, _ = new(20)
    common = bitfield.full(10)
    picker.add_peer("seed", bitfield.full(20))
    for peer in ("a", "b", "c"):
        picker.add_peer(peer, common)
    trusting(picker, "seed")
    for piece in range(RANDOM_FIRST):
        fetch(picker, "a", piece)
    assert picker.pick("a", 1, 0.0)[0].piece < 10
    assert picker.pick("b", 1, 0.0)[0].piece < 10
    assert picker.pick("seed", 1, 0.0)[0].piece >= 10
    for piece in range(10, 20):
        picker.peer_has("c", piece)
    assert numbers(picker.pick("seed", 30, 0.0))[1] >= 10, "half as many have it"
    picker, _ = new(20)
    picker.add_peer("seed", bitfield.full(20))
    picker.add_peer("a", common)
    shared = picker.pick("a", 1, 0.0)
    picker.add_peer("b", bitfield.full(20))
    assert numbers(picker.pick("seed", 1, 0.0)) == numbers(shared), "not when nearly as many have it"


def test_blocks_that_nobody_brings_are_given_to_others() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    picker.add_peer("b", 1)
    blocks = picker.pick("a", 4, 0.0)
    picker.released("a", blocks[1:3])
    assert picker.pick("b", 9, 0.0) == blocks[1:3]
    picker.remove_peer("a")
    assert picker.pick("b", 9, 0.0) == [blocks[0], blocks[3]]


def test_a_peer_is_asked_only_for_what_it_has() -> None:
    picker, _ = new(8)
    picker.add_peer("a", 0b0001_0000)
    picker.add_peer("b", 0b1000_0000)
    assert numbers(picker.pick("a", 99, 0.0)) == [4]
    assert numbers(picker.pick("b", 99, 0.0)) == [7]
    picker.peer_has("b", 0)
    assert numbers(picker.pick("b", 99, 0.0)) == [0]
    picker.set_pieces("b", 0b10)
    assert numbers(picker.pick("b", 99, 0.0)) == [1]
    assert picker.pick("b", 0, 0.0) == []


def test_the_first_pieces_are_drawn_at_random_and_then_the_rarest_go_first() -> None:
    firsts = []
    for seed in range(20):
        picker, _ = new(100, 1, seed=seed)
        picker.add_peer("a", bitfield.full(100))
        picker.add_peer("b", bitfield.full(97))
        trusting(picker, "a")
        firsts += numbers(picker.pick("a", 1, 0.0))
        for piece in range(RANDOM_FIRST):
            if not picker.have >> piece & 1:
                picker.remove_peer("a")
                picker.add_peer("a", bitfield.full(100))
                fetch(picker, "a", piece)
        assert sorted(numbers(picker.pick("a", 3, 0.0))) == [97, 98, 99]
    assert len(set(firsts)) > 10
    assert min(firsts) < 97


def test_in_order_when_sequential() -> None:
    picker, _ = new(50, 2, sequential=True)
    picker.add_peer("a", bitfield.full(50) & ~0b10)
    trusting(picker, "a")
    assert numbers(picker.pick("a", 8, 0.0)) == [0, 2, 3, 4]
    picker.set_sequential(False)
    assert numbers(picker.pick("a", 40, 0.0)) != list(range(5, 25))


def test_priority_goes_before_all_else() -> None:
    picker, _ = new(50, 2)
    picker.add_peer("a", bitfield.full(50))
    trusting(picker, "a")
    picker.set_priority(bitfield.of([7, 30]))
    assert sorted(numbers(picker.pick("a", 4, 0.0))) == [7, 30]
    assert len(picker.pick("a", 4, 0.0)) == 4


def test_priorities_go_in_their_order() -> None:
    picker, _ = new(50, 1)
    picker.add_peer("a", bitfield.full(50))
    trusting(picker, "a")
    picker.set_priority(1 << 9, 1 << 3, bitfield.full(50) & ~0b110, 0b100)
    order = [numbers(picker.pick("a", 1, 0.0))[0] for _ in range(50)]
    assert order[:2] == [9, 3]
    assert order[-2:] == [2, 1]


# -- readers


def test_what_somebody_waits_for_comes_first_then_what_readers_come_to_in_turn() -> None:
    picker, _ = new(60, 1)
    for peer in ("a", "b", "slow"):
        picker.add_peer(peer, bitfield.full(60))
    trusting(picker, "a", "b", "slow")
    begun = numbers(picker.pick("a", 1, 0.0))
    picker.steer([33, 8], [bitfield.span(range(33, 36)), bitfield.span(range(8, 11))], None)
    order = [numbers(picker.pick("b", 1, 0.0))[0] for _ in range(6)]
    assert order[:2] == [33, 8]
    assert sorted(order[2:]) == [9, 10, 34, 35]
    assert order[2:] in ([34, 9, 35, 10], [9, 34, 10, 35])
    assert not set(numbers(picker.pick("b", 5, 0.0))) & {33, 8, 34, 9, 35, 10, *begun}


def test_a_piece_that_is_waited_for_is_shared_out_at_once() -> None:
    picker, _ = new(20, 16)
    for peer in "abc":
        picker.add_peer(peer, bitfield.full(20))
    picker.steer([7], [], None)
    assert (picker.urgent, picker.urgent_blocks, picker.unasked) == (1 << 7, 16, True)
    shares = {
        peer: picker.pick(peer, 100, 0.0, share=share) for peer, share in zip("abc", (0.5, 0.3, 0.2), strict=True)
    }
    assert {peer: len(blocks) for peer, blocks in shares.items()} == {"a": 8, "b": 5, "c": 3}
    assert len(set().union(*shares.values())) == 16
    assert not picker.unasked
    assert picker.pick("a", 100, 0.0, share=1.0) == [], "nothing else is asked for"
    assert picker.pick("a", 100, 0.0, share=1.0, whole_piece=True) == []


def test_late_blocks_that_somebody_waits_for_are_asked_of_proven_peers_too() -> None:
    picker, _ = new(20, 4)
    for peer in ("slow", "quick"):
        picker.add_peer(peer, bitfield.full(20))
    trusting(picker, "quick")
    picker.steer([7], [], None)
    asked = picker.pick("slow", 4, 0.0)
    assert numbers(picker.pick("quick", 2, limits.URGENT_LATE / 2)) != [7]
    assert picker.pick("quick", 4, limits.URGENT_LATE) == asked
    arrivals = deliver(picker, "quick", asked)
    assert [arrival.cancel for arrival in arrivals] == [("slow",)] * 4


def test_nothing_is_begun_where_no_reader_comes() -> None:
    picker, memory = new(20, 2)
    picker.add_peer("a", bitfield.full(20))
    trusting(picker, "a")
    picker.steer([4], [0b110000], 0b110000)
    assert numbers(picker.pick("a", 100, 0.0)) == [4, 5]
    picker.released("a", picker.requests_of("a")[1:])
    deliver(picker, "a", picker.requests_of("a"))
    picker.steer([], [], 0)
    assert picker.interesting("a"), "it stays so: the reader may come back"
    assert picker.pick("a", 100, 1.0) == []
    assert picker.partials.in_flight == 0
    picker.shed(1.0)
    assert memory.used
    picker.shed(1.0 + limits.PARTIAL_KEPT)
    assert not memory.used


def test_what_somebody_waits_for_gets_memory_and_hands_beyond_the_limits() -> None:
    picker, _ = new(40, 4, memory=3)
    picker.add_peer("a", bitfield.full(40))
    for number in range(3):
        picker.pick("a", 1, 0.0, only=1 << number)
    assert picker.pick("a", 8, 0.0, only=1 << 9) == [], "no memory, and a new peer has its hands full"
    picker.steer([9, 10, 11], [], None)
    assert numbers(picker.pick("a", 12, 0.0, only=0b111 << 9)) == [9]


def test_a_suspect_that_somebody_waits_for_comes_from_one_peer_alone() -> None:
    picker, _ = new(10, 2)
    for peer in ("a", "b"):
        picker.add_peer(peer, bitfield.full(10))
    deliver(picker, "a", picker.pick("a", 1, 0.0, only=1 << 3))
    deliver(picker, "b", picker.pick("b", 1, 0.0, only=1 << 3))
    picker.piece_wrong(3)
    picker.steer([3], [], None)
    assert len(picker.pick("a", 1, 0.0)) == 1
    assert 3 not in numbers(picker.pick("b", 4, 0.0))
    assert numbers(picker.pick("a", 1, 0.0)) == [3]


def test_only_allowed_pieces_while_choked() -> None:
    picker, _ = new(20)
    picker.add_peer("a", bitfield.full(20))
    picker.add_peer("b", bitfield.full(20))
    picker.pick("b", 1, 0.0)
    assert numbers(picker.pick("a", 9, 0.0, only=1 << 5)) == [5]
    assert picker.pick("a", 9, 0.0, only=1 << 5) == []
    assert picker.pick("a", 9, 0.0, only=0) == []


def test_slow_peers_take_common_pieces_and_share_them_among_themselves() -> None:
    picker, _ = new(20)
    picker.add_peer("fast", bitfield.full(20))
    picker.add_peer("slow", bitfield.full(20))
    picker.add_peer("slower", bitfield.full(20))
    picker.add_peer("other", 1 << 11)
    trusting(picker, "fast", "slow", "slower")
    for piece in range(RANDOM_FIRST):
        fetch(picker, "fast", piece)
    of_fast = numbers(picker.pick("fast", 1, 0.0))
    of_slow = numbers(picker.pick("slow", 1, 0.0, slow=True))
    assert of_slow == [11]
    assert of_fast != [11]
    assert numbers(picker.pick("slower", 1, 0.0, slow=True)) == of_slow
    assert of_slow[0] not in numbers(picker.pick("fast", 4 * 14, 0.0)), "while there are others to begin"


def test_a_fast_peer_completes_pieces_of_slow_ones_when_nothing_else_is_left() -> None:
    picker, _ = new(2)
    for peer in ("fast", "slow"):
        picker.add_peer(peer, bitfield.full(2))
    slow = picker.pick("slow", 1, 0.0, slow=True)
    blocks = picker.pick("fast", 9, 0.0)
    assert len(blocks) == 7
    assert numbers(blocks)[1] == slow[0].piece


# -- memory


def test_without_memory_pieces_are_shared_and_none_is_begun() -> None:
    picker, memory = new(20, memory=2)
    for peer in ("a", "b"):
        picker.add_peer(peer, bitfield.full(20))
    blocks = picker.pick("a", 6, 0.0)
    assert len(picker.pick("b", 99, 0.0)) == 2
    assert picker.pick("b", 99, 0.0) == []
    assert memory.full
    deliver(picker, "a", blocks[:4])
    assert picker.pick("b", 99, 0.0) == [], "its memory comes back with the verdict"
    picker.piece_right(blocks[0].piece)
    assert len(picker.pick("b", 99, 0.0)) == 4


def test_no_piece_is_drawn_that_there_is_no_memory_for() -> None:
    dice = random.Random(0)
    memory = PieceMemory(2 * BLOCK_SIZE + 5)
    picker: Picker[str] = Picker(Layout(BLOCK_SIZE, [9 * BLOCK_SIZE + 5]), memory, dice)
    picker.add_peer("a", bitfield.full(9))
    picker.add_peer("b", 1 << 9)
    trusting(picker, "a", "b")
    assert len(picker.pick("a", 2, 0.0)) == 2
    assert len(picker.pick("b", 9, 0.0)) == 1, "the last piece is short, and there is room for it"
    before = dice.getstate()
    assert picker.pick("b", 9, 0.0) == []
    assert not memory.full, "it was refused nothing: it has nothing else"
    assert picker.pick("a", 9, 0.0) == []
    assert memory.full
    assert dice.getstate() == before


def test_a_piece_of_which_nothing_came_gives_its_memory_back() -> None:
    picker, memory = new(20)
    picker.add_peer("a", bitfield.full(20))
    picker.add_peer("b", bitfield.full(20))
    picker.pick("a", 6, 0.0)
    picker.pick("b", 2, 0.0)
    picker.remove_peer("b")
    assert memory.used == 2 * 4 * BLOCK_SIZE
    picker.remove_peer("a")
    assert memory.used == 0
    assert picker.partials.in_flight == 0


def test_the_last_piece_takes_no_more_memory_than_it_has_bytes() -> None:
    memory = PieceMemory(1 << 20)
    picker: Picker[str] = Picker(Layout(4 * BLOCK_SIZE, [4 * BLOCK_SIZE + 5]), memory, random.Random(0))
    picker.add_peer("a", 0b10)
    assert picker.pick("a", 9, 0.0) == [Block(1, 0, 5)]
    assert memory.used == 5


def test_a_stalled_piece_is_spilled_and_goes_on_without_memory() -> None:
    picker, memory = new(3, memory=1)
    picker.add_peer("slow", 0b001)
    picker.add_peer("fast", 0b110)
    blocks = picker.pick("slow", 4, 0.0)
    deliver(picker, "slow", [blocks[1]])
    assert picker.pick("fast", 4, 1.0) == []
    assert memory.full
    assert picker.partials.candidate_to_spill(limits.STALLED_AFTER - 0.1) is None
    stalled = picker.partials.candidate_to_spill(limits.STALLED_AFTER)
    assert stalled is not None
    assert stalled.piece == 0
    assert [(begin, len(data)) for begin, data in picker.partials.spill(stalled)] == [(BLOCK_SIZE, BLOCK_SIZE)]
    assert picker.pick("fast", 4, 20.0) == [], "until it is written"
    picker.partials.spilled(stalled)
    picker.partials.spilled(stalled)
    assert memory.used == 0
    assert len(picker.pick("fast", 4, 20.0)) == 4
    assert picker.partials.candidate_to_spill(20.0) is None
    arrivals = deliver(picker, "slow", [blocks[0], blocks[2], blocks[3]])
    assert all(arrival.accepted and arrival.spilled for arrival in arrivals)
    assert arrivals[-1].finished is stalled
    picker.piece_right(0)
    assert picker.have == 1


def test_the_piece_that_moves_least_is_spilled() -> None:
    picker, _ = new(3, memory=3)
    for peer, piece in (("a", 0), ("b", 1), ("c", 2)):
        picker.add_peer(peer, 1 << piece)
        blocks = picker.pick(peer, 4, 0.0)
        deliver(picker, peer, blocks[: 3 - piece])
    stalled = picker.partials.candidate_to_spill(30.0)
    assert stalled is not None
    assert stalled.piece == 2


def test_a_piece_that_moves_is_spilled_only_when_it_takes_long() -> None:
    picker, _ = new(1, 16)
    picker.add_peer("a", 1)
    for second in range(int(limits.SPILL_AGE)):
        deliver(picker, "a", picker.pick("a", 1, float(second)))
        assert picker.partials.candidate_to_spill(second + 0.9) is None
    assert picker.partials.candidate_to_spill(limits.SPILL_AGE) is not None


def test_nothing_is_spilled_while_the_disk_has_pieces_to_check() -> None:
    picker, _ = new(2, memory=2)
    picker.add_peer("a", 0b11)
    blocks = picker.pick("a", 8, 0.0)
    deliver(picker, "a", blocks[:4])
    assert picker.partials.candidate_to_spill(30.0) is None
    picker.piece_right(blocks[0].piece)
    assert picker.partials.candidate_to_spill(30.0) is not None


def test_a_spilled_piece_that_loses_all_its_blocks_stays_spilled() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    deliver(picker, "a", picker.pick("a", 4, 0.0)[:1])
    download = picker.partials.candidate_to_spill(30.0)
    assert download is not None
    picker.partials.spill(download)
    picker.partials.spilled(download)
    picker.remove_peer("a")
    picker.distrust(lambda peer: peer == "a")
    picker.add_peer("b", 1)
    arrivals = deliver(picker, "b", picker.pick("b", 4, 0.0))
    assert arrivals[-1].finished is download


def test_a_torrent_without_memory_goes_before_one_that_has_some() -> None:
    big, memory = new(9, 8, memory=1)
    small: Picker[str] = Picker(Layout(BLOCK_SIZE, [99 * BLOCK_SIZE]), memory, random.Random(0))
    big.add_peer("a", bitfield.full(9))
    small.add_peer("b", bitfield.full(99))
    trusting(small, "b")
    blocks = small.pick("b", 99, 0.0)
    assert len(blocks) == 8
    while blocks:
        assert big.pick("a", 1, 0.0) == []
        deliver(small, "b", [blocks[0]])
        small.piece_right(blocks.pop(0).piece)
        assert not blocks or small.pick("b", 99, 0.0) == []
    assert big.pick("a", 1, 0.0)
    assert memory.used == 8 * BLOCK_SIZE


def test_close_gives_everything_back() -> None:
    picker, memory = new(9)
    picker.add_peer("a", bitfield.full(9))
    blocks = picker.pick("a", 12, 0.0)
    deliver(picker, "a", blocks[:5])
    assert memory.used == 3 * 4 * BLOCK_SIZE
    picker.close()
    assert memory.used == 0


def test_clear_forgets_what_is_not_whole() -> None:
    picker, memory = new(9)
    picker.add_peer("a", bitfield.full(9))
    blocks = picker.pick("a", 12, 0.0)
    deliver(picker, "a", blocks[:5])
    assert picker.clear() == [("a", block) for block in blocks[5:]]
    assert list(picker.partials.checking) == [blocks[0].piece]
    assert memory.used == 4 * BLOCK_SIZE
    assert len(picker.pick("a", 8, 0.0)) == 8


# -- the endgame


def test_blocks_are_doubled_only_when_nothing_else_is_to_be_asked_for() -> None:
    picker, _ = new(2)
    for peer in ("a", "b", "c", "d"):
        picker.add_peer(peer, 0b11)
    blocks = picker.pick("a", 7, 0.0)
    assert len(picker.pick("b", 9, 0.0)) == 1, "the last free block, and no more"
    assert picker.pick("b", 9, 0.0) == [], "not while it has something to do"
    doubles = picker.pick("c", 12, 0.0)
    assert doubles == blocks[:3], "a quarter of what it has room for"
    assert picker.pick("c", 12, 0.0) == []
    assert deliver(picker, "a", blocks[:1])[0] == Arrival(True, None, ("c",))
    assert not deliver(picker, "c", blocks[:1])[0].accepted
    assert picker.requests_of("c") == blocks[1:3]


def test_doubles_are_bounded_for_each_peer_and_each_block() -> None:
    picker, _ = new(1, 64)
    peers = [f"p{number}" for number in range(20)]
    for peer in ["a", *peers]:
        picker.add_peer(peer, 1)
    assert len(picker.pick("a", 64, 0.0)) == 64
    for peer in peers:
        assert len(picker.pick(peer, 1000, 0.0)) <= limits.MAX_DOUBLES
    asked = [block for peer in ["a", *peers] for block in picker.requests_of(peer)]
    assert max(asked.count(block) for block in asked) <= limits.MAX_ASKERS


def test_peers_that_have_proved_nothing_leave_a_place_for_those_that_have() -> None:
    picker, _ = new(2)
    for peer in ("good", "a", "b", "c"):
        picker.add_peer(peer, 0b11)
    fetch(picker, "good", 0)
    blocks = picker.pick("a", 4, 0.0)
    assert picker.pick("b", 16, 0.0) == blocks
    assert picker.pick("c", 16, 0.0) == []
    assert picker.pick("good", 16, 0.0) == blocks


def test_a_slow_peer_does_not_take_the_place_of_a_fast_one_however_proven() -> None:
    picker, _ = new(3)
    for peer in ("good", "drips", "a", "b"):
        picker.add_peer(peer, 0b111)
    fetch(picker, "good", 0)
    fetch(picker, "drips", 1)
    blocks = picker.pick("a", 4, 0.0)
    assert picker.pick("b", 16, 0.0) == blocks
    assert picker.pick("drips", 16, 0.0, slow=True) == []
    assert picker.pick("good", 16, 0.0) == blocks


@pytest.mark.parametrize("proven", [True, False])
def test_who_falls_silent_keeps_nobody_out_for_long(proven: bool) -> None:
    picker, _ = new(9)
    peers = ["s0", "s1", "s2", "s3", "good"]
    for number, peer in enumerate(peers):
        picker.add_peer(peer, bitfield.full(9))
        if proven:
            fetch(picker, peer, number)
    fetched = len(peers) if proven else 0
    for piece in range(fetched, 8):
        picker.add_peer("gone", bitfield.full(9))
        fetch(picker, "gone", piece)
        picker.remove_peer("gone")
    late = limits.STALLED_AFTER
    silent = iter(peers)
    blocks = picker.pick(next(silent), 4, 0.0)
    for _ in range(limits.MAX_ASKERS - 1 if proven else limits.MAX_ASKERS - 2):
        assert picker.pick(next(silent), 16, 0.0) == blocks
    assert picker.pick("good", 16, late - 0.1) == [], "so many are asked, and may still answer"
    assert picker.pick(next(silent), 16, late) == blocks
    assert picker.pick("good", 16, late) == []
    assert picker.pick("good", 16, 2 * late, slow=True) == []
    assert picker.pick("good", 16, 2 * late) == blocks, "one place more each time"


def test_pieces_that_nobody_has_do_not_hold_back_the_endgame() -> None:
    picker, _ = new(9)
    picker.add_peer("a", 0b1)
    picker.add_peer("b", 0b1)
    blocks = picker.pick("a", 9, 0.0)
    assert picker.pick("b", 9, 0.0) == blocks[:2]


def test_a_piece_that_stalls_while_memory_is_full_is_taken_over() -> None:
    picker, _ = new(9, memory=1)
    picker.add_peer("a", bitfield.full(9))
    picker.add_peer("b", bitfield.full(9))
    blocks = picker.pick("a", 4, 0.0)
    assert picker.pick("b", 8, limits.STALLED_AFTER - 0.1) == []
    assert picker.pick("b", 8, limits.STALLED_AFTER, slow=True) == []
    assert picker.pick("b", 8, limits.STALLED_AFTER) == blocks[:2]


# -- what comes


def test_between_the_last_block_and_the_verdict_a_piece_is_neither_to_be_had_nor_lost() -> None:
    picker, memory = new(1)
    picker.add_peer("a", 1)
    blocks = picker.pick("a", 4, 0.0)
    assert [arrival.finished for arrival in deliver(picker, "a", blocks[:3])] == [None] * 3
    finished = deliver(picker, "a", blocks[3:])[0].finished
    assert finished is not None
    assert finished.buffer is not None
    assert picker.partials.checking == {0: finished}
    assert picker.pick("a", 9, 0.0) == []
    assert not deliver(picker, "a", blocks[:1])[0].accepted
    assert picker.interesting("a")
    assert picker.have == 0
    picker.piece_right(0)
    assert (picker.have, picker.partials.checking, memory.used) == (1, {}, 0)
    assert not picker.interesting("a")


def test_the_common_arrival_is_always_the_same_object() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    arrivals = deliver(picker, "a", picker.pick("a", 2, 0.0))
    assert arrivals[0] is arrivals[1]
    assert arrivals[0] == Arrival(True)


@pytest.mark.parametrize(("piece", "begin", "length"), [(0, 0, 7), (0, 7, BLOCK_SIZE), (1, 0, BLOCK_SIZE), (9, 0, 1)])
def test_what_was_not_asked_for_is_refused(piece: int, begin: int, length: int) -> None:
    picker, _ = new(3)
    picker.add_peer("a", 1)
    picker.pick("a", 2, 0.0)
    assert picker.received("a", piece, begin, bytes(length)) == Arrival(False)


def test_a_block_given_to_another_is_taken_from_whoever_comes_first() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    picker.add_peer("b", 1)
    blocks = picker.pick("a", 4, 0.0)
    deliver(picker, "a", blocks[3:])
    picker.released("a", blocks)
    assert picker.pick("b", 2, 0.0) == blocks[:2]
    assert deliver(picker, "a", blocks[:1]) == [Arrival(True, None, ("b",))]
    assert deliver(picker, "a", blocks[2:3]) == [Arrival(True)]
    assert picker.requests_of("b") == blocks[1:2]
    assert picker.pick("b", 9, 0.0) == []


def test_releasing_what_is_not_asked_for_does_nothing() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    picker.add_peer("b", 1)
    blocks = picker.pick("a", 4, 0.0)
    picker.released("b", blocks)
    picker.released("a", [Block(5, 0, BLOCK_SIZE)])
    assert picker.requests_of("a") == blocks


# -- what is wanted


def test_pieces_no_longer_wanted_are_dropped_and_their_requests_cancelled() -> None:
    picker, memory = new(4)
    picker.add_peer("a", 0b0011)
    blocks = picker.pick("a", 6, 0.0)
    first, second = numbers(blocks)
    assert picker.set_wanted(0b1100 | 1 << first) == [("a", block) for block in blocks if block.piece == second]
    assert picker.requests_of("a") == [block for block in blocks if block.piece == first]
    assert memory.used == 4 * BLOCK_SIZE
    assert picker.wanted == 0b1100 | 1 << first
    assert picker.set_have(1 << first) == [("a", block) for block in blocks if block.piece == first]
    assert not picker.interesting("a")
    picker.set_have(0)
    assert picker.interesting("a")
    assert numbers(picker.pick("a", 99, 0.0)) == [first]


def test_a_piece_being_checked_is_not_begun_again_when_wishes_change() -> None:
    picker, _ = new(1)
    picker.add_peer("a", 1)
    deliver(picker, "a", picker.pick("a", 4, 0.0))
    picker.set_wanted(0)
    picker.set_wanted(1)
    assert picker.pick("a", 4, 0.0) == []
    picker.set_have(1)
    picker.piece_right(0)
    assert picker.have == 1


def test_interest_is_exact() -> None:
    picker, _ = new(6)
    picker.add_peer("a", 0)
    picker.add_peer("b", 0b111)
    assert [picker.interesting(peer) for peer in "ab"] == [False, True]
    picker.set_have(0b011)
    assert picker.interesting("b")
    fetch(picker, "b", 2)
    assert not picker.interesting("b")
    picker.peer_has("b", 1)
    assert not picker.interesting("b")
    picker.peer_has("b", 4)
    assert picker.interesting("b")
    picker.set_pieces("b", 0b11)
    assert not picker.interesting("b")


def test_a_have_counts_once() -> None:
    picker, _ = new(3)
    picker.add_peer("a", 0)
    for piece in (1, 1, 2, 1):
        picker.peer_has("a", piece)
    assert picker.availability.counts() == [0, 1, 1]
    assert picker.pieces_of("a") == 0b110
    assert not picker.is_seed("a")
    picker.peer_has("a", 0)
    assert picker.is_seed("a")
    picker.remove_peer("a")
    assert picker.availability.counts() == [0, 0, 0]


def test_partial_and_in_flight_pieces_can_be_looked_at() -> None:
    picker, _ = new(8)
    picker.add_peer("a", bitfield.full(8))
    blocks = picker.pick("a", 6, 0.0)
    first, second = numbers(blocks)
    assert picker.partials.in_flight == 1 << first | 1 << second
    assert picker.partials.received == 0
    deliver(picker, "a", blocks[:1])
    assert picker.partials.received == 1 << first
    picker.remove_peer("a")
    assert picker.partials.in_flight == 0
    assert picker.partials.received == 1 << first


# -- liars


def spoil(picker: Picker[str], peers: list[str], piece: int = 0) -> None:
    """Have these peers bring a piece together, wrong."""
    count = picker.layout.block_count(piece)
    for peer in peers:
        deliver(picker, peer, picker.pick(peer, -(-count // len(peers)), 0.0, only=1 << piece))
    picker.piece_wrong(piece)


def test_a_wrong_piece_is_fetched_again_from_one_peer_and_before_others() -> None:
    picker, memory = new(30)
    for peer in ("a", "b", "c"):
        picker.add_peer(peer, bitfield.full(30))
    spoil(picker, ["a", "b"], 17)
    assert memory.used == 0
    assert not picker.have
    others = picker.pick("a", 1, 0.0, only=~(1 << 17))
    blocks = picker.pick("c", 2, 0.0)
    assert numbers(blocks) == [17], "even before the piece of another"
    for peer in ("a", "b"):
        assert 17 not in numbers(picker.pick(peer, 99, 0.0))
    assert numbers(picker.pick("c", 2, 0.0)) == [17]
    assert others
    deliver(picker, "c", picker.requests_of("c"))
    picker.piece_right(17)
    assert picker.have == 1 << 17
    assert picker._wants.suspects == {}


def abandoned(picker: Picker[str]) -> list[Block]:
    """Piece 0 is to be fetched by "b" alone, who sent one block and was choked; "c" could have it too."""
    picker.add_peer("a", 1)
    picker.add_peer("b", 1)
    spoil(picker, ["a", "b"])
    picker.remove_peer("a")
    blocks = picker.pick("b", 4, 0.0)
    deliver(picker, "b", blocks[:1])
    picker.released("b", blocks[1:])
    picker.add_peer("c", 1)
    return blocks


def test_a_piece_for_one_peer_alone_waits_for_it() -> None:
    picker, _ = new(1)
    blocks = abandoned(picker)
    assert picker.pick("c", 4, limits.ALONE_AFTER - 1) == []
    assert picker.pick("b", 4, limits.ALONE_AFTER) == blocks[1:]


def test_a_piece_given_up_is_begun_again_by_another() -> None:
    picker, _ = new(1)
    blocks = abandoned(picker)
    assert picker.pick("c", 4, limits.ALONE_AFTER) == blocks
    assert picker.pick("b", 4, limits.ALONE_AFTER) == []
    assert not deliver(picker, "b", blocks[1:2])[0].accepted, "or it would be a mixture again"


def test_a_proven_peer_does_not_wait_for_one_that_is_not() -> None:
    """Three peers that send nothing could else hold a piece for minutes, one after the other."""
    picker, _ = new(1)
    for peer in ("a", "b"):
        picker.add_peer(peer, 1)
    spoil(picker, ["a", "b"])
    picker.remove_peer("a")
    blocks = picker.pick("b", 4, 0.0)
    picker.add_peer("c", 1)
    picker._hands["c"].trust += 1
    assert picker.pick("c", 4, limits.STALLED_AFTER - 1) == []
    assert picker.overtaken() == []
    assert picker.pick("c", 4, limits.STALLED_AFTER) == blocks, "though they are asked of the other"
    assert picker.overtaken() == [("b", block) for block in blocks]
    assert picker.overtaken() == [], "it is told once"
    assert not deliver(picker, "b", blocks[1:2])[0].accepted
    picker.released("b", blocks)
    assert picker.pick("b", 4, limits.STALLED_AFTER) == []


def test_who_sent_less_that_was_right_does_not_make_wait_who_sent_more() -> None:
    """Some send a block now and then, so that they are not unproven, and hold a piece for minutes."""
    picker, _ = new(1)
    blocks = abandoned(picker)
    picker._hands["b"].trust = picker._hands["c"].trust = limits.FIRST_TRUST + 5
    assert picker.pick("c", 4, limits.STALLED_AFTER) == [], "both are as good"
    picker._hands["c"].trust += 1
    assert picker.pick("c", 4, limits.STALLED_AFTER, slow=True) == []
    assert picker.pick("c", 4, limits.STALLED_AFTER - 0.1) == []
    assert picker.pick("c", 4, limits.STALLED_AFTER) == blocks
    deliver(picker, "c", blocks[:1])
    picker.released("c", blocks[1:])
    picker._hands["b"].trust += 1
    assert picker.pick("b", 4, 3 * limits.STALLED_AFTER) == []


@pytest.mark.parametrize("room", [19, 21])
def test_who_crawls_does_not_make_wait_who_is_ten_times_as_fast(room: int) -> None:
    """Block after block comes, so it never stalls: at 0.7 blocks a second where others have a queue of 21 in 3 s."""
    picker, _ = new(1, 16)
    for peer in ("a", "b"):
        picker.add_peer(peer, 1)
    spoil(picker, ["a", "b"])
    picker.remove_peer("a")
    picker.add_peer("c", 1)
    picker._hands["b"].trust, picker._hands["c"].trust = limits.FIRST_TRUST + 1, limits.FIRST_TRUST + 2
    blocks = picker.pick("b", 16, 0.0)
    for number in range(7):
        now = (number + 1) / 0.7
        if now < limits.STALLED_AFTER:
            assert picker.pick("c", room, now) == [], "one slow block is no verdict"
        picker.pick("b", 1, now)
        deliver(picker, "b", blocks[number : number + 1])
    assert bool(picker.pick("c", room, 10.0)) is (room > 3 * 0.7 * limits.SLOW_SHARE)


def test_who_refuses_and_is_asked_again_does_not_keep_a_piece() -> None:
    picker, _ = new(1)
    for peer in ("a", "b"):
        picker.add_peer(peer, 1)
    spoil(picker, ["a", "b"])
    picker.remove_peer("a")
    picker.add_peer("c", 1)
    picker._hands["c"].trust += 1
    for moment in range(4):
        blocks = picker.pick("b", 4, moment)
        assert blocks
        picker.released("b", blocks)
    assert picker.pick("c", 4, limits.STALLED_AFTER) == blocks


def test_the_peer_that_had_it_alone_is_gone() -> None:
    picker, _ = new(1)
    blocks = abandoned(picker)
    picker.remove_peer("b")
    assert picker.pick("c", 4, 1.0) == blocks


def test_a_piece_given_up_again_and_again_is_shared_in_the_end() -> None:
    picker, _ = new(1)
    abandoned(picker)
    picker.remove_peer("b")
    for turn in range(limits.MAX_RESTARTS):
        blocks = picker.pick("c", 4, 1.0)
        assert len(blocks) == 4
        deliver(picker, "c", blocks[:2])
        picker.remove_peer("c")
        picker.add_peer("d" if turn == limits.MAX_RESTARTS - 1 else "c", 1)
    picker.add_peer("e", 1)
    assert picker.pick("d", 1, 2.0) == blocks[2:3]
    assert picker.pick("e", 9, 2.0) == blocks[3:]


def test_a_peer_on_parole_gets_pieces_alone() -> None:
    picker, _ = new(30)
    for peer in ("a", "b"):
        picker.add_peer(peer, bitfield.full(30))
    shared = picker.pick("a", 1, 0.0)
    mine = picker.pick("b", 2, 0.0, whole_piece=True)
    assert numbers(mine) != numbers(shared)
    assert mine[0].piece not in numbers(picker.pick("a", 9, 0.0))
    assert numbers(picker.pick("b", 2, 0.0, whole_piece=True)) == numbers(mine)
    assert numbers(picker.pick("b", 2, 0.0, whole_piece=True)) not in (numbers(mine), numbers(shared))


def test_on_parole_shared_pieces_are_the_last_resort() -> None:
    picker, _ = new(2)
    for peer in ("a", "b"):
        picker.add_peer(peer, 0b11)
    shared = picker.pick("a", 1, 0.0)
    blocks = picker.pick("b", 99, 0.0, whole_piece=True)
    assert len(blocks) == 7
    assert numbers(blocks)[1] == shared[0].piece


def test_on_parole_a_peer_completes_shared_pieces_that_it_has_a_hand_in() -> None:
    picker, _ = new(9)
    for peer in ("a", "b", "c"):
        picker.add_peer(peer, bitfield.full(9))
    shared = picker.pick("a", 2, 0.0)
    picker.pick("b", 1, 0.0)
    spoil(picker, ["a", "c"], 8 if shared[0].piece != 8 else 7)
    picker.remove_peer("c")
    picker.remove_peer("b")
    blocks = picker.pick("a", 9, 0.0, whole_piece=True)
    assert numbers(blocks) == numbers(shared), "it is trusted with nothing more, and nobody else is there"


def test_a_new_peer_has_a_hand_in_few_unverified_pieces() -> None:
    picker, _ = new(99)
    picker.add_peer("a", bitfield.full(99))
    blocks = picker.pick("a", 999, 0.0)
    assert len(numbers(blocks)) == limits.FIRST_TRUST
    deliver(picker, "a", blocks)
    assert picker.pick("a", 999, 0.0) == [], "checks count"
    for piece in numbers(blocks):
        picker.piece_right(piece)
    assert len(numbers(picker.pick("a", 999, 0.0))) == 2 * limits.FIRST_TRUST


def test_a_new_peer_that_waits_for_others_may_take_over_what_stalls() -> None:
    picker, _ = new(99)
    pieces = bitfield.of([1, 2, 3, 50])
    picker.add_peer("stalled", pieces)
    picker.add_peer("new", pieces)
    picker.add_peer("other", bitfield.full(99))  # so this is not the endgame
    blocks = picker.pick("stalled", 9, 0.0)
    deliver(picker, "new", picker.pick("new", 99, 0.0))
    picker._hands["new"].trust = 1
    assert picker.pick("new", 99, limits.STALLED_AFTER - 0.1) == []
    taken = picker.pick("new", 99, limits.STALLED_AFTER)
    assert numbers(taken) == numbers(blocks)[-1:], "of what it has a hand in"


def test_trust_is_lost_with_a_wrong_piece() -> None:
    picker, _ = new(99)
    picker.add_peer("a", bitfield.full(99))
    trusting(picker, "a")
    spoil(picker, ["a"], 5)
    assert numbers(picker.pick("a", 999, 0.0)) == [5]


def test_what_a_liar_sent_to_other_pieces_is_thrown_away() -> None:
    picker, memory = new(3)
    picker.add_peer("liar", 0b111)
    picker.add_peer("a", 0b111)
    blocks = picker.pick("liar", 6, 0.0)
    deliver(picker, "liar", [blocks[0], blocks[4]])
    mine = picker.pick("a", 1, 0.0)
    deliver(picker, "a", mine)
    picker.remove_peer("liar")
    picker.distrust(lambda peer: peer == "liar")
    assert picker.partials.received == 1 << mine[0].piece
    assert memory.used == 4 * BLOCK_SIZE
    assert len(picker.pick("a", 99, 0.0)) == 11
