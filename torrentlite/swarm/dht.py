"""The session's DHT node: how it joins, what is kept of it, and whose search is next."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ..dht.node import Node
from ..dht.statefile import StateFile
from ..errors import DhtError, DiskTroubleError, NetworkError
from ..limits import DHT_SAVE_INTERVAL, DHT_SAVE_TIMEOUT, NAMES_AT_ONCE, TICK
from ..net.udp import UdpPort
from ..stats import DhtStats
from ..strategy.searchplan import SearchPlan
from ..wire.address import Scope, parse_host
from .crew import Crew
from .world import World

if TYPE_CHECKING:
    from .dhtsearch import DhtSearch

log = logging.getLogger("torrentlite.dht")

Hosts = Iterable[tuple[str, int]]


class Dht:
    """One node for all torrents of a session, on the session's UDP sockets, both families.

    Args:
        world: what it stands on.
        udp: the sockets.
        crew: its tasks; nobody else's.
        file: its place on the disk, or None.

    Attributes:
        node: the node itself.
        plan: which torrent asks next.
        hopeful: there is, or was, somebody to join by.
    """

    def __init__(self, world: World, udp: UdpPort, crew: Crew, file: StateFile | None, node: Node) -> None:
        self.node = node
        self.plan: SearchPlan[DhtSearch] = SearchPlan()
        self.hopeful = False
        self._world = world
        self._udp = udp
        self._crew = crew
        self._file = file
        self._named = trio.CapacityLimiter(NAMES_AT_ONCE)
        self._stats: DhtStats | None = None
        self._counted_at = 0.0
        self._closed = False

    @classmethod
    async def open(
        cls, world: World, udp: UdpPort, crew: Crew, file: StateFile | None, *, bootstrap: Hosts, routers: Hosts
    ) -> Dht:
        """Open it; ``close`` follows.

        Args:
            world, udp, crew, file: see the class.
            bootstrap: (host, port) of nodes that the user named, asked at once.
            routers: public ones, asked when nobody else answers; at once where nobody else is known.
        """
        saved = await world.offload.run(file.read) if file is not None else None
        node = Node(
            udp.send,
            [address.is_ipv6 for address in udp.addresses],
            rng=world.rng,
            secret=world.secret,
            saved=saved,
            own=udp.addresses,
            network=world.network,
        )
        dht = cls(world, udp, crew, file, node)
        bootstrap, routers = tuple(bootstrap), tuple(routers)
        known = saved is not None and any(saved.nodes.values())
        dht.hopeful = known
        crew.keep(node.run, name="DHT node")
        udp.dht = node.got_datagram
        dht.add_hosts((*bootstrap, *(() if known else routers)), Scope.LOOPBACK)
        if bootstrap or routers:
            crew.start(node.run_bootstrap, (*bootstrap, *routers), name="join the DHT")
        if file is not None and file.owned:
            crew.start(dht._save_often, name="save the DHT's nodes")
        return dht

    def jitter(self) -> float:
        """About 1, never more."""
        return self._world.rng.uniform(0.9, 1)

    def add_hosts(self, hosts: Hosts, within: Scope) -> None:
        """There may be nodes: addresses or host names (of the user, of a .torrent)."""
        for host, port in hosts:
            self.hopeful = True
            self._crew.start(self._add_host, host, port, within, name="add a DHT node")

    def tick(self, now: float) -> None:
        """Let those begin whose turn it is."""
        if self.node.joined:
            while (search := self.plan.take(now)) is not None:
                search.begin()

    def stats(self) -> DhtStats:
        """How the node is; not counted anew for everybody who looks. After ``close``: how it was."""
        if self._closed and self._stats is not None:
            return self._stats
        now = trio.current_time()
        if self._stats is None or now - self._counted_at >= TICK:
            self._stats, self._counted_at = self._count(), now
        return self._stats

    def _count(self) -> DhtStats:
        stats = self.node.stats()
        counts = {side.ipv6: side.nodes for side in stats.sides}
        families = [f"{counts[ipv6]:,} IPv{6 if ipv6 else 4}" for ipv6 in counts if counts[ipv6]]
        if not self.node.joined:
            state = "joining"
            message = "no node has answered yet" if self.hopeful else "nobody is known to join by"
        else:
            many = sum(counts.values()) != 1
            state, message = "joined", f"{' and '.join(families) or 'no'} {'nodes' if many else 'node'}"
        return DhtStats(
            state=state,
            message=message,
            nodes=counts.get(False, 0),
            nodes6=counts.get(True, 0),
            external_hosts=self.node.external_hosts,
            searches=self.plan.running,
            stored=sum(side.torrents for side in stats.sides),
            read_only=stats.read_only,
        )

    @property
    def external_hosts(self) -> tuple[str, ...]:
        """Our IP addresses as several nodes see them, one of each family at most."""
        return self.node.external_hosts

    @property
    def internal_errors(self) -> int:
        """Bugs of ours that the node has contained."""
        return self.node.internal_errors

    async def close(self) -> None:
        """Save, and end. A disk that hangs is not waited for: what is lost is only convenient."""
        self._udp.dht = None
        self._stats = self.stats()._replace(state="off", message="the session has been left")
        self._closed = True
        await self._crew.stop()
        if self._file is not None:
            with trio.move_on_after(DHT_SAVE_TIMEOUT), contextlib.suppress(DiskTroubleError):
                await self._world.offload.run(self._file.write, self.node.save(), abandon=True)
            self._file.close()

    async def _add_host(self, host: str, port: int, within: Scope) -> None:
        turn = self._named if parse_host(host) is None else contextlib.nullcontext()  # a .torrent may name a hundred
        try:
            async with turn:
                await self.node.add_host(host, port, within=within)
        except (DhtError, NetworkError) as error:
            log.info("DHT node %s: %s", host, error)

    async def _save_often(self) -> None:
        assert self._file is not None
        while True:
            await trio.sleep(DHT_SAVE_INTERVAL)
            with contextlib.suppress(DiskTroubleError):
                await self._world.offload.run(self._file.write, self.node.save())
