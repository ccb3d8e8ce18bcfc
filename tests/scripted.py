"""A peer of our own making on a real socket, for tests that must see, or spoil, every message."""

import contextlib
from collections.abc import AsyncIterator, Callable

import trio

from torrentlite.metainfo.metainfo import Info
from torrentlite.wire import bitfield, messages as wm
from torrentlite.wire.handshake import HANDSHAKE_SIZE, Handshake
from torrentlite.wire.peerwire import PeerWire


async def read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive_some(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class ScriptedSeed:
    """Serves a torrent over TCP and notes what it is told and asked.

    Attributes:
        told: pieces that connected peers said they have (Have and Bitfield), one set a connection, in order.
        asked: pieces of the requests, one list a connection, in order.
    """

    def __init__(self, info: Info, data: bytes, *, rate: float = 0, spoil: Callable[[wm.Request], bool] | None = None):
        self.info = info
        self.data = data
        self.rate = rate
        self.spoil = spoil or (lambda request: False)
        self.told: list[set[int]] = []
        self.asked: list[list[int]] = []
        self.spoiled = 0
        self.sent = 0
        self.peer_id = b"-XX0001-" + bytes(12)
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["ScriptedSeed"]:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listeners[0].socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        with contextlib.suppress(EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
            Handshake.parse(await read_exactly(stream, HANDSHAKE_SIZE))
            hello = Handshake(self.info.hashes.wire, self.peer_id, fast=True, extended=True)
            await stream.send_all(hello.encode() + wm.encode(wm.HaveAll()) + wm.encode(wm.Unchoke()))
            count = self.info.layout.piece_count
            wire = PeerWire(fast=True, extended=True, piece_count=count)
            told: set[int] = set()
            asked: list[int] = []
            self.told.append(told)
            self.asked.append(asked)
            while True:
                room = wire.free()
                part = await stream.receive_some(min(len(room), 65536))
                if not part:
                    return
                room[: len(part)] = part
                for message in wire.received(len(part)):
                    if isinstance(message, wm.Have):
                        told.add(message.piece)
                    elif isinstance(message, wm.Bitfield):
                        told.update(bitfield.members(bitfield.from_wire(message.data, count)))
                    elif isinstance(message, wm.HaveAll):
                        told.update(range(count))
                    elif isinstance(message, wm.Request):
                        asked.append(message.piece)
                        await self._answer(stream, message)

    async def _answer(self, stream: trio.SocketStream, request: wm.Request) -> None:
        start = self.info.layout.offset(request.piece, request.begin)
        block = self.data[start : start + request.length]
        if self.spoil(request):
            self.spoiled += 1
            block = bytes([block[0] ^ 1]) + block[1:]
        if self.rate:
            await trio.sleep(len(block) / self.rate)
        self.sent += len(block)
        await stream.send_all(wm.piece_header(request.piece, request.begin, len(block)) + block)
