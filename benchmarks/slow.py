"""The slow path: a rate-limited peer, a disk that is slower than the network, a long line.

    python -m benchmarks slow

*Limited*: a scripted seed gives 20 MiB/s; torrentlite and libtorrent fetch, in MiB/s and CPU seconds per GiB. *Slow
disk*: a storage that takes 40 MiB/s, fed at loopback speed; the most memory that pieces hold, the peak of the process,
and the longest time in which the event loop did not turn. *Long line*: a relay that delays everything by 100 ms each
way and lets 20 MiB/s through; one bare TCP stream through it, and a fetch through it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import pathlib
import sys
import threading
import time
from collections.abc import Sequence

import trio

import torrentlite
from torrentlite.storage.storage import Buffer, Room, Storage

from .material import MIB, Material, material, words
from .processes import check_size, running, serving
from .roles import Transfer
from .rounds import Result, interleaved, middle, ratio, spread
from .sizes import size

RATE = 20 * MIB
DISK_RATE = 40 * MIB
DELAY = 0.1


class SlowDisk(Storage):
    """Takes DISK_RATE bytes a second over all threads, and keeps nothing."""

    def __init__(self, info: object) -> None:
        self._lock = threading.Lock()

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """Slowly."""
        with self._lock:
            time.sleep(len(data) / DISK_RATE)

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """Nobody asks."""


async def slow_disk(torrent: bytes, port: int) -> None:
    """Fetch onto it, and watch."""
    most, late = 0, 0.0

    async def watch() -> None:
        nonlocal most, late
        while True:
            asleep = trio.current_time()
            await trio.sleep(0.01)
            late = max(late, trio.current_time() - asleep - 0.01)
            most = max(most, session.stats().piece_memory)

    async with torrentlite.open_session(torrentlite.Settings(host="127.0.0.1", dht=False)) as session:
        transfer = Transfer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await session.add(torrent, storage=SlowDisk, peers=[("127.0.0.1", port)]).wait_complete()
            nursery.cancel_scope.cancel()
        transfer.report(pieces_mib=most / MIB, late_ms=late * 1e3)


async def relay(port: int) -> None:
    """Delay everything by DELAY, let RATE through each way. At most a second of bytes is under way, then it waits."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        line: collections.deque[tuple[float, bytes]] = collections.deque()
        arrived, left = asyncio.Event(), asyncio.Event()
        held, free_at = 0, loop.time()

        async def deliver() -> None:
            nonlocal held
            while True:
                while not line:
                    arrived.clear()
                    await arrived.wait()
                due, data = line.popleft()
                await asyncio.sleep(due - loop.time())
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()
                held -= len(data)
                left.set()

        delivering = asyncio.create_task(deliver())
        data = b"x"
        while data:
            while held > RATE:
                left.clear()
                await left.wait()
            try:
                data = await reader.read(64 << 10)
            except OSError:
                data = b""
            free_at = max(free_at, loop.time()) + len(data) / RATE
            held += len(data)
            line.append((free_at + DELAY, data))
            arrived.set()
        with contextlib.suppress(OSError):
            await delivering

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, their_writer), pump(their_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


def limited(fetcher: str, what: Material) -> Result:
    """From a slow peer."""
    out = what.fresh()
    with serving("scripted", "seed", what.torrent, what.data / "file.bin", RATE) as served:
        result = running("roles", fetcher, "fetch", what.torrent, out, *served.ports)
    check_size(out, what)
    return result


def onto_slow_disk(what: Material) -> Result:
    """From a fast one."""
    with serving("roles", "tl", "seed", what.torrent, what.data) as served:
        return running("slow", "disk", what.torrent, *served.ports)


def through_relay(seed: str, fetcher: str, what: Material) -> Result:
    """Over the long line."""
    out = what.fresh()
    with (
        serving("roles", seed, "seed", what.torrent, what.data) as served,
        serving("slow", "relay", *served.ports) as line,
    ):
        result = running("roles", fetcher, "fetch", what.torrent, out, *line.ports)
    check_size(out, what)
    return result


def main(arguments: list[str]) -> None:
    """Measure and print three tables."""
    args = words("slow", __doc__, total="256M", runs=5).parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("8M"), 1
    with material(args.folder, args.size, args.piece_size) as what:
        by_rate = interleaved({who: functools.partial(limited, who, what) for who in ("lt", "tl")}, args.runs)
        on_disk = interleaved({"tl": functools.partial(onto_slow_disk, what)}, args.runs)["tl"]
        rows = {
            "bare TCP": functools.partial(through_relay, "bare", "bare", what),
            "tl → tl": functools.partial(through_relay, "tl", "tl", what),
            "lt → tl": functools.partial(through_relay, "lt", "tl", what),
            "lt → lt": functools.partial(through_relay, "lt", "lt", what),
        }
        by_line = interleaved(rows, args.runs)
    mib, gib = args.size / MIB, args.size / (1 << 30)
    print(f"from a peer that gives {RATE // MIB} MiB/s, {args.size >> 20} MiB, {args.runs} rounds")
    print("| who | MiB/s (min–max) | CPU s/GiB |\n|---|---|---|")
    for row, runs in by_rate.items():
        rates = [mib / run["seconds"] for run in runs]
        print(f"| {row} | {middle(rates):.1f} {spread(rates, 1)} | {middle([run['cpu'] for run in runs]) / gib:.2f} |")
    print(f"\nonto a disk that takes {DISK_RATE // MIB} MiB/s")
    print("| MiB/s | pieces hold at most, MiB | peak MiB | longest the loop stood still, ms |\n|---|---|---|---|")
    print("| " + " | ".join((
        f"{mib / middle([run['seconds'] for run in on_disk]):.1f}",
        f"{max(run['pieces_mib'] for run in on_disk):.0f}",
        f"{max(run['memory_mib'] for run in on_disk):.0f}",
        f"{max(run['late_ms'] for run in on_disk):.0f}",
    )) + " |")  # fmt: skip
    print(f"\nthrough {DELAY * 1e3:.0f} ms each way at {RATE // MIB} MiB/s")
    print("| who | MiB/s | over bare TCP (min–max) |\n|---|---|---|")
    base = [run["seconds"] for run in by_line["bare TCP"]]
    for row, runs in by_line.items():
        seconds = [run["seconds"] for run in runs]
        print(f"| {row} | {mib / middle(seconds):.1f} | {ratio(base, seconds)} |")


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        asyncio.run(relay(int(sys.argv[2])))
    else:
        trio.run(slow_disk, pathlib.Path(sys.argv[2]).read_bytes(), int(sys.argv[3]))
