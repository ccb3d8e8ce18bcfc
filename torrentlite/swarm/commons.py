"""What the torrents of one session share: budgets, dice, the port, the outside."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import trio

from ..limits import DOWNLOAD_BURST, HAND_NAMES_AT_ONCE, MAX_OWN_ADDRESSES, NAMES_AT_ONCE, READ_BUFFERS_KEPT
from ..settings import Settings
from ..stats import PortMapStats
from ..storage.slab import fresh_buffers
from ..strategy.encryption import EncryptionPolicy
from ..strategy.memory import PieceMemory
from ..strategy.naps import Naps
from ..strategy.rate import RateMeter, TokenBucket
from ..strategy.transport import TransportPolicy
from ..tracker.client import TrackerClient
from ..utp.port import Utp
from ..wire.address import Address, Scope
from .batch import Batch
from .crew import Crew
from .dht import Dht
from .door import Door
from .lsd import Lsd
from .outage import Outage
from .world import World

if TYPE_CHECKING:
    from .life import Life

log = logging.getLogger("torrentlite")


class Commons:
    """Shared by the torrents of a session; nobody's decisions are made here.

    Attributes:
        connected: connected peers, all torrents.
        dht: the session's DHT node, or None.
        lsd: its local discovery, or None.
        port_map: what the gateway does for us.
        loopback: whether the session is bound to loopback.
        encryption: which connections are encrypted.
        outage: whether it is our own network that is away.
        transport: which of them are over UDP.
        utp: those, or None.
        naps: which torrents the session's tick visits.
        door: who knocks at a peer's door waits for its turn there.
        named_in_links, named_by_hand: let so many names of peers be looked up at once, all torrents.
        half_open: connection attempts under way, all torrents.
        knocking: calls under way to those who may be behind a router, all torrents.
        punching: those because of a word of peers (BEP 55).
        web_fetches: connections to web seeds, all torrents.
        own_addresses: where we listen.
        mapped_address: the gateway's address and port that lead to us, or None.
        heard_at: when a peer or a web seed last sent anything.
        internal_errors: bugs of ours that were contained.
        closed_at: when the session had been left, on Trio's clock; None before.
    """

    def __init__(
        self,
        world: World,
        settings: Settings,
        nursery: trio.Nursery,
        peer_id: bytes,
        trackers: TrackerClient,
        port: int,
        user_agent: str,
        *,
        loopback: bool,
    ) -> None:
        now = trio.current_time()
        self.world = world
        self.settings = settings
        self.nursery = nursery
        self.peer_id = peer_id
        self.trackers = trackers
        self.port = port
        self.user_agent = user_agent
        self.memory = PieceMemory(settings.piece_memory, fresh_buffers)
        self.up_bucket = TokenBucket(settings.upload_limit, now)
        self.down_bucket = TokenBucket(settings.download_limit, now, burst=DOWNLOAD_BURST)
        self.up_meter = RateMeter()
        self.down_meter = RateMeter()
        self.loopback = loopback
        self.encryption = EncryptionPolicy(settings.encryption)
        self.transport = TransportPolicy(settings.utp)
        self.utp: Utp | None = None
        self.dht: Dht | None = None
        self.lsd: Lsd | None = None
        self.port_map = PortMapStats()
        self.outage = Outage(world, now)
        self.naps: Naps[Life] = Naps()
        self.door = Door()
        self.named_in_links = trio.CapacityLimiter(NAMES_AT_ONCE)
        self.named_by_hand = trio.CapacityLimiter(HAND_NAMES_AT_ONCE)
        self.own_addresses: dict[Address, None] = {}
        self.mapped_address: Address | None = None
        self.connected = 0
        self.half_open = 0
        self.knocking = 0
        self.punching = 0
        self.web_fetches = 0
        self.heard_at = now
        self.internal_errors = 0
        self.closed_at: float | None = None
        self._leaving: dict[bytes, list[trio.Event]] = {}
        self._met: dict[Address, None] = {}
        self._per_ip: dict[str, int] = {}
        self._batches: list[Batch] = []

    @property
    def public_port(self) -> int:
        """Where peers on the Internet can call us: the gateway's port that leads to ours, or our own."""
        return self.port_map.tcp_port or self.port

    def port_for(self, peer: Address) -> int:
        """Where this peer can call us."""
        return self.public_port if peer.scope is Scope.PUBLIC else self.port

    def udp_port_for(self, peer: Address) -> int:
        """The same for datagrams."""
        return self.port_map.udp_port or self.port if peer.scope is Scope.PUBLIC else self.port

    def met_ourselves(self, address: Address) -> None:
        """A connection to this address ended at ourselves. So it seems: who repeats our handshake looks the same."""
        self._met[address] = None
        if len(self._met) > MAX_OWN_ADDRESSES:
            del self._met[next(iter(self._met))]

    def is_ours(self, address: Address) -> bool:
        """Whether there is nobody but us at this address."""
        return address in self.own_addresses or address in self._met or address == self.mapped_address

    def crew(self, started: Callable[[], None] | None = None) -> Crew:
        """A new group of tasks in the session's nursery; see there."""
        return Crew(self.nursery, self.report, started)

    def now(self) -> float:
        """The time on Trio's clock. It ends with the session: a look must not need a loop that may be gone."""
        return trio.current_time() if self.closed_at is None else self.closed_at

    def report(self, name: str, error: Exception) -> None:
        """A bug of ours was contained in one task: say so loudly, count it."""
        self.internal_errors += 1
        log.error("internal error in %s", name, exc_info=error)

    @contextlib.asynccontextmanager
    async def leaving(self, info_hash: bytes) -> AsyncIterator[None]:
        """While a torrent that was removed lets go of its files."""
        gone = trio.Event()
        self._leaving.setdefault(info_hash, []).append(gone)
        try:
            yield
        finally:
            self._leaving[info_hash].remove(gone)
            if not self._leaving[info_hash]:
                del self._leaving[info_hash]
            gone.set()

    async def wait_gone(self, info_hash: bytes) -> None:
        """Wait until whoever had these files before has let go of them."""
        while info_hash in self._leaving:
            await self._leaving[info_hash][0].wait()

    def joined(self, host: str) -> None:
        """A peer of this address is connected."""
        self.connected += 1
        self._per_ip[host] = self._per_ip.get(host, 0) + 1

    def left(self, host: str) -> None:
        """A peer of this address is gone."""
        self.connected -= 1
        count = self._per_ip[host] - 1
        if count:
            self._per_ip[host] = count
        else:
            del self._per_ip[host]

    def connections_from(self, host: str) -> int:
        """Connected peers of this address."""
        return self._per_ip.get(host, 0)

    def borrow_batch(self) -> Batch:
        """Room for blocks on their way up."""
        return self._batches.pop() if self._batches else Batch()

    def return_batch(self, batch: Batch) -> None:
        """Give the room back."""
        if len(self._batches) < READ_BUFFERS_KEPT:
            self._batches.append(batch)
