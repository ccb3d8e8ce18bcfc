"""Finding peers on the same network (BEP 14), with no server and no waiting.

Everything it hears is hearsay from whoever can send a datagram here: so it counts for torrents only that we announce
ourselves (never private ones, then), only from neighbours, and only so often.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

import trio

from ..errors import ListenError, NetworkError, ProtocolError
from ..strategy.lsd import AnnouncePlan, Gate, same_network
from ..wire import lsd
from ..wire.address import Address, Scope
from .network import Multicast, Network

log = logging.getLogger(__name__)

_COOKIE_BYTES = 8


class LocalDiscovery:
    """Announces torrents to the local network, and hears of others' while ``run`` runs.

    Args:
        network: where datagrams go, on every interface that it uses.
        port: where we listen for peers.
        got_peer: called with the info-hash and address of every peer that is heard of, again and again.
        secret: gives unpredictable bytes, for the cookie by which we know our own announces.

    Attributes:
        sent: announces sent.
        heard: announces of others that were understood.
        dropped: datagrams that were not: no announces, too many, from too far away.
    """

    def __init__(
        self,
        network: Network,
        port: int,
        got_peer: Callable[[bytes, Address], object],
        *,
        secret: Callable[[int], bytes],
    ) -> None:
        self._network = network
        self._port = port
        self._got_peer = got_peer
        self._cookie = secret(_COOKIE_BYTES).hex()
        now = trio.current_time()
        self._plan = AnnouncePlan(now)
        self._gate = Gate(now)
        self._more = trio.Event()
        self.sent = 0
        self.heard = 0
        self.dropped = 0

    def announce(self, info_hashes: Iterable[bytes]) -> None:
        """Announce, and listen for, these torrents from now on and no others (no private ones, BEP 27)."""
        if self._plan.want(info_hashes, trio.current_time()):
            self._more.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Announce and listen until cancelled; ends at once where the system has no multicast."""
        sockets: list[Multicast] = []
        try:
            for group in lsd.GROUPS:
                try:
                    sockets.append(await self._network.open_multicast(group, "", join=True))
                except ListenError as error:
                    log.debug("local discovery: %s", error)
            task_status.started()
            if not sockets:
                log.info("no local discovery: the network has no multicast")
                return
            async with trio.open_nursery() as nursery:
                for socket in sockets:
                    nursery.start_soon(self._listen, socket)
                await self._announce(sockets)
        finally:
            for socket in sockets:
                socket.close()

    async def _announce(self, sockets: list[Multicast]) -> None:
        count = min(lsd.room(group, self._cookie) for group in lsd.GROUPS)
        while True:
            self._more = trio.Event()
            while due := self._plan.take(count, trio.current_time()):
                announce = lsd.Announce(self._port, tuple(due), self._cookie)
                interfaces = sum(socket.send(lsd.encode(socket.group, announce)) for socket in sockets)
                self.sent += 1
                log.debug("announced %d torrents on the local network, %d times", len(due), interfaces)
            until = self._plan.next(trio.current_time())
            with trio.move_on_at(until) if until < math.inf else trio.CancelScope():
                await self._more.wait()

    async def _listen(self, socket: Multicast) -> None:
        while True:
            try:
                received = await socket.receive()
            except NetworkError:  # closed
                return
            for data, sender in received:
                if not self._got_datagram(data, sender):
                    self.dropped += 1

    def _got_datagram(self, data: bytes, sender: Address) -> bool:
        """False: it is dropped."""
        if not self._is_near(sender) or not self._gate.admits(sender.host, trio.current_time()):
            return False
        try:
            announce = lsd.parse(data)
        except ProtocolError:
            return False
        if announce.cookie == self._cookie:
            return True
        self.heard += 1
        for info_hash in announce.info_hashes:
            if info_hash in self._plan:
                self._got_peer(info_hash, Address(sender.host, announce.port))
        return True

    def _is_near(self, sender: Address) -> bool:
        if sender.scope is not Scope.PUBLIC:
            # Those of the link alone are nobody's to connect to; the others do not come from far away.
            return sender.scope is not Scope.FORBIDDEN
        try:
            return same_network(sender.host, self._network.source_for(sender))
        except NetworkError:  # there is no way back
            return False
