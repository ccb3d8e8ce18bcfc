"""How a session is found, and finds others, without a server: its DHT node, local discovery, a port in the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..dht.statefile import StateFile
from ..net.http import HttpClient
from ..net.udp import UdpPort
from ..stats import DhtStats, LsdStats, PortMapStats
from ..wire.address import Address, Scope
from .commons import Commons
from .dht import Dht
from .lsd import Lsd

if TYPE_CHECKING:
    from ..net.portmap.mapper import PortMapper


class Presence:
    """One for a session, as long as it lasts. What is switched off is not there.

    Args:
        commons: gets the node, local discovery and the mapping, for the torrents.
        http: for UPnP.
        got_peer: told of the info-hash and address of a peer that was heard of on the local network.
        moved: called when peers outside have to call another port or address, or may have forgotten us.
        back: called when somebody has been heard of after a long silence.
    """

    def __init__(
        self,
        commons: Commons,
        http: HttpClient,
        *,
        got_peer: Callable[[bytes, Address], object],
        moved: Callable[[], object],
        back: Callable[[], object],
    ) -> None:
        self._commons = commons
        self._moved = moved
        self._back = back
        self._mapper: PortMapper | None = None
        self._closing = False
        self._crew = commons.crew()
        self._map_crew = commons.crew()
        settings, world = commons.settings, commons.world
        near = not commons.loopback  # loopback is no local network, and no gateway leads there
        if settings.lsd and near:
            commons.lsd = Lsd(world, commons.port, self._crew, got_peer)
        if settings.port_map and near:
            from ..net.portmap.mapper import PortMapper  # 3 ms, and an XML parser

            self._mapper = PortMapper(
                world.network,
                http,
                commons.port,
                secret=world.secret,
                gateway=world.gateway,
                changed=self._mapping_changed,
            )
            self._map_crew.keep(self._mapper.run, name="port mapping")

    async def open_dht(self, udp: UdpPort) -> None:
        """Open the node, where there is anybody to join by: the world's public routers, or who the user names."""
        commons, settings, world = self._commons, self._commons.settings, self._commons.world
        if not settings.dht or (settings.bootstrap is None and not world.routers):
            return
        routers = () if commons.loopback or settings.bootstrap is not None else world.routers
        file = await world.offload.run(StateFile, settings.state_dir) if settings.state_dir is not None else None
        commons.dht = await Dht.open(
            world, udp, commons.crew(), file, bootstrap=settings.bootstrap or (), routers=routers
        )

    def tick(self, now: float) -> None:
        """Called by the session's tick."""
        if self._commons.lsd is not None:
            self._commons.lsd.tick()
        if self._commons.dht is not None:
            self._commons.dht.tick(now)
        self._look_outside(now)

    def _look_outside(self, now: float) -> None:
        commons, outage = self._commons, self._commons.outage
        if commons.dht is not None:
            outage.heard(commons.dht.node.heard_at)
            if commons.dht.node.cut_off:
                outage.missed(now)
            for host in commons.dht.external_hosts:
                outage.seen_as(":" in host, host)
        outage.heard(commons.heard_at)  # what is only connected still may be dead
        if outage.over():
            self._back()
        if not commons.loopback and outage.moved(now):
            if self._mapper is not None:
                self._mapper.doubt()
            self._moved()

    @property
    def internal_errors(self) -> int:
        """Bugs of ours that were contained in here."""
        return self._commons.dht.internal_errors if self._commons.dht is not None else 0

    def dht_stats(self) -> DhtStats:
        """The DHT node."""
        return self._commons.dht.stats() if self._commons.dht is not None else DhtStats(message="switched off")

    def lsd_stats(self) -> LsdStats:
        """Local discovery."""
        return self._commons.lsd.stats() if self._commons.lsd is not None else LsdStats(message=self._off())

    def port_map_stats(self) -> PortMapStats:
        """The gateway's port."""
        if self._mapper is None:
            return PortMapStats(message=self._off())
        return self._mapper.stats() if self._commons.closed_at is None else PortMapStats()

    def _off(self) -> str:
        return "bound to loopback" if self._commons.loopback else "switched off"

    async def close(self) -> None:
        """Close the gateway's port (2 seconds at most), save the node's table."""
        self._closing = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._map_crew.stop)
            nursery.start_soon(self._crew.stop)
            if self._commons.dht is not None:
                nursery.start_soon(self._commons.dht.close)

    def _mapping_changed(self) -> None:
        if self._closing or self._mapper is None:
            return  # trackers know us by that port, and are just being told that we leave
        commons, before = self._commons, self._commons.public_port
        commons.port_map = stats = self._mapper.stats()
        commons.mapped_address = None
        if stats.mapped and stats.external_host:
            commons.outage.seen_as("gateway", stats.external_host)
            # Some gateways lead back inside who calls them from there.
            ourselves = Address(stats.external_host, stats.tcp_port)
            if ourselves.scope is not Scope.FORBIDDEN:
                commons.mapped_address = ourselves
        if commons.public_port != before:
            self._moved()
