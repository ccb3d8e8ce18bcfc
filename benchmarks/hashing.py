"""Making and verifying torrents of cached files: libtorrent and mktorrent beside it, and one core's SHA-1.

    python -m benchmarks hashing --size 1G

``times one core`` is over SHA-1 of memory in one thread, measured in the same round. What can be reached is measured
too: by a process for each core that only hashes memory (n cores need not be n times one: they may share what is behind
them), and by such processes that read their part of the file, with bare calls. Reading is a copy, which takes a quarter
of the time; a mapped file would need none, but whoever cuts it short then kills the process (SIGBUS).

What libtorrent verifies it is not told to be right, so it hashes it before it seeds. Who makes or verifies does so in a
process of its own; the start of that counts for the CPU and the memory, not for the time (but mktorrent's, which takes
milliseconds).
"""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from .material import MIB, Material, material, words
from .processes import running
from .roles import lt_session, usage
from .rounds import Result, interleaved, middle, ratio
from .sizes import size


def hash_bytes(total: int) -> float:
    """Hash so much of memory; seconds."""
    data = memoryview(os.urandom(MIB))
    started = time.perf_counter()
    for _ in range(total // MIB):
        hashlib.sha1(data).digest()
    return time.perf_counter() - started


def sha1(path: pathlib.Path, piece_size: int, torrent: pathlib.Path) -> float:
    """One core, from memory; like the others, seconds."""
    return hash_bytes(path.stat().st_size)


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
    hash_bytes(end - begin)


def hash_file(what: Material, begin: int, end: int) -> None:
    """Read and hash, with bare calls."""
    buffer = memoryview(bytearray(512 << 10))
    digest = hashlib.sha1()
    with (what.data / "file.bin").open("rb", buffering=0) as file:
        for at in range(begin, end, len(buffer)):
            digest.update(buffer[: os.preadv(file.fileno(), [buffer[: end - at]], at)])


def create(path: pathlib.Path, piece_size: int, torrent: pathlib.Path) -> float:
    """``torrentlite.create``."""
    import trio

    import torrentlite
    import torrentlite.storage.hashing  # else the call would do that

    started = time.perf_counter()
    trio.run(lambda: torrentlite.create(path, piece_length=piece_size))
    return time.perf_counter() - started


def verify(path: pathlib.Path, piece_size: int, torrent: pathlib.Path) -> float:
    """``torrentlite.verify``."""
    import trio

    import torrentlite

    metainfo = torrentlite.Metainfo.from_bytes(torrent.read_bytes())
    started = time.perf_counter()
    trio.run(torrentlite.verify, metainfo, path.parent)
    return time.perf_counter() - started


def lt_create(path: pathlib.Path, piece_size: int, torrent: pathlib.Path) -> float:
    """``libtorrent.set_piece_hashes``, v1 alone, as ours."""
    import libtorrent as lt

    started = time.perf_counter()
    made = lt.create_torrent(lt.list_files(str(path)), piece_size, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(path.parent))
    lt.bencode(made.generate())
    return time.perf_counter() - started


def lt_verify(path: pathlib.Path, piece_size: int, torrent: pathlib.Path) -> float:
    """A libtorrent session that is given the torrent, until it seeds; with a thread for each core to hash with."""
    import libtorrent as lt

    session = lt_session(False, hashing_threads=os.cpu_count() or 1)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(path.parent)
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    started = time.perf_counter()
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    while not handle.status().is_seeding:
        time.sleep(0.002)
    return time.perf_counter() - started


WORKS = {work.__name__: work for work in (sha1, create, lt_create, verify, lt_verify)}


def mktorrent(what: Material, piece_size: int) -> Result:
    """Debian's mktorrent, with as many threads as there are cores."""
    out = pathlib.Path(what.fresh()) / "mk.torrent"
    command = ["mktorrent", "-l", str(piece_size.bit_length() - 1), "-t", str(os.cpu_count()), "-o", str(out)]
    started = time.perf_counter()
    with subprocess.Popen([*command, str(what.data / "file.bin")], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("mktorrent failed")
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    args = words("hashing", __doc__, total="1G").parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("32M"), 1
    names = {
        "SHA-1, one core": "sha1",
        "torrentlite creates": "create",
        "libtorrent creates": "lt_create",
        "torrentlite verifies": "verify",
        "libtorrent verifies": "lt_verify",
    }
    with material(args.folder, args.size, args.piece_size) as what:
        place = (what.data / "file.bin", args.piece_size, what.torrent)
        rows = {row: functools.partial(running, "hashing", work, *place) for row, work in names.items()}
        rows["SHA-1, a process for each core"] = functools.partial(on_all_cores, hash_memory, args.size)
        work = functools.partial(hash_file, what)
        rows["reading and SHA-1, a process for each core"] = functools.partial(on_all_cores, work, args.size)
        if shutil.which("mktorrent"):
            rows["mktorrent creates"] = functools.partial(mktorrent, what, args.piece_size)
        results = interleaved(rows, args.runs)
    seconds = {row: [run["seconds"] for run in runs] for row, runs in results.items()}
    gib = args.size / (1 << 30)
    print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {os.cpu_count()} cores, {args.runs} rounds")
    print("| what | MiB/s | ratio to libtorrent (min–max) | times one core (min–max) | CPU s/GiB | peak MiB |")
    print("|---|---|---|---|---|---|")
    for row, times in seconds.items():
        theirs = seconds.get(f"libtorrent {row.split()[-1]}")
        cpu = [run["cpu"] for run in results[row] if "cpu" in run]
        peak = [run["memory_mib"] for run in results[row] if "memory_mib" in run]
        print(
            f"| {row} | {(args.size >> 20) / middle(times):.0f} | {ratio(theirs, times) if theirs else ''}"
            f" | {ratio(seconds['SHA-1, one core'], times)}"
            f" | {f'{middle(cpu) / gib:.2f}' if cpu else ''}"
            f" | {f'{middle(peak):.0f}' if peak else ''} |"
        )


if __name__ == "__main__":
    _work, _path, _piece_size, _torrent = sys.argv[1:]
    _seconds = WORKS[_work](pathlib.Path(_path), int(_piece_size), pathlib.Path(_torrent))
    print(json.dumps({"seconds": _seconds, **usage()}))
