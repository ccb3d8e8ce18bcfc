"""Peak memory of a fetcher: 4 GiB of 1 MiB pieces, and 20 GiB of 16 MiB pieces into a storage that keeps nothing.

    python -m benchmarks memory --size 4G --big 20G

The big torrent is all zeros and comes from a scripted seed; torrentlite alone fetches it, since libtorrent's Python
bindings have no such storage.
"""

from __future__ import annotations

import functools
import hashlib
import pathlib
import sys
from collections.abc import Sequence

import trio

import torrentlite
from torrentlite.metainfo.build import build_info, build_metainfo
from torrentlite.storage.storage import Buffer, Room, Storage

from .material import Material, material, words
from .processes import one_pair, running, serving
from .roles import Transfer
from .rounds import Result, interleaved, middle, spread
from .sizes import size

BIG_PIECE = 16 << 20


class Discarding(Storage):
    """Takes everything, keeps nothing, and says that it was zeros."""

    def __init__(self, info: object) -> None:
        pass

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """Nothing."""

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """Zeros."""
        for buffer in buffers:
            buffer[:] = bytes(len(buffer))


async def discard(torrent: bytes, port: int, peers: int) -> None:
    """Fetch into it."""
    settings = torrentlite.Settings(host="127.0.0.1", dht=False)
    async with torrentlite.open_session(settings) as session:
        transfer = Transfer()
        places = [(f"127.0.1.{number + 1}", port) for number in range(peers)]
        share = session.add(torrent, storage=Discarding, peers=places)
        await share.wait_complete()
        transfer.report()


def zeros(path: pathlib.Path, total: int, piece_length: int = BIG_PIECE) -> None:
    """A torrent of zeros."""
    pieces = hashlib.sha1(bytes(piece_length)).digest() * (total // piece_length)
    info = build_info("zeros.bin", [((), total // piece_length * piece_length)],
                      piece_length=piece_length, pieces=pieces)  # fmt: skip
    path.write_bytes(build_metainfo(info).encode())


def one_big(what: Material, peers: int) -> Result:
    """From so many connections."""
    with serving("scripted", "seed", what.root / "zeros.torrent", "zeros") as served:
        return running("memory", what.root / "zeros.torrent", served.ports[0], peers)


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("memory", __doc__, total="4G", runs=5)
    parser.add_argument("--big", type=size, default=size("20G"), help="bytes of zeros (default 20G)")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.big, args.runs = size("16M"), size("64M"), 1
    with material(args.folder, args.size, args.piece_size) as what:
        zeros(what.root / "zeros.torrent", args.big)
        small, big = f"{args.size >> 20} MiB of 1 MiB pieces", f"{args.big >> 20} MiB of 16 MiB pieces, discarded"
        rows = {
            f"libtorrent, {small}": functools.partial(one_pair, "tl", "lt", what),
            f"libtorrent, high-performance preset, {small}": functools.partial(one_pair, "tl", "lt-fast", what),
            f"torrentlite, {small}": functools.partial(one_pair, "tl", "tl", what),
            f"torrentlite, {big}": functools.partial(one_big, what, 1),
            f"torrentlite, {big}, 20 peers": functools.partial(one_big, what, 20),
        }
        results = interleaved(rows, args.runs)
    print("| what | peak MiB (min–max) | seconds |")
    print("|---|---|---|")
    for row, runs in results.items():
        peak = [run["memory_mib"] for run in runs]
        print(f"| {row} | {middle(peak):.0f} {spread(peak, 0)} | {middle([run['seconds'] for run in runs]):.1f} |")


if __name__ == "__main__":
    trio.run(discard, pathlib.Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3]))
