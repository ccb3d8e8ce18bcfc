"""Which blocks to ask of which peer.

Every wanted piece that we lack is in exactly one of these places:

- *fresh*: not begun (or *suspect*: a wrong copy came, so the next is to come from one peer alone);
- *partial*: some of its blocks are requested or received, and it holds a buffer from the ``PieceMemory`` or is spilled;
- *checking*: all blocks are here and its owner hashes and writes it; ``piece_right`` or ``piece_wrong`` ends that.

A partial piece with free blocks is *open* to all, or it is fetched *alone* by its owner. Here the books are kept: who
is asked for what, and what came of it. How to choose is told in ``choice.py``.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ..limits import PARTIAL_KEPT
from ..metainfo.layout import BLOCK_SIZE, Block, Layout
from ..wire import bitfield
from .availability import Availability
from .choice import Choice
from .doubles import Doubles
from .download import PieceDownload
from .hand import Asker, Hand
from .memory import PieceMemory
from .partials import Partials
from .pieceset import PieceSet
from .wants import Wants

P = TypeVar("P", bound=Hashable)


class Arrival(NamedTuple, Generic[P]):
    """What became of a block.

    Attributes:
        accepted: it was taken; if not, it was fetched in vain.
        finished: its piece, if it is whole now. It is the caller's until ``piece_right`` or ``piece_wrong``.
        cancel: other peers that were asked for the same block, and are no more.
        spilled: the piece has no buffer any more: the caller writes this block to disk, and later checks it there.
    """

    accepted: bool
    finished: PieceDownload[P] | None = None
    cancel: tuple[P, ...] = ()
    spilled: bool = False


ACCEPTED: Final = Arrival[Any](True)
"""A block was taken, and nothing else is to be done."""
_REFUSED: Final = Arrival[Any](False)


def _follows(one: Block, two: Block) -> bool:
    return one.piece == two.piece and one.begin + one.length == two.begin


class Picker(Generic[P]):
    """Chooses blocks for peers, collects what they send into pieces, and keeps account of both.

    ``P`` is the caller's key for a connected peer. Pieces and sizes that come from outside were checked when they were
    parsed (``wire/peerwire.py``). Sets of pieces are ints, bit ``i`` for piece ``i``.

    Args:
        layout: of the torrent.
        memory: where buffers for pieces come from; usually shared with other torrents.
        rng: the dice.
        sequential: begin pieces in their order instead of the rarest first.

    Attributes:
        availability: how many peers have which piece.
        partials: the pieces on their way, and those that wait for ``piece_right`` or ``piece_wrong``.
    """

    def __init__(self, layout: Layout, memory: PieceMemory, rng: random.Random, *, sequential: bool = False) -> None:
        self.layout: Final = layout
        self.availability: Final = Availability(layout.piece_count)
        self.partials: Final[Partials[P]] = Partials(memory)
        self._hands: dict[P, Hand[P]] = {}
        self._contributors: dict[int, list[Hand[P]]] = {}  # to the pieces that are being checked
        self._wants: Final = Wants(self.availability, rng, sequential=sequential)
        self._choice: Final = Choice(layout, self.availability, self._wants, self.partials, self._hands)
        self._doubles: Final = Doubles(self.availability, self._wants, self.partials)
        self._now = 0.0

    # What we want

    @property
    def have(self) -> int:
        """The pieces that are verified."""
        return self._wants.have

    @property
    def wanted(self) -> int:
        """The pieces to be fetched, had or not."""
        return self._wants.wanted

    @property
    def missing(self) -> int:
        """How many wanted pieces are not had."""
        return self._wants.needed.count

    def set_have(self, pieces: int) -> list[tuple[P, Block]]:
        """Say which pieces are verified; returns the requests that are thereby no more needed, to be cancelled."""
        return self._set(pieces, self.wanted)

    def set_wanted(self, pieces: int) -> list[tuple[P, Block]]:
        """Say which pieces to fetch; returns the requests that are no more needed, to be cancelled."""
        return self._set(self.have, pieces)

    def set_priority(self, *levels: int) -> None:
        """Say which pieces to begin before all others, the first set first."""
        self._wants.levels = levels

    def steer(self, urgent: Sequence[int], windows: Sequence[int], allowed: int | None) -> None:
        """Say what readers wait for and will come to, before all priorities; see ``Wants``.

        Args:
            urgent: pieces that somebody waits for, the first needed first; only a few.
            windows: for each reader a set of pieces that it will come to, and reads in their order.
            allowed: pieces that may be begun at all, of those that are wanted; None for all.
        """
        self._wants.steer(urgent, windows)
        self._wants.allowed = allowed

    @property
    def urgent(self) -> int:
        """What somebody waits for, of what can still be asked for."""
        wants, checking = self._wants, self.partials.checking
        return bitfield.of(piece for piece in wants.urgent if piece in wants.needed and piece not in checking)

    @property
    def urgent_blocks(self) -> int:
        """How many blocks of that are missing."""
        downloads, layout = self.partials.all, self.layout
        return sum(
            downloads[piece].missing if piece in downloads else layout.block_count(piece)
            for piece in bitfield.members(self.urgent)
        )

    @property
    def unasked(self) -> bool:
        """Whether somebody waits for blocks that nobody is asked for."""
        downloads = self.partials.all
        return any(piece not in downloads or downloads[piece].free for piece in bitfield.members(self.urgent))

    def set_sequential(self, sequential: bool) -> None:
        """Say whether to begin pieces in their order, or the rarest first."""
        self._wants.sequential = sequential

    def _set(self, have: int, wanted: int) -> list[tuple[P, Block]]:
        wants, partials = self._wants, self.partials
        wants.set(have, wanted)
        cancelled = self._drop_all(
            [download for download in partials.all.values() if download.piece not in wants.needed]
        )
        wants.begun([*partials.all, *partials.checking])
        for hand in self._hands.values():
            self._find_witness(hand)
        return cancelled

    # Peers and what they have

    def add_peer(self, peer: P, pieces: int = 0) -> None:
        """A peer has connected; it has these pieces."""
        hand = Hand(peer, PieceSet(pieces, self.layout.piece_count))
        self._hands[peer] = hand
        self.availability.add(pieces)
        self._find_witness(hand)

    def remove_peer(self, peer: P) -> None:
        """A peer is gone: all that was requested of it is free again. What it sent stays (see ``distrust``)."""
        hand = self._hands.pop(peer)
        self.availability.remove(hand.holdings.bits)
        for download in hand.downloads.values():
            if download.forget(peer):
                self._freed(download)

    def peer_has(self, peer: P, piece: int) -> None:
        """A peer has one piece more (Have)."""
        hand = self._hands[peer]
        if self.availability.gain(piece, hand.holdings) and hand.witness == -1 and piece in self._wants.needed:
            hand.witness = piece

    def peer_lost(self, peer: P, piece: int) -> bool:
        """A peer has one piece less (BEP 54); whether it had it."""
        hand = self._hands[peer]
        full = hand.holdings.full
        if not hand.holdings.discard(piece):
            return False
        self.availability.decrement(piece, of_all=full)
        if hand.witness == piece:
            self._find_witness(hand)
        return True

    def set_pieces(self, peer: P, pieces: int) -> None:
        """A peer has exactly these pieces (Bitfield, HaveAll)."""
        hand = self._hands[peer]
        self.availability.remove(hand.holdings.bits)
        self.availability.add(pieces)
        hand.holdings = PieceSet(pieces, self.layout.piece_count)
        self._find_witness(hand)

    def pieces_of(self, peer: P) -> int:
        """The pieces that a peer has."""
        return self._hands[peer].holdings.bits

    def is_seed(self, peer: P) -> bool:
        """Whether a peer has all pieces."""
        return self._hands[peer].holdings.full

    def interesting(self, peer: P) -> bool:
        """Whether a peer has a piece that is wanted and not had. Made to be asked of every peer at every turn."""
        hand = self._hands[peer]
        if hand.witness >= 0 and hand.witness not in self._wants.needed:
            self._find_witness(hand)
        return hand.witness >= 0

    def _find_witness(self, hand: Hand[P]) -> None:
        # The highest piece costs nothing to find. With n pieces to go it is the next to come with a chance of 1/n,
        # so it takes about log(n) searches until the end, not n.
        hand.witness = (hand.holdings.bits & self._wants.needed.bits).bit_length() - 1

    # Choosing

    def pick(
        self,
        peer: P,
        count: int,
        now: float,
        *,
        only: int | None = None,
        slow: bool = False,
        whole_piece: bool = False,
        share: float | None = None,
    ) -> list[Block]:
        """Up to ``count`` blocks to ask of a peer, which are requested of it from now on.

        Args:
            peer: whom to ask.
            count: how many its pipeline has room for.
            now: the time.
            only: pieces that may be asked for, when not all (allowed fast, while it chokes us).
            slow: it is snubbed, or far slower than others of this torrent.
            whole_piece: it is on parole.
            share: ask for this part of each piece that somebody waits for, and for nothing else: others are asked for
                the rest of it at the same time.
        """
        self._now = now
        blocks: list[Block] = []
        if count <= 0 or (whole_piece and share is not None):
            return blocks
        hand = self._hands[peer]
        nothing_new = self.partials.exhausted and not self._wants.urgent and share is None
        if nothing_new and hand.asked:
            return blocks  # as ``contest`` would say: a third of all calls, when 200 peers share 64 MiB
        asker = Asker(hand, now, self._wants.permitted(only), room=count, slow=slow, alone=whole_piece)
        if nothing_new:
            return self._doubles.contest(asker, count)
        if self._wants.urgent and share is None:
            blocks += self._doubles.late(asker, count)
            if len(blocks) >= count:
                return blocks
        sources = self._choice.sources(asker) if share is None else self._choice.urgent(asker)
        for download in sources:
            most = count - len(blocks)
            if share is not None:
                most = min(most, math.ceil(share * len(download.senders)))
            hand.downloads[download.piece] = download
            blocks += download.ask(peer, most, now)
            if not download.free:
                self.partials.sort_in(download)
            if len(blocks) >= count:
                return blocks
        return blocks if blocks or share is not None else self._doubles.contest(asker, count)

    def overtaken(self) -> list[tuple[P, Block]]:
        """What others are asked for in vain since the latest picks: to be cancelled. It is told once."""
        cancelled, self._choice.overtaken = self._choice.overtaken, []
        return cancelled

    def pick_run(
        self,
        peer: P,
        count: int,
        now: float,
        *,
        only: int | None = None,
        follow: int = -1,
        in_order: bool = False,
        slow: bool = False,
        whole_piece: bool = False,
    ) -> list[Block]:
        """As ``pick``, for a source that is asked for ranges: blocks that follow one another in the torrent's bytes.

        Args:
            follow: the piece to go on with if it can be, or -1.
            in_order: begin with the lowest piece that is to be had.
        """
        self._now = now
        hand = self._hands[peer]
        asker = Asker(hand, now, self._wants.permitted(only), room=count, slow=slow, alone=whole_piece)
        pieces = max(1, count // self.layout.blocks_per_piece)
        for downloads in self._choice.runs(asker, pieces, follow=follow, in_order=in_order):
            blocks: list[Block] = []
            for download in downloads:
                hand.downloads[download.piece] = download
                blocks += download.ask_run(peer, max(1, count - len(blocks)), now)
                if not download.free:
                    self.partials.sort_in(download)
            if blocks:
                return blocks
        blocks = self._doubles.contest(asker, count)
        run = next((n for n, (one, two) in enumerate(itertools.pairwise(blocks), 1) if not _follows(one, two)), None)
        if run is not None:
            self.released(peer, blocks[run:])
            del blocks[run:]
        return blocks

    # What comes, and what does not

    def received(self, peer: P, piece: int, begin: int, data: bytes | bytearray | memoryview) -> Arrival[P]:
        """Take in a block that a peer has sent; it is copied, so ``data`` may be reused."""
        download = self.partials.all.get(piece)
        if download is None:
            return _REFUSED
        others = download.receive(peer, begin, data)
        if others is None:
            return _REFUSED
        download.touched_at = self._now
        if download.missing:
            if not others and download.buffer is not None:
                return ACCEPTED
            return Arrival(True, None, others, download.buffer is None)
        return self._finish(download, others)

    def received_run(
        self, peer: P, piece: int, run: Sequence[tuple[int, int, bytes | bytearray | memoryview]]
    ) -> Arrival[P] | None:
        """As ``received``, for blocks of one piece, as (piece, begin, data), that came together.

        None, and nothing is done, where they are not just what was to come: then each is to be looked at by itself.
        """
        download = self.partials.all.get(piece)
        if download is None or not download.receive_run(peer, run):
            return None
        download.touched_at = self._now
        return ACCEPTED if download.missing else self._finish(download, ())

    def _finish(self, download: PieceDownload[P], cancel: tuple[P, ...]) -> Arrival[P]:
        piece = download.piece
        self.partials.remove(download)
        for asked in download.asked:
            del self._hands[asked].downloads[piece]
        senders = dict.fromkeys(download.senders)
        contributors = [self._hands[sender] for sender in senders if sender is not None and sender in self._hands]
        for hand in contributors:
            hand.unverified += 1
        self.partials.checking[piece] = download
        self._contributors[piece] = contributors
        return Arrival(True, download, cancel, download.buffer is None)

    def released(self, peer: P, blocks: Iterable[Block]) -> None:
        """These blocks will not come from this peer: rejected, cancelled, choked or timed out."""
        bits: dict[int, int] = {}
        for piece, begin, _ in blocks:
            bits[piece] = bits.get(piece, 0) | 1 << begin // BLOCK_SIZE
        for piece, chosen in bits.items():
            download = self.partials.all.get(piece)
            if download is not None and download.release(peer, chosen):
                self._freed(download)

    def distrust(self, lied: Callable[[P], bool]) -> None:
        """Throw away what some peers, connected or gone, have sent to pieces that are not yet finished."""
        for download in list(self.partials.all.values()):
            if download.discard(lied):
                self._freed(download)

    def requests_of(self, peer: P) -> list[Block]:
        """The blocks that are requested of a peer."""
        downloads = self._hands[peer].downloads.values()
        return [block for download in downloads for block in download.requested_of(peer)]

    def piece_right(self, piece: int) -> None:
        """A finished piece is verified and written: it is had from now on, and its memory is free."""
        self.partials.give(self.partials.checking.pop(piece))
        for hand in self._contributors.pop(piece):
            hand.unverified -= 1
            hand.trust += 1
        self._wants.right(piece)

    def piece_wrong(self, piece: int) -> None:
        """A finished piece is not what it should be: it will be fetched again, whole from one peer."""
        self.partials.give(self.partials.checking.pop(piece))
        for hand in self._contributors.pop(piece):
            hand.unverified -= 1
            hand.trust = 1
        self._wants.wrong(piece)

    def shed(self, now: float) -> None:
        """Forget pieces that may not be fetched any more, because their readers went elsewhere, some time after."""
        allowed = self._wants.allowed
        if allowed is not None:
            for download in list(self.partials.all.values()):
                quiet = now - max(download.asked_at, download.touched_at)
                unwanted = not allowed >> download.piece & 1 and download.idle and quiet >= PARTIAL_KEPT
                if unwanted and download.buffer is not None:  # a spilled one costs nothing
                    self._drop(download)

    def clear(self) -> list[tuple[P, Block]]:
        """Forget all partial pieces, as for a pause; returns all requests, to be cancelled. Checks go on."""
        return self._drop_all(list(self.partials.all.values()))

    def close(self) -> None:
        """Give all memory back, for good. Nothing is being checked or spilled any more, whatever came of it."""
        self.clear()
        for download in self.partials.checking.values():
            self.partials.give(download)
        self.partials.checking.clear()
        self._contributors.clear()

    def _freed(self, download: PieceDownload[P]) -> None:
        # A spilled one stays: it costs nothing, and writes of it that are under way must not meet a new beginning.
        if download.untouched and download.buffer is not None:
            self._drop(download)
        else:
            self.partials.sort_in(download)

    def _drop_all(self, downloads: list[PieceDownload[P]]) -> list[tuple[P, Block]]:
        cancelled = []
        for download in downloads:
            for peer in download.asked:
                cancelled += [(peer, block) for block in download.requested_of(peer)]
            self._drop(download)
        return cancelled

    def _drop(self, download: PieceDownload[P]) -> None:
        self.partials.remove(download)
        self.partials.give(download)
        for peer in download.asked:
            del self._hands[peer].downloads[download.piece]
        self._wants.put_back(download.piece)
