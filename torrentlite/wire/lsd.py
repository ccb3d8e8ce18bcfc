"""Announces of Local Service Discovery (BEP 14): who on this network shares what. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from .. import limits
from ..errors import ProtocolError
from .address import Address

GROUPS: Final = (Address("239.192.152.143", 6771), Address("ff15::efc0:988f", 6771))
"""Where announces go."""

_FIRST: Final = "BT-SEARCH * HTTP/1.1"
_HASH_LINE: Final = len("Infohash: \r\n") + 40
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")


class Announce(NamedTuple):
    """What one datagram says."""

    port: int
    """Where its sender listens for peers."""
    info_hashes: tuple[bytes, ...]
    cookie: str = ""
    """By which a sender knows its own; may be empty."""


def room(group: Address, cookie: str) -> int:
    """Info-hashes that fit into one announce."""
    empty = len(encode(group, Announce(65535, (), cookie)))
    return min((limits.LSD_MAX_PACKET - empty) // _HASH_LINE, limits.LSD_MAX_HASHES)


def encode(group: Address, announce: Announce) -> bytes:
    """The datagram for one of the groups; the caller minds its size (``room``)."""
    lines = [_FIRST, f"Host: {group}", f"Port: {announce.port}"]
    lines += [f"Infohash: {info_hash.hex()}" for info_hash in announce.info_hashes]
    if announce.cookie:
        lines.append(f"cookie: {announce.cookie}")
    return "\r\n".join([*lines, "", "", ""]).encode("ascii")


def parse(data: bytes) -> Announce:
    """Read a datagram. Headers that BEP 14 does not name are passed over, and so are info-hashes of another kind.

    Raises:
        ProtocolError: it is no announce, too long, or of nothing.
    """
    if len(data) > limits.LSD_MAX_PACKET or not data.isascii():
        raise ProtocolError("too long or not ASCII: no announce")
    first, *lines = data.decode("ascii").split("\n")
    if first.rstrip("\r") != _FIRST:
        raise ProtocolError("no announce of local service discovery")
    port = 0
    cookie = ""
    found: dict[bytes, None] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not name:
            break
        if name == "port":
            port = _number(value)
        elif name == "cookie":
            cookie = value[: limits.LSD_MAX_COOKIE]
        elif name == "infohash" and len(value) == 40 and _HEXADECIMAL.issuperset(value):
            found[bytes.fromhex(value)] = None
    if not 0 < port < 65536:
        raise ProtocolError("an announce without a port")
    if not found:
        raise ProtocolError("an announce of nothing")
    return Announce(port, tuple(found)[: limits.LSD_MAX_HASHES], cookie)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 5 else 0
