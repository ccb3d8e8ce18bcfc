"""The first 68 bytes each way (BEP 3, "peer protocol": the handshake)."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..errors import ProtocolError
from ..limits import HANDSHAKE_TIMEOUT
from ..net.network import Stream
from ..wire.handshake import HANDSHAKE_SIZE, INFO_HASH_END, Handshake, check_prefix, parse_info_hash


async def _fill(stream: Stream, buffer: memoryview, start: int, end: int) -> None:
    """Receive up to ``end``, giving up as soon as the bytes cannot be BitTorrent."""
    while start < end:
        count = await stream.receive_into(buffer[start:end])
        if not count:
            raise ProtocolError("closed during the handshake")
        start += count
        check_prefix(bytes(buffer[:start]))


def _timely() -> trio.CancelScope:
    return trio.move_on_after(HANDSHAKE_TIMEOUT)


async def greet(stream: Stream, ours: Handshake) -> Handshake:
    """Say hello on a connection that we made, and read the answer.

    Raises:
        ProtocolError: not BitTorrent, another torrent, or nothing within the time.
    """
    buffer = memoryview(bytearray(HANDSHAKE_SIZE))
    with _timely():
        await stream.send_vectored([ours.encode()])
        await _fill(stream, buffer, 0, HANDSHAKE_SIZE)
        theirs = Handshake.parse(bytes(buffer))
        if theirs.info_hash != ours.info_hash:
            raise ProtocolError("handshake for another torrent")
        return theirs
    raise ProtocolError("no handshake in time")


async def receive_greeting(stream: Stream, answer: Callable[[bytes], Handshake | None]) -> Handshake:
    """Read the hello of who connected to us, and answer as soon as its info-hash is here.

    Some clients wait for the answer before they send their peer id, so the answer goes out at byte 48.

    Args:
        stream: the connection.
        answer: what is said about an info-hash; None: it is not shared here.

    Raises:
        ProtocolError: not BitTorrent, a torrent that we do not share, or nothing within the time.
    """
    buffer = memoryview(bytearray(HANDSHAKE_SIZE))
    with _timely():
        await _fill(stream, buffer, 0, INFO_HASH_END)
        _, info_hash = parse_info_hash(bytes(buffer[:INFO_HASH_END]))
        ours = answer(info_hash)
        if ours is None:
            raise ProtocolError("handshake for a torrent that is not shared here")
        await stream.send_vectored([ours.encode()])
        await _fill(stream, buffer, INFO_HASH_END, HANDSHAKE_SIZE)
        return Handshake.parse(bytes(buffer))
    raise ProtocolError("no handshake in time")
