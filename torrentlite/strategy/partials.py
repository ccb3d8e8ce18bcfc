"""The pieces on their way, from the first request to the verdict, and the memory they hold."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from ..limits import SPILL_AGE, STALLED_AFTER
from ..wire import bitfield
from .download import PieceDownload
from .memory import Buffer, PieceMemory

P = TypeVar("P", bound=Hashable)


class Partials(Generic[P]):
    """All partial pieces of a torrent, and which of them have free blocks for whom.

    A piece without an owner is *open* while it has free blocks; those begun by slow peers are kept apart. A piece with
    an owner is *alone*. Dicts are in the order of age, so the oldest are completed first.

    Attributes:
        all: every partial piece by its number.
        alone: those that only their owner may fetch.
        checking: whole ones that wait for their verdict.
        memory: where their buffers come from.
        buffers: how many are out.
    """

    __slots__ = ("_calm_until", "_open", "all", "alone", "buffers", "checking", "memory")

    def __init__(self, memory: PieceMemory) -> None:
        self.memory = memory
        self.buffers = 0
        self._calm_until = 0.0
        self.all: dict[int, PieceDownload[P]] = {}
        self.alone: dict[int, PieceDownload[P]] = {}
        self.checking: dict[int, PieceDownload[P]] = {}
        self._open: tuple[dict[int, PieceDownload[P]], dict[int, PieceDownload[P]]] = ({}, {})  # of fast peers, of slow

    @property
    def starved(self) -> bool:
        """Whether to begin a piece would be refused, as it was before."""
        # Without any buffer one must ask all the same: the memory keeps room for those.
        return self.memory.full and self.buffers > 0

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to ask for but what others are asked for: the usual state with many peers."""
        fast, slow = self._open
        return self.memory.full and not (fast or slow or self.alone) and self.buffers > 0

    def __contains__(self, piece: int) -> bool:
        """Whether a piece is begun, or being checked."""
        return piece in self.all or piece in self.checking

    def lacks(self, size: int) -> bool:
        """Whether to begin a piece of this size would be refused now, if it is not urgent."""
        return self.buffers > 0 and self.memory.lacks(size)

    def begin(
        self, piece: int, size: int, now: float, *, slow: bool, owner: P | None, urgent: bool = False
    ) -> PieceDownload[P] | None:
        """A new partial piece, or None when there is no memory for it; an urgent one gets some beyond the limit."""
        buffer = self.memory.take(size, first=not self.buffers, urgent=urgent)
        if buffer is None:
            return None
        self.buffers += 1
        download = PieceDownload(piece, buffer, now, slow=slow, owner=owner)
        self.all[piece] = download
        self.sort_in(download)
        return download

    def remove(self, download: PieceDownload[P]) -> None:
        """Take a piece out. Its buffer stays out until ``give``."""
        piece = download.piece
        del self.all[piece]
        self.alone.pop(piece, None)
        self._open[download.slow].pop(piece, None)

    def give(self, download: PieceDownload[P]) -> None:
        """Return the buffer of a piece, if it has one, to the memory."""
        if download.buffer is not None:
            self._return(download.buffer)
            download.buffer = download.view = None

    def sort_in(self, download: PieceDownload[P]) -> None:
        """Put a partial piece where its owner and its free blocks say."""
        piece = download.piece
        if download.owner is not None:
            self.alone[piece] = download
            return
        self.alone.pop(piece, None)
        if download.free:
            self._open[download.slow].setdefault(piece, download)
        else:
            self._open[download.slow].pop(piece, None)

    def open(self, *, slow: bool) -> list[PieceDownload[P]]:
        """The shared pieces with free blocks, begun by slow peers or by the others."""
        # A block that comes after it was given up leaves ``free`` unnoticed, hence the question.
        return [download for download in self._open[slow].values() if download.free]

    def may_stall(self, now: float) -> bool:
        """Whether a block of some piece was last asked for STALLED_AFTER ago.

        With memory full this is asked after every receive of every peer, mostly in vain. A piece is only ever asked for
        later than before, so until the oldest can have stalled nobody needs to look at them all again.
        """
        if now < self._calm_until:
            return False
        self._calm_until = min((download.asked_at for download in self.all.values()), default=now) + STALLED_AFTER
        return now >= self._calm_until

    # -- when memory is short ----------------------------------------------------------------------------------------

    def candidate_to_spill(self, now: float) -> PieceDownload[P] | None:
        """The partial piece that keeps its memory the longest for the least, when spilling one would help.

        It would not while pieces are being checked: then it is the disk that is slow, and memory will come back.
        """
        if self.checking:
            return None
        downloads = [download for download in self.all.values() if download.buffer is not None]
        slow = [download for download in downloads if now - download.begun_at >= SPILL_AGE or download.stalls(now)]
        return min(slow, key=lambda download: download.pace(now), default=None)

    def spill(self, download: PieceDownload[P]) -> list[tuple[int, memoryview]]:
        """Part a piece from its memory; returns what is to be written to disk, as (begin, bytes).

        From now on the caller writes what arrives for it (``Arrival.spilled``) and, when it is whole, checks it on
        disk. When the returned bytes are written, ``spilled`` gives the memory back.
        """
        return download.detach()

    def spilled(self, download: PieceDownload[P]) -> None:
        """What ``spill`` returned is written (or has failed to be, and the caller drops the piece)."""
        if download.leaving is not None:
            self._return(download.leaving)
            download.leaving = None

    def parted(self, piece: int) -> PieceDownload[P] | None:
        """The spilled piece of this number that is on its way, or being checked."""
        download = self.all.get(piece) or self.checking.get(piece)
        return download if download is not None and download.buffer is None else None

    def _return(self, buffer: Buffer) -> None:
        self.buffers -= 1
        self.memory.give(buffer)

    # -- looks -------------------------------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """The pieces of which some blocks are received, but not all."""
        return bitfield.of(download.piece for download in self.all.values() if download.missing < len(download.senders))

    @property
    def in_flight(self) -> int:
        """The pieces of which some blocks are requested now."""
        return bitfield.of(download.piece for download in self.all.values() if not download.idle)
