"""What one peer has asked us for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..metainfo.layout import Block


class Uploads:
    """The requests of one peer that we have not answered, oldest first. Sync, no data: only what to read.

    Cancel and Choke edit this queue and nothing else, so a slow peer holds a few numbers of ours, not megabytes.

    Args:
        limit: requests kept at most (``reqq``, BEP 10).
    """

    __slots__ = ("_queue", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._queue: OrderedDict[Block, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._queue)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, blocks: Sequence[Block]) -> list[Block]:
        """Queue requests; returns those for which there is no room. Asking twice for the same is asking once."""
        queue = self._queue
        if len(queue) + len(blocks) <= self.limit:
            queue.update(dict.fromkeys(blocks))
            return []
        fresh = [block for block in blocks if block not in queue]
        room = max(0, self.limit - len(queue))
        queue.update(dict.fromkeys(fresh[:room]))
        return fresh[room:]

    def cancel(self, block: Block) -> bool:
        """Take a request back; False where it was not queued (any more)."""
        return self._queue.pop(block, block) is None

    def take(self, most: int) -> list[Block]:
        """Remove and return the oldest requests."""
        popitem = self._queue.popitem
        return [popitem(last=False)[0] for _ in range(min(most, len(self._queue)))]

    def give_back(self, blocks: list[Block]) -> None:
        """Return what ``take`` took and could not be answered yet, to the front."""
        for block in reversed(blocks):
            self._queue[block] = None
            self._queue.move_to_end(block, last=False)

    def drop(self, pieces: int) -> list[Block]:
        """Forget the requests for these pieces (bit ``i`` for piece ``i``), which are gone; return them."""
        gone = [block for block in self._queue if pieces >> block.piece & 1]
        for block in gone:
            del self._queue[block]
        return gone

    def clear(self) -> list[Block]:
        """Forget all requests (choked); return what was forgotten."""
        gone = list(self._queue)
        self._queue.clear()
        return gone
