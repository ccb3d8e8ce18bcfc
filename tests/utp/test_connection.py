"""One end, and packets that nobody ought to send."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies as st

from tests.utp.channel import RECEIVE_ID, Pair, state
from tests.utp.test_transfer import made_up
from torrentlite import limits
from torrentlite.utp.connection import Connection, State
from torrentlite.wire.utp import DATA, FIN, MAX_SACK, RESET, STATE, SYN, WRAP, Packet, parse, refuse

NUMBERS = [0, 1, 2, 99, 100, 101, 102, 199, 200, 201, 1100, 0x7FFF, 0xFFFF]


def into(sent):
    """A system that takes all, and what it was given."""

    def send(datagrams):
        sent.extend(map(parse, datagrams))
        return len(datagrams)

    return send


def open_one(seq=100, their_seq=200):
    """Our end of a connection that was called, and what it sends."""
    sent = []
    connection = Connection.calling(into(sent), RECEIVE_ID, seq=seq, payload=1352, now=0.0)
    connection.flush(0.0)
    connection.got(state(seq, seq=their_seq), 0.1)
    assert connection.state is State.OPEN
    return connection, sent


def held(connection):
    """Bytes kept for the other side's sake."""
    incoming = connection._in
    return len(incoming._ready) + sum(len(part or b"") + 100 for part in incoming._ahead.values())


packets = st.builds(
    Packet,
    st.sampled_from([DATA, DATA, DATA, FIN, STATE, STATE, RESET, SYN]),
    st.just(RECEIVE_ID),
    st.sampled_from([0, 1, 0xFFFF_FFFF, 12345]),
    st.sampled_from([0, 1, 50_000, 0x7FFF_FFFF, 0xFFFF_FFFF]),
    st.sampled_from([0, 1, 20, 1352, 1 << 20, 0xFFFF_FFFF]),
    st.sampled_from(NUMBERS) | st.integers(0, WRAP),
    st.sampled_from(NUMBERS) | st.integers(90, 140),
    st.sampled_from([0, 1, 7, 1 << 511, (1 << 8 * MAX_SACK) - 1]),
    st.sampled_from([b"", b"x", bytes(1352), bytes(60_000)]),
)


@settings(max_examples=200)
@given(st.lists(packets, max_size=60), st.booleans(), st.integers(0, 1 << 30))
def test_anything_may_be_said(said, called, seed):
    """It never raises, sends no more than the window, and keeps no more than twice its own."""
    dice = random.Random(seed)
    if called:
        sent = []
        syn = Packet(SYN, RECEIVE_ID - 1, 0, 0, 1 << 20, 199, 0)
        connection = Connection.called(into(sent), syn, seq=100, payload=1352, now=0.0)
    else:
        connection, sent = open_one()
    now = 0.2
    for packet in said:
        if connection.state is State.OPEN and dice.random() < 0.5:
            connection.write(bytes(dice.choice([1, 5000])))
        if dice.random() < 0.03:
            connection.close(now)
        connection.got(packet, now)
        if dice.random() < 0.7:
            connection.flush(now)
        assert held(connection) <= 2 * limits.UTP_WINDOW + (200 << 10)
        now += dice.choice([0.0, 0.01, 0.1, 1.0, 40.0])
        connection.tick(now)
    gone = connection.state is State.GONE
    connection.close(now)
    count = len(sent)
    for _ in range(int((limits.UTP_LINGER + 1) / limits.UTP_TICK)):
        now += limits.UTP_TICK
        connection.flush(now)
        connection.tick(now)
    assert connection.state is State.GONE
    assert not gone or len(sent) == count
    after = len(sent)
    for packet in said:
        connection.got(packet, now)
        connection.flush(now)
    assert len(sent) == after


@settings(max_examples=60)
@given(st.integers(0, 1 << 30), st.sampled_from([0.02, 0.3]))
def test_bits_that_fall_over(seed, share):
    """UDP's checksum is weak: what is damaged may end a connection, and raises nothing."""
    dice = random.Random(seed)

    def damage(data):
        if dice.random() > share:
            return data
        broken = bytearray(data)
        for _ in range(dice.choice([1, 1, 3])):
            place = dice.choice([1, *range(4, 20)])
            broken[place % len(broken)] = dice.randrange(256)
        return bytes(broken)

    pair = Pair(seed, up={"filter": damage, "jitter": 0.01})
    pair.start()
    pair.caller.say(made_up(50_000))
    pair.called.say(made_up(50_000))
    pair.run(60)


# -- guesses -----------------------------------------------------------------------------------------------------------


def guesses(make):
    """How many of all numbers that may be acknowledged change the state."""
    found = []
    for ack in range(WRAP + 1):
        connection, packet = make(ack)
        before = connection.state
        connection.got(packet, 1.0)
        if connection.state is not before:
            found.append(ack)
    return found


def called():
    syn = Packet(SYN, RECEIVE_ID - 1, 0, 0, 1 << 20, 199, 0)
    return Connection.called(len, syn, seq=100, payload=1352, now=0.0)


@pytest.mark.parametrize("kind", [DATA, FIN])
def test_who_does_not_see_our_answer_opens_no_connection(kind):
    one = called()
    for ack in range(WRAP + 1):
        if ack != 99:
            one.got(Packet(kind, RECEIVE_ID, 0, 0, 1 << 20, 200, ack, 0, b"x"), 1.0)
    assert one.state is State.CALLED
    assert not one.readable
    one.got(Packet(kind, RECEIVE_ID, 0, 0, 1 << 20, 200, 99, 0, b"x"), 1.0)
    assert one.state is State.OPEN


def test_who_does_not_see_our_call_answers_none():
    one = Connection.calling(len, RECEIVE_ID, seq=100, payload=1352, now=0.0)
    one.flush(0.0)
    for ack in range(WRAP + 1):
        if ack != 100:
            one.got(state(ack), 0.1)
            one.got(state(ack)._replace(kind=RESET), 0.1)
    assert one.state is State.CALLING
    one.got(state(100)._replace(kind=RESET), 0.1)
    assert (one.state, one.why) == (State.GONE, "refused")


def test_few_guesses_reset_a_connection():
    hits = 0
    for ack in range(0, WRAP + 1, 16):
        connection, _ = open_one()
        connection.got(state(ack)._replace(kind=RESET), 1.0)
        hits += connection.state is State.GONE
    assert 0 < 16 * hits <= limits.UTP_PACKETS_AHEAD + 32


@pytest.mark.parametrize("ack", [101, 150, 300, 0x7FFF])
def test_what_was_not_sent_cannot_have_come(ack):
    connection, sent = open_one()
    connection.got(Packet(DATA, RECEIVE_ID, 0, 0, 1 << 20, 200, ack, 0, b"spoofed"), 1.0)
    connection.flush(1.0)
    assert not connection.readable
    assert [packet.kind for packet in sent] == [SYN]


def test_bits_for_what_was_not_sent():
    connection, _ = open_one()
    connection.write(bytes(1352 * 3))
    connection.flush(1.0)
    for _ in range(5):
        connection.got(state(100, sack=(1 << 8 * MAX_SACK) - 1), 1.1)
        connection.flush(1.1)
    connection.got(state(103), 1.2)
    assert connection._out.done
    connection.write(b"more")
    connection.flush(1.3)
    assert connection._out.in_flight == 4
    connection.got(state(104), 1.4)
    assert connection._out.done


def test_who_knows_nothing_of_a_connection_ends_it():
    """Whatever was said to him: what he refuses is data, or an acknowledgement alone."""
    for speaks in (True, False):
        connection, sent = open_one()
        if speaks:
            connection.write(b"hello")
            connection.flush(1.0)
        else:
            connection.tick(1.0 + limits.UTP_KEEP_ALIVE)
        assert sent[-1].kind == (DATA if speaks else STATE)
        connection.got(parse(refuse(sent[-1])), 31.0)
        assert (connection.state, connection.why) == (State.GONE, "Connection reset by peer")


# -- windows -----------------------------------------------------------------------------------------------------------


def test_the_largest_window_is_not_believed():
    connection, sent = open_one()
    connection.got(state(100, window=0xFFFF_FFFF), 1.0)
    connection.write(bytes(4 << 20))
    now, acked = 1.0, 100
    for _ in range(400):
        connection.flush(now)
        assert connection._out.in_flight <= limits.UTP_WINDOW
        acked = (connection._out.next_seq - 1) & WRAP
        now += 0.01
        connection.got(state(acked, window=0xFFFF_FFFF, delay=1000), now)
    assert connection.waiting == 0


@pytest.mark.parametrize("window", [0, 1, 19])
def test_a_small_window_for_ever_costs_little(window):
    connection, sent = open_one()
    connection.write(bytes(100_000))
    now = 0.2
    while now < 300:
        connection.got(state(connection._out.next_seq - 1 & WRAP, window=window), now)
        connection.flush(now)
        now += limits.UTP_TICK
        connection.tick(now)
    assert sum(len(packet.payload) for packet in sent) <= (window + 1) * 3100 + 20 * 300 / limits.UTP_ZERO_WINDOW
    assert connection.state is State.OPEN


# -- ends --------------------------------------------------------------------------------------------------------------


def got(connection, kind, seq, payload=b"", ack=100):
    connection.got(Packet(kind, RECEIVE_ID, 0, 0, 1 << 20, seq, ack, 0, payload), 1.0)
    connection.flush(1.0)


def read(connection):
    buffer = bytearray(1000)
    assert connection.readable
    return bytes(buffer[: connection.take_into(memoryview(buffer))])


def test_a_goodbye_before_its_time():
    connection, sent = open_one()
    got(connection, FIN, 202)
    assert not connection.readable
    got(connection, DATA, 201, b"b")
    got(connection, FIN, 202)
    got(connection, DATA, 203, b"never")
    got(connection, FIN, 204)
    assert not connection.readable
    got(connection, DATA, 200, b"a")
    assert read(connection) == b"ab"
    assert read(connection) == b""
    assert sent[-1].ack == 202
    got(connection, DATA, 203, b"never")
    assert read(connection) == b""
    # It goes on speaking.
    connection.write(b"still here")
    connection.flush(1.0)
    assert sent[-1].payload == b"still here"


def test_break_off_tells_the_other_side():
    connection, sent = open_one()
    connection.break_off(1.0)
    assert connection.state is State.GONE
    assert (sent[-1].kind, sent[-1].connection_id, sent[-1].ack) == (RESET, RECEIVE_ID + 1, 199)
    connection.break_off(1.0)
    assert len(sent) == 2


def test_a_call_that_is_closed_says_nothing_more():
    sent = []
    one = Connection.calling(into(sent), RECEIVE_ID, seq=100, payload=1352, now=0.0)
    one.flush(0.0)
    one.close(0.1)
    one.flush(0.1)
    one.got(state(100), 0.2)
    one.flush(0.2)
    assert one.state is State.GONE
    assert len(sent) == 1


def test_a_second_answer_changes_nothing():
    connection, _ = open_one()
    got(connection, DATA, 200, b"a")
    connection.got(state(100, seq=200), 1.0)
    connection.got(state(100, seq=700), 1.0)
    got(connection, DATA, 201, b"b")
    assert read(connection) == b"ab"


def test_a_call_that_comes_twice_is_answered_twice():
    sent = []
    syn = Packet(SYN, RECEIVE_ID - 1, 0, 0, 1 << 20, 199, 0)
    one = Connection.called(into(sent), syn, seq=100, payload=1352, now=0.0)
    one.flush(0.0)
    one.got(syn, 1.0)
    one.flush(1.0)
    assert [(packet.kind, packet.connection_id, packet.seq, packet.ack) for packet in sent] == [
        (STATE, RECEIVE_ID - 1, 100, 199)
    ] * 2


def test_packets_that_come_at_once_are_answered_once():
    connection, sent = open_one()
    for seq in range(200, 210):
        connection.got(Packet(DATA, RECEIVE_ID, 0, 0, 1 << 20, seq, 100, 0, b"x"), 1.0)
    connection.flush(1.0)
    connection.flush(1.0)
    assert [(packet.kind, packet.ack) for packet in sent[1:]] == [(STATE, 209)]


def test_what_comes_after_a_close_is_acknowledged_and_not_kept():
    connection, sent = open_one()
    got(connection, DATA, 203, bytes(1000))
    connection.close(1.0)
    for seq in (202, 204, 205):
        got(connection, DATA, seq, bytes(1000))
    connection.flush(1.0)
    assert sent[-1].window == limits.UTP_WINDOW
    for seq in (200, 201):
        got(connection, DATA, seq, bytes(1000))
    connection.flush(1.0)
    assert sent[-1].ack == 205
    assert not connection.readable


def test_what_the_system_took_only_in_part_goes_on_where_it_stopped():
    sent, room = [], 5

    def send(datagrams):
        taken = datagrams[: max(0, room - len(sent))]
        sent.extend(map(parse, taken))
        return len(taken)

    connection = Connection.calling(send, RECEIVE_ID, seq=100, payload=1352, now=0.0)
    connection.flush(0.0)
    connection.got(state(100, seq=200), 0.1)
    connection.write(bytes(3 * 1352))
    connection.flush(0.1)
    connection.got(state(103), 0.2)
    connection.write(bytes(4 * 1352))
    connection.flush(0.2)
    assert [packet.seq for packet in sent] == [100, 101, 102, 103, 104]
    assert connection._out.in_flight == 1352
    room = 100
    connection.tick(0.3)  # nothing has to get lost first
    assert [packet.seq for packet in sent[5:]] == [105, 106, 107]
    connection.got(state(107), 0.4)
    assert connection._out.done
