"""The info dictionary from peers, for a torrent that began as a magnet link (BEP 9)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from ..limits import (
    MAX_METADATA,
    METADATA_MEMORY,
    METADATA_PARALLEL,
    METADATA_PIECE,
    METADATA_REQUESTS,
    METADATA_TIMEOUT,
)
from ..metainfo.info import InfoHashes

P = TypeVar("P", bound=Hashable)


class _Attempt:
    """One peer's copy in the making. Blocks are kept as they arrive: no buffer is sized by the peer's number."""

    __slots__ = ("began_at", "blocks", "count", "moved_at", "next", "size", "waiting")

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self.count = -(-size // METADATA_PIECE)
        self.blocks: dict[int, bytes] = {}
        self.waiting: dict[int, None] = {}
        self.next = 0
        self.began_at = self.moved_at = now


class MetadataExchange(Generic[P]):
    """Who is asked for which piece of the info dictionary. Sync, blind to sockets.

    Each of a few peers is asked for the whole (it is small), so that a wrong one has exactly one culprit: whoever sent
    bytes that do not hash to the info-hash is named, and the others go on.

    Args:
        hashes: what the info dictionary is to hash to.

    Attributes:
        moved_at: when a piece of it last came.
    """

    def __init__(self, hashes: InfoHashes) -> None:
        self._hashes = hashes
        self._sizes: dict[P, int] = {}
        self._attempts: dict[P, _Attempt] = {}
        self._failed: dict[P, float] = {}
        self.moved_at = 0.0

    def got_size(self, peer: P, size: int) -> None:
        """The peer's extension handshake said ``metadata_size``."""
        if 0 < size <= MAX_METADATA:
            self._sizes[peer] = size

    def left(self, peer: P) -> None:
        """The peer is gone."""
        self._sizes.pop(peer, None)
        self._attempts.pop(peer, None)
        self._failed.pop(peer, None)

    def requests(self, now: float) -> list[tuple[P, int]]:
        """What to ask whom now: (peer, piece of the metadata).

        Those who were never asked go first, and also in the place of one that takes long: else a few who say little,
        or nothing, would keep everybody else from being asked. Small copies go before large ones, of which there is
        only one at a time: what liars say that it has costs neither memory nor the time of the others.
        """
        others = [peer for peer in self._sizes if peer not in self._attempts and now >= self._failed.get(peer, now)]
        others.sort(key=lambda peer: (self._failed.get(peer, 0.0), self._sizes[peer]))
        untried = bool(others) and others[0] not in self._failed
        for peer, attempt in list(self._attempts.items()):
            if now - (attempt.began_at if untried else attempt.moved_at) > METADATA_TIMEOUT:
                self._give_up(peer, now)
        for peer in others:
            if len(self._attempts) == METADATA_PARALLEL:
                break
            if self._fits(self._sizes[peer]):
                self._attempts[peer] = _Attempt(self._sizes[peer], now)
        asks = []
        for peer, attempt in self._attempts.items():
            while attempt.next < attempt.count and len(attempt.waiting) < METADATA_REQUESTS:
                attempt.waiting[attempt.next] = None
                asks.append((peer, attempt.next))
                attempt.next += 1
        return asks

    def _fits(self, size: int) -> bool:
        """Whether there is room for a copy of that size beside those under way; a large one only minds large ones."""
        large = size > METADATA_MEMORY
        others = [attempt.size for attempt in self._attempts.values() if (attempt.size > METADATA_MEMORY) is large]
        return not others if large else sum(others) + size <= METADATA_MEMORY

    def rejected(self, peer: P, now: float) -> None:
        """The peer will not say (it may not have it yet): asked again later."""
        self._give_up(peer, now)

    def _give_up(self, peer: P, now: float) -> None:
        if self._attempts.pop(peer, None) is not None:
            self._failed[peer] = now + METADATA_TIMEOUT

    def got_data(self, peer: P, piece: int, data: bytes, now: float) -> bytes | None:
        """A piece of the metadata came; the whole info dictionary when that completes it, verified.

        Raises:
            ValueError: the peer's copy is complete and wrong: it lied.
        """
        attempt = self._attempts.get(peer)
        if attempt is None or piece not in attempt.waiting:
            return None
        expected = min(METADATA_PIECE, attempt.size - piece * METADATA_PIECE)
        if len(data) != expected:
            raise ValueError(f"metadata piece of {len(data)} bytes where {expected} were due")
        del attempt.waiting[piece]
        attempt.blocks[piece] = data
        attempt.moved_at = self.moved_at = now
        if len(attempt.blocks) < attempt.count:
            return None
        del self._attempts[peer]
        # Hashed block by block: joined, a wrong copy would take its memory twice.
        if not self._hashes.name(attempt.blocks[index] for index in range(attempt.count)):
            del self._sizes[peer]
            raise ValueError("metadata that does not match the info-hash")
        return b"".join(attempt.blocks[index] for index in range(attempt.count))

    def progress(self) -> tuple[int, int]:
        """Bytes received and in all, of the attempt that is furthest."""
        best = max(self._attempts.values(), key=lambda attempt: len(attempt.blocks), default=None)
        if best is None:
            return 0, max(self._sizes.values(), default=0)
        return sum(map(len, best.blocks.values())), best.size
