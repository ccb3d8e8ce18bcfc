"""What asyncio costs: the same fetch on plain Trio, in asyncio and in uvloop, in one interleaved run.

    python -m benchmarks aio --size 1G --runs 5

Each round fetches with every kind of loop from every number of seeds, from fresh processes; the ratio is to plain Trio
in the same round. All seeds of one fetch live in one other process, so that two cores are enough.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

import trio

import torrentlite

from .sizes import size

LOOPS = ("trio", "asyncio", "uvloop")


def one_run(loop: str, seeds: int, torrent: pathlib.Path, data: pathlib.Path, out: pathlib.Path) -> dict[str, float]:
    """One transfer between two fresh processes."""
    command = [sys.executable, "-m", "benchmarks.roles"]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with subprocess.Popen(
        [*command, "tl", "seed", str(torrent), str(data), str(seeds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as seeding:  # fmt: skip
        assert seeding.stdin is not None
        assert seeding.stdout is not None
        ports = seeding.stdout.readline().split()
        done = subprocess.run(
            [*command, loop, "fetch", str(torrent), str(out), *ports], stdout=subprocess.PIPE, text=True, check=True
        )
        seeding.stdin.close()
    return dict(json.loads(done.stdout))


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks aio", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=size, default=size("512M"), help="bytes of the file (default 512M)")
    parser.add_argument("--piece-size", type=size, default=size("1M"), help="default 1M")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 8], help="numbers of seeds (default 1 8)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--folder", default="/dev/shm", help="where the data goes (default: tmpfs)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root = pathlib.Path(folder)
        data = root / "data"
        data.mkdir()
        rng = random.Random(1)
        with (data / "file.bin").open("wb") as file:
            for _ in range(args.size >> 20):
                file.write(rng.randbytes(1 << 20))
        metainfo = trio.run(lambda: torrentlite.create(data / "file.bin", piece_length=args.piece_size))
        torrent = root / "file.torrent"
        torrent.write_bytes(metainfo.encode())
        cases = [(seeds, loop) for seeds in args.seeds for loop in LOOPS]
        results: dict[tuple[int, str], list[dict[str, float]]] = {case: [] for case in cases}
        for _ in range(args.runs):
            for seeds, loop in cases:
                results[seeds, loop].append(one_run(loop, seeds, torrent, data, root / "out"))
        print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds")
        print("seeds  loop       MiB/s   ratio (min–max)      CPU s/GiB of the fetcher")
        for (seeds, loop), runs in results.items():
            seconds = [run["seconds"] for run in runs]
            base = [run["seconds"] for run in results[seeds, "trio"]]
            ratios = [one / other for one, other in zip(base, seconds, strict=True)]
            print(
                f"{seeds:>5}  {loop:<8} {(args.size >> 20) / statistics.median(seconds):7.0f}"
                f"   {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
                f"   {statistics.median(run['cpu'] for run in runs) / (args.size / (1 << 30)):12.2f}"
            )
