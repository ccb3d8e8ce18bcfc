"""A DHT node on Trio: the core with a clock, sockets and dice."""

from __future__ import annotations

import itertools
import logging
import math
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import trio

from .. import limits
from ..errors import DhtError, NetworkError
from ..net.network import Network, RealNetwork
from ..wire.address import Address, Scope
from . import signing
from .contact import Contact
from .core import Core
from .errand import Errand, ItemErrand, PeersErrand, Samples, Scrape, ScrapeErrand, samples_of
from .item import Item, Signer, make_item, sign_item
from .krpc import Refusal, Reply
from .peersearch import PeerSearch
from .settings import DhtSettings
from .state import SavedState, save
from .stats import NodeStats

log = logging.getLogger("torrentlite.dht")
log.addHandler(logging.NullHandler())  # else Python itself prints warnings

_PAUSE_AFTER_BUG: Final = 1.0
_LAST: Final = itertools.repeat(limits.DHT_JOIN_RETRY[-1])


class Announced(NamedTuple):
    """What came of an announce."""

    nodes: int
    """Nodes that have stored it."""
    peers: tuple[Address, ...]
    """Peers that were met on the way."""


class Node:
    """A node that is given its datagrams; ``open_node`` makes one with sockets of its own.

    While ``run`` runs, it sees to itself. A session, whose socket serves others too, passes what begins with ``d`` to
    ``got_datagram``.

    Args:
        send: sends a datagram at once; what it returns does not matter.
        families: the address families that ``send`` reaches, as "is IPv6".
        settings: choices; None for the defaults.
        rng: for choices; None for one of its own.
        secret: ``secret(n)`` gives n unpredictable bytes.
        saved: what an earlier run left.
        own: addresses that ``send`` sends from.
        network: looks up names; None: the real one.

    Attributes:
        internal_errors: bugs of ours that were contained.
    """

    def __init__(
        self,
        send: Callable[[bytes, Address], object],
        families: Sequence[bool] = (False,),
        *,
        settings: DhtSettings | None = None,
        rng: random.Random | None = None,
        secret: Callable[[int], bytes] = os.urandom,
        saved: SavedState | None = None,
        own: Iterable[Address] = (),
        network: Network | None = None,
    ) -> None:
        now = trio.current_time()
        saved = saved or SavedState()
        self._send = send
        self._own = tuple(own)
        self._network = network or RealNetwork()
        self._core = Core(
            families,
            settings=settings,
            rng=rng or random.Random(os.urandom(16)),
            secret=secret,
            now=now,
            ids=saved.ids,
            own=self._own,
        )
        self._changed = trio.Event()
        self._sleep: trio.CancelScope | None = None
        self._wake = math.inf
        self.internal_errors = 0
        for ipv6, contacts in saved.nodes.items():
            if ipv6 in self._core.upkeeps and contacts:
                self._core.upkeeps[ipv6].add_contacts(contacts, now)

    def __repr__(self) -> str:
        return f"<Node {self._core!r}>"

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See to everything that time brings, until cancelled."""
        task_status.started()
        while True:
            if not self._guarded(self._core.tick):
                await trio.sleep(_PAUSE_AFTER_BUG)
            self._wake = self._core.next_wake()
            with trio.CancelScope(deadline=self._wake) as self._sleep:
                try:
                    await trio.sleep_forever()
                finally:
                    self._sleep = None

    def got_datagram(self, data: bytes, sender: Address) -> None:
        """A datagram has come. Whatever is in it, nothing is raised."""
        self._guarded(self._core.got_datagram, data, sender)

    def got_datagrams(self, received: Iterable[tuple[bytes, Address]]) -> None:
        """The same for several that were read together, which is a little cheaper."""
        for data, sender in received:
            self._contained(self._core.got_datagram, data, sender)
        self._flush()

    async def run_bootstrap(self, routers: Iterable[tuple[str, int]]) -> None:
        """Ask the routers for help whenever nobody else does, until cancelled: also when everybody known has gone."""
        routers = tuple(routers)
        while True:
            for pause in itertools.chain((limits.DHT_ROUTERS_AFTER,), limits.DHT_JOIN_RETRY, _LAST):
                with trio.move_on_after(pause):
                    await self.wait_joined()
                    break
                async with trio.open_nursery() as nursery:
                    for host, port in routers:
                        nursery.start_soon(self._add_quietly, host, port)
            await self._until(lambda: not self.joined)

    # -- wishes

    def add_node(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> None:
        """There may be a node there (a PORT message, a saved one). It counts once it has answered.

        Args:
            address: where.
            within: the scope of whoever says so; an address of narrower scope is left alone.
        """
        upkeep = self._core.upkeeps.get(address.is_ipv6)
        if upkeep is not None and address.scope >= within and self._core.may_send(address):
            self._guarded(lambda now: upkeep.add_address(address, now))

    async def add_host(self, host: str, port: int, *, within: Scope = Scope.LOOPBACK) -> None:
        """The same for a host name (``nodes`` of a .torrent, what a person types).

        Raises:
            NetworkError: there is no such host, or not within that scope.
        """
        for address in await self._network.resolve(host, port, within=within):
            self.add_node(address, within=within)

    # -- waits

    async def wait_joined(self) -> None:
        """Wait until the node has found its neighbours, in one of its families at least."""
        await self._until(lambda: any(upkeep.joined for upkeep in self._core.upkeeps.values()))

    def get_peers(
        self,
        info_hash: bytes,
        *,
        no_seeds: bool = False,
        port: int | None = None,
        seed: bool = False,
        implied_port: bool = False,
    ) -> PeerSearch:
        """Look for peers of a torrent. ``await`` it for all of them, or take them as they come by ``async for``.

        Args:
            info_hash: 20 bytes.
            no_seeds: peers that lack something (BEP 33), as far as nodes care.
            port: announce one as well, as ``announce_peer`` does, with the nodes that were found; None: only look.
            seed: of what is announced.
            implied_port: likewise; see ``announce_peer``.

        Raises:
            ValueError: not 20 bytes, or no port.
        """
        errand = PeersErrand(info_hash, no_seeds=no_seeds, port=port, seed=seed, implied=implied_port)
        return PeerSearch(errand, self._begin_joined)

    async def announce_peer(
        self, info_hash: bytes, port: int, *, seed: bool = False, implied_port: bool = False
    ) -> Announced:
        """Tell the nodes nearest to it that a torrent is to be had here, and look for other peers by the way.

        Nodes forget it after half an hour or so: repeat it every 15 minutes.

        Args:
            info_hash: 20 bytes.
            port: where this peer listens.
            seed: it has everything (BEP 33).
            implied_port: it listens on the port that our datagrams come from, whatever a NAT makes of it.

        Raises:
            ValueError: not 20 bytes, or no port.
        """
        errand = PeersErrand(info_hash, port=port, seed=seed, implied=implied_port)
        await self._do(errand)
        return Announced(len(errand.stored), tuple(errand.peers))

    async def scrape(self, info_hash: bytes) -> Scrape:
        """About how many seeds and other peers a torrent has (BEP 33)."""
        errand = ScrapeErrand(info_hash)
        await self._do(errand)
        return errand.result()

    async def find_node(self, target: bytes) -> list[Contact]:
        """The nodes nearest to a target, nearest first in each family."""
        errand = Errand(target)
        await self._do(errand)
        return [candidate.contact for candidate in errand.nearest]

    async def get(self, target: bytes) -> Item | None:
        """The item stored there (BEP 44), immutable or mutable without salt; None where nobody has it."""
        errand = ItemErrand(target=target)
        await self._do(errand)
        return errand.item

    async def get_mutable(self, key: bytes, *, salt: bytes = b"") -> Item | None:
        """The newest of an owner's items (BEP 44); None where nobody has it.

        Args:
            key: the owner's public key, 32 bytes.
            salt: which of the owner's items.

        Raises:
            DhtError: the ``cryptography`` package is not installed.
        """
        _need_signatures()
        errand = ItemErrand(key=key, salt=salt)
        await self._do(errand)
        return errand.item

    async def put(self, value: object) -> Item:
        """Store an immutable value (BEP 44) and return it as an item, whose ``target`` finds it again.

        Nodes forget it after two hours: ``put_item`` it once an hour.

        Args:
            value: anything that bencoding can say, at most 1,000 bytes so.

        Raises:
            DhtError: the value is too large, or no node took it.
        """
        item = make_item(value)
        await self.put_item(item)
        return item

    async def put_mutable(
        self, value: object, signer: Signer, *, salt: bytes = b"", cas: bool = False, sequence: int = 1
    ) -> Item:
        """Store a value as the newest of the signer's (BEP 44), with a sequence number above what was found.

        Args:
            value: anything that bencoding can say, at most 1,000 bytes so.
            signer: a ``signing.SigningKey``, or who else can sign.
            salt: which of the signer's items, at most 64 bytes.
            cas: nodes replace only what was found there; whoever else stored something meanwhile is not overwritten.
            sequence: the number that it has at least. The time in seconds makes it newer than all before: what nodes
                have forgotten anybody can store again who has kept it, and the greater number counts.

        Raises:
            DhtError: the value is too large, or no node took it (with ``cas`` perhaps because it has another by now).
        """
        _need_signatures()
        sign_item(value, signer, sequence, salt)  # complain now, not in the middle

        def make(found: Item | None) -> Item:
            above = min(found.sequence + 1, limits.DHT_MAX_SEQ) if found is not None else 0
            return sign_item(value, signer, max(above, sequence), salt)

        errand = ItemErrand(key=signer.public, salt=salt, make=make, cas=cas)
        await self._do(errand)
        return _stored(errand)

    async def put_item(self, item: Item) -> int:
        """Store an item as it is, also somebody else's, to keep it alive. Returns how many nodes took it.

        Raises:
            DhtError: no node took it.
        """
        errand = ItemErrand.storing(item)
        await self._do(errand)
        _stored(errand)
        return len(errand.stored)

    async def keep_mutable(self, item: Item, signer: Signer) -> Item:
        """Store an item of the signer's again, or what he has put in its place meanwhile; returns which of them.

        Where two have the same number (he has put both at once), the one with the greater value stays, with the next
        number: of two with the same nodes would keep whichever came first.

        Raises:
            DhtError: no node took it.
        """

        def newest(found: Item | None) -> Item:
            if found is None or found.sequence < item.sequence:
                return item
            if found.sequence > item.sequence or found.encoded == item.encoded or item.sequence == limits.DHT_MAX_SEQ:
                return found
            value = max(found, item, key=lambda each: each.encoded).value
            return sign_item(value, signer, item.sequence + 1, item.salt)

        errand = ItemErrand(key=item.key, salt=item.salt, make=newest)
        await self._do(errand)
        return _stored(errand)

    async def ping(self, address: Address) -> bytes:
        """Ask a node whether it is there; its id.

        Raises:
            DhtError: no answer.
        """
        return (await self._ask(address, b"ping", {})).id

    async def sample_infohashes(self, address: Address, target: bytes) -> Samples:
        """Ask a node for some of the info-hashes that it stores peers for (BEP 51).

        Args:
            address: the node.
            target: it also names the nodes that it knows nearest to this.

        Raises:
            DhtError: no answer, or it does not know the question.
        """
        reply = await self._ask(address, b"sample_infohashes", {b"target": target})
        return samples_of(reply, self._core.contacts(reply, address, ipv6=address.is_ipv6))

    # -- looks

    @property
    def ids(self) -> dict[bool, bytes]:
        """Our ids, by "is IPv6"."""
        return {ipv6: side.own_id for ipv6, side in self._core.sides.items()}

    @property
    def joined(self) -> bool:
        """Whether it has found its neighbours, in one of its families at least."""
        return any(upkeep.joined for upkeep in self._core.upkeeps.values())

    @property
    def heard_at(self) -> float:
        """When a node last answered us, on Trio's clock; at first when it was made."""
        return self._core.heard

    @property
    def cut_off(self) -> bool:
        """Whether nobody has answered since, as it seems because of our network."""
        return self._core.cut_off

    @property
    def external_hosts(self) -> tuple[str, ...]:
        """Our IP addresses as several nodes see them (BEP 42), one of each family at most."""
        return tuple(side.voting.host for side in self._core.sides.values() if side.voting.host)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it receives."""
        return self._own

    def nodes(self, *, ipv6: bool = False) -> list[Contact]:
        """The nodes in a routing table."""
        side = self._core.sides.get(ipv6)
        return [node.contact for node in side.table] if side is not None else []

    def stats(self) -> NodeStats:
        """A snapshot."""
        counters, sides = self._core.stats()
        return NodeStats(
            addresses=self._own,
            sides=sides,
            searches=len(self._core.searches),
            pending=self._core.pending,
            read_only=self._core.read_only,
            counters=counters,
            internal_errors=self.internal_errors,
        )

    def save(self) -> bytes:
        """Ids and nodes, for ``state.load``."""
        return save(self._core)

    # -- inside

    def _guarded(self, call: Callable[..., object], *args: object) -> bool:
        """Let the core do something, and send what it has to send. False: that was a bug of ours."""
        done = self._contained(call, *args)
        self._flush()
        return done

    def _contained(self, call: Callable[..., object], *args: object) -> bool:
        try:
            call(*args, trio.current_time())
        except Exception as error:
            self.internal_errors += 1
            log.error("a bug of ours", exc_info=error)
            return False
        return True

    def _flush(self) -> None:
        for data, to in self._core.outgoing():
            self._send(data, to)
        wake = self._core.next_wake()
        if wake < self._wake and self._sleep is not None:
            self._wake = self._sleep.deadline = wake
        if any(upkeep.news for upkeep in self._core.upkeeps.values()):
            for upkeep in self._core.upkeeps.values():
                upkeep.news = False
            self._changed.set()
            self._changed = trio.Event()

    async def _until(self, holds: Callable[[], bool]) -> None:
        await trio.lowlevel.checkpoint()
        while not holds():
            await self._changed.wait()

    async def _do(self, errand: Errand) -> None:
        """Run an errand to its end; it is stopped when the wait for it is cancelled."""
        await self.wait_joined()
        over = trio.Event()
        errand.news = lambda: over.set() if errand.over else None
        self._begin(errand)
        try:
            await over.wait()
        finally:
            errand.stop()

    async def _begin_joined(self, errand: Errand) -> None:
        await self.wait_joined()
        if not errand.over:
            self._begin(errand)

    def _begin(self, errand: Errand) -> None:
        """Raises DhtError where too many lookups are under way."""
        try:
            errand.start(self._core, trio.current_time())
        finally:
            self._flush()

    async def _ask(self, address: Address, method: bytes, arguments: Mapping[bytes, object]) -> Reply:
        answered = trio.Event()
        result: Reply | Refusal | None = None

        def done(reply: Reply | Refusal | None, now: float) -> None:
            nonlocal result
            result = reply
            answered.set()

        sent = self._core.ask(address, method, arguments, trio.current_time(), done)
        self._flush()
        if not sent:
            raise DhtError(f"{address} cannot be asked now")
        await answered.wait()
        if isinstance(result, Reply):
            return result
        raise DhtError(f"{address} {'refuses' if isinstance(result, Refusal) else 'does not answer'}")

    async def _add_quietly(self, host: str, port: int) -> None:
        try:
            await self.add_host(host, port)
        except NetworkError as error:
            log.debug("router: %s", error)


def _need_signatures() -> None:
    if not signing.available():
        raise signing.missing()


def _stored(errand: ItemErrand) -> Item:
    """The item that was stored; DhtError where none was."""
    if errand.stored and errand.made is not None:
        return errand.made
    why = ", ".join(sorted({str(refusal.code) for refusal in errand.refusals}))
    raise DhtError(f"no node has stored it{f' (refused: {why})' if why else ''}")
