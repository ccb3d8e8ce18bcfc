"""One connected peer: two tasks, what was said on both sides, and what it means.

``_read`` receives and reacts; everything it does is sync, but for a turn of the others in a flood of small messages.
``Sender.run`` is the only one that sends: first what is small, then a batch of blocks. Nobody ever waits for a peer.
What it is asked for is told in ``asking.py``, and what it asks for in ``serving.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import trio

from ..errors import NetworkError, ProtocolError
from ..limits import (
    KEEP_ALIVE,
    LAST_WORDS,
    MAX_EARLY_BITFIELDS,
    MAX_OUTBOX,
    MESSAGES_IN_A_ROW,
    NUDGE,
    PEER_IDLE_TIMEOUT,
    REQUEST_TIMEOUT,
    SLOW_SHARE,
    URGENT_LATE,
)
from ..metainfo.layout import Block
from ..net.network import Stream
from ..strategy.pipeline import Pipeline
from ..strategy.rate import RateMeter
from ..wire import bitfield, messages as wm
from ..wire.address import Address
from ..wire.clients import client_name
from ..wire.handshake import Handshake
from ..wire.peerwire import PeerWire
from . import asking, serving
from .early import Early
from .hello import say_hello
from .sender import Sender
from .uploads import Uploads

if TYPE_CHECKING:
    from .swarm import Swarm


class Peer:
    """A peer of one torrent, from handshake to goodbye.

    Attributes:
        key: what it is blamed by: the IP address where that names one host (public), else host and port.
        has: the pieces it has, once both sides know how many there are.
        idle: it had room for requests, and there was nothing to ask for.
        follows: it was told of pieces that may go again, and will be told when they do.
        allowed_fast: pieces that it lets us ask for while it chokes us (BEP 6).
        offered: those that it ever named as such.
        has_metadata: it has said that it has the info dictionary.
        brought: bytes of pieces that it had before it had any from us, less those that it has let go of since.
        dismissed: we hung up on it as on everybody, whatever it is worth.
        hung_up: it has closed the connection, in good order.
    """

    def __init__(self, swarm: Swarm, stream: Stream, theirs: Handshake, *, incoming: bool, source: str) -> None:
        now = trio.current_time()
        self.swarm = swarm
        self.stream = stream
        self.address = stream.remote
        self.key = swarm.blame_key(stream.remote)
        self.peer_id = theirs.peer_id
        self.incoming = incoming
        self.source = source
        self.fast = theirs.fast
        self.extended = theirs.extended
        self.speaks_dht = theirs.dht
        self.client = client_name(theirs.peer_id)
        pieces = swarm.pieces
        self.wire = PeerWire(
            fast=self.fast, extended=self.extended, piece_count=pieces.layout.piece_count if pieces else None
        )
        self.sender = Sender(self)
        self.pipeline = Pipeline(now)
        self.uploads = Uploads(swarm.commons.settings.request_queue)
        self.am_choking = True
        self.am_interested = False
        self.peer_choking = True
        self.peer_interested = False
        self.upload_only = False
        self.allowed_fast = 0
        self.offered: set[int] = set()
        self.connected_at = now
        self.last_received = now
        self.last_sent = now
        self.useful = self.dismissed = False
        self.idle = False
        self.joined = False
        self.listen_port = 0 if incoming else stream.remote.port
        self.dht_port = 0
        self.down_meter = RateMeter()
        self.up_meter = RateMeter()
        self.brought = 0
        self.hung_up = False
        self.unwanted = 0
        self.metadata_requests = 0
        self.hash_requests = 0
        self.has_metadata = False
        self.renounced = 0
        self.follows = False
        self._early = Early()
        self._scope = trio.CancelScope()
        self.why_closed = ""

    def __repr__(self) -> str:
        flags = "".join(
            letter if flag else "-"
            for letter, flag in (
                ("c", self.peer_choking),
                ("i", self.am_interested),
                ("C", self.am_choking),
                ("I", self.peer_interested),
            )
        )
        return f"<Peer {self.address} {self.client!r} {flags} asked {self.pipeline.outstanding}>"

    # -- a life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until either side has had enough. Raises nothing but Cancelled and bugs."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    say_hello(self)
                    nursery.start_soon(self.sender.run)
                    await self._read()
                    nursery.cancel_scope.cancel()
        except* (NetworkError, ProtocolError) as group:
            self.why_closed = self.why_closed or str(group.exceptions[0])
        finally:
            self.stream.close()

    def close(self, why: str) -> None:
        """End this connection (sync; the tasks end by themselves)."""
        self.why_closed = self.why_closed or why
        self._scope.cancel()

    def part(self, why: str) -> None:
        """The same when what waits to be sent has gone, or LAST_WORDS later.

        By its Haves a seed knows who has all now, and a queue that is thrown away holds the last ones.
        """
        self.why_closed = self.why_closed or why
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + LAST_WORDS)
        self.sender.finish()

    async def _read(self) -> None:
        wire, stream, handlers = self.wire, self.stream, self._HANDLERS
        small = 0
        while True:
            count = await stream.receive_into(wire.free())
            if not count:
                self.hung_up = True
                self.close("closed by the peer")
                return
            now = self.last_received = self.swarm.commons.heard_at = trio.current_time()
            before = wire.payload_bytes
            # What comes is mostly blocks, or mostly requests, sixteen at a time: half of their cost was in the calls.
            for kind, run in itertools.groupby(wire.received(count), type):
                if kind is wm.Piece:
                    asking.got_pieces(self, list(run), now)  # type: ignore[arg-type]
                elif kind is wm.Request:
                    requests: list[wm.Request] = list(run)  # type: ignore[arg-type]
                    small += len(requests)
                    serving.got_requests(self, requests)
                    del requests  # or thousands of a flood would stay until the next ones come
                else:
                    for message in run:
                        handlers[kind](self, message)
                        small += 1
                        if small >= MESSAGES_IN_A_ROW:  # views of blocks stay good: nobody else receives here
                            small = 0
                            await trio.lowlevel.checkpoint()
            if wire.payload_bytes != before:
                self._count(wire.payload_bytes - before, now)
            if not self.peer_choking or self.allowed_fast:
                asking.request(self, now)
            self._check_outbox()
            if small >= MESSAGES_IN_A_ROW:
                small = 0
                await trio.lowlevel.checkpoint()

    def _count(self, size: int, now: float) -> None:
        """So many bytes of blocks came: counted once for all that one receive brought."""
        self.down_meter.add(size, now)
        if self.swarm.pieces is not None:
            self.swarm.pieces.came(size, now)

    def _check_outbox(self) -> None:
        if self.sender.size > MAX_OUTBOX:
            self.close("does not read what we send")

    # -- what it has -------------------------------------------------------------------------------------------------

    def replay(self) -> None:
        """The torrent's pieces are known now (a magnet's metadata came): take what the peer said before that."""
        pieces = self.swarm.pieces
        assert pieces is not None
        self.wire.set_piece_count(pieces.layout.piece_count)
        pieces.picker.add_peer(self, 0)
        self.joined = True
        for message in self._early.take():
            self._HANDLERS[type(message)](self, message)

    @property
    def early_size(self) -> int:
        """Bytes of a bitfield that waits for the metadata."""
        return self._early.size

    @property
    def has(self) -> int:
        """The pieces it has, as a set of bits."""
        return self.swarm.pieces.picker.pieces_of(self) if self.joined and self.swarm.pieces else 0

    @property
    def is_seed(self) -> bool:
        """Whether it has every piece."""
        pieces = self.swarm.pieces
        return pieces.picker.is_seed(self) if self.joined and pieces else self.upload_only

    def got_have(self, message: wm.Have) -> None:
        """One more piece."""
        pieces = self.swarm.pieces
        if not self.joined or pieces is None:
            self._early.keep(message)
            return
        # Parsed in the same batch as the end of the metadata, it was not yet held to the number of pieces.
        if message.piece >= pieces.layout.piece_count:
            raise ProtocolError(f"have of piece {message.piece} of {pieces.layout.piece_count}")
        pieces.picker.peer_has(self, message.piece)
        if not self.am_interested and pieces.picker.interesting(self):
            self.set_interest(True)
        self.swarm.peer_advanced(self)

    def got_bitfield(self, message: wm.Bitfield) -> None:
        """What it has: at the start, and from some (aria2) later too, in place of many Haves."""
        if not self.joined:
            self._early.keep(message)
            if sum(peer.early_size for peer in self.swarm.peers) > MAX_EARLY_BITFIELDS:
                raise ProtocolError("a bitfield, and no room for it before the metadata is here")
            return
        assert self.swarm.pieces is not None
        self._set_pieces(bitfield.from_wire(message.data, self.swarm.pieces.layout.piece_count))

    def got_have_all(self, message: wm.HaveAll) -> None:
        """It is a seed."""
        if not self.joined:
            self._early.keep(message)
            return
        if self.is_seed:
            return  # said again and again, five bytes each would cost us a pass over all pieces
        assert self.swarm.pieces is not None
        self._set_pieces(bitfield.full(self.swarm.pieces.layout.piece_count))

    def got_have_none(self, message: wm.HaveNone) -> None:
        """It has nothing yet."""
        if not self.joined:
            self._early.keep(message)

    def _set_pieces(self, has: int) -> None:
        assert self.swarm.pieces is not None
        self.swarm.pieces.picker.set_pieces(self, has)
        self.reconsider_interest()
        self.swarm.peer_advanced(self)

    def reconsider_interest(self) -> None:
        """Tell it whether it has something that we want."""
        pieces = self.swarm.pieces
        wanted = bool(self.joined and pieces and pieces.picker.interesting(self))
        if wanted is not self.am_interested:
            self.set_interest(wanted)

    def set_interest(self, interested: bool) -> None:
        """Say that we are interested, or no longer."""
        self.am_interested = interested
        self.sender.send(wm.encode(wm.Interested() if interested else wm.NotInterested()))

    # -- a source of blocks --------------------------------------------------------------------------------------------

    def is_slow(self, now: float, fastest: float) -> bool:
        """Whether pieces that it has a hand in would wait for it, while the fastest could have them done."""
        silence = self.pipeline.silence(now)
        if silence >= REQUEST_TIMEOUT or (0 < self.pipeline.rate * SLOW_SHARE < fastest):
            return True  # who let a time-out pass is believed to be quick again when it sends something
        # Where somebody waits, a second of silence is long.
        pieces = self.swarm.pieces
        return pieces is not None and bool(pieces.picker.urgent) and silence >= URGENT_LATE

    def cancel(self, block: Block) -> None:
        """Somebody else was faster."""
        if self.pipeline.forget(block):
            self.sender.send(wm.encode_cancels([block]))

    # -- what else is said -------------------------------------------------------------------------------------------

    def got_extended(self, message: wm.Message) -> None:
        """An extended message (BEP 10)."""
        self.swarm.extensions.got(self, message)

    def got_hash_request(self, message: wm.HashRequest) -> None:
        """It wants hashes of a file's tree (BEP 52)."""
        self.swarm.layers.got_request(self, message)

    def got_hashes(self, message: wm.Hashes) -> None:
        """It tells some."""
        self.swarm.layers.got_hashes(self, message)

    def got_hash_reject(self, message: wm.HashReject) -> None:
        """It will not tell."""
        self.swarm.layers.got_reject(self, message)

    def got_port(self, message: wm.Port) -> None:
        """It has a DHT node (BEP 5). One is enough: nobody shall make us knock at many doors."""
        dht = self.swarm.dht
        if dht is not None and not self.dht_port:
            self.dht_port = message.port
            dht.node.add_node(Address(self.address.host, message.port), within=self.address.scope)

    def got_nothing(self, message: object) -> None:
        """Keep-alives, and what is meant for others or not understood."""

    _HANDLERS: ClassVar[dict[type, Callable[..., None]]] = {
        wm.KeepAlive: got_nothing,
        wm.Choke: asking.got_choke,
        wm.Unchoke: asking.got_unchoke,
        wm.Interested: serving.got_interested,
        wm.NotInterested: serving.got_not_interested,
        wm.Have: got_have,
        wm.Bitfield: got_bitfield,
        wm.HaveAll: got_have_all,
        wm.HaveNone: got_have_none,
        wm.Cancel: serving.got_cancel,
        wm.RejectRequest: asking.got_reject,
        wm.AllowedFast: asking.got_allowed_fast,
        wm.SuggestPiece: got_nothing,
        wm.Port: got_port,
        wm.HashRequest: got_hash_request,
        wm.Hashes: got_hashes,
        wm.HashReject: got_hash_reject,
        wm.ExtendedHandshake: got_extended,
        wm.UploadOnly: got_extended,
        wm.DontHave: got_extended,
        wm.Pex: got_extended,
        wm.Holepunch: got_extended,
        wm.MetadataRequest: got_extended,
        wm.MetadataData: got_extended,
        wm.MetadataReject: got_extended,
        wm.UnknownExtended: got_nothing,
        wm.Unknown: got_nothing,
    }

    # -- a look ------------------------------------------------------------------------------------------------------

    @property
    def callable_at(self) -> Address | None:
        """Where others can connect to it, as far as we know."""
        return Address(self.address.host, self.listen_port) if self.listen_port else None

    @property
    def snubbed(self) -> bool:
        """Whether it lets us ask and does not answer."""
        return self.pipeline.snubbed(trio.current_time())

    @property
    def downloaded(self) -> int:
        """Bytes of blocks that it ever sent us."""
        return self.down_meter.total

    @property
    def uploaded(self) -> int:
        """Bytes of blocks that we ever sent it."""
        return self.up_meter.total

    def tick(self, now: float) -> None:
        """Once a second or so: time-outs, keep-alives, interest."""
        quiet = now - self.last_received
        if quiet > PEER_IDLE_TIMEOUT:
            self.close("nothing heard for too long")
            return
        if self.pipeline.lost(quiet, now):
            self.close("owes us blocks, and nothing is heard")
            return
        if self.sender.stuck_for(now) > PEER_IDLE_TIMEOUT:
            self.close("does not read what we send")
        self._check_outbox()
        self.sender.keep_alive(now, NUDGE if quiet >= NUDGE and self.pipeline.outstanding else KEEP_ALIVE)
        if self.sender.size:
            self.sender.wake()
        asking.expire(self, now)
        if self.am_interested:
            self.reconsider_interest()
        if not self.peer_choking or self.allowed_fast:
            asking.request(self, now)
