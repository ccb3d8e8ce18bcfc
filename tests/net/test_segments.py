"""Many datagrams by one call: what arrives is as if each had been sent alone."""

import errno
import socket
import sys

import pytest
import trio
from hypothesis import given, strategies as st

from tests.interop.clients import Space
from tests.net.lan import wiring
from torrentlite import limits
from torrentlite.net import segments
from torrentlite.net.datagrams import UdpDatagrams, open_datagrams
from torrentlite.net.sockets import open_sockets
from torrentlite.wire.address import Address

SIZES = st.lists(st.integers(0, 9) | st.sampled_from([1400, 1400, 1400, 1399, 40_000, 65_507]), max_size=300)


@given(SIZES)
def test_runs_are_what_one_call_takes(sizes):
    datagrams = [bytes(size) for size in sizes]
    first = 0
    while first < len(datagrams):
        count = segments.run(datagrams, first)
        run = sizes[first : first + count]
        assert 1 <= count == len(run) <= 64
        if count > 1:
            assert len(set(run[:-1])) == 1
            assert 0 < run[-1] <= run[0]
            assert sum(run) <= 65_487
        first += count
    assert first == len(datagrams)


def test_full_utp_packets_fill_a_call():
    for payload in (limits.UTP_PACKET, limits.UTP_PACKET_IPV6):
        assert segments.run([bytes(20 + payload)] * limits.UTP_AT_ONCE, 0) == limits.UTP_AT_ONCE
    assert segments.run([bytes(20 + limits.UTP_PACKET)] * 64, 0) == limits.UTP_AT_ONCE


@given(st.binary(max_size=200), st.integers(0, 210))
def test_what_came_as_one_is_cut_as_the_system_says(data, size):
    value = size.to_bytes(4, sys.byteorder)
    news = [(socket.SOL_SOCKET, 1, b"other"), (socket.IPPROTO_UDP, 104, value)] if size else []
    came = list(segments.split(memoryview(data), news))
    assert b"".join(came) == data
    assert len(came) == max(1, -(-len(data) // (size or 1000)))
    assert all(len(part) == size for part in came[:-1])


class Watched(socket.socket):
    """A socket that counts the calls by which something was sent."""

    calls = 0

    def sendmsg(self, *arguments):
        self.calls += 1
        return super().sendmsg(*arguments)

    def sendto(self, *arguments):
        self.calls += 1
        return super().sendto(*arguments)


def watched(host):
    (sock,) = open_sockets(socket.SOCK_DGRAM, host, 0)
    return UdpDatagrams(Watched(sock.family, sock.type, sock.proto, sock.detach()))


async def came(other, count):
    received = []
    with trio.fail_after(10):
        while len(received) < count:
            received += await other.receive()
    return received


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("alone", [False, True])
async def test_all_arrive_in_order(host, alone):
    one, (other,) = watched(host), open_datagrams(host, 0)
    if alone:
        one._segments = False
    sizes = [1372] * 50 + [700] + [1372, 1372, 40, 40, 41, 0, 1372, 20_000, 20_000, 20_000, 5]
    datagrams = [bytes([index]) * size for index, size in enumerate(sizes)]
    assert one.send_all(datagrams, other.address) == len(datagrams)
    assert await came(other, len(datagrams)) == [(data, one.address) for data in datagrams]
    if alone or sys.platform != "linux":
        assert one.sock.calls == len(datagrams)
    else:
        assert one.sock.calls < 12
    one.close()
    other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="joined by Linux alone")
async def test_what_came_joined_is_still_read_in_bounded_batches():
    (one,), (other,) = open_datagrams("127.0.0.1", 0), open_datagrams("127.0.0.1", 0)
    datagrams = [bytes([index]) * 100 for index in range(200)]
    assert one.send_all(datagrams, other.address) == 200
    first = await other.receive()
    assert limits.DATAGRAM_BATCH <= len(first) < limits.DATAGRAM_BATCH + 64
    assert [data for data, _ in first + await came(other, 200 - len(first))] == datagrams
    one.close()
    other.close()


async def test_how_many_went_out_where_there_is_no_room():
    class Full(socket.socket):
        room = 3

        def sendmsg(self, *arguments):
            self.room -= 1
            if self.room < 0:
                raise BlockingIOError(errno.EAGAIN, "full")
            return super().sendmsg(*arguments)

    (sock,) = open_sockets(socket.SOCK_DGRAM, "127.0.0.1", 0)
    one = UdpDatagrams(Full(sock.family, sock.type, sock.proto, sock.detach()))
    if not one._segments:
        pytest.skip("this system takes them one by one")
    (other,) = open_datagrams("127.0.0.1", 0)
    assert one.send_all([bytes(1000)] * 300, other.address) == 3 * 64
    assert one._segments  # which says nothing of the way
    assert len(await came(other, 3 * 64)) == 3 * 64
    one.close()
    other.close()


@pytest.mark.parametrize("address", [Address("224.0.0.1", 6881), Address("0.0.0.0", 6881), Address("::1", 6881)])
async def test_what_cannot_go_out_is_dropped(address):
    (one,) = open_datagrams("127.0.0.1", 0)
    assert one.send_all([b"x", b"y"], address) == 0
    assert one.send_all([], address) == 0
    one.close()


@pytest.mark.parametrize(("mtu", "together"), [(1500, True), (1400, True), (1399, False), (1300, False), (576, False)])
async def test_through_a_narrow_way(mtu, together):
    """What is larger than a packet there goes out in fragments, and so one by one."""
    with wiring() as wires:
        here, there = wires.space("a"), wires.space("b")
        wires.cable(here, "c0", there, "c0")
        wires.addresses((here, "c0", "10.99.0.1/24"), (there, "c0", "10.99.0.2/24"))
        wires.ip("-n", here, "link", "set", "c0", "mtu", str(mtu))
        with Space("10.99.0.1", here).inside():
            one = watched("10.99.0.1")
        with Space("10.99.0.2", there).inside():
            (other,) = open_datagrams("10.99.0.2", 0)
        assert one._segments
        datagrams = [bytes([index]) * (20 + limits.UTP_PACKET) for index in range(40)]
        for _ in range(2):
            assert one.send_all(datagrams, other.address) == 40
            assert await came(other, 40) == [(data, one.address) for data in datagrams]
        assert one._segments is together
        assert one.sock.calls == (2 if together else 1 + 80)
        one.close()
        other.close()
