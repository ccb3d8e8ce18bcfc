"""The simulated tracker, asked by the real client."""

import struct

import pytest
import trio

from torrentlite.errors import TrackerError
from torrentlite.net.http import HttpClient
from torrentlite.net.udp import UdpPort
from torrentlite.testing import simulated
from torrentlite.tracker.announce import AnnounceRequest
from torrentlite.tracker.client import TrackerClient
from torrentlite.wire.address import Address

HASH = bytes(range(20))


class Asker:
    """A host with the real client of trackers."""

    def __init__(self, world, *addresses, name):
        self.machine = world.host(*addresses)
        self.ip = self.machine.network.ip
        self._peer_id = name.encode().ljust(20, b"-")
        network = self.machine.network
        udp = UdpPort(network.bind_datagrams("", 6881))
        world.nursery.start_soon(udp.run)
        http = HttpClient(network, user_agent="test/1")
        self.client = TrackerClient(network, http, udp, secret=self.machine.secret)

    async def announce(self, url, *, left=100, event="", numwant=50):
        return await self.client.announce(
            url,
            AnnounceRequest(info_hash=HASH, peer_id=self._peer_id, port=6881, left=left, event=event, numwant=numwant),
        )


@pytest.fixture(params=["url", "udp_url"])
def scheme(request):
    return request.param


@simulated()
async def test_peers_meet(world, scheme):
    tracker = world.tracker()
    url = getattr(tracker, scheme)
    alice, bob = Asker(world, name="alice"), Asker(world, name="bob")
    first = await alice.announce(url, left=0, event="started")
    assert (first.peers, first.seeders, first.leechers, first.interval) == ((), 1, 0, 1800)
    second = await bob.announce(url, event="started")
    assert (second.peers, second.seeders, second.leechers) == ((Address(alice.ip, 6881),), 1, 1)
    await bob.announce(url, left=0, event="completed")
    assert (await bob.client.scrape(url, [HASH]))[HASH] == (2, 0, 1) or tracker.scrape(HASH) == (2, 0, 1)
    assert (await alice.announce(url, left=0, event="stopped")).peers == ()
    assert tracker.peers(HASH) == (Address(bob.ip, 6881),)
    assert [(a.event, a.left) for a in tracker.announces] == [
        ("started", 0),
        ("started", 100),
        ("completed", 0),
        ("stopped", 0),
    ]
    assert world.trace.counts["announce"] == 4


@simulated()
async def test_no_more_peers_than_wanted_and_not_always_the_same(world, scheme):
    tracker = world.tracker()
    url = getattr(tracker, scheme)
    for number in range(20):
        await Asker(world, name=str(number)).announce(url)
    asker = Asker(world, name="asker")
    answers = [(await asker.announce(url, numwant=5)).peers for _ in range(3)]
    assert [len(set(peers)) for peers in answers] == [5, 5, 5]
    assert len(set(answers)) > 1


@simulated()
async def test_a_name_with_both_families(world, scheme):
    tracker = world.tracker("11.5.5.5", "2a00::5", name="tracker.example")
    url = getattr(tracker, scheme)
    assert "tracker.example" in url
    a = Asker(world, "1.1.1.1", "2a00::1", name="a")
    b = Asker(world, "2.2.2.2", "2a00::2", name="b")
    await a.announce(url)
    answer = await b.announce(url)
    assert len(tracker.announces) == 4, "two of each"
    assert set(answer.peers) == {Address("1.1.1.1", 6881), Address("2a00::1", 6881)}, "and not b itself"


@simulated()
async def test_it_may_refuse_or_say_nothing(world, scheme):
    tracker = world.tracker()
    url = getattr(tracker, scheme)
    asker = Asker(world, name="asker")
    tracker.failure = "closed for the holidays"
    with pytest.raises(TrackerError, match="closed for the holidays"):
        await asker.announce(url)
    tracker.failure = ""
    tracker.silent = True
    with trio.move_on_after(5) as scope:
        await asker.announce(url)
    assert scope.cancelled_caught
    tracker.silent = False
    await asker.announce(url)


@simulated()
async def test_who_is_silent_is_forgotten(world, scheme):
    tracker = world.tracker()
    url = getattr(tracker, scheme)
    tracker.interval = 60
    a, b = Asker(world, name="a"), Asker(world, name="b")
    await a.announce(url)
    await trio.sleep(100)
    assert len((await b.announce(url)).peers) == 1
    await trio.sleep(30)
    assert (await b.announce(url)).peers == ()


@simulated()
async def test_a_tracker_may_go_down_and_come_back(world, scheme):
    tracker = world.tracker()
    url = getattr(tracker, scheme)
    asker = Asker(world, name="asker")
    await asker.announce(url)
    tracker.host.stop()
    with trio.move_on_after(5) as scope, pytest.raises(TrackerError):
        await asker.announce(url)
    assert scope.cancelled_caught is (scheme == "udp_url"), "over UDP nobody says that nobody is there"
    world.nursery.start_soon(tracker.run)
    await asker.announce(url)


@simulated()
async def test_udp_needs_a_connection_id_of_the_sender(world):
    tracker = world.tracker()
    await trio.sleep(1)
    heard = []
    (socket,) = world.network.host().bind_datagrams(handler=lambda data, sender: heard.append(data))
    where = Address(tracker.host.ip, 6969)
    announce = struct.pack(">20s20sQQQIIIiH", HASH, HASH, 0, 0, 0, 0, 0, 0, 50, 6881)
    for data in (b"", bytes(15), struct.pack(">QII", 1, 0, 7), struct.pack(">QII", 1, 9, 7), bytes(16)):
        socket.send(data, where)
    await trio.sleep(1)
    assert [data[:4] for data in heard] == [b"\0\0\0\3"] * 3, "errors where it can be told what is asked for"
    heard.clear()
    socket.send(struct.pack(">QII", 0x41727101980, 0, 7), where)
    await trio.sleep(1)
    action, transaction, connection = struct.unpack(">IIQ", heard.pop())
    assert (action, transaction) == (0, 7)
    socket.send(struct.pack(">QII", connection, 1, 8) + announce, where)
    await trio.sleep(1)
    assert struct.unpack(">II", heard.pop()[:8]) == (1, 8)
    await trio.sleep(121)
    socket.send(struct.pack(">QII", connection, 1, 8) + announce, where)
    await trio.sleep(1)
    assert struct.unpack(">II", heard.pop()[:8]) == (3, 8)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /announce?info_hash=short&port=1&left=0 HTTP/1.1\r\nHost: x\r\n\r\n", b"failure reason"),
        (b"GET /announce HTTP/1.1\r\nHost: x\r\n\r\n", b"failure reason"),
        (b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"nonsense\r\n\r\n", b""),
        (b"", b""),
    ],
)
@simulated()
async def test_odd_requests_over_http(world, net, request_, expected):
    tracker = world.tracker()
    await trio.sleep(1)
    stream = await world.network.host().connect(Address(tracker.host.ip, 6969))
    await stream.send_vectored([request_])
    stream.send_eof()
    answer = await net.receive(stream)
    assert expected in answer
    assert bool(answer) is bool(expected)
    stream.close()
    await trio.sleep(1)
    assert not tracker.host.streams
