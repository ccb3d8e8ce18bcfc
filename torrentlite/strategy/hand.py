"""A connected peer, as the picker knows it: what it has, what it is at, and how far it is trusted."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from .. import limits
from .download import PieceDownload
from .pieceset import PieceSet

P = TypeVar("P", bound=Hashable)


class Hand(Generic[P]):
    """What is known of a connected peer.

    Attributes:
        peer: its key.
        holdings: the pieces that it has.
        downloads: the partial pieces of which it is or was asked something.
        unverified: finished pieces that it contributed to and that are being checked.
        trust: in how many pieces it may have a hand at a time.
        witness: a piece that it has and we need, as far as was looked; -1 when there is none.
    """

    __slots__ = ("downloads", "holdings", "peer", "trust", "unverified", "witness")

    def __init__(self, peer: P, holdings: PieceSet) -> None:
        self.peer: Final = peer
        self.holdings = holdings
        self.downloads: dict[int, PieceDownload[P]] = {}
        self.unverified = 0
        self.trust = limits.FIRST_TRUST
        self.witness = -1

    @property
    def proven(self) -> bool:
        """Whether it has contributed to a right piece, and not to a wrong one lately."""
        return self.trust > limits.FIRST_TRUST

    @property
    def asked(self) -> bool:
        """Whether it is asked for anything now."""
        peer = self.peer
        for download in self.downloads.values():  # noqa: SIM110  each turn of every peer: a third of what any() takes
            if download.asked[peer]:
                return True
        return False

    @property
    def trusted(self) -> bool:
        """Whether it may have a hand in one more piece."""
        return len(self.downloads) + self.unverified < self.trust


class Asker(Generic[P]):
    """A peer that is to be asked for blocks now, and under which terms: see ``Picker.pick``."""

    __slots__ = ("alone", "hand", "now", "only", "peer", "room", "slow")

    def __init__(self, hand: Hand[P], now: float, only: int | None, *, room: int, slow: bool, alone: bool) -> None:
        self.hand = hand
        self.peer: P = hand.peer
        self.now = now
        self.only = only
        self.room = room
        self.slow = slow
        self.alone = alone

    def may_get(self, piece: int) -> bool:
        """Whether the peer has this piece and may be asked for it."""
        return piece in self.hand.holdings and (self.only is None or bool(self.only >> piece & 1))

    def may_help(self, piece: int) -> bool:
        """Whether it may have a hand in a piece that somebody waits for."""
        hand = self.hand
        busy = len(hand.downloads) + hand.unverified - hand.trust
        return self.may_get(piece) and (piece in hand.downloads or busy < limits.URGENT_TRUST)
