"""What travels inside extended messages: BEP 10 (handshake), BEP 9 (metadata), BEP 21 (upload only).

The ids of extended messages belong to the receiver: what we send carries the peer's number, what we receive carries
ours, a constant of ``OUR_IDS``. Peer exchange (BEP 11) has its number already and will find its place here.

Everything here is from a stranger: whatever is read is bounded, and what is not in order is a ProtocolError or, where
it is only one field of a handshake, as if it had not been said.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from .. import limits
from ..bencode import Value, decode, decode_prefix
from ..bencode import encode as bencode
from ..errors import BencodeError, ProtocolError
from ..metainfo.text import display
from .address import parse_host
from .messages import (
    ExtendedHandshake,
    ExtendedMessage,
    MessageId,
    MetadataData,
    MetadataReject,
    MetadataRequest,
    UnknownExtended,
    UploadOnly,
)

HANDSHAKE_ID: Final = 0
UT_METADATA: Final = 1
UT_PEX: Final = 2
UPLOAD_ONLY: Final = 3

OUR_IDS: Final = {"ut_metadata": UT_METADATA, "upload_only": UPLOAD_ONLY}
"""The extensions that we speak, and the ids under which we want to be sent them."""

METADATA_PIECE_SIZE: Final = 16 * 1024
"""BEP 9: "All blocks are 16KiB except the last block which may be smaller." """

_REQUEST: Final = 0
_DATA: Final = 1
_REJECT: Final = 2

_HEADER: Final = struct.Struct(">IBB")


# -- receiving --------------------------------------------------------------------------------------------------------


def parse_extended(number: int, payload: bytes) -> ExtendedMessage:
    """Read an extended message.

    Args:
        number: its extended id, one of ours or not.
        payload: what follows the id.

    Raises:
        ProtocolError: it breaks the rules of its extension.
    """
    if number == HANDSHAKE_ID:
        return _parse_handshake(payload)
    if number == UT_METADATA:
        return _parse_metadata(payload)
    if number == UPLOAD_ONLY and len(payload) == 1:
        return UploadOnly(payload != b"\0")
    return UnknownExtended(number)


def _parse_handshake(payload: bytes) -> ExtendedHandshake:
    if len(payload) > limits.MAX_EXTENDED_HANDSHAKE:
        raise ProtocolError(f"extension handshake of {len(payload)} bytes")
    try:
        said = decode(payload)
    except BencodeError as error:
        raise ProtocolError(f"extension handshake: {error}") from error
    if not isinstance(said, dict):
        raise ProtocolError("extension handshake is not a dictionary")
    client = said.get(b"v")
    reqq = _number(said.get(b"reqq"), 1)
    upload_only = _number(said.get(b"upload_only"), 0)
    return ExtendedHandshake(
        extensions=_extension_ids(said.get(b"m")),
        client=display(client, limit=limits.MAX_CLIENT_NAME) if isinstance(client, bytes) else "",
        reqq=None if reqq is None else min(reqq, limits.MAX_REQQ),
        port=_number(said.get(b"p"), 1, 65535),
        metadata_size=_number(said.get(b"metadata_size"), 1, limits.MAX_METADATA),
        your_ip=_ip(said.get(b"yourip")),
        upload_only=None if upload_only is None else upload_only > 0,
    )


def _number(value: Value | None, low: int, high: int | None = None) -> int | None:
    """The value if it is an int between these, ends included."""
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        return None
    return value


def _ip(packed: Value | None) -> str | None:
    if not isinstance(packed, bytes) or len(packed) not in (4, 16):
        return None
    return parse_host(str(ipaddress.ip_address(packed)))


def _extension_ids(m: Value | None) -> dict[str, int]:
    """The ids in ``m`` of the extensions that we speak; however many others there are, nothing is kept of them."""
    if not isinstance(m, dict):
        return {}
    named = ((name, _number(m.get(name.encode()), 0, 255)) for name in OUR_IDS)
    return {name: number for name, number in named if number is not None}


def _parse_metadata(payload: bytes) -> ExtendedMessage:
    """A dictionary and, in a data message, the bytes of the piece after it."""
    try:
        said, end = decode_prefix(payload[: limits.MAX_METADATA_HEADER])
    except BencodeError as error:
        raise ProtocolError(f"metadata message: {error}") from error
    if not isinstance(said, dict):
        raise ProtocolError("metadata message is not a dictionary")
    kind = said.get(b"msg_type")
    piece = _number(said.get(b"piece"), 0, limits.MAX_METADATA // METADATA_PIECE_SIZE)
    if not isinstance(kind, int) or piece is None:
        raise ProtocolError("metadata message without a type or a piece")
    if kind == _REQUEST:
        return MetadataRequest(piece)
    if kind == _REJECT:
        return MetadataReject(piece)
    if kind != _DATA:
        # BEP 9: "an unrecognized message ID MUST be ignored"
        return UnknownExtended(UT_METADATA)
    total = _number(said.get(b"total_size"), 1, limits.MAX_METADATA)
    data = payload[end:]
    if total is None or not data or len(data) != min(METADATA_PIECE_SIZE, total - piece * METADATA_PIECE_SIZE):
        raise ProtocolError(f"metadata piece {piece} has {len(data)} bytes of {total}")
    return MetadataData(piece, total, data)


# -- sending ----------------------------------------------------------------------------------------------------------


def encode_handshake(handshake: ExtendedHandshake) -> bytes:
    """Our extension handshake: fields that are None or empty are not said."""
    ours = {
        "m": handshake.extensions,
        "v": handshake.client or None,
        "reqq": handshake.reqq,
        "p": handshake.port,
        "metadata_size": handshake.metadata_size,
        "yourip": None if handshake.your_ip is None else ipaddress.ip_address(handshake.your_ip).packed,
        "upload_only": None if handshake.upload_only is None else int(handshake.upload_only),
    }
    return _encode(HANDSHAKE_ID, bencode({key: value for key, value in ours.items() if value is not None}))


def encode_metadata_request(number: int, piece: int) -> bytes:
    """Ask a peer, which calls ut_metadata by this number, for a piece of the info dictionary."""
    return _encode(number, bencode({"msg_type": _REQUEST, "piece": piece}))


def encode_metadata_data(number: int, piece: int, total_size: int, data: bytes) -> bytes:
    """Answer with a piece of an info dictionary of ``total_size`` bytes."""
    return _encode(number, bencode({"msg_type": _DATA, "piece": piece, "total_size": total_size}) + data)


def encode_metadata_reject(number: int, piece: int) -> bytes:
    """Answer that this piece will not be given."""
    return _encode(number, bencode({"msg_type": _REJECT, "piece": piece}))


def encode_upload_only(number: int, value: bool) -> bytes:
    """Say whether we want nothing more, to a peer that calls upload_only by this number: one byte, 0 or 1."""
    return _encode(number, b"\1" if value else b"\0")


def _encode(number: int, payload: bytes) -> bytes:
    return _HEADER.pack(2 + len(payload), MessageId.EXTENDED, number) + payload
