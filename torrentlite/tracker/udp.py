"""Asking UDP trackers (BEP 15, 41): connection ids and repetitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..net.udp import UdpPort
from ..wire.address import Address
from . import packets
from .announce import AnnounceReply, AnnounceRequest, ScrapeReply

_MOST_DOUBLINGS = 8  # BEP 15; no limit of ours lets it come to that


class UdpTrackers:
    """All UDP trackers of a session. There is no time limit here: use a cancel scope.

    Args:
        port: where datagrams go and come.
        secret: gives unpredictable bytes; transaction ids keep strangers from answering for the tracker.
    """

    def __init__(self, port: UdpPort, secret: Callable[[int], bytes]) -> None:
        self._port = port
        self._secret = secret
        self._connections: dict[Address, tuple[int, float]] = {}

    async def announce(self, addresses: Sequence[Address], target: str, request: AnnounceRequest) -> AnnounceReply:
        """Announce at one of these addresses of the tracker; the target is path and query of its URL.

        Raises:
            TrackerError: it refuses.
            NetworkError: no datagram can get there.
        """
        reply, address = await self._exchange(
            addresses, lambda connection_id, tid: packets.announce_request(connection_id, tid, request, target)
        )
        return packets.parse_announce(reply, ipv6=address.is_ipv6, scope=address.scope)

    async def scrape(self, addresses: Sequence[Address], info_hashes: Sequence[bytes]) -> dict[bytes, ScrapeReply]:
        """Ask for the counts of up to ``limits.SCRAPE_HASHES_UDP`` torrents; errors as with ``announce``."""
        reply, _ = await self._exchange(
            addresses, lambda connection_id, tid: packets.scrape_request(connection_id, tid, info_hashes)
        )
        return packets.parse_scrape(reply, info_hashes)

    async def _exchange(self, addresses: Sequence[Address], make: Callable[[int, int], bytes]) -> tuple[bytes, Address]:
        """Get a connection id, send the request made with it, repeat what is not answered; the reply and its sender."""
        addresses = [address for address in addresses if self._port.reaches(address)]
        if not addresses:
            raise NetworkError("no UDP of the tracker's address family")
        transaction_id = int.from_bytes(self._secret(4), "big")  # for all repetitions: a late reply counts
        unanswered = 0
        fresh = False
        while True:
            address = addresses[unanswered % len(addresses)]
            connection_id = self._connection_id(address)
            if connection_id is None:
                data = packets.connect_request(transaction_id)
            else:
                data = make(connection_id, transaction_id)
            with trio.move_on_after(limits.UDP_RETRANSMIT * 2 ** min(unanswered, _MOST_DOUBLINGS)) as waited:
                reply = await self._port.request(data, address)
            if waited.cancelled_caught:
                unanswered += 1
            elif connection_id is None:
                self._connected(address, packets.parse_connect(reply))
                fresh = True
            elif packets.is_error(reply) and not fresh:
                # It may have forgotten the id before its time, say by a restart. Others that were refused with the same
                # id may have given it up already, and have a new one.
                if self._connections.get(address, (None, 0.0))[0] == connection_id:
                    del self._connections[address]
            else:
                return reply, address

    def _connection_id(self, address: Address) -> int | None:
        connection_id, since = self._connections.get(address, (0, -limits.CONNECTION_ID_LIFE))
        return connection_id if trio.current_time() - since < limits.CONNECTION_ID_LIFE else None

    def _connected(self, address: Address, connection_id: int) -> None:
        self._connections.pop(address, None)  # to the end of the order
        self._connections[address] = (connection_id, trio.current_time())
        if len(self._connections) > limits.CONNECTION_IDS:
            del self._connections[next(iter(self._connections))]
