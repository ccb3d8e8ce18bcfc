"""Datagrams that are nearly right: every kind of DHT message, and what damage and malice make of it."""

from __future__ import annotations

import random
from typing import Final

from ..bencode import Raw, encode
from ..dht.contact import Contact, write_contacts
from ..dht.krpc import Code, encode_query, encode_refusal, encode_reply
from ..wire.address import Address

_TOKENS: Final = (b"d", b"l", b"i", b"e", b"0:", b"1:", b"20:", b"-", b"i-1e", b"i0e", b"9999999999:", b"de", b"le")
_KEYS: Final = tuple(
    b"id target info_hash token port implied_port want v k sig seq salt cas seed scrape nodes values ro ip".split()
)
_ADDRESS: Final = Address("127.0.0.1", 6881)


class Mutations:
    """Makes them without end, the same ones for the same dice.

    Args:
        dice: chooses.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def make(self) -> bytes:
        """The next one. One in eight is not damaged at all."""
        data = self.message()
        for _ in range(self._dice.choice((0, 1, 1, 1, 2, 2, 4, 8))):
            data = self._damage(data)
        return data

    def message(self) -> bytes:
        """A message as it should be, of any kind."""
        dice = self._dice
        target, own = dice.randbytes(20), dice.randbytes(20)
        transaction = dice.randbytes(dice.choice((1, 2, 4, 8)))
        nodes = write_contacts(
            Contact(
                dice.randbytes(20), Address(".".join(str(dice.randrange(256)) for _ in range(4)), dice.randrange(65536))
            )
            for _ in range(8)
        )
        key = {b"k": dice.randbytes(32), b"sig": dice.randbytes(64), b"seq": dice.randrange(9)}
        token, value = dice.randbytes(8), Raw(encode(dice.randbytes(dice.randrange(600))))
        queries: list[tuple[bytes, dict[bytes, object]]] = [
            (b"ping", {}),
            (b"find_node", {b"target": target, b"want": [b"n4", b"n6"]}),
            (b"get_peers", {b"info_hash": target, b"scrape": 1, b"noseed": 1}),
            (
                b"announce_peer",
                {b"info_hash": target, b"port": dice.randrange(-5, 70_000), b"token": token, b"seed": 1},
            ),
            (b"get", {b"target": target, b"seq": dice.randrange(3)}),
            (b"put", {b"token": token, b"v": value}),
            (b"put", {b"token": token, b"v": value, b"salt": dice.randbytes(9), b"cas": 1, **key}),
            (b"sample_infohashes", {b"target": target}),
            (b"vote", {b"target": target}),
        ]
        kind = dice.randrange(len(queries) + 3)
        if kind < len(queries):
            return encode_query(transaction, own, *queries[kind], read_only=dice.random() < 0.2)
        if kind == len(queries):
            return encode_refusal(transaction, Code.GENERIC, "x" * dice.randrange(90), _ADDRESS)
        values: dict[bytes, object] = {
            b"nodes": nodes,
            b"token": token,
            b"values": [dice.randbytes(6)] * dice.randrange(9),
        }
        if kind == len(queries) + 1:
            values |= {b"v": value, **key, b"BFsd": dice.randbytes(256), b"BFpe": dice.randbytes(256)}
        return encode_reply(transaction, own, values, _ADDRESS)

    def _damage(self, data: bytes) -> bytes:
        dice = self._dice
        place, other = dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)
        match dice.randrange(8):
            case 0:
                return data[:place]
            case 1:
                return data[:place] + dice.randbytes(1) + data[place + 1 :]
            case 2:
                return data[:place] + dice.choice(_TOKENS) + data[place:]
            case 3:
                return data[: min(place, other)] + data[max(place, other) :]
            case 4:
                return data[:other] + data[min(place, other) : max(place, other)] + data[other:]
            case 5:
                key = dice.choice(_KEYS)
                return data.replace(b"%d:%b" % (len(key), key), b"%d:%b" % (len(key), key) + dice.choice(_TOKENS), 1)
            case 6:
                one, two = (b"%d:%b" % (len(key), key) for key in dice.sample(_KEYS, 2))
                return data.replace(one, two, 1)
            case _:
                return data[:place] + b"l" * dice.randrange(200) + data[place:]
