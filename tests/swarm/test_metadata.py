import hashlib

import pytest

from torrentlite.limits import (
    MAX_METADATA,
    METADATA_MEMORY,
    METADATA_PARALLEL,
    METADATA_PIECE,
    METADATA_REQUESTS,
    METADATA_TIMEOUT,
)
from torrentlite.metainfo.info import InfoHashes
from torrentlite.swarm.metadata import MetadataExchange

RAW = bytes(range(256)) * 200  # 51,200 bytes: four pieces
PIECES = [RAW[start : start + METADATA_PIECE] for start in range(0, len(RAW), METADATA_PIECE)]


def exchange():
    return MetadataExchange(InfoHashes(hashlib.sha1(RAW).digest()))


def test_one_peer_gives_it_all():
    ex = exchange()
    ex.got_size("a", len(RAW))
    asked = ex.requests(0)
    assert asked == [("a", piece) for piece in range(4)]
    assert ex.requests(0) == []
    for piece in (2, 0, 3):
        assert ex.got_data("a", piece, PIECES[piece], 1) is None
    assert ex.progress() == (len(PIECES[2]) + len(PIECES[0]) + len(PIECES[3]), len(RAW))
    assert ex.got_data("a", 1, PIECES[1], 1) == RAW


def test_a_liar_is_named_and_the_other_goes_on():
    ex = exchange()
    ex.got_size("liar", len(RAW))
    ex.got_size("honest", len(RAW))
    ex.requests(0)
    for piece in range(3):
        ex.got_data("liar", piece, PIECES[piece], 1)
        ex.got_data("honest", piece, PIECES[piece], 1)
    with pytest.raises(ValueError, match="does not match"):
        ex.got_data("liar", 3, bytes(len(PIECES[3])), 1)
    assert ex.got_data("honest", 3, PIECES[3], 1) == RAW


def test_sizes_from_outside_are_bounded_and_allocate_nothing():
    ex = exchange()
    for size in (0, -1, MAX_METADATA + 1, 1 << 40):
        ex.got_size("liar", size)
    assert ex.requests(0) == []
    ex.got_size("big", MAX_METADATA)
    assert len(ex.requests(0)) == METADATA_REQUESTS, "a few requests, whatever the size"


def test_wrong_length_is_a_lie():
    ex = exchange()
    ex.got_size("a", len(RAW))
    ex.requests(0)
    with pytest.raises(ValueError, match="were due"):
        ex.got_data("a", 0, b"short", 1)


def test_what_was_not_asked_for_is_ignored():
    ex = exchange()
    assert ex.got_data("stranger", 0, PIECES[0], 1) is None
    ex.got_size("a", len(RAW))
    ex.requests(0)
    assert ex.got_data("a", 77, PIECES[0], 1) is None


def test_silent_and_refusing_peers_are_replaced_and_tried_again():
    ex = exchange()
    names = ["silent", "refusing", *(f"p{i}" for i in range(METADATA_PARALLEL))]
    for name in names:
        ex.got_size(name, len(RAW))
    first = dict.fromkeys(peer for peer, _ in ex.requests(0))
    assert list(first) == names[:METADATA_PARALLEL]
    ex.rejected("refusing", 1)
    assert "p1" in dict(ex.requests(1))
    late = METADATA_TIMEOUT + 1
    again = dict(ex.requests(late))
    assert "silent" not in again
    assert again
    for name in names[2:]:
        ex.left(name)
    assert "silent" in dict(ex.requests(3 * METADATA_TIMEOUT))


def test_large_copies_come_alone_and_after_small_ones():
    large = METADATA_MEMORY + 1
    exchange = MetadataExchange(InfoHashes(hashlib.sha1(RAW).digest()))
    for peer, size in (("a", large), ("b", large), ("c", len(RAW)), ("d", large)):
        exchange.got_size(peer, size)
    assert {peer for peer, _ in exchange.requests(0)} == {"c", "a"}
    exchange.left("a")
    assert {peer for peer, _ in exchange.requests(0)} == {"b"}
    exchange.got_size("e", len(RAW))
    assert {peer for peer, _ in exchange.requests(0)} == {"e"}, "a large one keeps no small one waiting"
