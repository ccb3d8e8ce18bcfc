"""A mainline DHT node without sockets, clock and dice (BEP 5). Pure.

Feed it datagrams (``got_datagram``) and time (``tick`` at ``next_wake`` at the latest), and send what ``outgoing``
returns after each call. ``node.py`` does so on Trio, ``torrentlite.testing.dht`` with thousands on an event heap.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from .. import limits
from ..errors import ProtocolError
from ..wire.address import Address, Scope
from .budget import Budget
from .contact import ID_SIZE, Contact, household, read_contacts
from .krpc import Query, Refusal, Reply, bytes_of, encode_query, parse
from .lookup import Lookup
from .nodeid import is_secure, make_id
from .reach import Reach
from .rpc import Done, Pending, Transactions
from .search import Search
from .server import Server
from .settings import DhtSettings
from .side import Side
from .stats import Counters
from .tokens import Tokens
from .upkeep import Upkeep

NEVER: Final = float("inf")
_QUERY_SIZE: Final = 160  # bytes; what a query takes at most, but for one with an item


class Core:
    """One node, in one DHT or in both (IPv4 and IPv6).

    Args:
        families: which address families it can send to, as "is IPv6".
        settings: the owner's choices.
        rng: for choices.
        secret: gives so many random bytes: for ids, transaction ids and tokens.
        now: the time.
        ids: our ids by family, from an earlier run.
        own: addresses that are ours; nothing is sent there.

    Attributes:
        sides: by "is IPv6".
        counters: what happened so far.
        searches: lookups under way.
    """

    def __init__(
        self,
        families: Sequence[bool] = (False,),
        *,
        settings: DhtSettings | None = None,
        rng: random.Random,
        secret: Callable[[int], bytes],
        now: float,
        ids: Mapping[bool, bytes] | None = None,
        own: Iterable[Address] = (),
    ) -> None:
        self.settings = settings or DhtSettings()
        self.rng = rng
        self.counters = Counters()
        self._secret = secret
        self._own = dict.fromkeys(own)
        self.sides = {
            ipv6: Side(ipv6=ipv6, own_id=(ids or {}).get(ipv6) or make_id("", secret), rng=rng, now=now)
            for ipv6 in families
        }
        self._budget = Budget(
            total=self.settings.upload_limit,
            answers=self.settings.answer_limit,
            address=self.settings.address_limit,
            big=self.settings.big_answers,
            now=now,
        )
        self._tokens = Tokens(secret, now)
        self._server = Server(self.sides, self._tokens, self._budget)
        self._transactions = Transactions(secret)
        self._reach = Reach(self.settings.read_only, now)
        self._outgoing: list[tuple[bytes, Address]] = []
        self._heard = now  # when anything last came; while nothing does, silence is not the others' fault
        self.searches: dict[Search, None] = {}
        self._starved: float = NEVER
        self.upkeep = Upkeep(self, now)

    def __repr__(self) -> str:
        return f"<Core {' '.join(side.own_id.hex() for side in self.sides.values())}>"

    # -- in and out

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """A datagram has come."""
        if sender.is_ipv6 not in self.sides or sender.scope is Scope.FORBIDDEN or sender in self._own:
            self.counters.dropped += 1
            return
        try:
            message = parse(data)
        except ProtocolError:
            self.counters.malformed += 1
            return
        if isinstance(message, Query):
            self._got_query(message, sender, data, now)
            return
        pending = self._transactions.close(message.transaction, sender)
        if pending is None:
            self.counters.unasked += 1
            return
        self._heard = now
        if isinstance(message, Reply):
            self._got_reply(message, pending, now)
        else:
            self.counters.refusals_received += 1
            pending.done(message, now)
        self._work(now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        slow, lost = self._transactions.due(now)
        for pending in slow:
            if pending.slow is not None:
                pending.slow(now)
        for pending in lost:
            self.counters.timeouts += 1
            if self._heard >= pending.sent:
                self.sides[pending.to.is_ipv6].table.failed(pending.to, now)
            pending.done(None, now)
        self.upkeep.tick(now)
        self._work(now)

    def next_wake(self, now: float) -> float:
        """When ``tick`` has something to do, at the latest."""
        wakes = [self._transactions.next_due(), self.upkeep.next_wake(), self._starved]
        wakes += [search.wake() for search in self.searches]
        return max(now, min(wakes))

    def outgoing(self) -> list[tuple[bytes, Address]]:
        """Datagrams to send now, each returned once."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- asking

    def ask(
        self,
        to: Address,
        method: bytes,
        arguments: Mapping[bytes, object],
        now: float,
        done: Done,
        *,
        expected: bytes | None = None,
        slow: Callable[[float], object] | None = None,
    ) -> bool:
        """Send a query. False: not now (the budget is spent, too many are under way), or never (a forbidden address).

        Args:
            to: whom.
            method: ``ping`` and so on.
            arguments: without our id.
            now: the time.
            done: is told the reply.
            expected: the id that the node should have.
            slow: is told when it takes long.
        """
        side = self.sides.get(to.is_ipv6)
        if side is None or not self.may_send(to) or not self._budget.query_at(_QUERY_SIZE, now) <= now:
            return False
        transaction = self._transactions.open(to, now, done, expected=expected, slow=slow)
        if transaction is None:
            return False
        data = encode_query(transaction, side.own_id, method, arguments, read_only=self._reach.read_only(now))
        if not self._budget.query(len(data), now):
            self._transactions.close(transaction, to)
            return False
        side.table.tried(to, now)
        self._reach.sent(to)
        self.counters.queries_sent += 1
        self._send(data, to)
        return True

    def may_send(self, to: Address) -> bool:
        """Whether an address may be sent to at all: no martians, not port 0, not ourselves."""
        if to.scope is Scope.FORBIDDEN or to in self._own:
            return False
        side = self.sides.get(to.is_ipv6)
        return side is not None and not (
            side.voting.host == to.host and any(own.port == to.port for own in self._own)
        )

    def search(self, search: Search, now: float) -> Search:
        """Begin a search."""
        self.searches[search] = None
        self._work(now)
        return search

    def seeds(self, target: bytes, *, ipv6: bool) -> list[Contact]:
        """Nodes to begin a lookup with."""
        count = limits.DHT_PATHS * limits.DHT_K
        return [node.contact for node in self.sides[ipv6].table.closest(target, count)]

    def contacts(self, reply: Reply, sender: Address, *, ipv6: bool) -> list[Contact]:
        """The nodes that a reply names and that may be asked: of the sender's scope or wider, and not us."""
        data = bytes_of(reply.values, b"nodes6" if ipv6 else b"nodes")
        if not data or ipv6 not in self.sides:
            return []
        own_id = self.sides[ipv6].own_id
        scope = sender.scope
        return [
            contact
            for contact in read_contacts(data, ipv6=ipv6, most=2 * limits.DHT_K)
            if contact.address.scope >= scope and contact.id != own_id and self.may_send(contact.address)
        ]

    @property
    def read_only(self) -> bool:
        """Whether we last told others to leave us out of their tables."""
        return self.counters.read_only

    # -- inside

    def _got_query(self, query: Query, sender: Address, data: bytes, now: float) -> None:
        side = self.sides[sender.is_ipv6]
        if query.id == side.own_id:  # our own query, sent back to us
            self.counters.reflected += 1
            return
        self.counters.queries_received += 1
        self._reach.asked(sender, now)
        read_only = self.counters.read_only = self._reach.read_only(now)
        if read_only:
            return
        answer = self._server.answer(query, sender, data, now)
        if answer is None:
            self.counters.unanswered += 1
            return
        self.counters.queries_answered += 1
        self._send(answer, sender)
        contact = Contact(query.id, sender)
        if not query.read_only and not side.table.asked(contact, now):
            self.upkeep.heard_of(contact, now)

    def _got_reply(self, reply: Reply, pending: Pending, now: float) -> None:
        self.counters.replies_received += 1
        side = self.sides[pending.to.is_ipv6]
        if reply.id == side.own_id:  # an answer in our own name
            self.counters.reflected += 1
            pending.done(None, now)
            return
        side.table.answered(Contact(reply.id, pending.to), now)
        if reply.seen is not None and side.voting.vote(pending.to, reply.seen.host):
            self._moved(side, now)
        right = pending.expected is None or pending.expected == reply.id
        pending.done(reply if right else None, now)

    def _moved(self, side: Side, now: float) -> None:
        """Our external address is another one than we thought."""
        if not is_secure(side.own_id, side.voting.host) and now - side.id_since >= limits.DHT_ID_LIFE:
            side.change_id(self._secret, now)
            self.counters.id_changes += 1
            self.upkeep.look_around(side, now)

    def _work(self, now: float) -> None:
        """Let the searches go on."""
        self._starved = NEVER
        for search in list(self.searches):
            if not search.advance(now):
                self._starved = self._budget.query_at(_QUERY_SIZE, now) if self._starved == NEVER else self._starved
                self._starved = max(self._starved, now + 0.01)
            if search.ended:
                self.searches.pop(search, None)

    def _send(self, data: bytes, to: Address) -> None:
        self.counters.bytes_sent += len(data)
        self._outgoing.append((data, to))
