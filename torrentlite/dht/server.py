"""What we answer to others' queries (BEP 5, 32, 33, 42, 44, 51). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from .. import limits
from ..bencode import Raw, Value
from ..errors import DhtError
from ..wire.address import Address
from . import signing
from .budget import Budget
from .contact import ID_SIZE, household, pack_address
from .item import Item, encode_value
from .krpc import Code, Query, bytes_of, encode_refusal, encode_reply, int_of
from .side import Side
from .tokens import Tokens

_PING = 80  # bytes of the query by which we see whether an unknown asker is a node; they count as part of the answer
_ROOM = 40  # bytes beyond what values are made to fit in: lengths, the list around them


class _RefusedError(Exception):
    """A query that gets an error for an answer."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class Server:
    """Answers queries.

    Args:
        sides: by "is IPv6"; what was stored over one family is told over that one only.
        tokens: who may store.
        budget: how much may be answered.
    """

    def __init__(self, sides: Mapping[bool, Side], tokens: Tokens, budget: Budget) -> None:
        self._sides = sides
        self._tokens = tokens
        self._budget = budget

    def answer(self, query: Query, sender: Address, raw: bytes, now: float) -> bytes | None:
        """The answer to a query; None where there is none, as too much was asked.

        Args:
            query: what is asked.
            sender: by whom; nothing has proved that yet.
            raw: the datagram as it came. The answer has at most eight times its bytes, but for an item.
            now: the time.
        """
        side = self._sides[sender.is_ipv6]
        owner = household(sender)
        try:
            values = self._values(query, side, sender, raw, now)
            data = encode_reply(query.transaction, side.own_id, values, sender)
            over = len(data) - _most(raw, item=b"v" in values)
            if over > 0:
                _shorten(values, over, ipv6=sender.is_ipv6)
                data = encode_reply(query.transaction, side.own_id, values, sender)
        except _RefusedError as refused:
            data = encode_refusal(query.transaction, refused.code, str(refused), sender)
        return data if self._budget.answer(owner, len(data), now) else None

    def _values(self, query: Query, side: Side, sender: Address, raw: bytes, now: float) -> dict[bytes, object]:
        match query.method:
            case b"ping":
                return {}
            case b"find_node":
                return self._nodes(_target(query, b"target"), query, sender)
            case b"get_peers":
                return self._get_peers(query, side, sender, raw, now)
            case b"announce_peer":
                return self._announce_peer(query, side, sender, now)
            case b"get":
                return self._get(query, side, sender, now)
            case b"put":
                return self._put(query, side, sender, raw, now)
            case b"sample_infohashes":
                return self._sample(query, side, sender, now)
        # What is yet to be invented is most likely a lookup, and should find its way.
        for name in (b"target", b"info_hash"):
            if bytes_of(query.arguments, name, ID_SIZE) is not None:
                return self._nodes(_target(query, name), query, sender)
        raise _RefusedError(Code.UNKNOWN_METHOD, "method unknown")

    def _nodes(self, target: bytes, query: Query, sender: Address) -> dict[bytes, object]:
        """The nodes near a target, of the families asked for (BEP 32)."""
        want = query.arguments.get(b"want")
        if isinstance(want, list):
            families = [ipv6 for ipv6, name in ((False, b"n4"), (True, b"n6")) if name in want]
        else:
            families = [sender.is_ipv6]
        return {
            b"nodes6" if ipv6 else b"nodes": b"".join(
                node.compact for node in self._sides[ipv6].table.named(target, sender.scope)
            )
            for ipv6 in families
            if ipv6 in self._sides
        }

    def _get_peers(self, query: Query, side: Side, sender: Address, raw: bytes, now: float) -> dict[bytes, object]:
        info_hash = _target(query, b"info_hash")
        values = self._nodes(info_hash, query, sender)
        values[b"token"] = self._tokens.make(sender.host, info_hash, now)
        if query.arguments.get(b"scrape") == 1:
            filters = side.peers.filters(info_hash, now)
            if filters is not None and self._budget.big_answer(household(sender), now):
                values[b"BFsd"], values[b"BFpe"] = filters
        if info_hash in side.peers:
            size = len(encode_reply(query.transaction, side.own_id, values, sender)) + _ROOM
            room = _most(raw, item=False) - size
            most = max(0, min(limits.DHT_MAX_VALUES, room // (21 if sender.is_ipv6 else 8)))
            no_seeds = query.arguments.get(b"noseed") == 1
            peers = side.peers.peers_of(info_hash, most, now, scope=sender.scope, no_seeds=no_seeds)
            if peers:
                values[b"values"] = [pack_address(peer) for peer in peers]
        return values

    def _announce_peer(self, query: Query, side: Side, sender: Address, now: float) -> dict[bytes, object]:
        info_hash = _target(query, b"info_hash")
        port = sender.port if int_of(query.arguments, b"implied_port") else int_of(query.arguments, b"port")
        if port is None or not 0 < port < 65536:
            raise _RefusedError(Code.PROTOCOL, "invalid port")
        self._check_token(query, sender, info_hash, now)
        seed = query.arguments.get(b"seed") == 1
        if not side.peers.announce(info_hash, Address(sender.host, port), now, seed=seed):
            raise _RefusedError(Code.SERVER, "no room")
        return {}

    def _get(self, query: Query, side: Side, sender: Address, now: float) -> dict[bytes, object]:
        target = _target(query, b"target")
        values = self._nodes(target, query, sender)
        values[b"token"] = self._tokens.make(sender.host, target, now)
        item = side.items.get(target, now)
        if item is None:
            return values
        if item.mutable:
            values[b"seq"] = item.sequence
            known = int_of(query.arguments, b"seq")
            if known is not None and item.sequence <= known:
                return values
        if self._budget.big_answer(household(sender), now):
            if item.mutable:
                values[b"k"], values[b"sig"] = item.key, item.signature
            values[b"v"] = Raw(item.encoded)
        return values

    def _put(self, query: Query, side: Side, sender: Address, raw: bytes, now: float) -> dict[bytes, object]:
        item = _item_of(query.arguments, raw)
        self._check_token(query, sender, item.target, now)
        try:
            genuine = item.genuine()
        except DhtError:  # we cannot check signatures
            raise _RefusedError(Code.SERVER, "no mutable items here") from None
        if not genuine:
            raise _RefusedError(Code.BAD_SIGNATURE, "invalid signature")
        cas = int_of(query.arguments, b"cas")
        code = side.items.put(item, household(sender), now, cas=cas)
        if code is not None:
            raise _RefusedError(code, _WHY[code])
        return {}

    def _sample(self, query: Query, side: Side, sender: Address, now: float) -> dict[bytes, object]:
        values = self._nodes(_target(query, b"target"), query, sender)
        sample, interval = side.peers.sample(now)
        values[b"interval"] = interval
        values[b"num"] = len(side.peers)
        values[b"samples"] = b"".join(sample)
        return values

    def _check_token(self, query: Query, sender: Address, target: bytes, now: float) -> None:
        if not self._tokens.valid(query.arguments.get(b"token"), sender.host, target, now):
            raise _RefusedError(Code.PROTOCOL, "bad token")


_WHY = {
    Code.CAS_MISMATCH: "the CAS number does not match, read again",
    Code.OLD_SEQUENCE: "the sequence number is not newer",
    Code.SERVER: "no room",
}


def _most(raw: bytes, *, item: bool) -> int:
    """How long the answer to this datagram may be."""
    if item:
        return limits.DHT_MAX_SENT_ITEM
    return min(limits.DHT_MAX_SENT, limits.DHT_AMPLIFICATION * len(raw) - _PING)


def _shorten(values: dict[bytes, object], over: int, *, ipv6: bool) -> None:
    """Leave out nodes, so many bytes of them: first those of the other family, then the farthest."""
    for name, size in ((b"nodes", 26), (b"nodes6", 38)) if ipv6 else ((b"nodes6", 38), (b"nodes", 26)):
        nodes = values.get(name)
        if isinstance(nodes, bytes) and over > 0:
            cut = min(len(nodes), -(-over // size) * size)
            values[name] = nodes[: len(nodes) - cut]
            over -= cut


def _target(query: Query, name: bytes) -> bytes:
    target = bytes_of(query.arguments, name, ID_SIZE)
    if target is None:
        raise _RefusedError(Code.PROTOCOL, f"no {name.decode()}")
    return target


def _item_of(arguments: Mapping[bytes, Value], raw: bytes) -> Item:
    """The item of a ``put``, with everything checked but its signature."""
    if b"v" not in arguments:
        raise _RefusedError(Code.PROTOCOL, "no v")
    try:
        encoded = encode_value(arguments[b"v"])
    except DhtError:
        raise _RefusedError(Code.TOO_BIG, "v is too big") from None
    if b"1:v" + encoded not in raw:  # what is not bencoded strictly has another encoding here than it came with
        raise _RefusedError(Code.PROTOCOL, "v is not strictly bencoded")
    if b"k" not in arguments:
        return Item(encoded)
    key = bytes_of(arguments, b"k", signing.PUBLIC_KEY_SIZE)
    signature = bytes_of(arguments, b"sig", signing.SIGNATURE_SIZE)
    salt = bytes_of(arguments, b"salt") if b"salt" in arguments else b""
    sequence = int_of(arguments, b"seq")
    if key is None or signature is None or salt is None:
        raise _RefusedError(Code.PROTOCOL, "bad key, salt or signature")
    if len(salt) > limits.DHT_MAX_SALT:
        raise _RefusedError(Code.SALT_TOO_BIG, "salt is too big")
    if sequence is None or not 0 <= sequence <= limits.DHT_MAX_SEQ:
        raise _RefusedError(Code.PROTOCOL, "bad seq")
    return Item(encoded, key, salt, sequence, signature)
