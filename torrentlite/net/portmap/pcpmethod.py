"""Opening ports by PCP."""

from __future__ import annotations

import functools
from collections.abc import Callable

import trio

from ... import limits
from . import pcp
from .lease import Epoch, GatewayError, Grant, Transport
from .method import GatewayPort

_UNKNOWN_REQUEST = 4


class PcpMethod:
    """See ``Method``.

    Args:
        port: the gateway's.
        local: our address, which the gateway compares with the one it sees.
        internal: our TCP and UDP port.
        secret: gives unpredictable bytes; who does not know a mapping's nonce cannot close it.
    """

    name = "PCP"

    def __init__(self, port: GatewayPort, local: str, internal: int, secret: Callable[[int], bytes]) -> None:
        self._port = port
        self._local = local
        self._internal = internal
        self._nonces = {transport: secret(pcp.NONCE_SIZE) for transport in Transport}
        self._epoch = Epoch()
        self._asked: dict[Transport, None] = {}

    async def probe(self) -> None:
        """See ``Method.probe``."""
        try:
            epoch = await self._port.ask(pcp.announce_request(self._local), pcp.parse_announce)
        except GatewayError as error:
            if error.code != _UNKNOWN_REQUEST:  # but it speaks PCP
                raise
        else:
            self._epoch.restarted(epoch, trio.current_time())

    async def map(self, transport: Transport, external: int) -> Grant:
        """See ``Method.map``."""
        self._asked[transport] = None
        granted = await self._ask(transport, external, limits.MAP_LIFETIME)
        if not granted.external or not granted.lifetime:
            raise GatewayError("the gateway grants nothing")
        restarted = self._epoch.restarted(granted.epoch, trio.current_time())
        return Grant(granted.external_host, granted.external, granted.lifetime, restarted)

    async def unmap(self) -> None:
        """See ``Method.unmap``."""
        asked = list(self._asked)
        for transport in asked:
            self._port.tell(self._request(transport, 0, 0))  # at least this, should there be no time for more
        for transport in asked:
            await self._ask(transport, 0, 0)
            del self._asked[transport]

    async def _ask(self, transport: Transport, external: int, lifetime: int) -> pcp.Mapping:
        nonce = self._nonces[transport]
        parse = functools.partial(pcp.parse_mapping, nonce=nonce, transport=transport, internal=self._internal)
        return await self._port.ask(self._request(transport, external, lifetime), parse)

    def _request(self, transport: Transport, external: int, lifetime: int) -> bytes:
        nonce = self._nonces[transport]
        return pcp.map_request(self._local, nonce, transport, self._internal, external, lifetime)
