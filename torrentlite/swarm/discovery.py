"""Where peers come from: the torrent's trackers, the DHT, and who named them by hand or in a link."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from ..errors import TorrentError
from ..limits import LEFT_UNKNOWN, NUMWANT, STOP_TIMEOUT
from ..metainfo.info import Info
from ..metainfo.mutable import MutableLink
from ..stats import SourceStats
from ..tracker.announce import AnnounceRequest
from ..tracker.redact import redact
from ..tracker.tiers import Tiers, TrackerEntry
from ..wire.address import Address, Scope, parse_host
from .commons import Commons
from .crew import Crew
from .dhtsearch import DhtSearch, DhtSearchOwner
from .names import Names, NamesOwner
from .publishing import Publication

log = logging.getLogger("torrentlite")


NO_PORT: Final = 1
"""What trackers are told where nobody can call us: many refuse 0, and nobody takes calls at this one."""


def check_port(port: int) -> int:
    """The port of a peer that a person names.

    Raises:
        ValueError: it is not between 1 and 65535.
    """
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port of a peer")
    return port


class DiscoveryOwner(DhtSearchOwner, NamesOwner, Protocol):
    """What discovery asks of its torrent: what the DHT search and the names of peers ask, and this."""

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """Bytes uploaded, downloaded and left (None: not known before the metadata)."""

    def named_by(self, source: str) -> int:
        """Peers that this source was the first to name."""

    def try_again(self, *, wished: bool) -> None:
        """Who could not be reached may be reached now: a person wishes it, or our network may be back."""

    def tracker_replied(self, url: str, ok: bool, message: str, peers: int) -> None:
        """A tracker answered, or failed to."""

    def tracker_switched(self) -> None:
        """Another tracker of a private torrent is in charge."""


class Discovery:
    """Announces one torrent to its trackers when they are due, each announce a short task; and has the DHT asked.

    Neither waits for the other, and neither is needed.
    """

    def __init__(self, owner: DiscoveryOwner, tiers: Tiers, commons: Commons, crew: Crew) -> None:
        self._owner = owner
        self.tiers = tiers
        self._commons = commons
        self._crew = crew
        self.names = Names(owner, commons, crew)
        self._dht = DhtSearch(owner, commons.dht, crew) if commons.dht is not None else None
        self._published: dict[MutableLink, Publication] = {}
        self._active = self._paused = False
        self._key = int.from_bytes(commons.world.secret(4), "big")

    def add_named(self, host: str, port: int, source: str, within: Scope) -> None:
        """A person or a link named a peer by address or host name."""
        literal = parse_host(host)
        if literal is not None:
            self._owner.peers_found((Address(literal, port),), source, within)
        else:
            self.names.add(host, port, source, within)

    def follow(self, *, active: bool) -> None:
        """The torrent's state has changed; ``active``: it looks for peers, or wants to be found."""
        self._active = active
        self._paused &= not active
        open_to_all = active and not self._owner.private
        if self._commons.lsd is not None:
            self._commons.lsd.follow(self._owner.info_hash_bytes, active=open_to_all)
        if self._dht is None:
            return
        if open_to_all:
            self._dht.want(trio.current_time())
        else:
            self._dht.stop()

    def announce_now(self, now: float) -> None:
        """Ask, tell and dial everybody as soon as may be: a person wants it."""
        self.tiers.announce_now(now)
        if self._dht is not None:
            self._dht.ask_again(now)
        self.names.try_again(now)
        self._owner.try_again(wished=True)

    async def publish(self, info: Info, key: bytes, salt: bytes) -> MutableLink:
        """See ``Torrent.publish``."""
        publication = Publication(info, key, salt, self._commons.dht, self._commons.world.wall)
        await publication.put(self._crew)
        before = self._published.get(publication.link)
        if before is not None:
            before.end()
        self._published[publication.link] = publication
        return publication.link

    def left_alone(self, now: float) -> None:
        """The last peer is gone."""
        if self._dht is not None:
            self._dht.alone(now)

    def moved(self, now: float) -> None:
        """The same where peers have to call us elsewhere, or have forgotten us: what was told counts no more."""
        if self._dht is not None:
            self._dht.forget()
        self.announce_now(now)

    def back(self, now: float) -> None:
        """Our network may have been away: who could not be reached is worth an attempt."""
        self.tiers.try_again(now)
        if self._dht is not None:
            self._dht.try_again(now)
        self.names.try_again(now)
        self._owner.try_again(wished=False)

    def sources(self, now: float) -> list[SourceStats]:
        """What besides trackers named peers."""
        rows = [self._dht.stats(now)] if self._dht is not None else []
        for source, on in (("lsd", self._commons.lsd is not None), ("pex", self._commons.settings.pex)):
            if on:
                state = "off" if self._owner.private or not self._active else "ok"
                rows.append(SourceStats(source, state, "", self._owner.named_by(source), -1))
        return rows

    def tick(self, now: float) -> None:
        """Start what is due."""
        self.names.tick(now)
        for entry in self.tiers.due(now):
            self.tiers.started(entry, now)
            self._crew.start(self._announce, entry, self.tiers.event(entry), name=f"announce to {redact(entry.url)}")

    def next_due(self) -> float:
        """When ``tick`` has something to do, if nothing happens until then; ``math.inf`` for never."""
        return min(self.tiers.next_due(), self.names.next_due())

    def _request(self, event: str, entry: TrackerEntry) -> AnnounceRequest:
        uploaded, downloaded, left = self._owner.counts
        return AnnounceRequest(
            info_hash=self._owner.info_hash_bytes,
            peer_id=self._commons.peer_id,
            port=self._commons.public_port or NO_PORT,
            uploaded=uploaded,
            downloaded=downloaded,
            left=LEFT_UNKNOWN if left is None else left,
            event=event,
            key=self._key,
            numwant=0 if event == "stopped" or not self._owner.wants_peers else NUMWANT,
            tracker_id=entry.tracker_id,
        )

    async def _announce(self, entry: TrackerEntry, event: str) -> None:
        url = redact(entry.url)
        try:
            reply = await self._commons.trackers.announce(entry.url, self._request(event, entry), within=entry.within)
            self._commons.outage.heard(trio.current_time())
            if self.tiers.succeeded(entry, reply, trio.current_time()):
                self._owner.tracker_switched()
            self._owner.tracker_replied(url, True, reply.warning, len(reply.peers))
            self._owner.peers_found(reply.peers, "tracker", reply.scope)
        except TorrentError as error:
            log.info("tracker %s: %s", url, error)
            if entry.started and not entry.failures:
                self._commons.outage.missed(trio.current_time())
            self.tiers.failed(entry, str(error), trio.current_time())
            self._owner.tracker_replied(url, False, str(error), 0)
        except BaseException:  # cancelled, or a bug of ours: it is asked again soon, and not for ever under way
            self.tiers.failed(entry, "interrupted", trio.current_time())
            raise
        if self._paused and entry.started:
            await self._say_stopped(self._stopping([entry]))

    def pause(self) -> None:
        """Have ``stopped`` said to those who know that we are here, or will when the announce under way is over."""
        self._paused = True
        self._crew.start(self._say_stopped, self._stopping(self.tiers.to_stop()), name="say stopped")

    def leave(self) -> Callable[[], Awaitable[None]]:
        """What says ``stopped`` to those who know that we are here, or may: announces are about to be cancelled."""
        entries = self.tiers.to_stop() + self.tiers.interrupted(trio.current_time())
        return functools.partial(self._say_stopped, entries)

    def _stopping(self, entries: list[TrackerEntry]) -> list[TrackerEntry]:
        for entry in entries:
            self.tiers.stopping(entry, trio.current_time())
        return entries

    async def _say_stopped(self, entries: list[TrackerEntry]) -> None:
        """All at once, within STOP_TIMEOUT seconds."""

        async def goodbye(entry: TrackerEntry) -> None:
            try:
                await self._commons.trackers.announce(entry.url, self._request("stopped", entry), within=entry.within)
            except TorrentError as error:
                log.info("tracker %s at stop: %s", redact(entry.url), error)
            except Exception as error:  # a bug of ours that this tracker has met: the others must hear of it too
                self._commons.report(f"stop at {redact(entry.url)}", error)

        with trio.move_on_after(STOP_TIMEOUT):
            async with trio.open_nursery() as nursery:
                for entry in entries:
                    nursery.start_soon(goodbye, entry, name=f"say stopped to {redact(entry.url)}")
        for entry in entries:
            self.tiers.stopped(entry)
