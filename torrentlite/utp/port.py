"""uTP over a session's UDP port: calling, being called, and which connection a packet is for."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable

import trio

from .. import limits
from ..errors import NetworkError
from ..net.network import check_scope
from ..net.udp import UdpPort
from ..wire.address import Address, Scope
from ..wire.utp import RESET, SYN, WRAP, Packet, parse, refuse
from .connection import FULL, Connection, State
from .stream import UtpStream

_Key = tuple[Address, int]


class Utp:
    """All uTP connections of a session; a ``Listener`` too.

    Args:
        udp: what datagrams come and go by; its ``utp`` is this one from now on.
        secret: ``secret(n)`` gives n unpredictable bytes.
        source: our IP address that datagrams to another leave from (``Network.source_for``).
        takes: whether who calls from this address is answered; else he is refused at once, and tries TCP.
    """

    def __init__(
        self,
        udp: UdpPort,
        *,
        secret: Callable[[int], bytes],
        source: Callable[[Address], str],
        takes: Callable[[Address], bool] = lambda _: True,
    ) -> None:
        self._udp = udp
        self._source = source
        self._secret = secret
        self._takes = takes
        self._streams: dict[_Key, UtpStream] = {}
        self._called: dict[_Key, UtpStream] = {}  # of which nothing came but the call
        self._touched: dict[UtpStream, None] = {}
        self._now = 0.0
        self._arrived: deque[UtpStream] = deque()
        self._somebody = trio.Event()
        self._accepting = trio.lowlevel.ParkingLot()
        self._closed = False
        udp.utp = self

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def address(self) -> Address:
        """See ``Listener.address``."""
        return self._udp.addresses[0]

    # -- calling -----------------------------------------------------------------------------------------------------

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> UtpStream:
        """See ``Network.connect``."""
        check_scope(address, within)
        if self._closed or not self._udp.reaches(address) or not self._has_room():
            raise NetworkError(f"cannot connect to {address}: no uTP from here")
        now = trio.current_time()
        key = address, self._free_id(address)
        connection = Connection.calling(
            functools.partial(self._udp.send_all, to=address),
            key[1],
            seq=self._random(),
            payload=FULL[address.is_ipv6],
            now=now,
        )
        stream = self._add(key, connection)
        connection.flush(now)
        try:
            await stream.connected()
        except BaseException:
            stream.close()
            raise
        return stream

    def _free_id(self, address: Address) -> int:
        while True:
            candidate = self._random()
            # Of two connections between the same two, no id of one is an id of the other.
            if not any((address, candidate + step & WRAP) in self._streams for step in (-1, 0, 1)):
                return candidate

    def _random(self) -> int:
        return int.from_bytes(self._secret(2), "big")

    def _has_room(self) -> bool:
        """Whether there may be another connection. Those that are only ending must not keep others out."""
        if len(self._streams) < limits.MAX_UTP_CONNECTIONS:
            return True
        for key, stream in self._streams.items():
            if stream.closed:
                stream.connection.break_off(trio.current_time())
                self._forget(key)
                return True
        return False

    def _add(self, key: _Key, connection: Connection) -> UtpStream:
        local = functools.partial(self._local, key[0])
        stream = UtpStream(connection, local, key[0], functools.partial(self._ended, key))
        self._streams[key] = stream
        self._somebody.set()
        return stream

    def _local(self, remote: Address) -> Address:
        bound = next(address for address in self._udp.addresses if address.is_ipv6 == remote.is_ipv6)
        try:
            return Address(self._source(remote), bound.port)
        except NetworkError:  # there is no way any more
            return bound

    def _ended(self, key: _Key) -> None:
        """Somebody has closed a stream: it goes when its connection has."""
        stream = self._streams.get(key)
        if stream is not None and stream.connection.state is State.GONE:
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        stream = self._streams.pop(key, None)
        if stream is None:
            return
        self._called.pop(key, None)
        self._touched.pop(stream, None)
        stream.wake()

    # -- being called ------------------------------------------------------------------------------------------------

    async def accept(self) -> UtpStream:
        """See ``Listener.accept``: the next that has said something."""
        await trio.lowlevel.checkpoint()
        while not self._arrived:
            if self._closed:
                raise NetworkError("closed")
            await self._accepting.park()
        return self._arrived.popleft()

    def _got_call(self, syn: Packet, sender: Address, now: float) -> bool:
        key = sender, syn.connection_id + 1 & WRAP
        known = self._streams.get(key)
        if known is not None:
            known.connection.got(syn, now)
            self._touched[known] = None
            return True
        if sender.scope is Scope.FORBIDDEN:
            return False
        taken = any((sender, key[1] + step & WRAP) in self._streams for step in (-1, 1))
        if taken or not self._takes(sender) or not self._has_room():
            return self._refuse(syn, sender)
        if len(self._called) >= limits.MAX_UTP_CALLS:
            oldest = next(iter(self._called))
            self._called[oldest].connection.end("too many calls")
            self._forget(oldest)
        send = functools.partial(self._udp.send_all, to=sender)
        connection = Connection.called(send, syn, seq=self._random(), payload=FULL[sender.is_ipv6], now=now)
        stream = self._called[key] = self._add(key, connection)
        self._touched[stream] = None
        return True

    def _refuse(self, packet: Packet, sender: Address) -> bool:
        return packet.kind != RESET and self._udp.send(refuse(packet), sender)

    # -- packets -----------------------------------------------------------------------------------------------------

    def got(self, data: bytes, sender: Address) -> bool:
        """A datagram that ``is_packet`` has come; ``flush`` follows when there are no more. False: it was nobody's."""
        packet = parse(data)
        if packet is None or self._closed:
            return False
        if not self._touched:  # what has come together has come at one time
            self._now = trio.current_time()
        now = self._now
        if packet.kind == SYN:
            return self._got_call(packet, sender, now)
        key = sender, packet.connection_id
        stream = self._streams.get(key)
        if stream is None and packet.kind == RESET:
            stream = self._reset_stream(packet, sender)
        if stream is None:
            return self._refuse(packet, sender)
        connection = stream.connection
        connection.got(packet, now)
        if self._called and key in self._called and connection.state is State.OPEN:
            del self._called[key]
            self._arrived.append(stream)
            self._accepting.unpark_all()
        self._touched[stream] = None
        return True

    def _reset_stream(self, packet: Packet, sender: Address) -> UtpStream | None:
        """Who knows nothing of a connection gives back the id by which we call him."""
        for step in (-1, 1):
            stream = self._streams.get((sender, packet.connection_id + step & WRAP))
            if stream is not None and stream.connection.send_id == packet.connection_id:
                return stream
        return None

    def flush(self) -> None:
        """Answer what has come since the last time, once for each connection."""
        now = trio.current_time()
        touched, self._touched = self._touched, {}
        for stream in touched:
            stream.connection.flush(now)
            stream.wake()
            if stream.connection.state is State.GONE:
                self._forget((stream.remote, stream.connection.receive_id))

    # -- time --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let time pass for the connections, until cancelled."""
        while True:
            await self._somebody.wait()
            await trio.sleep(limits.UTP_TICK)
            now = trio.current_time()
            for key, stream in list(self._streams.items()):
                waiting = stream.connection.waiting
                stream.connection.tick(now)
                if stream.connection.state is State.GONE:
                    self._forget(key)
                elif stream.connection.waiting < waiting:
                    stream.wake()
            if not self._streams:
                self._somebody = trio.Event()

    def close(self) -> None:
        """End all connections at once; a second time is nothing."""
        if self._closed:
            return
        self._closed = True
        now = trio.current_time()
        for stream in self._streams.values():
            stream.connection.break_off(now)
            stream.wake()
        self._streams.clear()
        self._called.clear()
        self._accepting.unpark_all()
