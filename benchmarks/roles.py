"""One process of a benchmark: a seed or a fetcher, of torrentlite or libtorrent, with the same few words.

``python -m benchmarks.roles WHO seed TORRENT FOLDER`` prints its port and serves until its stdin closes (``tl``: as
many sessions as a number at the end says, and their ports), and then one JSON object: CPU seconds since then and peak
memory of the process. ``… fetch TORRENT FOLDER PORT…`` prints the same, and the seconds, from the start of the
transfer. A PORT may be HOST:PORT.

WHO is ``tl``, ``lt`` (libtorrent with its defaults), ``lt-fast`` (with its high-performance preset), ``bare``
(``bare.py``), ``asyncio`` and ``uvloop`` (``torrentlite.aio``), ``trio`` (``tl``). ``tl+utp``, ``lt+utp`` and
``lt-fast+utp`` are connected over uTP, not TCP.
"""

from __future__ import annotations

import functools
import json
import pathlib
import resource
import socket
import sys
import time
from typing import Any

from . import bare

Peers = list[tuple[str, int]]
CONNECTIONS = 1000
"""That a session may have, of whomever: nobody shall be refused."""


def usage(since: float = 0.0) -> dict[str, float]:
    """CPU seconds (of those after the first ``since``) and peak memory of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": used.ru_utime + used.ru_stime - since, "memory_mib": used.ru_maxrss / 1024}


class Transfer:
    """What a fetcher measures: from here on, for imports and the opening of a session are not what fetching costs."""

    def __init__(self) -> None:
        self._started, self._before = time.perf_counter(), usage()["cpu"]

    def report(self, **more: float) -> None:
        """It is complete."""
        seconds = time.perf_counter() - self._started
        print(json.dumps({"seconds": seconds, **usage(self._before), **more}), flush=True)


def tl_settings(utp: bool) -> Any:
    """Of a session on loopback: its defaults, with as many connections as the others may have."""
    import torrentlite

    return torrentlite.Settings(
        host="127.0.0.1",
        connections=CONNECTIONS,
        connections_per_torrent=CONNECTIONS,
        utp="prefer" if utp else "allow",
    )


async def tl_seed(torrent: bytes, folder: pathlib.Path, count: int, *, utp: bool) -> None:
    """Seed with torrentlite, in so many sessions."""
    import contextlib

    import trio

    import torrentlite

    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for _ in range(count):
            session = await stack.enter_async_context(torrentlite.open_session(tl_settings(utp)))
            await session.add(torrent, folder).wait_complete()
            ports.append(session.port)
        before = usage()["cpu"]  # imports, and the check of what it has, are not what seeding costs
        print(*ports, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        print(json.dumps(usage(before)), flush=True)


async def tl_fetch(torrent: bytes, folder: pathlib.Path, peers: Peers, *, utp: bool) -> None:
    """Fetch with torrentlite."""
    import torrentlite

    async with torrentlite.open_session(tl_settings(utp)) as session:
        transfer = Transfer()
        share = session.add(torrent, folder, peers=peers)
        async with share.events() as events:
            await anext(event async for event in events if isinstance(event, torrentlite.PieceVerified))
        if any(peer.utp is not utp for peer in share.peers()):
            raise SystemExit(f"it should {'' if utp else 'not '}be connected over uTP")
        await share.wait_complete()
        transfer.report()


async def aio_fetch(torrent: bytes, folder: pathlib.Path, peers: Peers) -> None:
    """Fetch with torrentlite in asyncio."""
    from torrentlite import aio

    async with aio.open_session(aio.Settings(host="127.0.0.1")) as session:
        transfer = Transfer()
        share = session.add(torrent, folder, peers=peers)
        await share.wait_complete()
        transfer.report()


def lt_session(fast: bool, *, utp: bool = False, plugins: bool = True, **more: int) -> object:
    """A libtorrent session on loopback, with its defaults or its high-performance preset, and some settings more.

    Without ``plugins`` its peers do not tell each other of others.
    """
    import libtorrent as lt

    settings: Any = lt.high_performance_seed() if fast else {}
    settings.update(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "allow_multiple_connections_per_ip": True,
            **{f"enable_{way}_utp": utp for way in ("outgoing", "incoming")},
            **{f"enable_{way}_tcp": not utp for way in ("outgoing", "incoming")},
            # By default it encrypts what it can, and what is measured would be RC4.
            "out_enc_policy": int(lt.enc_policy.pe_disabled),
            "in_enc_policy": int(lt.enc_policy.pe_disabled),
            "connections_limit": CONNECTIONS,
            "connection_speed": 1000,  # of 200 peers none shall have to wait for its turn to be dialled
            **more,
        }
    )
    session = lt.session(settings, int(plugins))
    while not session.listen_port():
        time.sleep(0.01)
    return session


def lt_seed(torrent: pathlib.Path, folder: pathlib.Path, *, fast: bool, utp: bool) -> None:
    """Seed with libtorrent; the data is known to be right."""
    import libtorrent as lt

    session = lt_session(fast, utp=utp)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(folder)
    params.flags |= lt.torrent_flags.seed_mode
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)  # else half a second passes first
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    while handle.status().state != lt.torrent_status.seeding:  # ``is_seeding`` is true before it takes calls
        time.sleep(0.01)
    before = usage()["cpu"]
    print(session.listen_port(), flush=True)  # type: ignore[attr-defined]
    sys.stdin.read()
    print(json.dumps(usage(before)), flush=True)


def lt_fetch(torrent: pathlib.Path, folder: pathlib.Path, peers: Peers, *, fast: bool, utp: bool) -> None:
    """Fetch with libtorrent."""
    import libtorrent as lt

    session = lt_session(fast, utp=utp)
    transfer = Transfer()
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(torrent))
    params.save_path = str(folder)
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)  # else half a second passes first
    handle = session.add_torrent(params)  # type: ignore[attr-defined]
    for peer in peers:
        handle.connect_peer(peer)
    while not handle.status().is_seeding:
        time.sleep(0.002)
    transfer.report()


def bare_seed(folder: pathlib.Path) -> None:
    """Send the one file."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        bare.seed(next(path for path in folder.rglob("*") if path.is_file()), listener)
    sys.stdin.read()
    print(json.dumps(usage()), flush=True)


def bare_fetch(torrent: pathlib.Path, folder: pathlib.Path, port: int) -> None:
    """Receive as many bytes as the torrent has."""
    import torrentlite

    size = torrentlite.Metainfo.from_bytes(torrent.read_bytes()).info.layout.total
    transfer = Transfer()
    bare.fetch(folder / "file.bin", port, size)
    transfer.report()


def main() -> None:
    """Play the role that the command line names."""
    who, role, torrent, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    who, _, transport = who.partition("+")
    utp = transport == "utp"
    pairs = [text.rpartition(":") for text in sys.argv[5:]]
    peers = [(host or "127.0.0.1", int(port)) for host, _, port in pairs]
    if who in ("tl", "trio"):
        import trio

        if role == "seed":
            trio.run(functools.partial(tl_seed, utp=utp), torrent.read_bytes(), folder, peers[0][1] if peers else 1)
        else:
            trio.run(functools.partial(tl_fetch, utp=utp), torrent.read_bytes(), folder, peers)
    elif who == "asyncio":
        import asyncio

        asyncio.run(aio_fetch(torrent.read_bytes(), folder, peers))
    elif who == "uvloop":
        import uvloop

        uvloop.run(aio_fetch(torrent.read_bytes(), folder, peers))
    elif who == "bare":
        if role == "seed":
            bare_seed(folder)
        else:
            bare_fetch(torrent, folder, peers[0][1])
    elif role == "seed":
        lt_seed(torrent, folder, fast=who == "lt-fast", utp=utp)
    else:
        lt_fetch(torrent, folder, peers, fast=who == "lt-fast", utp=utp)


if __name__ == "__main__":
    main()
