"""A node's ids and table as bytes, to begin with next time (BEP 5, "Routing Table"). Pure.

A checksum, then a dictionary. What is damaged, of another version or made up is not used at all: the node starts clean.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final

from .. import limits
from ..bencode import decode, encode
from ..errors import BencodeError
from ..wire.address import Scope
from .contact import ID_SIZE, Contact, read_contacts, write_contacts
from .core import Core
from .krpc import bytes_of

_MAGIC: Final = b"tl-dht 1\n"
_SUM: Final = 32  # bytes


@dataclasses.dataclass(frozen=True, slots=True)
class SavedState:
    """What a node was.

    Attributes:
        ids: by "is IPv6".
        nodes: of its tables, likewise; the best first.
    """

    ids: dict[bool, bytes] = dataclasses.field(default_factory=dict)
    nodes: dict[bool, list[Contact]] = dataclasses.field(default_factory=dict)


def save(core: Core) -> bytes:
    """The state of a node."""
    body: dict[bytes, bytes] = {}
    for ipv6, side in core.sides.items():
        nodes = sorted(side.table, key=lambda node: (node.fails, -node.heard))[: limits.DHT_SAVED_NODES]
        body[b"id6" if ipv6 else b"id4"] = side.own_id
        body[b"nodes6" if ipv6 else b"nodes4"] = write_contacts(node.contact for node in nodes)
    encoded = encode(body)
    return _MAGIC + hashlib.sha256(encoded).digest() + encoded


def load(data: bytes) -> SavedState:
    """The state in these bytes; an empty one where they are not what ``save`` returned."""
    start = len(_MAGIC) + _SUM
    encoded = data[start:]
    if not data.startswith(_MAGIC) or len(data) > limits.DHT_MAX_STATE:
        return SavedState()
    if hashlib.sha256(encoded).digest() != data[len(_MAGIC) : start]:
        return SavedState()
    try:
        body = decode(encoded)
    except BencodeError:
        return SavedState()
    state = SavedState()
    if isinstance(body, dict):
        for ipv6 in (False, True):
            own_id = bytes_of(body, b"id6" if ipv6 else b"id4", ID_SIZE)
            if own_id is not None:
                state.ids[ipv6] = own_id
            nodes = bytes_of(body, b"nodes6" if ipv6 else b"nodes4") or b""
            contacts = read_contacts(nodes, ipv6=ipv6, most=limits.DHT_SAVED_NODES)
            state.nodes[ipv6] = [contact for contact in contacts if contact.address.scope is not Scope.FORBIDDEN]
    return state
