"""What discovery asks of its torrent, and what it tells it: the torrent's side of finding peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .. import events as ev
from ..strategy.peerlist import BY_HAND
from ..wire.address import Address, Scope, scope_of

if TYPE_CHECKING:
    from .life import Life


class Finding:
    """One torrent, as whoever looks for its peers sees it (``DiscoveryOwner``)."""

    def __init__(self, life: Life) -> None:
        self._life = life

    @property
    def info_hash_bytes(self) -> bytes:
        """What it is known by."""
        return self._life.hashes.wire

    @property
    def private(self) -> bool:
        """Whether only its trackers may name peers (BEP 27)."""
        return self._life.private

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """Bytes uploaded, downloaded and left (None: not known before the metadata)."""
        content = self._life.content
        if content is None:
            return 0, 0, None
        downloaded, uploaded, _ = content.totals()
        # A tracker tells who has nothing left of no seeds, so what readers may come to is left too.
        return uploaded, downloaded, content.left or (0 if self._life.reading.sated else content.missing)

    @property
    def wants_peers(self) -> bool:
        """Whether more peers are of use."""
        return self._life.swarm.wants_peers

    @property
    def announced_port(self) -> int | None:
        """Where peers can call us; None before the metadata: it may turn out to be private."""
        return self._life.swarm.commons.public_port if self._life.metainfo is not None else None

    @property
    def port_is_implied(self) -> bool:
        """Whether who gets our datagrams sees that port: a router may have given ours another number."""
        commons = self._life.swarm.commons
        mapped = commons.port_map
        # A gateway that is itself behind another one opens nothing.
        opened = mapped.tcp_port and scope_of(mapped.external_host) is Scope.PUBLIC
        return commons.utp is not None and not opened

    @property
    def complete(self) -> bool:
        """Whether everything wanted is here."""
        return self._life.swarm.complete

    @property
    def connected(self) -> int:
        """Connected peers."""
        return len(self._life.swarm.peers)

    def named_by(self, source: str) -> int:
        """Peers that this source was the first to name."""
        return self._life.swarm.peerlist.named.get(source, 0)

    def peers_found(self, addresses: tuple[Address, ...], source: str, within: Scope) -> None:
        """Somebody named peers."""
        dialler = self._life.swarm.dialler
        added = sum(dialler.add(address, source, within) for address in addresses)
        if added and source in ("lsd", "pex"):
            self._life.streams.put(ev.PeersFound(source, added))
        self._life.wake()  # there may be no room to dial just now
        dialler.dial_more(trio.current_time())

    def lost(self, address: Address) -> bool:
        """Whether nobody could be reached there when it was last dialled."""
        return self._life.swarm.peerlist.lost(address)

    def retire(self, address: Address) -> None:
        """A name leads there no more."""
        self._life.swarm.peerlist.retire(address)

    def try_again(self, *, wished: bool) -> None:
        """Peers and web seeds that could not be reached may be reached now."""
        now = trio.current_time()
        self._life.swarm.peerlist.try_again(now, wished=wished)
        self._life.swarm.web.try_again(now)
        self._life.wake()
        self._life.swarm.dialler.dial_more(now)

    def tracker_replied(self, url: str, ok: bool, message: str, peers: int) -> None:
        """A tracker answered, or failed to."""
        self._life.streams.put(ev.TrackerReplied(url, ok, message, peers))

    def tracker_switched(self) -> None:
        """A private torrent has another tracker: "the peer MUST disconnect from all current peers" (BEP 27)."""
        self._life.swarm.keep_only(BY_HAND)

    def source_replied(self, source: str, peers: int) -> None:
        """The DHT was asked, and named so many peers."""
        self._life.streams.put(ev.PeersFound(source, peers))
