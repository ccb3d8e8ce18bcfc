"""The first 68 bytes of a connection (BEP 3, "peer protocol").

They can be judged as they arrive: ``check_prefix`` on the first few, ``parse_info_hash`` on the first 48, so that the
side that was called can answer before the caller's peer id is there (some callers wait for that), and
``Handshake.parse`` on all of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..errors import ProtocolError

PROTOCOL: Final = b"\x13BitTorrent protocol"
"""What every connection begins with: a length and a name."""
INFO_HASH_END: Final = 48
"""Bytes until the info-hash is complete."""
HANDSHAKE_SIZE: Final = 68

# Bits of the eight reserved bytes, read as one big-endian number.
_FAST: Final = 0x04  # BEP 6: reserved[7] |= 0x04
_EXTENDED: Final = 0x10 << 16  # BEP 10: reserved[5] & 0x10
_DHT: Final = 0x01  # BEP 5: "the last bit of the 8-byte reserved flags"
_V2: Final = 0x10  # BEP 52: "the 4th most significant bit in the last byte"


class Handshake(NamedTuple):
    """What one side says first.

    Attributes:
        info_hash: 20 bytes, the torrent that this connection is about.
        peer_id: 20 bytes that the sender chose for itself.
        fast: it speaks the fast extension (BEP 6), which holds if both sides say so.
        extended: it speaks the extension protocol (BEP 10), which holds if both sides say so.
        dht: it has a DHT node (BEP 5).
        v2: it knows the torrent as one of v2 (BEP 52). Where ``info_hash`` is that of v1 the other side may answer with
            the v2 one, and then both speak of that; ours say so of torrents that they know by their v2 hash alone.
    """

    info_hash: bytes
    peer_id: bytes
    fast: bool = False
    extended: bool = False
    dht: bool = False
    v2: bool = False

    def encode(self) -> bytes:
        """The 68 bytes.

        Raises:
            ValueError: ``info_hash`` or ``peer_id`` is not 20 bytes long.
        """
        if len(self.info_hash) != 20 or len(self.peer_id) != 20:
            raise ValueError("info_hash and peer_id are 20 bytes each")
        reserved = _FAST * self.fast | _EXTENDED * self.extended | _DHT * self.dht | _V2 * self.v2
        return PROTOCOL + reserved.to_bytes(8, "big") + self.info_hash + self.peer_id

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Handshake:
        """Read the 68 bytes. Reserved bits that we do not know are ignored: they belong to extensions to come.

        Raises:
            ProtocolError: this is not a BitTorrent handshake.
        """
        if len(data) != HANDSHAKE_SIZE:
            raise ProtocolError(f"handshake of {len(data)} bytes")
        reserved, info_hash = parse_info_hash(data)
        bits = int.from_bytes(reserved, "big")
        return cls(
            info_hash=info_hash,
            peer_id=bytes(data[INFO_HASH_END:]),
            fast=bool(bits & _FAST),
            extended=bool(bits & _EXTENDED),
            dht=bool(bits & _DHT),
            v2=bool(bits & _V2),
        )


def check_prefix(data: bytes | bytearray) -> None:
    """Check the first bytes of a connection, however few or many have come.

    Raises:
        ProtocolError: whatever follows, this cannot become a BitTorrent handshake.
    """
    start = bytes(data[: len(PROTOCOL)])
    if not PROTOCOL.startswith(start):
        raise ProtocolError("not the BitTorrent protocol")


def parse_info_hash(data: bytes | bytearray) -> tuple[bytes, bytes]:
    """The eight reserved bytes and the info-hash, from the first 48 bytes or more.

    Raises:
        ProtocolError: this is not a BitTorrent handshake, or less than 48 bytes of one.
    """
    check_prefix(data)
    if len(data) < INFO_HASH_END:
        raise ProtocolError(f"handshake cut off after {len(data)} bytes")
    return bytes(data[20:28]), bytes(data[28:INFO_HASH_END])
