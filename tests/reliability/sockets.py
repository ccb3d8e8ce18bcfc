"""The same twenty hostile peers and their one honest seed on real sockets, and who fetches in a process of its own.

``python -m tests.reliability hostile --real --runs 50``: each peer has an address of its own in 127.0.0.0/8, so what is
under way waits in the system's buffers and not in ours. ``hostile.py`` has the peers, and the same in a simulation.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import random
import socket
import statistics
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import trio

import torrentlite as tl
from tests.reliability.bombs import status
from tests.reliability.hostile import CROWD, KINDS, PIECE, SIZE, Crowd
from tests.strangers import Stranger, background
from torrentlite.errors import NetworkError
from torrentlite.events import PieceFailed
from torrentlite.net.listener import TcpListener
from torrentlite.net.network import RealNetwork
from torrentlite.net.stream import TcpStream
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.wire.address import Address

PATIENCE = 300


class Result(NamedTuple):
    """What a run came to.

    Attributes:
        clean, taken: seconds without the crowd and with it.
        corrupters: peers that sent a wrong block of a piece that then failed; ``banned`` of them were banned.
        failed: pieces that turned out wrong.
        most_bad_pieces: of those, the most that one of them had a hand in.
        peak: MiB that the process that fetched had at most.
        kinds: of hostile peers.
    """

    clean: float
    taken: float
    corrupters: int
    banned: int
    failed: int
    most_bad_pieces: int
    peak: float
    kinds: frozenset[str]


# -- machines ----------------------------------------------------------------------------------------------------------


class _Stream:
    """A connection of a machine: what it says leaves at the machine's rate, what it hears is ``latency`` late."""

    def __init__(self, stream: TcpStream, up: float, latency: float) -> None:
        self._stream, self._up, self._latency = stream, up, latency
        self.close, self.local, self.remote = stream.close, stream.local, stream.remote

    async def receive_into(self, buffer: memoryview) -> int:
        count = await self._stream.receive_into(buffer)
        await trio.sleep(self._latency)
        return count

    async def send_vectored(self, views: Sequence[Any]) -> None:
        await trio.sleep(sum(map(len, views)) / self._up)
        await self._stream.send_vectored(views)

    def reset(self) -> None:
        with contextlib.suppress(OSError):  # it is closed already
            self._stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()


class _Listener:
    def __init__(self, listener: TcpListener, machine: Machine) -> None:
        self._listener, self._machine = listener, machine
        self.address, self.close = listener.address, listener.close

    async def accept(self) -> _Stream:
        return self._machine.shaped(await self._listener.accept())


class Machine:
    """An address of this machine, in the place of a simulated one; it is its own ``network``."""

    def __init__(self, ip: str, up: float, latency: float) -> None:
        self.ip, self._up, self._latency = ip, up, latency
        self.network = self
        self.secret = os.urandom
        self._real = RealNetwork(ip)

    def shaped(self, stream: TcpStream) -> _Stream:
        return _Stream(stream, self._up, self._latency)

    async def connect(self, address: Address) -> _Stream:
        return self.shaped(await self._real.connect(address))

    async def listen(self, host: str, port: int, *, fallback: bool) -> list[_Listener]:
        return [_Listener(each, self) for each in await self._real.listen(self.ip, port, fallback=fallback)]


class World:
    """As many machines as are asked for; all rates are so many times those that are asked for."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._count = 0

    def host(self, *, up: float, latency: float) -> Machine:
        """One more."""
        self._count += 1
        return Machine(f"127.1.0.{self._count}", up * self._speed, latency)


# -- a run -------------------------------------------------------------------------------------------------------------


async def _story(seed: int, crowd_size: int, speed: float, folder: pathlib.Path) -> tuple[dict[str, Any], Crowd, str]:
    dice = random.Random(f"hostile {seed}")
    metainfo, data = made_up_torrent(dice, [SIZE], piece_length=PIECE)
    (folder / "made-up.torrent").write_bytes(metainfo.encode())
    source = metainfo.magnet if dice.random() < 0.3 else str(folder / "made-up.torrent")
    world = World(speed)
    async with background() as nursery:
        crowd = Crowd(world, metainfo, data, nursery, dice)
        honest = await Stranger(world.host(up=200_000, latency=0.02), metainfo.info, data).serve(nursery)
        for number in range(crowd_size):
            await crowd.add(KINDS[number] if number < len(KINDS) else dice.choice(KINDS))
        places = [stranger.place for _, stranger in crowd.everybody]
        places.insert(dice.randrange(len(places) + 1), honest.place)
        told = folder / "told.json"
        words = [source, str(folder / "out"), *(f"{host}:{port}" for host, port in places)]
        command = [sys.executable, "-m", "tests.reliability.sockets", *words]
        with told.open("wb") as out, (folder / "log").open("wb") as log:
            process = await trio.lowlevel.open_process(command, stdout=out, stderr=log)
            try:
                with trio.fail_after(PATIENCE):
                    while not told.read_bytes().endswith(b"\n"):
                        assert process.poll() is None, (folder / "log").read_text()
                        await trio.sleep(0.01)
                    port = int(told.read_bytes().splitlines()[0])
                    for _, stranger in crowd.everybody:
                        if dice.random() < 0.3:  # and calls by itself besides
                            nursery.start_soon(_call, stranger, nursery, ("127.0.0.1", port))
                    await process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        assert process.returncode == 0, (folder / "log").read_text()
    assert (folder / "out" / "made-up").read_bytes() == data
    return json.loads(told.read_text().splitlines()[1]), crowd, honest.machine.network.ip


async def _call(stranger: Stranger, nursery: trio.Nursery, place: tuple[str, int]) -> None:
    with contextlib.suppress(NetworkError):
        await stranger.call(nursery, place)


def tell(seed: int, speed: float = 1) -> Result:
    """One run, held to everything that is promised but for its time."""
    said, crowd, honest = {}, None, ""
    clean = 0.0
    for crowd_size in 0, CROWD:
        clean = said.get("taken", 0.0)
        with tempfile.TemporaryDirectory(prefix="tl-hostile-") as folder:
            said, crowd, honest = trio.run(_story, seed, crowd_size, speed, pathlib.Path(folder))
    assert crowd is not None
    failures = collections.Counter(key for keys in said["failed"] for key in keys)
    guilty = set(map(_host, said["banned"]))
    bad = {stranger.machine.network.ip for _, stranger in crowd.everybody if crowd.bad[stranger]}
    corrupters = bad & set(map(_host, failures))
    liars = {stranger.machine.network.ip for kind, stranger in crowd.everybody if kind == "lies about metadata"}
    assert honest not in guilty, "the honest seed is banned"
    assert guilty <= liars | bad, "an innocent one is banned"
    assert corrupters <= guilty, "one that spoiled a piece is not banned"
    # On loopback who calls and is called is two to us, and banned twice: an address and a port each.
    most = max((count for key, count in failures.items() if _host(key) in corrupters), default=0)
    assert most <= 5, f"{most} pieces spoiled by one"
    kinds = frozenset(kind for kind, _ in crowd.everybody)
    return Result(
        clean,
        said["taken"],
        len(corrupters),
        len(corrupters & guilty),
        len(said["failed"]),
        most,
        said["peak"],
        kinds,
    )


def _host(key: str) -> str:
    """The machine of a peer that is blamed by address and port."""
    return key.partition(":")[0]


def results(runs: int, seed: int = 0, speed: float = 1) -> Iterator[Result]:
    """So many runs."""
    for number in range(seed, seed + runs):
        try:
            yield tell(number, speed)
        except BaseException as error:
            error.add_note(f"hostile run {number}, on real sockets")
            raise


def run(runs: int, seed: int, say: Callable[[str], None]) -> int:
    """So many runs, and a table; how many took more than twice the clean time."""
    found = []
    for number, result in enumerate(results(runs, seed), seed):
        found.append(result)
        say(
            f"run {number}: {result.taken / result.clean:.2f} times {result.clean:.1f} s, {result.failed} bad pieces,"
            f" {result.banned} of {result.corrupters} who spoiled pieces banned"
        )
    ratios = sorted(result.taken / result.clean for result in found)
    slow = sum(ratio > 2 for ratio in ratios)
    say(f"{len(found)} runs, {CROWD} hostile peers each, {len(frozenset().union(*(r.kinds for r in found)))} kinds")
    say(f"times the clean time: median {statistics.median(ratios):.2f}, most {ratios[-1]:.2f}, above 2: {slow}")
    say(f"peers that spoiled pieces: {sum(r.corrupters for r in found)}, banned: {sum(r.banned for r in found)}")
    say(f"most pieces that one of them spoiled: {max(r.most_bad_pieces for r in found)}; honest seeds banned: 0")
    say(f"most memory of the process that fetched: {max(r.peak for r in found):.0f} MiB")
    return slow


# -- who fetches, in its own process -----------------------------------------------------------------------------------


async def _fetch(source: str, out: str, *places: str) -> None:
    peers = [(host, int(port)) for host, port in (place.split(":") for place in places)]
    failed: list[tuple[str, ...]] = []
    what = source if source.startswith("magnet:") else pathlib.Path(source).read_bytes()
    settings = tl.Settings(host="127.0.0.1", dht=False)
    async with tl.open_session(settings) as session, trio.open_nursery() as nursery:
        print(session.port, flush=True)
        torrent = session.add(what, out)

        async def count_failures() -> None:
            async with torrent.events() as events:
                async for event in events:
                    if isinstance(event, PieceFailed):
                        failed.append(event.peers)

        nursery.start_soon(count_failures)
        await trio.sleep(0.1)
        began = trio.current_time()
        for place in peers:
            torrent.add_peer(*place)
        await torrent.wait_complete()
        taken = trio.current_time() - began
        await trio.sleep(1)
        assert not session.stats().internal_errors
        banned = list(torrent._life.swarm.peerlist._bans)
        nursery.cancel_scope.cancel()
    print(json.dumps({"taken": taken, "failed": failed, "banned": banned, "peak": status("VmHWM")}), flush=True)


if __name__ == "__main__":
    trio.run(_fetch, *sys.argv[1:])
