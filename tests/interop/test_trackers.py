"""Announce, peers and scrape with real trackers: HTTP and UDP, IPv4 and IPv6, compact and not."""

import contextlib
import os
from collections.abc import AsyncIterator

import pytest
import trio

from tests.interop.trackers import npm_tracker, opentracker
from torrentlite.errors import TrackerError
from torrentlite.net.http import HttpClient
from torrentlite.net.network import RealNetwork
from torrentlite.net.udp import UdpPort
from torrentlite.tracker.announce import AnnounceRequest, ScrapeReply
from torrentlite.tracker.client import TrackerClient
from torrentlite.wire.address import Address, Scope

pytestmark = pytest.mark.interop

SEED_PORT, LEECH_PORT = 7001, 7002


@contextlib.asynccontextmanager
async def tracker_client() -> AsyncIterator[TrackerClient]:
    network = RealNetwork()
    http = HttpClient(network, user_agent="torrentlite/test")
    async with trio.open_nursery() as nursery:
        udp = UdpPort(await network.open_datagrams("", 0))
        await nursery.start(udp.run)
        try:
            yield TrackerClient(network, http, udp)
        finally:
            udp.close()
            with trio.CancelScope(shield=True):
                await http.aclose()


def random_hash() -> bytes:
    return bytes(byte & 0x7F for byte in os.urandom(20))  # see trackers.py


def announcing(info_hash: bytes, port: int, **changes) -> AnnounceRequest:
    peer_id = b"-Tl0000-" + b"%012d" % port
    request = AnnounceRequest(info_hash=info_hash, peer_id=peer_id, port=port, event="started", key=port)
    return request._replace(**changes)


async def live_and_leave(
    client: TrackerClient, url: str, host: str, info_hash: bytes, *, compact: bool, peers: bool
) -> None:
    """A seed and a leech meet at a tracker, which counts them, and go."""
    seed = announcing(info_hash, SEED_PORT, left=0, compact=compact)
    leech = announcing(info_hash, LEECH_PORT, left=1000, compact=compact)

    first = await client.announce(url, seed)
    assert first.interval > 0
    assert first.scope is Scope.LOOPBACK
    second = await client.announce(url, leech)
    assert (second.seeders, second.leechers) == (1, 1)
    if peers:
        assert Address(host, SEED_PORT) in second.peers

    other = random_hash()
    counts = await client.scrape(url, [info_hash, other])
    assert counts[info_hash].seeders == 1
    assert counts[info_hash].leechers == 1
    assert counts.get(other, ScrapeReply(0, 0, 0)).seeders == 0

    done = await client.announce(url, leech._replace(event="completed", left=0))
    assert (done.seeders, done.leechers) == (2, 0)
    assert (await client.scrape(url, [info_hash]))[info_hash].downloaded >= 1

    for request in (seed, leech):
        await client.announce(url, request._replace(event="stopped", left=0))
    assert (await client.scrape(url, [info_hash])).get(info_hash, ScrapeReply(0, 0)).seeders == 0


# Fixtures and not blocks in the tests: only a fixture outside of Trio can skip with its reason.


@pytest.fixture
def info_hash() -> bytes:
    return random_hash()


@pytest.fixture
def picky(info_hash, tmp_path):
    with opentracker(hashes=[info_hash.hex()], work=tmp_path) as tracker:
        yield tracker


@pytest.fixture
def open_minded(host, tmp_path):
    with npm_tracker(host, work=tmp_path) as tracker:
        yield tracker


@pytest.mark.parametrize("scheme", ["http", "udp"])
async def test_opentracker(picky, info_hash, scheme):
    async with tracker_client() as client:
        await live_and_leave(client, getattr(picky, scheme), "127.0.0.1", info_hash, compact=True, peers=True)


async def test_opentracker_refuses_in_its_own_words(picky):
    async with tracker_client() as client:
        with pytest.raises(TrackerError, match="not authorized"):
            await client.announce(picky.http, announcing(random_hash(), SEED_PORT))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(("scheme", "compact"), [("http", True), ("http", False), ("udp", True)])
async def test_bittorrent_tracker(open_minded, info_hash, host, scheme, compact):
    async with tracker_client() as client:
        peers = not (scheme == "udp" and ":" in host)  # it sends no IPv6 peers over UDP
        await live_and_leave(client, getattr(open_minded, scheme), host, info_hash, compact=compact, peers=peers)
