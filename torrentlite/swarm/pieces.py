"""The data side of one torrent: blocks come in, whole pieces are checked and written, wrong ones are blamed.

A piece changes its owner in one synchronous step: the picker's while blocks are missing, ours (``_finished``) from the
last block to the verdict, then the disk's. So cancellation cannot lose one.
"""

from __future__ import annotations

import itertools
import logging
import operator
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Protocol

import trio

from ..errors import DiskTroubleError, StorageError
from ..limits import CHECK_BATCH, CHECKERS, COMMIT_INTERVAL
from ..metainfo.layout import Block
from ..metainfo.metainfo import Info
from ..storage.disk import Disk, Verdict
from ..strategy.blame import Blame
from ..strategy.cache import Cache
from ..strategy.download import PieceDownload
from ..strategy.picker import ACCEPTED, Arrival, Picker
from ..strategy.rate import RateMeter
from ..wire import bitfield
from .commons import Commons
from .crew import Crew
from .spills import Spills, SpillsOwner
from .trouble import Trouble, TroubleOwner, bugs_stop

log = logging.getLogger("torrentlite")


class Source(Hashable, Protocol):
    """Who sends blocks: a peer, or a web seed.

    Attributes:
        key: what it is blamed by.
    """

    key: str

    def cancel(self, block: Block) -> None:
        """This block is not needed from it any more."""

    def is_slow(self, now: float, fastest: float) -> bool:
        """Whether pieces that it has a hand in would wait for it, while the fastest could have them done."""


class PiecesOwner(SpillsOwner, TroubleOwner, Protocol):
    """What the data side asks of its torrent: what its spills and the disk's trouble ask, and this."""

    def pieces_verified(self, pieces: list[int]) -> None:
        """These are right, and written."""

    def piece_failed(self, piece: int, peers: list[str]) -> None:
        """This one was wrong; who contributed."""

    def culprits_found(self, keys: list[str]) -> None:
        """These peers sent wrong data."""

    def pieces_lost(self, error: StorageError) -> None:
        """A sync failed: what was not synced is not here any more."""


class Keeper(Protocol):
    """What is asked where a storage does not hold all pieces."""

    def kept(self) -> int:
        """The pieces that it should not let go now, as bits."""

    def gone(self, pieces: list[int]) -> None:
        """These are not here any more: others needed their place."""


class Pieces:
    """Blocks on their way to the disk.

    Args:
        have: the pieces that are verified at the start, as bits.
        keeper: knows what a bounded storage should not let go.
        wanted: the pieces to fetch, as bits.
    """

    def __init__(
        self,
        owner: PiecesOwner,
        info: Info,
        disk: Disk,
        have: int,
        wanted: int,
        commons: Commons,
        crew: Crew,
        keeper: Keeper,
    ) -> None:
        self._owner = owner
        self.info = info
        self.layout = info.layout
        self.disk = disk
        self._commons = commons
        self._crew = crew
        self.picker: Picker[Source] = Picker(info.layout, commons.memory, commons.world.rng)
        self.picker.set_have(have)
        self._keeper = keeper
        self.cache = Cache(info.layout, disk.capacity) if disk.capacity is not None else None
        for piece in bitfield.members(have) if self.cache is not None else ():
            self.cache.add(piece)  # type: ignore[union-attr]
        self.picker.set_wanted(wanted)
        self.blame: Blame[str] = Blame()
        self.down_meter = RateMeter()
        self.up_meter = RateMeter()
        self.hash_failures = 0
        self.block_at = 0.0
        self.fastest = 0.0
        self._trouble = Trouble(owner)
        self._spills = Spills(self.picker.partials, disk, crew, self._trouble, owner)
        self._closed = False
        self._finished: deque[PieceDownload[Source]] = deque()
        self._checkers = 0
        self._committing = False
        self._commit_lock = trio.Lock()
        self._next_commit = trio.current_time() + COMMIT_INTERVAL

    @property
    def lasting(self) -> int:
        """The pieces that are here to stay, as bits."""
        return self.picker.have if self.cache is None else 0

    @property
    def busy(self) -> bool:
        """Whether pieces are to be checked, spilled or synced, or hold memory."""
        return bool(self._finished or self._spills or self.picker.partials.buffers or self.disk.dirty)

    # -- blocks ------------------------------------------------------------------------------------------------------

    def want(self, pieces: int) -> None:
        """Fetch these from now on; what was asked for in vain is cancelled."""
        self._cancel(self.picker.set_wanted(pieces))
        self._spills.forget()

    def pick(
        self, peer: Source, count: int, now: float, *, only: int | None, share: float | None = None
    ) -> list[Block]:
        """What to ask this peer for. Nothing while the disk refuses: do not ask for what cannot be stored."""
        if self._trouble.error is not None:
            return []
        slow, alone = peer.is_slow(now, self.fastest), self.blame.parole(peer.key)
        blocks = self.picker.pick(peer, count, now, only=only, slow=slow, whole_piece=alone, share=share)
        self._cancel(self.picker.overtaken())
        return blocks

    def pick_run(
        self, source: Source, count: int, now: float, *, only: int | None = None, follow: int = -1, in_order: bool
    ) -> list[Block]:
        """The same for a source that is asked for ranges: blocks that follow one another (``Picker.pick_run``)."""
        if self._trouble.error is not None:
            return []
        slow, alone = source.is_slow(now, self.fastest), self.blame.parole(source.key)
        blocks = self.picker.pick_run(
            source, count, now, only=only, follow=follow, in_order=in_order, slow=slow, whole_piece=alone
        )
        self._cancel(self.picker.overtaken())
        return blocks

    def _cancel(self, requests: list[tuple[Source, Block]]) -> None:
        for source, block in requests:
            source.cancel(block)

    def came(self, size: int, now: float) -> None:
        """So many bytes of blocks have come, of use or not."""
        self.down_meter.add(size, now)
        self._commons.down_meter.add(size, now)

    def got_blocks(
        self, peer: Source, blocks: Sequence[tuple[int, int, memoryview]], now: float
    ) -> list[tuple[int, int, memoryview]]:
        """Blocks arrived together, as (piece, begin, data); returns those that are of no use (any more)."""
        useless = []
        for piece, group in itertools.groupby(blocks, operator.itemgetter(0)):
            run = list(group)
            arrival = self.picker.received_run(peer, piece, run)
            if arrival is ACCEPTED:  # nearly always, and then there is nothing else to do
                self.block_at = now
            elif arrival is not None:
                if arrival.finished is not None:  # in the same breath: whatever is raised after this, it is checked
                    self._finished.append(arrival.finished)
                self._settle(arrival, now, *run[-1])
            else:
                useless += [block for block in run if not self.got_block(peer, *block, now)]
        return useless

    def got_block(self, peer: Source, piece: int, begin: int, data: memoryview, now: float) -> bool:
        """A block arrived; False where it is of no use (any more)."""
        arrival = self.picker.received(peer, piece, begin, data)
        if arrival.finished is not None:  # likewise
            self._finished.append(arrival.finished)
        if arrival.accepted:
            self._settle(arrival, now, piece, begin, data)
        return arrival.accepted

    def _settle(self, arrival: Arrival[Source], now: float, piece: int, begin: int, data: memoryview) -> None:
        self.block_at = now
        if arrival.spilled:
            self._spills.add(piece, begin, bytes(data))
        if arrival.finished is not None:
            self._start_checkers()
        if arrival.cancel:
            block = Block(piece, begin, len(data))
            for other in arrival.cancel:
                other.cancel(block)

    def released(self, peer: Source, blocks: list[Block]) -> None:
        """A peer will not send these: others may be asked."""
        self.picker.released(peer, blocks)
        self._owner.want_requests()

    def peer_left(self, peer: Source) -> None:
        """A peer is gone, and with it its availability and what it owed."""
        self.picker.remove_peer(peer)
        self._owner.want_requests()

    def distrust(self, keys: list[str]) -> None:
        """These have lied: what they sent to unfinished pieces is thrown away."""
        self.picker.distrust(lambda peer: peer.key in keys)

    def close(self) -> None:
        """No task of ours runs any more: give all memory back."""
        self._closed = True
        self._finished.clear()
        self.picker.close()
        self._spills.forget()

    def uploaded(self, size: int, now: float) -> None:
        """Bytes went out to a peer."""
        self.up_meter.add(size, now)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _start_checkers(self) -> None:
        if self._checkers < CHECKERS and self._crew.start(self._check, name="check pieces") is not None:
            self._checkers += 1

    def resume(self) -> None:
        """After a pause, or what a bug has ended: go on with what was waiting."""
        if self._finished:
            self._start_checkers()

    async def _check(self) -> None:
        """Hash and write what is finished, several pieces in one thread hop, until nothing is left.

        Half of what waits, as the other half is for the other checker. What is done after each hop, for each peer too,
        took 40 % of the loop's time with 200 peers when it was done after each piece of 1 MiB.
        """
        batch: list[PieceDownload[Source]] = []
        try:
            while self._finished:
                size, half = 0, len(self._finished) // 2
                while len(self._finished) > half and (not batch or size + self._finished[0].size <= CHECK_BATCH):
                    size += self._finished[0].size
                    batch.append(self._finished.popleft())
                try:
                    with bugs_stop(self._owner):
                        verdicts = await self._verdicts(batch)
                except DiskTroubleError as error:
                    self._finished.extendleft(reversed(batch))
                    batch.clear()
                    await self._trouble.wait(error)
                    continue
                except StorageError as error:
                    self._finished.extendleft(reversed(batch))
                    batch.clear()
                    self._owner.storage_failed(error)
                    return
                self._trouble.over()
                right = [
                    download for download, verdict in zip(batch, verdicts, strict=True) if verdict is Verdict.RIGHT
                ]
                wrong = [
                    download for download, verdict in zip(batch, verdicts, strict=True) if verdict is Verdict.WRONG
                ]
                batch.clear()
                if right:
                    await self._settle_blame(right)
                    for download in right:
                        self.picker.piece_right(download.piece)
                    self._owner.pieces_verified([download.piece for download in right])
                for download in wrong:
                    await self._got_wrong(download)
                self._owner.want_requests()
        finally:
            self._finished.extendleft(reversed(batch))
            self._checkers -= 1

    async def _verdicts(self, batch: list[PieceDownload[Source]]) -> list[Verdict]:
        if self.cache is not None:
            await self._make_room(self.cache, batch)
        whole = [(download.piece, download.buffer) for download in batch if download.buffer is not None]
        await self._spills.settled([piece for piece, _ in whole])
        verdicts = dict(zip([piece for piece, _ in whole], await self.disk.write_pieces(whole), strict=True))
        for download in batch:
            if download.buffer is None:
                await self._spills.write(download.piece)
                verdicts[download.piece] = await self.disk.check_spilled(download.piece)
        return [verdicts[download.piece] for download in batch]

    async def _make_room(self, cache: Cache, batch: list[PieceDownload[Source]]) -> None:
        """In a bounded storage others have to go first: nobody counts them as had when they do."""
        gone = cache.make_room(sum(d.size for d in batch if d.piece not in cache), self._keeper.kept())
        for download in batch:
            cache.add(download.piece)
        if gone:
            self.picker.set_have(self.picker.have & ~bitfield.of(gone))
            self._keeper.gone(gone)
            await self.disk.discard(gone)

    async def _got_wrong(self, download: PieceDownload[Source]) -> None:
        """A piece does not match its hash: free it, and find out whose fault it was."""
        self.hash_failures += 1
        if self.cache is not None:
            self.cache.remove(download.piece)
        senders = [peer.key for peer in download.senders if peer is not None]
        digests = await self._digests(download)
        self.picker.piece_wrong(download.piece)
        names = list(dict.fromkeys(senders))
        log.warning("piece %d was wrong; from %s", download.piece, ", ".join(names))
        self._owner.piece_failed(download.piece, names)
        culprits = self.blame.wrong(download.piece, digests, senders) if digests is not None else []
        if culprits:
            self._owner.culprits_found(culprits)

    async def _settle_blame(self, right: list[PieceDownload[Source]]) -> None:
        """A piece that was wrong before is right now: its blocks tell who spoiled it."""
        for download in right:
            if self.blame.suspects(download.piece):
                digests = await self._digests(download)
                culprits = self.blame.right(download.piece, digests) if digests is not None else []
                if culprits:
                    self._owner.culprits_found(culprits)

    async def _digests(self, download: PieceDownload[Source]) -> list[bytes] | None:
        """Of each block of a finished piece; None where the disk does not give a spilled one back: then who cares."""
        buffer = download.buffer
        if buffer is None:
            buffer = bytearray(download.size)
            try:
                await self.disk.read_back(download.piece, 0, memoryview(buffer))
            except StorageError as error:
                log.warning("cannot tell whose piece %d was: %s", download.piece, error)
                return None
        return await self.disk.block_digests(buffer)

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called by the session's tick."""
        if self.disk.dirty and now >= self._next_commit and not self._committing:
            self._committing = True
            if self._crew.start(self._commit, name="commit") is None:
                self._committing = False
        # A bounded storage has no room for parts of pieces.
        if (self._spills or self._commons.memory.full) and self.cache is None:
            self._spills.start()

    async def _commit(self) -> None:
        """Make what is written safe against a power cut, and give finished files their names."""
        try:
            with bugs_stop(self._owner):
                await self.commit()
        except StorageError as error:
            self._owner.storage_failed(error)
        finally:
            self._committing = False
            self._next_commit = trio.current_time() + COMMIT_INTERVAL

    async def commit(self) -> None:
        """Sync what is written, and give finished files their names. A disk that refuses for now is waited for.

        When a sync failed nobody knows what of the unsynced pieces is on the disk, so they are not here any more.

        Raises:
            StorageError: the disk refuses for good.
        """
        while not self._closed:
            try:
                async with self._commit_lock:
                    if not self._closed:
                        await self.disk.commit(self.picker.have)
                return
            except StorageError as error:
                passing = error if isinstance(error, DiskTroubleError) else None
                if passing is not None:
                    self._trouble.error = passing  # so nothing is asked for again before it works
                self.picker.set_have(self.picker.have & ~self.disk.unsure())
                self._owner.pieces_lost(error)
                if passing is None:
                    raise
            await self._trouble.wait(passing)
            self._trouble.over()
