"""A scripted peer: one process that seeds to many connections, or asks for blocks one by one and times the answers.

It is neither torrentlite nor libtorrent, so both are measured against the same thing.

``python -m benchmarks.scripted seed TORRENT FILE|zeros [RATE]`` prints its port. It listens on every 127.x.y.z, so to
who is told of 127.0.1.1, 127.0.1.2, … it is as many peers. ``zeros``: all bytes of the torrent are zero, and nothing is
read. RATE: bytes per second for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import pathlib
import random
import struct
import sys
import time

import torrentlite
from torrentlite.metainfo.info import Info
from torrentlite.wire import messages as wm
from torrentlite.wire.handshake import Handshake
from torrentlite.wire.peerwire import PeerWire

from .roles import usage

BLOCK = 16 << 10
_NUMBER = struct.Struct(">I")
_BLOCK = struct.Struct(">III")


def info_of(torrent: pathlib.Path) -> Info:
    """The info dictionary in a .torrent."""
    return torrentlite.Metainfo.from_bytes(torrent.read_bytes()).info


class _Seed(asyncio.BufferedProtocol):
    """One connection that is served: handshake, "I have all", unchoke, and then every request at once, in order."""

    def __init__(self, hello: bytes, data: memoryview, piece_length: int, rate: float) -> None:
        self._hello = hello
        self._data = data
        self._piece_length = piece_length
        self._rate = rate
        self._buffer = bytearray(64 << 10)
        self._kept = 0
        self._greeted = False
        self._full = False
        self._due = 0.0
        self._wanted: list[tuple[int, int, int]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 20)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._kept :]

    def buffer_updated(self, nbytes: int) -> None:
        end, at = self._kept + nbytes, 0
        if not self._greeted:
            if end < 68:
                self._kept = end
                return
            self._greeted = True
            at = 68
            self._transport.write(self._hello + wm.encode(wm.HaveAll()) + wm.encode(wm.Unchoke()))
        while end - at >= 4:
            (length,) = _NUMBER.unpack_from(self._buffer, at)
            if end - at < 4 + length:
                break
            if length == 13 and self._buffer[at + 4] == 6:
                self._wanted.append(_BLOCK.unpack_from(self._buffer, at + 5))
            at += 4 + length
        self._buffer[: end - at] = self._buffer[at:end]
        self._kept = end - at
        self._serve()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._serve()

    def _serve(self) -> None:
        while self._wanted and not self._full and not self._transport.is_closing():
            if self._rate:
                loop = asyncio.get_running_loop()
                now = loop.time()
                if self._due > now:
                    loop.call_at(self._due, self._serve)
                    return
                self._due = max(self._due, now - 0.05) + BLOCK / self._rate
            batch = self._wanted[: 1 if self._rate else 16]
            del self._wanted[: len(batch)]
            parts: list[bytes | memoryview] = []
            for piece, begin, length in batch:
                at = piece * self._piece_length + begin if len(self._data) > 1 << 18 else 0
                parts += (wm.piece_header(piece, begin, length), self._data[at : at + length])
            self._transport.writelines(parts)


async def seed(info: Info, what: str, rate: float) -> None:
    """Serve until stdin closes."""
    hello = Handshake(info.hashes.wire, b"-XX0000-" + random.randbytes(12), fast=True, extended=False).encode()
    with contextlib.ExitStack() as stack:
        data = memoryview(bytes(1 << 18))
        if what != "zeros":
            file = stack.enter_context(pathlib.Path(what).open("rb"))  # noqa: ASYNC230  (before anybody is served)
            data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Seed(hello, data, info.layout.piece_length, rate), "0.0.0.0", 0, backlog=1000
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()
        print(json.dumps(usage()), flush=True)


class Asker:
    """A connection that asks a seed for blocks; the seed must unchoke who is interested."""

    def __init__(self, torrent: pathlib.Path, port: int) -> None:
        self.info = info_of(torrent)
        self.port = port

    async def open(self) -> None:
        """Connect, greet, be interested, wait for unchoke."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        peer_id = b"-XX0000-" + random.randbytes(12)
        hello = Handshake(self.info.hashes.wire, peer_id, fast=True, extended=False).encode()
        self._writer.write(hello + wm.encode(wm.HaveNone()) + wm.encode(wm.Interested()))
        await self._reader.readexactly(68)
        self._wire = PeerWire(fast=True, extended=False, piece_count=self.info.layout.piece_count)
        while not any(isinstance(message, wm.Unchoke) for message in await self.receive()):
            pass

    async def receive(self) -> list[wm.Message]:
        """The messages that come next."""
        room = self._wire.free()
        data = await self._reader.read(len(room))
        if not data:
            raise ConnectionError("the seed has closed the connection")
        room[: len(data)] = data
        return self._wire.received(len(data))

    def ask(self, blocks: list[tuple[int, int, int]]) -> None:
        """Send requests."""
        self._writer.write(wm.encode_requests(blocks))

    async def time_one(self, block: tuple[int, int, int]) -> float:
        """Ask for one block; seconds until it is here."""
        started = time.perf_counter()
        self.ask([block])
        while not any(isinstance(message, wm.Piece) for message in await self.receive()):
            pass
        return time.perf_counter() - started


if __name__ == "__main__":
    _role, _torrent, _what, *_rate = sys.argv[1:]
    asyncio.run(seed(info_of(pathlib.Path(_torrent)), _what, float(_rate[0]) if _rate else 0.0))
