"""One connection to a web seed: a task that asks for ranges and cuts what comes into blocks.

Blocks go the way of a peer's: into their piece, from there to hashing and disk. A body never fills a piece's buffer by
itself: while it is waited for, somebody else may deliver the same block, and then the piece belongs to the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from .. import limits
from ..errors import NetworkError
from ..metainfo.layout import BLOCK_SIZE, Block, Span
from ..net.partial import Part, RefusedError
from ..net.ranged import RangedHttp
from ..wire import bitfield
from .pieces import Pieces
from .webseed import WebSeed

if TYPE_CHECKING:
    from .webseeds import WebSeeds

_ZEROS: Final = memoryview(bytes(limits.WEB_SEED_BUFFER))


class _WholeFileError(Exception):
    """The server sends the whole file instead of a range of it."""


class WebFetch:
    """A connection to a web seed, from its first request until there is nothing to ask for any more.

    Attributes:
        resting: there is nothing to ask for at the moment.
        delivered_at: when it last brought a block that was of use.
    """

    def __init__(self, owner: WebSeeds, seed: WebSeed, pieces: Pieces) -> None:
        commons = owner.commons
        self._owner = owner
        self._seed = seed
        self._pieces = pieces
        self._info = pieces.info
        self._layout = pieces.layout
        self._http = RangedHttp(
            commons.world.network,
            user_agent=commons.user_agent,
            moved=seed.moved,
            proxies=commons.world.proxies,
        )
        self._buffer = memoryview(bytearray(limits.WEB_SEED_BUFFER))
        self._due: dict[Block, None] = {}  # asked for, and not received
        self._scope = trio.CancelScope()
        self._request: trio.CancelScope | None = None
        self._follow = -1
        self._file, self._offset = -1, 0  # where the open body stands
        self._rate = 0.0
        self._news = trio.Event()
        self._now = trio.current_time()
        self.resting = False
        self.delivered_at = -1e9

    async def run(self) -> None:
        """Fetch as long as there is something to fetch. Raises nothing but Cancelled and bugs."""
        failure: NetworkError | None = None
        try:
            with self._scope:
                while self._goes_on():
                    blocks = self._pick()
                    if blocks:
                        await self._get(blocks)
                    elif not await self._rest():
                        break
        except NetworkError as error:
            failure = error
        finally:
            self._http.close()
            self._give_back()
            self._owner.ended(self._seed, self, failure)

    def _goes_on(self) -> bool:
        fetches = self._seed.fetches
        return self in (fetches if self._seed.ranges else fetches[:1])

    def stop(self) -> None:
        """End it (sync; the task ends by itself)."""
        self._due.clear()
        self._scope.cancel()

    def wake(self) -> None:
        """There may be something to ask for."""
        self._news.set()

    def cancel(self, block: Block) -> None:
        """This block is not needed from here any more; if nothing else is, the rest of the answer is not waited for."""
        if block in self._due:
            del self._due[block]
            if not self._due and self._request is not None:
                self._request.cancel()

    def make_way(self, urgent: int) -> bool:
        """Let go of a range that none of these pieces (bits) is in, if it lasts longer than a new connection takes."""
        left = sum(block.length for block in self._due)
        if self._request is None or left < self._rate * limits.WEB_SEED_TURN:
            return False
        if any(urgent >> block.piece & 1 for block in self._due):
            return False
        self._request.cancel()
        return True

    # -- what to ask for ---------------------------------------------------------------------------------------------

    def _pick(self) -> list[Block]:
        now = trio.current_time()
        size = int(self._rate * limits.WEB_SEED_TIME) or limits.WEB_SEED_FIRST
        # Towards the end ranges get shorter, so that all connections have something to do until then.
        share = self._pieces.picker.missing * self._layout.piece_length // (2 * self._seed.most)
        size = max(limits.WEB_SEED_LEAST, min(size, share, limits.WEB_SEED_RANGE))
        count = max(self._layout.blocks_per_piece, size // BLOCK_SIZE)
        if self._seed.ranges:
            return self._pieces.pick_run(self._seed, count, now, follow=self._follow, in_order=False)
        if self._http.left:  # on with the file that is being read, if there is more to come of use
            ahead = self._ahead()
            blocks = self._pieces.pick_run(self._seed, count, now, only=ahead, in_order=True) if ahead else []
            needed = ahead & self._pieces.picker.wanted & ~self._pieces.picker.have
            if blocks and self._too_far(blocks[0], needed, now):
                self._pieces.released(self._seed, blocks)
                blocks, needed = [], 0
            if blocks or needed:
                return blocks
            self._http.close()
        return self._pieces.pick_run(self._seed, count, now, in_order=True)

    def _ahead(self) -> int:
        """The pieces that begin in the rest of the file that is being read."""
        layout, file = self._layout, self._file
        begins = layout.file_offsets[file] + self._offset
        ends = layout.file_offsets[file] + layout.file_lengths[file]
        return bitfield.span(range(-(-begins // layout.piece_length), -(-ends // layout.piece_length)))

    def _too_far(self, block: Block, needed: int, now: float) -> bool:
        """Whether too much would be read in vain to get there, while others bring something."""
        if now - self._pieces.block_at > limits.WEB_SEED_BLOCK:
            return False
        begins = self._layout.file_offsets[self._file] + self._offset
        between = self._layout.offset(block.piece, block.begin) - begins
        return between > limits.WEB_SEED_FORWARD * needed.bit_count() * self._layout.piece_length

    async def _rest(self) -> bool:
        """Keep the connection for a moment; whether there may be something to ask for now."""
        self.resting = True
        self._news = trio.Event()
        # What is read from the start would have to be read again.
        with trio.move_on_after(limits.WEB_SEED_HEAD if self._http.left else limits.WEB_SEED_REST):
            await self._news.wait()
        self.resting = False
        return self._news.is_set()

    def _give_back(self) -> None:
        due, self._due = list(self._due), {}
        if due:
            self._pieces.released(self._seed, due)

    # -- a range -----------------------------------------------------------------------------------------------------

    async def _get(self, blocks: list[Block]) -> None:
        """Fetch blocks that follow one another, from as many files as they lie in."""
        self._due = dict.fromkeys(blocks)
        began = trio.current_time()
        filler = _Filler(blocks, self._deliver)
        start = self._layout.offset(blocks[0].piece, blocks[0].begin)
        size = self._layout.offset(blocks[-1].piece, blocks[-1].begin) + blocks[-1].length - start
        with trio.CancelScope() as self._request:
            await trio.lowlevel.checkpoint()  # padding alone would wait for nobody
            try:
                for span in self._layout.spans(start, size):
                    await self._get_span(span, filler)
            except _WholeFileError:
                self._seed.without_ranges()
        cancelled, self._request = self._request.cancelled_caught, None
        if cancelled:
            self._http.close()
        elif not self._due:
            took = max(trio.current_time() - began, 1e-3)
            self._rate = (self._rate + size / took) / 2 if self._rate else size / took
            self._follow = blocks[-1].piece + 1
        self._give_back()

    async def _get_span(self, span: Span, filler: _Filler) -> None:
        entry = self._info.files[span.file]
        self._now = trio.current_time()
        if span.file in self._layout.gaps:
            return
        if entry.pad:  # BEP 47: zeros, which no server has to have
            left = span.length
            while left:
                filler.add(_ZEROS[:left])
                left -= min(left, len(_ZEROS))
            return
        try:
            offset, end = span.offset, span.offset + span.length
            while offset < end:
                await self._open(span.file, offset, end - offset)
                await self._read(min(end, offset + self._http.left), filler.add)
                offset = self._offset
        except RefusedError as error:
            if not error.lasting or not self._seed.file_failed(self._info, span.file, error, trio.current_time()):
                raise
            self._owner.file_failed(self._seed)
            assert self._request is not None
            self._request.cancel()
            await trio.lowlevel.checkpoint()

    async def _open(self, file: int, offset: int, length: int) -> None:
        """Bring the body to this place of this file."""
        seed, size = self._seed, self._layout.file_lengths[file]
        if self._http.left and self._file == file and self._offset <= offset:
            await self._read(offset, self._skip())
            return
        ranged = seed.ranges and length < size
        with trio.move_on_after(limits.WEB_SEED_HEAD) as scope:
            part = await self._http.get(
                seed.file_url(self._info, file), Part(offset, length), size, within=seed.within, ranged=ranged
            )
        if scope.cancelled_caught:
            raise NetworkError(f"no answer for {limits.WEB_SEED_HEAD:.0f} s")
        self._file, self._offset = file, part.offset
        if ranged and part.length > length:
            raise _WholeFileError
        if part.offset < offset:
            await self._read(offset, self._skip())

    async def _read(self, end: int, use: Callable[[memoryview], bool]) -> None:
        """Read the body up to this offset in its file. ``use`` takes what comes; it says whether a block is whole."""
        http, throttle = self._http, self._owner.throttle
        with trio.CancelScope(deadline=trio.current_time() + limits.WEB_SEED_BLOCK) as patience:
            while self._offset < end:
                most = min(end - self._offset, throttle.download_quantum(len(self._buffer)))
                count = await http.receive_into(self._buffer[:most])
                if not count:
                    raise NetworkError("its answer ended too early")
                now = self._now = self._owner.commons.heard_at = trio.current_time()
                self._offset += count
                if use(self._buffer[:count]):
                    patience.deadline = now + limits.WEB_SEED_BLOCK
                if throttle.download_limited and (wait := self._owner.book(count, now)):
                    patience.deadline = float("inf")
                    await self._owner.pace(wait)
                    patience.deadline = trio.current_time() + limits.WEB_SEED_BLOCK
        if patience.cancelled_caught:
            http.close()
            raise NetworkError(f"less than a block in {limits.WEB_SEED_BLOCK:.0f} s")

    def _skip(self) -> Callable[[memoryview], bool]:
        """Takes what lies before the place that is wanted. It is held to the same pace: else it might drip for ever."""
        skipped = 0

        def skip(data: memoryview) -> bool:
            nonlocal skipped
            self._owner.wasted(len(data), self._now)
            blocks, skipped = divmod(skipped + len(data), BLOCK_SIZE)
            return blocks > 0

        return skip

    def _deliver(self, block: Block, data: memoryview) -> None:
        now = self._now
        self._due.pop(block, None)
        self._pieces.came(block.length, now)
        if self._pieces.got_block(self._seed, block.piece, block.begin, data, now):
            self.delivered_at = now
            self._seed.delivered(block.length, now)
        else:
            self._owner.swarm.wasted += block.length


class _Filler:
    """Cuts bytes that follow one another into blocks."""

    def __init__(self, blocks: list[Block], deliver: Callable[[Block, memoryview], None]) -> None:
        self._blocks = iter(blocks)
        self._block = next(self._blocks)
        self._deliver = deliver
        self._part = memoryview(bytearray(BLOCK_SIZE))
        self._filled = 0

    def add(self, data: memoryview) -> bool:
        """Take bytes, no more than the blocks have; whether they made a block whole."""
        whole = False
        while data:
            block, filled = self._block, self._filled
            part = data[: block.length - filled]
            data = data[len(part) :]
            if len(part) < block.length:
                self._part[filled : filled + len(part)] = part
                self._filled += len(part)
                if self._filled < block.length:
                    return whole
                part = self._part[: block.length]
            self._filled = 0
            whole = True
            self._deliver(block, part)
            self._block = next(self._blocks, block)
        return whole
