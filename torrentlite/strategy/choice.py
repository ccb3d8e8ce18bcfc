"""What to ask a peer for, the best first.

1. A peer goes on with what it is at. Then come suspects, then open pieces of others, and only then is a piece begun, if
   memory allows: the fewer pieces in flight, the sooner there is something to give to others. But a piece that far
   fewer peers have comes before the open ones: who alone has it must not spend its line on what others have too. (In a
   simulated swarm of fifty around one slow seed, a third of the seed's upload went into pieces that were begun with
   others, and everybody stood still at 60 % for want of the rest.)
2. The first few pieces are drawn at random, to have something soon; after that the rarest go first (``wants.py``).
3. Slow peers share pieces among themselves. One block asked of a slow peer keeps a whole piece in memory for as long as
   that peer takes, and a few dozen of such pieces leave a fast peer without memory to fill.
4. A peer may have a hand in as many unverified pieces as its *trust* says, which grows with every piece that was right:
   whoever sends only rubbish spoils a few pieces, not a queue full of them.
5. A peer on parole (``blame.py``) gets pieces alone, and blocks of shared ones only if there is nothing else.
6. What a reader waits for comes before all of this, then what readers will come to: of peers that are neither slow nor
   on parole, as long as there are others.

Which blocks are asked of several peers is told in ``doubles.py``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

from .. import limits
from ..metainfo.layout import Block, Layout
from ..wire import bitfield
from .availability import Availability
from .download import PieceDownload
from .hand import Asker, Hand
from .partials import Partials
from .pipeline import QUEUE_TIME
from .wants import Wants

P = TypeVar("P", bound=Hashable)

SCARCER: Final = 2
"""A new piece comes before the open ones when so many times fewer peers have it."""


class Choice(Generic[P]):
    """Finds what an asker can be asked for; its methods begin pieces and hand over abandoned ones, but ask for nothing.

    Args:
        hands: of the connected peers.

    Attributes:
        overtaken: what owners of pieces were asked for when others took these over.
    """

    __slots__ = ("_availability", "_hands", "_layout", "_partials", "_wants", "overtaken")

    def __init__(
        self,
        layout: Layout,
        availability: Availability,
        wants: Wants,
        partials: Partials[P],
        hands: dict[P, Hand[P]],
    ) -> None:
        self._layout = layout
        self._availability = availability
        self._wants = wants
        self._partials = partials
        self._hands = hands
        self.overtaken: list[tuple[P, Block]] = []

    def sources(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """Pieces with free blocks for this asker, the best first; a piece is begun only when it is reached.

        The caller adds each to ``hand.downloads`` before it goes on.
        """
        suspects = self._begin_suspects(asker)
        fresh = self._begin_fresh(asker)
        abandoned = self._adopt(asker)
        of_fast = self._shared(asker, slow=False)
        of_slow = self._shared(asker, slow=True)
        if asker.alone:
            others = itertools.chain(suspects, fresh, abandoned, of_fast, of_slow)
        elif asker.slow:
            others = itertools.chain(of_slow, fresh, of_fast, suspects, abandoned)
        else:
            others = itertools.chain(suspects, self._scarce(asker), of_fast, fresh, of_slow, abandoned)
            if self._wants.steered:
                yield from self.urgent(asker)
                yield from self._ahead(asker)
        yield from self._own(asker, shared=not asker.alone)
        while asker.hand.trusted:
            download = next(others, None)
            if download is None:
                break
            yield download
        if asker.alone:
            yield from self._own(asker, shared=True)

    def urgent(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """What somebody waits for, the first needed first."""
        for piece in self._wants.urgent:
            if asker.may_help(piece):
                download = self._partials.all.get(piece) or self._begin_urgent(piece, asker)
                if download is None:
                    continue
                if download.owner not in (None, asker.peer):
                    quiet = asker.now - max(download.touched_at, download.asked_at)
                    if quiet < limits.URGENT_ALONE:
                        continue
                    self._take_over(download, asker)  # nobody waits a minute for a suspect that its owner keeps back
                if download.free:
                    yield download

    def _begin_urgent(self, piece: int, asker: Asker[P]) -> PieceDownload[P] | None:
        if piece in self._wants.suspects:
            return self._begin(piece, asker, asker.peer, urgent=True) if self._is_waiting(piece) else None
        return self._begin(piece, asker, None, urgent=True) if self._wants.fresh >> piece & 1 else None

    def _ahead(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """What readers will come to: first what is begun of it, in its order, then what is not."""
        steered = self._wants.steered
        begun = [download for download in self._partials.open(slow=False) if steered >> download.piece & 1]
        for download in sorted(begun, key=lambda download: download.piece):
            if download.free and asker.may_get(download.piece) and self._joins(asker, download):
                yield download
        if not self._partials.starved and asker.hand.trusted:
            fresh = self._wants.fresh & steered & asker.hand.holdings.bits
            if asker.only is not None:
                fresh &= asker.only
            for piece in self._wants.in_order(fresh, slow=False):
                fresh_one = self._begin(piece, asker, None) if asker.hand.trusted else None
                if fresh_one is None:
                    return
                yield fresh_one

    def _joins(self, asker: Asker[P], download: PieceDownload[P]) -> bool:
        return download.piece in asker.hand.downloads or asker.hand.trusted

    def runs(self, asker: Asker[P], count: int, *, follow: int, in_order: bool) -> Iterator[list[PieceDownload[P]]]:
        """The same for a source that sends long runs (a web seed): lists of pieces that follow one another.

        New pieces come before the open ones of others: what one source sends whole needs no second one to complete it,
        or to be blamed for it.

        Args:
            count: how many new pieces to begin at most.
            follow: the piece to begin with if it can be, or -1.
            in_order: begin with the lowest that is to be had.
        """
        if self._wants.urgent and not (asker.slow or asker.alone):
            for download in self.urgent(asker):
                yield [download]
        for download in self._own(asker, shared=not asker.alone):
            yield [download]
        if not asker.hand.trusted:
            return
        for download in self._begin_suspects(asker):
            yield [download]
        yield list(self._begin_run(asker, count, follow, in_order=in_order))
        if not asker.alone:
            for slow in (asker.slow, not asker.slow):
                for download in self._shared(asker, slow=slow):
                    yield [download]
        for download in self._adopt(asker):
            yield [download]
        if asker.alone:
            for download in itertools.chain(self._own(asker, shared=True), self._shared(asker, slow=False)):
                yield [download]

    def _begin_run(self, asker: Asker[P], count: int, follow: int, *, in_order: bool) -> Iterator[PieceDownload[P]]:
        fresh = self._wants.fresh & asker.hand.holdings.bits
        if asker.only is not None:
            fresh &= asker.only
        room = min(count, asker.hand.trust - len(asker.hand.downloads) - asker.hand.unverified)
        if not fresh or self._partials.starved or room <= 0:
            return
        for piece in self._wants.run_in(fresh, room, follow=follow, in_order=in_order):
            download = self._begin(piece, asker, owner=asker.peer if asker.alone else None)
            if download is None:
                return
            yield download

    def _own(self, asker: Asker[P], *, shared: bool) -> Iterator[PieceDownload[P]]:
        """What the asker is at already."""
        for download in list(asker.hand.downloads.values()):
            mine = download.owner == asker.peer or (download.owner is None and shared)
            if download.free and mine and asker.may_get(download.piece):
                yield download

    def _scarce(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """New pieces that are SCARCER times as rare as the open ones, while not too many are open."""
        if self._partials.starved or self._partials.lacks(self._layout.least_of(self._wants.fresh)):
            return  # before the search, as in ``_begin_fresh``: nothing could be begun
        shared = bitfield.of(download.piece for download in self._shared(asker, slow=False))
        rarity = self._availability.lowest(shared) if shared else 0
        if rarity >= SCARCER and not self._availability.all_above(rarity // SCARCER):
            for download in self._begin_fresh(asker, at_most=rarity // SCARCER):
                yield download
                if len(self._partials.all) >= 2 * len(self._hands):
                    return

    def _shared(self, asker: Asker[P], *, slow: bool) -> Iterator[PieceDownload[P]]:
        """Open pieces."""
        for download in self._partials.open(slow=slow):
            if asker.may_get(download.piece):
                yield download

    def _begin_suspects(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """Pieces of which a wrong copy came: this one shall come from nobody else."""
        for piece in list(self._wants.suspects):
            if self._is_waiting(piece) and asker.may_get(piece):
                download = self._begin(piece, asker, owner=asker.peer)
                if download is None:
                    return
                yield download

    def _begin_fresh(self, asker: Asker[P], *, at_most: int | None = None) -> Iterator[PieceDownload[P]]:
        """New pieces (that at most so many peers have), while there is memory."""
        # Before the search for the best, which is dear, and of two in a crowd one found that memory was full again.
        if self._partials.starved:
            return
        if self._partials.lacks(self._layout.least_of(self._wants.fresh)):
            if self._has_fresh(asker):
                self._partials.memory.full = True
            return
        fresh = self._wants.fresh & asker.hand.holdings.bits
        if asker.only is not None:
            fresh &= asker.only
        for piece in self._wants.in_order(fresh, slow=asker.slow):
            if at_most is not None and self._availability.count_about(piece) > at_most:
                return
            download = self._begin(piece, asker, owner=asker.peer if asker.alone else None)
            if download is None:
                return
            yield download

    def _has_fresh(self, asker: Asker[P]) -> bool:
        """Whether the asker could begin a piece."""
        fresh, witness = self._wants.fresh, asker.hand.witness
        if asker.only is not None:
            fresh &= asker.only
        # As a rule its witness is one, and a high one: a shift of few digits, not an int of all that it has.
        return (witness >= 0 and bool(fresh >> witness & 1)) or bool(fresh & asker.hand.holdings.bits)

    def _begin(self, piece: int, asker: Asker[P], owner: P | None, *, urgent: bool = False) -> PieceDownload[P] | None:
        size = self._layout.piece_size(piece)
        download = self._partials.begin(piece, size, asker.now, slow=asker.slow, owner=owner, urgent=urgent)
        if download is not None:
            self._wants.begin(piece)
        return download

    def _adopt(self, asker: Asker[P]) -> Iterator[PieceDownload[P]]:
        """Pieces that another peer was to fetch alone, and gave up: anew, or one would again not know who lied."""
        for download in list(self._partials.alone.values()):
            piece = download.piece
            owner = self._hands.get(download.owner) if download.owner is not None else None
            gone = owner is None or piece not in owner.downloads  # the latter when it left and came back
            quiet = asker.now - download.touched_at  # not since it was asked: who refuses is asked again and again
            abandoned = download.idle and (gone or quiet >= limits.ALONE_AFTER)
            # Who sent less that was right does not make wait who sent more, and has nothing else to do: some that send
            # a block, and then one every few seconds or none, would hold a piece for minutes.
            if asker.hand.proven and not asker.slow and (owner is None or owner.trust < asker.hand.trust):
                abandoned = abandoned or quiet >= limits.STALLED_AFTER or self._crawls(download, asker)
            if abandoned and piece not in asker.hand.downloads and asker.may_get(piece):
                self._take_over(download, asker)
                yield download

    def _crawls(self, download: PieceDownload[P], asker: Asker[P]) -> bool:
        """Whether this piece comes SLOW_SHARE times slower than the asker's queue, which is QUEUE_TIME long, would."""
        pace = download.pace(asker.now) if asker.now - download.begun_at >= limits.STALLED_AFTER else math.inf
        return pace * QUEUE_TIME * limits.SLOW_SHARE < asker.room

    def _take_over(self, download: PieceDownload[P], asker: Asker[P]) -> None:
        """A piece that its owner gave up is begun anew for this one; after some such starts all may complete it."""
        if download.restarts >= limits.MAX_RESTARTS:
            download.owner = None
        else:
            owner = self._hands.get(download.owner) if download.owner is not None else None
            if owner is not None:
                owner.downloads.pop(download.piece, None)
                self.overtaken += [(owner.peer, block) for block in download.requested_of(owner.peer)]
            download.restart(asker.peer, asker.now)
        self._partials.sort_in(download)

    def _is_waiting(self, piece: int) -> bool:
        """Whether a suspect piece is not begun."""
        return piece in self._wants.needed and piece not in self._partials
