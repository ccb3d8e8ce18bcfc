"""uTP packets: 20 bytes of header, extensions, and a part of the stream (BEP 29, "header format")."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

DATA: Final = 0
FIN: Final = 1
STATE: Final = 2
RESET: Final = 3
SYN: Final = 4

_VERSION: Final = 1
_SACK: Final = 1
_FIRST: Final = tuple(bytes((kind << 4 | _VERSION,)) for kind in range(SYN + 1))
_SEQ: Final = 16
_HEADER: Final = struct.Struct(">BBHIIIHH")
HEADER_SIZE: Final = _HEADER.size
MAX_SACK: Final = 64
"""Bytes of a selective acknowledgement: 512 packets. What lies further ahead is acknowledged when a hole is filled."""
WRAP: Final = 0xFFFF
"""Sequence numbers and connection ids are counted modulo this and one."""
MICROSECONDS: Final = 0xFFFF_FFFF
"""So are times."""


class Packet(NamedTuple):
    """One packet.

    Attributes:
        kind: DATA, FIN, STATE, RESET or SYN.
        connection_id: under which its receiver knows the connection; of a SYN under which its sender does.
        timestamp: microseconds when it was sent, on its sender's clock.
        delay: microseconds between the sending and the coming of what its sender got last, by both their clocks.
        window: bytes that its sender has room for.
        seq: its number; of a STATE that of the next packet with data.
        ack: the number up to which its sender has everything.
        sack: what it has beyond a hole: bit ``i`` is packet ``ack + 2 + i``.
        payload: a part of the stream.
    """

    kind: int
    connection_id: int
    timestamp: int
    delay: int
    window: int
    seq: int
    ack: int
    sack: int = 0
    payload: bytes = b""


def is_packet(data: bytes) -> bool:
    """Whether a datagram is one, by its first byte: no DHT message and no tracker's reply has it so."""
    return len(data) >= HEADER_SIZE and data[0] & 0x0F == _VERSION and data[0] >> 4 <= SYN


def parse(data: bytes) -> Packet | None:
    """Read a datagram that ``is_packet``; None where its extensions do not fit into it."""
    first, extension, connection_id, timestamp, delay, window, seq, ack = _HEADER.unpack_from(data)
    start, sack = HEADER_SIZE, 0
    while extension:
        if start + 2 > len(data):
            return None
        following, size = data[start], data[start + 1]
        end = start + 2 + size
        if end > len(data):
            return None
        if extension == _SACK:
            # "The bitmask has reverse byte order": the lowest bit of its first byte comes first.
            sack = int.from_bytes(data[start + 2 : min(end, start + 2 + MAX_SACK)], "little")
        extension, start = following, end
    return Packet(first >> 4, connection_id, timestamp, delay, window, seq, ack, sack, data[start:])


def encode(
    kind: int, connection_id: int, timestamp: int, delay: int, window: int, seq: int, ack: int, sack: int = 0
) -> bytes:
    """A packet up to where its payload follows."""
    header = _HEADER.pack(kind << 4 | _VERSION, _SACK if sack else 0, connection_id, timestamp, delay, window, seq, ack)
    if not sack:
        return header
    # "In multiples of 32 bits", and "at least 32 bits".
    size = min(-(-sack.bit_length() // 32) * 4, MAX_SACK)
    return header + bytes((0, size)) + (sack & (1 << 8 * size) - 1).to_bytes(size, "little")


def series(header: bytes, packets: Iterable[tuple[int, int, bytes | memoryview]]) -> list[bytes]:
    """Packets that are sent together: by kind, number and payload; all else is as ``encode`` made it for the first."""
    middle, end = header[1:_SEQ], header[_SEQ + 2 :]
    return [b"".join((_FIRST[kind], middle, seq.to_bytes(2, "big"), end, payload)) for kind, seq, payload in packets]


def refuse(packet: Packet) -> bytes:
    """The reset that answers a packet of no connection, and is no longer than it. Least of all answer a reset by one.

    The connection id is given back: under the id of a SYN its sender receives, and of what else it sends it knows that
    the other end knows it so.
    """
    # It has nothing to say of time: the sender's own goes back.
    return encode(RESET, packet.connection_id, packet.timestamp, 0, 0, 0, packet.seq)
