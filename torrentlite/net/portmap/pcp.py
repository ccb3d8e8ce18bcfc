"""Packets of PCP (RFC 6887): MAP and ANNOUNCE, for IPv4. Pure."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

from ... import limits
from ...wire.address import parse_host
from .lease import GatewayError, NotSpokenError, Transport

VERSION: Final = 2
NONCE_SIZE: Final = 12

_ANNOUNCE: Final = 0
_MAP: Final = 1
_REQUEST: Final = struct.Struct(">BBHI16s")  # version, opcode, reserved, lifetime, our address
_REPLY: Final = struct.Struct(">BBBBII12x")  # version, opcode, reserved, result, lifetime, epoch
_MAPPING: Final = struct.Struct(">12sB3xHH16s")  # nonce, protocol, port inside, port outside, address outside
_UNSUPPORTED_VERSION: Final = 1
_REFUSALS: Final = {
    _UNSUPPORTED_VERSION: "it does not speak this version",
    2: "it is not allowed",
    3: "it cannot read the request",
    4: "it does not know this request",
    5: "it does not know an option",
    6: "it cannot read an option",
    7: "it has no connection itself",
    8: "it has no room for more",
    9: "it does not map this protocol",
    10: "we have too many ports already",
    11: "the port or address outside is not to be had",
    12: "there is another NAT on the way to it",
    13: "it limits whom a port is open to",
}


class Mapping(NamedTuple):
    """A port that is mapped; with 0 seconds, one that is closed."""

    epoch: int
    external_host: str
    external: int
    lifetime: int


def announce_request(local: str) -> bytes:
    """Ask whether anybody is there (14.1); ``local`` is our address."""
    return _REQUEST.pack(VERSION, _ANNOUNCE, 0, 0, _packed(local))


def map_request(
    local: str, nonce: bytes, transport: Transport, internal: int, external: int, lifetime: int, host: str = ""
) -> bytes:
    """Ask for a port (11.1), or with 0 seconds, to close it.

    Args:
        local: our address.
        nonce: 12 bytes, the same for all requests about one port: who does not know them cannot close it.
        transport: TCP or UDP.
        internal: our port.
        external: the port that is wished for outside; 0 for any.
        lifetime: seconds.
        host: the address that is wished for outside; empty for any.
    """
    if not lifetime:
        external, host = 0, ""
    head = _REQUEST.pack(VERSION, _MAP, 0, lifetime, _packed(local))
    return head + _MAPPING.pack(nonce, transport.value, internal, external, _packed(host or "0.0.0.0"))


def parse_announce(data: bytes) -> int | None:
    """The epoch in an answer to ``announce_request``; errors as ``parse_mapping``."""
    head = _head(data, _ANNOUNCE)
    return None if head is None else head[1]


def parse_mapping(data: bytes, nonce: bytes, transport: Transport, internal: int) -> Mapping | None:
    """The answer to ``map_request``; None: this answers something else.

    Raises:
        GatewayError: it is a refusal; or a gateway of another version says so.
    """
    _check_version(data)
    if len(data) < _REPLY.size + _MAPPING.size:
        return None
    # A refusal repeats the request, so it is told apart in the same way.
    theirs, protocol, port, external, address = _MAPPING.unpack_from(data, _REPLY.size)
    if (theirs, protocol, port) != (nonce, transport.value, internal):
        return None
    head = _head(data, _MAP)
    if head is None:
        return None
    lifetime, epoch = head
    host = parse_host(str(ipaddress.IPv6Address(address))) or ""
    return Mapping(epoch, host, external, lifetime)


def _head(data: bytes, opcode: int) -> tuple[int, int] | None:
    """Lifetime and epoch of an answer to this request."""
    _check_version(data)
    if not _REPLY.size <= len(data) <= limits.MAP_MAX_PACKET or len(data) % 4:
        return None
    version, answered, _, result, lifetime, epoch = _REPLY.unpack_from(data)
    if version != VERSION or answered != 128 + opcode:
        return None
    if result:
        raise GatewayError(f"the gateway refuses: {_REFUSALS.get(result, f'error {result}')}", code=result)
    return lifetime, epoch


def _check_version(data: bytes) -> None:
    """Raise NotSpokenError for NAT-PMP's "unsupported version" (RFC 6887, appendix A)."""
    if 4 <= len(data) <= limits.MAP_MAX_PACKET and data[0] == 0 and data[1] >= 128 and data[2:4] == b"\0\1":
        raise NotSpokenError("the gateway does not speak PCP", code=_UNSUPPORTED_VERSION)


def _packed(host: str) -> bytes:
    """An IPv4 address as PCP writes it: mapped into IPv6."""
    return bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(host).packed
