"""The piece layers from peers, for a torrent of v2 that began as a magnet link (BEP 52)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from ..limits import (
    HASH_REFUSALS,
    HASHES_ASKED,
    HASHES_IN_ALL,
    HASHES_LATE,
    HASHES_LEAST,
    HASHES_OF_ONE,
    METADATA_TIMEOUT,
)
from ..metainfo import merkle
from ..metainfo.merkle import DIGEST
from ..wire.messages import Hashes, HashReject, HashRequest

P = TypeVar("P", bound=Hashable)


class _Part(NamedTuple):
    """What one request asks for: hashes of the layer of this file, from ``start`` on."""

    root: bytes
    start: int


class _Source:
    """One peer, and what it is asked for."""

    __slots__ = ("asked", "cost", "moved_at", "proven", "refused", "rests_until", "slow")

    def __init__(self) -> None:
        self.asked: dict[_Part, int] = {}  # and what each counts for
        self.cost = 0  # of all these
        self.moved_at = 0.0  # when it last said something, or was asked while nothing was under way
        self.proven = False  # it has answered since it joined, or was last given up
        self.refused: dict[_Part, float] = {}  # until when, the soonest first
        self.rests_until = 0.0  # it has refused all that nobody is asked for
        self.slow = False  # it was given up before

    def has_room(self, now: float, all_under_way: int) -> bool:
        """Whether it can be asked for more. Who has nothing to answer always can."""
        if len(self.refused) >= HASH_REFUSALS:
            return False
        if not self.asked:
            return True
        free = self.cost < HASHES_OF_ONE and all_under_way < HASHES_IN_ALL
        return self.proven and free and not self.is_late(now)

    def is_late(self, now: float) -> bool:
        """Whether it owes something and nothing was heard for a while."""
        return bool(self.asked) and now - self.moved_at > HASHES_LATE

    def rank(self) -> tuple[bool, bool, int]:
        """Whom to ask first: the least."""
        return (self.slow, not self.proven, self.cost)


class _UnderWay(Generic[P]):
    """A part that somebody is asked for, since when, and who."""

    __slots__ = ("askers", "began_at")

    def __init__(self, now: float) -> None:
        self.began_at = now
        self.askers: set[P] = set()


class HashExchange(Generic[P]):
    """Who is asked for which hashes. Sync, blind to sockets.

    Every answer is proven by its uncles, so a wrong one has exactly one culprit, and nothing is kept of it. A peer is
    asked one thing at a time until it has answered, and again after it was silent for too long: many who say nothing
    hold little. When all that is left is under way, what is late is asked of others too, of twice as many each
    HASHES_LATE: nobody who would answer has to wait for those who do not.

    Each call looks at all peers, but never at all files.

    Args:
        needed: pieces (two at least) of each file that is larger than a piece, by its root.
        base: the height of the piece layer above the leaves.

    Attributes:
        layers: those that are whole, by the root of their file: a hash for each piece, as ``piece layers`` has them.
    """

    def __init__(self, needed: Mapping[bytes, int], base: int) -> None:
        self.layers: dict[bytes, bytes] = {}
        self._needed = needed
        self._base = base
        self._total = DIGEST * sum(needed.values())
        self._received = 0
        # A part that is not here yet is in exactly one of these: never asked for, to be asked for again, under way.
        self._fresh = self._parts()
        self._again: deque[_Part] = deque()
        self._under_way: dict[_Part, _UnderWay[P]] = {}
        self._partial: dict[bytes, dict[int, bytes]] = {}  # layers that take more than one request
        self._sources: dict[P, _Source] = {}
        self._double_at = 0.0

    def _parts(self) -> Iterator[_Part]:
        for root, count in self._needed.items():
            for index in range(0, count, HASHES_ASKED):
                yield _Part(root, index)

    def _request(self, part: _Part) -> HashRequest:
        """As libtorrent asks too: at the end of a file for no more than there is, up to a power of two.

        All proof layers up to right below the root: those that the hashes themselves make up for are counted.
        """
        count = self._needed[part.root]
        length = min(HASHES_ASKED, max(2, 1 << merkle.height(count - part.start)))
        return HashRequest(part.root, self._base, part.start, length, merkle.height(count) - 1)

    @property
    def complete(self) -> bool:
        """Whether all layers are here."""
        return len(self.layers) == len(self._needed)

    def progress(self) -> tuple[int, int]:
        """Bytes of layers received, and in all."""
        return self._received, self._total

    def joined(self, peer: P) -> None:
        """This peer can be asked."""
        self._sources.setdefault(peer, _Source())

    def left(self, peer: P) -> None:
        """The peer is gone."""
        source = self._sources.pop(peer, None)
        if source is not None:
            for part in source.asked:
                self._return(peer, part)

    # -- asking -------------------------------------------------------------------------------------------------------

    def requests(self, now: float) -> list[tuple[P, HashRequest]]:
        """What to ask whom now. Call it after each answer, and once a second or so besides."""
        asks: list[tuple[P, HashRequest]] = []
        busy = 0
        for peer, source in self._sources.items():
            if source.asked and now - source.moved_at > METADATA_TIMEOUT:
                self._give_up(peer, source)
            elif not source.is_late(now):  # who holds much and says little must not keep the others from asking
                busy += source.cost
            while source.refused and next(iter(source.refused.values())) <= now:
                del source.refused[next(iter(source.refused))]
        free = self._free(now, busy)
        while free:
            still = []
            for peer, source in free:
                part = self._next(source, now)
                if part is None:
                    continue
                asks.append(self._ask(peer, source, part, now))
                busy += source.asked[part]
                if source.has_room(now, busy):
                    still.append((peer, source))
            free = still
        if now >= self._double_at:
            self._double(asks, busy, now)
        return asks

    def _free(self, now: float, busy: int) -> list[tuple[P, _Source]]:
        free = [(peer, source) for peer, source in self._sources.items() if source.has_room(now, busy)]
        free.sort(key=lambda item: item[1].rank())
        return free

    def _next(self, source: _Source, now: float) -> _Part | None:
        """A part that nobody is asked for and this peer has not refused; those that it has go to the back."""
        part = next(self._fresh, None)
        if part is not None:
            return part
        if self._again and now >= source.rests_until:
            for _ in range(min(len(self._again), len(source.refused) + 1)):
                part = self._again.popleft()
                if part not in source.refused:
                    return part
                self._again.append(part)
            source.rests_until = now + HASHES_LATE
        return None

    def _ask(self, peer: P, source: _Source, part: _Part, now: float) -> tuple[P, HashRequest]:
        request = self._request(part)
        if not source.asked:
            source.moved_at = now
        source.asked[part] = max(HASHES_LEAST, request.length)
        source.cost += source.asked[part]
        self._under_way.setdefault(part, _UnderWay(now)).askers.add(peer)
        return peer, request

    def _double(self, asks: list[tuple[P, HashRequest]], busy: int, now: float) -> None:
        """Ask others too for what is late: those who still have room have found nothing else to be asked for."""
        free = self._free(now, busy)
        for part, under_way in self._under_way.items():
            if not free:
                return
            allowed = 1 << min(16, int((now - under_way.began_at) / HASHES_LATE))
            for peer, source in free:
                if len(under_way.askers) >= allowed:
                    break
                if part not in source.asked and part not in source.refused:
                    asks.append(self._ask(peer, source, part, now))
                    busy += source.asked[part]
            free = [(peer, source) for peer, source in free if source.has_room(now, busy)]
        if free:  # they have found all that is late enough, and this has looked at everything under way
            self._double_at = now + HASHES_LATE / 4

    def _give_up(self, peer: P, source: _Source) -> None:
        """Silent for too long: others are asked, and it comes after them from now on."""
        source.slow, source.proven = True, False
        lost, source.asked, source.cost = source.asked, {}, 0
        for part in lost:
            self._return(peer, part)

    def _return(self, peer: P, part: _Part) -> None:
        """The peer will not give this part. Nothing is to be done where another did, or still may."""
        under_way = self._under_way.get(part)
        if under_way is None:
            return
        under_way.askers.discard(peer)
        if not under_way.askers:
            del self._under_way[part]
            self._again.append(part)

    # -- what they say ------------------------------------------------------------------------------------------------

    def rejected(self, peer: P, message: HashReject, now: float) -> None:
        """The peer will not give these (it may not have them yet): asked again later."""
        source, part = self._asked(peer, message)
        if source is None:
            return
        self._settle(source, part, now)
        source.refused[part] = now + METADATA_TIMEOUT
        self._return(peer, part)

    def got_hashes(self, peer: P, message: Hashes, now: float) -> bool:
        """Hashes came. Those that were not asked for, or that another was quicker with, are nobody's fault.

        Returns:
            Whether with these, and not before, all layers are here.

        Raises:
            ValueError: they are not those of the file: the peer lied, and is as good as gone (``left``).
        """
        source, part = self._asked(peer, message)
        if source is None:
            return False
        if part not in self._under_way:
            self._settle(source, part, now)
            return False
        if not self._proven(part, message):
            self.left(peer)
            raise ValueError("hashes that do not lead to the root of their file")
        self._settle(source, part, now)
        source.proven = True
        if source.refused:  # who has a part of all answers often enough to be asked for the rest, in vain, as often
            del source.refused[next(iter(source.refused))]
        del self._under_way[part]
        self._keep(part, message)
        return self.complete

    def _asked(self, peer: P, message: Hashes | HashReject) -> tuple[_Source | None, _Part]:
        """Whom this is from, if it was asked for exactly that."""
        source, part = self._sources.get(peer), _Part(message.root, message.index)
        if source is not None and part in source.asked and self._request(part) == message.request:
            return source, part
        return None, part

    def _settle(self, source: _Source, part: _Part, now: float) -> None:
        source.cost -= source.asked.pop(part)
        source.moved_at = now

    def _proven(self, part: _Part, message: Hashes) -> bool:
        """Whether the answer is right, and whether beyond the end of the file there is nothing in it.

        Else a root that was made of something there would let through a layer of which it is not the root.
        """
        rest = self._needed[part.root] - part.start
        cut = DIGEST * message.length
        hashes, uncles = message.hashes[:cut], merkle.split(message.hashes[cut:])
        if merkle.part(hashes[: DIGEST * rest], self._base, 0, message.length) != hashes:
            return False
        rise = merkle.height(message.length)
        for step, uncle in enumerate(uncles, rise):
            at = part.start >> step ^ 1
            if at << step >= self._needed[part.root] and uncle != merkle.nothing(self._base + step):
                return False
        return merkle.leads_to(part.root, hashes, self._base, part.start, uncles)

    def _keep(self, part: _Part, message: Hashes) -> None:
        count = self._needed[part.root]
        hashes = message.hashes[: DIGEST * min(message.length, count - part.start)]
        self._received += len(hashes)
        parts = self._partial.setdefault(part.root, {})
        parts[part.start] = hashes
        if len(parts) == -(-count // HASHES_ASKED):
            del self._partial[part.root]
            self.layers[part.root] = b"".join(parts[index] for index in sorted(parts))
