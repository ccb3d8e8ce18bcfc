"""A live node under a flood of damaged and forged datagrams."""

import random

import psutil
import trio

from torrentlite.dht import DhtSettings, open_node
from torrentlite.net.network import RealNetwork
from torrentlite.testing.dht_mutations import Mutations

HASH = b"h" * 20
SENDERS = 20
BATCH = 50


async def test_a_flood_is_borne():
    """Nothing is raised, nothing is kept, and lookups go on meanwhile (``python -m benchmarks dht_flood``: a minute)."""
    made = Mutations(random.Random(1))
    process = psutil.Process()
    network = RealNetwork("127.0.0.1")
    senders = [(await network.open_datagrams("127.0.0.1", 0))[0] for _ in range(SENDERS)]
    settings = DhtSettings(read_only=False)
    async with open_node(host="127.0.0.1", routers=(), settings=settings) as node:
        to = node.addresses[0]
        async with open_node(host="127.0.0.1", routers=(), settings=settings, nodes=[(to.host, to.port)]) as other:
            with trio.fail_after(600):
                assert (await node.announce_peer(HASH, 7)).nodes == 1

                async def flood(count: int) -> None:
                    for turn in range(count // BATCH):
                        for _ in range(BATCH):
                            senders[turn % SENDERS].send(made.make(), to)
                        await trio.lowlevel.checkpoint()
                        await trio.lowlevel.checkpoint()

                await flood(5_000)
                before = process.memory_info().rss
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(flood, 10_000)
                    for _ in range(5):
                        assert [peer.port for peer in await node.get_peers(HASH)] == [7]
                        await trio.sleep(0.1)
                grown = process.memory_info().rss - before
        stats = node.stats()
        assert node.internal_errors == other.internal_errors == 0
        counters = stats.counters
        assert counters.malformed > 5_000
        assert counters.queries_received > 1_500
        assert counters.unasked > 400
        assert grown < 8 << 20
        assert stats.pending < 100
        assert stats.sides[0].nodes <= SENDERS + 1
        # The budget has held: what was sent is no more than what it gives in so long, burst included.
        assert counters.unanswered > 0
    for sender in senders:
        sender.close()
