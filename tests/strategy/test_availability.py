from __future__ import annotations

import collections
import random

import pytest

from torrentlite.strategy import availability as module
from torrentlite.strategy.availability import Availability
from torrentlite.strategy.pieceset import PieceSet
from torrentlite.wire import bitfield

TOTAL = 20
ALL = bitfield.full(TOTAL)


def increment(counted: Availability, piece: int) -> None:
    """One more peer has this piece."""
    assert counted.gain(piece, PieceSet(0, counted.total))


@pytest.mark.parametrize("seed", range(40))
def test_it_counts_like_a_plain_list(seed: int) -> None:
    rng = random.Random(seed)
    counted = Availability(TOTAL)
    peers: list[PieceSet] = []
    for _ in range(60):
        what = rng.choice(["add", "seed", "have", "have", "have", "lost", "remove"])
        if what in ("add", "seed"):
            pieces = ALL if what == "seed" else rng.getrandbits(TOTAL)
            peers.append(PieceSet(pieces, TOTAL))
            counted.add(pieces)
        elif peers:
            at = rng.randrange(len(peers))
            peer, piece = peers[at], rng.randrange(TOTAL)
            had = piece in peer
            if what == "remove":
                counted.remove(peers.pop(at).bits)
            elif what == "have":
                assert counted.gain(piece, peer) is not had
            elif had:
                counted.decrement(piece, of_all=peer.full)
                peer.discard(piece)
        if rng.random() < 0.5:
            continue  # let increments gather
        counts = [sum(piece in peer for peer in peers) for piece in range(TOTAL)]
        assert counted.counts() == counts
        assert [counted.count(piece) for piece in range(TOTAL)] == counts
        assert counted.somewhere == bitfield.of(piece for piece in range(TOTAL) if counts[piece])
        least = min(counts)
        assert counted.copies() == pytest.approx(least + sum(count > least for count in counts) / TOTAL)
        candidates = rng.getrandbits(TOTAL) or 1
        chosen = {piece: counts[piece] for piece in bitfield.members(candidates)}
        rarest = [piece for piece, count in chosen.items() if count == min(chosen.values())]
        commonest = [piece for piece, count in chosen.items() if count == max(chosen.values())]
        assert list(bitfield.members(counted.rarest_of(candidates))) == rarest
        assert list(bitfield.members(counted.commonest_of(candidates))) == commonest
        assert counted.rarest(candidates, rng) in rarest
        assert counted.lowest(candidates) == min(chosen.values())
        least_asked = rng.randrange(least + 2)
        assert counted.all_above(least_asked) is (least > least_asked)


def test_counts_above_a_byte() -> None:
    counted = Availability(9)
    for _ in range(300):
        increment(counted, 4)
    for _ in range(70_000):
        increment(counted, 8)
    assert counted.counts() == [0, 0, 0, 0, 300, 0, 0, 0, 70_000]


def test_ties_are_broken_at_random() -> None:
    counted = Availability(100)
    counted.add(bitfield.span(range(50)))
    tally = collections.Counter(counted.rarest(bitfield.full(100), random.Random(seed)) for seed in range(1000))
    assert all(piece >= 50 for piece in tally)
    assert len(tally) > 45


def test_a_peer_that_became_a_seed_piece_by_piece_can_leave() -> None:
    counted = Availability(3)
    pieces = PieceSet(0, 3)
    for piece in (2, 0, 1):
        assert counted.gain(piece, pieces)
    assert pieces.full
    counted.add(bitfield.full(3))
    counted.remove(bitfield.full(3))
    counted.remove(bitfield.full(3))
    assert counted.counts() == [0, 0, 0]


def test_what_was_never_added_cannot_be_removed() -> None:
    counted = Availability(3)
    counted.add(0b011)
    with pytest.raises(ValueError, match="never added"):
        counted.remove(0b110)


def test_increments_are_settled_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 10)
    counted = Availability(5)
    for step in range(95):
        increment(counted, step % 5)
        assert len(counted._again) < 10
    assert counted.counts() == [19] * 5


def test_copies_of_nothing() -> None:
    assert Availability(0).copies() == 0.0
    assert Availability(4).copies() == 0.0
