"""What the dashboard costs: CPU of a frame, CPU of a run that shows it, and whether a transfer gets slower.

    python -m benchmarks dash [--size 1G] [--runs 5]

The share of a core is that of two frames a second. Transfers are real ``tl`` processes over loopback, the terminal a
pty that is read as it comes; each round runs every way once.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import pty
import random
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator

import trio

import torrentlite
from torrentlite.cli.progress import look
from torrentlite.stats import FileStats, PeerStats, PieceStats, Reason, State, TorrentStats, TrackerStats, Why
from torrentlite.tui.choices import Choices
from torrentlite.tui.paint import paint
from torrentlite.tui.snapshot import Detail, Shown, Snapshot
from torrentlite.tui.views import view

from .sizes import size

SIZES = ((80, 24), (120, 40), (200, 60))
FRAMES_A_SECOND = 2
WAYS: dict[str, tuple[str, ...]] = {"-q": ("-q",), "inline": (), "--dash": ("--dash",)}


def busy_snapshot(peers: int, pieces: int, seed: int) -> Snapshot:
    """A download with everything that a frame can show, a bit different for each seed."""
    rng = random.Random(seed)
    have = rng.getrandbits(pieces)
    done = have.bit_count() << 20
    stats = TorrentStats(
        info_hash="aa" * 20, name="debian-13.1.0-amd64-DVD-1.iso", state=State.DOWNLOADING, error="",
        total=pieces << 20, done=done, left=(pieces << 20) - done, pieces=pieces, pieces_done=have.bit_count(),
        downloaded=1 << 30, uploaded=1 << 28, wasted=0, hash_failures=0, down_rate=5e7, up_rate=2e6, peers=peers,
        seeds=3, half_open=2, known_peers=200, distributed_copies=3.4, checked=0, check_total=0, metadata_done=0,
        metadata_total=0, private=False, added_at=0.0,
    )  # fmt: skip
    rows = tuple(
        PeerStats(
            host=f"203.0.113.{number}", port=rng.randrange(1024, 65536), client="qBittorrent/5.1.2", incoming=False,
            source="tracker", progress=rng.random(), down_rate=rng.random() * 5e6, up_rate=rng.random() * 5e5,
            downloaded=0, uploaded=0, queue=rng.randrange(60), queue_target=60, upload_queue=0, am_choking=False,
            am_interested=True, peer_choking=False, peer_interested=True, snubbed=False, connected_for=60.0,
        )
        for number in range(peers)
    )  # fmt: skip
    counts = tuple(rng.randrange(1, 9) for _ in range(pieces))
    detail = Detail(
        rows,
        tuple(FileStats(f"folder/{number:03}.bin", 1 << 20, number << 14, True) for number in range(60)),
        PieceStats(pieces, have, 0, 0, (1 << pieces) - 1, counts),
        (TrackerStats("udp://tracker.example:6969/announce", 0, "ok", "", 38, 12, 26, 1440.0, 0),) * 5,
    )
    rates = tuple(rng.random() * 5e7 for _ in range(240))
    shown = Shown(look(stats, Why(Reason.FINE, "downloading from 9 peers")), stats, rates, rates, 95.0)
    return Snapshot((shown,), detail, None, tuple(f"12:00:00 line {number}" for number in range(200)), "tl fetch")


def measure_frames() -> None:
    """The CPU time of drawing a frame in which everything has changed."""
    print("frame       peers  pieces     ms of CPU   % of a core at 2 Hz   KiB")
    for (width, height), peers in zip(SIZES, (20, 20, 40), strict=True):
        for pieces in (2_000, 100_000):
            snapshots = [busy_snapshot(peers, pieces, seed) for seed in range(10)]
            costs, sizes = [], []
            for snapshot in snapshots * 3:
                before = time.thread_time()
                frame = paint(view(snapshot, Choices(), width, height).lines, width, colour=True)
                costs.append(time.thread_time() - before)
                sizes.append(sum(map(len, frame.rows)))
            cost = statistics.median(costs)
            share = cost * FRAMES_A_SECOND * 100
            print(
                f"{width:>3}x{height:<3} {peers:>9} {pieces:>8,} {cost * 1000:10.2f} {share:16.2f}"
                f"{statistics.median(sizes) / 1024:14.1f}"
            )


@contextlib.contextmanager
def terminal(width: int, height: int) -> Iterator[int]:
    """A terminal that somebody reads."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield slave
    finally:
        os.close(slave)
        reader.join()
        os.close(master)


@dataclasses.dataclass
class Run:
    """One fetch."""

    seconds: float
    cpu: float


def fetch(torrent: pathlib.Path, port: str, out: pathlib.Path, state: pathlib.Path, *flags: str) -> Run:
    """One ``tl fetch`` on a terminal of 120x40."""
    words = ["fetch", str(torrent), "-o", str(out), "--peer", f"127.0.0.1:{port}", "--listen", "127.0.0.1:0"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with terminal(120, 40) as slave:
        subprocess.run(
            [sys.executable, "-m", "torrentlite", *words, "--no-dht", "--state-dir", str(state), *flags],
            stdin=slave, stdout=slave, stderr=slave, check=True, env=os.environ | {"TERM": "xterm-256color"},
        )  # fmt: skip
        seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for path in out.iterdir():
        path.unlink()
    return Run(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure_transfers(length: int, runs: int, folder: pathlib.Path) -> None:
    """Fetches with and without a dashboard: as fast as it goes, and at a rate at which only the drawing differs."""
    data, out = folder / "data", folder / "out"
    data.mkdir()
    out.mkdir()
    rng = random.Random(1)
    with (data / "file.bin").open("wb") as file:
        for _ in range(length >> 20):
            file.write(rng.randbytes(1 << 20))
    metainfo = trio.run(lambda: torrentlite.create(data / "file.bin", piece_length=1 << 20))
    torrent = folder / "file.torrent"
    torrent.write_bytes(metainfo.encode())
    rate = max(1, length >> 20) // 20  # 20 seconds
    results: dict[tuple[str, str], list[Run]] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.roles", "tl", "seed", str(torrent), str(data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as seed:  # fmt: skip
        assert seed.stdin is not None
        assert seed.stdout is not None
        port = seed.stdout.readline().strip()
        for number in range(runs):
            for way, flags in WAYS.items():
                state = folder / f"state-{number}-{way.strip('-')}"
                results.setdefault(("unlimited", way), []).append(fetch(torrent, port, out, state, *flags))
        for way, flags in WAYS.items():
            limit = ("-d", f"{rate}M")
            state = folder / f"state-{way.strip('-')}-limited"
            results.setdefault((f"{rate} MiB/s", way), []).append(fetch(torrent, port, out, state, *limit, *flags))
        seed.stdin.close()
        seed.stdout.read()  # what it has used
    print(
        f"\ntl fetch, {length >> 20} MiB, a terminal of 120x40   seconds (min–max)     CPU seconds   "
        "% of a core more than -q"
    )
    for (how, way), done in results.items():
        seconds, cpu = [run.seconds for run in done], statistics.median(run.cpu for run in done)
        base = statistics.median(run.cpu for run in results[how, "-q"])
        more = (cpu - base) / statistics.median(seconds) * 100
        print(
            f"{how:>12} {way:<10} {statistics.median(seconds):24.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
            f"{cpu:14.2f} {more:20.1f}"
        )


def main(argv: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dash", description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=size, default=size("512M"), help="bytes of the file (default 512M)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--folder", default="/dev/shm", help="where the data goes (default: tmpfs)")
    args = parser.parse_args(argv)
    measure_frames()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        measure_transfers(args.size, args.runs, pathlib.Path(folder))
