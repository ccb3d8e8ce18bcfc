"""What a simulated tracker knows, and what it answers; how that travels is its faces' business."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from ..wire.address import Address
from .trace import Trace

MOST_PEERS: Final = 200
"""Peers in one answer, whatever is asked for."""


class Announce(NamedTuple):
    """An announce as the tracker understood it."""

    moment: float
    """Seconds on Trio's clock."""
    peer: Address
    """The sender's host and the port it named."""
    peer_id: bytes
    info_hash: bytes
    event: str
    left: int
    uploaded: int
    downloaded: int
    numwant: int
    scheme: str
    """http or udp."""


class Answer(NamedTuple):
    """What is answered to an announce."""

    interval: int
    seeders: int
    leechers: int
    peers: list[Address]


class Swarms:
    """Who is in which swarm.

    Args:
        rng: chooses the peers of an answer.
        trace: counts "announce" and "scrape".

    Attributes:
        interval: seconds between announces, as it tells; who is silent for twice as long is forgotten.
        failure: a reason to refuse every request (announces are noted all the same), or empty.
        silent: whether requests get no answer at all.
        announces: all of them in order.
    """

    def __init__(self, *, rng: random.Random, trace: Trace) -> None:
        self.interval = 1800
        self.failure = ""
        self.silent = False
        self.announces: list[Announce] = []
        self._rng = rng
        self._trace = trace
        self._swarms: dict[bytes, dict[Address, Announce]] = {}
        self._completed: dict[bytes, int] = {}

    def peers(self, info_hash: bytes) -> tuple[Address, ...]:
        """Everybody in a swarm, in the order of their first announces."""
        return tuple(self._swarms.get(info_hash, ()))

    def announce(self, announce: Announce) -> Answer:
        """Note it, and choose peers for the answer (never the one who asks)."""
        self.announces.append(announce)
        self._trace.record("announce", announce.scheme, str(announce.peer), announce.event, announce.left)
        swarm = self._swarms.setdefault(announce.info_hash, {})
        if announce.event == "stopped":
            swarm.pop(announce.peer, None)
        else:
            swarm[announce.peer] = announce
        if announce.event == "completed":
            self._completed[announce.info_hash] = self._completed.get(announce.info_hash, 0) + 1
        for peer in [peer for peer, last in swarm.items() if last.moment < announce.moment - 2 * self.interval]:
            del swarm[peer]
        others = [peer for peer, last in swarm.items() if last.peer_id != announce.peer_id]
        if announce.scheme == "udp":  # its answers have room for one family
            others = [peer for peer in others if peer.is_ipv6 == announce.peer.is_ipv6]
        wanted = 0 if announce.event == "stopped" else min(announce.numwant, MOST_PEERS, len(others))
        seeders, leechers, _ = self._counts(announce.info_hash)
        return Answer(self.interval, seeders, leechers, self._rng.sample(others, wanted))

    def scrape(self, info_hash: bytes) -> tuple[int, int, int]:
        """Seeders, leechers, and how often it was completed."""
        self._trace.record("scrape", info_hash)
        return self._counts(info_hash)

    def _counts(self, info_hash: bytes) -> tuple[int, int, int]:
        lefts = [last.left for last in self._swarms.get(info_hash, {}).values()]
        seeders = lefts.count(0)
        return seeders, len(lefts) - seeders, self._completed.get(info_hash, 0)
