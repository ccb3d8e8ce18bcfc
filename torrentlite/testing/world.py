"""A whole simulated world: one seed, one clock, one network, and machines for sessions to run on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import trio

from ..metainfo.build import Version
from ..metainfo.info import Info
from ..metainfo.metainfo import Metainfo
from ..swarm.world import World
from .clock import TICK, Timeline
from .dice import Dice
from .flow import SEND_BUFFER
from .host import SimulatedHost
from .network import SimulatedNetwork
from .offload import SimulatedOffload
from .router import SimulatedRouter
from .storage import SimulatedDisk
from .torrent import made_up_torrent
from .trace import Trace
from .tracker import SimulatedTracker
from .web import SimulatedWebServer

_FIRST_DAY: Final = 1_800_000_000.0
"""The date on which every simulation begins, in seconds since 1970."""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class SimulatedMachine(World):
    """A computer of the simulated world: ``open_session(settings, world=machine)``.

    Its ``network``, ``offload``, ``rng``, ``secret``, ``wall`` and ``storage`` are what a session takes from it. It
    outlives the sessions that run on it: what one wrote the next one finds.

    Attributes:
        network: its place in the network, to be unplugged, stopped and so on.
        offload: says how long computing takes.
        disk: where its torrents lie, to be made slow, full or broken.
    """

    network: SimulatedHost
    offload: SimulatedOffload
    disk: SimulatedDisk

    def put(self, info: Info, data: bytes) -> None:
        """Let it have a torrent's bytes, as if from earlier: who adds the torrent finds and hashes them."""
        self.disk.storage(info).fill(data)


class SimulatedWorld:
    """Everything outside of a session, made from one seed. Opened by ``open_world`` or ``run_simulation``.

    Attributes:
        dice: the source of all chance.
        trace: what happened.
        timeline: callbacks at moments of virtual time.
        network: all hosts.
        nursery: for tasks that belong to the world; they end with it.
    """

    def __init__(self, nursery: trio.Nursery, *, seed: int | str, trace: Trace, tick: float) -> None:
        self.nursery = nursery
        self.dice = Dice(seed)
        self.trace = trace
        self.timeline = Timeline(tick=tick)
        self.network = SimulatedNetwork(self.timeline, trace=trace, rng=self.dice.rng("network"))

    def host(
        self,
        *addresses: str,
        up: float = 0,
        down: float = 0,
        latency: float = 0.01,
        loss: float = 0,
        send_buffer: int = SEND_BUFFER,
        router: SimulatedRouter | None = None,
    ) -> SimulatedMachine:
        """Add a machine; see ``SimulatedNetwork.host`` for the arguments."""
        host = self.network.host(
            *addresses, up=up, down=down, latency=latency, loss=loss, send_buffer=send_buffer, router=router
        )
        name = host.addresses[0] if router is None else f"{router.ip} {host.addresses[0]}"
        offload = SimulatedOffload()
        disk = SimulatedDisk(trace=self.trace, last_until=offload.last_until)
        return SimulatedMachine(
            network=host,
            offload=offload,
            disk=disk,
            storage=disk.storage,
            rng=self.dice.rng(name),
            secret=self.dice.secret(name),
            wall=lambda: _FIRST_DAY + self.timeline.now,
        )

    def torrent(
        self,
        *sizes: int,
        name: str = "made-up",
        piece_length: int = 64 << 10,
        private: bool = False,
        trackers: Iterable[str | Iterable[str]] = (),
        version: Version = "v1",
    ) -> tuple[Metainfo, bytes]:
        """A torrent of random bytes, and these bytes (a MiB if no sizes are given); other bytes for each name.

        Args:
            sizes: bytes of each file.
            name: of the file, or of the folder of several.
            piece_length: bytes of each piece.
            private: peers come from its trackers only.
            trackers: URLs, each a tier of its own, or tiers of URLs.
            version: see ``made_up_torrent``.
        """
        return made_up_torrent(
            self.dice.rng(f"torrent {name}"),
            sizes or (1 << 20,),
            name=name,
            piece_length=piece_length,
            private=private,
            trackers=trackers,
            version=version,
        )

    def tracker(self, *addresses: str, name: str = "") -> SimulatedTracker:
        """Add a tracker on a host of its own, over HTTP and UDP; it answers at once.

        Args:
            addresses: see ``SimulatedNetwork.host``.
            name: its host name; a host of both families needs one to be found over both.
        """
        host = self.network.host(*addresses)
        if name:
            self.network.names[name] = host.addresses
        rng = self.dice.rng(f"tracker {host.addresses[0]}")
        tracker = SimulatedTracker(host, name=name, rng=rng, trace=self.trace)
        self.nursery.start_soon(tracker.run)
        return tracker

    def web_server(
        self, files: Mapping[str, bytes], *addresses: str, name: str = "", up: float = 0, latency: float = 0.01
    ) -> SimulatedWebServer:
        """Add a web server on a host of its own; it answers at once.

        Args:
            files: their bytes, by path (``"/made-up"``).
            addresses: see ``SimulatedNetwork.host``; so for ``up`` and ``latency``.
            name: its host name.
        """
        host = self.network.host(*addresses, up=up, latency=latency)
        if name:
            self.network.names[name] = host.addresses
        server = SimulatedWebServer(host, files, name=name, trace=self.trace)
        self.nursery.start_soon(server.run)
        return server


@contextlib.asynccontextmanager
async def open_world(
    *, seed: int | str = 0, trace: Trace | None = None, tick: float = TICK
) -> AsyncIterator[SimulatedWorld]:
    """A simulated world for as long as the block lasts, in a run with a ``trio.testing.MockClock``.

    An exception of the block leaves it unchanged.

    Args:
        seed: what all chance comes from.
        trace: records what happens; a new one if it is not given.
        tick: see ``Timeline``.
    """
    trouble: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            world = SimulatedWorld(nursery, seed=seed, trace=trace or Trace(), tick=tick)
            nursery.start_soon(world.timeline.run)
            try:
                yield world
            except BaseException as error:
                trouble = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Something in the world broke (a handler raised): that is the news, not the Cancelled it made of the block.
        raise group.exceptions[0] if len(group.exceptions) == 1 else group from None
    if trouble is not None:
        raise trouble
