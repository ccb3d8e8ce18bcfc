"""The UDP side of a simulated tracker (BEP 15, 41), by callbacks."""

from __future__ import annotations

import random
import struct
from typing import Final

import trio

from ..wire.address import Address, write_compact
from .datagrams import SimulatedDatagrams
from .swarms import Announce, Swarms

_PROTOCOL: Final = 0x41727101980
_CONNECT, _ANNOUNCE, _SCRAPE, _ERROR = range(4)
_EVENTS: Final = ("", "completed", "started", "stopped")
_ID_LIFE: Final = 120.0  # seconds; BEP 15: "accept connection ids until two minutes after it has been sent"


class UdpFace:
    """Answers datagrams for a tracker.

    Args:
        swarms: whose answers they are.
        rng: makes connection ids.

    Attributes:
        sockets: where answers leave, one per family.
    """

    def __init__(self, swarms: Swarms, rng: random.Random) -> None:
        self._swarms = swarms
        self._rng = rng
        self._ids: dict[tuple[str, int], float] = {}  # (host, connection id): until when it holds
        self.sockets: list[SimulatedDatagrams] = []

    def got_datagram(self, data: bytes, sender: Address) -> None:
        """Answer one; what makes no sense gets no answer."""
        if self._swarms.silent or len(data) < 16:
            return
        connection, action, transaction = struct.unpack_from(">QII", data)
        answer: tuple[int, bytes]
        if action == _CONNECT and connection == _PROTOCOL:
            answer = _CONNECT, struct.pack(">Q", self._new_id(sender.host))
        elif self._ids.get((sender.host, connection), 0) < trio.current_time():
            answer = _ERROR, b"unknown connection id"
        elif self._swarms.failure:
            answer = _ERROR, self._swarms.failure.encode()
        elif action == _ANNOUNCE and len(data) >= 98:
            answer = _ANNOUNCE, self._announce(data, sender)
        elif action == _SCRAPE:
            hashes = [data[start : start + 20] for start in range(16, len(data) - 19, 20)]
            answer = _SCRAPE, b"".join(self._scrape(each) for each in hashes)
        else:
            return
        code, body = answer
        socket = next(socket for socket in self.sockets if socket.address.is_ipv6 == sender.is_ipv6)
        socket.send(struct.pack(">II", code, transaction) + body, sender)

    def _new_id(self, host: str) -> int:
        now = trio.current_time()
        self._ids = {key: until for key, until in self._ids.items() if until >= now}
        number = self._rng.getrandbits(64)
        self._ids[host, number] = now + _ID_LIFE
        return number

    def _announce(self, data: bytes, sender: Address) -> bytes:
        info_hash, peer_id, downloaded, left, uploaded, event, _, _, numwant, port = struct.unpack_from(
            ">20s20sQQQIIIiH", data, 16
        )
        reply = self._swarms.announce(
            Announce(
                moment=trio.current_time(),
                peer=Address(sender.host, port),
                peer_id=peer_id,
                info_hash=info_hash,
                event=_EVENTS[event] if event < len(_EVENTS) else "",
                left=left,
                uploaded=uploaded,
                downloaded=downloaded,
                numwant=50 if numwant < 0 else numwant,
                scheme="udp",
            )
        )
        head = struct.pack(">III", reply.interval, reply.leechers, reply.seeders)
        return head + write_compact(reply.peers, ipv6=sender.is_ipv6)

    def _scrape(self, info_hash: bytes) -> bytes:
        seeders, leechers, completed = self._swarms.scrape(info_hash)
        return struct.pack(">III", seeders, completed, leechers)
