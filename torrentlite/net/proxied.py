"""A network of which everything goes through one proxy, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import trio

from ..errors import ListenError, NetworkError
from ..wire.address import Address, Scope
from .network import Datagrams, Listener, Multicast, Network, Stream, check_scope
from .proxy import Proxy, UnusableProxyError, connect_through, named
from .url import check_name


class ProxiedNetwork:
    """Connections that a proxy makes, to addresses and to names, which it looks up. What it cannot carry there is not:
    nobody calls us, and no datagram leaves.

    Args:
        network: leads to the proxy, and nowhere else.
        proxy: who makes the connections.

    Attributes:
        trouble: why the proxy could not be used when it was last asked, or empty.
    """

    def __init__(self, network: Network, proxy: Proxy) -> None:
        self._network = network
        self._proxy = proxy
        self.trouble = ""

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> Stream:
        """See ``Network.connect``."""
        check_scope(address, within)
        try:
            stream = await connect_through(self._network, self._proxy, address)
        except NetworkError as error:
            self.trouble = str(error) if isinstance(error, UnusableProxyError) else ""
            raise
        self.trouble = ""
        return stream

    async def listen(self, host: str, port: int, *, fallback: bool) -> Sequence[Listener]:
        """Nowhere."""
        await trio.lowlevel.checkpoint()
        return []

    async def open_datagrams(self, host: str, port: int) -> Sequence[Datagrams]:
        """None."""
        await trio.lowlevel.checkpoint()
        return []

    async def open_multicast(self, group: Address, host: str, *, join: bool) -> Multicast:
        """Never."""
        await trio.lowlevel.checkpoint()
        raise ListenError(f"{self._proxy} carries no multicast")

    def source_for(self, to: Address) -> str:
        """Never."""
        raise NetworkError(f"{self._proxy} carries no datagrams")

    def reachable_at(self, bound: Iterable[str]) -> list[str]:
        """Nowhere."""
        return []

    async def resolve(self, host: str, port: int, *, within: Scope) -> list[Address]:
        """See ``Network.resolve``: an IP address, or the name itself."""
        await trio.lowlevel.checkpoint()
        check_name(host)
        return [named(host, port, within=within)]
