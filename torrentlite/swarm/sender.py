"""The sending half of a peer: small messages first, then a batch of blocks."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import trio

from ..errors import StorageError
from ..limits import ANSWERS_AT_ONCE, KEEP_ALIVE, OUTBOX_PART, UPLOAD_BATCH_BLOCKS, UPLOAD_BATCH_SECONDS
from ..metainfo.layout import BLOCK_SIZE
from ..wire import messages as wm
from . import serving

if TYPE_CHECKING:
    from .peer import Peer


class Sender:
    """What waits to be sent to one peer, and the task that sends it.

    Others only append (sync) and go on. Blocks are read when their turn has come, not when they are asked for.

    Attributes:
        asked: what it wants to know of the torrent itself; answers are made when those before them have gone.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.asked: deque[wm.MetadataRequest | wm.HashRequest] = deque()
        self._outbox = bytearray()
        self._finishing = False
        self._sending_since = math.inf
        self._wake = trio.Event()
        self._booked = 0
        self._due = 0.0

    @property
    def size(self) -> int:
        """Bytes of small messages that wait."""
        return len(self._outbox)

    def send(self, data: bytes) -> None:
        """Queue small messages."""
        self._outbox += data
        self._wake.set()

    def send_later(self, data: bytes) -> None:
        """Queue small messages that may wait for the next that goes out, or for the peer's tick."""
        self._outbox += data

    def wake(self) -> None:
        """There is something new to do: a request was queued."""
        self._wake.set()

    def finish(self) -> None:
        """Send what waits, blocks aside, and then close the connection."""
        self._finishing = True
        self._wake.set()

    def stuck_for(self, now: float) -> float:
        """Seconds since which one send has not come to its end; below 0 where none is under way."""
        return now - self._sending_since

    def rebook(self) -> None:
        """The rate limits have changed: the next batch is booked anew."""
        self._unbook()
        self._wake.set()

    def keep_alive(self, now: float, interval: float = KEEP_ALIVE) -> None:
        """BEP 3: "generally sent once every two minutes"."""
        if now - self._peer.last_sent > interval and not self._outbox:
            self.send(wm.encode(wm.KeepAlive()))

    async def run(self) -> None:
        """Send until it is enough (``finish``)."""
        peer = self._peer
        try:
            while not self._finishing:
                if self.asked and not self._outbox:
                    await self._answer_some()
                if peer.uploads and self._may_send(trio.current_time()):
                    await self._send_blocks()
                elif self._outbox:
                    await self._flush([])
                else:
                    self._wake = trio.Event()
                    if peer.uploads:
                        with trio.move_on_at(self._due):
                            await self._wake.wait()
                    else:
                        self._unbook()
                        await self._wake.wait()
            if self._outbox:
                await self._flush([])
            peer.close("")
        finally:
            self._unbook()

    async def _answer_some(self) -> None:
        """Make an answer, or several of those that are made at once: that takes less time than sending them does."""
        swarm = self._peer.swarm
        for _ in range(ANSWERS_AT_ONCE):
            request = self.asked[0]
            if isinstance(request, wm.MetadataRequest):
                answer: bytes | None = swarm.extensions.metadata_piece(self._peer, request.piece)
            else:
                answer = swarm.layers.answer_at_once(request)
            if answer is None:
                break
            self.asked.popleft()
            self.send(answer)
            if not self.asked or self.size >= OUTBOX_PART:
                return
        if not self._outbox and isinstance(request, wm.HashRequest):
            self.asked.popleft()
            self.send(await swarm.layers.answer(self._peer, request))

    async def _flush(self, views: list[memoryview | bytearray]) -> None:
        while len(self._outbox) > OUTBOX_PART:
            part = self._outbox[:OUTBOX_PART]
            del self._outbox[:OUTBOX_PART]
            await self._send([part])
        outbox = self._outbox
        if outbox:
            self._outbox = bytearray()
            views = [outbox, *views]
        await self._send(views)

    async def _send(self, views: list[memoryview | bytearray]) -> None:
        self._sending_since = trio.current_time()
        await self._peer.stream.send_vectored(views)
        self._sending_since = math.inf
        self._peer.last_sent = trio.current_time()

    def _may_send(self, now: float) -> bool:
        """Book the next batch with the rate limits; whether its time has come.

        The wait is not slept through: meanwhile small messages go out as they come.
        """
        if not self._booked:
            self._booked = self._batch_blocks(now) * BLOCK_SIZE
            self._due = now + self._peer.swarm.throttle.book_upload(self._booked, now)
        return now >= self._due

    def _unbook(self) -> None:
        if self._booked:
            self._peer.swarm.throttle.unbook_upload(self._booked)
            self._booked = 0

    def _batch_blocks(self, now: float) -> int:
        """Blocks for one send: up to UPLOAD_BATCH_BLOCKS, no more than UPLOAD_BATCH_SECONDS at this peer's rate.

        So Cancel and Choke still find most of a slow peer's requests in the queue, and other peers get their turn.
        """
        peer = self._peer
        by_rate = int(peer.up_meter.rate(now) * UPLOAD_BATCH_SECONDS) // BLOCK_SIZE
        shared = peer.swarm.throttle.upload_quantum()
        return max(1, min(len(peer.uploads), UPLOAD_BATCH_BLOCKS, max(by_rate, 4), shared))

    async def _send_blocks(self) -> None:
        peer = self._peer
        swarm = peer.swarm
        pieces = swarm.pieces
        if pieces is None:  # a recheck has begun: this connection is about to end
            await trio.lowlevel.checkpoint()
            return
        blocks = peer.uploads.take(self._booked // BLOCK_SIZE)
        unsent, self._booked = self._booked, 0
        batch = swarm.commons.borrow_batch()
        reading = False
        try:
            views = batch.lay(blocks)
            peer.uploads.give_back(blocks[len(views) :])
            del blocks[len(views) :]
            try:
                if not pieces.disk.read_now(blocks, views):
                    reading = True
                    await pieces.disk.read(blocks, views)
                    reading = False
                    if peer.am_choking:  # after the wait, look again: all of it was to be refused then
                        serving.reject(peer, blocks)
                        return
            except StorageError as error:
                serving.reject(peer, blocks)
                if any(not pieces.picker.have >> block.piece & 1 for block in blocks):
                    return  # let go of meanwhile (BEP 54)
                swarm.read_failed(error)
                return
            if blocks:
                await self._flush([batch.messages])
                unsent -= batch.payload
                swarm.sent_blocks(peer, batch.payload)
        finally:
            swarm.throttle.unbook_upload(unsent)
            if not reading:  # a read that was cancelled may still be writing into it
                swarm.commons.return_batch(batch)
