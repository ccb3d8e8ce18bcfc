import struct

import pytest
import trio
import trio.testing

from tests.net.memory import MemoryDatagrams
from torrentlite import limits
from torrentlite.errors import NetworkError
from torrentlite.net.network import RealNetwork
from torrentlite.net.udp import UdpPort
from torrentlite.wire.address import Address

TRACKER = Address("192.0.2.1", 6969)
ANNOUNCE = 1


def request(action: int = ANNOUNCE, transaction_id: int = 7) -> bytes:
    return struct.pack(">QII", 1, action, transaction_id) + b"more"


def reply(action: int = ANNOUNCE, transaction_id: int = 7, more: bytes = bytes(12)) -> bytes:
    return struct.pack(">II", action, transaction_id) + more


async def opened(nursery, server=lambda data, to: []):
    socket = MemoryDatagrams(server)
    port = UdpPort([socket])
    await nursery.start(port.run)
    return socket, port


async def test_the_reply_finds_its_request(nursery):
    _, port = await opened(nursery, lambda data, to: [(reply(transaction_id=data[15]), to)])
    answers = {}

    async def ask(transaction_id):
        answers[transaction_id] = await port.request(request(transaction_id=transaction_id), TRACKER)

    async with trio.open_nursery() as asking:
        for transaction_id in range(5):
            asking.start_soon(ask, transaction_id)
    assert answers == {i: reply(transaction_id=i) for i in range(5)}
    assert port.dropped == 0


@pytest.mark.parametrize(
    ("data", "sender"),
    [
        (reply(), Address("192.0.2.2", 6969)),  # another host
        (reply(), Address("192.0.2.1", 6970)),  # another port of the same
        (reply(transaction_id=8), TRACKER),
        (reply(action=0), TRACKER),
        (reply(action=2), TRACKER),
        (reply(action=4), TRACKER),
        (reply(action=0x01000001), TRACKER),
        (reply(more=bytes(11)), TRACKER),  # an announce's reply has 20 bytes
        (reply()[:8], TRACKER),
        (reply()[:7], TRACKER),
        (b"\0\0\0", TRACKER),
        (b"", TRACKER),
        (b"d1:rd2:id20:" + bytes(20) + b"e1:t1:a1:y1:re", TRACKER),
        *((bytes([first]) + bytes(19), TRACKER) for first in (0x01, 0x11, 0x21, 0x31)),  # uTP
        (b"\x41\x01" + bytes(18), TRACKER),  # an extension that does not fit
    ],
)
async def test_everything_else_is_dropped(nursery, data, sender):
    socket, port = await opened(nursery)
    answers: list[bytes] = []

    @nursery.start_soon
    async def ask():
        answers.append(await port.request(request(), TRACKER))

    await trio.testing.wait_all_tasks_blocked()
    socket.deliver([(data, sender)])
    await trio.testing.wait_all_tasks_blocked()
    assert answers == []
    assert port.dropped == 1
    socket.deliver([(reply(), TRACKER)])
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [reply()]


async def test_a_call_over_utp_is_refused(nursery):
    socket, port = await opened(nursery)
    call = b"\x41\x00\x12\x34" + bytes(12) + b"\x00\x01\x00\x00"
    socket.deliver([(call, TRACKER)])
    await trio.testing.wait_all_tasks_blocked()
    [(_, answer, to)] = socket.sent
    assert (answer[0], answer[2:4], to) == (0x31, b"\x12\x34", TRACKER)
    assert port.dropped == 0


class Speaks:
    """Who speaks uTP; what is from the tracker is his."""

    def __init__(self):
        self.log = []

    def got(self, data, sender):
        self.log.append((data, sender))
        return sender == TRACKER

    def flush(self):
        self.log.append("flush")


async def test_who_speaks_utp_gets_its_packets(nursery):
    socket, port = await opened(nursery)
    port.utp = speaks = Speaks()
    packets = [bytes([first]) + bytes(19) for first in (0x01, 0x11, 0x21, 0x31, 0x41)]
    other = Address("192.0.2.2", 6969)
    socket.deliver([(packet, TRACKER) for packet in packets])
    await trio.testing.wait_all_tasks_blocked()
    # What comes at once is answered once.
    assert speaks.log == [*((packet, TRACKER) for packet in packets), "flush"]
    assert port.dropped == 0
    socket.deliver([(packets[0], other), (packets[0][:19], TRACKER), (b"\x51" + bytes(19), TRACKER)])
    await trio.testing.wait_all_tasks_blocked()
    assert speaks.log[6:] == [(packets[0], other), "flush"]
    assert port.dropped == 3
    assert socket.sent == []


async def test_a_reply_is_no_utp_packet(nursery):
    socket, port = await opened(nursery, lambda data, to: [(reply(), to)])
    port.utp = speaks = Speaks()
    assert await port.request(request(), TRACKER) == reply()
    await trio.testing.wait_all_tasks_blocked()
    assert set(speaks.log) == {"flush"}


@pytest.mark.parametrize(("action", "size"), [(0, 16), (1, 20), (2, 8), (3, 8)])
async def test_the_shortest_replies(nursery, action, size):
    asked = 1 if action == 3 else action
    _, port = await opened(nursery, lambda data, to: [(reply(action)[:n], to) for n in (size - 1, size)])
    assert len(await port.request(request(asked), TRACKER)) == size
    assert port.dropped == 1


async def test_only_the_first_reply_counts(nursery):
    _, port = await opened(nursery, lambda data, to: [(reply(more=bytes(12)), to), (reply(more=b"x" * 12), to)])
    assert await port.request(request(), TRACKER) == reply(more=bytes(12))
    assert port.dropped == 1


async def test_a_request_given_up_is_forgotten(nursery, autojump_clock):
    socket, port = await opened(nursery)
    with trio.move_on_after(1):
        await port.request(request(), TRACKER)
    socket.deliver([(reply(), TRACKER)])
    await trio.testing.wait_all_tasks_blocked()
    assert port.dropped == 1
    assert not port._waiting


async def test_requests_are_counted(nursery, monkeypatch):
    monkeypatch.setattr(limits, "PENDING_REPLIES", 2)
    _, port = await opened(nursery)
    for transaction_id in range(2):
        nursery.start_soon(port.request, request(transaction_id=transaction_id), TRACKER)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(NetworkError):
        await port.request(request(transaction_id=9), TRACKER)
    nursery.cancel_scope.cancel()


async def test_one_socket_per_family(nursery):
    six, four = MemoryDatagrams(lambda *_: [], ipv6=True), MemoryDatagrams(lambda *_: [])
    port = UdpPort([six, four])
    there = Address("2001:db8::1", 6969)
    assert port.send(b"6", there)
    assert port.send(b"4", TRACKER)
    assert [data for _, data, _ in six.sent] == [b"6"]
    assert [data for _, data, _ in four.sent] == [b"4"]
    only_four = UdpPort([four])
    assert not only_four.reaches(there)
    assert not only_four.send(b"6", there)


async def test_it_ends_when_closed():
    network = RealNetwork()
    async with trio.open_nursery() as nursery:
        port = UdpPort(await network.open_datagrams("127.0.0.1", 0))
        await nursery.start(port.run)
        port.close()
        port.close()


async def test_over_real_sockets(nursery):
    network = RealNetwork()
    (tracker,) = await network.open_datagrams("127.0.0.1", 0)
    port = UdpPort(await network.open_datagrams("127.0.0.1", 0))
    await nursery.start(port.run)

    @nursery.start_soon
    async def serve():
        ((data, sender),) = await tracker.receive()
        assert data == request()
        tracker.send(reply(), sender)

    assert await port.request(request(), tracker.address) == reply()
    port.close()
    tracker.close()
