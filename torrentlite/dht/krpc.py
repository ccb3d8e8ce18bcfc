"""KRPC: queries, replies and errors as bencoded datagrams (BEP 5). Pure.

Read strictly where something is used, and not at all where it is not: what a message holds besides is ignored, as
other BEPs add keys of their own.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from .. import limits
from ..bencode import Value, decode, encode
from ..errors import BencodeError, ProtocolError
from ..wire.address import Address
from .contact import ID_SIZE, pack_address, read_address

VERSION: Final = b"Tl\x00\x01"
"""Client and version (BEP 20), sent with everything."""


class Code(enum.IntEnum):
    """Why a query was refused (BEP 5, BEP 44)."""

    GENERIC = 201
    SERVER = 202
    PROTOCOL = 203
    UNKNOWN_METHOD = 204
    TOO_BIG = 205
    BAD_SIGNATURE = 206
    SALT_TOO_BIG = 207
    CAS_MISMATCH = 301
    OLD_SEQUENCE = 302


class Query(NamedTuple):
    """A question.

    Attributes:
        transaction: to be repeated in the answer.
        id: the asking node's.
        method: ``ping``, ``find_node`` and so on.
        arguments: all of them, unchecked but for the id.
        read_only: the asker answers no queries and wants to be in no table (BEP 43).
    """

    transaction: bytes
    id: bytes
    method: bytes
    arguments: dict[bytes, Value]
    read_only: bool


class Reply(NamedTuple):
    """An answer.

    Attributes:
        transaction: of the query that it answers.
        id: the answering node's.
        values: all that it says, unchecked but for the id.
        seen: the address that it saw us at (BEP 42), if it told.
    """

    transaction: bytes
    id: bytes
    values: dict[bytes, Value]
    seen: Address | None


class Refusal(NamedTuple):
    """An error in place of an answer; ``text`` is untrusted."""

    transaction: bytes
    code: int
    text: bytes


Message: TypeAlias = Query | Reply | Refusal


def parse(data: bytes) -> Message:
    """Read a datagram.

    Raises:
        ProtocolError: it is no KRPC message.
    """
    if len(data) > limits.DHT_MAX_DATAGRAM:
        raise ProtocolError("the datagram is too long")
    try:
        message = decode(data, max_depth=limits.DHT_MAX_DEPTH)
    except BencodeError as error:
        raise ProtocolError(f"not bencoded: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("not a dictionary")
    transaction = message.get(b"t")
    if not isinstance(transaction, bytes) or not 0 < len(transaction) <= limits.DHT_MAX_TRANSACTION:
        raise ProtocolError("no transaction id")
    match message.get(b"y"):
        case b"q":
            method, arguments = message.get(b"q"), message.get(b"a")
            if not isinstance(method, bytes) or not isinstance(arguments, dict):
                raise ProtocolError("a query without its method or arguments")
            return Query(transaction, _id_of(arguments), method, arguments, message.get(b"ro") == 1)
        case b"r":
            values = message.get(b"r")
            if not isinstance(values, dict):
                raise ProtocolError("a reply without its values")
            seen = message.get(b"ip")
            return Reply(transaction, _id_of(values), values, read_address(seen) if isinstance(seen, bytes) else None)
        case b"e":
            match message.get(b"e"):
                case [int(code), bytes(text), *_]:
                    return Refusal(transaction, code, text)
            return Refusal(transaction, Code.GENERIC, b"")
    raise ProtocolError("neither query, reply nor error")


def _id_of(values: Mapping[bytes, Value]) -> bytes:
    node_id = values.get(b"id")
    if not isinstance(node_id, bytes) or len(node_id) != ID_SIZE:
        raise ProtocolError("no node id")
    return node_id


def encode_query(
    transaction: bytes, node_id: bytes, method: bytes, arguments: Mapping[bytes, object], *, read_only: bool = False
) -> bytes:
    """A query; ``arguments`` without the id."""
    read = b"2:roi1e" if read_only else b""
    body = _encode_body(node_id, arguments)
    return b"d1:a%b1:q%b%b1:t%b1:v%b1:y1:qe" % (body, _encode(method), read, _encode(transaction), _VERSION)


def encode_reply(transaction: bytes, node_id: bytes, values: Mapping[bytes, object], to: Address) -> bytes:
    """A reply; ``values`` without the id. It tells the asker its own address (BEP 42)."""
    seen, body = _encode(pack_address(to)), _encode_body(node_id, values)
    return b"d2:ip%b1:r%b1:t%b1:v%b1:y1:re" % (seen, body, _encode(transaction), _VERSION)


def encode_refusal(transaction: bytes, code: Code, text: str, to: Address) -> bytes:
    """An error; it too tells the asker its own address."""
    error = [int(code), text.encode()]
    return encode({b"e": error, b"ip": pack_address(to), b"t": transaction, b"v": VERSION, b"y": b"e"})


def _encode_body(node_id: bytes, values: Mapping[bytes, object]) -> bytes:
    # A node under load does little else than this. Written by hand a reply takes 2 µs, by the library 9.
    body: dict[bytes, object] = {b"id": node_id, **values}
    return b"d%be" % b"".join([b"%d:%b%b" % (len(key), key, _encode(body[key])) for key in sorted(body)])


def _encode(value: object) -> bytes:
    return b"%d:%b" % (len(value), value) if isinstance(value, bytes) else encode(value)


_VERSION: Final = _encode(VERSION)


def bytes_of(values: Mapping[bytes, Value], key: bytes, size: int | None = None) -> bytes | None:
    """The string under a key, of just this size where one is given; None for anything else."""
    value = values.get(key)
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        return None
    return value


def int_of(values: Mapping[bytes, Value], key: bytes) -> int | None:
    """The number under a key; None for anything else."""
    value = values.get(key)
    return value if isinstance(value, int) else None
