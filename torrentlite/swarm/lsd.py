"""Local service discovery (BEP 14) for all torrents of a session."""

from __future__ import annotations

from collections.abc import Callable

from ..net.lsd import LocalDiscovery
from ..stats import LsdStats
from ..wire.address import Address
from .crew import Crew
from .world import World


class Lsd:
    """Tells the local network which torrents are here, and hears of others'.

    Args:
        world: where datagrams go.
        port: where we take connections.
        crew: its tasks.
        got_peer: called with the info-hash and address of every peer that is heard of, again and again.
    """

    def __init__(self, world: World, port: int, crew: Crew, got_peer: Callable[[bytes, Address], object]) -> None:
        self._local = LocalDiscovery(world.network, port, got_peer, secret=world.secret)
        self._wanted: dict[bytes, None] = {}
        self._changed = False
        self._ended = False
        crew.keep(self._run, name="local discovery")

    def follow(self, info_hash: bytes, *, active: bool) -> None:
        """Announce this torrent, and listen for it, from now on or no more. Never a private one (BEP 27)."""
        if active is not (info_hash in self._wanted):
            self._changed = True
            if active:
                self._wanted[info_hash] = None
            else:
                del self._wanted[info_hash]

    def tick(self) -> None:
        """Called by the session's tick: what was started together is announced together."""
        if self._changed:
            self._changed = False
            self._local.announce(self._wanted)

    @property
    def listening(self) -> bool:
        """Whether the network has multicast, as far as is known."""
        return not self._ended

    def stats(self) -> LsdStats:
        """How it stands."""
        if self._ended:
            return LsdStats("none", "the network has no multicast")
        return LsdStats("listening", f"announcing {len(self._wanted):,}", self._local.sent, self._local.heard)

    async def _run(self) -> None:
        self._ended = False
        try:
            await self._local.run()
        finally:
            self._ended = True
