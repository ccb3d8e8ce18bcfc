"""Start-up: ``tl --version``, and ``tl fetch`` until its first line of progress.

    python -m benchmarks start

The fetch is of a torrent whose one peer sends nothing, so what is timed is process start, imports, session, reading
the .torrent, looking at the files and the first line on stderr.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from .material import Material, material, words
from .processes import environment
from .rounds import Result, interleaved, middle, spread

MODULE = [sys.executable, "-m", "torrentlite"]


def version() -> Result:
    """``tl --version``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run([*MODULE, "--version"], stdout=subprocess.DEVNULL, check=True, env=environment())
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def first_line(what: Material) -> Result:
    """``tl fetch`` until it says something about the transfer."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [*MODULE, "fetch", str(what.torrent), "-o", str(what.fresh()), "--json", "--peer", "127.0.0.1:1"]
    command += ["--listen", "127.0.0.1:0", "--state-dir", str(what.root / "state")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment())
    with process:
        assert process.stdout is not None
        seconds = -1.0
        for line in process.stdout:
            if '"progress"' in line:
                seconds = time.perf_counter() - started
                break
        process.kill()
    if seconds < 0:
        raise SystemExit("tl fetch said nothing of its progress")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    args = words("start", __doc__, runs=15).parse_args(arguments)
    if args.quick:
        args.runs = 1
    with material("/dev/shm", 1 << 20, 1 << 18) as what:
        version()
        first_line(what)
        rows = {"tl --version": version, "tl fetch, first progress": lambda: first_line(what)}
        results = interleaved(rows, args.runs)
    print("| what | ms (min–max) | CPU ms (min–max) |")
    print("|---|---|---|")
    for row, runs in results.items():
        wall, cpu = [run["seconds"] * 1e3 for run in runs], [run["cpu"] * 1e3 for run in runs]
        print(f"| {row} | {middle(wall):.0f} {spread(wall, 0)} | {middle(cpu):.0f} {spread(cpu, 0)} |")
