"""One process of a benchmark: a seed or a fetcher, of torrentlite or libtorrent, with the same few words.

``python -m benchmarks.roles tl|lt seed TORRENT FOLDER`` prints its port and serves until its stdin closes (``tl``: as
many sessions as a number at the end says, and their ports); ``… fetch TORRENT FOLDER PORT…`` prints one JSON object:
seconds from the start of the transfer, CPU seconds and peak memory of the whole process. ``asyncio`` and ``uvloop``
fetch with ``torrentlite.aio``, ``trio`` is ``tl``.
"""

from __future__ import annotations

import json
import pathlib
import resource
import sys
import time


def report(seconds: float) -> None:
    """What a fetcher measured."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "memory_mib": usage.ru_maxrss / 1024},
        ),
        flush=True,
    )


async def tl_seed(torrent: bytes, folder: pathlib.Path, count: int) -> None:
    """Seed with torrentlite, in so many sessions."""
    import contextlib

    import trio

    import torrentlite

    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for _ in range(count):
            session = await stack.enter_async_context(torrentlite.open_session(torrentlite.Settings(host="127.0.0.1")))
            await session.add(torrent, folder).wait_complete()
            ports.append(session.port)
        print(*ports, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


async def tl_fetch(torrent: bytes, folder: pathlib.Path, ports: list[int]) -> None:
    """Fetch with torrentlite."""
    import torrentlite

    async with torrentlite.open_session(torrentlite.Settings(host="127.0.0.1")) as session:
        started = time.perf_counter()
        share = session.add(torrent, folder, peers=[("127.0.0.1", port) for port in ports])
        await share.wait_complete()
        report(time.perf_counter() - started)


async def aio_fetch(torrent: bytes, folder: pathlib.Path, ports: list[int]) -> None:
    """Fetch with torrentlite in asyncio."""
    from torrentlite import aio

    async with aio.open_session(aio.Settings(host="127.0.0.1")) as session:
        started = time.perf_counter()
        share = session.add(torrent, folder, peers=[("127.0.0.1", port) for port in ports])
        await share.wait_complete()
        report(time.perf_counter() - started)


def lt_session(fast: bool) -> object:
    """A libtorrent session on loopback, with its defaults or its high-performance preset."""
    import libtorrent as lt

    settings = lt.high_performance_seed() if fast else {}
    settings.update(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "allow_multiple_connections_per_ip": True,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
        }
    )
    session = lt.session(settings)
    while not session.listen_port():
        time.sleep(0.01)
    return session


def lt_seed(torrent: pathlib.Path, folder: pathlib.Path, *, fast: bool) -> None:
    """Seed with libtorrent; the data is known to be right."""
    import libtorrent as lt

    session = lt_session(fast)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(folder)
    params.flags |= lt.torrent_flags.seed_mode
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    while not handle.status().is_seeding:
        time.sleep(0.01)
    print(session.listen_port(), flush=True)  # type: ignore[attr-defined]
    sys.stdin.read()


def lt_fetch(torrent: pathlib.Path, folder: pathlib.Path, port: int, *, fast: bool) -> None:
    """Fetch with libtorrent."""
    import libtorrent as lt

    session = lt_session(fast)
    started = time.perf_counter()
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(folder)
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    handle.connect_peer(("127.0.0.1", port))
    while not handle.status().is_seeding:
        time.sleep(0.002)
    report(time.perf_counter() - started)


def main() -> None:
    """Play the role that the command line names."""
    who, role, torrent, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    numbers = [int(text) for text in sys.argv[5:]]
    if who in ("tl", "trio"):
        import trio

        if role == "seed":
            trio.run(tl_seed, torrent.read_bytes(), folder, numbers[0] if numbers else 1)
        else:
            trio.run(tl_fetch, torrent.read_bytes(), folder, numbers)
    elif who == "asyncio":
        import asyncio

        asyncio.run(aio_fetch(torrent.read_bytes(), folder, numbers))
    elif who == "uvloop":
        import uvloop

        uvloop.run(aio_fetch(torrent.read_bytes(), folder, numbers))
    elif role == "seed":
        lt_seed(torrent, folder, fast=who == "lt-fast")
    else:
        lt_fetch(torrent, folder, numbers[0], fast=who == "lt-fast")


if __name__ == "__main__":
    main()
