"""Peers from peers (BEP 11): whom we are connected to, told once a minute; whom they are, taken with care."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from ..limits import PEX_FIRST, PEX_INTERVAL, PEX_MOST, PEX_TOO_SOON
from ..wire.address import Address
from ..wire.messages import Pex

P = TypeVar("P", bound=Hashable)


class _Said:
    """What one peer was told, and when; and when it last told us something."""

    __slots__ = ("heard_at", "next", "told")

    def __init__(self, now: float) -> None:
        self.told: dict[Address, None] = {}
        self.next = now + PEX_FIRST
        self.heard_at = now - PEX_INTERVAL


class PeerExchange(Generic[P]):
    """Who is told about whom, in one torrent. Sync, blind to sockets.

    Only peers that we are connected to are told, and only addresses as wide as the receiver's own: who is on the
    Internet learns nothing about our network.
    """

    def __init__(self) -> None:
        self._said: dict[P, _Said] = {}

    def joined(self, peer: P, now: float) -> None:
        """A peer is connected."""
        self._said[peer] = _Said(now)

    def left(self, peer: P) -> None:
        """A peer is gone."""
        del self._said[peer]

    def due(self, peer: P, to: Address, connected: Iterable[tuple[Address, bool]], now: float) -> Pex | None:
        """What to tell this peer now, if anything.

        Args:
            peer: the receiver.
            to: its address, where it can be called if that is known: it is not told of itself.
            connected: where our other peers can be called, and whether each is a seed.
            now: the time.
        """
        said = self._said[peer]
        if now < said.next:
            return None
        said.next = now + PEX_INTERVAL
        current = {address: seed for address, seed in connected if address != to and address.scope >= to.scope}
        dropped = [address for address in said.told if address not in current][:PEX_MOST]
        added = [address for address in current if address not in said.told][:PEX_MOST]
        for address in dropped:
            del said.told[address]
        said.told.update(dict.fromkeys(added))
        if not added and not dropped:
            return None
        return Pex(tuple(added), frozenset(address for address in added if current[address]), tuple(dropped))

    def heard(self, peer: P, now: float) -> bool:
        """A peer tells us something: whether it is to be listened to. More than once a minute is too often."""
        if not self.listens(peer, now):
            return False
        self._said[peer].heard_at = now
        return True

    def listens(self, peer: P, now: float) -> bool:
        """Whether this peer may tell us something again."""
        return now - self._said[peer].heard_at >= PEX_TOO_SOON
