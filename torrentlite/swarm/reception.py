"""Who connects to us: say hello, find the torrent, hand the stream over."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable

import trio

from ..errors import NetworkError, ProtocolError
from ..limits import MAX_PENDING_HANDSHAKES, MAX_PENDING_PER_IP, MSE_PER_SECOND, MSE_PER_SECOND_AND_IP
from ..net.network import Listener, Stream
from ..wire.address import Address, Scope
from ..wire.handshake import Handshake
from ..wire.mse import Called
from .commons import Commons
from .crew import Crew
from .greeting import receive_greeting
from .life import Life

log = logging.getLogger("torrentlite")


class Reception:
    """Accepts connections and keeps those that have not said hello yet.

    There is room for a bounded number of them. When it is full the *oldest* has to go, not the newest: thousands of
    silent connections then cannot keep a real peer out for longer than it takes to say hello.

    Args:
        find: the torrent of an info-hash that takes peers now, or None.
        torrents: all torrents.
    """

    def __init__(
        self,
        commons: Commons,
        crew: Crew,
        find: Callable[[bytes], Life | None],
        torrents: Callable[[], Iterable[Life]],
    ) -> None:
        self._commons = commons
        self._crew = crew
        self._find = find
        self._torrents = torrents
        self._second = 0
        self._encrypted: list[str] = []  # who came so in that second
        self._pending: dict[Stream, trio.CancelScope] = {}
        self._per_ip: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._pending)

    async def serve(self, listener: Listener) -> None:
        """Accept until the listener is closed, by whoever opened it."""
        while True:
            try:
                stream = await listener.accept()
            except NetworkError as error:
                log.debug("stopped listening on %s: %s", listener.address, error)
                return
            self._take(stream)
            del stream  # or the one that came last would be kept until the next one comes

    def _take(self, stream: Stream) -> None:
        host = stream.remote.host
        if stream.remote.scope is Scope.PUBLIC and self._per_ip.get(host, 0) >= MAX_PENDING_PER_IP:
            stream.close()
            return
        if len(self._pending) >= MAX_PENDING_HANDSHAKES:
            oldest = next(iter(self._pending))
            self._forget(oldest).cancel()
            oldest.close()
        scope = self._crew.start(self._greet, stream, name=f"hello {stream.remote}")
        if scope is None:
            stream.close()
            return
        self._pending[stream] = scope
        self._per_ip[host] = self._per_ip.get(host, 0) + 1

    def _forget(self, stream: Stream) -> trio.CancelScope:
        scope = self._pending.pop(stream)
        host = stream.remote.host
        self._per_ip[host] -= 1
        if not self._per_ip[host]:
            del self._per_ip[host]
        return scope

    # -- for ``receive_greeting`` ------------------------------------------------------------------------------------

    @property
    def takes_plain(self) -> bool:
        """See ``Host``."""
        return self._commons.encryption.takes_plain

    @property
    def takes_encrypted(self) -> bool:
        """See ``Host``."""
        return self._commons.encryption.takes_encrypted

    def hello(self, info_hash: bytes) -> Handshake | None:
        """See ``Host``."""
        torrent = self._find(info_hash)
        return torrent.swarm.hello if torrent is not None else None

    def encrypted(self, caller: Address) -> Called | None:
        """See ``Host``."""
        second = int(trio.current_time())
        if second != self._second:
            self._second, self._encrypted = second, []
        network, before = _network(caller), len(self._encrypted)
        most = MSE_PER_SECOND if caller.scope is not Scope.PUBLIC else MSE_PER_SECOND_AND_IP
        if before >= MSE_PER_SECOND // 2:
            most = 1  # what is left is for those who have had nothing
        if before >= MSE_PER_SECOND or self._encrypted.count(network) >= most:
            return None
        self._encrypted.append(network)
        return Called(self._find_marked, self._commons.encryption.choose, self._commons.world.secret)

    def _find_marked(self, mark: bytes) -> bytes | None:
        return next((life.hashes.wire for life in self._torrents() if life.mark == mark and life.knows()), None)

    async def _greet(self, stream: Stream) -> None:
        kept = False
        try:
            talk, theirs = await receive_greeting(stream, self)
            torrent = self._find(theirs.info_hash)
            if torrent is not None:
                kept = True
                torrent.swarm.welcome(talk, theirs)
        except (NetworkError, ProtocolError) as error:
            log.debug("%s: %s", stream.remote, error)
        finally:
            if not kept:
                stream.close()
            if stream in self._pending:
                self._forget(stream)


def _network(address: Address) -> str:
    """Whom one person may be taken for: an IPv4 address, or the 64 bits that an IPv6 network has."""
    if not address.is_ipv6:
        return address.host
    return str(ipaddress.ip_network((address.host.partition("%")[0], 64), strict=False))
