"""A swarm of fifty under a virtual clock: everyone completes, who gives is served first, and a seed replays."""

import hashlib
import os
import random
import statistics
import subprocess
import sys

import trio

import torrentlite as tl
from tests.strategy.everybody import UnchokeAll
from torrentlite.metainfo.build import build_info, build_metainfo
from torrentlite.testing import SimulatedWorld, Trace, run_simulation

PIECE = 128 << 10
SIZE = 6 << 20
PEERS = 50
FREE_RIDERS = 12
UP = 80_000


def make_metainfo(data: bytes) -> tl.Metainfo:
    pieces = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    return build_metainfo(build_info("data.bin", [((), len(data))], piece_length=PIECE, pieces=pieces))


async def swarm(world: SimulatedWorld, *, unchoke_all: bool = False, peers: int = PEERS, size: int = SIZE):
    """One seed and some peers, every fourth a free rider; returns the times of contributors and of free riders."""
    data = random.Random(1).randbytes(size)
    metainfo = make_metainfo(data)
    tracker = world.tracker()
    times: dict[bool, list[float]] = {False: [], True: []}
    started = trio.current_time()

    async def peer(number: int) -> None:
        rider = number % 4 == 3 and number < 4 * FREE_RIDERS
        machine = world.host(up=UP, down=10 * UP, latency=0.02)
        settings = tl.Settings(upload_slots=0 if rider else 8)
        async with tl.open_session(settings, world=machine) as session:
            torrent = session.add(metainfo, trackers=[tracker.url])
            if unchoke_all and not rider:
                torrent._life.swarm.slots.choker = UnchokeAll()
            await torrent.wait_complete()
            times[rider].append(trio.current_time() - started)
            world.trace.record("complete", number)
            storage = machine.disk.storage(metainfo.info)
            buffer = bytearray(size)
            storage.pread_into(0, [buffer])
            assert buffer == data
            # Like ``tl fetch``, it leaves when it is complete: what comes later is not its gift.
            assert session.stats().internal_errors == 0

    machine = world.host(up=4 * UP, latency=0.02)
    machine.disk.storage(metainfo.info).pwrite(0, data)
    async with tl.open_session(tl.Settings(), world=machine) as session:
        torrent = session.add(metainfo, trackers=[tracker.url])
        await torrent.wait_complete()
        async with trio.open_nursery() as nursery:
            for number in range(peers):
                nursery.start_soon(peer, number)
        assert session.stats().internal_errors == 0
    return times[False], times[True]


def test_everyone_completes_and_free_riders_wait():
    givers, riders = run_simulation(swarm, seed=1)
    assert len(givers) == PEERS - FREE_RIDERS
    assert len(riders) == FREE_RIDERS
    print(
        f"\ntit for tat: contributors {statistics.median(givers):.0f} s, free riders {statistics.median(riders):.0f} s"
    )
    assert statistics.median(riders) >= 1.3 * statistics.median(givers)


def test_without_the_choker_free_riders_do_not_wait():
    async def program(world):
        return await swarm(world, unchoke_all=True)

    givers, riders = run_simulation(program, seed=1)
    print(
        f"\nunchoke all: contributors {statistics.median(givers):.0f} s, free riders {statistics.median(riders):.0f} s"
    )
    assert statistics.median(riders) <= 1.1 * statistics.median(givers)


SMALL = """
import sys
sys.path[:0] = sys.argv[1:]
from tests.swarm.test_swarm import small_digest
print(small_digest())
"""


def small_digest() -> str:
    trace = Trace()

    async def program(world):
        return await swarm(world, peers=12, size=2 << 20)

    run_simulation(program, seed=5, trace=trace)
    assert trace.counts["complete"] == 12
    return trace.digest()


def test_one_seed_one_run():
    """The same trace, whatever the order of sets in a process happens to be."""
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", SMALL, os.getcwd()],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert digests != {""}
