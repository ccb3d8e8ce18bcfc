import hashlib
import os
import sys

import pytest
import trio
import trio.testing

from torrentlite import limits
from torrentlite.errors import ListenError, NetworkError
from torrentlite.net.lsd import LocalDiscovery
from torrentlite.net.network import RealNetwork
from torrentlite.testing import simulated
from torrentlite.wire import lsd
from torrentlite.wire.address import Address

ONE, TWO, THREE = (hashlib.sha1(text).digest() for text in (b"one", b"two", b"three"))
FOUR, SIX = lsd.GROUPS


class Wire:
    """A local network in memory; ``Port`` is one machine's view of it."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.sent: list[tuple[float, Address, bytes]] = []


class Socket:
    def __init__(self, wire: Wire, group: Address, host: str) -> None:
        self.wire = wire
        self.group = group
        self.host = host
        self.put, self.get = trio.open_memory_channel[list[tuple[bytes, Address]]](10_000)
        wire.sockets.append(self)

    async def receive(self):
        try:
            return await self.get.receive()
        except trio.ClosedResourceError as error:
            raise NetworkError("closed") from error

    def send(self, data: bytes) -> int:
        self.wire.sent.append((trio.current_time(), self.group, data))
        for socket in self.wire.sockets:
            if socket.group == self.group:  # our own as well
                socket.put.send_nowait([(data, Address(self.host, 6771))])
        return 1

    def close(self) -> None:
        if self in self.wire.sockets:
            self.wire.sockets.remove(self)
        self.get.close()


class Port:
    def __init__(self, wire: Wire, *hosts: str) -> None:
        self.wire = wire
        self.hosts = hosts

    async def open_multicast(self, group: Address, host: str, *, join: bool) -> Socket:
        assert join
        assert host == ""
        for own in self.hosts:
            if Address(own, 1).is_ipv6 == group.is_ipv6:
                return Socket(self.wire, group, own)
        raise ListenError("no such family")

    def source_for(self, to: Address) -> str:
        for own in self.hosts:
            if Address(own, 1).is_ipv6 == to.is_ipv6:
                return own
        raise NetworkError("no way")


class Client:
    def __init__(self, wire: Wire, *hosts: str, port: int = 6881) -> None:
        self.found: list[tuple[bytes, Address]] = []
        self.discovery = LocalDiscovery(
            Port(wire, *hosts),
            port,
            lambda info_hash, address: self.found.append((info_hash, address)),
            secret=os.urandom,
        )

    async def start(self, nursery, *hashes: bytes) -> None:
        self.discovery.announce(hashes)
        await nursery.start(self.discovery.run)


@pytest.fixture
def wire():
    return Wire()


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def hear(wire: Wire, data: bytes, host: str = "192.168.1.9", group: Address = FOUR) -> None:
    for socket in wire.sockets:
        if socket.group == group:
            socket.put.send_nowait([(data, Address(host, 6771))])


def says(*hashes: bytes, port: int = 7000, cookie: str = "x") -> bytes:
    return lsd.encode(FOUR, lsd.Announce(port, hashes, cookie))


async def test_neighbours_find_each_other(wire, nursery):
    one, other = Client(wire, "192.168.1.1"), Client(wire, "192.168.1.2", port=6882)
    await one.start(nursery, ONE, TWO)
    await settle()
    assert one.found == [], "not ourselves"
    await other.start(nursery, TWO, THREE)
    await settle()
    assert one.found == [(TWO, Address("192.168.1.2", 6882))]
    # ... and the second, who was not there yet, hears of the first within a minute, unless it is called before.
    assert other.found == []
    nursery.cancel_scope.cancel()


async def test_both_hear_of_each_other_in_time(wire, nursery, autojump_clock):
    one, other = Client(wire, "192.168.1.1", "fd00::1"), Client(wire, "192.168.1.2", "fd00::2", port=6882)
    await one.start(nursery, ONE)
    await other.start(nursery, ONE)
    await trio.sleep(limits.LSD_MIN_INTERVAL + 1)
    assert set(one.found) == {(ONE, Address("192.168.1.2", 6882)), (ONE, Address("fd00::2", 6882))}
    assert set(other.found) == {(ONE, Address("192.168.1.1", 6881)), (ONE, Address("fd00::1", 6881))}
    nursery.cancel_scope.cancel()


async def test_announces_and_their_times(wire, nursery, autojump_clock):
    client = Client(wire, "192.168.1.1", "fd00::1")
    await client.start(nursery, ONE)
    began = trio.current_time()
    await trio.sleep(400)
    client.discovery.announce([ONE, TWO])
    await trio.sleep(50)
    assert [round(when - began) for when, group, _ in wire.sent if group == FOUR] == [0, 60, 360, 400]
    assert [round(when - began) for when, group, _ in wire.sent if group == SIX] == [0, 60, 360, 400]
    assert [lsd.parse(data).info_hashes for _, group, data in wire.sent if group == SIX] == [(ONE,)] * 3 + [(TWO,)]
    assert client.discovery.sent == 4
    client.discovery.announce([])
    del wire.sent[:]
    await trio.sleep(10_000)
    assert wire.sent == []
    nursery.cancel_scope.cancel()


async def test_thousands_of_torrents_are_no_storm(wire, nursery, autojump_clock):
    client = Client(wire, "192.168.1.1")
    await client.start(nursery, *(hashlib.sha1(b"%d" % i).digest() for i in range(5000)))
    await trio.sleep(3600)
    assert len(wire.sent) <= limits.LSD_BURST + 61
    assert all(len(data) <= limits.LSD_MAX_PACKET for _, _, data in wire.sent)
    nursery.cancel_scope.cancel()


async def test_only_what_is_announced_is_heard_of(wire, nursery):
    client = Client(wire, "192.168.1.1")
    await client.start(nursery, ONE)
    hear(wire, says(TWO, ONE, THREE))
    hear(wire, says(THREE))
    await settle()
    assert client.found == [(ONE, Address("192.168.1.9", 7000))]
    client.discovery.announce([])
    hear(wire, says(ONE))
    await settle()
    assert len(client.found) == 1
    assert client.discovery.heard == 3
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("host", "own", "heard"),
    [
        ("192.168.1.9", "192.168.1.1", True),
        ("10.9.9.9", "192.168.1.1", True),
        ("100.64.1.1", "192.168.1.1", True),
        ("127.0.0.1", "192.168.1.1", True),
        ("8.8.8.8", "192.168.1.1", False),
        ("8.8.8.8", "8.8.8.9", True),
        ("169.254.169.254", "192.168.1.1", False),
        ("0.0.0.0", "192.168.1.1", False),
        ("255.255.255.255", "192.168.1.1", False),
        ("239.192.152.143", "192.168.1.1", False),
        ("fd00::9", "fd00::1", True),
        ("2a00::9", "fd00::1", False),
        ("2a00::9", "2a00::1", True),
        ("2a00::9", "192.168.1.1", False),
        ("fe80::9", "fd00::1", False),
        ("ff15::efc0:988f", "fd00::1", False),
    ],
)
async def test_only_neighbours_are_listened_to(wire, nursery, host, own, heard):
    client = Client(wire, own)
    await client.start(nursery, ONE)
    await settle()
    hear(wire, says(ONE), host, SIX if ":" in own else FOUR)
    await settle()
    assert client.found == ([(ONE, Address(host, 7000))] if heard else [])
    assert client.discovery.dropped == (not heard)
    nursery.cancel_scope.cancel()


async def test_what_is_no_announce_is_dropped(wire, nursery):
    client = Client(wire, "192.168.1.1")
    await client.start(nursery, ONE)
    bad = [b"", b"x", says(ONE)[:30], says(ONE, port=0), says(ONE) + b"\xff", b"\0" * 1400, says(ONE) + b"x" * 1400]
    for data in bad:
        hear(wire, data)
    await settle()
    assert client.found == []
    assert client.discovery.dropped == len(bad)
    nursery.cancel_scope.cancel()


async def test_a_cookie_that_is_ours_is_not_guessed(wire, nursery):
    clients = [Client(wire, "192.168.1.1") for _ in range(2)]  # two programs on one machine
    for client in clients:
        await client.start(nursery, ONE)
    hear(wire, says(ONE, cookie=""))
    await settle()
    assert len({lsd.parse(data).cookie for _, _, data in wire.sent}) == 2
    for client in clients:
        assert (ONE, Address("192.168.1.9", 7000)) in client.found
    nursery.cancel_scope.cancel()


async def test_a_flood_is_read_at_a_bounded_rate(wire, nursery, autojump_clock):
    client = Client(wire, "192.168.1.1")
    await client.start(nursery, ONE)
    for second in range(60):
        for i in range(100):
            hear(wire, says(ONE, port=1 + second * 100 + i), f"192.168.1.{i}")
        await trio.sleep(1)
    assert len(client.found) <= limits.LSD_IN_BURST + 60 * limits.LSD_IN_RATE + 1
    assert client.discovery.dropped > 4000
    nursery.cancel_scope.cancel()


@simulated()
async def test_a_network_without_multicast_has_none(world):
    machine = world.host()
    client = LocalDiscovery(machine.network, 6881, print, secret=machine.secret)
    client.announce([ONE])
    await client.run()
    assert client.sent == 0


async def test_cancelled_nothing_stays_open(wire, nursery):
    client = Client(wire, "192.168.1.1", "fd00::1")
    async with trio.open_nursery() as inner:
        await client.start(inner, ONE)
        assert len(wire.sockets) == 2
        inner.cancel_scope.cancel()
    assert wire.sockets == []


@pytest.mark.skipif(sys.platform == "win32", reason="loopback multicast is another matter there")
async def test_over_real_sockets(nursery):
    info_hash = os.urandom(20)  # other programs on this machine may be heard too
    network = RealNetwork("127.0.0.1")
    found, all_there = [], trio.Event()

    def got(info_hash, address):
        found.append((info_hash, address))
        all_there.set()

    one = LocalDiscovery(network, 6881, got, secret=os.urandom)
    other = LocalDiscovery(network, 6882, print, secret=os.urandom)
    one.announce([info_hash])
    await nursery.start(one.run)
    other.announce([info_hash])
    await nursery.start(other.run)
    with trio.fail_after(5):
        await all_there.wait()
    assert found == [(info_hash, Address("127.0.0.1", 6882))]
    nursery.cancel_scope.cancel()
