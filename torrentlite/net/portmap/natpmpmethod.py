"""Opening ports by NAT-PMP."""

from __future__ import annotations

import functools

import trio

from ... import limits
from ...wire.address import Scope, scope_of
from . import natpmp
from .lease import Epoch, GatewayError, Grant, Transport
from .method import GatewayPort


class NatPmpMethod:
    """See ``Method``.

    Args:
        port: the gateway's.
        internal: our TCP and UDP port.
    """

    name = "NAT-PMP"

    def __init__(self, port: GatewayPort, internal: int) -> None:
        self._port = port
        self._internal = internal
        self._epoch = Epoch()
        self._restarted = False
        self._asked: dict[Transport, None] = {}

    async def probe(self) -> None:
        """See ``Method.probe``."""
        await self._host()

    async def map(self, transport: Transport, external: int) -> Grant:
        """See ``Method.map``."""
        self._restarted = False
        host = await self._host()
        self._asked[transport] = None
        granted = await self._ask(transport, external, limits.MAP_LIFETIME)
        self._heard(granted.epoch)
        if not granted.external or not granted.lifetime:
            raise GatewayError("the gateway grants nothing")
        return Grant(host, granted.external, granted.lifetime, self._restarted)

    async def unmap(self) -> None:
        """See ``Method.unmap``."""
        asked = list(self._asked)
        for transport in asked:
            self._port.tell(natpmp.map_request(transport, self._internal, 0, 0))
        for transport in asked:
            await self._ask(transport, 0, 0)
            del self._asked[transport]

    async def _host(self) -> str:
        answer = await self._port.ask(natpmp.address_request(), natpmp.parse_address)
        self._heard(answer.epoch)
        return answer.host if scope_of(answer.host) is not Scope.FORBIDDEN else ""

    async def _ask(self, transport: Transport, external: int, lifetime: int) -> natpmp.Mapping:
        parse = functools.partial(natpmp.parse_mapping, transport=transport, internal=self._internal)
        return await self._port.ask(natpmp.map_request(transport, self._internal, external, lifetime), parse)

    def _heard(self, epoch: int) -> None:
        self._restarted |= self._epoch.restarted(epoch, trio.current_time())
