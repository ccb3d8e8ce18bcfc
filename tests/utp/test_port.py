"""All connections of a port: which packet is for which, and what strangers may cost."""

from __future__ import annotations

import functools
import random

import pytest
import trio
import trio.testing

from tests.net.memory import MemoryDatagrams
from torrentlite import limits
from torrentlite.errors import NetworkError
from torrentlite.net.udp import UdpPort
from torrentlite.utp.connection import State
from torrentlite.utp.port import Utp
from torrentlite.wire.address import Address
from torrentlite.wire.utp import DATA, FIN, RESET, STATE, SYN, WRAP, Packet, encode, parse

PEER = Address("192.0.2.7", 6881)
OTHER = Address("192.0.2.8", 6881)


class Port:
    """A port whose other side is the test.

    Attributes:
        sent: packets, and to whom.
    """

    def __init__(self, **options):
        self.socket = MemoryDatagrams(lambda data, to: [])
        self.udp = UdpPort([self.socket])
        self.dice = random.Random(1)
        self.utp = Utp(self.udp, secret=self.dice.randbytes, source=lambda _: "192.0.2.9", **options)

    @property
    def sent(self):
        return [(parse(data), to) for _, data, to in self.socket.sent]

    def hear(self, kind, connection_id, seq=1, ack=0, payload=b"", *, sender=PEER, window=1 << 20, flush=True):
        took = self.utp.got(encode(kind, connection_id, 1, 2, window, seq, ack) + payload, sender)
        if flush:
            self.utp.flush()
        return took

    def last(self):
        return parse(self.socket.sent[-1][1])

    def open(self, connection_id=500, *, sender=PEER, payload=b"hello"):
        """Somebody calls, and says something."""
        self.hear(SYN, connection_id, sender=sender)
        answer = self.last()
        assert (answer.kind, answer.connection_id, answer.ack) == (STATE, connection_id, 1)
        self.hear(DATA, connection_id + 1 & WRAP, 2, answer.seq - 1 & WRAP, payload, sender=sender)
        return answer.seq

    def clean(self):
        utp = self.utp
        return not (len(utp) or utp._called or utp._touched or utp._arrived)


async def heard(stream, size=100):
    buffer = bytearray(size)
    return bytes(buffer[: await stream.receive_into(memoryview(buffer))])


@pytest.fixture
async def port(nursery):
    made = Port()
    nursery.start_soon(made.utp.run)

    @nursery.start_soon
    async def give_up():
        await trio.sleep(3600)
        raise AssertionError("it hangs")

    return made


async def called(port, nursery, address=PEER):
    """We call, and who is called answers; the stream and his number."""
    found = []

    @nursery.start_soon
    async def connect():
        found.append(await port.utp.connect(address))

    await trio.testing.wait_all_tasks_blocked()
    syn = port.last()
    assert syn.kind == SYN
    port.hear(STATE, syn.connection_id, 900, syn.seq, sender=address)
    await trio.testing.wait_all_tasks_blocked()
    return found[0], syn


# -- who is who --------------------------------------------------------------------------------------------------------


async def test_a_call_is_answered_and_accepted_when_it_speaks(autojump_clock, port):
    port.hear(SYN, 500)
    assert port.last()._replace(timestamp=0, delay=0, seq=0) == Packet(STATE, 500, 0, 0, limits.UTP_WINDOW, 0, 1)
    with trio.move_on_after(1) as waiting:
        await port.utp.accept()
    assert waiting.cancelled_caught
    port.hear(DATA, 501, 2, port.last().seq - 1 & WRAP, b"hello")
    stream = await port.utp.accept()
    assert (stream.remote, stream.local) == (PEER, Address("192.0.2.9", port.utp.address.port))
    assert await heard(stream) == b"hello"
    assert len(port.utp) == 1


async def test_a_call_that_comes_twice_is_one_call(autojump_clock, port):
    port.hear(SYN, 500)
    port.hear(SYN, 500)
    assert [packet.kind for packet, _ in port.sent] == [STATE, STATE]
    assert port.sent[0][0].seq == port.sent[1][0].seq
    assert len(port.utp) == 1
    port.open(500)
    port.hear(SYN, 500)
    assert len(port.utp) == 1


async def test_packets_are_told_apart_by_sender_and_number(autojump_clock, port):
    for sender in (PEER, OTHER, Address(PEER.host, 6882)):
        for number in (500, 600):
            port.open(number, sender=sender, payload=f"{sender} {number}".encode())
    found = [await port.utp.accept() for _ in range(6)]
    assert [await heard(stream) for stream in found] == [
        f"{sender} {number}".encode() for sender in (PEER, OTHER, Address(PEER.host, 6882)) for number in (500, 600)
    ]


async def test_both_call_each_other_at_once(autojump_clock, port, nursery):
    ours, syn = await called(port, nursery)
    number = syn.connection_id + 100 & WRAP
    port.open(number)
    theirs = await port.utp.accept()
    assert len(port.utp) == 2
    port.hear(DATA, syn.connection_id, 900, syn.seq, b"to our call")
    assert await heard(ours) == b"to our call"
    assert await heard(theirs) == b"hello"


@pytest.mark.parametrize("step", [-1, 0])
async def test_a_call_with_a_number_of_another_connection_is_refused(autojump_clock, port, step):
    port.open(500)
    port.hear(SYN, 501 + step if step else 501)
    last = port.last()
    if step:
        assert last.kind == STATE  # the same call again
    else:
        assert (last.kind, last.connection_id) == (RESET, 501)
    port.hear(SYN, 499)
    assert (port.last().kind, port.last().connection_id) == (RESET, 499)
    assert len(port.utp) == 1
    port.hear(SYN, 502)
    assert port.last().kind == STATE


@pytest.mark.parametrize("kind", [DATA, FIN, STATE])
async def test_a_packet_of_no_connection_is_refused(autojump_clock, port, kind):
    assert port.hear(kind, 77, 5, 6)
    assert port.last()._replace(timestamp=0) == Packet(RESET, 77, 0, 0, 0, 0, 5)


async def test_a_reset_of_no_connection_is_not_answered(autojump_clock, port):
    assert not port.hear(RESET, 77, 5, 6)
    assert port.sent == []


async def test_extensions_that_do_not_fit_are_nobodys(autojump_clock, port):
    assert not port.utp.got(b"\x01\x01" + bytes(19), PEER)
    assert not port.utp.got(b"\x41\x01" + bytes(18), PEER)
    assert port.sent == []


async def test_martians_are_not_answered(autojump_clock, port):
    for host in ("0.0.0.0", "255.255.255.255", "224.0.0.1"):
        assert not port.hear(SYN, 500, sender=Address(host, 6881))
    assert not port.hear(SYN, 500, sender=Address("192.0.2.7", 0))
    assert port.sent == []
    assert len(port.utp) == 0


async def test_who_is_not_taken_is_refused(nursery, autojump_clock):
    port = Port(takes=lambda address: address == OTHER)
    port.hear(SYN, 500)
    assert port.last().kind == RESET
    assert len(port.utp) == 0
    port.hear(SYN, 500, sender=OTHER)
    assert port.last().kind == STATE


# -- resets ------------------------------------------------------------------------------------------------------------


async def test_a_refused_call(autojump_clock, port, nursery):
    async def connect():
        with pytest.raises(NetworkError, match="refused"):
            await port.utp.connect(PEER)

    async with trio.open_nursery() as calling:
        calling.start_soon(connect)
        await trio.testing.wait_all_tasks_blocked()
        syn = port.last()
        port.hear(RESET, syn.connection_id, 0, syn.seq + 1 & WRAP)
        port.hear(RESET, syn.connection_id, 0, syn.seq, sender=OTHER)
        await trio.testing.wait_all_tasks_blocked()
        assert len(port.utp) == 1
        port.hear(RESET, syn.connection_id, 0, syn.seq)
    assert port.clean()


@pytest.mark.parametrize("we_called", [True, False])
@pytest.mark.parametrize("speaks", [True, False])
async def test_the_other_side_was_started_anew(autojump_clock, port, nursery, we_called, speaks):
    """It gives back what it does not know."""
    if we_called:
        stream, _ = await called(port, nursery)
    else:
        port.open()
        stream = await port.utp.accept()
        await heard(stream)
    if speaks:
        await stream.send_vectored([b"hello?"])
    else:
        await trio.sleep(limits.UTP_KEEP_ALIVE + 1)
    said = port.last()
    assert said.kind == (DATA if speaks else STATE)
    port.hear(RESET, said.connection_id, 0, said.seq)
    with pytest.raises(NetworkError, match="reset"):
        await heard(stream)
    with pytest.raises(NetworkError, match="reset"):
        await stream.send_vectored([b"more"])
    stream.close()
    assert port.clean()


async def test_what_was_heard_before_a_reset_is_read(autojump_clock, port):
    seq = port.open()
    stream = await port.utp.accept()
    port.hear(RESET, 501, 3, seq - 1 & WRAP)
    assert await heard(stream) == b"hello"
    with pytest.raises(NetworkError, match="reset"):
        await heard(stream)
    assert len(port.utp) == 0


async def test_spoofed_senders_end_nothing(autojump_clock, port):
    seq = port.open()
    stream = await port.utp.accept()
    await heard(stream)
    dice = random.Random(3)
    for _ in range(2000):
        sender = Address(f"198.51.100.{dice.randrange(256)}", dice.randrange(1, 65536))
        port.hear(
            dice.choice([RESET, DATA, FIN, STATE]), 501, dice.randrange(65536), seq - 1 & WRAP, b"x", sender=sender
        )
    port.hear(DATA, 501, 3, seq - 1 & WRAP, b"real")
    assert await heard(stream) == b"real"
    assert len(port.utp) == 1


async def test_a_reset_that_comes_after_the_call(autojump_clock, port):
    """Calls that are broken off at once leave no trace, however many."""
    for number in range(0, 2000, 4):
        port.hear(SYN, number)
        port.hear(RESET, number + 1, 2, port.last().seq - 1 & WRAP)
    assert port.clean()
    port.open(3000)
    assert await port.utp.accept()


# -- floods ------------------------------------------------------------------------------------------------------------


def somebody(number):
    return Address(f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}", 6881)


async def test_calls_alone_are_bounded(autojump_clock, port):
    first = port.hear(SYN, 500, sender=somebody(0)) and port.last()
    for number in range(1, limits.MAX_UTP_CALLS):
        port.hear(SYN, 500, sender=somebody(number))
    assert len(port.utp) == limits.MAX_UTP_CALLS
    # One that speaks is none of them any more.
    port.hear(DATA, 501, 2, first.seq - 1 & WRAP, b"x", sender=somebody(0))
    port.hear(SYN, 500, sender=somebody(5000))
    assert len(port.utp) == limits.MAX_UTP_CALLS + 1
    for number in range(6000, 10_000):
        port.hear(SYN, 500, sender=somebody(number))
        assert len(port.utp) == limits.MAX_UTP_CALLS + 1
    assert len(port.utp._called) == limits.MAX_UTP_CALLS
    # The oldest went.
    port.hear(DATA, 501, 2, 0, b"x", sender=somebody(1))
    assert port.last().kind == RESET
    await trio.sleep(limits.UTP_LINGER + 1)
    assert len(port.utp) == 1
    # No flood was louder than what was heard.
    assert sum(len(data) for _, data, _ in port.socket.sent) <= 20 * 4253


async def test_calls_of_one_moment_are_bounded(autojump_clock, port):
    """Before anybody answers them."""
    for number in range(2000):
        port.hear(SYN, 500, sender=somebody(number), flush=False)
    assert len(port.utp) == len(port.utp._touched) == limits.MAX_UTP_CALLS
    port.utp.flush()
    assert len(port.sent) == limits.MAX_UTP_CALLS


async def test_connections_are_bounded(autojump_clock, port):
    for number in range(limits.MAX_UTP_CONNECTIONS):
        port.open(500, sender=somebody(number))
    assert len(port.utp) == limits.MAX_UTP_CONNECTIONS
    port.hear(SYN, 500)
    assert (port.last().kind, port.sent[-1][1]) == (RESET, PEER)
    with pytest.raises(NetworkError, match="no uTP"):
        await port.utp.connect(PEER)
    assert len(port.utp) == limits.MAX_UTP_CONNECTIONS
    # One that is only ending makes room.
    stream = await port.utp.accept()
    stream.close()
    assert len(port.utp) == limits.MAX_UTP_CONNECTIONS
    port.hear(SYN, 500)
    assert port.last().kind == STATE
    assert len(port.utp) == limits.MAX_UTP_CONNECTIONS


async def test_anything_may_come(autojump_clock, port, nursery):
    """Mutated packets of connections in all states, from those they are with and from others."""
    dice = random.Random(5)
    streams = [(await called(port, nursery))[0]]
    port.open(700)
    port.hear(SYN, 800)
    numbers = [stream.connection.receive_id for stream in port.utp._streams.values()] + [500, 701, 801, 0, WRAP]
    for _ in range(4000):
        acks = [stream.connection._out.next_seq for stream in port.utp._streams.values()] or [0]
        data = bytearray(
            encode(
                dice.randrange(5),
                (dice.choice(numbers) + dice.choice([-1, 0, 0, 0, 1])) & WRAP,
                dice.choice([0, 5, 0xFFFF_FFFF]),
                dice.choice([0, 5, 0xFFFF_FFFF]),
                dice.choice([0, 1, 1 << 20, 0xFFFF_FFFF]),
                dice.choice([0, 1, 2, 3, 900, 901, 902, 1100, WRAP]),
                (dice.choice(acks) - dice.choice([0, 1, 1, 1, 2])) & WRAP,
                dice.choice([0, 0, 1, dice.getrandbits(512)]),
            )
            + dice.choice([b"", b"x", bytes(1352)])
        )
        if dice.random() < 0.3:
            data[dice.randrange(2, len(data))] = dice.randrange(256)
        if dice.random() < 0.1:
            data[1] = dice.randrange(256)
        port.utp.got(bytes(data), dice.choice([PEER, PEER, PEER, OTHER]))
        if dice.random() < 0.5:
            port.utp.flush()
        if dice.random() < 0.02:
            await trio.sleep(dice.choice([0.05, 0.5]))
        while port.utp._arrived:
            streams.append(await port.utp.accept())
        if dice.random() < 0.02:
            streams.pop(dice.randrange(len(streams))).close() if streams else None
        if streams and dice.random() < 0.1:
            stream = dice.choice(streams)
            if stream.connection.state is State.OPEN:
                with trio.move_on_after(0.01):
                    await stream.send_vectored([bytes(3000)])
    for stream in streams:
        stream.close()
    await trio.sleep(limits.UTP_LINGER + limits.UTP_TICK * 2)
    assert port.clean()


# -- what users do -----------------------------------------------------------------------------------------------------


async def test_cancelled_while_it_calls(autojump_clock, port):
    with trio.move_on_after(5):
        await port.utp.connect(PEER)
    assert port.clean()
    syns = [packet for packet, _ in port.sent]
    assert {packet.kind for packet in syns} == {SYN}
    count = len(port.sent)
    await trio.sleep(60)
    assert len(port.sent) == count
    # An answer that comes late finds nobody.
    port.hear(STATE, syns[0].connection_id, 7, syns[0].seq)
    assert port.last().kind == RESET


async def test_nobody_answers(autojump_clock, port):
    began = trio.current_time()
    with pytest.raises(NetworkError, match="timed out"):
        await port.utp.connect(PEER)
    assert limits.UTP_GIVE_UP < trio.current_time() - began < limits.UTP_GIVE_UP + 1
    assert port.clean()


async def test_cancelled_while_it_receives(autojump_clock, port):
    seq = port.open()
    stream = await port.utp.accept()
    await heard(stream)
    with trio.move_on_after(1):
        await heard(stream)
    port.hear(DATA, 501, 3, seq - 1 & WRAP, b"later")
    assert await heard(stream) == b"later"


async def test_closed_while_it_receives(autojump_clock, port, nursery):
    port.open()
    stream = await port.utp.accept()
    await heard(stream)

    async def receive():
        with pytest.raises(NetworkError, match="closed"):
            await heard(stream)

    async with trio.open_nursery() as receiving:
        receiving.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
    stream.close()
    await stream.aclose()
    for act in (functools.partial(heard, stream), functools.partial(stream.send_vectored, [b"x"])):
        with pytest.raises(NetworkError, match="closed"):
            await act()
    fin = port.last()
    assert fin.kind == FIN
    port.hear(STATE, 501, 3, fin.seq)
    assert port.clean()


async def test_more_than_the_buffer_waits_until_it_is_sent(autojump_clock, port, nursery):
    seq = port.open()
    stream = await port.utp.accept()
    # What fits into the buffer needs nobody.
    await stream.send_vectored([bytes(limits.UTP_SEND_BUFFER)])
    assert stream.connection.waiting <= limits.UTP_SEND_BUFFER
    done = []

    @nursery.start_soon
    async def send():
        await stream.send_vectored([bytes(limits.UTP_SEND_BUFFER), bytes(limits.UTP_SEND_BUFFER)])
        done.append(True)

    await trio.testing.wait_all_tasks_blocked()
    assert not done
    acked = -1
    while not done:
        assert stream.connection.waiting > limits.UTP_SEND_BUFFER
        acked = max(packet.seq - seq & WRAP for packet, _ in port.sent if packet.kind == DATA)
        port.hear(STATE, 501, 3, seq + acked & WRAP)
        await trio.testing.wait_all_tasks_blocked()
    assert stream.connection.waiting <= limits.UTP_SEND_BUFFER


async def test_closed_while_it_sends(autojump_clock, port):
    port.open()
    stream = await port.utp.accept()

    async def send():
        with pytest.raises(NetworkError, match="closed"):
            await stream.send_vectored([bytes(1 << 20)])

    async with trio.open_nursery() as sending:
        sending.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
    assert len(port.utp) == 1
    await trio.sleep(limits.UTP_LINGER + 1)
    assert port.clean()


async def test_an_empty_message_is_nothing(autojump_clock, port):
    port.open()
    stream = await port.utp.accept()
    count = len(port.sent)
    await stream.send_vectored([])
    await stream.send_vectored([b"", bytearray()])
    assert len(port.sent) == count


async def test_unread_comes_first(autojump_clock, port):
    port.open()
    stream = await port.utp.accept()
    stream.unread(b"before ")
    stream.unread(b"long ")
    assert await heard(stream, 7) == b"long be"
    assert await heard(stream) == b"fore "
    assert await heard(stream) == b"hello"


async def test_the_end_is_said_again_and_again(autojump_clock, port):
    seq = port.open()
    stream = await port.utp.accept()
    port.hear(FIN, 501, 3, seq - 1 & WRAP)
    assert await heard(stream) == b"hello"
    assert await heard(stream) == b""
    assert await heard(stream) == b""


async def test_close_ends_all(autojump_clock, port, nursery):
    port.open(500)
    port.open(600)
    waits = await port.utp.accept()
    await heard(waits)
    port.hear(SYN, 700)
    errors = []

    async def fails(act):
        with pytest.raises(NetworkError) as caught:
            await act()
        errors.append(str(caught.value))

    async with trio.open_nursery() as waiting:
        waiting.start_soon(fails, functools.partial(heard, waits))
        waiting.start_soon(fails, functools.partial(port.utp.connect, OTHER))
        await trio.testing.wait_all_tasks_blocked()
        before = len(port.sent)
        port.utp.close()
    assert len(errors) == 2
    assert sorted(packet.connection_id for packet, _ in port.sent[before:] if packet.kind == RESET) == [500, 600]
    port.utp.close()
    assert len(port.utp) == 0
    with pytest.raises(NetworkError):
        await port.utp.connect(PEER)
    assert not port.hear(SYN, 800)
    (await port.utp.accept()).close()  # it had arrived
    with pytest.raises(NetworkError, match="closed"):
        await port.utp.accept()


async def test_close_while_somebody_accepts(autojump_clock, port):
    async def accept():
        with pytest.raises(NetworkError, match="closed"):
            await port.utp.accept()

    async with trio.open_nursery() as accepting:
        accepting.start_soon(accept)
        await trio.testing.wait_all_tasks_blocked()
        port.utp.close()


async def test_a_family_that_is_not_there(autojump_clock, port):
    with pytest.raises(NetworkError, match="no uTP"):
        await port.utp.connect(Address("2001:db8::1", 6881))


async def test_a_system_that_does_not_send_the_call(autojump_clock, port, nursery):
    port.socket.room = False
    found = []

    @nursery.start_soon
    async def connect():
        found.append(await port.utp.connect(PEER))

    await trio.sleep(1)
    port.socket.room = True
    count = len(port.sent)
    await trio.sleep(2 * limits.UTP_TICK)
    syn = port.last()
    assert len(port.sent) > count
    port.hear(STATE, syn.connection_id, 1, syn.seq)
    await trio.testing.wait_all_tasks_blocked()
    assert found


@pytest.mark.parametrize("ipv6", [False, True])
async def test_a_full_packet_fits_every_way(nursery, autojump_clock, ipv6):
    """IP packets of 1400 bytes, and of the 1280 that IPv6 promises."""
    udp = UdpPort([MemoryDatagrams(lambda data, to: [], ipv6=ipv6)])
    utp = Utp(udp, secret=random.Random(1).randbytes, source=lambda _: "192.0.2.9")
    peer = Address("2001:db8::7", 6881) if ipv6 else PEER
    utp.got(encode(SYN, 500, 1, 0, 1 << 20, 1, 0), peer)
    utp.flush()
    (socket,) = udp._sockets.values()
    seq = parse(socket.sent[-1][1]).seq
    utp.got(encode(DATA, 501, 1, 0, 1 << 20, 2, seq - 1 & WRAP) + b"x", peer)
    utp.flush()
    stream = await utp.accept()
    await stream.send_vectored([bytes(5000)])
    sizes = {len(data) for _, data, _ in socket.sent}
    assert max(sizes) == 20 + (limits.UTP_PACKET_IPV6 if ipv6 else limits.UTP_PACKET)
    assert max(sizes) + 8 + (40 if ipv6 else 20) == (1280 if ipv6 else 1400)
    utp.close()
