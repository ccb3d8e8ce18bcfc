"""Items of the DHT, immutable and mutable (BEP 44): what they are stored under, and whether they are genuine. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from .. import limits
from ..bencode import Value, decode, encode
from ..errors import BencodeError, DhtError
from . import signing
from .contact import ID_SIZE
from .krpc import bytes_of, int_of


class Signer(Protocol):
    """Whoever holds a private key; ``signing.SigningKey`` is one."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""


class Item(NamedTuple):
    """A value as it is stored.

    Attributes:
        encoded: the value, bencoded; at most 1,000 bytes.
        key: whose it is; empty for an immutable item. So are the others.
        salt: which of the owner's items it is.
        sequence: higher for what is newer.
        signature: of salt, sequence and value.
    """

    encoded: bytes
    key: bytes = b""
    salt: bytes = b""
    sequence: int = 0
    signature: bytes = b""

    @property
    def value(self) -> Value:
        """The value itself."""
        return decode(self.encoded, max_depth=limits.DHT_MAX_DEPTH)

    @property
    def mutable(self) -> bool:
        """Whether it has an owner, who can replace it."""
        return bool(self.key)

    @property
    def target(self) -> bytes:
        """What it is stored under, 20 bytes."""
        return mutable_target(self.key, self.salt) if self.key else immutable_target(self.encoded)

    def genuine(self) -> bool:
        """Whether it was signed by its owner; an immutable one proves itself by its target.

        Raises:
            DhtError: ``cryptography`` is not installed.
        """
        signed = signed_bytes(self.encoded, self.sequence, self.salt)
        return not self.key or signing.verify(self.key, self.signature, signed)


def immutable_target(encoded: bytes) -> bytes:
    """What an immutable value is stored under."""
    return hashlib.sha1(encoded, usedforsecurity=False).digest()


def mutable_target(key: bytes, salt: bytes = b"") -> bytes:
    """What an owner's item is stored under."""
    return hashlib.sha1(key + salt, usedforsecurity=False).digest()


def signed_bytes(encoded: bytes, sequence: int, salt: bytes) -> bytes:
    """What the owner signs."""
    start = b"4:salt%d:%b" % (len(salt), salt) if salt else b""
    return b"%b3:seqi%de1:v%b" % (start, sequence, encoded)


def encode_value(value: object) -> bytes:
    """A value as it is stored.

    Raises:
        DhtError: too large, too deep, or of a type that bencoding does not have.
    """
    try:
        encoded = encode(value)
        decode(encoded, max_depth=limits.DHT_MAX_DEPTH - 4)
    except (TypeError, ValueError, BencodeError) as error:
        raise DhtError(f"the DHT cannot hold this value: {error}") from error
    if len(encoded) > limits.DHT_MAX_ITEM:
        raise DhtError(f"the DHT cannot hold this value: {len(encoded)} bytes of {limits.DHT_MAX_ITEM}")
    return encoded


def make_item(value: object) -> Item:
    """An immutable item.

    Raises:
        DhtError: the DHT cannot hold the value.
    """
    return Item(encode_value(value))


def sign_item(value: object, signer: Signer, sequence: int, salt: bytes = b"") -> Item:
    """A mutable item.

    Raises:
        DhtError: the DHT cannot hold the value; the salt or the sequence number is too large.
    """
    if len(salt) > limits.DHT_MAX_SALT:
        raise DhtError(f"a salt has at most {limits.DHT_MAX_SALT} bytes")
    if not 0 <= sequence <= limits.DHT_MAX_SEQ:
        raise DhtError("a sequence number is 0 to 2**63 - 1")
    encoded = encode_value(value)
    return Item(encoded, signer.public, salt, sequence, signer.sign(signed_bytes(encoded, sequence, salt)))


def read_item(values: Mapping[bytes, Value], target: bytes, salt: bytes) -> Item | None:
    """The item of a reply to ``get``, if it is what was asked for.

    Args:
        values: of the reply.
        target: what was asked for.
        salt: of the item, as the asker knows it; it is not sent.

    Raises:
        DhtError: it is mutable, and ``cryptography`` is not installed.
    """
    value = values.get(b"v")
    if value is None:
        return None
    try:
        encoded = encode_value(value)
    except DhtError:
        return None
    key = bytes_of(values, b"k", signing.PUBLIC_KEY_SIZE)
    if key is None:
        return Item(encoded) if immutable_target(encoded) == target else None
    sequence = int_of(values, b"seq")
    signature = bytes_of(values, b"sig", signing.SIGNATURE_SIZE)
    if sequence is None or not 0 <= sequence <= limits.DHT_MAX_SEQ or signature is None:
        return None
    item = Item(encoded, key, salt, sequence, signature)
    return item if item.target == target and item.genuine() else None


def torrent_value(info_hash: bytes) -> dict[bytes, bytes]:
    """The value by which a mutable item leads to a torrent (BEP 46).

    Args:
        info_hash: that of v1, 20 bytes.
    """
    return {b"ih": info_hash}


def torrent_of(item: Item) -> bytes | None:
    """The info-hash of the torrent that it leads to, 20 bytes; None where it is about something else."""
    value = item.value
    return bytes_of(value, b"ih", ID_SIZE) if isinstance(value, Mapping) else None
