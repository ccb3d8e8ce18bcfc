"""Targets: what peers send, as far as it can be read without a connection."""

from __future__ import annotations

import struct

from tests.fuzz.target import Target
from tests.test_hostile_wire import ROWS
from torrentlite.errors import ProtocolError
from torrentlite.limits import LSD_MAX_HASHES, MAX_BLOCK, MAX_PEX_ENTRIES, MAX_PIECES
from torrentlite.metainfo.text import display
from torrentlite.wire import bitfield, extensions, lsd, messages as wm, utp
from torrentlite.wire.address import Scope, parse_host, read_compact, scope_of, write_compact
from torrentlite.wire.clients import client_name
from torrentlite.wire.handshake import HANDSHAKE_SIZE, Handshake, check_prefix, parse_info_hash
from torrentlite.wire.peerwire import PeerWire

SAID = [said for row in ROWS if len(said := row.said() if callable(row.said) else row.said) <= 20_000]
"""Streams of messages, good and bad, for a torrent of 5 pieces."""
_COUNT = 5
HELLO = Handshake(b"h" * 20, b"-XX0001-" + b"p" * 12, fast=True, extended=True).encode()
WORDS = [
    b"\0\0\0\1\1", b"\0\0\0\5\4\0\0\0\1", b"\0\0\0\2\5\x80", b"\0\0\0\1\x0e", b"\0\0\0\1\x0f", b"\0\0\x00\x03\x14\x00d", b"ut_metadata", b"ut_pex",
    b"metadata_size", b"msg_type", b"piece", b"total_size", b"added", b"added6", b"added.f", b"dropped", b"reqq", b"yourip", b"upload_only",
    struct.pack(">IB32s4I", 49, 21, b"r" * 32, 0, 0, 2, 1), struct.pack(">IB32s4I", 145, 22, b"r" * 32, 0, 0, 2, 1) + bytes(96),
    struct.pack(">IBIII", 13, 6, 0, 0, 16384), struct.pack(">IBII", 9 + 16384, 7, 0, 0), b"\0\0\0\3\x09\1\1",
]  # fmt: skip
_EXTENDED = [
    bytes([number]) + body
    for number in (0, extensions.UT_METADATA, extensions.UT_PEX, extensions.UPLOAD_ONLY, 99)
    for body in (
        b"d1:md11:ut_metadatai1e6:ut_pexi2ee1:pi6881e4:reqqi500e1:v5:a 1.213:metadata_sizei1000e6:yourip4:\1\2\3\4e",
        b"d8:msg_typei0e5:piecei0ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei4eeabcd",
        b"d5:added12:\1\2\3\4\0\5\6\7\x08\x09\0\x0a7:added.f2:\2\0e",
        b"d6:added618:" + bytes(15) + b"\1\0\5e",
        b"1",
    )
]


def _feed(wire: PeerWire, data: bytes) -> None:
    """In parts of all sizes, as sockets do; the parts of the same bytes must not matter."""
    at, step = 0, 1
    while at < len(data):
        room = wire.free()
        size = min(step, len(room), len(data) - at)
        room[:size] = data[at : at + size]
        for message in wire.received(size):
            if isinstance(message, wm.Piece):
                assert 0 < len(message.data) <= MAX_BLOCK
            if isinstance(message, wm.Hashes):
                assert len(message.hashes) == 32 * (message.length + wm.uncle_count(message.length, message.proofs))
                assert wm.encode(message)[5:37] == message.root
            repr(message)
        at += size
        step = step * 3 % 4096 + 1


def _stream(data: bytes) -> None:
    if data:
        _feed(PeerWire(fast=bool(data[0] & 1), extended=bool(data[0] & 2), piece_count=_COUNT), data[1:])


def _early(data: bytes) -> None:
    _feed(PeerWire(fast=True, extended=True), data)


def _split(data: bytes) -> None:
    """The same messages come of it in one part and in many."""
    found = []
    for step in (len(data) or 1, 7):
        wire = PeerWire(fast=True, extended=True, piece_count=_COUNT)
        heard: list[str] = []
        try:
            for at in range(0, len(data), step):
                part = data[at : at + step]
                while part:
                    room = wire.free()
                    size = min(len(room), len(part))
                    room[:size] = part[:size]
                    heard += [
                        repr((m.piece, m.begin, bytes(m.data))) if isinstance(m, wm.Piece) else repr(m)
                        for m in wire.received(size)
                    ]
                    part = part[size:]
        except ProtocolError:
            heard.append("refused")
        found.append(heard)
    if "refused" in found[0]:  # what stood before it in the same part is not handed out
        assert found[1][-1] == "refused"
    else:
        assert found[0] == found[1]


def _extended(data: bytes) -> None:
    if not data:
        return
    message = extensions.parse_extended(data[0], data[1:])
    if isinstance(message, wm.ExtendedHandshake):
        assert message.client == display(message.client)
        assert message.port is None or 0 < message.port < 65536
    if isinstance(message, wm.Pex):
        assert len(message.added) <= 2 * MAX_PEX_ENTRIES
        again = extensions.parse_extended(extensions.UT_PEX, extensions.encode_pex(1, message)[6:])
        assert isinstance(again, wm.Pex)
        assert set(again.added) == set(message.added)


def _handshake(data: bytes) -> None:
    whole = Handshake.parse(data[:HANDSHAKE_SIZE])
    check_prefix(data[: len(data) % 21])
    assert parse_info_hash(data)[1] == whole.info_hash
    assert Handshake.parse(whole.encode()) == whole
    client_name(whole.peer_id)


def _address(data: bytes) -> None:
    for ipv6 in (False, True):
        addresses = read_compact(data, ipv6=ipv6)
        assert len(addresses) <= len(data) // 6
        for address in addresses:
            assert parse_host(address.host) == address.host
        mine = [address for address in addresses if address.is_ipv6 is ipv6]
        assert read_compact(write_compact(mine, ipv6=ipv6), ipv6=ipv6) == mine
    text = data.decode("latin-1")
    host = parse_host(text)
    if host is not None:
        assert parse_host(host) == host
        assert isinstance(scope_of(host), Scope)


def _bitfield(data: bytes) -> None:
    count = int.from_bytes(data[:2], "big")
    pieces = bitfield.from_wire(data[2:], count)
    assert bitfield.to_wire(pieces, count) == data[2:]
    assert bitfield.of(bitfield.members(pieces)) == pieces
    assert count <= MAX_PIECES


def _client(data: bytes) -> None:
    name = client_name(data[:20].ljust(20, b"\0"))
    assert name == display(name)
    assert len(name) < 80


def _utp(data: bytes) -> None:
    packet = utp.parse(data) if utp.is_packet(data) else None
    if packet is None:
        return
    assert len(utp.refuse(packet)) <= len(data)
    assert packet.sack < 1 << 8 * utp.MAX_SACK
    assert utp.parse(utp.encode(*packet[:-1]) + packet.payload) == packet


def _lsd(data: bytes) -> None:
    announce = lsd.parse(data)
    assert 0 < announce.port < 65536
    assert 0 < len(announce.info_hashes) <= LSD_MAX_HASHES
    again = lsd.parse(lsd.encode(lsd.GROUPS[0], announce._replace(cookie="", info_hashes=announce.info_hashes[:20])))
    assert again.port == announce.port


TARGETS = [
    Target("wire.stream", _stream, [b"\3" + said for said in SAID], (ProtocolError,), 20_000, WORDS),
    Target("wire.before-metadata", _early, SAID, (ProtocolError,), 20_000, WORDS),
    Target("wire.in-parts", _split, SAID, (), 20_000, WORDS),
    Target("wire.extended", _extended, _EXTENDED, (ProtocolError,), 17_000, WORDS),
    Target("wire.handshake", _handshake, [HELLO, HELLO[:48], bytes(68), b"\x13BitTorrent protocol" + b"\xff" * 48], (ProtocolError,), 100),
    Target("wire.address", _address, [b"\1\2\3\4\0\5", bytes(18), b"::1", b"10.0.0.1", b"fe80::1%eth0", b"::ffff:1.2.3.4", bytes(10) + b"\xff\xff\1\2\3\4\0\5"]),
    Target("wire.bitfield", _bitfield, [b"\0\5\xf8", b"\0\5\xff", b"\0\0", b"\1\0" + bytes(32)], (ProtocolError,)),
    Target("wire.clients", _client, [b"-TR3000-" + bytes(12), b"M7-4-2--" + bytes(12), b"S58B-----" + bytes(11), b"-Tl0100-" + bytes(12), b"-\xff\xfe00-"], (), 40),
    Target("wire.utp", _utp, [b"\x41\0\1\2" + bytes(16), b"\x41" + bytes(30), b"\x11" + bytes(19)], (), 200),
    Target("wire.lsd", _lsd, [lsd.encode(lsd.GROUPS[0], lsd.Announce(6881, (b"h" * 20, b"i" * 20), "c00kie")), b"BT-SEARCH * HTTP/1.1\r\n\r\n"], (ProtocolError,), 2000, [b"Port: ", b"Infohash: ", b"cookie: ", b"\r\n"]),
]  # fmt: skip
