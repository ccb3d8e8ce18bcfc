"""Packets of NAT-PMP (RFC 6886). Pure."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

from .lease import GatewayError, Transport

_HEAD: Final = struct.Struct(">BBHI")  # version, opcode, result, seconds since the start of the gateway's epoch
_MAP: Final = struct.Struct(">BBHHHI")  # version, opcode, reserved, port inside, port outside, seconds
_MAPPED: Final = struct.Struct(">HHI")
_OPCODES: Final = {Transport.UDP: 1, Transport.TCP: 2}
_REFUSALS: Final = {
    1: "it does not speak this version",
    2: "it is switched off there",
    3: "it has no connection itself",
    4: "it has no room for more",
    5: "it does not know this request",
}


class ExternalAddress(NamedTuple):
    """The gateway's address outside."""

    epoch: int
    host: str


class Mapping(NamedTuple):
    """A port that is mapped; with 0 seconds, one that is closed."""

    epoch: int
    internal: int
    external: int
    lifetime: int


def address_request() -> bytes:
    """Ask for the address outside."""
    return b"\0\0"


def map_request(transport: Transport, internal: int, external: int, lifetime: int) -> bytes:
    """Ask for a port (``external`` is a wish, 0: any), or with 0 seconds, to close it."""
    if not lifetime:
        external = 0
    return _MAP.pack(0, _OPCODES[transport], 0, internal, external, lifetime)


def parse_address(data: bytes) -> ExternalAddress | None:
    """The answer to ``address_request``; None: this answers something else. GatewayError: it is a refusal."""
    epoch = _head(data, 0, 12)
    return None if epoch is None else ExternalAddress(epoch, str(ipaddress.IPv4Address(data[8:12])))


def parse_mapping(data: bytes, transport: Transport, internal: int) -> Mapping | None:
    """The answer to ``map_request``; None: this answers something else. GatewayError: it is a refusal."""
    epoch = _head(data, _OPCODES[transport], 16)
    if epoch is None:
        return None
    mapping = Mapping(epoch, *_MAPPED.unpack_from(data, 8))
    return mapping if mapping.internal == internal else None


def _head(data: bytes, opcode: int, size: int) -> int | None:
    """The epoch of an answer to this request."""
    if len(data) < _HEAD.size or len(data) > size:
        return None
    version, answered, result, epoch = _HEAD.unpack_from(data)
    if version != 0 or answered != 128 + opcode:
        return None
    if result:
        raise GatewayError(f"the gateway refuses: {_REFUSALS.get(result, f'error {result}')}", code=result)
    return int(epoch) if len(data) == size else None
