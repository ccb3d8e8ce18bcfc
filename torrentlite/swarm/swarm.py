"""The connected peers of one torrent: who comes in, who goes, who is asked, who is told what."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import trio

from ..errors import DiskTroubleError, ProtocolError, StorageError
from ..limits import LAST_WORDS, MOST_IN_VAIN_ASKED, PEER_TICK
from ..metainfo.info import Info, InfoHashes
from ..net.network import Stream
from ..strategy.peerlist import PeerList
from ..wire import bitfield, messages as wm
from ..wire.address import Address, Scope
from ..wire.handshake import Handshake
from . import asking
from .admission import Admission
from .commons import Commons
from .copies import Copies
from .crew import Crew
from .dht import Dht
from .dialler import Dialler
from .eventstream import Streams
from .extensions import Extensions
from .gone import follow, tell
from .hurry import hurry
from .layers import Layers
from .peer import Peer
from .slots import Slots
from .throttle import Throttle
from .webseeds import WebSeeds

if TYPE_CHECKING:
    from .pieces import Pieces

log = logging.getLogger("torrentlite")


class SwarmOwner(Protocol):
    """What a swarm asks of its torrent.

    Attributes:
        streams: the readers of its events.
        hashes: its info-hashes.
    """

    streams: Streams

    hashes: InfoHashes

    @property
    def info_hash(self) -> str:
        """For the log."""

    @property
    def info(self) -> Info | None:
        """The info dictionary, once it is here, with all hashes."""

    @property
    def private(self) -> bool:
        """BEP 27."""

    def metadata_received(self, raw: bytes) -> None:
        """The info dictionary came from a peer, and matches the info-hash."""

    def layers_received(self, layers: Mapping[bytes, bytes]) -> None:
        """The hashes of its pieces came from peers, and are right (BEP 52)."""

    def storage_failed(self, error: StorageError) -> None:
        """The disk refuses for good."""

    def peers_found(self, addresses: tuple[Address, ...], source: str, within: Scope) -> None:
        """A peer named others."""

    def left_alone(self) -> None:
        """The last peer is gone."""

    def wake_waiters(self) -> None:
        """Something is so that somebody may wait for."""


class Swarm:
    """The peers of one torrent.

    One place adds a peer (``host``) and, in its ``finally``, takes it out again: availability, outstanding requests,
    upload slot and counts all return there.

    Attributes:
        peers: connected and past the handshake, in the order they came.
        pieces: the torrent's data side, once it is known and checked.
        slots: who is served.
        downloading: whether there is something to ask for at all.
        complete: whether everything wanted is here.
        copies: peers that were seen with everything since then.
        wasted: bytes of blocks that we could not use.
    """

    def __init__(self, owner: SwarmOwner, info_hash: bytes, commons: Commons, crew: Crew, throttle: Throttle) -> None:
        now = trio.current_time()
        self.owner = owner
        self.info_hash = info_hash
        self.commons = commons
        self.crew = crew
        self.throttle = throttle
        self.peers: dict[Peer, None] = {}
        self.pieces: Pieces | None = None
        self.peerlist = PeerList(commons.world.rng)
        self.dialler = Dialler(self, self.peerlist)
        self.admission = Admission(self)
        self.slots = Slots(self)
        self.extensions = Extensions(self)
        self.layers = Layers(self)
        self.web = WebSeeds(self)
        self.copies = Copies()
        self.downloading = False
        self.complete = False
        self.open = False
        self.wasted = 0
        self._last_gone: trio.Event | None = None
        self._turn = 0
        self._next_peer_tick = now

    # -- coming and going --------------------------------------------------------------------------------------------

    def blame_key(self, address: Address) -> str:
        """What a peer is blamed by: its IP address where that is public, else host and port.

        Behind one private or loopback address there can be many peers (a NAT, a test, a cluster node).
        """
        return address.host if address.scope is Scope.PUBLIC else str(address)

    @property
    def wants_peers(self) -> bool:
        """Whether addresses are of use: a complete torrent waits to be called, and dials only while nobody is there.

        (But for who calls for peers on the local network: he may not hear of us for minutes. And who cannot be called
        always dials.)
        """
        return not self.complete or not self.peers or not self.commons.port

    @property
    def dht(self) -> Dht | None:
        """The DHT node, where peers of this torrent may hear of it (not in a private one, BEP 27)."""
        return self.commons.dht if not self.owner.private else None

    @property
    def hello(self) -> Handshake:
        """What we say first."""
        return Handshake(
            self.info_hash,
            self.commons.peer_id,
            fast=True,
            extended=True,
            dht=self.dht is not None,
            v2=self.owner.hashes.only_v2,
        )

    def welcome(self, stream: Stream, theirs: Handshake) -> None:
        """Somebody connected to us and said hello: the stream is ours from here on."""
        name = f"peer {stream.remote}"
        if not self.open or self.crew.start(self._host_incoming, stream, theirs, name=name) is None:
            stream.close()

    async def _host_incoming(self, stream: Stream, theirs: Handshake) -> None:
        await self.host(stream, theirs, incoming=True, source="incoming")

    async def host(self, stream: Stream, theirs: Handshake, *, incoming: bool, source: str) -> None:
        """A peer's whole stay."""
        address, commons = stream.remote, self.commons
        refusal = self.admission.refusal(stream, theirs, incoming=incoming)
        if refusal:
            stream.close()
            log.debug("%s: %s refused: %s", self.owner.info_hash, address, refusal)
            if not incoming:
                self.peerlist.disconnected(address, trio.current_time(), useful=False)
            return
        with contextlib.ExitStack() as leaving:  # what has begun is ended, whatever becomes of the rest
            leaving.callback(stream.close)
            peer = Peer(self, stream, theirs, incoming=incoming, source=source)
            leaving.callback(self._left, peer)
            self.peers[peer] = None
            leaving.callback(self.peers.pop, peer)
            commons.joined(address.host)
            leaving.callback(commons.left, address.host)
            self.extensions.joined(peer, trio.current_time())
            leaving.callback(self.extensions.left, peer)
            leaving.callback(self.layers.left, peer)
            if not incoming:
                self.peerlist.connected(address)
            await peer.run()

    def _left(self, peer: Peer) -> None:
        """A peer is gone: what it owed and had is counted no more, and its place is free."""
        now = trio.current_time()
        self._count_copies([peer])
        if self.pieces is not None and peer.joined:
            self.pieces.peer_left(peer)
        if (home := peer.callable_at) and all(other.callable_at != home for other in self.peers):
            self.peerlist.disconnected(home, now, useful=peer.useful, dismissed=peer.dismissed)
        log.debug("%s: %s gone: %s", self.owner.info_hash, peer.address, peer.why_closed)
        self.slots.left(peer, now)
        if self._last_gone is not None and not self.peers:
            self._last_gone.set()
        if self.open and not self.peers:
            self.dialler.alone(now)
            self.owner.left_alone()
        self.dialler.dial_more(now)

    def close_all(self, why: str) -> None:
        """Close all connections and take nobody in."""
        self.open = False
        self.web.stop()
        for peer in list(self.peers):
            peer.dismissed = True
            peer.close(why)

    async def leave(self) -> None:
        """The same for good. Who has everything lets it be heard first, as others count on who has what."""
        self.open = False
        if self.complete and self.peers:
            self._last_gone = trio.Event()
            for peer in list(self.peers):
                peer.part("leaving")
            with trio.move_on_after(LAST_WORDS):  # each of them has no longer, but a bug may hide that it is gone
                await self._last_gone.wait()
        self.close_all("leaving")

    def keep_only(self, *sources: str) -> None:
        """Forget who was named by others than these, and say goodbye to those who are here."""
        self.peerlist.retain(*sources)
        for peer in list(self.peers):
            if peer.source not in sources:
                peer.close("its address is not from the tracker of this private torrent")
            elif peer.extended:
                peer.sender.send(self.extensions.handshake(peer))  # without PEX

    def ban(self, keys: list[str], reason: str) -> None:
        """These sent wrong data: never again in this session."""
        for key in keys:
            self.peerlist.ban(key, reason)
        for peer in list(self.peers):
            if peer.key in keys:
                peer.close(f"banned: {reason}")
        if self.pieces is not None:
            self.pieces.distrust(keys)

    # -- the data side -----------------------------------------------------------------------------------------------

    def begin(self, pieces: Pieces) -> None:
        """The pieces are known and checked: those who came before (for the metadata) take part from now on."""
        self.pieces = pieces
        self.extensions.exchange = None
        self.layers.exchange = None
        self.slots.begin(pieces.layout)
        for peer in list(self.peers):
            try:
                peer.replay()
                follow(peer)
                if peer.extended and self.extensions.holepunch.speaks:  # which was not offered before
                    peer.sender.send(self.extensions.handshake(peer))
                have = pieces.lasting
                if have:
                    peer.sender.send(wm.encode_haves(list(bitfield.members(have))))
            except ProtocolError as error:
                peer.close(str(error))
        if self.downloading:
            # Who let us ask at once, while the files were still looked at, will not say so again.
            self.request_all(trio.current_time())
            self.web.tick(trio.current_time())

    def end(self) -> None:
        """The data side is gone (recheck, error): nobody stays."""
        self.close_all("the torrent stopped")
        self.pieces = None

    def announce_pieces(self, verified: list[int]) -> None:
        """Have to all: encoded once."""
        data = wm.encode_haves(verified)
        lasting = self.pieces is not None and self.pieces.cache is None
        for peer in self.peers:
            if not (lasting or peer.follows):
                continue
            if not peer.is_seed:
                peer.sender.send(data)
            elif not self.complete:
                # It wants nothing of ours. From 200 seeds, a third of a fetcher's CPU went into telling them at once.
                peer.sender.send_later(data)

    def announce_gone(self, pieces: list[int]) -> None:
        """We have these no more."""
        tell(self, pieces)

    def completed(self) -> None:
        """Everything wanted is here: nobody is interesting any more, and seeds are no use to each other."""
        self.complete, self.downloading = True, False
        self.web.stop()
        for peer in list(self.peers):
            peer.reconsider_interest()
            if peer.extended:
                data = peer.wire.encode_upload_only(True)
                if data:
                    peer.sender.send(data)
            self.peer_advanced(peer)

    def go_on(self) -> None:
        """There is something to fetch (again)."""
        if self.complete:  # seeds that were of no use now are
            self.peerlist.try_again(trio.current_time(), wished=True)
        self.complete, self.downloading = False, True

    def peer_advanced(self, peer: Peer) -> None:
        """A peer has more than before."""
        if self.complete and peer.is_seed and not self.commons.settings.seed_to_seeds:
            peer.part("both are seeds")

    def _count_copies(self, peers: Iterable[Peer]) -> None:
        """Of these, who has everything, where we have."""
        if not self.complete or self.pieces is None:
            return
        counted = len(self.copies)
        for peer in peers:
            if peer.joined and (peer.is_seed or self.copies.took_all(peer, self.pieces.layout)):
                self.copies.saw(peer)
        if len(self.copies) > counted:
            self.owner.wake_waiters()

    def request_all(self, now: float) -> None:
        """There is something new to ask for (room in memory, blocks given back, pieces wanted)."""
        self.web.wake()
        peers = list(self.peers)
        if self.throttle.download_limited:
            # Who comes first takes what the limit grants, so everybody has a turn at it.
            self._turn = (self._turn + 1) % max(1, len(peers))
            peers = peers[self._turn :] + peers[: self._turn]
        for peer in peers:
            if peer.am_interested and not peer.peer_choking:
                asking.request(peer, now)

    def request_idle(self, now: float) -> None:
        """Something became free that those who have nothing to do may be asked for: after every verdict, so cheap."""
        self.web.wake()
        in_vain = 0
        for peer in self.peers:
            if peer.idle and not peer.peer_choking:
                asking.request(peer, now)
                in_vain += peer.idle
                if in_vain >= MOST_IN_VAIN_ASKED:
                    return

    def hurry(self, now: float) -> None:
        """Somebody waits for pieces: ask all who have them, each as much as it is fast, before everything else."""
        hurry(self, now)

    def allowance(self, blocks: int, now: float) -> int:
        """See ``Throttle.allowance``."""
        return self.throttle.allowance(blocks, now) if self.throttle.download_limited else blocks

    def unused_allowance(self, blocks: int) -> None:
        """See ``Throttle.unused``."""
        if self.throttle.download_limited:
            self.throttle.unused(blocks)

    def limits_changed(self) -> None:
        """Nobody waits any longer for what the old limits would have allowed."""
        self.web.limits_changed()
        for peer in self.peers:
            peer.sender.rebook()
        if self.downloading:
            self.request_all(trio.current_time())

    # -- serving -----------------------------------------------------------------------------------------------------

    def sent_blocks(self, peer: Peer, size: int) -> None:
        """Blocks went out."""
        now = trio.current_time()
        if not peer.uploaded and self.pieces is not None:
            peer.brought = self.pieces.layout.bytes_of_pieces(peer.has)
        peer.up_meter.add(size, now)
        self.commons.up_meter.add(size, now)
        if self.pieces is not None:  # else a recheck began while they were on their way
            self.pieces.uploaded(size, now)

    def read_failed(self, error: StorageError) -> None:
        """What a peer asked for could not be read."""
        log.warning("%s: %s", self.owner.info_hash, error)
        if not isinstance(error, DiskTroubleError):
            self.owner.storage_failed(error)

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called by the session's tick."""
        if not self.open:
            return
        if now >= self._next_peer_tick:
            self._next_peer_tick = now + PEER_TICK
            for peer in list(self.peers):
                try:
                    peer.tick(now)
                except Exception as error:  # a bug of ours that this peer has met: it must not stop everybody's time
                    self.commons.report(f"the tick of {peer.address}", error)
                    peer.close("an internal error")
            if self.pieces is not None and (self.downloading or self.peers):
                fastest = max((peer.pipeline.rate for peer in self.peers), default=0.0)
                self.pieces.fastest = max(fastest, self.web.fastest(now))
            if self.peers:
                self.extensions.tell_of_peers(now)
                self._count_copies(self.peers)
        self.slots.tick(now)
        self.extensions.ask_metadata()
        self.layers.ask()
        if self.downloading and self.throttle.download_limited:
            # A limit may have let everything run dry, and then no block comes that would make us ask for more.
            self.request_all(now)
        if self.downloading:
            self.web.tick(now)
        self.dialler.tick(now)
