"""The first bytes each way: an encrypted handshake (``wire/mse.py``) where there is one, and the 68 bytes (BEP 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from ..errors import NetworkError, ProtocolError
from ..limits import HANDSHAKE_TIMEOUT
from ..net.encrypted import EncryptedStream
from ..net.network import Stream
from ..wire.address import Address
from ..wire.handshake import HANDSHAKE_SIZE, INFO_HASH_END, PROTOCOL, Handshake, check_prefix, parse_info_hash
from ..wire.mse import KEY_SIZE, Agreed, Called, Caller, Method

_RECEIVED_AT_ONCE = 4096  # of an encrypted handshake, whose length nobody knows beforehand


class Host(Protocol):
    """Who is called: what it answers, and how it lets itself be called."""

    @property
    def takes_plain(self) -> bool:
        """Whether a connection may be plain."""

    @property
    def takes_encrypted(self) -> bool:
        """Whether it may be encrypted."""

    def hello(self, info_hash: bytes) -> Handshake | None:
        """What is said about an info-hash; None: it is not shared here."""

    def encrypted(self, caller: Address) -> Called | None:
        """Our side of an encrypted handshake with him; None: not now."""


class UnansweredError(ProtocolError):
    """The other side took the connection, and ended it without a whole answer.

    So does who does not like how it was called. To an encrypted call that may come late: some
    send their key before they look at what we offer.
    """


def _timely() -> trio.CancelScope:
    return trio.move_on_after(HANDSHAKE_TIMEOUT)


async def greet(stream: Stream, ours: Handshake) -> Handshake:
    """Say hello on a connection that we made, and read the answer.

    Raises:
        UnansweredError: there is none.
        ProtocolError: not BitTorrent, another torrent, or nothing within the time.
    """
    with _timely():
        await stream.send_vectored([ours.encode()])
        return await _answer(stream, ours)
    raise ProtocolError("no handshake in time")


async def greet_encrypted(
    stream: Stream, ours: Handshake, offered: Method, secret: Callable[[int], bytes]
) -> tuple[Stream, Handshake]:
    """As ``greet``, by an encrypted handshake; returns also the stream to go on with.

    Raises:
        UnansweredError: nothing came of the encrypted handshake, also within the time.
        ProtocolError: not BitTorrent, or another torrent.
    """
    with _timely():
        caller = Caller(ours.info_hash, offered, ours.encode(), secret)
        try:
            agreed = await _talk(stream, caller)
        except (NetworkError, ProtocolError) as error:
            raise UnansweredError(str(error)) from error
        stream = _over(stream, agreed)
        return stream, await _answer(stream, ours)
    raise UnansweredError("no encrypted handshake in time")


async def receive_greeting(stream: Stream, host: Host) -> tuple[Stream, Handshake]:
    """Read the hello of who connected to us, and answer as soon as its info-hash is here.

    Some clients wait for the answer before they send their peer id, so the answer goes out at byte 48.

    Args:
        stream: the connection.
        host: what is shared here.

    Returns:
        The stream to go on with, and their hello.

    Raises:
        ProtocolError: not BitTorrent, a torrent that we do not share, or nothing within the time.
    """
    with _timely():
        wanted: bytes | None = None
        start = await _plain_or_not(stream)
        if not start.startswith(PROTOCOL):
            if not host.takes_encrypted:
                raise ProtocolError("not the BitTorrent protocol")
            start = await _key(stream, start)
            called = host.encrypted(stream.remote)
            if called is None:
                raise ProtocolError("too many encrypted handshakes")
            agreed = await _talk(stream, called, start)
            stream, wanted = _over(stream, agreed), agreed.info_hash
        elif host.takes_plain:
            stream.unread(start)
        else:
            raise ProtocolError("not encrypted")
        buffer = memoryview(bytearray(HANDSHAKE_SIZE))
        await _fill(stream, buffer, 0, INFO_HASH_END)
        _, info_hash = parse_info_hash(bytes(buffer[:INFO_HASH_END]))
        ours = host.hello(info_hash) if wanted in (None, info_hash) else None
        if ours is None:
            raise ProtocolError("handshake for a torrent that is not shared here")
        await stream.send_vectored([ours.encode()])
        await _fill(stream, buffer, INFO_HASH_END, HANDSHAKE_SIZE)
        return stream, Handshake.parse(bytes(buffer))
    raise ProtocolError("no handshake in time")


async def _answer(stream: Stream, ours: Handshake) -> Handshake:
    buffer = memoryview(bytearray(HANDSHAKE_SIZE))
    await _fill(stream, buffer, 0, HANDSHAKE_SIZE)
    theirs = Handshake.parse(bytes(buffer))
    if theirs.info_hash != ours.info_hash:
        raise ProtocolError("handshake for another torrent")
    return theirs


async def _receive(stream: Stream, room: memoryview) -> int:
    try:
        count = await stream.receive_into(room)
    except NetworkError as error:
        raise UnansweredError(str(error)) from error
    if not count:
        raise UnansweredError("closed during the handshake")
    return count


async def _fill(stream: Stream, buffer: memoryview, start: int, end: int) -> None:
    """Receive up to ``end``, giving up as soon as the bytes cannot be BitTorrent."""
    while start < end:
        start += await _receive(stream, buffer[start:end])
        check_prefix(bytes(buffer[:start]))


async def _plain_or_not(stream: Stream) -> bytes:
    """The first bytes: as many as it takes to know whether they are the protocol's."""
    buffer, size = memoryview(bytearray(len(PROTOCOL))), 0
    while size < len(PROTOCOL) and PROTOCOL.startswith(bytes(buffer[:size])):
        size += await _receive(stream, buffer[size:])
    return bytes(buffer[:size])


async def _key(stream: Stream, start: bytes) -> bytes:
    """The first bytes, and as many more as a key has: with fewer there is nothing to do for us."""
    buffer = memoryview(bytearray(start.ljust(KEY_SIZE, b"\0")))
    size = len(start)
    while size < KEY_SIZE:
        size += await _receive(stream, buffer[size:])
    return bytes(buffer)


async def _talk(stream: Stream, side: Caller | Called, data: bytes = b"") -> Agreed:
    buffer = memoryview(bytearray(_RECEIVED_AT_ONCE))
    while True:
        said = side.received(data)
        if said:
            await stream.send_vectored([said])
        if side.done is not None:
            return side.done
        data = bytes(buffer[: await _receive(stream, buffer)])


def _over(stream: Stream, agreed: Agreed) -> Stream:
    """What the connection goes on with."""
    if agreed.incoming is not None and agreed.outgoing is not None:
        stream = EncryptedStream(stream, agreed.incoming, agreed.outgoing)
    if agreed.rest:
        stream.unread(agreed.rest)
    return stream
