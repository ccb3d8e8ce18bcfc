"""A mainline DHT node without sockets, clock and dice (BEP 5). Pure.

Feed it datagrams (``got_datagram``) and time (``tick`` at ``next_wake`` at the latest), and send what ``outgoing``
returns after each call. ``node.py`` does so on Trio, ``torrentlite.testing.dht`` with thousands on an event heap.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from .. import limits
from ..errors import DhtError, ProtocolError
from ..wire.address import Address, Scope
from .budget import Budget
from .contact import Contact, read_contacts
from .krpc import Query, Refusal, Reply, bytes_of, encode_query, parse
from .nodeid import is_secure, make_id
from .reach import Reach
from .rpc import Done, Pending, Transactions
from .search import Found, Search, Store
from .server import Server
from .settings import DhtSettings
from .side import Side
from .stats import Counters, SideStats
from .tokens import Tokens
from .upkeep import Upkeep

_PAUSE: Final = 0.02  # seconds until what could not be sent is tried again, at the least
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
        now: the time of the last call.
        heard: when a reply last came; while none does, silence is not the others' fault.
        cut_off: it is ours, as it seems: since then not even who had answered last has answered.
        sides: by "is IPv6".
        upkeeps: likewise.
        counters: what happened so far.
        searches: under way.
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
        self.now = now
        self.counters = Counters()
        self._secret = secret
        self._own = dict.fromkeys(own)
        self.sides: dict[bool, Side] = {}
        for ipv6 in families:
            own_id = (ids or {}).get(ipv6) or make_id("", secret)
            self.sides[ipv6] = Side(ipv6=ipv6, own_id=own_id, rng=rng, now=now)
        self._budget = Budget(
            total=self.settings.upload_limit,
            answers=self.settings.answer_limit,
            address=self.settings.address_limit,
            big=self.settings.big_answers,
            now=now,
        )
        self._server = Server(self.sides, Tokens(secret, now), self._budget)
        self._transactions = Transactions(secret)
        self._reach = Reach(self.settings.read_only, now)
        self._outgoing: list[tuple[bytes, Address]] = []
        self.heard = now
        self.cut_off = False
        self._suspects: dict[Address, None] = {}  # who did not answer while nobody else did
        self._witness: Address | None = None  # is asked whether it was them or us
        self.searches: dict[Search, None] = {}
        self._waiting: dict[Search, float] = {}
        self.upkeeps = {ipv6: Upkeep(self, side, now) for ipv6, side in self.sides.items()}

    def __repr__(self) -> str:
        return f"<Core {' '.join(side.own_id.hex() for side in self.sides.values())}>"

    # -- in and out

    def got_datagram(self, data: bytes, sender: Address, now: float) -> None:
        """A datagram has come."""
        self.now = now
        if sender.is_ipv6 not in self.sides or not self.may_send(sender):
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
        self.heard = now
        self.cut_off = False
        if self._suspects:
            self._convict(now)
        if isinstance(message, Reply):
            self._got_reply(message, pending, now)
        else:
            self.counters.refusals_received += 1
            pending.done(message, now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        self.now = now
        slow, lost = self._transactions.due(now)
        for pending in slow:
            if pending.slow is not None and not pending.ended:
                pending.slow(now)
        for pending in lost:
            self.counters.timeouts += 1
            self._missed(pending, now)
            pending.done(None, now)
        for upkeep in self.upkeeps.values():
            upkeep.tick(now)
        for search in [search for search, until in self._waiting.items() if until <= now]:
            if self._waiting.pop(search, None) is not None:
                search.advance(now)

    def next_wake(self) -> float:
        """When ``tick`` has something to do; may be past."""
        wake = self._transactions.next_due()
        for upkeep in self.upkeeps.values():
            wake = min(wake, upkeep.next_wake())
        return min(wake, *self._waiting.values()) if self._waiting else wake

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
        self.now = now
        if not self.may_send(to):
            return False
        side = self.sides[to.is_ipv6]
        transaction = self._transactions.open(to, now, done, expected=expected, slow=slow)
        if transaction is None:
            return False
        data = encode_query(transaction, side.own_id, method, arguments, read_only=self._reach.read_only(now))
        if not self._budget.query(len(data), now):
            self._transactions.close(transaction, to)
            return False
        side.table.tried(to, now)
        self._reach.sent(to, now)
        self.counters.queries_sent += 1
        self._send(data, to)
        return True

    def may_send(self, to: Address) -> bool:
        """Whether an address may be sent to at all: no martians, not port 0, not ourselves."""
        side = self.sides.get(to.is_ipv6)
        if side is None or to.scope is Scope.FORBIDDEN or to in self._own:
            return False
        return not (to.host == side.voting.host and any(to.port == own.port for own in self._own))

    @property
    def full(self) -> bool:
        """Whether there are as many searches as there may be by themselves; the other half is for the owner."""
        return len(self.searches) >= limits.DHT_MAX_LOOKUPS // 2

    def search(
        self,
        target: bytes,
        method: bytes,
        arguments: Mapping[bytes, object],
        now: float,
        *,
        ipv6: bool = False,
        seeds: Iterable[Contact] = (),
        found: Found | None = None,
        store: Store | None = None,
        end: Callable[[Search], object] | None = None,
    ) -> Search:
        """Begin a search in one of the two DHTs; see ``Search`` for the arguments.

        Raises:
            DhtError: too many are under way.
        """
        self.now = now
        if len(self.searches) >= limits.DHT_MAX_LOOKUPS:
            raise DhtError("too many lookups are under way")
        table = self.sides[ipv6].table
        nearest = table.closest(target, limits.DHT_PATHS * limits.DHT_K)
        if len(nearest) < limits.DHT_K:  # so few that even those are of use which did not answer the last time
            nearest += [node for node in table if node.fails][: limits.DHT_K]
        known = [*(node.contact for node in nearest), *seeds]
        search = Search(
            self, target, method, arguments, seeds=known, now=now, ipv6=ipv6, found=found, store=store, end=end
        )
        self.searches[search] = None
        search.advance(now)
        return search

    def wait(self, search: Search, until: float | None) -> None:
        """Call the search's ``advance`` then; None: as soon as a query may be sent."""
        if until is None:
            until = max(self._budget.query_at(_QUERY_SIZE, self.now), self.now + _PAUSE)
        self._waiting[search] = until

    def ended(self, search: Search) -> None:
        """A search has ended."""
        self.searches.pop(search, None)
        self._waiting.pop(search, None)

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

    # -- looking

    @property
    def read_only(self) -> bool:
        """Whether we answer nobody and ask to be left out of tables (BEP 43)."""
        return self._reach.read_only(self.now)

    @property
    def pending(self) -> int:
        """Queries without answer."""
        return len(self._transactions)

    def stats(self) -> tuple[Counters, tuple[SideStats, ...]]:
        """What happened, and how both halves are."""
        sides = []
        for ipv6, side in self.sides.items():
            nodes = list(side.table)
            sides.append(
                SideStats(
                    ipv6=ipv6,
                    id=side.own_id,
                    nodes=len(nodes),
                    good=sum(node.good(self.now) for node in nodes),
                    secure=sum(node.secure for node in nodes),
                    buckets=len(side.table.buckets),
                    joined=self.upkeeps[ipv6].joined,
                    external=side.voting.host,
                    torrents=len(side.peers),
                    peers=side.peers.peers,
                    items=len(side.items),
                )
            )
        return dataclasses.replace(self.counters), tuple(sides)

    # -- inside

    def _got_query(self, query: Query, sender: Address, data: bytes, now: float) -> None:
        side = self.sides[sender.is_ipv6]
        if self._mirrored(query.id, side):
            self.counters.reflected += 1
            return
        self.counters.queries_received += 1
        self.counters.strangers += self._reach.asked(sender, now)
        if self._reach.read_only(now):
            return
        answer = self._server.answer(query, sender, data, now)
        if answer is None:
            self.counters.unanswered += 1
            return
        self.counters.queries_answered += 1
        self._send(answer, sender)
        contact = Contact(query.id, sender)
        if query.read_only:
            side.table.doubt(contact)
        elif not side.table.asked(contact, now):
            self.upkeeps[side.ipv6].heard_of(contact, now)

    def _got_reply(self, reply: Reply, pending: Pending, now: float) -> None:
        self.counters.replies_received += 1
        side = self.sides[pending.to.is_ipv6]
        if self._mirrored(reply.id, side):
            self.counters.reflected += 1
            pending.done(None, now)
            return
        side.table.answered(Contact(reply.id, pending.to), now)
        if reply.seen is not None and side.voting.vote(pending.to, reply.seen.host):
            self._moved(side, now)
        right = pending.expected is None or pending.expected == reply.id
        pending.done(reply if right else None, now)

    def _missed(self, pending: Pending, now: float) -> None:
        """A node did not answer: its failure, unless nobody has answered since. Then somebody else is asked first."""
        table = self.sides[pending.to.is_ipv6].table
        if self.heard > pending.sent:
            table.failed(pending.to, now)
        elif pending.to == self._witness:  # it was us, as it seems
            self._witness = None
            self.cut_off = True
            self._suspects.clear()
        elif table.find(pending.to) is not None:
            self._suspects[pending.to] = None
            others = [node for node in table if node.contact.address not in self._suspects]
            if self._witness is None and others:
                self._witness = max(others, key=lambda node: node.heard).contact.address
                if not self.ask(self._witness, b"ping", {}, now, _ignore):
                    self._witness = None

    def _convict(self, now: float) -> None:
        for address in self._suspects:
            self.sides[address.is_ipv6].table.failed(address, now)
        self._suspects.clear()
        self._witness = None

    @staticmethod
    def _mirrored(node_id: bytes, side: Side) -> bool:
        """Whether this is our own query sent back to us, or an answer in our own name."""
        return node_id == side.own_id

    def _moved(self, side: Side, now: float) -> None:
        """Our external address is another one than we thought."""
        if not is_secure(side.own_id, side.voting.host) and now - side.id_since >= limits.DHT_ID_LIFE:
            side.change_id(self._secret, now)
            self.counters.id_changes += 1
            self.upkeeps[side.ipv6].join_soon(now)

    def _send(self, data: bytes, to: Address) -> None:
        self.counters.bytes_sent += len(data)
        self._outgoing.append((data, to))


def _ignore(reply: Reply | Refusal | None, now: float) -> None:
    pass
