"""The hash trees of v2 (BEP 52) between peers: asked for while a magnet lacks nothing else, and given to who asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from ..errors import DiskTroubleError, ProtocolError, StorageError
from ..limits import HASHES_ASKED, LEAVES_ASKED, MAX_HASH_REQUESTS, MAX_METADATA_QUEUED
from ..metainfo import merkle
from ..metainfo.info import Info
from ..metainfo.layout import BLOCK_SIZE
from ..wire import messages as wm
from .hashes import HashExchange
from .hashserving import HashServer

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm

log = logging.getLogger("torrentlite")

_READ: Final = 512 << 10
"""So many bytes that have to be read for an answer count as one request more."""


class Layers:
    """The hash messages of one torrent: what they mean to it, and what it says.

    Attributes:
        exchange: the layers on their way here, while they are all that lacks.
        moved_at: when some last came.
    """

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._server: HashServer | None = None
        self.exchange: HashExchange[Peer] | None = None
        self.moved_at = 0.0

    def need(self, info: Info) -> None:
        """The metadata is here, the layers are not: ask everybody who can have them."""
        if self.exchange is not None:  # after a pause, what came before it counts
            return
        self.exchange = HashExchange(info.layers_needed, _base(info))
        for peer in self._swarm.peers:
            self.can_have(peer)
        self.ask()

    def can_have(self, peer: Peer) -> None:
        """A peer has the metadata: to others libtorrent is none to talk to of hashes, and hangs up."""
        if self.exchange is not None and peer.has_metadata:
            self.exchange.joined(peer)
            self.ask()

    def left(self, peer: Peer) -> None:
        """A peer is gone."""
        if self.exchange is not None:
            self.exchange.left(peer)

    def ask(self) -> None:
        """Ask for what is to be asked for now."""
        if self.exchange is not None:
            for peer, request in self.exchange.requests(trio.current_time()):
                peer.sender.send(wm.encode(request))

    def got_hashes(self, peer: Peer, message: wm.Hashes) -> None:
        """Some of them.

        Raises:
            ProtocolError: they are wrong, and the peer is banned.
        """
        if self.exchange is None:
            return
        before, _ = self.exchange.progress()
        try:
            complete = self.exchange.got_hashes(peer, message, trio.current_time())
        except ValueError as error:
            self._swarm.ban([peer.key], str(error))
            raise ProtocolError(str(error)) from None
        if self.exchange.progress()[0] > before:
            self.moved_at = trio.current_time()
        if complete:
            self._swarm.owner.layers_received(self.exchange.layers)
            self.exchange = None
        else:
            self.ask()

    def got_reject(self, peer: Peer, message: wm.HashReject) -> None:
        """It does not give them (now)."""
        if self.exchange is not None:
            self.exchange.rejected(peer, message, trio.current_time())
            self.ask()

    # -- serving -----------------------------------------------------------------------------------------------------

    def got_request(self, peer: Peer, message: wm.HashRequest) -> None:
        """Somebody asks. As with the metadata the request is kept, not the answer."""
        info = self._swarm.owner.info
        peer.hash_requests += 1
        if info is not None and not message.base and info.piece_length > BLOCK_SIZE:
            # For the hashes of blocks a piece has to be read.
            peer.hash_requests += min(message.length, LEAVES_ASKED) * BLOCK_SIZE // _READ
        if peer.hash_requests > self._most or len(peer.sender.asked) >= MAX_METADATA_QUEUED:
            peer.sender.send(wm.encode(message.refusal))
        else:
            peer.sender.asked.append(message)
            peer.sender.wake()

    @property
    def _most(self) -> int:
        """How many requests of one connection are answered."""
        info = self._swarm.owner.info
        needed = 0 if info is None else len(info.layers_needed) + info.layout.piece_count // HASHES_ASKED
        return MAX_HASH_REQUESTS + 2 * needed

    def answer_at_once(self, request: wm.HashRequest) -> bytes | None:
        """What answers it, where nothing has to be read and there is little to work out; else None.

        A few hashes take no longer than the way to a thread (100 µs), and a torrent may have 50,000 such files.
        """
        info = self._swarm.owner.info
        if info is None or not info.hashes.only_v2:
            return wm.encode(request.refusal)
        self._server = self._server or HashServer(info.layer, _base(info))
        if not self._server.is_quick(request):
            return None
        return wm.encode(self._server.answer(request) or request.refusal)

    async def answer(self, peer: Peer, request: wm.HashRequest) -> bytes:
        """What answers it, after ``answer_at_once`` did not."""
        info = self._swarm.owner.info
        found: wm.Hashes | None = None
        if info is not None and self._server is not None:
            try:
                found = await self._answer(peer, request, info, self._server)
            except DiskTroubleError as error:  # no thread is free
                log.debug("%s: %s", peer.address, error)
        return wm.encode(found or request.refusal)

    async def _answer(self, peer: Peer, request: wm.HashRequest, info: Info, server: HashServer) -> wm.Hashes | None:
        offload = self._swarm.commons.world.offload
        piece = server.piece_of(request)
        if piece is None:
            # In a thread: the first answer of a file of 100,000 pieces takes 0.1 s.
            return await offload.run(server.answer, request, abandon=True)
        piece += info.first_piece(request.root)
        pieces = self._swarm.pieces
        if pieces is None or peer.am_choking or not pieces.picker.have >> piece & 1:
            return None  # of blocks only for who may ask for these
        try:
            leaves = await pieces.disk.leaves(piece)
        except StorageError as error:
            if pieces.picker.have >> piece & 1:
                self._swarm.read_failed(error)
            return None
        return await offload.run(server.leaf_answer, request, leaves, abandon=True)


def _base(info: Info) -> int:
    """How many layers are below that of the pieces."""
    return merkle.height(info.piece_length // BLOCK_SIZE)
