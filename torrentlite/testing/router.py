"""A simulated router: hosts behind one public address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire.address import Address
from .nat import Nat

if TYPE_CHECKING:
    from .host import SimulatedHost
    from .network import SimulatedNetwork


class SimulatedRouter:
    """Made by ``SimulatedNetwork.router``; hosts are put behind it by ``SimulatedNetwork.host(router=...)``.

    Among themselves they use their private addresses, which others behind another router may have as well. To all
    others they appear under the router's address, and are reached only as its ``nat`` admits: datagrams by what was
    sent before, connections by ``forward`` alone. Only IPv4 is translated. There is no port mapping protocol.

    Attributes:
        nat: who gets in.
        latency: seconds between it and the middle of the network; comes on top of the hosts' own.
        loss: share of packets lost on that way, likewise.
    """

    def __init__(self, network: SimulatedNetwork, nat: Nat, *, latency: float, loss: float) -> None:
        self._network = network
        self.nat = nat
        self.latency = latency
        self.loss = loss
        self._hosts: dict[str, SimulatedHost] = {}

    def __repr__(self) -> str:
        return f"<SimulatedRouter {self.nat.host} ({self.nat.kind.value}), {len(self._hosts)} hosts>"

    @property
    def ip(self) -> str:
        """Its public address."""
        return self.nat.host

    def forward(self, port: int, host: SimulatedHost, inner_port: int | None = None) -> None:
        """Pass on what comes to a port, connections and datagrams, as a person sets it up.

        Args:
            port: of the router's public address.
            host: one behind it.
            inner_port: where the host gets it; None: at the same port.
        """
        self.nat.forwards[port] = Address(host.ip, inner_port or port)

    def renumber(self, address: str) -> None:
        """Its line was cut, and has this public address from now on; connections that there are go on all the same.

        Raises:
            ValueError: the address is taken, or not an IPv4 address.
        """
        self._network.move_router(self, address)
        self.nat.renumber(address)

    def find(self, address: str) -> SimulatedHost | None:
        """The host behind it that has this private address."""
        return self._hosts.get(address)

    def add(self, address: str, host: SimulatedHost) -> None:
        """Put a host behind it; called by ``SimulatedNetwork.host``."""
        self._hosts[address] = host

    def unused_address(self) -> str:
        """The next private address."""
        return f"192.168.{1 + len(self._hosts) // 250}.{2 + len(self._hosts) % 250}"

    def got_datagram(self, source: SimulatedHost, data: bytes, sender: Address, to: Address) -> None:
        """A datagram has come from outside."""
        network = self._network
        inner = self.nat.incoming(sender, to.port, network.timeline.now)
        host = self.find(inner.host) if inner is not None else None
        if host is None or inner is None:
            network.trace.record("datagram dropped", str(sender), str(to), len(data))
        elif network.rng.random() < host.loss:
            network.trace.record("datagram lost", str(sender), str(to), len(data))
        else:
            network.timeline.call_after(host.latency, host.got_datagram, source, data, sender, inner)
