"""A simulated host: its addresses, its ports, and what is connected to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from .. import limits
from ..errors import ListenError, NetworkError
from ..net.network import Multicast, check_scope, literal
from ..net.url import check_name
from ..wire.address import Address, Scope, parse_host, scope_of
from .datagrams import Handler, SimulatedDatagrams
from .dial import Dial
from .flow import SEND_BUFFER, Path
from .link import Line, PacketLine
from .listener import SimulatedListener
from .ports import FIRST_FREE_PORT, Ports, wildcard
from .stream import SimulatedStream, join

if TYPE_CHECKING:
    from .network import SimulatedNetwork
    from .router import SimulatedRouter

_LOOPBACK: Final = {False: "127.0.0.1", True: "::1"}  # by "is IPv6"


class SimulatedHost:
    """A computer's view of the simulated network; a ``Network`` (see ``net/network.py`` for what the methods promise).

    Made by ``SimulatedNetwork.host``, which says what the arguments mean. Its loopback addresses are its own, without
    latency and limits.

    Attributes:
        addresses: IP addresses.
        router: that it is behind, if there is one.
        latency: seconds between it and the middle of the network; holds for new connections.
        loss: share of packets lost between it and the middle; holds for new connections.
        plugged: whether its cable is in. While it is not, nothing arrives and nothing leaves, and nobody is told.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        addresses: tuple[str, ...],
        *,
        up: float = 0,
        down: float = 0,
        latency: float = 0,
        loss: float = 0,
        send_buffer: int = SEND_BUFFER,
        router: SimulatedRouter | None = None,
    ) -> None:
        self._network = network
        self.addresses = addresses
        self.router = router
        self.latency = latency
        self.loss = loss
        self.plugged = True
        self.island = 0
        """Hosts of different islands do not reach each other; see ``SimulatedNetwork.partition``."""
        self._send_buffer = send_buffer
        self.up = Line(network.timeline, up)
        self.down = Line(network.timeline, down)
        self.packets_up = PacketLine(up)
        self.packets_down = PacketLine(down)
        self._listeners: Ports[SimulatedListener] = Ports()
        self._datagrams: Ports[SimulatedDatagrams] = Ports()
        self._streams: dict[tuple[Address, Address], SimulatedStream] = {}
        self._next_port = FIRST_FREE_PORT

    def __repr__(self) -> str:
        return f"<SimulatedHost {' '.join(self.addresses)}>"

    # -- the protocol

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> SimulatedStream:
        """See ``Network.connect``."""
        check_scope(address, within)
        await trio.lowlevel.checkpoint()
        host = self._source(address)
        if host is None:
            raise NetworkError(f"cannot connect to {address}: Network is unreachable")
        local = Address(host, self._free_port(lambda port: (Address(host, port), address) not in self._streams))
        reached = self._reach(address)
        latency = self._way_out if reached is None else self._latency_to(reached[0])
        dial = Dial(self._network.timeline, address, latency, functools.partial(self._knock, local, address))
        return await dial.answer()

    async def listen(self, host: str, port: int, *, fallback: bool) -> list[SimulatedListener]:
        """See ``Network.listen``."""
        await trio.lowlevel.checkpoint()
        try:
            addresses = self._bindable(host, port, self._listeners, self._datagrams)
        except ListenError:
            if not fallback:
                raise
            addresses = self._bindable(host, 0, self._listeners, self._datagrams)
        listeners = []
        for address in addresses:
            listener = SimulatedListener(address, closed=self._listeners.release)
            self._listeners.bind(address, listener)
            listeners.append(listener)
        return listeners

    async def open_datagrams(self, host: str, port: int) -> list[SimulatedDatagrams]:
        """See ``Network.open_datagrams``."""
        await trio.lowlevel.checkpoint()
        return self.bind_datagrams(host, port)

    async def open_multicast(self, group: Address, host: str, *, join: bool) -> Multicast:
        """See ``Network.open_multicast``. There is none: a simulated host is alone on its local network."""
        await trio.lowlevel.checkpoint()
        raise ListenError(f"cannot send to {group}: Network is unreachable")

    def source_for(self, to: Address) -> str:
        """See ``Network.source_for``."""
        source = self._source(to)
        if source is None:
            raise NetworkError(f"cannot reach {to}: Network is unreachable")
        return source

    def reachable_at(self, bound: Iterable[str]) -> list[str]:
        """See ``Network.reachable_at``."""
        wanted = tuple(bound)
        return [own for own in self.addresses if own in wanted or wildcard(own) in wanted]

    async def resolve(self, host: str, port: int, *, within: Scope) -> list[Address]:
        """See ``Network.resolve``. Names are looked up in ``SimulatedNetwork.names``."""
        if not 0 < port < 65536:
            raise NetworkError(f"{port} is no port to connect to")
        ip = parse_host(host)
        if ip is not None:
            check_scope(Address(ip, port), within)
            await trio.lowlevel.checkpoint()
            return [Address(ip, port)]
        check_name(host)
        await trio.sleep(self._network.name_delay)
        found = [Address(literal(answer), port) for answer in self._network.names.get(host.lower(), ())]
        if not found:
            raise NetworkError(f"cannot find {host}: Name or service not known")
        allowed = [address for address in found if address.scope >= max(within, Scope.LOOPBACK)]
        if not allowed:
            check_scope(found[0], within)
        return allowed[: limits.MAX_ADDRESSES_PER_NAME]

    # -- what a test may do besides

    @property
    def ip(self) -> str:
        """Its first address."""
        return self.addresses[0]

    @property
    def streams(self) -> tuple[SimulatedStream, ...]:
        """Its ends of open connections, oldest first."""
        return tuple(self._streams.values())

    @property
    def sockets(self) -> int:
        """Its open connections, listeners and UDP sockets."""
        return len(self._streams) + len(self._listeners) + len(self._datagrams)

    def bind_datagrams(self, host: str = "", port: int = 0, handler: Handler | None = None) -> list[SimulatedDatagrams]:
        """As ``open_datagrams``, at once; with a handler no task is needed to receive.

        Args:
            host: an IP address of this host; empty for one socket per family.
            port: 0 for any free one.
            handler: called with each datagram and its sender at the moment it arrives (``timeline.now``).

        Raises:
            ListenError: the port or the address cannot be had.
        """
        opened = []
        for address in self._bindable(host, port, self._datagrams):
            socket = SimulatedDatagrams(address, post=self._post, closed=self._datagrams.release, handler=handler)
            self._datagrams.bind(address, socket)
            opened.append(socket)
        return opened

    def set_rates(self, *, up: float | None = None, down: float | None = None) -> None:
        """Change its bandwidth, in bytes per second (0: unlimited), also of what is connected."""
        if up is not None:
            self.up.rate = self.packets_up.rate = up
        if down is not None:
            self.down.rate = self.packets_down.rate = down

    def reset_connections(self) -> None:
        """Break off every connection."""
        for stream in self.streams:
            stream.reset()

    def stop(self) -> None:
        """End as a process does that is killed: its system breaks off what was connected and forgets what was bound.

        With its cable out (``plugged``) nobody hears of that: a power cut.
        """
        for bound in (*self._listeners, *self._datagrams):
            bound.close()
        self.reset_connections()

    # -- inside

    def _find(self, host: str) -> SimulatedHost | None:
        if scope_of(host) is Scope.LOOPBACK:
            return self
        neighbour = self.router.find(host) if self.router is not None else None
        return neighbour or self._network.find(host)

    def _reach(self, address: Address) -> tuple[SimulatedHost, Address] | None:
        """Whom a connection to that address comes to, and at which of its own addresses."""
        target = self._find(address.host)
        if target is not None:
            return target, address
        router = self._network.find_router(address.host)
        inner = router.nat.forwards.get(address.port) if router is not None else None
        target = router.find(inner.host) if router is not None and inner is not None else None
        return (target, inner) if target is not None and inner is not None else None

    def _near(self, other: SimulatedHost | None) -> bool:
        """Whether the way there passes no router."""
        return other is self or (other is not None and self.router is not None and other.router is self.router)

    @property
    def _way_out(self) -> float:
        """Seconds to the middle of the network."""
        return self.latency + (self.router.latency if self.router is not None else 0.0)

    @property
    def _way_loss(self) -> float:
        """Share of packets lost on that way."""
        return 1 - (1 - self.loss) * (1 - (self.router.loss if self.router is not None else 0.0))

    def _latency_to(self, other: SimulatedHost) -> float:
        if other is self:
            return 0.0
        return self.latency + other.latency if self._near(other) else self._way_out + other._way_out

    def _source(self, to: Address) -> str | None:
        """The address that packets to that one leave from."""
        if to.scope is Scope.LOOPBACK:
            return _LOOPBACK[to.is_ipv6]
        return next((host for host in self.addresses if (":" in host) == to.is_ipv6), None)

    def _bindable(
        self, host: str, port: int, *tables: Ports[SimulatedListener] | Ports[SimulatedDatagrams]
    ) -> list[Address]:
        if host:
            hosts = [literal(host)]
            if hosts[0] not in self.addresses and scope_of(hosts[0]) is not Scope.LOOPBACK:
                raise ListenError(f"cannot listen on {host}: no address of this host")
        else:
            hosts = list(dict.fromkeys(wildcard(own) for own in self.addresses))

        def free(port: int) -> bool:
            return not any(table.taken(host, port) for table in tables for host in hosts)

        if port and not free(port):
            raise ListenError(f"cannot listen on {host or 'any address'}, port {port}: Address already in use")
        port = port or self._free_port(free)
        return [Address(host, port) for host in hosts]

    def _free_port(self, free: Callable[[int], bool]) -> int:
        for _ in range(FIRST_FREE_PORT, 65536):
            port = self._next_port
            self._next_port = port + 1 if port < 65535 else FIRST_FREE_PORT
            if free(port):
                return port
        raise ListenError("no free port is left")

    def _knock(self, local: Address, remote: Address) -> SimulatedStream | None:
        """Our wish for a connection has come to the other side."""
        network = self._network
        name = f"{local} > {remote}"
        reached = self._reach(remote)
        if reached is None or not network.reachable(self, reached[0]):
            network.trace.record("unanswered", name)
            return None
        target, inner = reached
        listener = target._listeners.find(inner.host, inner.port)
        if listener is None:
            network.trace.record("refused", name)
            raise NetworkError("Connection refused")
        if listener.full:
            network.trace.record("unanswered", name)
            return None
        network.trace.record("connected", name)
        seen = local
        if self.router is not None and not remote.is_ipv6 and not self._near(target):
            seen = Address(self.router.ip, self.router.nat.connection())
        near = SimulatedStream(local, remote, closed=self._forget)
        far = SimulatedStream(inner, seen, closed=target._forget)
        join(network.timeline, network.trace, near, self._path_to(target, near), far, target._path_to(self, far))
        self._streams[local, remote] = near
        target._streams[inner, seen] = far
        listener.offer(far)
        return near

    def _path_to(self, other: SimulatedHost, stream: SimulatedStream) -> Path:
        network = self._network
        return Path(
            name=f"{stream.local} > {stream.remote}",
            up=self.up if other is not self else network.loopback,
            down=other.down if other is not self else network.loopback,
            latency=self._latency_to(other),
            loss=self._loss_to(other),
            send_buffer=self._send_buffer,
            reachable=functools.partial(network.reachable, self, other),
            rng=network.rng,
        )

    def _forget(self, stream: SimulatedStream) -> None:
        del self._streams[stream.local, stream.remote]

    def _post(self, data: bytes, socket: Address, to: Address) -> bool:
        """A datagram leaves."""
        network = self._network
        host = self._source(to) if socket.host == wildcard(socket.host) else socket.host
        target = self._find(to.host)
        leaves = (
            self.packets_up.pass_at(network.timeline.now, len(data)) if target is not self else network.timeline.now
        )
        if host is None or leaves is None:
            network.trace.record("datagram dropped", str(socket), str(to), len(data))
            return False
        sender = Address(host, socket.port)
        if self.router is not None and not to.is_ipv6 and not self._near(target):
            sender = self.router.nat.outgoing(sender, to, network.timeline.now)
        router = network.find_router(to.host) if target is None else None
        if router is not None:
            loss, latency, arrived = 1 - (1 - self._way_loss) * (1 - router.loss), router.latency, router.got_datagram
            latency += self._way_out
        elif target is not None:
            loss, latency, arrived = self._loss_to(target), self._latency_to(target), target.got_datagram
        else:
            loss, latency, arrived = 1.0, 0.0, None
        if arrived is None or network.rng.random() < loss:
            network.trace.record("datagram lost", str(sender), str(to), len(data))
        else:
            network.timeline.call_at(leaves + latency, arrived, self, data, sender, to)
        return True

    def got_datagram(self, source: SimulatedHost, data: bytes, sender: Address, to: Address) -> None:
        """A datagram has come the distance."""
        network = self._network
        if not network.reachable(source, self):
            network.trace.record("datagram lost", str(sender), str(to), len(data))
            return
        now = network.timeline.now
        passed = self.packets_down.pass_at(now, len(data)) if source is not self else now
        if passed is None:
            network.trace.record("datagram dropped", str(sender), str(to), len(data))
        elif passed > now:
            network.timeline.call_at(passed, self._hand_over, data, sender, to)
        else:
            self._hand_over(data, sender, to)

    def _hand_over(self, data: bytes, sender: Address, to: Address) -> None:
        socket = self._datagrams.find(to.host, to.port)
        taken = socket is not None and socket.got_datagram(data, sender)
        self._network.trace.record("datagram" if taken else "datagram dropped", str(sender), str(to), len(data))

    def _loss_to(self, other: SimulatedHost) -> float:
        if other is self:
            return 0.0
        if self._near(other):
            return 1 - (1 - self.loss) * (1 - other.loss)
        return 1 - (1 - self._way_loss) * (1 - other._way_loss)
