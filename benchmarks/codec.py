"""The wire codec and the bencoder by themselves: CPU time, no sockets.

python -m benchmarks codec
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any

from torrentlite import bencode
from torrentlite.wire import messages as wm
from torrentlite.wire.peerwire import PeerWire

from .material import words
from .rounds import Result, interleaved, middle, ratio, spread

BLOCK = 16 << 10


def timed(work: Callable[[], object], count: int) -> float:
    """Microseconds of CPU for each of ``count`` in ``work``."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / count * 1e6


def parse(stream: bytes, least: int = 256 << 10) -> None:
    """All messages of a stream, received as it comes from a fast connection."""
    wire = PeerWire(fast=True, extended=True, piece_count=1 << 20)
    at = 0
    while at < len(stream):
        room = wire.free()
        take = min(len(room), least, len(stream) - at)
        room[:take] = stream[at : at + take]
        wire.received(take)
        at += take


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    args = words("codec", __doc__, runs=9).parse_args(arguments)
    scale = 1 if args.quick else 20
    args.runs = 1 if args.quick else args.runs
    rng = random.Random(1)
    blocks = [(rng.randrange(1 << 20), rng.randrange(64) * BLOCK, BLOCK) for _ in range(1000)]
    block = rng.randbytes(BLOCK)
    pieces = b"".join(wm.piece_header(*each) + block for each in blocks)
    requests = wm.encode_requests(blocks)
    haves = wm.encode_haves([piece for piece, _, _ in blocks])
    answer = bencode.encode(
        {b"t": b"aa", b"y": b"r", b"v": b"TL01", b"r": {b"id": bytes(20), b"token": bytes(8), b"nodes": bytes(208)}}
    )
    import libtorrent as lt

    query: Any = bencode.decode(answer)
    many = range(1000)
    rows: dict[str, tuple[Callable[[], object], int]] = {
        "parse a block (with one copy into the buffer)": (lambda: parse(pieces), 1000),
        "parse a request": (lambda: parse(requests), 1000),
        "parse a Have": (lambda: parse(haves), 1000),
        "encode a request": (lambda: wm.encode_requests(blocks), 1000),
        "header of a block": (lambda: [wm.piece_header(*each) for each in blocks], 1000),
        "torrentlite decodes a DHT answer": (lambda: [bencode.decode(answer) for _ in many], 1000),
        "libtorrent decodes": (lambda: [lt.bdecode(answer) for _ in many], 1000),
        "torrentlite encodes a DHT answer": (lambda: [bencode.encode(query) for _ in many], 1000),
        "libtorrent encodes": (lambda: [lt.bencode(query) for _ in many], 1000),
    }

    def run(work: Callable[[], object], count: int) -> Result:
        return {"us": timed(lambda: [work() for _ in range(scale)], count * scale)}

    results = interleaved({row: functools.partial(run, *what) for row, what in rows.items()}, args.runs)
    times = {row: [one["us"] for one in runs] for row, runs in results.items()}
    print("| what | µs (min–max) | ratio to libtorrent (min–max) |")
    print("|---|---|---|")
    for row, took in times.items():
        theirs = times.get(f"libtorrent {row.split()[1]}")
        print(f"| {row} | {middle(took):.2f} {spread(took)} | {ratio(theirs, took) if theirs else ''} |")
