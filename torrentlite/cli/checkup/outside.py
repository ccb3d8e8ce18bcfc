"""The way out and the way in: UDP, the DHT, the gateway, and whether strangers reach us."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import trio

from ...dht import Node, open_node
from ...errors import NetworkError
from ...net.http import HttpClient
from ...net.network import Listener, Network, receive_exactly
from ...net.portmap.gateway import Gateway, default_gateway
from ...net.portmap.mapper import PortMapper
from ...stats import PortMapStats
from ...wire.address import Address, Scope, scope_of
from .. import units
from . import Finding, Verdict

_JOIN: Final = 15.0
"""Seconds within which a node joins wherever it can: on good lines it takes two."""
_MAP: Final = 10.0
"""Seconds within which a gateway opens a port if it ever will; the slow ones take five."""
_STRANGERS: Final = 10.0
"""Seconds after joining in which somebody calls whom we do not know: nodes are told of new ones all the time."""
_CALL: Final = 5.0
"""Seconds for a call to our own address outside."""
_STEP: Final = 0.2


class Outside:
    """One look at the network, with a node and a mapping of its own on the port that torrents would use.

    Attributes:
        port: where it listens.
        wanted: where it was to listen.
        alone: whether it listens on loopback only.
    """

    def __init__(
        self,
        network: Network,
        listeners: Sequence[Listener],
        wanted: int,
        node: Node,
        mapper: PortMapper,
        secret: Callable[[int], bytes],
    ) -> None:
        self.port = listeners[0].address.port
        self.wanted = wanted
        self._network = network
        self._listeners = listeners
        self._node = node
        self._mapper = mapper
        self._token = secret(16)
        self.alone = all(listener.address.scope is Scope.LOOPBACK for listener in listeners)
        self._joined_after: float | None = None
        self._heard_ourselves = trio.Event()

    async def look(self, say: Callable[[Finding], None]) -> None:
        """Look at everything, and say each finding as soon as it is known."""
        say(self._of_port())
        began = trio.current_time()
        with trio.move_on_after(_JOIN):
            await self._node.wait_joined()
            self._joined_after = trio.current_time() - began
        say(self._of_udp())
        say(self._of_dht())
        if self.alone:
            message = f"not asked for: {self._listeners[0].address.host} is this computer itself"
            say(Finding("port mapping", Verdict.OK, message))
            message = "only from this computer: it listens on no other address"
            say(Finding("reachable", Verdict.NOTE, message, f"--listen {self.port}, without an address"))
            return
        await _until(lambda: self._mapper.stats().state not in ("off", "searching"), began + _MAP)
        mapped = self._mapper.stats()
        say(_of_mapping(mapped, self.port))
        called = await self._call_ourselves(mapped)
        if self._joined_after is not None:
            deadline = trio.current_time() + _STRANGERS
            await _until(lambda: self._node.stats().counters.strangers > 0, deadline)
        say(self._of_reach(mapped, called=called))

    # -- what each says

    def _of_port(self) -> Finding:
        if self.port != self.wanted and self.wanted:
            cure = "perhaps another tl runs; --listen PORT chooses one, and the default is kept from run to run"
            message = f"port {self.wanted} is in use: {self.port} is taken for this run"
            return Finding("port", Verdict.NOTE, message, cure)
        hosts = " and ".join("IPv6" if listener.address.is_ipv6 else "IPv4" for listener in self._listeners)
        return Finding("port", Verdict.OK, f"listening on port {self.port}, TCP and UDP, by {hosts}")

    def _of_udp(self) -> Finding:
        counters = self._node.stats().counters
        if counters.replies_received:
            return Finding("UDP", Verdict.OK, f"goes out: {counters.replies_received} answers")
        if not counters.queries_sent:
            cure = "look at the network connection, and at the name servers (DNS)"
            return Finding("UDP", Verdict.BAD, "none of the DHT's first nodes has an address that can be found", cure)
        cure = "let UDP out of the firewall; until then only trackers by http(s), --peer and links with x.pe help"
        return Finding("UDP", Verdict.BAD, f"{counters.queries_sent} questions, and no answer", cure)

    def _of_dht(self) -> Finding:
        stats = self._node.stats()
        if self._joined_after is None:
            # Whatever stops UDP was said before.
            cure = "" if not stats.counters.replies_received else "try again later; --bootstrap names other first nodes"
            return Finding("DHT", Verdict.BAD, f"not joined after {units.duration(_JOIN)}", cure)
        external = ", ".join(side.external for side in stats.sides if side.external)
        seen = f"; others see us as {external}" if external else ""
        message = f"joined in {units.duration(self._joined_after)}, {units.plural(stats.nodes, 'node')}{seen}"
        return Finding("DHT", Verdict.OK, message)

    def _of_reach(self, mapped: PortMapStats, *, called: bool) -> Finding:
        strangers = self._node.stats().counters.strangers
        if strangers:
            return Finding("reachable", Verdict.OK, f"strangers reach us by UDP at port {self.port}: {strangers} did")
        if called:
            message = f"a call to our own address outside, {mapped.external_host}:{mapped.tcp_port}, came in"
            return Finding("reachable", Verdict.OK, message)
        if mapped.mapped and scope_of(mapped.external_host or "0.0.0.0") is Scope.PUBLIC:
            return Finding("reachable", Verdict.OK, f"probably: the gateway leads port {mapped.tcp_port} here")
        if mapped.mapped:
            cure = "ask the provider for a public address, or for IPv6; others can be called, many at home too (by UDP)"
            return Finding("reachable", Verdict.NOTE, "the gateway is behind another one: nobody can call us", cure)
        forward = f"lead port {self.port}, TCP and UDP, to this computer in the router (or switch UPnP on there)"
        if mapped.state == "not needed":
            forward = f"let port {self.port}, TCP and UDP, into the firewall"
        if self._joined_after is None:
            return Finding("reachable", Verdict.UNKNOWN, "nobody outside could be asked to call", "")
        message = f"no stranger has called within {units.duration(_STRANGERS)}: probably nobody can"
        return Finding("reachable", Verdict.NOTE, message, f"{forward}; --listen {self.port} keeps it")

    # -- a call to ourselves

    async def serve(self, listener: Listener) -> None:
        """Take calls; ours is known by its token."""
        with contextlib.suppress(NetworkError):
            while True:
                stream = await listener.accept()
                with contextlib.suppress(NetworkError), trio.move_on_after(_CALL):
                    if await receive_exactly(stream, len(self._token)) == self._token:
                        self._heard_ourselves.set()
                stream.close()

    async def _call_ourselves(self, mapped: PortMapStats) -> bool:
        """Whether the gateway leads its own address back to us. Many do not, and lead others all the same."""
        if not mapped.tcp_port or scope_of(mapped.external_host or "0.0.0.0") is not Scope.PUBLIC:
            return False
        with trio.move_on_after(_CALL), contextlib.suppress(NetworkError):
            stream = await self._network.connect(Address(mapped.external_host, mapped.tcp_port))
            try:
                await stream.send_vectored([self._token])
                await self._heard_ourselves.wait()
            finally:
                stream.close()
        return self._heard_ourselves.is_set()


@contextlib.asynccontextmanager
async def open_outside(
    network: Network,
    *,
    host: str,
    port: int,
    routers: Iterable[tuple[str, int]],
    secret: Callable[[int], bytes],
    fallback: bool = True,
    gateway: Callable[[], Gateway | None] = default_gateway,
) -> AsyncIterator[Outside]:
    """Listen, join the DHT and ask the gateway while the block lasts.

    An exception of the block comes out as itself, not in an ExceptionGroup.

    Raises:
        ListenError: the port cannot be had.
    """
    failure: BaseException | None = None
    async with contextlib.AsyncExitStack() as stack:
        listeners = await network.listen(host, port, fallback=fallback)
        for listener in listeners:
            stack.callback(listener.close)
        ours = listeners[0].address.port
        http = HttpClient(network, user_agent="torrentlite")
        stack.push_async_callback(http.aclose)
        node = await stack.enter_async_context(
            open_node(host=host, port=ours, routers=routers, network=network, secret=secret)
        )
        mapper = PortMapper(network, http, ours, secret=secret, gateway=gateway)
        outside = Outside(network, listeners, port, node, mapper, secret)
        async with trio.open_nursery() as nursery:
            if not outside.alone:
                nursery.start_soon(mapper.run)
            for listener in listeners:
                nursery.start_soon(outside.serve, listener)
            try:
                yield outside
            except BaseException as error:
                failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _of_mapping(stats: PortMapStats, port: int) -> Finding:
    match stats.state:
        case "mapped":
            return Finding("port mapping", Verdict.OK, f"{stats.protocol}: {stats.message}")
        case "not needed":
            return Finding("port mapping", Verdict.OK, f"not needed: {stats.message}")
        case "searching" | "off":
            return Finding("port mapping", Verdict.UNKNOWN, "the gateway took too long", "")
    cure = f"switch UPnP or NAT-PMP on in the router, or lead port {port}, TCP and UDP, to this computer there"
    return Finding("port mapping", Verdict.NOTE, stats.message, cure)


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    """Counts and states are looked at, not waited for."""
    while not condition() and trio.current_time() < deadline:  # noqa: ASYNC110
        await trio.sleep(_STEP)
