"""Peers that others announced to us (BEP 5), how many there are (BEP 33) and of what (BEP 51). Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable
from typing import Final, NamedTuple

from .. import limits
from ..wire.address import Address, Scope, scope_of
from .bloom import BloomFilter
from .contact import household, packed_host

_FILTERS_FOR: Final = 10.0  # seconds for which Bloom filters are not made anew: each address in them costs a SHA-1


class StoredPeer(NamedTuple):
    """One announce."""

    address: Address
    seed: bool
    expires: float


class _Torrent:
    __slots__ = ("filters", "filters_at", "peers")

    def __init__(self) -> None:
        self.peers: dict[Hashable, StoredPeer] = {}  # the latest announce last
        self.filters: tuple[bytes, bytes] | None = None
        self.filters_at = 0.0


class PeerStore:
    """Announced peers of one address family, bounded in every direction and forgotten after 45 minutes.

    One public IP address is one peer (BEP 33); on a LAN or loopback one address and port is.

    Args:
        rng: decides who is named when there are too many.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._torrents: dict[bytes, _Torrent] = {}
        self._per_host: Counter[Hashable] = Counter()
        self._sample: list[bytes] = []
        self._sample_until = 0.0

    def __len__(self) -> int:
        return len(self._torrents)

    def __contains__(self, info_hash: bytes) -> bool:
        return info_hash in self._torrents

    @property
    def peers(self) -> int:
        """Announces that are kept."""
        return sum(len(torrent.peers) for torrent in self._torrents.values())

    def announce(self, info_hash: bytes, address: Address, now: float, *, seed: bool = False) -> bool:
        """Store a peer. False: there is no room for more of this sender."""
        torrent = self._torrents.get(info_hash)
        key = _key(address)
        if torrent is None or key not in torrent.peers:
            if self._per_host[household(address)] >= limits.DHT_MAX_TORRENTS_PER_HOST:
                return False
            if torrent is None:
                if len(self._torrents) >= limits.DHT_MAX_TORRENTS:
                    self._make_room()
                torrent = self._torrents[info_hash] = _Torrent()
            if len(torrent.peers) >= limits.DHT_MAX_PEERS:
                self._forget(info_hash, torrent, next(iter(torrent.peers)))
            self._per_host[household(address)] += 1
        torrent.peers.pop(key, None)
        torrent.peers[key] = StoredPeer(address, seed, now + limits.DHT_PEER_LIFE)
        return True

    def peers_of(
        self, info_hash: bytes, most: int, now: float, *, scope: Scope = Scope.LOOPBACK, no_seeds: bool = False
    ) -> list[Address]:
        """Some peers, by lot where there are more; of this scope or wider.

        Args:
            info_hash: of the torrent.
            most: how many at most.
            now: the time.
            scope: of the asker, who must not be pointed at anything narrower.
            no_seeds: seeds only where there are not enough others (BEP 33).
        """
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            return []
        # Drawn one by one: an answer to 95 bytes has room for a few, and to shuffle 500 took most of its time.
        drawn: list[Address] = []
        seeds: list[Address] = []
        left, lot = list(torrent.peers.values()), self._rng.random
        while left and len(drawn) < most:
            at = int(lot() * len(left))
            peer, left[at] = left[at], left[-1]
            left.pop()
            if peer.expires > now and peer.address.scope >= scope:
                (seeds if no_seeds and peer.seed else drawn).append(peer.address)
        return (drawn + seeds)[:most]

    def filters(self, info_hash: bytes, now: float) -> tuple[bytes, bytes] | None:
        """Bloom filters of the seeds and of the other peers (BEP 33); None where nothing is known."""
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            return None
        if torrent.filters is None or now - torrent.filters_at >= _FILTERS_FOR:
            seeds, others = BloomFilter(), BloomFilter()
            for peer in torrent.peers.values():
                if peer.expires > now:
                    (seeds if peer.seed else others).add(packed_host(peer.address.host))
            torrent.filters, torrent.filters_at = (bytes(seeds), bytes(others)), now
        return torrent.filters

    def sample(self, now: float) -> tuple[list[bytes], int]:
        """Some of the info-hashes, and the seconds for which there will be no others to see (BEP 51)."""
        if len(self._torrents) <= limits.DHT_SAMPLES:
            return list(self._torrents), limits.DHT_SAMPLE_INTERVAL
        if now >= self._sample_until:
            self._sample = self._rng.sample(list(self._torrents), limits.DHT_SAMPLES)
            self._sample_until = now + limits.DHT_SAMPLE_INTERVAL
        return self._sample, int(self._sample_until - now)

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        for info_hash, torrent in list(self._torrents.items()):
            for key in [key for key, peer in torrent.peers.items() if peer.expires <= now]:
                self._forget(info_hash, torrent, key)

    def _make_room(self) -> None:
        """The torrent with the fewest peers goes, of several the one announced first."""
        info_hash = min(self._torrents, key=lambda known: len(self._torrents[known].peers))
        torrent = self._torrents[info_hash]
        for key in list(torrent.peers):
            self._forget(info_hash, torrent, key)

    def _forget(self, info_hash: bytes, torrent: _Torrent, key: Hashable) -> None:
        owner = household(torrent.peers.pop(key).address)
        self._per_host[owner] -= 1
        if not self._per_host[owner]:
            del self._per_host[owner]
        if not torrent.peers and self._torrents.get(info_hash) is torrent:
            del self._torrents[info_hash]


def _key(address: Address) -> Hashable:
    return address.host if scope_of(address.host) is Scope.PUBLIC else address
