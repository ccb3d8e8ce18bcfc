"""Small things that want to become large: each alone in a fresh process, and what it took there.

``python -m tests.reliability bombs`` prints the table. A bomb is made before its process begins; its memory is the
highest that the process ever had, less what it had before.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import trio
import trio.testing

from torrentlite import bencode
from torrentlite.errors import TorrentError
from torrentlite.metainfo.info import InfoHashes

ROOT = pathlib.Path(__file__).parents[2]


class Bomb(NamedTuple):
    """One bomb.

    Attributes:
        make: its bytes.
        light: sets it off.
        most: MiB that it may take.
    """

    make: Callable[[], bytes]
    light: Callable[[bytes], object]
    most: int = 32


def _refused(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """An error is an answer."""

    def light(data: bytes) -> None:
        try:
            read(data)
        except TorrentError:
            pass

    return light


def _metainfo(data: bytes) -> object:
    from torrentlite.metainfo.metainfo import Metainfo

    return Metainfo.from_bytes(data)


def _magnet(data: bytes) -> object:
    from torrentlite.metainfo.magnet import Magnet

    return Magnet.parse(data.decode())


def _tracker(data: bytes) -> object:
    from torrentlite.tracker.announce import parse_announce

    return parse_announce(data)


def _info(**changes: Any) -> dict[str, Any]:
    return {"length": 40_000, "name": "file", "piece length": 16384, "pieces": b"h" * 60, **changes}


def _many_files(count: int) -> bytes:
    rng = random.Random(1)
    files = [
        {"length": 1, "path": [f"folder {rng.randrange(500)}", f"a file of some length {number}.bin"]}
        for number in range(count)
    ]
    fields = _info(files=files, pieces=bytes(20 * -(-count // 16384)))
    del fields["length"]
    return bencode.encode({"info": fields})


def _many_trackers(count: int) -> bytes:
    tiers = [[f"http://tracker-{number}.example/announce"] for number in range(count)]
    return bencode.encode({"announce-list": tiers, "info": _info()})


# -- over a connection -------------------------------------------------------------------------------------------------


def _http(data: bytes) -> object:
    """The answer of a tracker, whole."""
    from tests.net.memory import MemoryNetwork, Server
    from torrentlite.net.http import HttpClient
    from torrentlite.tracker.announce import AnnounceRequest
    from torrentlite.tracker.client import TrackerClient

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            network = MemoryNetwork(nursery)
            network.names = {"t.example": ["9.9.9.9"]}
            network.serve("9.9.9.9", 80, Server(*(data[at : at + 65536] for at in range(0, len(data), 65536))))
            client = HttpClient(network, user_agent="bomb")
            request = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=1)
            try:
                await TrackerClient(network, client, None).announce("http://t.example/announce", request)
            except TorrentError:
                pass
            nursery.cancel_scope.cancel()

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _packed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _crowd(count: int, *, magnet: bool = True, seed: bool = False) -> Callable[[bytes], object]:
    """So many peers who all say this after the handshake, to a simulated session."""

    def light(data: bytes) -> object:
        from tests.strangers import Stranger, background, session_on, where
        from torrentlite.testing import run_simulation

        async def main(world: Any) -> None:
            metainfo, content = world.torrent(1 << 20)
            machine = world.host()
            if seed:
                machine.put(metainfo.info, content)
            async with background() as nursery, session_on(machine) as session:
                torrent = session.add(metainfo.magnet if magnet else metainfo)
                await trio.sleep(1)
                for _ in range(count):
                    stranger = Stranger(world.host(), metainfo.info)
                    talk = await stranger.dial(where(machine, session))
                    await talk.greet(stranger.hello)
                    nursery.start_soon(_read, talk.stream)
                    await talk.say(data)
                    await trio.sleep(0.5)  # what is under way in the simulated network is not to be measured
                await trio.sleep(30)
                assert torrent.error is None

        return run_simulation(main, time_limit=3600)

    return light


async def _read(stream: Any) -> None:
    """Whatever comes, and keep nothing of it."""
    buffer = memoryview(bytearray(16384))
    try:
        while await stream.receive_into(buffer):
            pass
    except TorrentError:
        pass


def _liars(data: bytes) -> object:
    """Five peers who send metadata of the largest size, whole and wrong: said by the exchange alone, block by block."""
    from torrentlite.limits import MAX_METADATA, METADATA_PIECE
    from torrentlite.swarm.metadata import MetadataExchange

    exchange: MetadataExchange[int] = MetadataExchange(InfoHashes(b"h" * 20))
    for peer in range(5):
        exchange.got_size(peer, MAX_METADATA)
    now, block, banned = 0.0, 0, set()
    while len(banned) < 5:
        now += 0.01
        asked = exchange.requests(now)
        assert asked, banned
        for peer, piece in asked:
            block += 1
            try:
                exchange.got_data(peer, piece, struct.pack(">I", block) * (METADATA_PIECE // 4), now)
            except ValueError:
                banned.add(peer)
                exchange.left(peer)
    return banned


def _without_bound(data: bytes) -> object:
    from torrentlite.swarm.metadata import MetadataExchange

    MetadataExchange._fits = lambda self, size: True  # type: ignore[method-assign]
    return _liars(data)


def _extended(said: object, number: int = 0) -> bytes:
    body = bytes([20, number]) + bencode.encode(said)
    return struct.pack(">I", len(body)) + body


def _framed(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), kind) + body


_RNG = random.Random(7)

BOMBS: dict[str, Bomb] = {
    "50,000 files": Bomb(lambda: _many_files(50_000), _metainfo, 64),
    "100,000 trackers": Bomb(lambda: _many_trackers(100_000), _metainfo),
    "a magnet of 1 MiB of trackers": Bomb(lambda: b"magnet:?xt=urn:btih:" + b"a" * 40 + b"&tr=http://t" * 87_000, _magnet),
    "a .torrent of lists in lists": Bomb(lambda: b"l" * 5_000_000 + b"e" * 5_000_000, _refused(_metainfo)),
    "a .torrent of dictionaries in dictionaries": Bomb(lambda: b"d1:a" * 2_000_000, _refused(_metainfo)),
    "a tracker's answer of lists in lists": Bomb(lambda: b"d5:peers" + b"l" * 260_000 + b"e" * 260_001, _refused(_tracker)),
    "a tracker's answer of empty dictionaries": Bomb(lambda: b"d5:peersl" + b"de" * 260_000 + b"ee", _refused(_tracker)),
    "50 MB of zeros, packed to 50 KB": Bomb(lambda: _packed(gzip.compress(bytes(50_000_000))), _http),
    "2 GB of zeros, packed twice": Bomb(lambda: _packed(gzip.compress(gzip.compress(bytes(100_000_000)) * 20)), _http),
    "metadata_size of 2^40, 2^63 and 32 MiB": Bomb(
        lambda: b"".join(_extended({"m": {"ut_metadata": 1}, "metadata_size": size}) for size in (1 << 40, (1 << 63) - 1, 32 << 20)),
        _crowd(100),
    ),
    "metadata of 30 MiB, whole and wrong, from five peers": Bomb(lambda: b"", _liars),
    "bitfields of 256 KiB before the metadata": Bomb(lambda: _framed(5, _RNG.randbytes(1 << 18)), _crowd(100)),
    "50,000 Haves each before the metadata": Bomb(
        lambda: b"".join(_framed(4, struct.pack(">I", _RNG.randrange(1 << 21))) for _ in range(50_000)), _crowd(50)
    ),
    "requests without end": Bomb(
        lambda: _framed(2) + _framed(6, struct.pack(">III", 1, 0, 16384)) * 20_000, _crowd(50, magnet=False, seed=True)
    ),
    "rejected requests of fifty peers": Bomb(
        lambda: b"".join(_framed(6, struct.pack(">III", n % 16, n % 4 * 16384, 16384)) for n in range(20_000)), _crowd(50, magnet=False)
    ),
    "peer exchange of 3,000 addresses each": Bomb(
        lambda: _extended({"added": b"".join(_RNG.randbytes(6) for _ in range(3000))}, 2) * 20, _crowd(50, magnet=False)
    ),
    "sixteen extension handshakes of 16 KiB": Bomb(
        lambda: _extended({"m": {f"x{n}": n % 255 for n in range(1600)}}) * 16, _crowd(50, magnet=False)
    ),
}  # fmt: skip

CONTROLS = {"control: three copies at once": Bomb(lambda: b"", _without_bound)}
"""With a defence taken away, it has to be too much."""


class Taken(NamedTuple):
    """What a bomb took: MiB of memory, seconds of CPU, and the MiB that it may take."""

    memory: float
    seconds: float
    most: int


def measure(name: str) -> Taken:
    """Set one off in a process of its own."""
    bomb = {**BOMBS, **CONTROLS}[name]
    with tempfile.NamedTemporaryFile(prefix="tl-bomb-") as file:
        file.write(bomb.make())
        file.flush()
        command = [sys.executable, "-m", "tests.reliability.bombs", name, file.name]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=300)
    if run.returncode:
        raise AssertionError(f"{name}: {run.stderr.decode(errors='replace')[-3000:]}")
    memory, seconds = json.loads(run.stdout)
    return Taken(memory, seconds, bomb.most)


def table(names: list[str]) -> Iterator[str]:
    """A line for each."""
    for name in names or BOMBS:
        memory, seconds, most = measure(name)
        yield f"{name:55} {memory:6.1f} of {most:3} MiB {seconds:6.2f} s{'' if memory <= most else '   TOO MUCH'}"


def status(field: str) -> float:
    """MiB, from the system."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise LookupError(field)


def _child(name: str, path: str) -> None:
    import logging

    logging.getLogger("torrentlite").setLevel(logging.CRITICAL)
    for module in ("tests.strangers", "tests.net.memory", "torrentlite.session", "torrentlite.tracker.client", "torrentlite.net.transport", "torrentlite.dht.node"):  # fmt: skip
        importlib.import_module(module)
    data = pathlib.Path(path).read_bytes()
    light = {**BOMBS, **CONTROLS}[name].light
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    before, began = status("VmRSS"), time.process_time()
    kept = light(data)
    print(json.dumps([status("VmHWM") - before, time.process_time() - began]))
    del kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("path")
    options = parser.parse_args()
    _child(options.name, options.path)
