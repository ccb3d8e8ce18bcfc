"""Peers that were named by host name: where the name leads is looked up, and again while nobody is reached there."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Final, Protocol

import trio

from ..errors import NetworkError, TorrentError
from ..limits import MAX_NAMES_KEPT
from ..metainfo.text import display
from ..net.proxy import NamedAddress
from ..strategy.peerlist import MAGNET, RETRY, RETRY_ANEW, RETRY_NAMED
from ..wire.address import Address, Scope
from .commons import Commons
from .crew import Crew

log = logging.getLogger("torrentlite")

_OF_LINKS: Final = (*RETRY_NAMED, *RETRY[2:])


class NamesOwner(Protocol):
    """What host names of peers ask of their torrent."""

    @property
    def private(self) -> bool:
        """Whether only its trackers may name peers (BEP 27)."""

    @property
    def wants_peers(self) -> bool:
        """Whether more peers are of use."""

    def lost(self, address: Address) -> bool:
        """Whether nobody could be reached there when it was last dialled."""

    def peers_found(self, addresses: tuple[Address, ...], source: str, within: Scope) -> None:
        """Somebody named peers."""

    def retire(self, address: Address) -> None:
        """A name leads there no more."""


@dataclasses.dataclass(slots=True, eq=False)
class _Name:
    host: str
    port: int
    source: str
    within: Scope
    addresses: tuple[Address, ...] = ()
    fresh: bool = True  # somebody has named it: then its addresses are dialled at once, known or not
    under_way: bool = False
    tries: int = 0
    tried_at: float = -math.inf
    retry_at: float = -math.inf
    trouble: str = ""


class Names:
    """The host names of one torrent's peers.

    A machine may get its name, or another address, after it was named here (a name server that is not up yet, a lease
    that ran out). So a name that leads nowhere is looked up as often as an address that was named would be dialled.
    """

    def __init__(self, owner: NamesOwner, commons: Commons, crew: Crew) -> None:
        self._owner = owner
        self._commons = commons
        self._crew = crew
        self._names: dict[tuple[str, int, str], _Name] = {}

    def add(self, host: str, port: int, source: str, within: Scope) -> None:
        """A person or a link named a peer (again): look it up now."""
        name = self._names.pop((host, port, source), None) or _Name(host, port, source, within)
        self._names[host, port, source] = name
        if len(self._names) > MAX_NAMES_KEPT:
            del self._names[next(iter(self._names))]  # it is looked up if it waits for that, but not again
        name.fresh, name.tries = True, 0
        self._start(name)

    def tick(self, now: float) -> None:
        """Look up what is due."""
        for name in list(self._names.values()):
            if self._due(name) <= now:
                self._start(name)

    def next_due(self) -> float:
        """When ``tick`` has something to do, if nothing happens until then; ``math.inf`` for never."""
        return min(map(self._due, self._names.values()), default=math.inf)

    def try_again(self, now: float) -> None:
        """What kept us from finding them may be over."""
        for name in self._names.values():
            name.retry_at = min(name.retry_at, max(now, name.tried_at + RETRY_ANEW))

    @property
    def trouble(self) -> tuple[int, str]:
        """How many could not be found, and why the first could not, of those that a person named if there are any."""
        failed = [name for name in self._names.values() if name.trouble]
        failed.sort(key=lambda name: name.source == MAGNET)
        return len(failed), failed[0].trouble if failed else ""

    def _due(self, name: _Name) -> float:
        if name.under_way or not self._owner.wants_peers or not self._may_name(name):
            return math.inf
        lost = all(map(self._owner.lost, name.addresses))  # also where there are none
        return name.retry_at if lost else math.inf

    def _may_name(self, name: _Name) -> bool:
        return name.source != MAGNET or not self._owner.private

    def _start(self, name: _Name) -> None:
        if not name.under_way:
            task = self._crew.start(self._look_up, name, name=f"look up {display(name.host)}")
            name.under_way = task is not None

    async def _look_up(self, name: _Name) -> None:
        # What a person names does not wait for what a link names.
        turn = self._commons.named_in_links if name.source == MAGNET else self._commons.named_by_hand
        try:
            async with turn:
                found = await self._commons.world.network.resolve(name.host, name.port, within=name.within)
            if isinstance(found[0], NamedAddress):
                raise NetworkError("through a proxy a peer has to be named by its IP address")
        except TorrentError as error:
            level = logging.DEBUG if name.trouble == str(error) else logging.WARNING
            log.log(level, "peer %s: %s", display(name.host), error)
            name.trouble = str(error)
        else:
            name.trouble = ""
            if self._may_name(name):
                self._found(name, tuple(found))
        finally:
            waits = _OF_LINKS if name.source == MAGNET else RETRY_NAMED
            name.under_way = False
            name.tried_at = trio.current_time()
            name.retry_at = name.tried_at + waits[min(name.tries, len(waits) - 1)]
            name.tries += 1

    def _found(self, name: _Name, found: tuple[Address, ...]) -> None:
        before, name.addresses = name.addresses, found
        for address in before:
            if address not in found:
                self._owner.retire(address)
        # What led here before, and leads here still, is dialled when its time has come.
        news = tuple(address for address in found if name.fresh or address not in before)
        name.fresh = False
        if news:
            self._owner.peers_found(news, name.source, name.within)
