"""A simulated Internet: hosts that reach each other, names, and what may go wrong between them."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterable, Sequence

from ..wire.address import parse_host
from .clock import Timeline
from .flow import SEND_BUFFER
from .host import SimulatedHost
from .link import Line
from .nat import LIFETIME, Nat, NatKind
from .router import SimulatedRouter
from .trace import Trace


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkStats:
    """The simulated network at one moment. What happened in it is counted in its trace.

    Attributes:
        hosts: that were made.
        sockets: open ends of connections, listeners and UDP sockets.
        held: bytes of streams that were sent and not read, while the sender's end is open.
    """

    hosts: int
    sockets: int
    held: int


class SimulatedNetwork:
    """Hosts, and everything between them. ``SimulatedWorld`` makes one and keeps it going.

    What happens is recorded in the trace: "connected", "refused", "unanswered" (a connection was asked for where nobody
    answers), "delivered", "lost" and "stalled" (parts of streams), "reset", "gave up", "datagram", "datagram lost" (on
    the way), "datagram dropped" (no room, nobody there).

    Args:
        timeline: where its moments are; somebody must run it.
        trace: records what happens.
        rng: decides what is lost.

    Attributes:
        names: the IP addresses behind each host name (lower case); may be changed at any time.
        name_delay: seconds that looking up a name takes.
    """

    def __init__(self, timeline: Timeline, *, trace: Trace, rng: random.Random) -> None:
        self.timeline = timeline
        self.trace = trace
        self.rng = rng
        self.loopback = Line(timeline, 0)
        self.names: dict[str, Sequence[str]] = {"localhost": ("127.0.0.1", "::1")}
        self.name_delay = 0.05
        self._hosts: list[SimulatedHost] = []
        self._by_address: dict[str, SimulatedHost] = {}
        self._routers: dict[str, SimulatedRouter] = {}
        self._islands = 0

    def __repr__(self) -> str:
        return f"<SimulatedNetwork of {len(self._hosts)} hosts>"

    def host(
        self,
        *addresses: str,
        up: float = 0,
        down: float = 0,
        latency: float = 0.01,
        loss: float = 0,
        send_buffer: int = SEND_BUFFER,
        router: SimulatedRouter | None = None,
    ) -> SimulatedHost:
        """Add a host.

        Args:
            addresses: its IP addresses, of one family or both; none: a public IPv4 address in a /24 of its own, or a
                private one behind a router.
            up: bytes per second that it can send, over all connections; 0 for unlimited.
            down: bytes per second that it can receive; 0 for unlimited.
            latency: seconds between it and the middle of the network: the way to another host takes both hosts' sum.
            loss: share of packets lost between it and the middle; of streams they arrive later, of datagrams never.
            send_buffer: bytes of each connection that wait in its system to be sent.
            router: put it behind this one; its IPv4 addresses are for its neighbours there only.

        Raises:
            ValueError: no address, an address that is taken, or numbers that make no sense.
        """
        if min(up, down, latency) < 0 or not 0 <= loss < 1 or send_buffer < 1:
            raise ValueError("rates and latency must not be negative, loss is 0 to below 1, a buffer at least a byte")
        literals = []
        for address in addresses or (self._unused_address() if router is None else router.unused_address(),):
            literal = parse_host(address)
            if literal is None or self._taken(literal, router):
                raise ValueError(f"{address} is {'taken' if literal else 'not an IP address'}")
            literals.append(literal)
        host = SimulatedHost(
            self, tuple(literals), up=up, down=down, latency=latency, loss=loss, send_buffer=send_buffer, router=router
        )
        self._hosts.append(host)
        for literal in literals:
            if router is not None and ":" not in literal:
                router.add(literal, host)
            else:
                self._by_address[literal] = host
        return host

    def router(
        self,
        address: str = "",
        *,
        kind: NatKind = NatKind.PORT_RESTRICTED,
        latency: float = 0.0,
        loss: float = 0,
        lifetime: float = LIFETIME,
    ) -> SimulatedRouter:
        """Add a router, behind which hosts are that have no public address.

        Args:
            address: its public IPv4 address; none: one in a /24 of its own.
            kind: of address translation: who gets in.
            latency: seconds between it and the middle of the network, on top of the hosts' own.
            loss: share of packets lost on that way, likewise.
            lifetime: seconds that the way back for datagrams stays open after the last one from inside.

        Raises:
            ValueError: an address that is taken, or numbers that make no sense.
        """
        literal = self._free(address or self._unused_address())
        if min(latency, lifetime) < 0 or not 0 <= loss < 1:
            raise ValueError("latency and lifetime must not be negative, loss is 0 to below 1")
        router = SimulatedRouter(self, Nat(literal, kind, lifetime=lifetime), latency=latency, loss=loss)
        self._routers[literal] = router
        return router

    def move_router(self, router: SimulatedRouter, address: str) -> None:
        """Give it another public address; called by ``SimulatedRouter.renumber``."""
        literal = self._free(address)
        del self._routers[router.ip]
        self._routers[literal] = router

    def _free(self, address: str) -> str:
        literal = parse_host(address)
        if literal is None or ":" in literal or self._taken(literal, None):
            raise ValueError(f"{address} is taken, or not an IPv4 address")
        return literal

    def _taken(self, address: str, router: SimulatedRouter | None) -> bool:
        if router is not None and ":" not in address:
            return router.find(address) is not None
        return address in self._by_address or address in self._routers

    def _unused_address(self) -> str:
        first = int(ipaddress.IPv4Address("11.0.0.1"))  # public, and far from whatever a test would write
        count = len(self._hosts)
        while self._taken(address := str(ipaddress.IPv4Address(first + 256 * count)), None):
            count += 1
        return address

    @property
    def hosts(self) -> tuple[SimulatedHost, ...]:
        """All of them, in the order they were made."""
        return tuple(self._hosts)

    def find(self, address: str) -> SimulatedHost | None:
        """The host that has this IP address; not those behind routers."""
        return self._by_address.get(address)

    def find_router(self, address: str) -> SimulatedRouter | None:
        """The router that has this public IP address."""
        return self._routers.get(address)

    # -- what may go wrong

    def partition(self, hosts: Iterable[SimulatedHost]) -> None:
        """Cut these off from all others; among themselves they go on. Nobody is told: packets just do not arrive."""
        self._islands += 1
        for host in hosts:
            host.island = self._islands

    def heal(self) -> None:
        """End every partition. What was sent meanwhile over connections arrives when it is next tried."""
        for host in self._hosts:
            host.island = 0

    def reachable(self, one: SimulatedHost, other: SimulatedHost) -> bool:
        """Whether packets arrive at present."""
        return one is other or (one.plugged and other.plugged and one.island == other.island)

    def stats(self) -> NetworkStats:
        """What is there now: with 0 sockets and 0 bytes held, nothing was left behind."""
        return NetworkStats(
            hosts=len(self._hosts),
            sockets=sum(host.sockets for host in self._hosts),
            held=sum(stream.held for host in self._hosts for stream in host.streams),
        )
