"""A DHT in the simulated world: nodes that outlive the sessions of a test."""

import contextlib
from collections.abc import AsyncIterator

from torrentlite.dht import Node, open_node
from torrentlite.testing import SimulatedWorld

PORT = 6881


class Nodes(list[Node]):
    """The nodes.

    Attributes:
        bootstrap: for ``Settings``: where the first is.
    """

    bootstrap: tuple[tuple[str, int], ...] = ()

    def stored(self, info_hash: bytes) -> set[str]:
        """The peers of a torrent that they know."""
        now = max(node._core.now for node in self)
        return {
            str(peer)
            for node in self
            for side in node._core.sides.values()
            for peer in side.peers.peers_of(info_hash, 100, now)
        }


@contextlib.asynccontextmanager
async def dht(world: SimulatedWorld, count: int = 4, *, ipv6: bool = False) -> AsyncIterator[Nodes]:
    """So many nodes on hosts of their own, which have found each other; ``ipv6``: they have no other addresses."""
    nodes = Nodes()
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            host = f"2a0{number}:{number + 1}::1" if ipv6 else f"{20 + number}.{number}.7.1"
            machine = world.host(host)
            node = await stack.enter_async_context(
                open_node(
                    port=PORT,
                    nodes=nodes.bootstrap,
                    routers=(),
                    network=machine.network,
                    rng=machine.rng,
                    secret=machine.secret,
                )
            )
            nodes.bootstrap = nodes.bootstrap or ((host, PORT),)
            nodes.append(node)
        for node in nodes:
            await node.wait_joined()
        yield nodes
        assert not any(node.internal_errors for node in nodes)
