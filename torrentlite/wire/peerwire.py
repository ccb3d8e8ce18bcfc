"""The stream of messages after the handshake, sans-I/O (BEP 3, "peer messages"; BEP 6; BEP 10; BEP 52).

Fill what ``free()`` gives, say how much to ``received()``, get messages; what is sent is made by ``messages.encode``
and, where the bytes depend on what the peer said, by the ``encode_…`` methods here.

Checked here, each by a ProtocolError: everything that can be told from the stream alone, and as soon as it can be told.
A message is refused by its first five bytes where its length does not fit its kind, so nothing is ever waited for, or
stored, that could not be used. Left to the owner, who knows what was agreed on and asked for: blocks, hashes and
rejects that answer no request, requests outside a piece or while choked, requests for hashes (which torrents have such
is not known here), and how many messages that say nothing (KeepAlive, Unknown, UnknownExtended, repeated handshakes) it
will bear.

How the buffer works: messages are parsed where they lie, and a block's data is a view of it. What is left over is at
most one message; it moves to the front before the next fill, so each byte is moved at most once, and with a full buffer
only one block in sixteen. The buffer begins small and doubles whenever a fill has left no room, so a thousand quiet
peers cost little, and a fast one soon has a buffer that takes 16 blocks at a time. No announced length makes it grow.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from .. import limits
from ..errors import ProtocolError
from . import extensions
from .messages import (
    AllowedFast,
    Bitfield,
    Cancel,
    Choke,
    ExtendedHandshake,
    ExtendedMessage,
    Hashes,
    HashReject,
    HashRequest,
    Have,
    HaveAll,
    HaveNone,
    Holepunch,
    Interested,
    KeepAlive,
    Message,
    MessageId,
    NotInterested,
    Pex,
    Piece,
    Port,
    RejectRequest,
    Request,
    SuggestPiece,
    Unchoke,
    Unknown,
    UnknownExtended,
    uncle_count,
)

_FIRST_SIZE: Final = 32 * 1024
"""Bytes of a buffer at first: one block and its header fit well."""

_HEAD: Final = struct.Struct(">IBII")  # length, id, piece, begin: of the frequent messages, in one go
_NUMBER: Final = struct.Struct(">I")
_NUMBERS: Final = struct.Struct(">III")
_SHORT: Final = struct.Struct(">H")
_TREE: Final = struct.Struct(">32s4I")
_HEAD_SIZE: Final = _HEAD.size

# Plain ints: to look up a member of an enum costs as much as all the rest of a Have.
_HAVE: Final = int(MessageId.HAVE)
_BITFIELD: Final = int(MessageId.BITFIELD)
_REQUEST: Final = int(MessageId.REQUEST)
_PIECE: Final = int(MessageId.PIECE)
_PORT: Final = int(MessageId.PORT)
_EXTENDED: Final = int(MessageId.EXTENDED)
_HASHES: Final = int(MessageId.HASHES)

_BARE: Final[dict[int, Message]] = {
    MessageId.CHOKE: Choke(),
    MessageId.UNCHOKE: Unchoke(),
    MessageId.INTERESTED: Interested(),
    MessageId.NOT_INTERESTED: NotInterested(),
    MessageId.HAVE_ALL: HaveAll(),
    MessageId.HAVE_NONE: HaveNone(),
}
_INDEXED: Final[dict[int, Callable[[int], Message]]] = {
    MessageId.HAVE: Have,
    MessageId.SUGGEST_PIECE: SuggestPiece,
    MessageId.ALLOWED_FAST: AllowedFast,
}
_BLOCKS: Final[dict[int, Callable[[int, int, int], Message]]] = {
    MessageId.CANCEL: Cancel,
    MessageId.REJECT_REQUEST: RejectRequest,
}
_TREES: Final[dict[int, Callable[[bytes, int, int, int, int], Message]]] = {
    MessageId.HASH_REQUEST: HashRequest,
    MessageId.HASH_REJECT: HashReject,
}
_KEEP_ALIVE: Final = KeepAlive()

_LONGEST_PIECE: Final = 9 + limits.MAX_BLOCK
_LENGTHS: Final[dict[int, tuple[int, int]]] = {
    **dict.fromkeys(_BARE, (1, 1)),
    **dict.fromkeys(_INDEXED, (5, 5)),
    **dict.fromkeys(_BLOCKS, (13, 13)),
    **dict.fromkeys(_TREES, (49, 49)),
    _BITFIELD: (2, limits.MAX_MESSAGE),
    _REQUEST: (13, 13),
    _PIECE: (10, _LONGEST_PIECE),
    _PORT: (3, 3),
    _EXTENDED: (2, 2 + limits.MAX_EXTENSION),
    _HASHES: (49 + 32, 49 + 32 * (limits.HASHES_ASKED + limits.MAX_UNCLES)),
}
"""The shortest and the longest that a message of each kind may be, its id included."""
_UNKNOWN_LENGTHS: Final = (1, 1 + limits.MAX_EXTENSION)

_NAMES: Final[dict[int, str]] = {kind.value: kind.name.lower() for kind in MessageId}
_FAST: Final = frozenset(range(MessageId.SUGGEST_PIECE, MessageId.ALLOWED_FAST + 1))
_HAVE_NONE: Final = int(MessageId.HAVE_NONE)
_SETTLING: Final = frozenset(_NAMES) - {_PORT, _EXTENDED, _HASHES, *_TREES}
"""What makes it too late for HaveNone, which BEP 6 wants "immediately after the handshake". Most clients put the
extension handshake before it, and who began with a magnet link has it only after the metadata, so these may precede.
Bitfield and HaveAll are taken at any time, against BEP 3 and 6: aria2 sends them in place of many Haves."""


class PeerWire:
    """One connection's messages, both ways, without the connection.

    Args:
        fast: both sides have the fast extension (BEP 6).
        extended: both sides have the extension protocol (BEP 10).
        piece_count: pieces of the torrent, or None while its metadata is not there.
        buffer_size: bytes up to which the receive buffer grows for speed.

    After a ProtocolError an instance is of no more use.
    """

    __slots__ = (
        "_at",
        "_bitfield_lengths",
        "_buffer",
        "_buffer_size",
        "_end",
        "_handshakes",
        "_index_end",
        "_refused",
        "_settled",
        "_view",
        "hears_pex",
        "payload_bytes",
        "peer_extensions",
        "received_bytes",
    )

    def __init__(
        self, *, fast: bool, extended: bool, piece_count: int | None = None, buffer_size: int = 256 * 1024
    ) -> None:
        self._refused: Final = (frozenset() if fast else _FAST) | (frozenset() if extended else {_EXTENDED})
        self._buffer_size: Final = buffer_size
        self._buffer = bytearray(min(_FIRST_SIZE, buffer_size))
        self._view = memoryview(self._buffer)
        # Bytes _at.._end of the buffer are received and not parsed: less than a message, except inside received().
        self._at = 0
        self._end = 0
        # It is too late for the peer to say that it has nothing.
        self._settled = False
        self._handshakes = 0
        self._index_end = limits.MAX_PIECES
        self._bitfield_lengths = _LENGTHS[_BITFIELD]
        if piece_count is not None:
            self.set_piece_count(piece_count)

        self.hears_pex = True
        """Whether the next peer exchange is read; then none is, until its owner sets this again. To read one takes up
        to 20 milliseconds, and BEP 11 allows one a minute."""
        self.received_bytes = 0
        """All bytes received, after the handshake."""
        self.payload_bytes = 0
        """Those of them that are data of blocks."""
        self.peer_extensions: Final[dict[str, int]] = {}
        """The extensions that both sides speak, and the ids under which the peer wants them."""

    def set_piece_count(self, count: int) -> None:
        """The metadata has come: from now on every index and bitfield must fit it.

        Earlier ones, also those of a list that is being worked through at this moment, were only held to
        ``limits.MAX_PIECES``: their owner checks them.
        """
        self._index_end = count
        length = 1 + (count + 7) // 8
        self._bitfield_lengths = (length, length)

    # -- receiving ----------------------------------------------------------------------------------------------------

    def free(self) -> memoryview:
        """The room for what comes next, never empty. Views handed out by ``received()`` are void from here on."""
        kept = self._end - self._at
        size = len(self._buffer)
        if self._end == size and (size < self._buffer_size or kept == size):
            # The last fill left no room, so more is waiting; or one long message (a bitfield) needs more room.
            # That one is no longer than MAX_MESSAGE: received() has refused what announced more.
            grown = bytearray(min(2 * size, self._buffer_size if size < self._buffer_size else 4 + limits.MAX_MESSAGE))
            grown[:kept] = self._view[self._at : self._end]
            self._buffer = grown
            self._view = memoryview(grown)
        elif self._at:
            self._view[:kept] = self._view[self._at : self._end]
        self._at = 0
        self._end = kept
        return self._view[kept:]

    def received(self, n: int) -> list[Message]:
        """Parse the messages that are complete now that the first ``n`` bytes of ``free()`` have been filled.

        The data of blocks are views, valid until the next ``free()``.

        Raises:
            ProtocolError: the peer sent something that no peer may send. Close the connection.
        """
        end = self._end + n
        if n < 0 or end > len(self._buffer):
            raise ValueError(f"{n} bytes received into {len(self._buffer) - self._end}")
        self._end = end
        self.received_bytes += n
        at = self._at
        buffer = self._buffer
        view = self._view
        index_end = self._index_end
        longest_piece = _LONGEST_PIECE
        head = _HEAD.unpack_from
        make = tuple.__new__  # what the constructor of a named tuple calls, without its half of the time
        payload = 0
        messages: list[Message] = []
        while True:
            # The three frequent kinds, written out: this loop is what a block costs.
            if end - at >= _HEAD_SIZE:
                length, kind, piece, begin = head(buffer, at)
                if kind == _PIECE and 9 < length <= longest_piece:
                    if piece >= index_end:
                        raise _no_such_piece(piece, index_end)
                    stop = at + 4 + length
                    if stop > end:
                        break
                    messages.append(make(Piece, (piece, begin, view[at + _HEAD_SIZE : stop])))
                    payload += length - 9
                    at = stop
                    self._settled = True
                    continue
                if kind == _HAVE and length == 5:
                    if piece >= index_end:
                        raise _no_such_piece(piece, index_end)
                    messages.append(make(Have, (piece,)))
                    at += 9
                    self._settled = True
                    continue
                if kind == _REQUEST and length == 13:
                    if piece >= index_end:
                        raise _no_such_piece(piece, index_end)
                    stop = at + 17
                    if stop > end:
                        break
                    (size,) = _NUMBER.unpack_from(buffer, at + 13)
                    if not 0 < size <= limits.MAX_REQUEST:
                        raise ProtocolError(f"request for {size} bytes")
                    messages.append(make(Request, (piece, begin, size)))
                    at = stop
                    self._settled = True
                    continue
            stop = self._receive_other(at, end, messages)
            if stop == at:
                break
            at = stop
        self._at = at
        self.payload_bytes += payload
        return messages

    def _receive_other(self, at: int, end: int, messages: list[Message]) -> int:
        """Parse the message at ``at``, one of the rarer kinds or incomplete; returns where it ends, or ``at``."""
        ready = end - at
        if ready < 4:
            return at
        length: int = _NUMBER.unpack_from(self._buffer, at)[0]
        if length == 0:
            messages.append(_KEEP_ALIVE)
            return at + 4
        if length > limits.MAX_MESSAGE:
            raise ProtocolError(f"message of {length} bytes")
        if ready == 4:
            return at
        kind = self._buffer[at + 4]
        self._check_start(kind, length)
        stop = at + 4 + length
        if stop > end:
            return at
        messages.append(self._parse(kind, self._view[at + 5 : stop]))
        return stop

    def _check_start(self, kind: int, length: int) -> None:
        """Refuse a message by its length and id, before the rest of it is waited for."""
        shortest, longest = self._bitfield_lengths if kind == _BITFIELD else _LENGTHS.get(kind, _UNKNOWN_LENGTHS)
        if not shortest <= length <= longest or (kind == _HASHES and length % 32 != 49 % 32):
            raise ProtocolError(f"{_name(kind)} of {length} bytes")
        if kind in self._refused:
            raise ProtocolError(f"{_name(kind)} of an extension that was not agreed on")
        if self._settled and kind == _HAVE_NONE:
            raise ProtocolError(f"{_name(kind)} comes too late or twice")

    def _parse(self, kind: int, body: memoryview) -> Message:
        """One complete message of an agreed kind and fitting length. Never a Request or a Piece: complete, these are
        longer than the 13 bytes that ``received()`` looks at.
        """
        if kind in _SETTLING:
            self._settled = True
        if kind in _BARE:
            return _BARE[kind]
        if kind in _INDEXED:
            (piece,) = _NUMBER.unpack(body)
            if piece >= self._index_end:
                raise _no_such_piece(piece, self._index_end)
            return _INDEXED[kind](piece)
        if kind in _BLOCKS:
            piece, begin, length = _NUMBERS.unpack(body)
            if piece >= self._index_end:
                raise _no_such_piece(piece, self._index_end)
            return _BLOCKS[kind](piece, begin, length)
        if kind == _EXTENDED:
            return self._parse_extended(body)
        if kind == _BITFIELD:
            return self._parse_bitfield(body)
        if kind == _PORT:
            return Port(*_SHORT.unpack(body))
        if kind in _TREES:
            return _TREES[kind](*_TREE.unpack(body))
        if kind == _HASHES:
            return self._parse_hashes(body)
        return Unknown(kind)

    def _parse_bitfield(self, body: memoryview) -> Bitfield:
        spare = -self._index_end % 8  # none while the piece count is unknown
        if spare and body[-1] & ((1 << spare) - 1):
            raise ProtocolError("bitfield with spare bits set")
        return Bitfield(bytes(body))

    def _parse_hashes(self, body: memoryview) -> Hashes:
        root, base, index, length, proofs = _TREE.unpack_from(body)
        count = (len(body) - _TREE.size) // 32
        if length & (length - 1) or not 0 < length <= count or index % length:
            raise ProtocolError(f"{length} hashes from {index} on, in an answer of {count}")
        if count != length + uncle_count(length, proofs):
            raise ProtocolError(f"{length} hashes and {proofs} proof layers in an answer of {count}")
        return Hashes(root, base, index, length, proofs, bytes(body[_TREE.size :]))

    def _parse_extended(self, body: memoryview) -> ExtendedMessage:
        number = body[0]
        if number == extensions.HANDSHAKE_ID:
            self._handshakes += 1
            if self._handshakes > limits.MAX_EXTENDED_HANDSHAKES:
                return UnknownExtended(number)
        if number == extensions.UT_PEX:
            if not self.hears_pex:
                return UnknownExtended(number)
            self.hears_pex = False
        message = extensions.parse_extended(number, bytes(body[1:]))
        if isinstance(message, ExtendedHandshake):
            # BEP 10: "the m dictionary is additive", and 0 turns an extension off.
            for name, peers_number in message.extensions.items():
                if peers_number:
                    self.peer_extensions[name] = peers_number
                else:
                    self.peer_extensions.pop(name, None)
        return message

    # -- sending what depends on the peer -----------------------------------------------------------------------------

    def encode_extended_handshake(self, handshake: ExtendedHandshake) -> bytes:
        """Our extension handshake; ``extensions.OUR_IDS`` is what its ``extensions`` may name."""
        return extensions.encode_handshake(handshake)

    def encode_metadata_request(self, piece: int) -> bytes | None:
        """Ask for a piece of the info dictionary; None if the peer does not speak ut_metadata (BEP 9)."""
        number = self.peer_extensions.get("ut_metadata")
        return None if number is None else extensions.encode_metadata_request(number, piece)

    def encode_metadata_data(self, piece: int, total_size: int, data: bytes) -> bytes | None:
        """Give a piece of the info dictionary of ``total_size`` bytes; None if the peer does not speak ut_metadata."""
        number = self.peer_extensions.get("ut_metadata")
        return None if number is None else extensions.encode_metadata_data(number, piece, total_size, data)

    def encode_metadata_reject(self, piece: int) -> bytes | None:
        """Refuse a piece of the info dictionary; None if the peer does not speak ut_metadata."""
        number = self.peer_extensions.get("ut_metadata")
        return None if number is None else extensions.encode_metadata_reject(number, piece)

    def encode_pex(self, message: Pex) -> bytes | None:
        """Tell whom we have met and lost; None if the peer does not speak ut_pex (BEP 11)."""
        number = self.peer_extensions.get("ut_pex")
        return None if number is None else extensions.encode_pex(number, message)

    @property
    def hears_dont_have(self) -> bool:
        """Whether the peer can be told that a piece is gone (BEP 54)."""
        return "lt_donthave" in self.peer_extensions

    @property
    def speaks_holepunch(self) -> bool:
        """Whether the peer can be told to call somebody (BEP 55)."""
        return "ut_holepunch" in self.peer_extensions

    def encode_holepunch(self, message: Holepunch) -> bytes | None:
        """Say something about meeting somebody behind a router; None if the peer does not speak ut_holepunch."""
        number = self.peer_extensions.get("ut_holepunch")
        return None if number is None else extensions.encode_holepunch(number, message)

    def encode_dont_have(self, piece: int) -> bytes | None:
        """Say that we have a piece no more; None if the peer does not speak lt_donthave (BEP 54)."""
        number = self.peer_extensions.get("lt_donthave")
        return None if number is None else extensions.encode_dont_have(number, piece)

    def encode_upload_only(self, value: bool) -> bytes | None:
        """Say whether we want nothing more; None if the peer does not speak upload_only."""
        number = self.peer_extensions.get("upload_only")
        return None if number is None else extensions.encode_upload_only(number, value)


def _name(kind: int) -> str:
    return _NAMES.get(kind, f"message {kind}")


def _no_such_piece(piece: int, index_end: int) -> ProtocolError:
    return ProtocolError(f"piece {piece} of {index_end}")
