"""One peer's outstanding requests: how many there should be, and what to do when they are not answered.

A peer sends without a pause only while requests wait at it, so the queue has to cover the time that a request takes to
get there and its block to come back. But what waits there is promised to that peer alone: too long a queue at a slow
one holds pieces up, and a reader that seeks waits behind it. So the queue is measured in time, not in blocks.

``got`` and ``sent`` see every block (65,536 a second at 1 GiB/s) and only count; what the numbers mean is worked out
once a batch, in ``room``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

from .. import limits
from ..metainfo.layout import BLOCK_SIZE, Block

START: Final = 8
"""Blocks asked of a peer of which nothing is known yet: 128 KiB, some seconds of a slow one."""

GROWTH: Final = 2
"""Blocks that slow start adds for each block that arrives. The queue then triples every round trip, and passes 500
within 4 MiB. Overshooting is no danger: at a given rate it needs a second and a half to reach QUEUE_TIME."""

GAIN: Final = 1.1
"""Slow start ends when a window's rate is less than this times the one before (a longer queue no longer helps), or
when the queue is longer than QUEUE_TIME already, or USUAL."""

WINDOW: Final = 1.0
"""Seconds over which the rate is measured, or the time of one block where that takes longer."""

QUEUE_TIME: Final = 3.0
"""Seconds that the queue lasts at the peer's rate, libtorrent's ``request_queue_time``: longer than nearly every round
trip and every pause of a busy peer, short enough that nobody waits long for what has been promised to a slow one."""

LEAST: Final = 2
"""One block on its way, and the request for the next already there."""

USUAL: Final = 500
"""The queue's bound where the round trip does not call for more, and what a peer is asked that does not name its own
(``reqq``, BEP 10). 500 blocks are 8 MiB: 40 MiB/s over a round trip of 200 ms, 1 GiB/s over 7 ms."""


class Pipeline:
    """The blocks that we have asked one peer for and not received, and how many of them there should be.

    Its owner asks ``room``, sends so many requests and books them with ``sent``; each block that arrives goes to
    ``got``. About once a second it looks at ``overdue``. A block leaves by exactly one of ``got``, ``forget``,
    ``rejected``, ``revoke``, ``overdue`` and ``drop``; the last three return what the picker must have back.

    Attributes:
        target: how many blocks should be outstanding.
        rate: bytes per second, measured while something was outstanding only; 0.0 before the first second is over.
        rejects: requests refused in a row without need: rejecting everything is a way to seem alive.
    """

    __slots__ = (
        "_arrived",
        "_asked",
        "_cancelled",
        "_counted",
        "_delay",
        "_limit",
        "_patience",
        "_quiet",
        "_revoked",
        "_revoked_at",
        "_seen",
        "_silence",
        "_slow_start",
        "_stalled",
        "_window_began",
        "rate",
        "rejects",
        "target",
    )

    def __init__(self, now: float) -> None:
        self.target = START
        self.rate = 0.0
        self.rejects = 0
        self._asked: dict[tuple[int, int, int], float] = {}  # a Block, and when it was asked for; the oldest first
        self._revoked: dict[tuple[int, int, int], float] = {}  # those taken back, until the peer answers
        self._cancelled: dict[tuple[int, int, int], None] = {}  # others that were cancelled, for when they come anyway
        self._revoked_at = now
        self._limit = USUAL
        self._slow_start = True
        self._stalled = False
        self._arrived = 0  # bytes in this window
        self._counted = 0  # of them, those that slow start has answered
        self._window_began = now
        self._delay = math.inf  # the shortest time in which a request was answered
        self._seen = now  # until here the time has been booked, as silence or as idleness
        self._quiet = 0.0  # seconds in which nothing was heard, at the last tick, of a peer that owes us blocks
        self._patience = limits.SNUB_TIMEOUT
        self._silence = 0.0  # seconds that it let requests wait since the last block

    @property
    def outstanding(self) -> int:
        """Blocks asked for and not received."""
        return len(self._asked)

    @property
    def reqq(self) -> int:
        """Requests that the peer says it queues (BEP 10), or USUAL; what it says is kept within our own limits."""
        return self._limit

    @reqq.setter
    def reqq(self, count: int) -> None:
        self._limit = max(1, min(count, limits.MAX_OUTSTANDING))
        self.target = min(self.target, self._limit)

    # -- asking ------------------------------------------------------------------------------------------------------

    def room(self, now: float) -> int:
        """How many blocks to ask for now: 0 until the queue is below three quarters of its target.

        So requests leave in batches, and the other quarter covers the time between two of them.
        """
        self._book_time(now)
        if self._arrived:
            self._adapt(now)
        outstanding = len(self._asked)
        return self.target - outstanding if 4 * outstanding < 3 * self.target else 0

    def sent(self, blocks: Sequence[Block], now: float) -> None:
        """These were asked for just now."""
        self._book_time(now)
        self._asked.update(dict.fromkeys(blocks, now))

    # -- answers -----------------------------------------------------------------------------------------------------

    @property
    def on_the_way(self) -> int:
        """Blocks that it has sent by the time at which a Cancel reaches it: what a round trip holds at its rate."""
        return math.ceil(self.rate * self._delay / BLOCK_SIZE) if self.rate else LEAST

    def got(self, blocks: Sequence[tuple[int, int, int]], now: float) -> list[tuple[int, int, int]]:
        """Blocks arrived, as (piece, begin, length); returns those of which exactly this one was not outstanding.

        All that one receive brought come together: what is done for each block is one look-up.
        """
        take = self._asked.pop
        newest, arrived = -math.inf, 0
        unknown = []
        for block in blocks:
            asked_at = take(block, None)
            if asked_at is None:
                asked_at = self._revoked.pop(block, None)
                if asked_at is None:
                    unknown.append(block)
                    continue
            if asked_at > newest:
                newest = asked_at
            arrived += block[2]
        if arrived:
            self._delay = min(self._delay, now - newest)
            self._arrived += arrived
            self._seen = now
            self._silence = 0.0
            self.rejects = 0
        return unknown

    def crossed(self, piece: int, begin: int, length: int) -> bool:
        """Whether a block that is not outstanding crossed our Cancel of it on the way."""
        return self._cancelled.pop((piece, begin, length), self) is None

    def forget(self, block: Block) -> bool:
        """We cancelled this one; False where it was not outstanding."""
        if self._asked.pop(block, None) is None:
            return False
        self._note_cancelled([block])
        return True

    def rejected(self, block: Block, *, choking: bool) -> bool:
        """The peer refuses this one (BEP 6); False where it was not outstanding, as after our Cancel.

        While it chokes us that is its duty, and after ``revoke`` too. Else it counts as an offence: the owner looks at
        ``rejects``.
        """
        if self._revoked.pop(block, None) is not None:
            return True
        if self._asked.pop(block, None) is None:
            self._cancelled.pop(block, None)
            return False
        if not choking:
            self.rejects += 1
        elif not self._asked:
            self._restart(START)  # the last one: as if it had been dropped
        return True

    # -- taking back -------------------------------------------------------------------------------------------------

    def revoke(
        self, count: int, now: float, *, spare: int = 0, to_the_end: bool = True, hold: bool = True
    ) -> list[Block]:
        """Take back up to ``count`` blocks, the newest first: the peer has them last in its queue. Cancel them.

        With the fast extension each Cancel is answered, by the block that crossed it or by a reject, and until then the
        block stays this peer's (``hold``): asked for again it might come twice. Without, it is free at once.

        Args:
            count: of how many at most.
            now: the time.
            spare: pieces (bit ``i`` for piece ``i``) of which nothing is taken back.
            to_the_end: also what was asked for after the last block of ``spare``, and so does not hold it up.
            hold: whether the peer will answer; if not, the picker must have them back now.
        """
        asked = self._asked
        blocks = []
        for key in itertools.islice(reversed(asked), count):
            if spare >> key[0] & 1:
                to_the_end = True
            elif to_the_end:
                blocks.append(Block(*key))
        for block in blocks:
            asked_at = asked.pop(block)
            if hold:
                self._revoked[block] = asked_at
        if hold:
            self._revoked_at = now
        else:
            self._note_cancelled(blocks)
        return blocks

    def surplus(self, pieces: int, most: int) -> list[Block]:
        """Take back what is asked for of these pieces beyond so many blocks, the newest: others send them. Cancel it.

        They are free at once, and welcome if they come all the same. What is on the way already stays.
        """
        mine = [(place, key) for place, key in enumerate(self._asked) if pieces >> key[0] & 1]
        blocks = [Block(*key) for place, key in mine[most:] if place >= self.on_the_way]
        for block in blocks:
            del self._asked[block]
        self._note_cancelled(blocks)
        return blocks

    def _unanswered(self) -> list[Block]:
        """Those taken back of which nothing was heard."""
        blocks = [Block(*key) for key in self._revoked]
        self._revoked.clear()
        self._note_cancelled(blocks)
        return blocks

    def _note_cancelled(self, blocks: list[Block]) -> None:
        cancelled = self._cancelled
        cancelled.update(dict.fromkeys(blocks))
        while len(cancelled) > limits.MAX_CANCELLED:
            del cancelled[next(iter(cancelled))]

    def drop(self) -> list[Block]:
        """Take back all: the peer chokes us, and without BEP 6 that means it forgets them.

        When it lets us ask again, what it can do is found out anew.
        """
        blocks = [*self._unanswered(), *(Block(*key) for key in self._asked)]
        self._asked.clear()
        self._restart(START)
        return blocks

    def overdue(self, now: float) -> list[Block]:
        """Take back what others should be asked for, because this peer has let it wait for too long.

        All of it, when no block at all has come for REQUEST_TIMEOUT; the queue then shrinks to one block, as a probe,
        until something arrives. Of a peer that does send, those blocks that wait for BLOCK_TIMEOUT: it passed them
        over, or has become so much slower that its queue is far too long. They are still welcome when they come late.
        """
        asked = self._asked
        late = self._unanswered() if self._revoked and now - self._revoked_at >= limits.CANCEL_TIMEOUT else []
        if not asked:
            return late
        if now - max(self._seen - self._silence, next(iter(asked.values()))) >= limits.REQUEST_TIMEOUT:
            self._book_time(now)
            blocks = late + self.drop()
            self.target = 1
            self._stalled = True
            return blocks
        old = []
        for key, asked_at in asked.items():
            if now - asked_at < limits.BLOCK_TIMEOUT:
                break
            old.append(key)
        for key in old:
            del asked[key]
        return late + [Block(*key) for key in old]

    def snubbed(self, now: float) -> bool:
        """Whether it has let requests wait for SNUB_TIMEOUT in all without sending a block.

        The time in which nothing was asked of it, as while it chokes us, is no silence of its own.
        """
        return self.silence(now) >= limits.SNUB_TIMEOUT

    def silence(self, now: float) -> float:
        """Seconds that it has let requests wait since the last block."""
        return self._silence + (now - self._seen if self._asked else 0.0)

    def lost(self, quiet: float, now: float) -> bool:
        """Whether its connection is to be given up. Asked at each tick.

        It is dead, or TCP waits half a minute and more before it tries again: a new one is faster, with this peer or
        another. But a seed with many peers and a low limit may send 16 KiB every other minute, and a new connection to
        that one would only begin to wait anew: so who was silent before, and then sent something, has twice that time.

        Args:
            quiet: seconds since anything at all was heard.
            now: the time.
        """
        if quiet < self._quiet:
            self._patience = max(self._patience, 2 * self._quiet)
        self._quiet = quiet if self._asked else 0.0
        return self._delay < math.inf and quiet > self._patience and self.snubbed(now)

    # -- how long the queue should be --------------------------------------------------------------------------------

    def _book_time(self, now: float) -> None:
        """What has passed since the last look was the peer's time if it had requests; else it does not count."""
        if self._asked:
            self._silence += now - self._seen
        else:
            self._window_began += now - self._seen
        self._seen = now

    def _restart(self, target: int) -> None:
        self.target = min(target, self._limit)
        self._slow_start = True
        self._stalled = False
        self.rate = 0.0
        self._arrived = self._counted = 0
        self._window_began = self._seen

    def _adapt(self, now: float) -> None:
        if self._stalled:  # it is alive after all
            self._restart(START)
            return
        if self._slow_start:
            fresh = self._arrived - self._counted
            self._counted = self._arrived
            self.target = min(self.target + GROWTH * -(-fresh // BLOCK_SIZE), USUAL, self._limit)
        elapsed = now - self._window_began
        if elapsed < WINDOW:
            return
        measured = self._arrived / elapsed
        helps = measured > self.rate * GAIN and self._wanted(measured) >= self.target
        self._slow_start = self._slow_start and helps and self.target < min(USUAL, self._limit)
        self.rate = max(measured, (self.rate + measured) / 2)  # up at once, down in steps: a pause is no verdict
        if not self._slow_start:
            self.target = self._wanted(self.rate)
        self._arrived = self._counted = 0
        self._window_began = now

    def _wanted(self, rate: float) -> int:
        """QUEUE_TIME at this rate; beyond USUAL only as far as the round trip needs it, with a factor 2 to grow by."""
        blocks = rate * QUEUE_TIME / BLOCK_SIZE
        if blocks > USUAL:
            blocks = max(USUAL, 2 * self._delay * rate / BLOCK_SIZE)
        return min(max(LEAST, math.ceil(blocks)), self._limit)
