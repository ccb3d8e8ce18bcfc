"""Opening ports by UPnP."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping

import trio

from ... import limits
from ...errors import ListenError, NetworkError, TorrentError
from ...wire.address import Address
from ..http import HttpClient, HttpReply
from ..network import Datagrams, Multicast, Network
from ..url import Url
from . import igd, ssdp
from .gateway import Gateway
from .lease import GatewayError, Grant, NotSpokenError, Transport

log = logging.getLogger(__name__)

_FIRST_PORT = 1024  # those below are not for everybody


class UpnpMethod:
    """See ``Method``. Only the gateway is listened to, and only the gateway is asked.

    Args:
        network: where datagrams go.
        http: for descriptions and questions.
        gateway: whom to ask.
        local: our address.
        internal: our TCP and UDP port.
        secret: gives unpredictable bytes, here for other ports.
    """

    name = "UPnP"

    def __init__(
        self,
        network: Network,
        http: HttpClient,
        gateway: Gateway,
        local: str,
        internal: int,
        secret: Callable[[int], bytes],
    ) -> None:
        self._network = network
        self._http = http
        self._gateway = gateway
        self._local = local
        self._internal = internal
        self._secret = secret
        self._service: igd.Service | None = None
        self._lifetime = limits.MAP_LIFETIME
        self._asked: dict[Transport, int] = {}

    async def probe(self) -> None:
        """See ``Method.probe``."""
        found, locations = trio.open_memory_channel[Url](limits.MAP_MAX_LOCATIONS)
        reason: GatewayError = NotSpokenError("no answer")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._search, found)
            async for location in locations:
                try:
                    self._service = await self._look(location)
                except TorrentError as error:
                    log.debug("%s: %s", location.origin, error)
                    reason = GatewayError(str(error))
                else:
                    nursery.cancel_scope.cancel()
        if self._service is None:
            raise reason

    async def map(self, transport: Transport, external: int) -> Grant:
        """See ``Method.map``."""
        tries = limits.MAP_OTHER_PORTS
        while True:
            try:
                await self._add(transport, external)
                break
            except GatewayError as error:
                if error.code not in igd.CONFLICT or not tries:
                    raise
                tries -= 1
                external = _FIRST_PORT + int.from_bytes(self._secret(4), "big") % (65536 - _FIRST_PORT)
        try:
            host = igd.external_host(await self._call("GetExternalIPAddress", {}))
        except NetworkError:
            host = ""
        return Grant(host, external, self._lifetime or math.inf)

    async def unmap(self) -> None:
        """See ``Method.unmap``."""
        async with trio.open_nursery() as nursery:
            for transport in list(self._asked):
                nursery.start_soon(self._delete, transport)

    # -- finding it

    async def _search(self, found: trio.MemorySendChannel[Url]) -> None:
        """Search by unicast and by multicast, and hand on where the gateway describes itself."""
        there = Address(self._gateway.host, self._gateway.ssdp_port)
        seen: dict[Url, None] = {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(found)
            multicast: Multicast | None = None
            with contextlib.suppress(ListenError):
                multicast = await self._network.open_multicast(ssdp.GROUP, self._local, join=False)
                stack.callback(multicast.close)
            try:
                unicast = (await self._network.open_datagrams(self._local, 0))[0]
            except ListenError:  # our address has just gone
                return
            stack.callback(unicast.close)
            async with trio.open_nursery() as nursery:
                for socket in (unicast, multicast):
                    if socket is not None:
                        nursery.start_soon(self._listen, socket, seen, found)
                for wait in limits.MAP_SEARCHES:
                    for search in ssdp.searches():
                        unicast.send(search, there)
                        if multicast is not None:
                            multicast.send(search)
                    await trio.sleep(wait)
                nursery.cancel_scope.cancel()

    async def _listen(
        self, socket: Datagrams | Multicast, seen: dict[Url, None], found: trio.MemorySendChannel[Url]
    ) -> None:
        while True:
            for data, sender in await socket.receive():
                if sender.host != self._gateway.host or len(seen) >= limits.MAP_MAX_LOCATIONS:
                    continue
                location = ssdp.parse_answer(data, sender.host)
                if location is not None and location not in seen:
                    seen[location] = None
                    found.send_nowait(location)  # there is room for all that are seen

    async def _look(self, location: Url) -> igd.Service:
        """The service to ask: the first that has an address outside, or the first at all."""
        reply = await self._http.ask(
            str(location),
            address=Address(self._gateway.host, location.port),
            max_bytes=limits.MAP_MAX_XML,
            timeout=limits.MAP_HTTP_TIMEOUT,
        )
        if reply.status != 200:
            raise GatewayError(f"the gateway answers with status {reply.status}")
        services = igd.parse_description(reply.body, location)
        for service in services:
            self._service = service
            try:
                if igd.external_host(await self._call("GetExternalIPAddress", {})):
                    return service
            except NetworkError as error:
                log.debug("%s: %s", service.control.origin, error)
        return services[0]

    # -- asking it

    async def _add(self, transport: Transport, external: int) -> None:
        try:
            await self._add_for(transport, external, self._lifetime)
        except GatewayError as error:
            if not self._lifetime or error.code not in igd.ONLY_PERMANENT:
                raise
            await self._add_for(transport, external, 0)
            self._lifetime = 0

    async def _add_for(self, transport: Transport, external: int, lifetime: int) -> None:
        before = self._asked.get(transport)
        self._asked[transport] = external  # without an answer it may be open all the same
        try:
            arguments = igd.add_arguments(transport, external, self._internal, self._local, lifetime)
            await self._call("AddPortMapping", arguments)
        except GatewayError as error:
            # What is refused may be somebody else's, and many gateways let anybody close anything.
            if not error.code:
                pass  # it may have said yes
            elif before is None or error.code in igd.CONFLICT:
                del self._asked[transport]
            else:
                self._asked[transport] = before
            raise

    async def _delete(self, transport: Transport) -> None:
        try:
            await self._call("DeletePortMapping", igd.delete_arguments(transport, self._asked[transport]))
        except NetworkError as error:
            if not isinstance(error, GatewayError) or error.code != igd.NOTHING_THERE:
                log.debug("cannot close the %s port outside: %s", transport.name, error)
                return
        del self._asked[transport]

    async def _call(self, action: str, arguments: Mapping[str, str | int]) -> dict[str, str]:
        if self._service is None:
            raise GatewayError("the gateway was not found")
        reply: HttpReply = await self._http.ask(
            str(self._service.control),
            address=Address(self._gateway.host, self._service.control.port),
            max_bytes=limits.MAP_MAX_XML,
            content=igd.envelope(self._service, action, arguments),
            headers=igd.headers_of(self._service, action),
            timeout=limits.MAP_HTTP_TIMEOUT,
        )
        return igd.parse_reply(reply.body, action, reply.status)
