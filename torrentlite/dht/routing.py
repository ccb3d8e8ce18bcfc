"""The routing table: which nodes we know, more of them the nearer they are to our own id (BEP 5). Pure.

Whoever is in it has answered us. Among public addresses there is one node for each /24 (IPv4) or /64 (IPv6), so that
nobody fills the table from a cheap block of addresses, and nodes whose id fits their address (BEP 42) come first.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final

from .. import limits
from ..wire.address import Address, Scope
from .contact import Contact, pack_address, subnet
from .nodeid import is_secure, number, shared_bits

NEVER: Final = float("-inf")


class Node:
    """A node that has answered us.

    Attributes:
        contact: its id and address.
        number: the id as a number.
        compact: id and address as they are sent.
        secure: whether the id fits the address (BEP 42).
        scope: of the address.
        heard: when it last answered or asked.
        tried: when it was last asked.
        fails: queries in a row that it did not answer.
    """

    __slots__ = ("compact", "contact", "fails", "heard", "number", "scope", "secure", "subnet", "tried")

    def __init__(self, contact: Contact, now: float) -> None:
        self.contact = contact
        self.number = number(contact.id)
        self.compact = contact.id + pack_address(contact.address)
        self.secure = is_secure(contact.id, contact.address.host)
        self.scope: Scope = contact.address.scope
        self.subnet: Hashable = subnet(contact.address)
        self.heard = now
        self.tried = NEVER
        self.fails = 0

    def __repr__(self) -> str:
        return f"<Node {self.contact.id.hex()} {self.contact.address}>"

    @property
    def bad(self) -> bool:
        """It has not answered several times in a row."""
        return self.fails >= limits.DHT_MAX_FAILS

    def good(self, now: float) -> bool:
        """Heard of within 15 minutes, and it answered when it was last asked."""
        return not self.fails and now - self.heard < limits.DHT_GOOD_FOR


class Bucket:
    """Nodes that share the same number of leading bits with our id (in the last one: at least so many).

    Attributes:
        nodes: at most ``capacity``.
        spare: verified nodes for which there was no room, the latest last.
        changed: when a node was last added, replaced, or answered.
    """

    __slots__ = ("capacity", "changed", "nodes", "spare")

    def __init__(self, depth: int, now: float) -> None:
        sizes = limits.DHT_FIRST_BUCKETS
        self.capacity = sizes[depth] if depth < len(sizes) else limits.DHT_K
        self.nodes: list[Node] = []
        self.spare: list[Node] = []
        self.changed = now


class Table:
    """The routing table of one address family.

    Args:
        own_id: our id.
        now: the time.
    """

    def __init__(self, own_id: bytes, now: float) -> None:
        self.own_id = own_id
        self._own = number(own_id)
        self._buckets = [Bucket(0, now)]
        self._by_address: dict[Address, Node] = {}
        self._by_id: dict[bytes, Node] = {}
        self._by_subnet: dict[Hashable, Node] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Node]:
        for bucket in self._buckets:
            yield from bucket.nodes

    def __repr__(self) -> str:
        return f"<Table of {len(self)} nodes in {len(self._buckets)} buckets>"

    @property
    def buckets(self) -> list[Bucket]:
        """From the far half of all ids to our own neighbourhood."""
        return self._buckets

    def find(self, address: Address) -> Node | None:
        """The node at that address."""
        return self._by_address.get(address)

    # -- what happens to nodes

    def answered(self, contact: Contact, now: float) -> bool:
        """A node has answered a query of ours. Whether it is in the table now.

        One that answers under another id than before is thrown out: a node does not change its id from query to query.
        """
        known = self._by_address.get(contact.address)
        if known is not None:
            if known.contact.id != contact.id:
                self._remove(known, now)
                return False
            known.heard = now
            known.fails = 0
            self._bucket(known.number).changed = now
            return True
        if contact.id == self.own_id:
            return False
        return self._insert(Node(contact, now), now)

    def asked(self, contact: Contact, now: float) -> bool:
        """A node has asked us something, which proves nothing by itself. Whether it is in the table under this id."""
        known = self._by_address.get(contact.address)
        if known is None or known.contact.id != contact.id:
            return False
        known.heard = now
        return True

    def doubt(self, contact: Contact) -> None:
        """A node says that it answers no more (BEP 43), or somebody in its name: it is to be pinged."""
        known = self._by_address.get(contact.address)
        if known is not None and known.contact.id == contact.id:
            known.heard = NEVER

    def tried(self, address: Address, now: float) -> None:
        """We have asked a node something."""
        known = self._by_address.get(address)
        if known is not None:
            known.tried = now

    def failed(self, address: Address, now: float) -> None:
        """A node has not answered. A bad one makes room."""
        known = self._by_address.get(address)
        if known is None:
            return
        known.fails += 1
        if known.bad or (known.fails > 1 and self._bucket(known.number).spare):
            self._remove(known, now)

    def wants(self, contact: Contact) -> bool:
        """Whether a node that was not verified yet is worth a ping: there would be room for it."""
        if contact.id == self.own_id or contact.address in self._by_address or contact.id in self._by_id:
            return False
        neighbour = self._by_subnet.get(subnet(contact.address))
        if neighbour is not None:
            return neighbour.fails > 0
        bits = shared_bits(self._own, number(contact.id))
        bucket = self._buckets[min(bits, len(self._buckets) - 1)]
        if len(bucket.nodes) < bucket.capacity or bucket is self._buckets[-1]:
            return True
        secure = is_secure(contact.id, contact.address.host)
        return any(node.fails or (secure and not node.secure) for node in bucket.nodes)

    def stale(self, now: float) -> Node | None:
        """The node that was not heard of for longest, if it is time to ping it."""
        found = None
        for bucket in self._buckets:
            for node in bucket.nodes:
                last = node.heard if node.heard > node.tried else node.tried
                due = now - last >= (limits.DHT_TIMEOUT if node.fails else limits.DHT_GOOD_FOR)
                if due and (found is None or node.heard < found.heard):
                    found = node
        return found

    def unchanged(self, now: float) -> int | None:
        """The depth of a bucket that should be refreshed. It counts as changed from then on."""
        for depth, bucket in enumerate(self._buckets):
            if now - bucket.changed >= limits.DHT_REFRESH:
                bucket.changed = now
                return depth
        return None

    # -- who is near

    def closest(self, target: bytes, count: int, *, scope: Scope = Scope.LOOPBACK) -> list[Node]:
        """The nodes nearest to a target that are not known to fail, nearest first; of this scope or wider."""
        wanted = number(target)
        last = len(self._buckets) - 1
        depth = min(shared_bits(self._own, wanted), last)
        found: list[Node] = []
        # All of bucket ``depth`` are nearer than any other; the deeper ones are next, then those before it in turn.
        groups = [self._buckets[depth].nodes]
        if depth < last:
            groups.append([node for bucket in self._buckets[depth + 1 :] for node in bucket.nodes])
        for group in groups:
            self._take(group, wanted, count, scope, found)
            if len(found) >= count:
                return found
        for bucket in reversed(self._buckets[:depth]):
            self._take(bucket.nodes, wanted, count, scope, found)
            if len(found) >= count:
                break
        return found

    def named(self, target: bytes, scope: Scope) -> list[Node]:
        """The nodes to name in an answer: the nearest eight, but at most four insecure ones where others are near.

        Ids next to a target cost nothing, so eight that do not fit their addresses must not be all that a searcher
        hears of.
        """
        insecure = 0
        found: list[Node] = []
        others: list[Node] = []
        for node in self.closest(target, 3 * limits.DHT_K, scope=scope):
            insecure += not node.secure
            (found if node.secure or insecure <= limits.DHT_INSECURE_SHARE else others).append(node)
            if len(found) == limits.DHT_K:
                return found
        return (found + others)[: limits.DHT_K]

    @staticmethod
    def _take(nodes: list[Node], wanted: int, count: int, scope: Scope, found: list[Node]) -> None:
        for node in sorted(nodes, key=lambda node: node.number ^ wanted):
            if not node.fails and node.scope >= scope:
                found.append(node)
                if len(found) == count:
                    return

    # -- inside

    def _bucket(self, wanted: int) -> Bucket:
        return self._buckets[min(shared_bits(self._own, wanted), len(self._buckets) - 1)]

    def _insert(self, node: Node, now: float) -> bool:
        same_id, neighbour = self._by_id.get(node.contact.id), self._by_subnet.get(node.subnet)
        if same_id is not None and not same_id.fails:
            return False
        if neighbour is not None and not (neighbour.fails or (node.secure and not neighbour.secure)):
            return False
        for rival in {id(rival): rival for rival in (same_id, neighbour) if rival is not None}.values():
            self._remove(rival, now, refill=False)
        bucket = self._bucket(node.number)
        while len(bucket.nodes) >= bucket.capacity and bucket is self._buckets[-1] and self._split(now):
            bucket = self._bucket(node.number)
        if len(bucket.nodes) >= bucket.capacity:
            weakest = max(bucket.nodes, key=lambda other: (other.fails, not other.secure, -other.heard))
            if not (weakest.fails or (node.secure and not weakest.secure)):
                bucket.spare = [spare for spare in bucket.spare if spare.subnet != node.subnet]
                bucket.spare.append(node)
                del bucket.spare[: -limits.DHT_REPLACEMENTS]
                return False
            self._remove(weakest, now, refill=False)
        bucket.nodes.append(node)
        bucket.changed = now
        self._by_address[node.contact.address] = node
        self._by_id[node.contact.id] = node
        self._by_subnet[node.subnet] = node
        return True

    def _split(self, now: float) -> bool:
        depth = len(self._buckets)
        if depth >= limits.DHT_MAX_SPLITS:
            return False
        old, new = self._buckets[-1], Bucket(depth, now)
        self._buckets.append(new)
        nodes, spare = old.nodes, old.spare
        old.nodes = [node for node in nodes if shared_bits(self._own, node.number) < depth]
        new.nodes = [node for node in nodes if shared_bits(self._own, node.number) >= depth]
        old.spare = [node for node in spare if shared_bits(self._own, node.number) < depth]
        new.spare = [node for node in spare if shared_bits(self._own, node.number) >= depth]
        # The new one may be smaller than the half that falls to it; then it is split in turn, by whoever called.
        return True

    def _remove(self, node: Node, now: float, *, refill: bool = True) -> None:
        bucket = self._bucket(node.number)
        bucket.nodes.remove(node)
        del self._by_address[node.contact.address]
        del self._by_id[node.contact.id]
        del self._by_subnet[node.subnet]
        if refill and bucket.spare:
            spares, bucket.spare = bucket.spare, []
            while spares and len(bucket.nodes) < bucket.capacity:
                spare = spares.pop()
                if spare.contact.address not in self._by_address:
                    self._insert(spare, now)
            bucket.spare = spares + bucket.spare
