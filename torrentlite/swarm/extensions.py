"""What peers tell each other beside the blocks (BEP 10): of themselves, of other peers, and the metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import trio

from ..errors import ProtocolError
from ..limits import MAX_METADATA_QUEUED, MAX_METADATA_REQUESTS, METADATA_PIECE
from ..wire import messages as wm
from ..wire.address import Address
from ..wire.extensions import OUR_IDS
from .gone import follow, heard
from .holepunch import Holepunch
from .metadata import MetadataExchange
from .pex import PeerExchange
from .reach import is_utp

if TYPE_CHECKING:
    from .peer import Peer
    from .swarm import Swarm


class Extensions:
    """The extended messages of one torrent: what they mean to it, and what it says.

    Attributes:
        exchange: the metadata on its way here, while a magnet has none.
        holepunch: meets who is behind a router.
    """

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._pex: PeerExchange[Peer] = PeerExchange()
        self.holepunch = Holepunch(swarm)
        self.exchange: MetadataExchange[Peer] | None = None

    def joined(self, peer: Peer, now: float) -> None:
        """A peer is connected."""
        self._pex.joined(peer, now)
        self.holepunch.joined(peer, now)

    def left(self, peer: Peer) -> None:
        """A peer is gone."""
        self._pex.left(peer)
        self.holepunch.left(peer)
        if self.exchange is not None:
            self.exchange.left(peer)

    def got(self, peer: Peer, message: wm.Message) -> None:
        """A peer says something.

        Raises:
            ProtocolError: it may not say that; it is to be dropped.
        """
        self._HANDLERS[type(message)](self, peer, message)

    # -- itself (BEP 10, 21) -----------------------------------------------------------------------------------------

    def handshake(self, peer: Peer) -> bytes:
        """What we tell this peer of ourselves."""
        swarm = self._swarm
        info = swarm.owner.info
        return peer.wire.encode_extended_handshake(
            wm.ExtendedHandshake(
                extensions=self._offered(),
                client=swarm.commons.user_agent,
                reqq=swarm.commons.settings.request_queue,
                port=swarm.commons.port_for(peer.address) or None,
                metadata_size=len(info.raw) if info else None,
                your_ip=peer.address.host,
                upload_only=swarm.complete,
            )
        )

    def _offered(self) -> dict[str, int]:
        offered = dict(OUR_IDS)
        # 0 takes back what an earlier handshake has offered (BEP 10).
        if not self.speaks_pex:
            offered["ut_pex"] = 0
        if not self.holepunch.speaks:
            offered["ut_holepunch"] = 0
        return offered

    def _got_handshake(self, peer: Peer, message: wm.ExtendedHandshake) -> None:
        """Its name, its limits, its metadata's size."""
        if message.client:
            peer.client = message.client
        follow(peer)
        if message.reqq:
            peer.pipeline.reqq = message.reqq
        if message.upload_only is not None:
            peer.upload_only = message.upload_only
        if message.port and peer.incoming:
            peer.listen_port = message.port
            if not self._swarm.owner.private:  # BEP 27: only its tracker's peers are called
                self._swarm.dialler.called_from(Address(peer.address.host, message.port), peer)
        peer.has_metadata = peer.has_metadata or bool(message.metadata_size)
        self._swarm.layers.can_have(peer)
        if message.metadata_size and self.exchange is not None:
            self.exchange.got_size(peer, message.metadata_size)
            self.ask_metadata()

    def _got_upload_only(self, peer: Peer, message: wm.UploadOnly) -> None:
        """It will ask for nothing."""
        peer.upload_only = message.value

    def _got_dont_have(self, peer: Peer, message: wm.DontHave) -> None:
        """It has a piece less (BEP 54)."""
        heard(peer, message.piece)

    # -- peers of peers (BEP 11) -------------------------------------------------------------------------------------

    @property
    def speaks_pex(self) -> bool:
        """Whether peers are told about each other: never in a private torrent (BEP 27)."""
        return self._swarm.commons.settings.pex and not self._swarm.owner.private

    def _got_pex(self, peer: Peer, message: wm.Pex) -> None:
        """It names those it is connected to. What it names must be as wide as it is itself."""
        swarm, now = self._swarm, trio.current_time()
        if self.speaks_pex and self._pex.heard(peer, now):
            self.holepunch.introduced(peer, message.added, message.dropped)
            useful = (address for address in message.added if not (swarm.complete and address in message.seeds))
            swarm.owner.peers_found(tuple(useful), "pex", peer.address.scope)

    def tell_of_peers(self, now: float) -> None:
        """Tell those whose turn it is whom we are connected to; let those who may tell us something again be read."""
        if not self.speaks_pex:
            return
        for peer in self._swarm.peers:
            peer.wire.hears_pex = self._pex.listens(peer, now)
        if self._swarm.owner.info is None:
            return  # without the metadata nobody knows whether it is private: we listen, and tell nothing
        peers = self._swarm.peers
        by_address = {address: peer for peer in peers if (address := peer.callable_at) is not None}
        callable_at = [(address, peer.is_seed) for address, peer in by_address.items()]
        for peer in peers:
            if peer.extended:
                message = self._pex.due(peer, peer.callable_at or peer.address, callable_at, now)
                data = peer.wire.encode_pex(_with_flags(message, by_address)) if message is not None else None
                if data:
                    peer.sender.send(data)

    def _got_holepunch(self, peer: Peer, message: wm.Holepunch) -> None:
        """Two that are behind routers are to call each other (BEP 55)."""
        self.holepunch.got(peer, message, trio.current_time())

    # -- metadata (BEP 9) --------------------------------------------------------------------------------------------

    def ask_metadata(self) -> None:
        """Ask for what is to be asked for now."""
        if self.exchange is None:
            return
        for peer, piece in self.exchange.requests(trio.current_time()):
            data = peer.wire.encode_metadata_request(piece)
            if data:
                peer.sender.send(data)
            else:
                self.exchange.rejected(peer, trio.current_time())

    def _got_metadata_request(self, peer: Peer, message: wm.MetadataRequest) -> None:
        """Serve the info dictionary, a bounded number of times.

        The request is kept, not the answer: of that, who does not read would make us hold 16 KiB for 30 bytes of his.
        """
        peer.metadata_requests += 1
        asked = peer.sender.asked
        if peer.metadata_requests > MAX_METADATA_REQUESTS or len(asked) >= MAX_METADATA_QUEUED:
            peer.sender.send(peer.wire.encode_metadata_reject(message.piece) or b"")
        else:
            asked.append(message)
            peer.sender.wake()

    def metadata_piece(self, peer: Peer, piece: int) -> bytes:
        """What answers a request for this piece of the info dictionary."""
        info = self._swarm.owner.info
        raw = info.raw if info is not None else b""
        if not 0 <= piece < -(-len(raw) // METADATA_PIECE):
            answer = peer.wire.encode_metadata_reject(piece)
        else:
            part = raw[piece * METADATA_PIECE : (piece + 1) * METADATA_PIECE]
            answer = peer.wire.encode_metadata_data(piece, len(raw), part)
        return answer or b""

    def _got_metadata_data(self, peer: Peer, message: wm.MetadataData) -> None:
        """A piece of it."""
        if self.exchange is None:
            return
        try:
            raw = self.exchange.got_data(peer, message.piece, message.data, trio.current_time())
        except ValueError as error:
            self._swarm.ban([peer.key], str(error))
            raise ProtocolError(str(error)) from None
        if raw is not None:
            self._swarm.owner.metadata_received(raw)
            self.exchange = None  # not before that: a bug in it would leave a torrent that asks nobody any more
        else:
            self.ask_metadata()

    def _got_metadata_reject(self, peer: Peer, message: wm.MetadataReject) -> None:
        """It does not give it (now)."""
        if self.exchange is not None:
            self.exchange.rejected(peer, trio.current_time())
            self.ask_metadata()

    _HANDLERS: ClassVar[dict[type, Callable[..., None]]] = {
        wm.ExtendedHandshake: _got_handshake,
        wm.UploadOnly: _got_upload_only,
        wm.DontHave: _got_dont_have,
        wm.Pex: _got_pex,
        wm.Holepunch: _got_holepunch,
        wm.MetadataRequest: _got_metadata_request,
        wm.MetadataData: _got_metadata_data,
        wm.MetadataReject: _got_metadata_reject,
    }


def _with_flags(message: wm.Pex, peers: Mapping[Address, Peer]) -> wm.Pex:
    """What others may want to know of those who are told."""
    added = [(address, peers[address]) for address in message.added]
    return wm.Pex(
        message.added,
        message.seeds,
        message.dropped,
        reachable=frozenset(address for address, peer in added if not peer.incoming),
        utp=frozenset(address for address, peer in added if is_utp(peer.stream)),
        holepunch=frozenset(address for address, peer in added if peer.wire.speaks_holepunch),
    )
