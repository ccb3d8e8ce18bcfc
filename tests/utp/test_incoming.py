import random

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.utp.incoming import Incoming
from torrentlite.wire.utp import WRAP


def taken(incoming, size=1 << 22):
    buffer = bytearray(size)
    count = incoming.take_into(memoryview(buffer))
    return bytes(buffer[:count])


@given(
    st.integers(0, WRAP),
    st.lists(st.binary(min_size=1, max_size=5), max_size=60),
    st.integers(0, 1 << 30),
    st.integers(1, 50),
)
def test_any_order_any_number_of_times(first, parts, seed, size):
    dice = random.Random(seed)
    sent = [(first + number & WRAP, part) for number, part in enumerate([*parts, None])]
    came = [*sent, *dice.choices(sent, k=len(sent))]
    dice.shuffle(came)
    incoming = Incoming(first)
    heard, there = b"", set()
    for seq, part in came:
        incoming.got(seq, part)
        if not incoming.ended:
            there.add(seq - first & WRAP)
            hole = next(number for number in range(100) if number not in there)
            assert incoming.ack == first + hole - 1 & WRAP
            assert incoming.sack == sum(1 << number - hole - 1 for number in there if number > hole)
        heard += taken(incoming, size)
    while incoming.readable:
        heard += taken(incoming, size)
    assert heard == b"".join(parts)
    assert incoming.ended
    assert incoming.ack == first + len(parts) & WRAP
    assert (incoming.sack, incoming.room) == (0, limits.UTP_WINDOW)


def test_what_is_far_ahead_was_not_there():
    for ahead, sack in (
        (limits.UTP_PACKETS_AHEAD, 1 << limits.UTP_PACKETS_AHEAD - 1),
        (limits.UTP_PACKETS_AHEAD + 1, 0),
    ):
        incoming = Incoming(WRAP)
        incoming.got(WRAP + ahead & WRAP, b"x")
        assert incoming.sack == sack


@pytest.mark.parametrize("behind", [1, 2, 1000, 40_000])
def test_what_was_there_before_is_not_there_again(behind):
    incoming = Incoming(7)
    incoming.got(7 - behind & WRAP, b"old")
    assert not incoming.readable
    assert incoming.sack == 0


def test_no_more_than_the_window_is_kept_ahead():
    incoming = Incoming(0)
    part = bytes(60_000)
    for seq in range(1, 100):
        incoming.got(seq, part)
    kept = limits.UTP_WINDOW // len(part)
    assert incoming.sack == (1 << kept) - 1
    assert incoming.room == limits.UTP_WINDOW - kept * len(part)
    # A smaller one has room still.
    incoming.got(500, bytes(incoming.room))
    assert incoming.room == 0
    assert incoming.sack >> 499 == 1


def test_the_hole_is_filled_even_where_there_is_no_room():
    incoming = Incoming(0)
    for seq in range(1, 20):
        incoming.got(seq, bytes(limits.UTP_WINDOW // 19))
    incoming.got(500, bytes(incoming.room))
    assert incoming.room == 0
    incoming.got(0, b"first")
    assert incoming.ack == 19
    assert taken(incoming)[:5] == b"first"


def test_nobody_who_does_not_read_keeps_more_than_two_windows():
    incoming, seq = Incoming(0), 0
    for _ in range(200):
        for ahead in range(1, 1000, 7):
            incoming.got(seq + ahead & WRAP, bytes(1400))
        incoming.got(seq, bytes(65_000))
        seq = incoming.ack + 1
        assert len(incoming._ready) + incoming._ahead_size <= 2 * limits.UTP_WINDOW + 65_536
        assert len(incoming._ahead) <= limits.UTP_PACKETS_AHEAD
        assert incoming._ahead_size == sum(map(len, incoming._ahead.values()))
    assert incoming.room == 0
    assert incoming.ack < 1000
    ready = incoming.ack
    incoming.got(ready + 1, b"no room")
    assert incoming.ack == ready
    taken(incoming)
    assert incoming.room > 0
    incoming.got(ready + 1, b"room")
    assert incoming.ack != ready


def test_the_end_is_where_the_first_goodbye_is():
    incoming = Incoming(0)
    incoming.got(2, None)
    incoming.got(4, None)  # "will never have a sequence number greater than" the first's
    incoming.got(3, b"never")
    assert not incoming.ended
    incoming.got(0, b"a")
    incoming.got(1, b"b")
    assert incoming.ended
    assert (incoming.ack, incoming.sack, incoming.room) == (2, 0, limits.UTP_WINDOW - 2)
    incoming.got(3, b"never")
    incoming.got(5, b"never")
    assert taken(incoming) == b"ab"
    assert not incoming.readable
    assert (incoming.ack, incoming.sack) == (2, 0)


def test_packets_without_anything_in_them():
    incoming = Incoming(0)
    for seq in range(100):
        incoming.got(seq ^ 1, b"")
    assert incoming.ack == 99
    assert not incoming.readable


def test_what_nobody_reads_takes_no_room():
    incoming = Incoming(0)
    incoming.got(0, bytes(1000))
    incoming.got(2, bytes(1000))
    incoming.drop()
    assert incoming.room == limits.UTP_WINDOW
    assert not incoming.readable
    incoming.got(1, b"x")
    assert taken(incoming) == b"x", "what lay ahead is there, and has nothing in it"
    assert incoming.ack == 2
