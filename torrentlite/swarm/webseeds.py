"""The web seeds of one torrent: which are fetched from, over how many connections, and what becomes of failures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from .. import limits
from ..errors import NetworkError
from ..events import WebSeedFailed
from ..stats import WebSeedStats
from ..strategy.rate import TokenBucket
from ..wire.address import Scope
from .pieces import Pieces
from .webseed import WebSeed, key_for

if TYPE_CHECKING:
    from .swarm import Swarm
    from .webfetch import WebFetch

log = logging.getLogger("torrentlite")


class WebSeeds:
    """Sources over HTTP beside the peers. Tasks exist only while there is something to fetch.

    The one that a person named come first, then the others in random order, so that the mirrors of a torrent share its
    fetchers. Up to ``limits.WEB_SEEDS_AT_ONCE`` take part; who fails makes room for the next.
    """

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.commons = swarm.commons
        self.throttle = swarm.throttle
        self._seeds: list[WebSeed] = []
        self._new_limits = trio.Event()
        self._share = TokenBucket(0, self.commons.now())

    def __len__(self) -> int:
        return len(self._seeds)

    def add(self, urls: Iterable[str], within: Scope) -> None:
        """Fetch from these too, if they are not known yet."""
        known = {seed.url: seed for seed in self._seeds}
        fresh = [url for url in dict.fromkeys(urls) if url not in known]
        for url in urls:
            if url in known and within < known[url].within:
                known[url].within = within  # a person vouches for what only a link had named
                known[url].retry_at = 0.0
        if within is not Scope.LOOPBACK:
            self.commons.world.rng.shuffle(fresh)
        for url in fresh:  # a .torrent or link names MAX_WEB_SEEDS at most, and a person as many as he likes
            key = key_for(url, (seed.key for seed in self._seeds))
            seed = WebSeed(url, key, within, connections=self.commons.settings.web_seed_connections)
            first = sum(other.within is Scope.LOOPBACK for other in self._seeds)
            self._seeds.insert(first if within is Scope.LOOPBACK else len(self._seeds), seed)
            if seed.dropped:
                log.warning("web seed %s: %s", key, seed.message)

    def try_again(self, now: float) -> None:
        """What failed may work again."""
        for seed in self._seeds:
            seed.try_again(now)

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Start what may be of use."""
        pieces = self.swarm.pieces
        if pieces is None or not self._seeds or not self.commons.settings.web_seed_connections:
            return
        joined = sum(seed.joined for seed in self._seeds)
        for seed in self._seeds:
            if not seed.usable(now) or (not seed.joined and joined >= limits.WEB_SEEDS_AT_ONCE):
                continue
            joined += not seed.joined
            self._join(seed, pieces, now)
            seed.grow(now)
            if not pieces.picker.interesting(seed) or any(fetch.resting for fetch in seed.fetches):
                continue
            from .webfetch import WebFetch  # and h11 with it: 10 ms that most torrents need not wait for

            # One that has proved nothing yet is asked by one connection.
            for _ in range(len(seed.fetches), seed.most if seed.proven else 1):
                if self.commons.web_fetches >= limits.WEB_SEED_CONNECTIONS:
                    return
                fetch = WebFetch(self, seed, pieces)
                seed.fetches.append(fetch)
                if self.swarm.crew.start(fetch.run, name=f"web seed {seed.key}") is None:
                    seed.fetches.remove(fetch)
                else:
                    self.commons.web_fetches += 1

    def _join(self, seed: WebSeed, pieces: Pieces, now: float) -> None:
        has = seed.pieces(pieces.info, now)
        if not seed.joined:
            seed.joined = True
            pieces.picker.add_peer(seed, has)
        elif has != pieces.picker.pieces_of(seed):
            pieces.picker.set_pieces(seed, has)

    def wake(self) -> None:
        """There may be something new to ask for."""
        for seed in self._seeds:
            for fetch in seed.fetches:
                if fetch.resting:
                    fetch.wake()

    def make_way(self, urgent: int, now: float) -> None:
        """Somebody waits for these pieces (bits), and nobody is asked for all of them: the fastest turns to them.

        One connection that rests does, or else one that is busy with other pieces for some time yet.
        """
        helpers = [seed for seed in self._seeds if seed.fetches and seed.ranges]
        helpers.sort(key=lambda seed: seed.meter.rate(now), reverse=True)
        fetches = [fetch for seed in helpers for fetch in seed.fetches]
        if any(fetch.resting for fetch in fetches):
            self.wake()
            return
        for fetch in fetches:
            if fetch.make_way(urgent):
                return

    def limits_changed(self) -> None:
        """Nobody waits any longer for what the old limits would have allowed."""
        self._new_limits.set()
        self._new_limits = trio.Event()

    def book(self, size: int, now: float) -> float:
        """Pay for bytes that were read under a download limit; seconds until more may be read.

        Peers are granted what a limit leaves (``Throttle.allowance``), and web seeds take without asking: so while
        peers let us ask, web seeds keep to half of it.
        """
        sharing = any(peer.am_interested and not peer.peer_choking for peer in self.swarm.peers)
        self._share.rate = self.throttle.download_limit / (2 if sharing else 1)
        return max(self._share.reserve(size, now), self.throttle.book_download(size, now))

    async def pace(self, seconds: float) -> None:
        """Wait until more may be read, or limits change."""
        event = self._new_limits
        with trio.move_on_after(seconds):
            await event.wait()

    # -- what comes of them ------------------------------------------------------------------------------------------

    def ended(self, seed: WebSeed, fetch: WebFetch, failure: NetworkError | None) -> None:
        """A connection is gone."""
        self.commons.web_fetches -= 1
        if fetch not in seed.fetches:
            return  # it was stopped: what it says now is nobody's fault
        seed.fetches.remove(fetch)
        if failure is None:
            return
        seed.moved.clear()  # it may be where it led to that fails: the next one asks for the way again
        now = self.commons.now()
        if any(now - other.delivered_at < limits.WEB_SEED_BLOCK for other in seed.fetches):
            seed.shrink(failure, now)
            log.info("web seed %s: a connection ended: %s", seed.key, failure)
            return
        seed.failed(failure, now)
        self._tell(seed.key, str(failure), dropped=False)
        self._leave(seed)

    def _tell(self, key: str, message: str, *, dropped: bool) -> None:
        log.warning("web seed %s: %s", key, message)
        self.swarm.owner.streams.put(WebSeedFailed(key, message, dropped))

    def file_failed(self, seed: WebSeed) -> None:
        """It does not have one of the files."""
        seed.moved.clear()
        self._tell(seed.key, seed.message, dropped=False)
        if self.swarm.pieces is not None and seed.joined:
            self._join(seed, self.swarm.pieces, self.commons.now())

    def drop(self, keys: list[str], reason: str) -> list[str]:
        """Those of these that are web seeds lied: they are never asked again. Returns the others."""
        liars = [seed for seed in self._seeds if seed.key in keys]
        for seed in liars:
            if not seed.dropped:
                seed.drop(reason)
                self._tell(seed.key, reason, dropped=True)
            self._leave(seed)
        names = [seed.key for seed in liars]
        if names and self.swarm.pieces is not None:
            self.swarm.pieces.distrust(names)
        return [key for key in keys if key not in names]

    def stop(self) -> None:
        """Ask for nothing more (paused, complete, leaving)."""
        for seed in self._seeds:
            self._leave(seed)

    def _leave(self, seed: WebSeed) -> None:
        """Its connections end, and what was asked of it is free for others."""
        for fetch in seed.fetches:
            fetch.stop()
        seed.fetches.clear()
        if seed.joined:
            seed.joined = False
            if self.swarm.pieces is not None:
                self.swarm.pieces.peer_left(seed)

    def wasted(self, size: int, now: float) -> None:
        """Bytes came that are of no use: what lies before a place in a file, where a server sends it from the start."""
        self.swarm.wasted += size
        if self.swarm.pieces is not None:
            self.swarm.pieces.down_meter.add(size, now)
        self.commons.down_meter.add(size, now)

    # -- looks -------------------------------------------------------------------------------------------------------

    def fastest(self, now: float) -> float:
        """Bytes per second of the fastest of them."""
        return max((seed.meter.rate(now) for seed in self._seeds if seed.fetches), default=0.0)

    @property
    def active(self) -> int:
        """Those that are being fetched from."""
        return sum(seed.proven and bool(seed.fetches) for seed in self._seeds)

    def trouble(self, now: float) -> tuple[int, int, str]:
        """How many there are that may still be of use (or else all), how many of them fail, and how the last one does.

        Cheap.
        """
        seeds = [seed for seed in self._seeds if not seed.dropped] or self._seeds
        failing = [seed for seed in seeds if not seed.usable(now)]
        return len(seeds), len(failing), failing[-1].message if failing else ""

    def stats(self, now: float) -> tuple[WebSeedStats, ...]:
        """All of them."""
        return tuple(seed.stats(now) for seed in self._seeds)
