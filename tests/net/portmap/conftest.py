"""A client behind a scripted gateway, in a simulated world or over loopback."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import trio

from tests.net.portmap.scripted import ALL, ScriptedGateway
from torrentlite.net.http import HttpClient
from torrentlite.net.network import Network
from torrentlite.net.portmap.mapper import PortMapper
from torrentlite.stats import PortMapStats

PORT = 6881


class Home:
    """A client's side of a gateway.

    Attributes:
        told: every state that the mapper told of.
    """

    def __init__(self, network: Network, gateway: ScriptedGateway, nursery: trio.Nursery, secret) -> None:
        self.network = network
        self.router = gateway
        self.told: list[PortMapStats] = []
        self.where = gateway.gateway
        self.http = HttpClient(network, user_agent="torrentlite/test")
        self.mapper = PortMapper(
            network,
            self.http,
            PORT,
            secret=secret,
            gateway=lambda: self.where,
            changed=self._changed,
        )
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self._told = trio.Event()
        self._ended = trio.Event()
        self._ended.set()

    def _changed(self) -> None:
        self.told.append(self.mapper.stats())
        self._told.set()

    def start(self) -> None:
        self._ended = trio.Event()
        self._nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self._scope:
            await self.mapper.run()
        self._ended.set()

    async def leave(self) -> None:
        """As a session that ends."""
        self._scope.cancel()
        await self._ended.wait()

    async def until(self, *states: str, seconds: float = 30) -> PortMapStats:
        """Wait for one of these states."""
        with trio.fail_after(seconds):
            while self.mapper.stats().state not in states:
                self._told = trio.Event()
                await self._told.wait()
        return self.mapper.stats()

    def asked(self, protocol: str) -> list[str]:
        return [what for who, what in self.router.heard if who == protocol]


@contextlib.asynccontextmanager
async def at_home(network, router_network, host: str, secret, **options) -> AsyncIterator[Home]:
    async with trio.open_nursery() as nursery:
        router = ScriptedGateway(router_network, host, **{"speaks": ALL, **options})
        await nursery.start(router.serve)
        home = Home(network, router, nursery, secret)
        try:
            yield home
            await home.leave()
        finally:
            with trio.CancelScope(shield=True):
                await home.http.aclose()
        nursery.cancel_scope.cancel()


@pytest.fixture
def home():
    """``async with home(world, speaks=…) as here``: in a simulated world."""

    def make(world, **options):
        router, client = world.host("192.168.1.1", latency=0.001), world.host("192.168.1.2", latency=0.001)
        return at_home(client.network, router.network, "192.168.1.1", client.secret, **options)

    return make
