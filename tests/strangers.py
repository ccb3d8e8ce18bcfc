"""Peers of our own making in the simulated world, and sessions that are looked at closely when they end."""

from __future__ import annotations

import contextlib
import functools
import os
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import trio

import torrentlite as tl
import torrentlite.testing
from torrentlite.blocking.portal import Portal
from torrentlite.errors import NetworkError
from torrentlite.metainfo import merkle
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.metainfo.metainfo import Info
from torrentlite.net.listener import TcpListener
from torrentlite.net.network import RealNetwork, Stream
from torrentlite.swarm.hashserving import HashServer
from torrentlite.testing import SimulatedMachine
from torrentlite.wire import bitfield, messages as wm
from torrentlite.wire.address import Address
from torrentlite.wire.extensions import OUR_IDS
from torrentlite.wire.handshake import HANDSHAKE_SIZE, PROTOCOL, Handshake
from torrentlite.wire.peerwire import PeerWire

simulated = functools.partial(torrentlite.testing.simulated, time_limit=3600)
"""Half of the tests here would hang if they failed: an hour is longer than any of them takes."""


@contextlib.asynccontextmanager
async def session_on(machine: SimulatedMachine, *, bugs: int = 0, **settings: Any) -> AsyncIterator[tl.Session]:
    """A session on a machine. Afterwards nothing of it may be left, and it had no internal error (``bugs``)."""
    sockets = machine.network.sockets
    async with tl.open_session(tl.Settings(**settings), world=machine) as session:
        yield session
        assert session.stats().internal_errors == bugs
    stats = session.stats()
    assert stats.internal_errors == bugs
    assert (stats.peers, stats.half_open, stats.pending_handshakes, stats.piece_memory) == (0, 0, 0, 0)
    assert machine.network.sockets == sockets


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[trio.Nursery]:
    """A nursery for strangers: with the block they end too, and what the block raises leaves unchanged."""
    trouble: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except BaseException as error:
            trouble = error
        nursery.cancel_scope.cancel()
    if trouble is not None:
        raise trouble


def where(machine: SimulatedMachine, session: tl.Session) -> tuple[str, int]:
    """Where a session can be reached from other machines, for ``add_peer``."""
    return machine.network.ip, session.port


async def until(condition: Callable[[], object], within: float = 60) -> None:
    """Wait until something is so; looked at a hundred times a (virtual) second."""
    with trio.fail_after(within):
        while not condition():
            await trio.sleep(0.01)


class Talk:
    """The other side of one connection of a session.

    Attributes:
        heard: all messages it was sent, in order (blocks as bytes).
        ended: the session has closed the connection.
        theirs: the session's handshake.
    """

    def __init__(self, stream: Stream, info: Info | None, *, fast: bool = True, extended: bool = True) -> None:
        self.stream = stream
        self.wire = PeerWire(fast=fast, extended=extended, piece_count=info.layout.piece_count if info else None)
        self.heard: list[Any] = []
        self.ended = False
        self.theirs: Handshake | None = None
        self._new = trio.Event()

    async def say(self, *messages: Any) -> None:
        """Send messages, or bytes as they are. What is said to a closed connection is lost."""
        data = b"".join(message if isinstance(message, bytes) else wm.encode(message) for message in messages)
        try:
            await self.stream.send_vectored([data])
        except NetworkError:
            self.ended = True

    async def greet(self, hello: Handshake | None) -> Handshake | None:
        """Exchange handshakes; None when the session hangs up instead, or tries an encrypted one."""
        if hello is not None:
            await self.say(hello.encode())
        got = b""
        try:
            while len(got) < HANDSHAKE_SIZE:
                buffer = bytearray(HANDSHAKE_SIZE - len(got))
                count = await self.stream.receive_into(memoryview(buffer))
                if not count:
                    raise NetworkError("closed")
                got += buffer[:count]
        except NetworkError:
            self.ended = True
            return None
        if not got.startswith(PROTOCOL):
            self.stream.close()
            self.ended = True
            return None
        self.theirs = Handshake.parse(got)
        return self.theirs

    async def listen(self, react: Callable[[Any], Awaitable[None]] | None = None) -> None:
        """Hear everything until the session hangs up."""
        try:
            while True:
                count = await self.stream.receive_into(self.wire.free())
                if not count:
                    break
                self.wire.hears_pex = True
                for message in self.wire.received(count):
                    if isinstance(message, wm.Piece):
                        message = wm.Piece(message.piece, message.begin, bytes(message.data))  # type: ignore[arg-type]
                    self.heard.append(message)
                    self._new.set()
                    self._new = trio.Event()
                    if react is not None:
                        await react(message)
        except NetworkError:
            pass
        finally:
            self.ended = True
            self._new.set()
            self._new = trio.Event()
            self.stream.close()

    def all(self, kind: type) -> list[Any]:
        """What was heard of one kind."""
        return [message for message in self.heard if type(message) is kind]

    async def hear(self, kind: type, count: int = 1) -> Any:
        """Wait until so many messages of a kind have come (``listen`` has to run); returns the last one."""
        while len(self.all(kind)) < count:
            assert not self.ended, f"hung up before {count} {kind.__name__}: {self.heard[-5:]}"
            await self._new.wait()
        return self.all(kind)[count - 1]

    async def wait_ended(self) -> None:
        """Wait until the session has hung up (``listen`` has to run)."""
        while not self.ended:
            await self._new.wait()

    def extended_handshake(self, **said: Any) -> bytes:
        """An extension handshake; ``metadata_size`` and so on."""
        return self.wire.encode_extended_handshake(wm.ExtendedHandshake(extensions=OUR_IDS, **said))


class Stranger:
    """Somebody with a torrent (or a part of it) and manners of their own. Seeds honestly unless told otherwise.

    Args:
        machine: where it lives.
        info: its torrent.
        data: all bytes of it.
        has: its pieces, as bits; None for all.
        answer: turns a request into the bytes to answer with, or None to say nothing. None: the right ones.
        react: called with each message before anything else; True: it is dealt with.
        opening: what it says after the handshake; None: what it has, and an extension handshake.
        unchokes: whether it lets everybody who is interested ask.
        delay: seconds that each answer takes.

    Attributes:
        talks: its connections, in order.
        answered: blocks that it sent.
        spoiled: of those, the wrong ones.
    """

    def __init__(
        self,
        machine: SimulatedMachine,
        info: Info,
        data: bytes = b"",
        *,
        has: int | None = None,
        answer: Callable[[wm.Request, bytes], bytes | None] | None = None,
        react: Callable[[Talk, Any], Awaitable[bool]] | None = None,
        opening: Callable[[Talk], bytes] | None = None,
        unchokes: bool = True,
        delay: float = 0,
        fast: bool = True,
        extended: bool = True,
        peer_id: bytes = b"",
        metadata: bytes | None = b"",
    ) -> None:
        self.machine = machine
        self.info = info
        self.data = data
        self.has = bitfield.full(info.layout.piece_count) if has is None else has
        self.peer_id = peer_id or b"-XX0001-" + machine.secret(12)
        self.fast = fast
        self.extended = extended
        self.unchokes = unchokes
        self.delay = delay
        self.metadata = info.raw if metadata == b"" else metadata
        self.talks: list[Talk] = []
        self.answered = self.spoiled = 0
        self.port = 0
        self._answer = answer
        self._react = react
        self._opening = opening

    @property
    def place(self) -> tuple[str, int]:
        """For ``add_peer``, when it serves."""
        return self.machine.network.ip, self.port

    @property
    def talk(self) -> Talk:
        """Its last connection."""
        return self.talks[-1]

    @property
    def hello(self) -> Handshake:
        """Its handshake."""
        return Handshake(self.info.hashes.wire, self.peer_id, fast=self.fast, extended=self.extended)

    async def serve(self, nursery: trio.Nursery) -> Stranger:
        """Take calls from now on."""
        (listener,) = await self.machine.network.listen("", 0, fallback=False)
        self.port = listener.address.port

        async def accept() -> None:
            with contextlib.closing(listener):
                while True:
                    nursery.start_soon(self._welcome, await listener.accept())

        nursery.start_soon(accept)
        return self

    async def call(self, nursery: trio.Nursery, place: tuple[str, int]) -> Talk | None:
        """Call a session; None when it hangs up in the handshake."""
        talk = await self.dial(place)
        if await talk.greet(self.hello) is None:
            return None
        nursery.start_soon(self._stay, talk)
        return talk

    async def dial(self, place: tuple[str, int]) -> Talk:
        """Connect and say nothing yet."""
        stream = await self.machine.network.connect(Address(*place))
        talk = Talk(stream, self.info, fast=self.fast, extended=self.extended)
        self.talks.append(talk)
        return talk

    async def _welcome(self, stream: Stream) -> None:
        talk = Talk(stream, self.info, fast=self.fast, extended=self.extended)
        self.talks.append(talk)
        if await talk.greet(self.hello) is not None:
            await self._stay(talk)

    def _hello(self, talk: Talk) -> bytes:
        if self._opening is not None:
            return self._opening(talk)
        count = self.info.layout.piece_count
        said = wm.encode(wm.Bitfield(bitfield.to_wire(self.has, count))) if self.has else b""
        if self.extended:
            said += talk.extended_handshake(
                client="Stranger", metadata_size=len(self.metadata) if self.metadata else None
            )
        return said

    async def _stay(self, talk: Talk) -> None:
        await talk.say(self._hello(talk))
        await talk.listen(lambda message: self._got(talk, message))

    async def _got(self, talk: Talk, message: Any) -> None:
        if self._react is not None and await self._react(talk, message):
            return
        if isinstance(message, wm.Interested) and self.unchokes:
            await talk.say(wm.Unchoke())
        elif isinstance(message, wm.Request):
            await self.send_block(talk, message)
        elif isinstance(message, wm.HashRequest):
            server = HashServer(self.info.layer, merkle.height(self.info.piece_length // BLOCK_SIZE))
            await talk.say(server.answer(message) or message.refusal)
        elif isinstance(message, wm.MetadataRequest) and self.metadata:
            start = message.piece << 14
            part = self.metadata[start : start + (1 << 14)]
            await talk.say(talk.wire.encode_metadata_data(message.piece, len(self.metadata), part))

    async def send_block(self, talk: Talk, request: wm.Request) -> None:
        """Answer a request, as ``answer`` says."""
        start = self.info.layout.offset(request.piece, request.begin)
        right = self.data[start : start + request.length]
        block = right if self._answer is None else self._answer(request, right)
        if block is None:
            return
        if self.delay:
            await trio.sleep(self.delay)
        self.answered += 1
        self.spoiled += block != right
        await talk.say(wm.piece_header(request.piece, request.begin, len(block)) + block)


class _Loopback(RealNetwork):
    ip = "127.0.0.1"

    async def listen(self, host: str, port: int, *, fallback: bool) -> list[TcpListener]:
        return await super().listen(self.ip, port, fallback=fallback)


@contextlib.contextmanager
def on_loopback(info: Info, data: bytes = b"", **manners: Any) -> Iterator[Stranger]:
    """A stranger on this very machine, for real programs; it lives in a thread."""
    machine: Any = types.SimpleNamespace(network=_Loopback(), secret=os.urandom)

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[Stranger]:
        async with background() as nursery:
            yield await Stranger(machine, info, data, **manners).serve(nursery)

    with Portal() as portal, portal.holding(serving()) as stranger:
        yield stranger


async def without_hashes(talk: Talk, message: Any) -> bool:
    """For ``react``: it answers no request for hashes (BEP 52)."""
    return isinstance(message, wm.HashRequest)


def spoil(block: bytes) -> bytes:
    """Other bytes of the same length."""
    return bytes([block[0] ^ 1]) + block[1:]
