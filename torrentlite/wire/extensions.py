"""What travels inside extended messages: BEP 10 (handshake), BEP 9 (metadata), BEP 11 (peer exchange), BEP 21 (upload
only), BEP 54 (pieces that are gone), BEP 55 (holepunch).

The ids of extended messages belong to the receiver: what we send carries the peer's number, what we receive carries
ours, a constant of ``OUR_IDS``.

Everything here is from a stranger: whatever is read is bounded, and what is not in order is a ProtocolError or, where
it is only one field of a handshake, as if it had not been said.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from .. import limits
from ..bencode import Value, decode, decode_prefix, encode as bencode
from ..errors import BencodeError, ProtocolError
from ..metainfo.text import display
from .address import Address, parse_host, read_compact, write_compact
from .messages import (
    DontHave,
    ExtendedHandshake,
    ExtendedMessage,
    Holepunch,
    HolepunchKind,
    MessageId,
    MetadataData,
    MetadataReject,
    MetadataRequest,
    Pex,
    UnknownExtended,
    UploadOnly,
)

HANDSHAKE_ID: Final = 0
UT_METADATA: Final = 1
UT_PEX: Final = 2
UPLOAD_ONLY: Final = 3
UT_HOLEPUNCH: Final = 4  # libtorrent's numbers
LT_DONTHAVE: Final = 7

OUR_IDS: Final = {"ut_metadata": UT_METADATA, "ut_pex": UT_PEX, "upload_only": UPLOAD_ONLY,
                  "ut_holepunch": UT_HOLEPUNCH, "lt_donthave": LT_DONTHAVE}  # fmt: skip
"""The extensions that we speak, and the ids under which we want to be sent them."""

_REQUEST: Final = 0
_DATA: Final = 1
_REJECT: Final = 2

_PEX_SEED: Final = 0x02  # BEP 11: "seed/upload_only"
_PEX_UTP: Final = 0x04
_PEX_HOLEPUNCH: Final = 0x08
_PEX_REACHABLE: Final = 0x10  # "outgoing connection, peer is reachable"

_HOLEPUNCH: Final = struct.Struct(">BB")
_FAMILIES: Final = {0: 4, 1: 16}  # address bytes by "addr_type"

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
    if number == UT_PEX:
        return _parse_pex(payload)
    if number == UPLOAD_ONLY and len(payload) == 1:
        return UploadOnly(payload != b"\0")
    if number == LT_DONTHAVE and len(payload) == 4:
        return DontHave(int.from_bytes(payload, "big"))
    if number == UT_HOLEPUNCH:
        return _parse_holepunch(payload)
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
    piece = _number(said.get(b"piece"), 0, limits.MAX_METADATA // limits.METADATA_PIECE)
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
    if total is None or not data or len(data) != min(limits.METADATA_PIECE, total - piece * limits.METADATA_PIECE):
        raise ProtocolError(f"metadata piece {piece} has {len(data)} bytes of {total}")
    return MetadataData(piece, total, data)


def _parse_pex(payload: bytes) -> Pex:
    """Compact lists of both families; what is over the limit is as if it had not been said."""
    try:
        said = decode(payload)
    except BencodeError as error:
        raise ProtocolError(f"peer exchange: {error}") from error
    if not isinstance(said, dict):
        raise ProtocolError("peer exchange is not a dictionary")
    added, seeds, dropped = [], [], []
    for suffix, ipv6 in ((b"", False), (b"6", True)):
        addresses = _addresses(said.get(b"added" + suffix), ipv6=ipv6)
        flags = said.get(b"added" + suffix + b".f")
        added += addresses
        if isinstance(flags, bytes):
            seeds += [address for address, bits in zip(addresses, flags, strict=False) if bits & _PEX_SEED]
        dropped += _addresses(said.get(b"dropped" + suffix), ipv6=ipv6)
    return Pex(tuple(dict.fromkeys(added)), frozenset(seeds), tuple(dict.fromkeys(dropped)))


def _parse_holepunch(payload: bytes) -> ExtendedMessage:
    """Type, family, address, port and error; what is none of these is ignored, as it is by others."""
    if len(payload) < _HOLEPUNCH.size:
        return UnknownExtended(UT_HOLEPUNCH)
    kind, family = _HOLEPUNCH.unpack_from(payload)
    size = _FAMILIES.get(family, 0)
    # Some leave the error out where there is none.
    if not size or kind not in list(HolepunchKind) or len(payload) < _HOLEPUNCH.size + size + 2:
        return UnknownExtended(UT_HOLEPUNCH)
    end = _HOLEPUNCH.size + size + 2
    found = read_compact(payload[_HOLEPUNCH.size : end], ipv6=size == 16)
    if not found:
        return UnknownExtended(UT_HOLEPUNCH)
    return Holepunch(HolepunchKind(kind), found[0], int.from_bytes(payload[end : end + 4], "big"))


def _addresses(packed: Value | None, *, ipv6: bool) -> list[Address]:
    if not isinstance(packed, bytes):
        return []
    return read_compact(packed[: limits.MAX_PEX_ENTRIES * (18 if ipv6 else 6)], ipv6=ipv6)


# -- sending ----------------------------------------------------------------------------------------------------------


def encode_handshake(handshake: ExtendedHandshake) -> bytes:
    """Our extension handshake: fields that are None or empty are not said."""
    ours = {
        "m": dict(handshake.extensions),
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


def encode_dont_have(number: int, piece: int) -> bytes:
    """Say that we have a piece no more, to a peer that calls lt_donthave by this number (BEP 54)."""
    return _encode(number, piece.to_bytes(4, "big"))


def encode_pex(number: int, message: Pex) -> bytes:
    """Tell a peer, which calls ut_pex by this number, whom we have met and lost."""
    said: dict[str, bytes] = {}
    for suffix, ipv6 in (("", False), ("6", True)):
        added = [address for address in message.added if address.is_ipv6 is ipv6]
        dropped = [address for address in message.dropped if address.is_ipv6 is ipv6]
        if added:
            said["added" + suffix] = write_compact(added, ipv6=ipv6)
            said[f"added{suffix}.f"] = bytes(_pex_flags(message, address) for address in added)
        if dropped:
            said["dropped" + suffix] = write_compact(dropped, ipv6=ipv6)
    return _encode(number, bencode(said))


def _pex_flags(message: Pex, address: Address) -> int:
    return (
        (_PEX_SEED if address in message.seeds else 0)
        | (_PEX_UTP if address in message.utp else 0)
        | (_PEX_HOLEPUNCH if address in message.holepunch else 0)
        | (_PEX_REACHABLE if address in message.reachable else 0)
    )


def encode_holepunch(number: int, message: Holepunch) -> bytes:
    """Say something about meeting somebody behind a router, to a peer that calls ut_holepunch by this number."""
    family = 1 if message.address.is_ipv6 else 0
    head = _HOLEPUNCH.pack(message.kind, family)
    return _encode(number, head + message.address.compact() + message.error.to_bytes(4, "big"))


def _encode(number: int, payload: bytes) -> bytes:
    return _HEADER.pack(2 + len(payload), MessageId.EXTENDED, number) + payload
