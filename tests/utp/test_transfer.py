"""Two ends and a bad network: every byte arrives, once and in order, and both come to an end."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings, strategies as st

from tests.utp.channel import Pair
from torrentlite import limits
from torrentlite.utp.connection import State
from torrentlite.utp.ledbat import MAX_TIMEOUT
from torrentlite.wire.utp import DATA, FIN, STATE, SYN

WRAP32 = 4294.967296  # seconds in which a clock of microseconds comes round
LINES = st.fixed_dictionaries(
    {
        "delay": st.sampled_from([0.0, 0.001, 0.03, 0.3]),
        "jitter": st.sampled_from([0.0, 0.0, 0.005, 0.1]),
        "loss": st.sampled_from([0.0, 0.0, 0.02, 0.2]),
        "twice": st.sampled_from([0.0, 0.0, 0.05, 0.5]),
        "rate": st.sampled_from([0.0, 20_000.0, 1_000_000.0]),
        "queue": st.sampled_from([4000.0, 20_000.0, 1e9]),
    }
)
CLOCKS = st.sampled_from([0.0, 1e6, WRAP32 - 0.5, WRAP32 / 2 - 0.5])
DRIFTS = st.sampled_from([0.0, 1e-4, -1e-4, 0.01])
SEQS = st.sampled_from([0, 1, 0x7FFF, 0xFFF0, 0xFFFF])


def made_up(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@settings(max_examples=150)
@given(
    st.integers(0, 1 << 30),
    LINES,
    LINES,
    st.sampled_from([1, 100, 10_000, 60_000]),
    st.sampled_from([0, 1, 50_000]),
    st.tuples(CLOCKS, CLOCKS),
    st.tuples(DRIFTS, DRIFTS),
    st.tuples(SEQS, SEQS),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from([1, 1000, 1 << 16]),
)
def test_everything_arrives(seed, up, down, forth, back, clocks, drifts, seqs, sacks, reads):
    pair = Pair(seed, up=up, down=down, clocks=clocks, drifts=drifts, seqs=seqs)
    for end, sack in zip(pair, sacks, strict=True):
        end.sack = sack
        end.reads = reads
    # A connection opens by its first byte: who calls speaks first.
    pair.talk(made_up(forth, seed), made_up(back, seed + 1), within=600)
    pair.part()


@settings(max_examples=50)
@given(st.integers(0, 1 << 30), st.floats(0.1, 5), st.floats(0.1, 20))
def test_a_system_that_refuses_to_send(seed, begins, lasts):
    """For a while, and now and then."""
    pair = Pair(seed, up={"rate": 100_000.0})
    dice = random.Random(seed)
    for end in pair:
        end.refuses = lambda now: begins < now < begins + lasts or dice.random() < 0.1
    pair.talk(made_up(200_000), made_up(100_000), within=300)
    pair.part()


@pytest.mark.parametrize("lost", range(12))
@pytest.mark.parametrize("direction", ["up", "down"])
def test_each_of_the_first_packets_may_get_lost(lost, direction):
    pair = Pair(
        **{direction: {"drop": lambda number, data: number == lost}, "up" if direction == "down" else "down": {}}
    )
    pair.talk(made_up(10_000), made_up(10_000), within=30)
    pair.part()
    assert (pair.caller if direction == "up" else pair.called).line.lost == 1


def kinds(pair, end):
    return [packet.kind for packet in getattr(pair, end).sent]


def test_one_byte_takes_four_packets():
    pair = Pair()
    pair.talk(b"x", within=10)
    pair.run(1)
    assert kinds(pair, "caller") == [SYN, DATA]
    assert kinds(pair, "called") == [STATE, STATE]


def test_a_goodbye_takes_two_more():
    pair = Pair()
    pair.talk(b"x", within=10)
    pair.run(1)
    before = pair.caller.datagrams, pair.called.datagrams
    pair.caller.close()
    pair.run(1)
    assert pair.caller.gone
    assert pair.called.over
    assert (pair.caller.datagrams - before[0], pair.called.datagrams - before[1]) == (1, 1)
    assert kinds(pair, "caller")[-1] == FIN


def test_the_numbers_come_round():
    """More packets than there are numbers, each way."""
    pair = Pair(up={"delay": 0.001, "twice": 0.01, "jitter": 0.002}, payload=100, seqs=(0, 0xFFFF))
    pair.talk(made_up(6_700_000), made_up(1000), within=600)
    assert pair.caller.datagrams > 66_000
    assert 0xFFFF in {packet.seq for packet in pair.caller.sent}
    pair.part()


def test_the_clock_comes_round():
    pair = Pair(up={"rate": 100_000.0, "queue": 40_000.0}, clocks=(WRAP32 - 3, WRAP32 - 5))
    pair.talk(made_up(1_000_000), within=20)
    stamps = [packet.timestamp for packet in pair.caller.sent]
    assert any(later < earlier for earlier, later in itertools.pairwise(stamps))
    assert pair.caller.line.standing(1) < 0.15


@pytest.mark.parametrize("drifts", [(1e-4, 0.0), (0.0, 1e-4), (-1e-4, 1e-4)])
def test_clocks_of_different_pace(drifts):
    """By ten seconds a day, as the worst do; the shortest delay of the last minutes moves along."""
    pair = Pair(up={"rate": 50_000.0}, drifts=drifts, clocks=(0.0, 1e5))
    seconds = pair.talk(made_up(12_000_000), within=600)
    assert 12_000_000 / seconds > 0.9 * 50_000
    assert pair.caller.line.standing(30) < 0.15


# -- single losses -----------------------------------------------------------------------------------------------------


def resent(end):
    """The numbers that were sent more than once."""
    seqs = [packet.seq for packet in end.sent if packet.kind in (DATA, FIN)]
    return sorted({seq for seq in seqs if seqs.count(seq) > 1})


def stream_of(pair, size, *, lose):
    """Lose the packets of these places (0: the first with data) the first time; how long all took, and how long without."""
    times = []
    for places in (lose, ()):
        left = {(pair.seqs[0] + 1 + place) & 0xFFFF for place in places}

        def drop(number, data, left=left):
            seq = int.from_bytes(data[16:18], "big")
            if data[0] in (0x01, 0x11) and seq in left:
                left.remove(seq)
                return True
            return False

        again = Pair(up={"drop": drop, "rate": 500_000.0})
        again.caller.sack, again.called.sack = pair.caller.sack, pair.called.sack
        times.append(again.talk(made_up(size), within=30))
        assert not left
        if places:
            repaired = again
    return repaired, *times


@pytest.mark.parametrize("place", [0, 1, 7, 20])
def test_a_lost_packet_is_sent_again_before_any_time_out(place):
    pair = Pair()
    repaired, took, without = stream_of(pair, 100_000, lose=[place])
    assert resent(repaired.caller) == [101 + place]
    assert took - without < 0.5  # the shortest time-out


def test_several_lost_packets_are_all_sent_again_before_any_time_out():
    repaired, took, without = stream_of(Pair(), 200_000, lose=[30, 32, 33, 40])
    assert resent(repaired.caller) == [131, 133, 134, 141]
    assert took - without < 0.5


@pytest.mark.parametrize("lost", [[19], [18, 19], [10, 14, 19]])
def test_a_lost_tail_is_found_by_a_probe_before_any_time_out(lost):
    size = 20 * limits.UTP_PACKET
    repaired, took, without = stream_of(Pair(), size, lose=lost)
    assert resent(repaired.caller) == [101 + place for place in lost]
    assert took - without < 0.35


def test_one_lost_acknowledgement_of_all_costs_no_time_out_and_no_window():
    pair, windows = Pair(), []
    gone = []

    def filter(data: bytes) -> bytes | None:
        if 0.13 <= pair.timeline.now < 0.165:  # those of one round trip
            gone.append(data)
            return None
        windows.append(pair.caller.connection._window.size)
        return data

    pair.called.line.filter = filter
    took = pair.talk(made_up(300_000), within=30)
    quiet = Pair().talk(made_up(300_000), within=30)
    assert gone
    assert took - quiet < 0.35
    assert min(windows) >= 4 * limits.UTP_PACKET


def test_where_the_probe_is_lost_too_the_time_out_remains():
    size = 20 * limits.UTP_PACKET
    left = [20, 20, 20]

    def drop(number, data):
        return data[0] in (0x01, 0x11) and int.from_bytes(data[16:18], "big") == 120 and bool(left) and bool(left.pop())

    pair = Pair(up={"drop": drop})
    took = pair.talk(made_up(size), within=30)
    assert not left
    assert 0.5 < took < 5


def test_what_was_sent_again_and_lost_again_needs_no_time_out():
    lost = []

    def drop(number, data):
        if data[0] == 0x01 and int.from_bytes(data[16:18], "big") == 140 and len(lost) < 2:
            lost.append(number)
            return True
        return False

    pair = Pair(up={"drop": drop, "rate": 200_000.0})
    pair.talk(made_up(400_000), within=30)
    assert len(lost) == 2
    moments = [index for index, packet in enumerate(pair.caller.sent) if packet.seq == 140]
    assert len(moments) == 3
    # While all that waits moves on.
    assert pair.timeline.now < 3


def test_overtaking_by_two_is_no_loss():
    """ "3 or more packets have been acked past it"."""
    late = []

    def swap(data):
        """The 5th packet with data comes after the next two."""
        if data[0] == 0x01:
            seq = int.from_bytes(data[16:18], "big")
            if seq == 105:
                late.append(data)
                return None
            if seq == 107 and late:
                pair.timeline.at(pair.caller.line.free_at + 0.02001, pair.called.got, late[0])
        return data

    pair = Pair(up={"filter": swap, "rate": 500_000.0})
    pair.talk(made_up(100_000), within=10)
    assert late
    assert resent(pair.caller) == []


# -- no room -----------------------------------------------------------------------------------------------------------


def test_when_there_is_room_again_and_nobody_says_so():
    """The window that is told gets lost: whoever waits for it asks."""
    lose = False
    pair = Pair(down={"drop": lambda number, data: lose}, up={"delay": 0.01})
    pair.start()
    pair.run(1)
    pair.called.reads = 0
    pair.caller.say(made_up(2 * limits.UTP_WINDOW))
    pair.run(20)
    lose = True
    pair.called.reads = 1 << 16
    pair.called.use()
    lose = False
    assert pair.called.line.lost
    assert pair.run(60, pair.everything)
    pair.check()


def test_no_room_is_asked_about_every_few_seconds():
    pair = Pair(up={"delay": 0.01})
    pair.talk(b"hello", within=5)
    window = 0

    def say_no_room(data):
        return data[:12] + window.to_bytes(4, "big") + data[16:]

    pair.called.line.filter = say_no_room
    pair.called.say(b"full")
    pair.called.use()
    pair.run(1)
    sent = len(pair.caller.sent)
    pair.caller.say(made_up(100_000))
    pair.caller.use()
    pair.run(limits.UTP_ZERO_WINDOW - 0.2)
    assert len(pair.caller.sent) == sent
    pair.run(0.5)
    assert [(packet.kind, len(packet.payload)) for packet in pair.caller.sent[sent:]] == [(DATA, 20)]
    window = 1 << 20
    assert pair.run(limits.UTP_ZERO_WINDOW + 2, pair.everything)
    pair.check()


def test_a_small_room_is_used():
    """Less than a packet at a time, from a peer that has no more."""
    pair = Pair(down={"filter": lambda data: data[:12] + (500).to_bytes(4, "big") + data[16:]})
    pair.talk(made_up(20_000), within=10)
    assert {len(packet.payload) for packet in pair.caller.sent if packet.kind == DATA} <= {500, 20_000 % 500 or 500}


# -- the end -----------------------------------------------------------------------------------------------------------


def test_what_was_said_before_the_goodbye_is_heard():
    pair = Pair(up={"rate": 50_000.0, "loss": 0.05, "jitter": 0.01})
    pair.start()
    pair.run(3)
    pair.caller.say(made_up(100_000))
    pair.caller.close()
    assert pair.run(15, lambda: pair.called.over)
    assert pair.called.heard == pair.caller.said
    assert pair.run(limits.UTP_LINGER, lambda: pair.caller.gone)
    # The other direction is open, until its end finds nobody there.
    assert not pair.called.gone
    pair.called.say(b"anybody?")
    pair.called.use()
    pair.run(10)
    assert pair.called.connection.why == "Connection reset by peer"


def test_both_say_goodbye_at_once():
    pair = Pair()
    pair.talk(b"a", b"b", within=5)
    pair.run(1)
    pair.part(within=1)
    assert all(end.connection.why == "closed" for end in pair)


def test_who_is_heard_while_he_waits_for_his_goodbye():
    """Nobody reads it any more, and it is no reason to stay."""
    pair = Pair(up={"rate": 100_000.0})
    pair.start()
    pair.run(1)
    pair.caller.say(b"x")
    pair.called.say(made_up(5_000_000))
    pair.caller.use()
    pair.run(5)
    pair.caller.close()
    assert pair.run(3, lambda: pair.caller.gone)
    assert pair.run(3, lambda: pair.called.gone)


def test_a_goodbye_that_nobody_hears_is_over_after_a_while():
    pair = Pair()
    pair.talk(b"x", within=5)
    pair.called.alive = False
    pair.caller.say(made_up(10_000))
    pair.caller.close()
    pair.run(limits.UTP_LINGER - 0.2)
    assert not pair.caller.gone
    pair.run(0.4)
    assert pair.caller.gone


def test_a_call_that_nobody_answers():
    pair = Pair(up={"loss": 1.0})
    pair.start()
    pair.run(limits.UTP_GIVE_UP - 1)
    assert pair.caller.connection.state is State.CALLING
    assert {packet.kind for packet in pair.caller.sent} == {SYN}
    assert 5 <= len(pair.caller.sent) <= 10  # after 1, 2, 4 … seconds
    pair.run(2)
    assert pair.caller.gone
    assert pair.caller.connection.why == "Connection timed out"


def test_who_only_called_is_forgotten():
    pair = Pair(down={"loss": 1.0})
    pair.start()
    pair.run(0.1)
    called = pair.called.connection
    assert called.state is State.CALLED
    pair.caller.alive = False
    pair.run(limits.UTP_LINGER - 0.5)
    assert called.state is State.CALLED
    pair.run(1)
    assert called.state is State.GONE


def test_silence_is_broken_so_that_routers_do_not_forget():
    pair = Pair()
    pair.talk(b"x", b"y", within=5)
    pair.run(1)
    for _ in range(20):
        counts = pair.caller.datagrams, pair.called.datagrams
        pair.run(limits.UTP_KEEP_ALIVE + 2 * limits.UTP_TICK)
        for end, count in zip(pair, counts, strict=True):
            assert count < end.datagrams <= count + 2
            assert end.sent[-1].kind == STATE
    assert all(end.connection.state is State.OPEN for end in pair)
    # And it is taken for nothing else.
    assert resent(pair.caller) == resent(pair.called) == []
    pair.talk(made_up(1000), made_up(1000), within=2)


@pytest.mark.parametrize("place", [0, 1, 7, 20])
def test_nor_does_who_knows_no_selective_acks_wait_for_a_time_out(place):
    pair = Pair()
    pair.called.sack = False
    repaired, took, without = stream_of(pair, 100_000, lose=[place])
    assert resent(repaired.caller) == [101 + place]
    assert took - without < 0.5


def test_who_does_not_read_is_sent_no_more():
    pair = Pair(up={"delay": 0.01})
    pair.start()
    pair.run(1)
    pair.called.reads = 0
    pair.caller.say(made_up(4 * limits.UTP_WINDOW))
    pair.run(30)
    held = len(pair.called.connection._in._ready)
    assert limits.UTP_WINDOW - limits.UTP_PACKET <= held <= limits.UTP_WINDOW + limits.UTP_PACKET
    sent = pair.caller.datagrams
    pair.run(60)
    assert pair.caller.connection.state is State.OPEN
    # It asks now and then.
    assert 2 <= pair.caller.datagrams - sent < 40
    pair.called.reads = 1 << 16
    pair.called.use()
    began = pair.timeline.now
    assert pair.run(60, pair.everything)
    assert pair.timeline.now - began < 5  # it is told at once
    pair.check()
    pair.part()


@pytest.mark.parametrize("speaks", [True, False])
def test_a_network_that_is_away(speaks):
    """One try is left when it comes back in time; after UTP_GIVE_UP there is none."""
    away = False
    pair = Pair(up={"drop": lambda number, data: away, "rate": 100_000.0}, down={"drop": lambda number, data: away})
    pair.talk(b"x", within=5)
    pair.run(1)
    for seconds in (limits.UTP_GIVE_UP - MAX_TIMEOUT - 1, limits.UTP_GIVE_UP + 1):
        away = True
        if speaks:
            pair.caller.say(made_up(300_000))
            pair.caller.use()
        pair.run(seconds)
        away = False
        assert pair.caller.gone == (speaks and seconds > limits.UTP_GIVE_UP)
        if not pair.caller.gone:
            assert pair.run(MAX_TIMEOUT + 10, pair.everything)  # the next try, and the line's rate
    assert 2 * MAX_TIMEOUT <= limits.UTP_GIVE_UP
    if speaks:
        assert pair.caller.connection.why == "Connection timed out"
