"""The picker alone: CPU time a block, with 200 leeching peers and all their Haves.

    python -m benchmarks picking --pieces 100000 --peers 200

Peers have a quarter of the pieces at first, and each gets another one for each that we get, as in a swarm that moves at
one speed: a piece of 64 blocks brings 200 Haves. What is timed is everything that the picker does (choosing, taking in
and copying blocks, verdicts, Haves), as ``Peer`` and ``Pieces`` call it. Two parts are timed by themselves as well: the
copy, of 16 KiB into as much memory, and the loop around it all, which is taken off.
"""

from __future__ import annotations

import argparse
import array
import itertools
import operator
import random
import time
from collections.abc import Iterator

from torrentlite.metainfo.layout import BLOCK_SIZE, Block, Layout
from torrentlite.storage.slab import fresh_buffers
from torrentlite.strategy.memory import PieceMemory
from torrentlite.strategy.picker import Arrival, Picker

from .rounds import middle, spread

MEMORY = 64 << 20


def arrivals(picker: Picker[object], peer: object, blocks: list[tuple[int, int, bytes]]) -> Iterator[Arrival[object]]:
    """Give the picker what came together, as ``Pieces.got_blocks`` does."""
    for piece, group in itertools.groupby(blocks, operator.itemgetter(0)):
        run = list(group)
        arrival = picker.received_run(peer, piece, run)
        if arrival is not None:
            yield arrival
        else:
            for block in run:
                yield picker.received(peer, *block)


def one_run(piece_count: int, peer_count: int, to_fetch: int) -> tuple[float, int]:
    """Fetch so many pieces; CPU seconds and blocks."""
    rng = random.Random(1)
    length = 1 << 20
    picker: Picker[object] = Picker(Layout(length, [piece_count * length]), PieceMemory(MEMORY, fresh_buffers), rng)
    peers = [object() for _ in range(peer_count)]
    for peer in peers:
        picker.add_peer(peer, rng.getrandbits(piece_count) & rng.getrandbits(piece_count))
    # Each row is what all peers say while we fetch one piece. Arrays, for the collector of garbage to pass them by.
    haves = [array.array("I", (int(rng.random() * piece_count) for _ in peers)) for _ in range(to_fetch + peer_count)]
    data = bytes(BLOCK_SIZE)
    blocks = done = 0
    now = 0.0
    began = time.process_time()
    queues: dict[object, list[Block]] = {peer: picker.pick(peer, 32, now) for peer in peers}
    pick, peer_has = picker.pick, picker.peer_has
    while done < to_fetch:
        for peer, queue in queues.items():
            batch = [(piece, begin, data) for piece, begin, _ in queue[:8]]
            del queue[:8]
            for arrival in arrivals(picker, peer, batch):
                if arrival.finished is not None:
                    picker.piece_right(arrival.finished.piece)
                    for other, gained in zip(peers, haves[done], strict=True):
                        peer_has(other, gained)
                    done += 1
            blocks += len(batch)
            if len(queue) < 24:
                queue += pick(peer, 32 - len(queue), now)
        now += 0.1
    return time.process_time() - began, blocks


def copying(blocks: int) -> float:
    """CPU seconds of the copies alone."""
    room = [memoryview(bytearray(BLOCK_SIZE)) for _ in range(MEMORY // BLOCK_SIZE)]
    data = bytes(BLOCK_SIZE)
    for view in room:
        view[:] = data  # the first touch of a page is not the copy
    began = time.process_time()
    for at in range(blocks):
        room[at % len(room)][:] = data
    return time.process_time() - began


def feeding(blocks: int, peer_count: int) -> float:
    """CPU seconds of what ``one_run`` itself does for so many blocks."""
    data = bytes(BLOCK_SIZE)
    asked = [Block(0, index * BLOCK_SIZE, BLOCK_SIZE) for index in range(8)]
    queues = {object(): 4 * asked for _ in range(peer_count)}
    haves = array.array("I", range(peer_count))
    counted = turns = 0
    began = time.process_time()
    while counted < blocks:
        for queue in queues.values():
            batch = [(piece, begin, data) for piece, begin, _ in queue[:8]]
            del queue[:8]
            counted += len(batch)
            if len(queue) <= 24:
                queue += asked
            turns += 1
            if not turns % 8:
                for _, _ in zip(queues, haves, strict=True):
                    pass
    return time.process_time() - began


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks picking", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pieces", type=int, default=100_000, help="of 1 MiB, in the torrent (default 100000)")
    parser.add_argument("--peers", type=int, default=200, help="default 200")
    parser.add_argument("--fetch", type=int, default=3000, help="pieces to fetch (default 3000)")
    parser.add_argument("--runs", type=int, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="once, small: does it work?")
    args = parser.parse_args(arguments)
    if args.quick:
        args.pieces, args.peers, args.fetch, args.runs = 1000, 20, 50, 1
    picker, copies, loops = [], [], []
    for _ in range(args.runs):
        seconds, blocks = one_run(args.pieces, args.peers, args.fetch)
        copies.append(copying(blocks) / blocks * 1e6)
        loops.append(feeding(blocks, args.peers) / blocks * 1e6)
        picker.append(seconds / blocks * 1e6 - loops[-1])
    print(f"{args.pieces} pieces, {args.peers} peers, {args.fetch} pieces fetched, {args.fetch * args.peers} Haves")
    print(f"picker: {middle(picker):.2f} µs a block {spread(picker)}")
    print(f"of which 16 KiB copied: {middle(copies):.2f} µs {spread(copies)}")
    print(f"not counted, the loop around it: {middle(loops):.2f} µs {spread(loops)}")
