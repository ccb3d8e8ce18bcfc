import errno
import pathlib
import socket

import pytest
import trio
import trio.testing

from torrentlite import limits
from torrentlite.errors import ListenError, NetworkError
from torrentlite.net.datagrams import UdpDatagrams, open_datagrams
from torrentlite.net.listener import open_listeners
from torrentlite.wire.address import Address


def close_all(things):
    for thing in things:
        thing.close()


async def test_one_socket_per_family_on_one_port():
    both = open_datagrams("", 0)
    assert [one.address.host for one in both] == ["::", "0.0.0.0"]
    assert len({one.address.port for one in both}) == 1
    close_all(both)


async def test_udp_gets_the_port_that_tcp_listens_on():
    listeners = open_listeners("", 0, fallback=False)
    both = open_datagrams("", listeners[0].address.port)
    assert len(both) == 2
    close_all([*listeners, *both])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_arrive_with_their_sender(host):
    (one,), (other,) = open_datagrams(host, 0), open_datagrams(host, 0)
    assert one.send(b"hello", other.address)
    assert await other.receive() == [(b"hello", one.address)]
    close_all([one, other])


async def test_what_lies_ready_comes_at_once_but_not_without_end():
    (one,), (other,) = open_datagrams("127.0.0.1", 0), open_datagrams("127.0.0.1", 0)
    count = limits.DATAGRAM_BATCH + 3
    for i in range(count):
        assert one.send(b"%d" % i, other.address)
    first = await other.receive()
    second = await other.receive()
    assert [len(first), len(second)] == [limits.DATAGRAM_BATCH, 3]
    assert [int(data) for data, _ in first + second] == list(range(count))
    close_all([one, other])


async def test_a_utp_window_of_datagrams_waits_to_be_read():
    """What came at once and found no place would be missed after a time-out only: nothing follows it."""
    (one,), (other,) = open_datagrams("127.0.0.1", 0), open_datagrams("127.0.0.1", 0)
    allowed = pathlib.Path("/proc/sys/net/core/rmem_max")
    if not allowed.exists() or int(allowed.read_text()) < limits.UDP_BUFFER:
        pytest.skip("the system allows no such buffer")
    count = limits.UTP_WINDOW // limits.UTP_PACKET
    for _ in range(count):
        assert one.send(bytes(limits.UTP_PACKET), other.address)
    with trio.fail_after(10):
        while count > 0:
            count -= len(await other.receive())
    close_all([one, other])


async def test_the_largest_datagram_is_whole():
    (one,), (other,) = open_datagrams("127.0.0.1", 0), open_datagrams("127.0.0.1", 0)
    assert one.send(bytes(65507), other.address)
    ((data, _),) = await other.receive()
    assert len(data) == 65507
    close_all([one, other])


@pytest.mark.parametrize(
    "address",
    [
        Address("127.0.0.1", 0),
        Address("0.0.0.0", 6881),
        Address("224.0.0.1", 6881),
        Address("255.255.255.255", 6881),
        Address("169.254.169.254", 80),
        Address("::1", 6881),  # of the other family
    ],
)
async def test_what_cannot_go_out_is_dropped(address):
    (one,) = open_datagrams("127.0.0.1", 0)
    assert not one.send(b"x", address)
    one.close()


async def test_too_large_is_dropped():
    (one,) = open_datagrams("127.0.0.1", 0)
    assert not one.send(bytes(70_000), one.address)
    one.close()


async def test_news_of_lost_datagrams_are_not_ours():
    class Upset(socket.socket):
        errors = 2

        def recvmsg_into(self, *arguments):
            if self.errors:
                self.errors -= 1
                raise OSError(errno.ECONNREFUSED, "Connection refused")
            return super().recvmsg_into(*arguments)

    sock = Upset(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    one = UdpDatagrams(sock)
    assert one.send(b"x", one.address)
    assert await one.receive() == [(b"x", one.address)]
    one.close()


async def test_a_taken_port_is_an_error_with_a_hint():
    (one,) = open_datagrams("127.0.0.1", 0)
    with pytest.raises(ListenError) as caught:
        open_datagrams("127.0.0.1", one.address.port)
    assert "another program" in caught.value.hint
    one.close()


async def test_closing_wakes_the_receiver():
    (one,) = open_datagrams("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            with pytest.raises(NetworkError, match="closed"):
                await one.receive()

        await trio.testing.wait_all_tasks_blocked()
        one.close()
        one.close()
    with pytest.raises(NetworkError):
        await one.receive()
    assert not one.send(b"x", Address("127.0.0.1", 1))


async def test_a_second_one_that_is_closed_already_says_so_too():
    """Trio remembers whoever waits for descriptor -1, and refuses the next who does with BusyResourceError."""
    for _ in range(2):
        (one,) = open_datagrams("127.0.0.1", 0)
        one.close()
        with pytest.raises(NetworkError, match="closed"):
            await one.receive()
