import random

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.utp.outgoing import REORDERED, Outgoing
from torrentlite.wire.utp import DATA, FIN, MAX_SACK, SYN, WRAP

PACKET = 100


def made(*sizes, seq=50):
    out = Outgoing(seq, PACKET)
    for number, size in enumerate(sizes):
        out.write(bytes([number + 1]) * size)
    return out


def send(out, room=1e9, now=0.0):
    """All that may go."""
    sent = []
    while (packet := out.next(room - out.in_flight, now)) is not None:
        sent.append(packet)
    return sent


def says(out, ack, sack=0, now=1.0, *, bare=True):
    return out.arrived(ack & WRAP, sack, now, bare=bare)


def seqs(packets):
    return [packet.seq for packet in packets]


@given(st.lists(st.integers(0, 350), max_size=20))
def test_bytes_are_cut_into_full_packets(sizes):
    out = made(*sizes)
    whole = b"".join(bytes([number + 1]) * size for number, size in enumerate(sizes))
    assert out.waiting == len(whole)
    sent = send(out)
    assert b"".join(packet.payload for packet in sent) == whole
    assert all(len(packet.payload) == PACKET for packet in sent[:-1])
    assert seqs(sent) == list(range(50, 50 + len(sent)))
    assert (out.waiting, out.in_flight) == (0, len(whole))
    assert out.outstanding == (not out.done) == bool(sent)


def test_first_of_all_a_syn_and_last_a_fin():
    out = made(150)
    out.call()
    out.end()
    sent = send(out)
    assert [packet.kind for packet in sent] == [SYN, DATA, DATA, FIN]
    assert seqs(sent) == [50, 51, 52, 53]
    says(out, 53)
    assert out.done


def test_no_more_under_way_than_there_is_room():
    out = made(1000)
    assert len(send(out, room=350)) == 3
    assert out.next(PACKET - 1, 0.0) is None  # whole packets, while something is under way
    says(out, 50)
    assert len(send(out, room=350)) == 1


def test_a_part_of_a_packet_where_there_is_never_room_for_a_whole_one():
    out = made(1000)
    assert out.next(0.9, 0.0) is None
    assert len(out.next(7.5, 0.0).payload) == 7
    assert out.next(7.5, 0.0) is None


def test_packets_ahead_of_the_first_hole_are_counted():
    out = made(PACKET * 2 * limits.UTP_PACKETS_AHEAD, seq=WRAP - 5)
    assert len(send(out)) == limits.UTP_PACKETS_AHEAD
    says(out, WRAP - 5, sack=(1 << 8 * MAX_SACK) - 1)
    assert seqs(send(out)) == [WRAP - 4, (WRAP - 5 + limits.UTP_PACKETS_AHEAD) & WRAP]
    assert out.next_seq == (WRAP - 5 + limits.UTP_PACKETS_AHEAD + 1) & WRAP


def test_round_trips_of_what_was_sent_once():
    out = made(400)
    send(out, now=1.0)
    assert says(out, 50, now=1.25).round_trip == 0.25
    out.all_lost()
    send(out, now=2.0)
    assert says(out, 51, now=2.5).round_trip is None
    assert says(out, 51, now=2.5).round_trip is None


@pytest.mark.parametrize("later", range(REORDERED + 2))
def test_a_packet_is_lost_when_three_later_ones_have_come(later):
    out = made(1000)
    send(out)
    before = out.in_flight
    arrived = says(out, 49, sack=(1 << later) - 1)
    assert arrived.packets == later
    assert arrived.lost == (later >= REORDERED)
    assert out.pending == (later >= REORDERED)
    assert out.in_flight == before - later * PACKET - (PACKET if later >= REORDERED else 0)
    if arrived.lost:
        assert seqs(send(out)) == [50]


def test_the_last_is_none_of_those_that_later_ones_have_overtaken():
    out = made(1000)
    send(out)
    says(out, 49, sack=0b10111)  # 51, 52, 53 and 55 have come
    assert seqs(send(out)) == [50]
    says(out, 49, sack=0b11110111)  # 56, 57 and 58 too, and not 54
    assert seqs(send(out)) == [54]


def test_losses_of_one_round_trip_are_one():
    out = made(2000)
    send(out)
    assert says(out, 49, sack=0b111).lost
    assert not says(out, 49, sack=0b111_0111).lost  # 54 went with it
    assert send(out)
    out.write(bytes(1000))
    send(out)
    assert not says(out, 69).lost
    assert says(out, 69, sack=0b11100).lost


def test_three_times_the_same_is_a_loss():
    out = made(1000)
    send(out)
    lost = [says(out, 50).lost for _ in range(6)]
    assert lost == [False, False, False, True, False, False]
    assert seqs(send(out)) == [51]


def test_what_comes_with_data_or_news_is_not_the_same_again():
    out = made(1000)
    send(out)
    says(out, 50)
    for _ in range(10):
        assert not says(out, 50, bare=False).lost
        says(out, 50)
        says(out, 50)


def test_time_out_sends_all_again_in_order():
    out = made(500)
    send(out)
    says(out, 50, sack=0b10)
    out.all_lost()
    assert out.in_flight == 0
    assert seqs(send(out, room=150)) == [51]
    assert seqs(send(out)) == [52, 54]
    # What was thought lost comes after all.
    out.all_lost()
    assert says(out, 54).packets == 3
    assert out.done
    assert not out.pending
    assert out.in_flight == 0


def test_what_the_system_had_no_room_for_goes_first():
    out = made(500)
    send(out, room=200)
    packet = out.next(100, 0.0)
    out.not_sent([packet])
    assert out.in_flight == 200
    assert seqs(send(out)) == [52, 53, 54]


def test_plausible():
    out = made(1000, seq=0)
    assert out.plausible(WRAP)
    assert not out.plausible(0)
    send(out)
    assert out.plausible(9)
    assert not out.plausible(10)
    says(out, 9)
    assert out.plausible((9 - limits.UTP_PACKETS_AHEAD) & WRAP)
    assert not out.plausible((8 - limits.UTP_PACKETS_AHEAD) & WRAP)
    assert sum(map(out.plausible, range(WRAP + 1))) == limits.UTP_PACKETS_AHEAD + 1


@given(st.integers(0, 1 << 30), st.integers(0, WRAP))
def test_the_books_are_right_whatever_is_said(seed, first):
    """Acknowledgements of all kinds, true and false ones, with time-outs between."""
    dice = random.Random(seed)
    out = made(seq=first)
    given_away = 0
    for _ in range(150):
        deed = dice.randrange(6)
        if deed == 0:
            size = dice.choice([1, 99, 100, 101, 1000])
            out.write(bytes(size))
            given_away += size
        elif deed == 1:
            out.all_lost()
        elif deed == 2 and out.pending and (packet := out.next(dice.choice([0, 1, 50, 1000]), 0.0)):
            out.not_sent([packet])
        elif deed == 3:
            send(out, room=dice.choice([0, 100, 1000, 100_000]))
        else:
            ack = (out.next_seq - 1 - dice.choice([0, 1, 2, 5, 50, 999])) & WRAP
            sack = dice.choice([0, 1, 0b111, dice.getrandbits(20), dice.getrandbits(8 * MAX_SACK)])
            if out.plausible(ack):
                says(out, ack, sack, bare=dice.random() < 0.5)
        flying = [packet for packet in out._sent.values() if not packet.lost]
        assert out.in_flight == sum(len(packet.payload) for packet in flying) >= 0
        assert {packet.seq for packet in out._sent.values() if packet.lost} == set(out._lost)
        assert seqs(out._sent.values()) == sorted(out._sent, key=lambda seq: (seq - out._acked) & WRAP)
        assert (out.next_seq - 1 - out._acked) & WRAP <= limits.UTP_PACKETS_AHEAD
        assert out._sacked.bit_length() <= 8 * MAX_SACK
        assert out.waiting == sum(map(len, out._unsent))
    assert sum(len(packet.payload) for packet in out._sent.values()) + out.waiting <= given_away
    send(out)
    says(out, out.next_seq - 1)
