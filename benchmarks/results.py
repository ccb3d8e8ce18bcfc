"""All benchmarks one after the other: small, to see that none rots; or whole, into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import io
import os
import pathlib
import platform
import subprocess
import sys
import time

import torrentlite

from . import chart, summary

QUICK = ("transfer", "command", "start", "crowd", "cold", "slow", "swarm", "memory", "idle", "hashing", "picking",
         "codec", "aio")  # fmt: skip
"""Those that take ``--quick``."""

WHOLE = (
    ("Steady: 4 GiB, 1 MiB pieces, tmpfs", "transfer --size 4G"),
    ("A whole command", "command --runs 9"),
    ("Start-up", "start"),
    ("Small pieces: 1 GiB in pieces of 16 KiB", "transfer --size 1G --piece-size 16K"),
    ("Small files: 1 GiB in 10,000 of them", "transfer --size 1G --files 10000"),
    ("A torrent of v2: 1 GiB", "transfer --size 1G --version v2"),
    ("Over uTP: 256 MiB", "transfer --size 256M --utp"),
    ("Many connections", "crowd --peers 50 200 --fetchers 50"),
    ("Hashing", "hashing"),
    ("The picker", "picking"),
    ("The codec", "codec"),
    ("Idle torrents", "idle --runs 2"),
    ("Whole swarms, in real processes", "swarm --only real"),
    ("On a disk (ext4): 4 GiB fetched", "transfer --size 4G --folder /tmp"),
    ("A cold cache: 8 GiB seeded from it", "cold --size 8G --runs 3"),
    ("The slow path", "slow --runs 3"),
    ("Large pieces: 4 GiB in pieces of 16 MiB", "transfer --size 4G --piece-size 16M --runs 3"),
    ("Fewer connections, and more fetchers", "crowd --peers 1 10 --fetchers 1 10 200 --runs 3"),
    ("Whole swarms, simulated", "swarm --only simulated"),
    ("Memory", "memory --runs 2"),
)
"""Title and arguments of what docs/benchmarks.md holds; the last two need no quiet machine."""


def quickly() -> None:
    """Each once, small."""
    for name in QUICK:
        started = time.perf_counter()
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            importlib.import_module(f".{name}", __package__).main(["--quick"])
        if "|" not in shown.getvalue() and "µs" not in shown.getvalue():
            raise SystemExit(f"{name} printed no table")
        print(f"{name}: works ({time.perf_counter() - started:.1f} s)", flush=True)


def machine() -> str:
    """What the figures were taken on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    import libtorrent as lt
    import trio

    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Trio {trio.__version__}, libtorrent {lt.__version__}, "
        f"torrentlite {torrentlite.__version__}, {datetime.date.today()}; "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )


def everything(arguments: list[str]) -> None:
    """Run all of WHOLE, each in a process of its own, and write what they print, and a chart of it beside the page.

    With ``--only`` the parts that are measured take the place of those with the same title, or follow the others, and
    each says itself what it was taken on. All else on the page stays as it is.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks all", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=pathlib.Path, help="the page to write, e.g. docs/benchmarks.md")
    parser.add_argument("--only", default="", help="only titles that hold this")
    args = parser.parse_args(arguments)
    picture = args.file.parent / "images" / f"{args.file.stem}.svg"
    picture.parent.mkdir(exist_ok=True)
    before = args.file.read_text() if args.only and args.file.exists() else ""
    head = summary.head(before) or summary.HEAD.format(machine=machine(), chart=f"images/{picture.name}")
    parts = summary.parts(before)
    for title, words in WHOLE:
        if args.only.lower() not in title.lower():
            continue
        print(f"{title}: python -m benchmarks {words}", flush=True)
        command = [sys.executable, "-m", "benchmarks", *words.split()]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        said = done.stdout if not done.returncode else f"{done.stdout}\n(failed with {done.returncode})\n"
        print(said, flush=True)
        taken = f"Taken on: {machine()}.\n\n" if before else ""
        parts[title] = f"{taken}`python -m benchmarks {words}`\n\n{summary.spaced(said)}"
        page = summary.joined(head, parts)
        args.file.write_text(page)
        picture.write_text(chart.svg(page) or summary.EMPTY)
