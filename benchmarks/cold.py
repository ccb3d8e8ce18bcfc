"""Seeding from a cold disk while another peer is served: how long does that one wait?

    python -m benchmarks cold --size 8G --folder /tmp

The file is dropped from the page cache. One scripted peer asks for all of it in random order, 128 requests at a time;
another asks for one block of the first pieces (which are cached again) after the other, and its delays are what counts.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import pathlib
import random
import sys
import time

from torrentlite.wire import messages as wm

from .material import Material, material, words
from .processes import running, serving
from .rounds import Result, interleaved, middle, spread
from .scripted import BLOCK, Asker
from .sizes import size

WARM_PIECES = 4


def drop(file: pathlib.Path) -> None:
    """Out of the page cache, all but the first pieces."""
    with file.open("rb") as open_file:
        os.fsync(open_file.fileno())
        os.posix_fadvise(open_file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        open_file.read(WARM_PIECES << 20)


async def ask_both(torrent: pathlib.Path, port: int) -> Result:
    """Fetch everything with one peer, ask for cached blocks with another meanwhile."""
    greedy, other = Asker(torrent, port), Asker(torrent, port)
    await greedy.open()
    await other.open()
    layout = greedy.info.layout
    numbers = list(range(WARM_PIECES, layout.piece_count))
    random.Random(2).shuffle(numbers)
    blocks = [
        (piece, begin, min(BLOCK, layout.piece_size(piece) - begin))
        for piece in numbers
        for begin in range(0, layout.piece_size(piece), BLOCK)
    ]
    delays: list[float] = []
    started = time.perf_counter()

    async def fetch() -> None:
        at, due = 0, 0
        while at < len(blocks) or due:
            if due <= 64:
                more = blocks[at : at + 128 - due]
                greedy.ask(more)
                at, due = at + len(more), due + len(more)
            due -= sum(isinstance(message, wm.Piece) for message in await greedy.receive())

    fetching = asyncio.create_task(fetch())
    while not fetching.done():
        piece = random.randrange(min(WARM_PIECES, layout.piece_count))
        delays.append(await other.time_one((piece, random.randrange(16) * BLOCK, BLOCK)))
        await asyncio.sleep(0.005)
    await fetching
    delays.sort()
    return {
        "seconds": time.perf_counter() - started,
        "p50": delays[len(delays) // 2] * 1e3,
        "p99": delays[len(delays) * 99 // 100] * 1e3,
        "max": delays[-1] * 1e3,
    }


def one_run(seed: str, what: Material) -> Result:
    """One seed, from cold."""
    with serving("roles", seed, "seed", what.torrent, what.data) as served:
        drop(what.data / "file.bin")
        return running("cold", what.torrent, served.ports[0])


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("cold", __doc__, total="1G", runs=5)
    parser.set_defaults(folder="/tmp")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("32M"), 1
    with material(args.folder, args.size, args.piece_size) as what:
        rows = {seed: functools.partial(one_run, seed, what) for seed in ("lt", "tl")}
        results = interleaved(rows, args.runs)
    print(f"{args.size >> 20} MiB from a cold cache in {args.folder}, {args.runs} rounds")
    print("| seed | MiB/s cold | the other's delay, ms: median | p99 (min–max) | longest |")
    print("|---|---|---|---|---|")
    for row, runs in results.items():
        p99 = [run["p99"] for run in runs]
        print(
            f"| {row} | {(args.size >> 20) / middle([run['seconds'] for run in runs]):.0f}"
            f" | {middle([run['p50'] for run in runs]):.1f} | {middle(p99):.1f} {spread(p99, 1)}"
            f" | {max(run['max'] for run in runs):.1f} |"
        )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask_both(pathlib.Path(sys.argv[1]), int(sys.argv[2])))))
