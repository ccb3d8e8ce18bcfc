"""Reading from a share while it downloads: seeks, columns of a table, something large through a small cache.

``python -m benchmarks reading [seeks|deadlines|table|cache]``; without a word all of them. Sizes as in docs/reading.md;
``--small`` for a quick look.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

PIECE = 256 << 10
READ = 64 << 10
RATE = 10 << 20
ROUND_TRIP = 0.05


def main(arguments: list[str]) -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks reading", description=__doc__)
    parser.add_argument("what", nargs="*", default=["seeks", "deadlines", "table", "cache"])
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args(arguments)
    for each in chosen.what:
        print()
        globals()[each](1 << 26 if chosen.small else 1 << 30)


def row(name: str, times: list[float], fetched: int, touched: int) -> None:
    """A row of a table of seeks."""
    ordered = sorted(times)
    shown = [ordered[0], statistics.median(ordered), ordered[int(0.95 * len(ordered))], ordered[-1]]
    cells = " | ".join(f"{1000 * each:.0f}" for each in shown)
    print(f"| {name} | {len(times)} | {cells} | {fetched / (1 << 20):.0f} | {fetched / (touched or 1):.2f} |")


def head(what: str) -> None:
    """Its head."""
    print(f"| {what} | seeks | ms: least | median | 95 % | most | MiB fetched | of the pieces touched |")
    print("|---|---|---|---|---|---|---|---|")


# -- seeks over a simulated line --------------------------------------------------------------------------------------


def seeks(size: int) -> None:
    """Time to the first byte after a seek, over 50 ms and 10 MiB/s."""
    import trio

    from torrentlite import open_session
    from torrentlite.metainfo.build import build_info, build_metainfo
    from torrentlite.testing import SimulatedWorld, run_simulation

    bound = 3 * ROUND_TRIP + PIECE / RATE
    print(
        f"{size >> 20} MiB, pieces of 256 KiB, 100 places of 64 KiB; {RATE >> 20} MiB/s, {1000 * ROUND_TRIP:.0f} ms;",
        end=" ",
    )
    print(f"three round trips and a piece are {1000 * bound:.0f} ms\n")
    head("simulated")

    data = b"".join(random.Random(number).randbytes(1 << 24) for number in range(size >> 24))
    hashes = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, size, PIECE))
    metainfo = build_metainfo(build_info("data.bin", [((), size)], piece_length=PIECE, pieces=hashes))

    async def run(world: SimulatedWorld, name: str, select: list[int] | None, seeds: int, pause: float) -> None:
        machines = [world.host(up=RATE / seeds, latency=ROUND_TRIP / 4) for _ in range(seeds)]
        machine = world.host(latency=ROUND_TRIP / 4)
        rng = random.Random(1)
        times: list[float] = []
        touched: set[int] = set()
        async with trio.open_nursery() as nursery:
            addresses = []

            async def share(each: Any, task_status: Any) -> None:
                each.put(metainfo.info, data)
                async with open_session(world=each) as session:
                    await session.add(metainfo).wait_complete()
                    task_status.started((each.network.ip, session.port))
                    await trio.sleep_forever()

            for each in machines:
                addresses.append(await nursery.start(lambda task_status, each=each: share(each, task_status)))
            async with open_session(world=machine) as session:
                torrent = session.add(metainfo, select=select, peers=addresses)
                await trio.sleep(4)
                async with torrent.open() as file:
                    for _ in range(100):
                        at = rng.randrange(size - READ)
                        pieces = range(at // PIECE, (at + READ - 1) // PIECE + 1)
                        here = all(torrent.pieces().have >> piece & 1 for piece in pieces)
                        touched.update(pieces)
                        file.seek(at)
                        began = trio.current_time()
                        first = await file.receive_some(1)
                        if not here:
                            times.append(trio.current_time() - began)
                        assert first + await file.read(READ - 1) == data[at : at + READ]
                        await trio.sleep(pause)
                fetched = torrent.stats().downloaded
            nursery.cancel_scope.cancel()
        row(name, times, fetched, len(touched) * PIECE)

    for name, select, seeds, pause in (
        ("only what is read", [], 1, 0.0),
        ("only what is read, 4 seeds of 2.5 MiB/s", [], 4, 0.0),
        ("all of it meanwhile: queues of 8 MiB", None, 1, 0.1),
        ("all of it meanwhile, 4 seeds of 2.5 MiB/s", None, 4, 0.1),
    ):
        run_simulation(lambda world, *how: run(world, *how), name, select, seeds, pause, seed=7)


# -- beside libtorrent's piece deadlines, over loopback ---------------------------------------------------------------


def deadlines(size: int) -> None:
    """The same over loopback, from one seed that gives 10 MiB/s, and libtorrent with piece deadlines beside it."""
    size //= 4
    with tempfile.TemporaryDirectory(prefix="tl-reading-") as name:
        folder = pathlib.Path(name)
        torrent = share_file(folder, size)
        print(f"{size >> 20} MiB over loopback from one seed with a limit of 10 MiB/s, 40 places\n")
        head("loopback")
        names = {"tl": "torrentlite", "lt": "libtorrent"}
        for seeding in ("tl", "lt"):
            for busy in ("busy", ""):
                for who in ("tl", "lt"):
                    # A seed of its own for each: rate limits have a memory.
                    with role("seed", seeding, torrent, str(folder)) as seed:
                        into = folder / f"{seeding}{who}{busy}"
                        found = seed.result("read", who, torrent, str(into), seed.line(), busy)
                    how = "all of it meanwhile" if busy else "only what is read"
                    row(f"{names[who]} from {names[seeding]}, {how}", **found)


class role:  # noqa: N801  (reads as a with statement of a function)
    """A process of this module."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __enter__(self) -> role:
        command = [sys.executable, "-m", "benchmarks.reading", *self._words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def line(self) -> str:
        """What it says first."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    @staticmethod
    def result(*words: str) -> dict[str, Any]:
        """Run another to its end."""
        command = [sys.executable, "-m", "benchmarks.reading", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(done.stdout))

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


def share_file(folder: pathlib.Path, size: int) -> str:
    """Write a file of random bytes, and a .torrent of it; returns the path of that."""
    import trio

    import torrentlite

    with (folder / "data.bin").open("wb") as file:
        for number in range(size >> 20):
            file.write(random.Random(number).randbytes(1 << 20))
    metainfo = trio.run(lambda: torrentlite.create(folder / "data.bin", piece_length=PIECE))
    (folder / "data.torrent").write_bytes(metainfo.encode())
    return str(folder / "data.torrent")


def lt_session(**settings: Any) -> Any:
    import libtorrent

    alone = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False}
    alone |= {"enable_outgoing_utp": False, "enable_incoming_utp": False}
    # Else a torrent of which nothing is wanted for a moment sends its seeds away, and they it.
    alone |= {"close_redundant_connections": False}
    wanted = {"listen_interfaces": "127.0.0.1:0", "alert_mask": libtorrent.alert.category_t.all_categories, **alone}
    return libtorrent.session({**wanted, **settings})  # type: ignore[call-overload]


def lt_add(session: Any, torrent: str, folder: str) -> Any:
    import libtorrent

    params = libtorrent.add_torrent_params()
    params.ti, params.save_path = libtorrent.torrent_info(torrent), folder
    params.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    return session.add_torrent(params)


def run_seed(torrent: str, folder: str, limit: int = RATE) -> None:

    session = lt_session(upload_rate_limit=limit, allow_multiple_connections_per_ip=True)
    handle = lt_add(session, torrent, folder)
    handle.set_upload_limit(limit)  # limits of the session do not hold for local peers
    while not handle.status().is_seeding:
        time.sleep(0.05)
    print(session.listen_port(), flush=True)
    sys.stdin.read()


async def run_own_seed(torrent: str, folder: str) -> None:
    import trio

    import torrentlite as tl

    settings = tl.Settings(host="127.0.0.1", dht=False, lsd=False, port_map=False, upload_limit=RATE)
    async with tl.open_session(settings) as session:
        await session.add(await tl.load(torrent), folder).wait_complete()
        print(session.port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


def places(size: int) -> list[int]:
    rng = random.Random(3)
    return [rng.randrange(size - READ) for _ in range(40)]


async def tl_read(torrent: str, folder: str, port: int, busy: bool) -> dict[str, Any]:
    import trio

    import torrentlite as tl

    times: list[float] = []
    touched: set[int] = set()
    async with tl.open_session(tl.Settings(host="127.0.0.1", dht=False, lsd=False, port_map=False)) as session:
        share = session.add(await tl.load(torrent), folder, select=None if busy else [], peers=[("127.0.0.1", port)])
        await share.wait_checked()
        await trio.sleep(4)
        async with share.open() as file:
            for at in places(file.size):
                pieces = range(at // PIECE, (at + READ - 1) // PIECE + 1)
                here = all(share.pieces().have >> piece & 1 for piece in pieces)
                touched.update(pieces)
                file.seek(at)
                began = time.perf_counter()
                await file.receive_some(1)
                if not here:
                    times.append(time.perf_counter() - began)
                await file.read(READ - 1)
                await trio.sleep(0.1)
        return {"times": times, "fetched": share.stats().downloaded, "touched": len(touched) * PIECE}


def lt_read(torrent: str, folder: str, port: int, busy: bool) -> dict[str, Any]:
    import libtorrent

    session = lt_session()
    info = libtorrent.torrent_info(torrent)
    handle = lt_add(session, torrent, folder)
    while handle.status().state == libtorrent.torrent_status.checking_files:
        time.sleep(0.01)
    if not busy:
        handle.prioritize_pieces([0] * info.num_pieces())
    handle.connect_peer(("127.0.0.1", port))
    time.sleep(4)
    times: list[float] = []
    touched: set[int] = set()
    for at in places(info.total_size()):
        pieces = range(at // PIECE, (at + READ - 1) // PIECE + 1)
        here = all(handle.have_piece(piece) for piece in pieces)
        touched.update(pieces)
        began = time.perf_counter()
        handle.clear_piece_deadlines()
        for number, piece in enumerate(pieces):
            if not handle.have_piece(piece):
                handle.piece_priority(piece, 7)
                handle.set_piece_deadline(piece, 10 * number)
        first = None
        while not all(handle.have_piece(piece) for piece in pieces) and time.perf_counter() - began < 3:
            if first is None and handle.have_piece(pieces[0]):
                first = time.perf_counter() - began
            time.sleep(0.0005)
        if not here:
            times.append(first or time.perf_counter() - began)
        time.sleep(0.1)
    fetched = handle.status().total_payload_download
    return {"times": times, "fetched": fetched, "touched": len(touched) * PIECE}


# -- a table, by its columns ------------------------------------------------------------------------------------------


def table(size: int) -> None:
    """A Parquet file of 200 MiB through fsspec: what is fetched of it, and a ZIP likewise."""
    import zipfile

    import fsspec
    import numpy
    import pandas
    import pyarrow
    import pyarrow.parquet

    from torrentlite import blocking as tl
    from torrentlite.filesystem import TorrentFileSystem

    fsspec.register_implementation("torrent", TorrentFileSystem, clobber=True)
    rows = 2_500_000 * size // (1 << 30)
    alone: dict[str, Any] = {"host": "127.0.0.1", "dht": False, "lsd": False, "port_map": False}
    with tempfile.TemporaryDirectory(prefix="tl-reading-") as name:
        folder = pathlib.Path(name) / "set"
        folder.mkdir()
        rng = numpy.random.default_rng(1)
        columns = {f"c{number}": rng.integers(0, 1 << 62, rows) for number in range(10)}
        columns["day"] = numpy.arange(rows) * 365 // rows
        pyarrow.parquet.write_table(
            pyarrow.table(columns),
            folder / "t.parquet",
            row_group_size=max(1, rows // 25),
            compression="none",
            use_dictionary=False,
        )
        with zipfile.ZipFile(folder / "z.zip", "w") as archive:
            for number in range(1000):
                archive.writestr(f"part{number}.bin", rng.bytes(max(1, size // 10_000)))
        metainfo = tl.create(folder, piece_length=PIECE)
        (folder.parent / "set.torrent").write_bytes(metainfo.encode())
        with tl.open_session(tl.Settings(**alone)) as session:
            session.add(metainfo, folder.parent).wait_complete()
            options: dict[str, Any] = {
                "source": str(folder.parent / "set.torrent"),
                "peers": [("127.0.0.1", session.port)],
                "settings": alone,
            }
            print("| through fsspec | file, MiB | fetched, MiB | share | s |\n|---|---|---|---|---|")

            def measure(words: str, file: str, read: Any) -> None:
                fs = TorrentFileSystem(**options, skip_instance_cache=True)
                fs.ls("")
                began = time.perf_counter()
                read(fs)
                seconds = time.perf_counter() - began
                fetched, whole = fs.look(lambda: fs.torrent.stats().downloaded), (folder / file).stat().st_size
                shown = f"{whole / (1 << 20):.0f} | {fetched / (1 << 20):.1f} | {fetched / whole:.1%} | {seconds:.2f}"
                print(f"| {words} | {shown} |")
                fs.close()

            def frame(fs: Any, **which: Any) -> None:
                got = pandas.read_parquet("set/t.parquet", filesystem=fs, **which)
                pandas.testing.assert_frame_equal(got, pandas.read_parquet(folder / "t.parquet", **which))

            measure("two columns of eleven, all rows", "t.parquet", lambda fs: frame(fs, columns=["c3", "day"]))
            measure(
                "one column, one day of 365",
                "t.parquet",
                lambda fs: frame(fs, columns=["c3"], filters=[("day", "==", 200)]),
            )
            measure("the schema", "t.parquet", lambda fs: pyarrow.parquet.read_schema("set/t.parquet", filesystem=fs))
            measure("all of it", "t.parquet", frame)
            measure("the list of a ZIP of 1,000", "z.zip", lambda fs: zipfile.ZipFile(fs.open("set/z.zip")).namelist())
            measure("one member of it", "z.zip", lambda fs: zipfile.ZipFile(fs.open("set/z.zip")).read("part500.bin"))


# -- something large through a small cache ----------------------------------------------------------------------------


def cache(size: int) -> None:
    """Two GiB read from start to end through 64 MiB: how fast, and with how much memory."""
    size *= 2
    with tempfile.TemporaryDirectory(prefix="tl-reading-") as name:
        folder = pathlib.Path(name)
        torrent = share_file(folder, size)
        print("| through a cache of 64 MiB | MiB | s | MiB/s | MiB fetched | peak memory, MiB | before |")
        print("|---|---|---|---|---|---|---|")
        for piece_memory in (64, 16):
            with role("seed", "lt", torrent, str(folder), "0") as seed:
                found = seed.result("through", torrent, seed.line(), str(piece_memory))
            seconds, fetched = found["seconds"], found["fetched"] / (1 << 20)
            speed = f"{size >> 20} | {seconds:.1f} | {(size >> 20) / seconds:.0f} | {fetched:.0f}"
            print(f"| at most {piece_memory} MiB in flight | {speed} | {found['peak']:.0f} | {found['before']:.0f} |")


async def read_through(torrent: str, port: int, piece_memory: int) -> dict[str, Any]:
    import functools

    import torrentlite as tl

    settings = tl.Settings(host="127.0.0.1", dht=False, lsd=False, port_map=False, piece_memory=piece_memory << 20)
    async with tl.open_session(settings) as session:
        storage = functools.partial(tl.CacheStorage, limit=64 << 20)
        share = session.add(await tl.load(torrent), storage=storage, peers=[("127.0.0.1", port)])
        await share.wait_checked()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, digest = time.perf_counter(), hashlib.sha256()
        async with share.open() as file:
            while data := await file.receive_some(1 << 20):
                digest.update(data)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        fetched = share.stats().downloaded
    with (pathlib.Path(torrent).parent / "data.bin").open("rb") as original:
        assert digest.hexdigest() == hashlib.file_digest(original, "sha256").hexdigest()
    return {"seconds": seconds, "peak": peak, "before": before, "fetched": fetched}


def play(words: list[str]) -> None:
    """One process of a benchmark."""
    import trio

    match words:
        case ["seed", "tl", torrent, folder]:
            trio.run(run_own_seed, torrent, folder)
        case ["seed", "lt", torrent, folder, *limit]:
            run_seed(torrent, folder, *map(int, limit))
        case ["read", "tl", torrent, folder, port, busy]:
            print(json.dumps(trio.run(tl_read, torrent, folder, int(port), bool(busy))))
        case ["read", "lt", torrent, folder, port, busy]:
            print(json.dumps(lt_read(torrent, folder, int(port), bool(busy))))
        case ["through", torrent, port, piece_memory]:
            print(json.dumps(trio.run(read_through, torrent, int(port), int(piece_memory))))


if __name__ == "__main__":
    play(sys.argv[1:])
