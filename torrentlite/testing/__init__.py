"""A simulated world for programs that share files: network, disks, clock and dice, and the same run for the same seed.

    @simulated(seed=7)
    async def test_two_sessions_meet(world):
        tracker = world.tracker()
        alice, bob = world.host(up=1_000_000), world.host(latency=0.05)
        async with torrentlite.open_session(world=alice) as seed, torrentlite.open_session(world=bob) as peer:
            ...

``simulated`` is for tests, ``run_simulation`` for programs, and ``open_world`` makes a world inside a program that runs
already (under a ``trio.testing.MockClock``, as in a pytest-trio test that asks for ``autojump_clock``). Hours of
virtual time take seconds, and nothing ever waits for a real clock.

``SimulatedDht`` is another world, for thousands of DHT nodes without tasks and sockets; hostile nodes and trials are in
``dht_hostile`` and ``dht_trial``. docs/testing.md is the guide to all of it.
"""

from __future__ import annotations

from .clock import Timeline, Timer
from .datagrams import SimulatedDatagrams
from .dht import SimulatedDht, SimulatedNode
from .dice import Dice
from .host import SimulatedHost
from .listener import SimulatedListener
from .nat import Nat, NatKind
from .network import NetworkStats, SimulatedNetwork
from .offload import SimulatedOffload
from .router import SimulatedRouter
from .run import run_simulation, simulated
from .scheduler import seeded_scheduler
from .storage import SimulatedDisk, SimulatedStorage
from .stream import SimulatedStream
from .swarms import Announce
from .trace import Trace
from .tracker import SimulatedTracker
from .web import SimulatedWebServer, WebAnswer, WebRequest
from .world import SimulatedMachine, SimulatedWorld, open_world

__all__ = [
    "Announce",
    "Dice",
    "Nat",
    "NatKind",
    "NetworkStats",
    "SimulatedDatagrams",
    "SimulatedDht",
    "SimulatedDisk",
    "SimulatedHost",
    "SimulatedListener",
    "SimulatedMachine",
    "SimulatedNetwork",
    "SimulatedNode",
    "SimulatedOffload",
    "SimulatedRouter",
    "SimulatedStorage",
    "SimulatedStream",
    "SimulatedTracker",
    "SimulatedWebServer",
    "SimulatedWorld",
    "Timeline",
    "Timer",
    "Trace",
    "WebAnswer",
    "WebRequest",
    "open_world",
    "run_simulation",
    "seeded_scheduler",
    "simulated",
]
