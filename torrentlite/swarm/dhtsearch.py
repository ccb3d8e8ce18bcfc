"""One torrent's dealings with the DHT: looking for peers, and saying that we are one (BEP 5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import trio

from ..errors import DhtError
from ..limits import (
    DHT_ANNOUNCE_INTERVAL,
    DHT_FEW_PEERS,
    DHT_LONELY,
    DHT_LONELY_FOR,
    DHT_LONELY_LATER,
    DHT_SEARCH_AGAIN,
    DHT_SEARCH_TIMEOUT,
)
from ..stats import SourceStats
from ..strategy.peerlist import DHT
from ..wire.address import Address, Scope
from .crew import Crew

if TYPE_CHECKING:
    from .dht import Dht

log = logging.getLogger("torrentlite.dht")


class DhtSearchOwner(Protocol):
    """What a search asks of its torrent."""

    @property
    def info_hash_bytes(self) -> bytes:
        """What it is known by."""

    @property
    def announced_port(self) -> int | None:
        """Where peers can call us; None while that is to be told to nobody (a magnet: it may be private)."""

    @property
    def port_is_implied(self) -> bool:
        """Whether they see that port themselves, and better than we do."""

    @property
    def complete(self) -> bool:
        """Whether everything is here."""

    @property
    def connected(self) -> int:
        """Connected peers."""

    def peers_found(self, addresses: tuple[Address, ...], source: str, within: Scope) -> None:
        """Somebody named peers."""

    def source_replied(self, source: str, peers: int) -> None:
        """It has been asked, and named so many."""


class DhtSearch:
    """Asks the DHT when it is this torrent's turn: every 15 minutes, and sooner while there are few peers.

    Args:
        owner: the torrent.
        dht: the session's node.
        crew: the torrent's tasks.
    """

    def __init__(self, owner: DhtSearchOwner, dht: Dht, crew: Crew) -> None:
        self._owner = owner
        self._dht = dht
        self._crew = crew
        self._scope: trio.CancelScope | None = None
        self._wanted = False
        self._in_vain = 0
        self._alone_since = trio.current_time()
        self._told: tuple[int, bool] | None = None  # port, seed
        self._told_at = 0.0
        self._peers = -1
        self._message = ""

    def want(self, now: float) -> None:
        """Ask as soon as possible, and from then on; also when there is something new to tell."""
        self._wanted = True
        self._in_vain = 0
        self._dht.plan.want(self, now, urgent=self._urgent)

    def ask_again(self, now: float) -> None:
        """Ask as soon as possible, if it is asked at all."""
        if self._wanted:
            self._dht.plan.want(self, now, urgent=self._urgent)

    def try_again(self, now: float) -> None:
        """The same where it has found nobody."""
        if self._in_vain:
            self.ask_again(now)

    def forget(self) -> None:
        """What was told is not so any more, or forgotten: it is told again."""
        self._told = None

    def alone(self, now: float) -> None:
        """The last peer has left: do not wait for the usual turn."""
        self._alone_since = now
        at = self._dht.plan.wishes(self)
        soon = now + self._lonely_pause(now) * self._dht.jitter()
        if self._wanted and at is not None and at > soon:
            self._dht.plan.want(self, soon, urgent=self._urgent)

    def _lonely_pause(self, now: float) -> float:
        """Until the next search of a seed that is alone: more where there are several, and later on."""
        often = DHT_LONELY if now - self._alone_since < DHT_LONELY_FOR else DHT_LONELY_LATER
        return min(often * max(1, len(self._dht.plan)), DHT_ANNOUNCE_INTERVAL)

    def stop(self) -> None:
        """Ask no more."""
        self._wanted = False
        self._dht.plan.drop(self)
        if self._scope is not None:
            self._scope.cancel()

    def begin(self) -> None:
        """It is our turn."""
        self._scope = self._crew.start(self._search, name="ask the DHT")
        if self._scope is None:
            self._dht.plan.ended(self)

    def stats(self, now: float) -> SourceStats:
        """How it went."""
        node, next_turn = self._dht.node, self._dht.plan.wishes(self)
        if not self._wanted:
            state = "off"
        elif not node.joined:
            state = "waiting"
        elif self._scope is not None:
            state = "asking"
        else:
            state = "ok" if self._peers >= 0 else "waiting"
        message = self._message if node.joined else self._dht.stats().message
        return SourceStats("dht", state, message, max(0, self._peers), -1 if next_turn is None else next_turn - now)

    @property
    def _urgent(self) -> bool:
        return not self._owner.complete and self._owner.connected < DHT_FEW_PEERS

    async def _search(self) -> None:
        owner, now = self._owner, trio.current_time()
        port = owner.announced_port
        telling = (port, owner.complete) if port is not None else None
        if telling == self._told and now < self._told_at + DHT_ANNOUNCE_INTERVAL / 2:
            port = telling = None  # looking again, there is nothing new to tell
        seed = telling is not None and telling[1]
        search = self._dht.node.get_peers(
            owner.info_hash_bytes, no_seeds=owner.complete, port=port, seed=seed, implied_port=owner.port_is_implied
        )
        try:
            with trio.move_on_after(DHT_SEARCH_TIMEOUT):
                async for address in search:
                    # The node has seen to it that nobody names what is narrower than he is himself.
                    owner.peers_found((address,), DHT, address.scope)
        except DhtError as error:
            log.info("%s: %s", owner.info_hash_bytes.hex(), error)
        finally:
            search.stop()
            self._ended(len(search.peers), telling, search.stored)

    def _ended(self, peers: int, telling: tuple[int, bool] | None, stored: int) -> None:
        """Over: how many peers were named, what was to be told, and how many nodes have stored it."""
        now = trio.current_time()
        self._scope = None
        self._peers = peers
        if telling is not None:
            who = "1 node knows" if stored == 1 else f"{stored:,} nodes know"
            self._message = f"{who} of us" if stored else "no node has stored our address"
        if telling is not None and stored:
            self._told, self._told_at = telling, now
        plan = self._dht.plan
        plan.ended(self)
        if not self._wanted:
            return
        self._owner.source_replied("dht", peers)
        if plan.wishes(self) is not None:
            return
        if self._urgent or (telling is not None and not stored):
            pause = DHT_SEARCH_AGAIN[min(self._in_vain, len(DHT_SEARCH_AGAIN) - 1)]
            self._in_vain += 1
        else:
            pause = self._lonely_pause(now) if not self._owner.connected else DHT_ANNOUNCE_INTERVAL
            self._in_vain = 0
        # A little earlier or later each time: what began together does not stay together.
        plan.want(self, now + pause * self._dht.jitter(), urgent=self._urgent)
