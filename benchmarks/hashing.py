"""Making and verifying torrents of cached files: over one core's SHA-1, and mktorrent beside it.

    python -m benchmarks hashing --size 1G

``times one core`` is over SHA-1 of memory in one thread, measured in the same round. What can be reached is measured
too: by a process for each core that only hashes memory (n cores need not be n times one: they may share what is behind
them), and by such processes that read their part of the file, with bare calls. Reading is a copy, which takes a quarter
of the time; a mapped file would need none, but whoever cuts it short then kills the process (SIGBUS).
"""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable

import trio

import torrentlite

from .material import MIB, Material, material, words
from .rounds import Result, interleaved, middle, ratio
from .sizes import size


def sha1(total: int) -> Result:
    """One core, from memory."""
    data = memoryview(os.urandom(MIB))
    started = time.perf_counter()
    for _ in range(total // MIB):
        hashlib.sha1(data).digest()
    return {"seconds": time.perf_counter() - started}


def on_all_cores(work: Callable[[int, int], None], total: int) -> Result:
    """``work(begin, end)`` of a part of the bytes in a process for each core, from when all of them are there."""
    context, count = multiprocessing.get_context("fork"), os.cpu_count() or 1
    ready = context.Barrier(count + 1)

    def run(begin: int, end: int) -> None:
        ready.wait()
        work(begin, end)

    share = total // count // MIB * MIB
    parts = [(n * share, total if n == count - 1 else (n + 1) * share) for n in range(count)]
    processes = [context.Process(target=run, args=part) for part in parts]
    for process in processes:
        process.start()
    ready.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process failed")
    return {"seconds": time.perf_counter() - started}


def hash_memory(begin: int, end: int) -> None:
    """As ``sha1``."""
    sha1(end - begin)


def hash_file(what: Material, begin: int, end: int) -> None:
    """Read and hash, with bare calls."""
    buffer = memoryview(bytearray(512 << 10))
    digest = hashlib.sha1()
    with (what.data / "file.bin").open("rb", buffering=0) as file:
        for at in range(begin, end, len(buffer)):
            digest.update(buffer[: os.preadv(file.fileno(), [buffer[: end - at]], at)])


def create(what: Material, piece_size: int) -> Result:
    """``torrentlite.create``."""
    started = time.perf_counter()
    trio.run(lambda: torrentlite.create(what.data / "file.bin", piece_length=piece_size))
    return {"seconds": time.perf_counter() - started}


def verify(what: Material) -> Result:
    """``torrentlite.verify``."""
    metainfo = torrentlite.Metainfo.from_bytes(what.torrent.read_bytes())
    started = time.perf_counter()
    trio.run(torrentlite.verify, metainfo, what.data)
    return {"seconds": time.perf_counter() - started}


def mktorrent(what: Material, piece_size: int) -> Result:
    """Debian's mktorrent, with as many threads as there are cores."""
    out = pathlib.Path(what.fresh()) / "mk.torrent"
    command = ["mktorrent", "-l", str(piece_size.bit_length() - 1), "-t", str(os.cpu_count()), "-o", str(out)]
    started = time.perf_counter()
    subprocess.run([*command, str(what.data / "file.bin")], check=True, stdout=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - started}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    args = words("hashing", __doc__, total="1G").parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("32M"), 1
    with material(args.folder, args.size, args.piece_size) as what:
        rows = {
            "SHA-1, one core": functools.partial(sha1, args.size),
            "SHA-1, a process for each core": functools.partial(on_all_cores, hash_memory, args.size),
            "reading and SHA-1, a process for each core": functools.partial(
                on_all_cores, functools.partial(hash_file, what), args.size
            ),
            "create": functools.partial(create, what, args.piece_size),
            "verify": functools.partial(verify, what),
        }
        if shutil.which("mktorrent"):
            rows["mktorrent"] = functools.partial(mktorrent, what, args.piece_size)
        results = interleaved(rows, args.runs)
    seconds = {row: [run["seconds"] for run in runs] for row, runs in results.items()}
    print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {os.cpu_count()} cores, {args.runs} rounds")
    print("| what | MiB/s | times one core (min–max) | over mktorrent |")
    print("|---|---|---|---|")
    for row, times in seconds.items():
        over = ratio(seconds["mktorrent"], times) if "mktorrent" in seconds else "not installed"
        print(
            f"| {row} | {(args.size >> 20) / middle(times):.0f} | {ratio(seconds['SHA-1, one core'], times)} | {over} |"
        )
