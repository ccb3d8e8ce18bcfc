import errno
import socket
import sys

import pytest
import trio
import trio.testing

from torrentlite.errors import ListenError, NetworkError
from torrentlite.net import multicast
from torrentlite.net.network import RealNetwork
from torrentlite.wire.address import Address

GROUPS = {"127.0.0.1": Address("239.255.77.77", 0), "::1": Address("ff15::7777", 0)}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="loopback multicast is another matter there")


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


@pytest.fixture(params=GROUPS)
def host(request):
    return request.param


@pytest.fixture
async def group(host):
    group = GROUPS[host]._replace(port=free_port(host))
    probe = multicast.UdpMulticast(group, host, join=False)
    sent = probe.send(b"")
    probe.close()
    if not sent:
        pytest.skip(f"this system has no way for multicast over {host}; test_lsd_lan.py has one in a namespace")
    return group


async def test_what_is_sent_to_the_group_comes_to_all_who_joined(host, group):
    network = RealNetwork(host)
    one, other = [await network.open_multicast(group, "", join=True) for _ in range(2)]
    assert one.group == group
    assert one.send(b"hello") == 1
    with trio.fail_after(5):
        for here in (one, other):
            ((data, sender),) = await here.receive()
            assert data == b"hello"
            assert sender.host == host
    one.close()
    one.close()
    other.close()


async def test_who_did_not_join_hears_the_answers(host, group):
    network = RealNetwork(host)
    device = await network.open_multicast(group, "", join=True)
    searcher = await network.open_multicast(group, "", join=False)
    (answering,) = await network.open_datagrams(host, 0)
    assert searcher.send(b"search") == 1
    with trio.fail_after(5):
        ((data, sender),) = await device.receive()
        assert data == b"search"
        answering.send(b"here", sender)
        assert await searcher.receive() == [(b"here", answering.address)]
    for socket_ in (device, searcher, answering):
        socket_.close()


async def test_what_is_not_sent_to_the_group_is_not_heard(host, group):
    network = RealNetwork(host)
    here = await network.open_multicast(group, "", join=True)
    (stranger,) = await network.open_datagrams(host, 0)
    stranger.send(b"unicast", Address(host, group.port))
    here.send(b"multicast")
    with trio.fail_after(5):
        assert [data for data, _ in await here.receive()] == [b"multicast"]
    here.close()
    stranger.close()


async def test_closing_wakes_the_receiver(host, group):
    here = await RealNetwork(host).open_multicast(group, "", join=True)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            with pytest.raises(NetworkError, match="closed"):
                await here.receive()

        await trio.testing.wait_all_tasks_blocked()
        here.close()
    assert here.send(b"x") == 0


async def test_of_the_other_family(group, host):
    (other,) = GROUPS.keys() - {host}
    with pytest.raises(ListenError, match="family"):
        await RealNetwork().open_multicast(group, other, join=True)


async def test_a_system_without_it_is_an_error_of_ours(group, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(multicast.socket, "socket", refuse)
    with pytest.raises(ListenError, match="not supported"):
        await RealNetwork().open_multicast(group, "", join=True)


async def test_interfaces_that_cannot_are_passed_over_and_tried_again(monkeypatch):
    group = GROUPS["127.0.0.1"]._replace(port=free_port("127.0.0.1"))
    lo = socket.if_nametoindex("lo" if sys.platform == "linux" else "lo0")
    present = [(9999, "eth9")]
    monkeypatch.setattr(socket, "if_nameindex", lambda: present)
    here = await RealNetwork().open_multicast(group, "", join=True)
    assert here.send(b"nobody hears this") == 0
    present.append((lo, "eth0"))  # a cable
    assert here.send(b"hello") == 1
    with trio.fail_after(5):
        assert [data for data, _ in await here.receive()] == [b"hello"]
    here.close()


async def test_only_so_many_interfaces_and_loopback_only_when_alone(monkeypatch):
    here = multicast.UdpMulticast(GROUPS["127.0.0.1"]._replace(port=1), "", join=False)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), *((i, f"veth{i}") for i in range(2, 900))])
    assert here._interfaces() == list(range(2, 2 + multicast.limits.MAX_MULTICAST_INTERFACES))
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    assert here._interfaces() == [1]
    here.close()


def test_our_address_on_the_way_to_another():
    network = RealNetwork()
    assert network.source_for(Address("127.0.0.1", 1)) == "127.0.0.1"
    assert network.source_for(Address("::1", 1)) == "::1"
    assert RealNetwork("127.0.0.5").source_for(Address("127.0.0.1", 1)) == "127.0.0.5"
    for to in (Address("::1", 1), Address("0.0.0.0", 1), Address("239.1.2.3", 1), Address("127.0.0.1", 0)):
        with pytest.raises(NetworkError):
            RealNetwork("127.0.0.5").source_for(to)
