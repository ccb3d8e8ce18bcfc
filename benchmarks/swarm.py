"""A whole swarm: how long the last peer takes, over the least that is possible.

    python -m benchmarks swarm --peers 8 16

One seed with 8 MiB/s up, the others with 4 MiB/s each, everybody connected to everybody, 160 MiB in pieces of 256 KiB.
However bytes flow, the last of n peers needs max(F / u_seed, n·F / (u_seed + Σ u_i)): the *fluid bound*. Real processes
over loopback with our own rate limits, and the same swarm simulated, where it is the lines that are slow and nothing
else takes time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import subprocess
import sys
import time

import trio

import torrentlite
from torrentlite.metainfo.build import build_info, build_metainfo
from torrentlite.testing import run_simulation
from torrentlite.testing.world import SimulatedWorld

from .material import MIB, Material, material, words
from .processes import environment
from .rounds import middle, spread
from .sizes import size

SEED, OTHERS = 8 * MIB, 4 * MIB


def bound(total: int, peers: int) -> float:
    """Seconds."""
    return max(total / SEED, peers * total / (SEED + peers * OTHERS))


async def member(torrent: bytes, folder: pathlib.Path, rate: int) -> None:
    """One process: prints its port, reads everybody's, fetches, prints when it was done, serves until stdin closes."""
    settings = torrentlite.Settings(host="127.0.0.1", dht=False, upload_limit=rate)
    async with torrentlite.open_session(settings) as session:
        share = session.add(torrent, folder)
        print(session.port, flush=True)
        line = await trio.to_thread.run_sync(sys.stdin.readline)
        for port in json.loads(line):
            if port != session.port:
                share.add_peer("127.0.0.1", port)
        await share.wait_complete()
        print(time.monotonic(), flush=True)  # the same clock in all processes
        await trio.to_thread.run_sync(sys.stdin.read)


def real(what: Material, peers: int) -> float:
    """Seconds until the last is done."""
    out = what.fresh()
    with contextlib.ExitStack() as stack:
        members = []
        for number in range(peers + 1):
            folder = what.data if number == 0 else out / str(number)
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "benchmarks.swarm", what.torrent, folder, SEED if number == 0 else OTHERS]
            process = stack.enter_context(
                subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment(),
                )
            )
            stack.callback(process.kill)
            members.append(process)
        ports = []
        for process in members:
            assert process.stdout is not None
            ports.append(int(process.stdout.readline()))
        time.sleep(1)  # the seed has checked its file
        started = time.monotonic()
        for process in members:
            assert process.stdin is not None
            process.stdin.write(json.dumps(ports) + "\n")
            process.stdin.flush()
        done = [float(process.stdout.readline()) for process in members if process.stdout is not None]
        for process in members:
            assert process.stdin is not None
            process.stdin.close()
    return max(done[1:]) - started


def simulated(total: int, piece: int, peers: int, seed: int) -> float:
    """The same in virtual time."""
    data = bytearray(total)
    for at in range(0, total, piece):
        data[at : at + 8] = at.to_bytes(8, "big")  # no two pieces are alike
    digests = b"".join(hashlib.sha1(memoryview(data)[at : at + piece]).digest() for at in range(0, total, piece))
    metainfo = build_metainfo(build_info("data.bin", [((), total)], piece_length=piece, pieces=digests))

    async def swarm(world: SimulatedWorld) -> float:
        source = world.host(latency=0.0005)
        source.disk.storage(metainfo.info).pwrite(0, data)
        places = []
        ready, finished = trio.Event(), trio.Event()
        times: list[float] = []
        started = trio.current_time()

        async def one() -> None:
            host = world.host(latency=0.0005)
            async with torrentlite.open_session(torrentlite.Settings(upload_limit=OTHERS), world=host) as session:
                mine = (host.network.ip, session.port)
                places.append(mine)
                if len(places) == peers + 1:
                    ready.set()
                await ready.wait()
                share = session.add(metainfo, peers=[place for place in places if place != mine])
                await share.wait_complete()
                times.append(trio.current_time() - started)
                if len(times) == peers:
                    finished.set()
                await finished.wait()

        async with torrentlite.open_session(torrentlite.Settings(upload_limit=SEED), world=source) as session:
            await session.add(metainfo).wait_complete()
            places.append((source.network.ip, session.port))
            async with trio.open_nursery() as nursery:
                for _ in range(peers):
                    nursery.start_soon(one)
        return max(times)

    return float(run_simulation(swarm, seed=seed))


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("swarm", __doc__, total="160M", runs=5)
    parser.set_defaults(piece_size=size("256K"))
    parser.add_argument("--peers", type=int, nargs="+", default=[8, 16], help="besides the seed (default 8 16)")
    parser.add_argument("--only", choices=["real", "simulated"], help="not the other")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.peers, args.runs = size("8M"), [3], 1
    print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds")
    print("| swarm | fluid bound | last peer over it (min–max) |")
    print("|---|---|---|")
    with material(args.folder, args.size, args.piece_size) as what:
        for peers in args.peers:
            least = bound(args.size, peers)
            for kind in ("real", "simulated"):
                if args.only not in (None, kind):
                    continue
                if kind == "real":
                    times = [real(what, peers) for _ in range(args.runs)]
                else:
                    times = [simulated(args.size, args.piece_size, peers, number) for number in range(args.runs)]
                over = [seconds / least for seconds in times]
                print(f"| {peers} peers, {kind} | {least:.1f} s | {middle(over):.3f} {spread(over, 3)} |", flush=True)


if __name__ == "__main__":
    trio.run(member, pathlib.Path(sys.argv[1]).read_bytes(), pathlib.Path(sys.argv[2]), int(sys.argv[3]))
