"""What is asked of a peer though others are asked for it.

When everything to be had is asked for, the last blocks are asked of several peers (the endgame, ``MAX_ASKERS``). The
same is done with pieces that stall and hold up others, and with what is late of those that a reader waits for.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from .. import limits
from ..metainfo.layout import Block
from ..wire import bitfield
from .availability import Availability
from .download import PieceDownload
from .hand import Asker
from .partials import Partials
from .wants import Wants

P = TypeVar("P", bound=Hashable)


class Doubles(Generic[P]):
    """Asks for blocks that others owe us. Who is first sends it; the others hear a Cancel."""

    __slots__ = ("_availability", "_partials", "_wants")

    def __init__(self, availability: Availability, wants: Wants, partials: Partials[P]) -> None:
        self._availability = availability
        self._wants = wants
        self._partials = partials

    def late(self, asker: Asker[P], count: int) -> list[Block]:
        """Urgent blocks that are late, to be asked of this peer as well, if it is not slow itself."""
        blocks: list[Block] = []
        if asker.slow or asker.alone:
            return blocks
        count = min(limits.MAX_DOUBLES, count)
        for piece in self._wants.urgent:
            download = self._partials.all.get(piece)
            if len(blocks) >= count:
                break
            if download is None or download.free or download.owner is not None or not asker.may_help(piece):
                continue
            if asker.now - download.asked_at >= limits.URGENT_LATE:
                more = download.ask_again(asker.peer, count - len(blocks), self._most_askers(asker, download))
                if more:
                    asker.hand.downloads[piece] = download
                    blocks += more
        return blocks

    def contest(self, asker: Asker[P], count: int) -> list[Block]:
        """Blocks that others are asked for: any in the endgame; those of stalled pieces when they hold this peer up.

        Only for a peer that has nothing else to do, and few for one that has room for few.
        """
        hand = asker.hand
        if hand.asked:
            return []
        endgame = self._is_endgame()
        if not endgame:
            held_up = self._partials.starved or not hand.trusted
            if asker.slow or not held_up or not self._partials.may_stall(asker.now):
                return []
        count = min(limits.MAX_DOUBLES, max(1, count // 4))
        blocks: list[Block] = []
        for download in list(self._partials.all.values()):
            if len(blocks) >= count:
                break
            if not endgame and (download.free or asker.now - download.asked_at < limits.STALLED_AFTER):
                continue
            may_join = download.piece in hand.downloads or (hand.trusted and not asker.alone)
            if download.owner is None and may_join and asker.may_get(download.piece):
                more = download.ask_again(asker.peer, count - len(blocks), self._most_askers(asker, download))
                if more:
                    hand.downloads[download.piece] = download
                    blocks += more
        return blocks

    def _most_askers(self, asker: Asker[P], download: PieceDownload[P]) -> int:
        """How many may be asked for a block of this piece at a time, this peer among them.

        One place is kept for who has proven itself, and with each STALLED_AFTER that a block is late there is one more,
        but not for the slow: else those that drip, or have fallen silent, would take the places of all others.
        """
        if asker.slow:
            return limits.MAX_ASKERS - 1
        most = limits.MAX_ASKERS if asker.hand.proven else limits.MAX_ASKERS - 1
        return most + int((asker.now - download.asked_at) // limits.STALLED_AFTER)

    def _is_endgame(self) -> bool:
        """Whether no block that anybody has waits to be asked for."""
        allowed, fresh = self._wants.allowed, self._wants.fresh
        if allowed is not None:
            if self._wants.needed.bits & ~allowed:
                return False  # a reader's next pieces are no end: what is late of them is asked of several (``late``)
            fresh &= allowed
        if self._availability.has_any(fresh):
            return False
        somewhere = self._availability.somewhere
        if allowed is not None:
            somewhere &= allowed
        needed = self._wants.needed
        suspects = [piece for piece in self._wants.suspects if piece in needed and piece not in self._partials]
        shared = self._partials.open(slow=False) + self._partials.open(slow=True)
        return not bitfield.of([*suspects, *(download.piece for download in shared)]) & somewhere
