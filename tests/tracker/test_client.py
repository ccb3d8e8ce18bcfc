"""All kinds of trackers through the one client, under a virtual clock."""

import logging
import struct

import pytest
import trio

from tests.net.memory import MemoryDatagrams, MemoryNetwork, Server, answer
from tests.tracker.bad_replies import PEER, PEER6, dictionary, text
from torrentlite import limits
from torrentlite.errors import TrackerError
from torrentlite.net.http import HttpClient
from torrentlite.net.proxy import Proxy
from torrentlite.net.udp import UdpPort
from torrentlite.tracker.announce import AnnounceRequest, ScrapeReply
from torrentlite.tracker.client import TrackerClient
from torrentlite.wire.address import Address, Scope

REQUEST = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=6881, event="started")
STOPPED = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=6881, event="stopped")
FOUR = answer(dictionary(interval=b"i100e", complete=b"i1e", incomplete=b"i9e", peers=text(PEER)))
SIX = answer(dictionary(interval=b"i200e", complete=b"i2e", incomplete=b"i3e", peers6=text(PEER6), peers=text(PEER)))


class World:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.network = MemoryNetwork(nursery)
        self.network.names = {
            "four.example": ["9.9.9.9"],
            "both.example": ["2620:fe::9", "9.9.9.9"],
            "local.example": ["127.0.0.1"],
        }
        self.http = HttpClient(self.network, user_agent="test")
        self.silent: set[Address] = set()
        self.asked: list[tuple[int, Address]] = []
        self.sockets = [MemoryDatagrams(self.udp_tracker), MemoryDatagrams(self.udp_tracker, ipv6=True)]
        self.client = TrackerClient(self.network, self.http, UdpPort(self.sockets))

    def udp_tracker(self, data: bytes, to: Address) -> list[tuple[bytes, Address]]:
        action, tid = struct.unpack_from(">II", data, 8)
        self.asked.append((action, to))
        if to in self.silent:
            return []
        if action == 0:
            return [(struct.pack(">IIQ", 0, tid, 1), to)]
        if action == 1:
            peers = PEER6 if to.is_ipv6 else PEER
            return [(struct.pack(">IIIII", 1, tid, 100, 9, 1) + peers, to)]
        count = (len(data) - 16) // 20
        return [(struct.pack(">II", 2, tid) + struct.pack(">III", 1, 2, 3) * count, to)]


@pytest.fixture
async def world(nursery):
    world = World(nursery)
    await nursery.start(world.client._udp._port.run)
    yield world
    await world.http.aclose()


async def test_http(world, autojump_clock):
    server = Server(FOUR)
    world.network.serve("9.9.9.9", 80, server)
    reply = await world.client.announce("http://four.example/announce?a=b", REQUEST)
    assert (reply.interval, reply.seeders, reply.leechers) == (100, 1, 9)
    assert reply.peers == (Address("8.8.8.8", 6881),)
    assert reply.scope is Scope.PUBLIC
    assert server.requests[0].startswith(b"GET /announce?a=b&info_hash=hhhh")


async def test_udp_with_its_path(world, autojump_clock):
    reply = await world.client.announce("udp://four.example:6969/announce?k=v", REQUEST)
    assert reply.peers == (Address("8.8.8.8", 6881),)
    assert world.sockets[0].sent[-1][1][98:] == b"\x02\x0d/announce?k=v"


@pytest.mark.parametrize("scheme", ["http", "udp"])
async def test_both_families_are_announced_to(world, autojump_clock, scheme):
    one, other = Server(FOUR), Server(SIX)
    world.network.serve("9.9.9.9", 80, one)
    world.network.serve("2620:fe::9", 80, other)
    began = trio.current_time()
    reply = await world.client.announce(f"{scheme}://both.example:80/announce", REQUEST)
    assert set(reply.peers) == {Address("8.8.8.8", 6881), Address("2606:4700::1111", 6881)}
    assert len(reply.peers) == 2
    assert (reply.seeders, reply.leechers) == ((2, 9) if scheme == "http" else (1, 9))
    assert trio.current_time() == began
    assert world.network.resolved == ["both.example"]
    if scheme == "http":
        assert reply.interval == 200
        assert one.requests[0] == other.requests[0]  # the same key and peer id for both


@pytest.mark.parametrize("scheme", ["http", "udp"])
async def test_a_silent_family_is_waited_for_a_moment(world, autojump_clock, scheme):
    world.network.serve("9.9.9.9", 80, Server(FOUR))
    world.network.serve("2620:fe::9", 80, None)
    world.silent = {Address("2620:fe::9", 80)}
    began = trio.current_time()
    reply = await world.client.announce(f"{scheme}://both.example:80/announce", REQUEST)
    assert reply.peers == (Address("8.8.8.8", 6881),)
    assert trio.current_time() - began == pytest.approx(limits.FAMILY_GRACE)


async def test_a_broken_family_is_not_waited_for(world, autojump_clock):
    world.network.serve("9.9.9.9", 80, Server(FOUR))
    began = trio.current_time()
    await world.client.announce("http://both.example/announce", REQUEST)
    assert trio.current_time() == began


async def test_the_trackers_own_words_win(world, autojump_clock):
    refused = Server(answer(dictionary(failure_reason=text(b"not yours"))))
    world.network.serve("9.9.9.9", 80, refused)
    with pytest.raises(TrackerError, match="not yours"):
        await world.client.announce("http://both.example/announce", REQUEST)


@pytest.mark.parametrize("scheme", ["http", "udp"])
@pytest.mark.parametrize(("request_", "limit"), [(REQUEST, limits.TRACKER_TIMEOUT), (STOPPED, limits.STOP_TIMEOUT)])
async def test_the_time_is_limited(world, autojump_clock, scheme, request_, limit):
    for host in ("9.9.9.9", "2620:fe::9"):
        world.network.serve(host, 80, None)
        world.silent.add(Address(host, 80))
    began = trio.current_time()
    with pytest.raises(TrackerError, match=f"within {limit:g} seconds"):
        await world.client.announce(f"{scheme}://both.example:80/announce", request_)
    assert trio.current_time() - began == pytest.approx(limit)


async def test_announces_do_not_begin_all_at_once(world, autojump_clock):
    world.network.serve("9.9.9.9", 80, Server(FOUR))
    began = trio.current_time()
    ends = []

    async def announce(request):
        await world.client.announce("http://four.example/announce", request)
        ends.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(21):
            nursery.start_soon(announce, REQUEST)
    assert sorted(ends) == pytest.approx([i / limits.ANNOUNCES_PER_SECOND for i in range(21)])
    await trio.sleep(100)
    await announce(REQUEST)  # what was not used is not saved up, nor owed
    assert ends[-1] - ends[-2] == pytest.approx(100)


async def test_goodbyes_do_not_queue(world, autojump_clock):
    world.network.serve("9.9.9.9", 80, Server(FOUR))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(world.client.announce, "http://four.example/announce", STOPPED)
    assert trio.current_time() == began


@pytest.mark.parametrize(
    "url",
    ["", "announce", "wss://four.example/", "ftp://four.example/", "udp://four.example", "http://four.example/\r\nX: y",
     "http://[::1/", "dht://four.example:1/", "http://nowhere.example/announce"],
)  # fmt: skip
async def test_urls_that_cannot_be_asked(world, autojump_clock, url):
    with pytest.raises(TrackerError):
        await world.client.announce(url, REQUEST)
    with pytest.raises(TrackerError):
        await world.client.scrape(url, [b"h" * 20])
    assert not world.network.connects
    assert not world.asked


@pytest.mark.parametrize("scheme", ["http", "udp"])
async def test_the_door_stands_for_trackers_too(world, autojump_clock, scheme):
    world.network.serve("127.0.0.1", 80, Server(FOUR))
    for url in (f"{scheme}://local.example:80/announce", f"{scheme}://127.0.0.1:80/announce"):
        with pytest.raises(TrackerError, match="loopback"):
            await world.client.announce(url, REQUEST, within=Scope.PUBLIC)
        with pytest.raises(TrackerError, match="loopback"):
            await world.client.scrape(url, [b"h" * 20], within=Scope.PUBLIC)
    assert not world.network.connects
    assert not world.asked
    reply = await world.client.announce(f"{scheme}://local.example:80/announce", REQUEST)
    assert reply.scope is Scope.LOOPBACK  # so it may name peers anywhere


async def test_without_udp(world, autojump_clock):
    client = TrackerClient(world.network, world.http, None)
    with pytest.raises(TrackerError, match="no proxy carries UDP"):
        await client.announce("udp://four.example:1", REQUEST)


async def test_through_a_proxy_it_is_not_looked_up_here(world, autojump_clock):
    proxy = Proxy.parse("http://10.0.0.9:3128")
    http = HttpClient(
        world.network, user_agent="test", proxies=lambda url: proxy if url.host == "far.example" else None
    )
    client = TrackerClient(world.network, http, None)
    server = Server(FOUR)
    world.network.serve("10.0.0.9", 3128, server)
    reply = await client.announce("http://far.example/announce", REQUEST)
    assert (reply.interval, reply.scope) == (100, Scope.PUBLIC)
    with pytest.raises(TrackerError, match="not one of a tracker"):
        await client.scrape("http://far.example/announce", [b"h" * 20])
    assert set(world.network.resolved) == {"10.0.0.9"}
    assert len(server.requests) == 2


# -- scrape -----------------------------------------------------------------------------------------------------------


def hashes(count: int) -> list[bytes]:
    return [i.to_bytes(20, "big") for i in range(count)]


async def test_scrape_over_udp_in_parts(world, autojump_clock):
    wanted = hashes(150)
    found = await world.client.scrape("udp://both.example:6969", wanted)
    assert list(found) == wanted
    assert set(found.values()) == {ScrapeReply(seeders=1, downloaded=2, leechers=3)}
    assert [action for action, _ in world.asked] == [0, 2, 2, 2]


async def test_scrape_over_http_in_parts_and_only_what_was_asked(world, autojump_clock):
    wanted, unknown = hashes(2 * limits.SCRAPE_HASHES_HTTP + 1), b"\xff" * 20
    counts = dictionary(complete=b"i1e", incomplete=b"i3e", downloaded=b"i2e")
    files = b"d" + b"".join(text(info_hash) + counts for info_hash in hashes(120)) + b"e"
    server = Server(answer(dictionary(files=files)))
    world.network.serve("9.9.9.9", 80, server)
    found = await world.client.scrape("http://four.example/x/announce?key=v", [*wanted, unknown])
    assert list(found) == wanted
    assert len(server.requests) == 3
    assert all(request.startswith(b"GET /x/scrape?key=v&info_hash=%00") for request in server.requests)


async def test_scrape_where_there_is_none(world, autojump_clock):
    with pytest.raises(TrackerError, match="cannot be scraped"):
        await world.client.scrape("http://four.example/a", hashes(1))
    assert await world.client.scrape("http://four.example/announce", []) == {}


async def test_scrape_takes_no_longer_than_an_announce(world, autojump_clock):
    world.network.serve("9.9.9.9", 80, None)
    began = trio.current_time()
    with pytest.raises(TrackerError, match="within 30 seconds"):
        await world.client.scrape("http://four.example/announce", hashes(1))
    assert trio.current_time() - began == pytest.approx(limits.TRACKER_TIMEOUT)


# -- secrets ----------------------------------------------------------------------------------------------------------

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "url",
    [
        f"http://four.example/{KEY}/announce",
        f"http://four.example/announce?passkey={KEY}",
        f"http://u:{KEY}@four.example/announce",
        f"http://nowhere.example/{KEY}/announce",
        f"http://four.example:port/{KEY}",
        f"udp://four.example:80/{KEY}",
        f"gopher://four.example:80/{KEY}",
        f"http://four.example/moved/{KEY}",
    ],
)
async def test_no_key_leaves_in_a_log_or_an_error(world, autojump_clock, caplog, url):
    caplog.set_level(logging.DEBUG)

    async def serve(stream):
        reply = answer(dictionary(failure_reason=text(f"unknown key {KEY}".encode())))
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://nowhere.example/elsewhere\r\nContent-Length: 0\r\n\r\n"
        await Server(moved if "moved" in url else reply)(stream)

    world.network.serve("9.9.9.9", 80, serve)
    world.silent.add(Address("9.9.9.9", 80))
    with pytest.raises(TrackerError) as caught:
        await world.client.announce(url, REQUEST)
    assert KEY not in caplog.text + str(caught.value) + caught.value.hint
    assert caplog.text
