"""The messages of the peer wire as values, and their bytes (BEP 3, "peer messages"; BEP 5, 6, 10, 52).

What one side encodes is the object that the other side receives. ``peerwire.py`` turns bytes into these values;
extended messages (BEP 10) get their bytes in ``extensions.py``, because their ids belong to the receiver.

Three messages come by the tens of thousands a second (Have, Request, Piece) and are named tuples, which cost a
quarter of a frozen dataclass to make. All others are values of a class of their own: no two kinds are ever equal.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple, TypeAlias, assert_never, dataclass_transform

from .address import Address
from .block import Block


class MessageId(enum.IntEnum):
    """The byte that follows the length of a message."""

    CHOKE = 0
    UNCHOKE = 1
    INTERESTED = 2
    NOT_INTERESTED = 3
    HAVE = 4
    BITFIELD = 5
    REQUEST = 6
    PIECE = 7
    CANCEL = 8
    PORT = 9
    SUGGEST_PIECE = 13
    HAVE_ALL = 14
    HAVE_NONE = 15
    REJECT_REQUEST = 16
    ALLOWED_FAST = 17
    EXTENDED = 20
    HASH_REQUEST = 21
    HASHES = 22
    HASH_REJECT = 23


# -- the frequent ones ------------------------------------------------------------------------------------------------


class Have(NamedTuple):
    """The sender has this piece, verified."""

    piece: int


class Request(Block):
    """The sender wants these bytes of a piece. It is the block it asks for, so none has to be made of it."""

    __slots__ = ()


class Piece(NamedTuple):
    """The answer to a request: a block of a piece, not a whole piece (the name is BEP 3's).

    A received ``data`` is a view into the receive buffer and lasts until the next receive.
    """

    piece: int
    begin: int
    data: memoryview


# -- the others -------------------------------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True)
class _Rare:
    """A frozen dataclass to whoever reads or checks it, without methods of its own.

    To compile the methods of one dataclass takes 0.25 ms; of the 25 messages, 6 ms of every start.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        # Of the class, not of a message.
        cls.__match_args__ = (*cls.__match_args__, *cls.__annotations__)  # type: ignore[misc]

    def __init__(self, *values: object, **named: object) -> None:
        self.__dict__.update(zip(self.__match_args__, values, strict=False), **named)

    def _values(self) -> list[object]:
        return [getattr(self, name) for name in self.__match_args__]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({values})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a message cannot be changed: {name}")


# -- BEP 3 ------------------------------------------------------------------------------------------------------------


class KeepAlive(_Rare):
    """Nothing to say, still here: a length of zero."""


class Choke(_Rare):
    """Requests will not be answered from now on (those of the allowed fast set excepted, BEP 6)."""


class Unchoke(_Rare):
    """Requests will be answered from now on."""


class Interested(_Rare):
    """The receiver has something that the sender would ask for."""


class NotInterested(_Rare):
    """The receiver has nothing that the sender would ask for."""


class Bitfield(_Rare):
    """What the sender has, as it stands on the wire; ``wire.bitfield.from_wire`` reads it."""

    data: bytes


class Cancel(_Rare):
    """The sender takes a request back."""

    piece: int
    begin: int
    length: int


class Port(_Rare):
    """The UDP port of the sender's DHT node (BEP 5); 0 is possible and means nothing."""

    port: int


# -- BEP 6, the fast extension ----------------------------------------------------------------------------------------


class SuggestPiece(_Rare):
    """The sender would like this piece to be asked for."""

    piece: int


class HaveAll(_Rare):
    """Instead of a bitfield: the sender has every piece."""


class HaveNone(_Rare):
    """Instead of a bitfield: the sender has no piece."""


class RejectRequest(_Rare):
    """A request of the receiver will not be answered with data."""

    piece: int
    begin: int
    length: int


class AllowedFast(_Rare):
    """Requests for this piece are answered even while choked. Does not say that the sender has it."""

    piece: int


# -- BEP 52, hashes of a file's tree ----------------------------------------------------------------------------------


class _OfTree(_Rare):
    root: bytes
    """Of the file, 32 bytes."""
    base: int
    """The height of the hashes: 0 are those of blocks."""
    index: int
    """Of the first; a multiple of ``length``."""
    length: int
    """How many, a power of two."""
    proofs: int
    """The layers above them from which an uncle is wanted, those counted that the hashes themselves make up for."""

    @property
    def request(self) -> HashRequest:
        """The request that it is, or answers."""
        return HashRequest(self.root, self.base, self.index, self.length, self.proofs)

    @property
    def refusal(self) -> HashReject:
        """What says that this will not be answered with hashes."""
        return HashReject(self.root, self.base, self.index, self.length, self.proofs)


class HashRequest(_OfTree):
    """The sender wants hashes of a file's tree. Nothing about them is checked by whoever reads the stream."""


class Hashes(_OfTree):
    """The answer to such a request, whose five values it repeats."""

    hashes: bytes
    """Those asked for and then their uncles, the lowest first: as many as the five values say."""


class HashReject(_OfTree):
    """Such a request will not be answered with hashes. It has the same five values."""


def uncle_count(length: int, proofs: int) -> int:
    """How many uncles follow ``length`` hashes (a power of two) where ``proofs`` layers were asked for.

    BEP 52: "the first log2(length)-1 proof layers are ommitted", for they can be worked out. So a hash that comes
    alone has one more than there are layers: its own sibling. libtorrent asks for such a one at the end of a file.
    """
    return max(0, proofs + 2 - length.bit_length())


# -- BEP 10 and what it carries ---------------------------------------------------------------------------------------


class ExtendedHandshake(_Rare):
    """What a peer says about itself (BEP 10). Received values are within their bounds, or None where they were not."""

    extensions: Mapping[str, int] = MappingProxyType({})
    """Extensions named in this very message (only those in ``extensions.OUR_IDS`` are kept) and the ids to use when
    sending to the peer; 0 turns one off."""
    client: str = ""
    """``v``: name and version of the program, fit to be shown."""
    reqq: int | None = None
    """How many requests it lets us queue."""
    port: int | None = None
    """``p``: the TCP port that it listens on."""
    metadata_size: int | None = None
    """Bytes of the info dictionary, when it has it (BEP 9)."""
    your_ip: str | None = None
    """The address that it sees us at."""
    upload_only: bool | None = None
    """Whether it wants nothing more (BEP 21)."""


class MetadataRequest(_Rare):
    """The sender wants this 16 KiB piece of the info dictionary (BEP 9)."""

    piece: int


class MetadataData(_Rare):
    """A piece of the info dictionary; its length fits ``piece`` and ``total_size`` (BEP 9)."""

    piece: int
    total_size: int
    data: bytes


class MetadataReject(_Rare):
    """The sender will not give this piece of the info dictionary (BEP 9)."""

    piece: int


class UploadOnly(_Rare):
    """Whether the sender wants nothing more, as news during the connection (the handshake field is BEP 21's)."""

    value: bool


class DontHave(_Rare):
    """The sender has this piece no more (BEP 54)."""

    piece: int


class Pex(_Rare):
    """Who the sender has connected to, and lost, since its last such message (BEP 11)."""

    added: tuple[Address, ...] = ()
    seeds: frozenset[Address] = frozenset()
    """Those of ``added`` that are said to want nothing (flag 0x02)."""
    dropped: tuple[Address, ...] = ()
    reachable: frozenset[Address] = frozenset()
    """Those of ``added`` that the sender has called itself (flag 0x10)."""
    utp: frozenset[Address] = frozenset()
    """Those that it is connected to over uTP (flag 0x04)."""
    holepunch: frozenset[Address] = frozenset()
    """Those that speak ut_holepunch (flag 0x08)."""


class HolepunchKind(enum.IntEnum):
    """What a holepunch message says (BEP 55)."""

    RENDEZVOUS = 0
    """Tell this peer of yours and me to call each other."""
    CONNECT = 1
    """Call this address over uTP, now."""
    ERROR = 2
    """That does not go."""


class HolepunchError(enum.IntEnum):
    """Why it does not go."""

    NO_SUCH_PEER = 1
    NOT_CONNECTED = 2
    NO_SUPPORT = 3
    NO_SELF = 4


class Holepunch(_Rare):
    """Two that are behind routers call each other at once (BEP 55)."""

    kind: HolepunchKind
    address: Address
    error: int = 0


# -- what we do not know ----------------------------------------------------------------------------------------------


class Unknown(_Rare):
    """A message whose id we do not know; ignored."""

    id: int


class UnknownExtended(_Rare):
    """An extended message under an id that is not ours, or of a kind that we do not know; ignored."""

    id: int


PlainMessage: TypeAlias = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Piece
    | Cancel
    | Port
    | SuggestPiece
    | HaveAll
    | HaveNone
    | RejectRequest
    | AllowedFast
    | HashRequest
    | Hashes
    | HashReject
)
ExtendedMessage: TypeAlias = (
    ExtendedHandshake
    | MetadataRequest
    | MetadataData
    | MetadataReject
    | UploadOnly
    | DontHave
    | Pex
    | Holepunch
    | UnknownExtended
)
Message: TypeAlias = PlainMessage | ExtendedMessage | Unknown


# -- bytes ------------------------------------------------------------------------------------------------------------

_BARE: Final = struct.Struct(">IB")
_INDEX: Final = struct.Struct(">IBI")
_BLOCK: Final = struct.Struct(">IBIII")
_PIECE: Final = struct.Struct(">IBII")
_PORT: Final = struct.Struct(">IBH")
_HASHES: Final = struct.Struct(">IB32s4I")


def encode(message: PlainMessage) -> bytes:
    """The bytes of one message, its length first.

    Blocks are sent without a copy by ``write_piece_header`` and reading the data behind it; many requests or haves by
    the functions below.
    """
    match message:
        case KeepAlive():
            return bytes(4)
        case Choke():
            return _BARE.pack(1, MessageId.CHOKE)
        case Unchoke():
            return _BARE.pack(1, MessageId.UNCHOKE)
        case Interested():
            return _BARE.pack(1, MessageId.INTERESTED)
        case NotInterested():
            return _BARE.pack(1, MessageId.NOT_INTERESTED)
        case Have(piece):
            return _INDEX.pack(5, MessageId.HAVE, piece)
        case Bitfield(data):
            return _BARE.pack(1 + len(data), MessageId.BITFIELD) + data
        case Request(piece, begin, length):
            return _BLOCK.pack(13, MessageId.REQUEST, piece, begin, length)
        case Piece(piece, begin, block):
            return piece_header(piece, begin, len(block)) + block
        case Cancel(piece, begin, length):
            return _BLOCK.pack(13, MessageId.CANCEL, piece, begin, length)
        case Port(port):
            return _PORT.pack(3, MessageId.PORT, port)
        case SuggestPiece(piece):
            return _INDEX.pack(5, MessageId.SUGGEST_PIECE, piece)
        case HaveAll():
            return _BARE.pack(1, MessageId.HAVE_ALL)
        case HaveNone():
            return _BARE.pack(1, MessageId.HAVE_NONE)
        case RejectRequest(piece, begin, length):
            return _BLOCK.pack(13, MessageId.REJECT_REQUEST, piece, begin, length)
        case AllowedFast(piece):
            return _INDEX.pack(5, MessageId.ALLOWED_FAST, piece)
        case HashRequest(root, base, index, length, proofs):
            return _HASHES.pack(49, MessageId.HASH_REQUEST, root, base, index, length, proofs)
        case Hashes(root, base, index, length, proofs, hashes):
            return _HASHES.pack(49 + len(hashes), MessageId.HASHES, root, base, index, length, proofs) + hashes
        case HashReject(root, base, index, length, proofs):
            return _HASHES.pack(49, MessageId.HASH_REJECT, root, base, index, length, proofs)
        case _:
            assert_never(message)


PIECE_HEADER_SIZE: Final = _PIECE.size


def piece_header(piece: int, begin: int, length: int) -> bytes:
    """The 13 bytes that stand before the ``length`` bytes of a block."""
    return _PIECE.pack(9 + length, MessageId.PIECE, piece, begin)


def write_piece_header(buffer: memoryview, at: int, piece: int, begin: int, length: int) -> None:
    """The same into a buffer."""
    _PIECE.pack_into(buffer, at, 9 + length, MessageId.PIECE, piece, begin)


def encode_requests(blocks: Iterable[tuple[int, int, int]]) -> bytes:
    """Requests for these blocks, (piece, begin, length) each, for one send."""
    pack = _BLOCK.pack
    return b"".join([pack(13, 6, piece, begin, length) for piece, begin, length in blocks])


def encode_cancels(blocks: Iterable[tuple[int, int, int]]) -> bytes:
    """Cancels of the requests for these blocks, for one send."""
    pack = _BLOCK.pack
    return b"".join([pack(13, 8, piece, begin, length) for piece, begin, length in blocks])


def encode_haves(pieces: Iterable[int]) -> bytes:
    """A Have for each of these pieces, for one send."""
    pack = _INDEX.pack
    return b"".join([pack(5, 4, piece) for piece in pieces])
