"""Many idle seeding torrents: memory and CPU for each, torrentlite and libtorrent.

    python -m benchmarks idle --torrents 1000

One process with so many complete torrents of one small file, no peers, no trackers. Memory is the growth of the
process (resident) by the torrents, CPU is of one core over ``--seconds`` after they were added.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import tempfile
import time

import trio

import torrentlite
from torrentlite.metainfo.build import build_info, build_metainfo

from .material import words
from .processes import running
from .roles import lt_session, usage
from .rounds import Result, interleaved, middle, spread

PIECE = 16 << 10
PIECES = 64


def resident() -> float:
    """KiB of memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4.0


def make(root: pathlib.Path, count: int) -> list[pathlib.Path]:
    """Sparse files of a megabyte and their torrents: as long as nobody reads them they are anything."""
    import hashlib

    paths = []
    digests = hashlib.sha1(bytes(PIECE)).digest() * PIECES
    for number in range(count):
        name = f"file{number:05}.bin"
        with (root / name).open("wb") as file:
            file.truncate(PIECE * PIECES)
        info = build_info(name, [((), PIECE * PIECES)], piece_length=PIECE, pieces=digests)
        path = root / f"{number:05}.torrent"
        path.write_bytes(build_metainfo(info).encode())
        paths.append(path)
    return paths


async def ours(root: pathlib.Path, shared: list[bytes], seconds: float) -> Result:
    """torrentlite."""
    async with torrentlite.open_session(torrentlite.Settings(host="127.0.0.1", dht=False)) as session:
        await trio.sleep(0.1)
        before = resident()
        torrents = [session.add(each, root) for each in shared]
        for share in torrents:
            await share.wait_complete()
        await trio.sleep(1)
        grown = resident() - before
        cpu, started = usage()["cpu"], time.perf_counter()
        await trio.sleep(seconds)
        busy = (usage()["cpu"] - cpu) / (time.perf_counter() - started)
    return {"kib": grown / len(torrents), "percent": busy * 100}


def theirs(root: pathlib.Path, seconds: float) -> Result:
    """libtorrent, which is told that the files are right."""
    import libtorrent as lt

    session = lt_session(False, active_seeds=-1, active_limit=-1)
    before = resident()
    handles = []
    for path in sorted(root.glob("*.torrent")):
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(str(path))
        params.save_path = str(root)
        params.flags |= lt.torrent_flags.seed_mode
        handles.append(session.add_torrent(params))  # type: ignore[attr-defined]
    while not all(handle.status().is_seeding for handle in handles):
        time.sleep(0.1)
    time.sleep(1)
    grown = resident() - before
    cpu, started = usage()["cpu"], time.perf_counter()
    time.sleep(seconds)
    share = (usage()["cpu"] - cpu) / (time.perf_counter() - started)
    return {"kib": grown / len(handles), "percent": share * 100}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("idle", __doc__, runs=5)
    parser.add_argument("--torrents", type=int, default=1000, help="default 1000")
    parser.add_argument("--seconds", type=float, default=20.0, help="of doing nothing (default 20)")
    args = parser.parse_args(arguments)
    if args.quick:
        args.torrents, args.seconds, args.runs = 20, 1.0, 1
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="torrentlite-") as folder:
        make(pathlib.Path(folder), args.torrents)
        rows = {who: functools.partial(running, "idle", who, folder, args.seconds) for who in ("lt", "tl")}
        results = interleaved(rows, args.runs)
    print(f"{args.torrents} seeding torrents of {PIECES} pieces, {args.runs} rounds")
    print("| who | KiB each (min–max) | % of a core (min–max) |")
    print("|---|---|---|")
    for row, runs in results.items():
        kib, percent = [run["kib"] for run in runs], [run["percent"] for run in runs]
        print(f"| {row} | {middle(kib):.0f} {spread(kib, 0)} | {middle(percent):.2f} {spread(percent)} |")


if __name__ == "__main__":
    _root, _seconds = pathlib.Path(sys.argv[2]), float(sys.argv[3])
    _shared = [path.read_bytes() for path in sorted(_root.glob("*.torrent"))]
    print(json.dumps(trio.run(ours, _root, _shared, _seconds) if sys.argv[1] == "tl" else theirs(_root, _seconds)))
