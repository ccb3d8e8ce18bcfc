"""One piece on its way, block by block.

Each block is in exactly one state: *free*, *requested* (of one peer, in the endgame of a few) or *received*. What is
remembered of each peer is an int with bit ``i`` for block ``i``, so asking for a run of blocks, and giving back all
that a peer was asked for, are one operation however many blocks there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from ..limits import STALLED_AFTER
from ..metainfo.layout import BLOCK_SIZE, Block
from ..wire import bitfield
from .memory import Buffer

P = TypeVar("P", bound=Hashable)


class PieceDownload(Generic[P]):
    """The blocks of one piece, who is asked for which and who sent which.

    Args:
        piece: the number of the piece.
        buffer: its memory; its length is the size of the piece.
        now: the time.
        slow: whether it was begun by a slow peer; fast ones leave it to such peers while they have better to do.
        owner: the one peer that may fetch this piece, or None when peers share it.

    Attributes:
        buffer: None after the piece was spilled to disk.
        leaving: the buffer of a spilled piece until its blocks are written.
        free: numbers of the free blocks, the highest first.
        asked: the blocks that each peer is asked for now. A peer once asked stays here, with 0, until it is forgotten.
        doubled: blocks that several peers are asked for (or were: it may name too many).
        senders: who sent each block; None for those not received.
        restarts: how often it was begun again for another owner.
        missing: how many blocks are not received.
        asked_at: when a free block was last asked for.
        touched_at: when a block last came (its owner sets it), or when it was begun for its owner.
    """

    __slots__ = (
        "_last",
        "_last_length",
        "_was_asked",
        "asked",
        "asked_at",
        "begun_at",
        "buffer",
        "doubled",
        "free",
        "leaving",
        "missing",
        "owner",
        "piece",
        "restarts",
        "senders",
        "size",
        "slow",
        "touched_at",
        "view",
    )

    def __init__(self, piece: int, buffer: Buffer, now: float, *, slow: bool = False, owner: P | None = None) -> None:
        self.piece: Final = piece
        self.size: Final = len(buffer)
        self.buffer: Buffer | None = buffer
        # Assigning to a slice of a bytearray would copy twice; through a view it is one memcpy.
        self.view: memoryview | None = memoryview(buffer)
        self.leaving: Buffer | None = None
        self.slow: Final = slow
        self.owner = owner
        self.restarts = 0
        self.begun_at = self.asked_at = self.touched_at = now

        count = -(-self.size // BLOCK_SIZE)
        self._last: Final = count - 1
        self._last_length: Final = self.size - self._last * BLOCK_SIZE
        self.free = list(range(count - 1, -1, -1))
        self.asked: dict[P, int] = {}
        self._was_asked: dict[P, int] = {}
        self.doubled = 0
        self.senders: list[P | None] = [None] * count
        self.missing = count

    def __repr__(self) -> str:
        return f"<PieceDownload {self.piece}: {len(self.free)} free, {self.missing} missing of {len(self.senders)}>"

    @property
    def untouched(self) -> bool:
        """Nothing is received and nobody is asked: it might as well not exist."""
        return len(self.free) == len(self.senders)

    @property
    def idle(self) -> bool:
        """Nobody is asked for anything."""
        return len(self.free) == self.missing

    def stalls(self, now: float) -> bool:
        """Whether for long no block has come and none was asked for."""
        return now - max(self.asked_at, self.touched_at) >= STALLED_AFTER

    def pace(self, now: float) -> float:
        """Blocks a second that have come since it was begun."""
        return (len(self.senders) - self.missing) / max(now - self.begun_at, 1.0)

    def ask(self, peer: P, count: int, now: float) -> list[Block]:
        """Up to ``count`` (at least 1) free blocks, the lowest first, which are now requested of this peer."""
        chosen = self.free[-count:]
        if not chosen:
            return []
        chosen.reverse()
        first, last = chosen[0], chosen[-1]
        whole_run = last - first + 1 == len(chosen)
        self._book(peer, bitfield.span(range(first, last + 1)) if whole_run else bitfield.of(chosen))
        del self.free[-count:]  # not before they are booked, or a bug between the two would lose them
        self.asked_at = now
        begins: Iterable[int] = range(first * BLOCK_SIZE, (last + 1) * BLOCK_SIZE, BLOCK_SIZE)
        if not whole_run:
            begins = [index * BLOCK_SIZE for index in chosen]
        # ``tuple.__new__`` is the constructor of a named tuple in half of its time; a loop in C takes a third off that.
        fields = zip(itertools.repeat(self.piece), begins, itertools.repeat(BLOCK_SIZE))
        blocks = list(map(tuple.__new__, itertools.repeat(Block), fields))
        if last == self._last:
            blocks[-1] = self._block(last)
        return blocks

    def ask_run(self, peer: P, count: int, now: float) -> list[Block]:
        """As ``ask``, but only blocks that follow one another."""
        free = self.free
        most = min(count, len(free))
        if not self.untouched:
            run = 1
            while run < most and free[-run - 1] == free[-run] + 1:
                run += 1
            most = min(most, run)
        return self.ask(peer, most, now) if most else []

    def ask_again(self, peer: P, count: int, most: int) -> list[Block]:
        """Up to ``count`` blocks that others are asked for, which then have ``most`` askers at most (the endgame).

        Those with the fewest askers come first.
        """
        more_than = [0] * most  # at ``n``: the blocks with more than n askers
        for bits in self.asked.values():
            for askers in range(most - 1, 0, -1):
                more_than[askers] |= more_than[askers - 1] & bits
            more_than[0] |= bits
        others = ~self.asked.get(peer, 0)
        ranks = [fewer & ~more & others for fewer, more in itertools.pairwise(more_than)]
        chosen = list(itertools.islice(itertools.chain.from_iterable(map(bitfield.members, ranks)), count))
        if not chosen:
            return []
        bits = bitfield.of(chosen)
        self.doubled |= bits
        self._book(peer, bits)
        return [self._block(index) for index in chosen]

    def receive(self, peer: P, begin: int, data: bytes | bytearray | memoryview) -> tuple[P, ...] | None:
        """Take a block in, copying it once (not at all when the piece was spilled).

        It must be what ``peer`` is asked for, or was asked for earlier while it is still missing: what comes late,
        after a choke or a time-out, is as good as any.

        Returns:
            The other peers that are asked for this block, who are now asked no more; or None when the block is not
            taken: not asked for, received already, or of a wrong length or place.
        """
        index = begin // BLOCK_SIZE
        bit = 1 << index
        asked = self.asked.get(peer, 0)
        if not asked & bit and (not self._was_asked.get(peer, 0) & bit or self.senders[index] is not None):
            return None
        length = len(data)
        if begin % BLOCK_SIZE or length != (BLOCK_SIZE if index != self._last else self._last_length):
            return None
        if self.view is not None:
            self.view[begin : begin + length] = data
        self.senders[index] = peer
        self.missing -= 1
        if not asked & bit:
            if index in self.free:
                self.free.remove(index)
                return ()
            return self._unask(bit)
        self.asked[peer] = asked ^ bit
        return self._unask(bit) if self.doubled & bit else ()

    def receive_run(self, peer: P, run: Sequence[tuple[int, int, bytes | bytearray | memoryview]]) -> bool:
        """Take in (piece, begin, data) that follow one another, whole blocks that only this peer is asked for.

        So it is with nearly all that comes, sixteen at a time, and then it is booked as one: that takes a third of the
        time of as many ``receive``. False, and nothing is done, where anything is out of the usual.
        """
        count, view = len(run), self.view
        first = run[0][1]
        index = first // BLOCK_SIZE
        bits = (1 << count) - 1 << index
        asked = self.asked.get(peer, 0)
        if view is None or first % BLOCK_SIZE or asked & bits != bits or self.doubled & bits:
            return False
        due = first
        for _, begin, data in run:  # all of them before the first is copied
            if begin != due or len(data) != BLOCK_SIZE:
                return False
            due += BLOCK_SIZE
        if due > self.size:
            return False
        for _, begin, data in run:
            view[begin : begin + BLOCK_SIZE] = data
        self.senders[index : index + count] = [peer] * count
        self.missing -= count
        self.asked[peer] = asked ^ bits
        return True

    def release(self, peer: P, blocks: int = -1) -> bool:
        """Take back what a peer is asked for (all, or only these blocks); returns whether a block became free."""
        freed = self.asked.get(peer, 0) & blocks
        if not freed:
            return False
        self.asked[peer] ^= freed
        if self.doubled & freed:
            for bits in self.asked.values():
                freed &= ~bits
            self.doubled &= ~freed
        self._free(bitfield.members(freed))
        return bool(freed)

    def forget(self, peer: P) -> bool:
        """Release what a peer is asked for, for ever: what it still sends is not taken. Its blocks stay."""
        freed = self.release(peer)
        self.asked.pop(peer, None)
        self._was_asked.pop(peer, None)
        return freed

    def discard(self, lied: Callable[[P], bool]) -> bool:
        """Throw away the blocks that some peers have sent; returns whether there were any."""
        lost = [index for index, sender in enumerate(self.senders) if sender is not None and lied(sender)]
        for index in lost:
            self.senders[index] = None
        self.missing += len(lost)
        self._free(lost)
        return bool(lost)

    def restart(self, owner: P, now: float) -> None:
        """Throw everything away, for another peer to fetch this piece alone."""
        self.owner = owner
        self.begun_at = self.touched_at = now
        self.restarts += 1
        self.asked.clear()
        self._was_asked.clear()
        self.doubled = 0
        self.senders = [None] * len(self.senders)
        self.missing = len(self.senders)
        self.free = list(range(self._last, -1, -1))

    def requested_of(self, peer: P) -> list[Block]:
        """The blocks that a peer is asked for now."""
        return [self._block(index) for index in bitfield.members(self.asked.get(peer, 0))]

    def contributors(self) -> list[P]:
        """Who sent each block, in their order; of a finished piece that is one for every block."""
        return [sender for sender in self.senders if sender is not None]

    def detach(self) -> list[tuple[int, memoryview]]:
        """Part from the buffer, which becomes ``leaving``; returns what is received as runs of (begin, bytes)."""
        if self.view is None:
            return []
        runs = []
        for received, group in itertools.groupby(
            range(len(self.senders)), lambda index: self.senders[index] is not None
        ):
            if received:
                indexes = list(group)
                begin = indexes[0] * BLOCK_SIZE
                runs.append((begin, self.view[begin : (indexes[-1] + 1) * BLOCK_SIZE]))
        self.leaving = self.buffer
        self.buffer = self.view = None
        return runs

    def _block(self, index: int) -> Block:
        return Block(self.piece, index * BLOCK_SIZE, BLOCK_SIZE if index != self._last else self._last_length)

    def _book(self, peer: P, bits: int) -> None:
        self.asked[peer] = self.asked.get(peer, 0) | bits
        self._was_asked[peer] = self._was_asked.get(peer, 0) | bits

    def _unask(self, bit: int) -> tuple[P, ...]:
        others = tuple(peer for peer, bits in self.asked.items() if bits & bit)
        for peer in others:
            self.asked[peer] ^= bit
        self.doubled &= ~bit
        return others

    def _free(self, indexes: Iterable[int]) -> None:
        self.free.extend(indexes)
        self.free.sort(reverse=True)
