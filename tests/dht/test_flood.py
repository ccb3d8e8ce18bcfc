"""A live node under a flood of damaged and forged datagrams."""

import random

import psutil
import trio

from torrentlite import limits
from torrentlite.dht import DhtSettings, open_node
from torrentlite.testing import simulated
from torrentlite.testing.dht_mutations import Mutations
from torrentlite.wire.address import Address

HASH = b"h" * 20
SENDERS = 20
BATCH = 50


@simulated()
async def test_a_flood_is_borne(world):
    """Ten thousand a second: nothing is raised, nothing is kept, and lookups go on meanwhile.

    ``python -m benchmarks dht_flood`` does it over loopback for a minute.
    """
    made = Mutations(random.Random(1))
    process = psutil.Process()
    senders = [world.network.host().bind_datagrams("", 6881)[0] for _ in range(SENDERS)]
    settings = DhtSettings(read_only=False)
    host = world.network.host()
    to = Address(host.ip, 6881)
    async with (
        open_node(port=6881, routers=(), settings=settings, network=host) as node,
        open_node(port=6881, routers=(), settings=settings, network=world.network.host(), nodes=[to]) as other,
    ):
        await trio.sleep(10)
        assert (await node.announce_peer(HASH, 7)).nodes == 1

        async def flood(count: int) -> None:
            for turn in range(count // BATCH):
                for _ in range(BATCH):
                    senders[turn % SENDERS].send(made.make(), to)
                await trio.sleep(BATCH / 10_000)

        await flood(5_000)
        before = process.memory_info().rss
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, 10_000)
            for _ in range(5):
                assert [peer.port for peer in await node.get_peers(HASH)] == [7]
                await trio.sleep(0.1)
        assert trio.current_time() - started < 2
        grown = process.memory_info().rss - before
        assert node.internal_errors == other.internal_errors == 0
        stats = node.stats()
        counters = stats.counters
        assert counters.malformed > 5_000
        assert counters.queries_received > 1_500
        assert counters.unasked > 400
        assert counters.unanswered > 0, "the budget has held"
        assert counters.bytes_sent <= settings.upload_limit * (trio.current_time() + limits.DHT_BURST)
        assert grown < 8 << 20
        assert stats.pending < 100
        assert stats.sides[0].nodes <= SENDERS + 1
