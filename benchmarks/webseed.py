"""Web seeds: torrentlite, libtorrent and curl from one nginx; and a mirror and a peer together.

    python -m benchmarks webseed --size 1G --runs 5

Each round runs every row once, each in a fresh process, so a machine that speeds up or slows down does so for all; the
table gives medians and extremes. Everything goes over loopback into ``--folder``. A limited line is a process of ours
between nginx and who fetches, which lets so many bytes a second through over all connections together (nginx's own
``limit_rate`` begins anew with each request, so it limits no one who asks for ranges).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import trio

import torrentlite

from .nginx import nginx
from .roles import Transfer, lt_session
from .sizes import size

MIB = 1 << 20


# -- roles: each is a process ------------------------------------------------------------------------------------------


async def relay(port: int, rate: float) -> None:
    """Pass connections on to a port of this machine, so many bytes a second back through all of them together."""
    free_at = time.monotonic()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, paced: bool) -> None:
        nonlocal free_at
        with contextlib.suppress(OSError):
            while data := await reader.read(64 << 10):
                if paced:
                    now = time.monotonic()
                    # What was not used up to a hundredth of a second ago is lost.
                    free_at = max(free_at, now - 0.01) + len(data) / rate
                    if free_at > now:
                        await asyncio.sleep(free_at - now)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            pump(reader, their_writer, paced=False),
            pump(their_reader, writer, paced=True),
            return_exceptions=True,
        )

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def seed(torrent: bytes, folder: pathlib.Path, rate: int) -> None:
    """A peer that sends so many bytes a second."""
    settings = torrentlite.Settings(host="127.0.0.1", dht=False, upload_limit=rate)
    async with torrentlite.open_session(settings) as session:
        await session.add(torrent, folder).wait_complete()
        print(session.port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


async def tl_fetch(torrent: bytes, folder: pathlib.Path, connections: int, url: str, port: int) -> None:
    """Fetch with torrentlite from a web seed (if there is a URL) and a peer (if there is a port)."""
    settings = torrentlite.Settings(host="127.0.0.1", dht=False, web_seed_connections=connections)
    async with torrentlite.open_session(settings) as session:
        transfer = Transfer()
        peers = [("127.0.0.1", port)] if port else []
        share = session.add(torrent, folder, web_seeds=[url] if url else [], peers=peers)
        await share.wait_complete()
        transfer.report()


def lt_fetch(torrent: pathlib.Path, folder: pathlib.Path, url: str) -> None:
    """Fetch with libtorrent from a web seed."""
    import libtorrent as lt

    session = lt_session(False)
    transfer = Transfer()
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(folder)
    params.url_seeds = [url]
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    while not handle.status().is_seeding:
        time.sleep(0.002)
    transfer.report()


def play(words: list[str]) -> None:
    """Play the role that the command line names."""
    match words:
        case ["relay", port, rate]:
            asyncio.run(relay(int(port), float(rate)))
        case ["seed", torrent, folder, rate]:
            trio.run(seed, pathlib.Path(torrent).read_bytes(), pathlib.Path(folder), int(rate))
        case ["tl", torrent, folder, connections, url, port]:
            read = pathlib.Path(torrent).read_bytes()
            trio.run(tl_fetch, read, pathlib.Path(folder), int(connections), url, int(port))
        case ["lt", torrent, folder, url]:
            lt_fetch(pathlib.Path(torrent), pathlib.Path(folder), url)
        case _:
            raise SystemExit(f"no such role: {words}")


# -- the runs ----------------------------------------------------------------------------------------------------------

ROLE = [sys.executable, "-m", "benchmarks.webseed"]


@contextlib.contextmanager
def serving(*words: object) -> Iterator[str]:
    """A role that serves until the block ends; gives its port."""
    command = [*ROLE, *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def curl(url: str, to: pathlib.Path) -> dict[str, float]:
    """curl of one file."""
    started = time.perf_counter()
    subprocess.run(["curl", "-sSf", "-o", str(to / "file.bin"), url], check=True)
    return {"seconds": time.perf_counter() - started}


def fetch(*words: object) -> dict[str, float]:
    """One role that fetches, in a process of its own."""
    done = subprocess.run([*ROLE, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def main(argv: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks webseed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=size, default=size("512M"), help="bytes of the file (default 512M)")
    parser.add_argument("--piece-size", type=size, default=size("1M"), help="default 1M")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--rate", type=size, default=size("100M"), help="of the limited line (default 100M)")
    parser.add_argument("--folder", default="/dev/shm", help="where the data goes (default: tmpfs)")
    args = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        root = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir=args.folder)))
        data, out = root / "data", root / "out"
        data.mkdir()
        rng = random.Random(1)
        with (data / "file.bin").open("wb") as file:
            for _ in range(args.size >> 20):
                file.write(rng.randbytes(MIB))
        metainfo = trio.run(lambda: torrentlite.create(data / "file.bin", piece_length=args.piece_size))
        torrent = root / "file.torrent"
        torrent.write_bytes(metainfo.encode())
        url = stack.enter_context(nginx(data, root / "nginx")) + "file.bin"
        port = url.split(":")[2].split("/")[0]
        slow_port = stack.enter_context(serving("relay", port, args.rate))
        half_port = stack.enter_context(serving("relay", port, args.rate // 2))
        seed_port = stack.enter_context(serving("seed", torrent, data, args.rate // 2))
        slow, half = (f"http://127.0.0.1:{each}/file.bin" for each in (slow_port, half_port))
        rows: dict[str, Callable[[], dict[str, float]]] = {
            "curl": lambda: curl(url, out),
            "torrentlite": lambda: fetch("tl", torrent, out, 4, url, 0),
            "torrentlite, 1 connection": lambda: fetch("tl", torrent, out, 1, url, 0),
            "libtorrent": lambda: fetch("lt", torrent, out, url),
            "limited: curl": lambda: curl(slow, out),
            "limited: torrentlite": lambda: fetch("tl", torrent, out, 4, slow, 0),
            "limited: libtorrent": lambda: fetch("lt", torrent, out, slow),
            "half: a mirror": lambda: fetch("tl", torrent, out, 4, half, 0),
            "half: a peer": lambda: fetch("tl", torrent, out, 4, "", seed_port),
            "half: both": lambda: fetch("tl", torrent, out, 4, half, seed_port),
        }
        results: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
        for _ in range(args.runs):
            for row, run in rows.items():
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                results[row].append(run())
                if (out / "file.bin").stat().st_size != args.size:
                    raise SystemExit(f"{row}: not the whole file")
        print(
            f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds; "
            f"limited: {args.rate >> 20} MiB/s, half: {args.rate >> 21} MiB/s each"
        )
        print("                              MiB/s (min–max)      CPU s/GiB")
        for row, runs in results.items():
            rates = [args.size / MIB / run["seconds"] for run in runs]
            cpu = statistics.median(run.get("cpu", 0.0) for run in runs) / (args.size / (1 << 30))
            print(
                f"{row:<28}{statistics.median(rates):7.0f} ({min(rates):.0f}–{max(rates):.0f})"
                + (f"{cpu:16.2f}" if cpu else "")
            )
        for one, other in (
            ("limited: torrentlite", "limited: curl"),
            ("limited: torrentlite", "limited: libtorrent"),
            ("torrentlite", "libtorrent"),
            ("half: both", "half: a mirror"),
            ("half: both", "half: a peer"),
        ):
            ratios = [
                theirs["seconds"] / ours["seconds"] for ours, theirs in zip(results[one], results[other], strict=True)
            ]
            print(f"{one} / {other}: {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")


if __name__ == "__main__":
    play(sys.argv[1:])
