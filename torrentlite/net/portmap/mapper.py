"""Keeps the session's port open outside, as long as it runs.

The protocols are tried side by side, but only asked whether they are spoken; then the best one opens the port. (Opened
by two of them, many gateways would hold one mapping for both, and closing it for one would close it for the other.)
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import trio

from ... import limits
from ...errors import NetworkError
from ...stats import PortMapStats
from ...wire.address import Address, Scope, scope_of
from ..http import HttpClient
from ..network import Network
from .gateway import Gateway, default_gateway
from .lease import GatewayError, Lease, NotSpokenError, Transport
from .method import GatewayPort, Method
from .natpmpmethod import NatPmpMethod
from .pcpmethod import PcpMethod
from .upnpmethod import UpnpMethod

log = logging.getLogger(__name__)


class _Place(NamedTuple):
    """Where we are: another gateway or another address of ours is another place."""

    gateway: Gateway
    local: str


class PortMapper:
    """Opens one port, TCP and UDP, while ``run`` runs.

    Args:
        network: every datagram and connection goes through it.
        http: for UPnP.
        port: ours.
        secret: gives unpredictable bytes.
        gateway: tells whom to ask; None where there is nobody.
        changed: called when ``stats()`` tells something new.
    """

    def __init__(
        self,
        network: Network,
        http: HttpClient,
        port: int,
        *,
        secret: Callable[[int], bytes],
        gateway: Callable[[], Gateway | None] = default_gateway,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._network = network
        self._http = http
        self._port = port
        self._secret = secret
        self._find_gateway = gateway
        self._changed = changed
        self._leases: dict[Transport, Lease] = {}
        self._stats = PortMapStats()
        self._doubt = False

    def stats(self) -> PortMapStats:
        """How it stands."""
        if not self._leases:
            return self._stats
        expires = min(lease.expires for lease in self._leases.values())
        left = -1.0 if expires == math.inf else max(0.0, expires - trio.current_time())
        return self._stats._replace(expires=left)

    def doubt(self) -> None:
        """The gateway may have closed the port (we slept), or have another address outside: it is asked again soon."""
        self._doubt = True
        for lease in self._leases.values():
            lease.forgotten(trio.current_time())

    async def run(self) -> None:
        """Search, open, renew; when it is cancelled, close again (2 seconds at most)."""
        try:
            while True:
                place = self._place()
                if isinstance(place, str):
                    self._say("no gateway", place)
                elif scope_of(place.local) is Scope.PUBLIC:
                    self._say("not needed", f"our address {place.local} is public")
                else:
                    try:
                        await self._serve(place)
                        continue  # we are somewhere else
                    except NetworkError as error:
                        host = place.gateway.host
                        self._say("failed", f"the gateway {host} opens no port: {error}", host)
                await self._stay(place, trio.current_time() + limits.MAP_SEARCH_AGAIN)
        finally:
            self._say("off", "")

    # -- where we are

    def _place(self) -> _Place | str:
        """Or why there is none."""
        gateway = self._find_gateway()
        if gateway is None:
            return "no gateway is known that could open a port"
        there = Address(gateway.host, gateway.nat_port)
        if there.is_ipv6 or there.scope is Scope.FORBIDDEN:
            return f"the gateway {gateway.host} is not one that could open a port"
        try:
            return _Place(gateway, self._network.source_for(there))
        except NetworkError as error:
            return str(error)

    async def _stay(self, place: _Place | str, until: float) -> bool:
        """Wait, in doubt less long, with an eye on where we are. True: we are somewhere else, before the time."""
        self._doubt = False
        while not self._doubt and (now := trio.current_time()) < until:
            await trio.sleep_until(min(until, now + limits.MAP_GATEWAY_CHECK))
            if self._place() != place:
                return True
        return False

    # -- one gateway

    async def _serve(self, place: _Place) -> None:
        """Keep the port open while we are in this place. NetworkError: nobody opens it, or no more."""
        self._say("searching", f"asking the gateway {place.gateway.host}", place.gateway.host)
        refusals: dict[str, str] = {}
        async with self._methods(place) as methods:
            left = list(methods)
            while speaking := await self._speaking(left, refusals):
                for method in speaking:
                    left.remove(method)
                    try:
                        await self._keep(method, place)
                    except NetworkError as error:
                        log.info("%s: %s", method.name, error)
                        refusals[method.name] = str(error)
                    else:
                        return
        told = "; ".join(f"{name}: {reason}" for name, reason in refusals.items())
        raise GatewayError(told or "it speaks neither PCP nor NAT-PMP nor UPnP")

    @contextlib.asynccontextmanager
    async def _methods(self, place: _Place) -> AsyncIterator[Sequence[Method]]:
        """All there are, the best first."""
        gateway, local = place
        there = Address(gateway.host, gateway.nat_port)
        with contextlib.ExitStack() as stack:
            ports = []
            for _ in range(2):
                (datagrams,) = await self._network.open_datagrams(local, 0)
                stack.callback(datagrams.close)
                ports.append(GatewayPort(datagrams, there))
            yield (
                PcpMethod(ports[0], local, self._port, self._secret),
                NatPmpMethod(ports[1], self._port),
                UpnpMethod(self._network, self._http, gateway, local, self._port, self._secret),
            )

    async def _speaking(self, methods: Sequence[Method], refusals: dict[str, str]) -> list[Method]:
        """Those that the gateway speaks, in their order; who is slower than others by much is left out.

        What is wrong with the answers of the others, by name, goes into ``refusals``.
        """
        answers: dict[Method, bool] = {}
        one, best = trio.Event(), trio.Event()

        async def probe(method: Method) -> None:
            try:
                await method.probe()
            except NetworkError as error:
                log.debug("%s: %s", method.name, error)
                answers[method] = False
                if not isinstance(error, NotSpokenError):
                    refusals[method.name] = str(error)
            else:
                answers[method] = True
                one.set()
            # The first one that speaks, once all before it have answered; or none of them all.
            first = next((method for method in methods if answers.get(method, True)), None)
            if first is None or first in answers:
                one.set()
                best.set()

        if not methods:
            return []
        async with trio.open_nursery() as nursery:
            for method in methods:
                nursery.start_soon(probe, method)
            await one.wait()
            with trio.move_on_after(limits.MAP_GRACE):
                await best.wait()
            nursery.cancel_scope.cancel()
        return [method for method in methods if answers.get(method)]

    async def _keep(self, method: Method, place: _Place) -> None:
        """Open by one protocol, renew until we move. NetworkError: it does not open, or nothing is open any more."""
        try:
            await self._open(method, Transport.TCP)
            while True:
                for transport in Transport:
                    lease = self._leases.get(transport)
                    if lease is None or trio.current_time() >= lease.renew_at:
                        await self._try(method, transport)
                if not self._leases:
                    raise GatewayError("the gateway no longer answers")
                self._tell(method, place)
                if await self._stay(place, min(lease.renew_at for lease in self._leases.values())):
                    return
        finally:
            self._leases.clear()
            with trio.move_on_after(limits.MAP_UNMAP_TIMEOUT, shield=True) as timed:
                try:
                    await method.unmap()
                except NetworkError as error:
                    log.debug("%s, closing: %s", method.name, error)
            if timed.cancelled_caught:
                log.info("the gateway %s did not say that it closed our port", place.gateway.host)

    async def _try(self, method: Method, transport: Transport) -> None:
        """Open or renew; that it fails shows in the lease."""
        try:
            await self._open(method, transport)
        except NetworkError as error:
            log.info("%s: %s port: %s", method.name, transport.name, error)
            lease, now = self._leases.get(transport), trio.current_time()
            if lease is not None:
                lease.failed(now)
                if lease.lost(now):
                    del self._leases[transport]

    async def _open(self, method: Method, transport: Transport) -> None:
        # The same port for both is wished for: some programs know only one number.
        known = self._leases.get(transport) or self._leases.get(Transport.TCP)
        grant = await method.map(transport, known.grant.port if known else self._port)
        now = trio.current_time()
        if transport in self._leases:
            self._leases[transport].granted(grant, now)
        else:
            self._leases[transport] = Lease(transport, grant, now)
        if grant.restarted:
            for lease in self._leases.values():
                lease.forgotten(now)

    # -- telling

    def _tell(self, method: Method, place: _Place) -> None:
        """What is open."""
        ports = {transport: lease.grant.port for transport, lease in self._leases.items()}
        host = next((lease.grant.host for lease in self._leases.values() if lease.grant.host), "")
        shown = " and ".join(f"{transport.name} port {port}" for transport, port in ports.items())
        message = f"{shown} of the gateway {place.gateway.host} {'lead' if len(ports) > 1 else 'leads'} here"
        if host and scope_of(host) is not Scope.PUBLIC:
            message += f", but its own address {host} is not public: it is behind another gateway"
        self._say(
            "mapped",
            message,
            place.gateway.host,
            protocol=method.name,
            external_host=host,
            tcp_port=ports.get(Transport.TCP, 0),
            udp_port=ports.get(Transport.UDP, 0),
        )

    def _say(
        self,
        state: str,
        message: str,
        gateway: str = "",
        *,
        protocol: str = "",
        external_host: str = "",
        tcp_port: int = 0,
        udp_port: int = 0,
    ) -> None:
        stats = PortMapStats(state, message, protocol, gateway, external_host, tcp_port, udp_port)
        if stats != self._stats:
            self._stats = stats
            log.info("port mapping: %s%s", state, f": {message}" if message else "")
            self._changed()
