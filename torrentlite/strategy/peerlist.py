"""The peers of one torrent that we know of: where each address came from, whom to dial next, whom never.

Addresses wait in queues, one for each step of patience. All in a queue wait equally long, so it is in order by itself,
and the next candidate is at the head of one of a handful: only ``try_again`` and ``silent`` look at all 3,000.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import random
from collections.abc import Iterator
from typing import Final, Protocol

from .. import limits
from ..wire.address import Address, Scope

BY_HAND: Final = "peer"
"""The source of addresses that the user named: dialled first, asked again every minute at least, never evicted."""

MAGNET: Final = "magnet"
"""The source of addresses in a link (``x.pe``)."""

TRACKER: Final = "tracker"
"""The source of addresses that a tracker named."""

LOCAL: Final = "lsd"
"""The source of addresses that were heard of on the local network (BEP 14)."""

DHT: Final = "dht"
"""The source of addresses that were found in the DHT (BEP 5)."""

RETRY_USEFUL: Final = 5.0
"""Seconds until a peer that gave us something is dialled again: it is known to be good (Transmission has the same)."""

RETRY: Final = (10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
"""Seconds until the next attempt after one failure, two, …; the last for ever. Of a swarm's addresses most are dead,
but a program that is being restarted is back within the first two."""

RETRY_NAMED: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""The same for an address named by hand or in a link: somebody says that it is, or will be, there, and often both sides
are just being started. By hand the last is for ever; of a link, RETRY goes on from there."""

RETRY_ANEW: Final = 60.0
"""Seconds, at least, between a failure and an attempt that somebody's word or wish brings forward."""

FRESH: Final = (TRACKER, DHT, LOCAL)
"""Whose naming of an address that could not be reached is news: it was there a while ago. (A peer's is not, by PEX: it
may say so each minute, of anybody.)"""


@dataclasses.dataclass(slots=True, eq=False)
class PeerAddress:
    """A peer that we know of, connected or not.

    Attributes:
        source: who named it: peer (by hand), tracker, magnet, incoming, dht, pex or lsd.
        within: the narrowest scope that its source may name; pass it on to ``Network.connect``.
        failures: attempts, or stays without use, since it was last of use.
        failed_at: when the last of them was.
        reached: whether that was a stay: it is there, but was of no use.
        spent: attempts that have to fail before somebody's word brings one forward again: that one, and the next, which
            comes in its own time. So who says the same all day makes us knock at the dead twice as often, and no more.
        encrypted: whether to call it so; None where nothing is known of that. See ``EncryptionPolicy``.
        met: it has answered to that.
        utp: it was last met over UDP. See ``TransportPolicy``.
        silent: nobody answered when it was last dialled; behind a router it looks like that.
        strange: somebody did, and gave no handshake for this torrent.
        named_at: when somebody who should know (FRESH) named it last.
        knocked_at: when it was last called by UDP alone.
        retry_at: not to be dialled before.
        queue: where it waits, or None while it is dialled or connected.
    """

    address: Address
    source: str
    within: Scope
    failures: int = 0
    failed_at: float = -math.inf
    reached: bool = False
    spent: int = 0
    encrypted: bool | None = None
    met: bool = False
    utp: bool = False
    silent: bool = False
    strange: bool = False
    named_at: float = -math.inf
    knocked_at: float = -math.inf
    retry_at: float = 0.0
    queue: _Queue | None = dataclasses.field(default=None, repr=False)


class _Queue(Protocol):
    def __len__(self) -> int: ...
    def put(self, peer: PeerAddress) -> None: ...
    def discard(self, peer: PeerAddress) -> None: ...
    def head(self) -> PeerAddress | None: ...


class _Line:
    """First come, first served."""

    def __init__(self) -> None:
        self._peers: dict[PeerAddress, None] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def put(self, peer: PeerAddress) -> None:
        self._peers[peer] = None

    def discard(self, peer: PeerAddress) -> None:
        del self._peers[peer]

    def head(self) -> PeerAddress | None:
        return next(iter(self._peers), None)


class _Bag:
    """No order at all: each is as likely as any other to be next."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._peers: list[PeerAddress] = []
        self._places: dict[PeerAddress, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def put(self, peer: PeerAddress) -> None:
        """Swap it with anyone (Fisher and Yates), so that the list is always shuffled."""
        place = self._rng.randrange(len(self._peers) + 1)
        self._peers.append(peer)
        self._move(self._peers[place], len(self._peers) - 1)
        self._move(peer, place)

    def discard(self, peer: PeerAddress) -> None:
        place = self._places.pop(peer)
        last = self._peers.pop()
        if last is not peer:
            self._move(last, place)

    def head(self) -> PeerAddress | None:
        return self._peers[-1] if self._peers else None

    def _move(self, peer: PeerAddress, place: int) -> None:
        self._peers[place] = peer
        self._places[peer] = place


class PeerList:
    """Addresses to dial: never ourselves, nobody banned, nobody twice, and not the same one all the time.

    When the list is full the worst make room: who failed most often, else one of the source that named most, so that
    no source can crowd the others out. Untried addresses are taken from each source in turn for the same reason, and
    in random order, because a tracker may tell everybody the same list.

    Args:
        rng: for that order.
        limit: addresses that are kept; those given by hand come on top.

    Attributes:
        named: how many addresses each source was the first to name, since the beginning.
    """

    def __init__(self, rng: random.Random, *, limit: int = limits.MAX_KNOWN_PEERS) -> None:
        self._rng = rng
        self._limit = limit
        self._known: dict[Address, PeerAddress] = {}
        self._at_once = _Line()  # named by hand, or left by ourselves
        self._useful = _Line()
        self._untried: dict[str, _Bag] = {}  # by source; the one whose turn it is comes first
        self._named = tuple(_Line() for _ in RETRY_NAMED)
        self._rested = _Line()  # brought forward, to be tried at once; and those who must rest for RETRY_ANEW
        self._resting = _Line()
        self._failed = tuple(_Line() for _ in RETRY)
        self._per_host: dict[str, int] = {}
        self._ourselves: dict[Address, None] = {}
        self._bans: dict[str, str] = {}
        self.named: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[PeerAddress]:
        return iter(self._known.values())

    def get(self, address: Address) -> PeerAddress | None:
        """What is known of an address."""
        return self._known.get(address)

    def lost(self, address: Address) -> bool:
        """Whether nobody could be reached at a known address when it was last dialled."""
        peer = self._known.get(address)
        return peer is not None and peer.queue is not None and peer.failures > 0 and not peer.reached

    @property
    def failing(self) -> int:
        """Known addresses that were of no use when last dialled, and wait for another attempt."""
        return sum(map(len, (*self._named, self._rested, self._resting, *self._failed)))

    @property
    def strange(self) -> int:
        """Known addresses where somebody else than a peer of this torrent answered when last dialled."""
        return sum(peer.strange for peer in self._known.values())

    # -- learning ----------------------------------------------------------------------------------------------------

    def add(self, address: Address, source: str, within: Scope, now: float) -> bool:
        """Somebody named a peer. True where it is new, or where the user asks for it (again).

        One that could not be reached is soon tried again if it was named by somebody who should know (FRESH).

        Refused are addresses narrower than ``within`` or never allowed, ourselves, the banned, and more than
        MAX_PORTS_PER_HOST ports of one public host.
        """
        if address.scope is Scope.FORBIDDEN or address.scope < within:
            return False
        if address in self._ourselves or self._is_banned(address):
            return False
        peer = self._known.get(address)
        if source == BY_HAND:
            if peer is not None and peer.queue is None:
                return False
            self._remove(address)
        elif peer is not None:
            if source in FRESH:
                peer.named_at = now
                if not peer.reached:
                    self._believe(peer, now)
            return False
        elif not self._make_room(address, source):
            return False
        if peer is None:
            self.named[source] = self.named.get(source, 0) + 1
        self._known[address] = peer = PeerAddress(address, source, within)
        if source in FRESH:
            peer.named_at = now
        self._per_host[address.host] = self._per_host.get(address.host, 0) + 1
        if source == BY_HAND:
            self._put(peer, self._at_once, now)
        else:
            if source not in self._untried:
                self._untried[source] = _Bag(self._rng)
            self._put(peer, self._untried[source], now)
        return True

    def try_again(self, now: float, *, wished: bool) -> None:
        """What kept us from them may be over: who waits is tried, those with fewest failures first.

        Args:
            wished: a person knows, or what we want has changed: all begin anew, and those who fail are tried next after
                1 minute, 5, …. Else it is our network that may be back, and that counts as somebody's word.
        """
        for peer in sorted(self._known.values(), key=lambda peer: peer.failures):
            if wished:
                peer.failures, peer.spent = min(peer.failures, 1), 0
                self._bring_forward(peer, now)
            else:
                self._believe(peer, now)

    def retain(self, *sources: str) -> None:
        """Forget whoever was named by others than these."""
        for address in [address for address, peer in self._known.items() if peer.source not in sources]:
            self._remove(address)

    def retire(self, address: Address) -> None:
        """The name by which somebody named it leads elsewhere now: it is one of many, and may be forgotten."""
        peer = self._known.get(address)
        if peer is not None and peer.source == BY_HAND:
            peer.source = MAGNET

    def ourselves(self, address: Address) -> None:
        """A connection to this address ended at ourselves: never again."""
        self._ourselves[address] = None
        if len(self._ourselves) > limits.MAX_OWN_ADDRESSES:
            del self._ourselves[next(iter(self._ourselves))]
        self._remove(address)

    def ban(self, key: str, reason: str) -> None:
        """Never dial this again. ``key`` is a host, for all its ports, or an address as text."""
        self._bans[key] = reason
        if len(self._bans) > limits.MAX_BANS:
            del self._bans[next(iter(self._bans))]

    def banned(self, key: str) -> str | None:
        """The reason for which this host, or this address as text, is banned, or None."""
        return self._bans.get(key)

    # -- dialling ----------------------------------------------------------------------------------------------------

    def candidate(self, now: float) -> PeerAddress | None:
        """Whom to dial now, or None: given by hand, of use before, untried, at last those who may be tried again."""
        if not self._known:
            return None  # asked twice a second for each torrent, of which a session may have a thousand idle ones
        for queue in self._queues():
            while (peer := queue.head()) is not None and peer.retry_at <= now:
                if not self._is_banned(peer.address):
                    return peer
                self._remove(peer.address)
        return None

    def next_due(self) -> float:
        """When there will be somebody to dial, if nothing happens; ``math.inf`` for never."""
        if not self._known:
            return math.inf
        return min((peer.retry_at for queue in self._queues() if (peer := queue.head()) is not None), default=math.inf)

    def neighbour(self) -> PeerAddress | None:
        """Somebody on the local network who was never dialled, or None: he has called for peers a moment ago."""
        bag = self._untried.get(LOCAL)
        peer = bag.head() if bag is not None else None
        return peer if peer is not None and not self._is_banned(peer.address) else None

    def dialing(self, peer: PeerAddress) -> None:
        """An attempt begins; ``connected`` or ``failed`` follows."""
        self._take(peer)
        if peer.source in self._untried:  # the next source's turn
            self._untried[peer.source] = self._untried.pop(peer.source)

    def connected(self, address: Address) -> None:
        """This peer is connected, whoever dialled; ``disconnected`` follows."""
        peer = self._known.get(address)
        if peer is not None:
            self._take(peer)
            peer.strange = False

    def failed(self, address: Address, now: float, *, silent: bool = False, strange: bool = False) -> None:
        """It could not be reached, or did not want us: it is tried again, after longer each time.

        Args:
            address: of the peer.
            now: the time.
            silent: nobody answered at all.
            strange: somebody answered, and gave no handshake for this torrent.
        """
        peer = self._known.get(address)
        if peer is not None:
            peer.silent, peer.strange = silent, strange
            self._set_aside(peer, now, reached=False)

    def silent(self, now: float) -> list[PeerAddress]:
        """Those who may be there behind a router: nobody answers, and somebody who should know named them lately.

        Only such as wait, those first that were not called so for the longest time, KNOCKS at most.
        """
        waiting = (peer for peer in self._known.values() if peer.silent and peer.queue is not None)
        lately = [peer for peer in waiting if now - peer.named_at < limits.KNOCK_FOR and peer.retry_at > now]
        return heapq.nsmallest(limits.KNOCKS, lately, key=lambda peer: (peer.knocked_at, self._rng.random()))

    def is_silent(self, address: Address) -> bool:
        """Whether it is one of those, or would be if it was named by somebody who should know."""
        peer = self._known.get(address)
        return peer is not None and peer.silent and peer.queue is not None

    def _set_aside(self, peer: PeerAddress, now: float, *, reached: bool) -> None:
        self._take(peer)
        peer.failures += 1
        peer.spent = max(0, peer.spent - 1)
        peer.failed_at, peer.reached = now, reached
        step = peer.failures - 1
        if peer.source == BY_HAND:
            step = min(step, len(RETRY_NAMED) - 1)
        if peer.source in (BY_HAND, MAGNET) and step < len(RETRY_NAMED):
            self._put(peer, self._named[step], now + RETRY_NAMED[step])
        else:
            step = min(step, len(RETRY) - 1)
            self._put(peer, self._failed[step], now + RETRY[step])

    def disconnected(self, address: Address, now: float, *, useful: bool, dismissed: bool = False) -> None:
        """The connection ended. If it was of use it is soon dialled again, else that was one more failure.

        Args:
            address: of the peer.
            now: the time.
            useful: whether it gave us something.
            dismissed: we hung up on everybody (a pause), which says nothing of it: it is dialled as soon as anybody is.
        """
        peer = self._known.get(address)
        if peer is None:
            return
        if dismissed:
            self._take(peer)
            peer.failures = 0
            self._put(peer, self._at_once, now)
            return
        if not useful:
            self._set_aside(peer, now, reached=True)
            return
        self._take(peer)
        peer.failures = 0
        self._put(peer, self._useful, now + RETRY_USEFUL)

    # -- queues ------------------------------------------------------------------------------------------------------

    def _queues(self) -> list[_Queue]:
        lines = (*self._named, self._rested, self._resting, *self._failed)
        return [self._at_once, self._useful, *self._untried.values(), *lines]

    def _put(self, peer: PeerAddress, queue: _Queue, retry_at: float) -> None:
        peer.retry_at = retry_at
        peer.queue = queue
        queue.put(peer)

    def _believe(self, peer: PeerAddress, now: float) -> None:
        """Somebody's word is worth one attempt."""
        if not peer.spent and self._bring_forward(peer, now):
            peer.spent = 2

    def _bring_forward(self, peer: PeerAddress, now: float) -> bool:
        """It may be there by now: let it wait no longer than RETRY_ANEW, and not at all where its failure is older."""
        rested = now - peer.failed_at >= RETRY_ANEW
        retry_at = now if rested else now + RETRY_ANEW
        if not peer.failures or peer.queue is None or retry_at >= peer.retry_at:
            return False
        self._take(peer)
        self._put(peer, self._rested if rested else self._resting, retry_at)
        return True

    def _take(self, peer: PeerAddress) -> None:
        if peer.queue is not None:
            peer.queue.discard(peer)
            peer.queue = None

    def _remove(self, address: Address) -> None:
        peer = self._known.pop(address, None)
        if peer is None:
            return
        self._take(peer)
        self._per_host[address.host] -= 1
        if not self._per_host[address.host]:
            del self._per_host[address.host]

    def _is_banned(self, address: Address) -> bool:
        return bool(self._bans) and (address.host in self._bans or str(address) in self._bans)

    def _make_room(self, address: Address, source: str) -> bool:
        """Whether this source may add one more, in somebody's place if need be."""
        if address.scope is Scope.PUBLIC and self._per_host.get(address.host, 0) >= limits.MAX_PORTS_PER_HOST:
            return False
        if len(self._known) < self._limit:
            return True
        for line in (*reversed(self._failed), *reversed(self._named), self._resting, self._rested):
            worst = line.head()
            if worst is not None and worst.source != BY_HAND:
                self._remove(worst.address)
                return True
        largest = max(self._untried, key=lambda name: len(self._untried[name]), default=source)
        victim = self._untried[largest].head() if largest != source else None
        if victim is None:
            return False
        self._remove(victim.address)
        return True
