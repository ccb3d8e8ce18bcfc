"""Fetch and seed over loopback, torrentlite and libtorrent in one interleaved run.

    python -m benchmarks transfer --size 1G --runs 5

Each round runs every pair (seed, fetcher) once, so a machine that speeds up or slows down does so for all; the table
gives medians, and ratios to libtorrent → libtorrent round by round.
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

PAIRS = (("lt", "lt"), ("lt", "tl"), ("tl", "lt"), ("tl", "tl"))


def one_run(seed: str, fetcher: str, torrent: pathlib.Path, data: pathlib.Path, out: pathlib.Path) -> dict[str, float]:
    """One transfer between two fresh processes."""
    command = [sys.executable, "-m", "benchmarks.roles"]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with subprocess.Popen(
        [*command, seed, "seed", str(torrent), str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as seeding:
        assert seeding.stdin is not None
        assert seeding.stdout is not None
        port = seeding.stdout.readline().strip()
        done = subprocess.run(
            [*command, fetcher, "fetch", str(torrent), str(out), port], stdout=subprocess.PIPE, text=True, check=True
        )
        seeding.stdin.close()
    return dict(json.loads(done.stdout))


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks transfer", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=size, default=size("256M"), help="bytes of the file (default 256M)")
    parser.add_argument("--piece-size", type=size, default=size("1M"), help="default 1M")
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
        results: dict[tuple[str, str], list[dict[str, float]]] = {pair: [] for pair in PAIRS}
        for _ in range(args.runs):
            for pair in PAIRS:
                results[pair].append(one_run(*pair, torrent, data, root / "out"))
        base = [run["seconds"] for run in results["lt", "lt"]]
        print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds")
        print("seed → fetcher    MiB/s   ratio (min–max)      CPU s/GiB of the fetcher   peak MiB")
        for (seed, fetcher), runs in results.items():
            seconds = [run["seconds"] for run in runs]
            ratios = [one / other for one, other in zip(base, seconds, strict=True)]
            print(
                f"{seed:>4} → {fetcher:<8} {(args.size >> 20) / statistics.median(seconds):8.0f}"
                f"   {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
                f"   {statistics.median(run['cpu'] for run in runs) / (args.size / (1 << 30)):12.2f}"
                f"   {statistics.median(run['memory_mib'] for run in runs):18.0f}"
            )
