"""Targets: uTP packets, at a port that has connections of all kinds."""

from __future__ import annotations

import random

import trio
import trio.testing

from tests.fuzz.target import Target
from tests.net.memory import MemoryDatagrams
from torrentlite import limits
from torrentlite.errors import NetworkError
from torrentlite.net.udp import UdpPort
from torrentlite.utp.port import Utp
from torrentlite.utp.stream import UtpStream
from torrentlite.wire import utp
from torrentlite.wire.address import Address

_PEERS = [Address("192.0.2.7", 6881), Address("192.0.2.8", 6881), Address("2001:db8::7", 6881), Address("0.0.0.0", 1)]
_HEAD = 2


async def _listen(data: bytes) -> None:
    """Datagrams with two bytes before each: who sends it, what is done then, and its length; ours are ``_PEERS``.

    The number that a packet acknowledges is added to the last of ours to its sender: who sees what we send says things
    that get further. Streams that have arrived are read, written to and closed as those two bytes say.
    """
    asked: dict[Address, int] = {}

    def server(said: bytes, to: Address) -> list[tuple[bytes, Address]]:
        packet = utp.parse(said)
        assert packet is not None
        asked[to] = packet.seq - (packet.kind == utp.STATE)
        return []

    sockets = [MemoryDatagrams(server, ipv6=ipv6) for ipv6 in (False, True)]
    port = Utp(UdpPort(sockets), secret=random.Random(1).randbytes, source=lambda _: "192.0.2.9")
    streams: list[UtpStream] = []
    buffer = memoryview(bytearray(1 << 16))

    async def call() -> None:
        try:
            streams.append(await port.connect(_PEERS[0]))
        except NetworkError:
            pass

    heard = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.run)
        nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        at = 0
        while at + _HEAD <= len(data):
            deed, size = data[at], data[at + 1] * 8
            datagram = data[at + _HEAD : at + _HEAD + size]
            at += _HEAD + size
            peer = _PEERS[deed & 3]
            if utp.is_packet(datagram):
                ack = (int.from_bytes(datagram[18:20], "big") + asked.get(peer, 0)) & utp.WRAP
                port.got(datagram[:18] + ack.to_bytes(2, "big") + datagram[20:], peer)
                heard += 1
            if deed & 4:
                port.flush()
            if deed & 8:
                await trio.sleep((deed >> 4) * 0.3)
            while port._arrived:
                streams.append(await port.accept())
            with trio.move_on_after(0.05):
                try:
                    for stream in streams:
                        if deed & 16:
                            await stream.receive_into(buffer)
                        if deed & 32:
                            await stream.send_vectored([b"x" * 3000])
                        if deed & 64:
                            stream.close()
                except NetworkError:
                    streams.remove(stream)
                    stream.close()
            assert len(port) <= heard + 1
        port.flush()  # which follows every batch
        sent = sum(len(datagram) for socket in sockets for _, datagram, _ in socket.sent)
        assert sent <= len(data) * 200 + 100_000
        nursery.cancel_scope.cancel()
        for stream in streams:
            stream.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(port.run)
        await trio.sleep(limits.UTP_GIVE_UP + limits.UTP_LINGER)
        assert not port._called
        assert not port._touched
        nursery.cancel_scope.cancel()
    port.close()
    assert len(port) == 0


def _port(data: bytes) -> None:
    trio.run(_listen, data, clock=trio.testing.MockClock(autojump_threshold=0))


def _said(*packets: bytes, deed: int = 4) -> bytes:
    padded = (packet.ljust(-(-len(packet) // 8) * 8, b"-") for packet in packets)
    return b"".join(bytes([deed, len(packet) // 8]) + packet for packet in padded)


def _packet(kind: int, connection_id: int, seq: int = 1, ack: int = 0, sack: int = 0) -> bytes:
    return utp.encode(kind, connection_id, 1, 2, 1 << 20, seq, ack, sack)


_OURS = int.from_bytes(random.Random(1).randbytes(2), "big")
_CALL = _packet(utp.SYN, 500)
_HELLO = _packet(utp.DATA, 501, 2) + b"hello"
_ANSWER = _packet(utp.STATE, _OURS, 900)
_SEEDS = [
    _said(_CALL),
    _said(_CALL, _HELLO, _packet(utp.FIN, 501, 3)),
    _said(_CALL, _HELLO, _packet(utp.RESET, 501, 3)),
    _said(_CALL, _HELLO, _packet(utp.STATE, 501, 3, 0, 7), deed=4 | 32) + _said(_packet(utp.STATE, 501, 3), deed=0xFC),
    _said(_CALL, _packet(utp.RESET, 501, 2), _CALL, _packet(utp.RESET, 501, 2)),
    _said(_CALL, _HELLO, _packet(utp.DATA, 501, 9) + bytes(1000), deed=4 | 16 | 64),
    _said(_ANSWER),
    _said(_ANSWER, _packet(utp.DATA, _OURS, 900) + b"hello", _packet(utp.FIN, _OURS, 901), deed=4 | 16 | 32),
    _said(_packet(utp.RESET, _OURS), _packet(utp.DATA, 77)),
    _said(_CALL, deed=5) + _said(_CALL, deed=6) + _said(_CALL, deed=7),
]
_WORDS = [
    _CALL,
    _HELLO,
    _ANSWER,
    b"\x01\x00\x01\xf5",
    b"\x41\x00",
    b"\x31\x00",
    b"\0\x04\xff\xff\xff\xff",
    _OURS.to_bytes(2, "big"),
]

TARGETS = [Target("utp.port", _port, _SEEDS, (), 6000, _WORDS)]
