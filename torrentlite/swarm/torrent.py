"""One torrent: a wish, a wait, a look.

Wishes (``pause``, ``select_files`` …) are sync and take effect at once or as soon as they can; waits (``wait_…``) are
async and can be cancelled; looks (``stats``, ``peers`` …) return frozen snapshots.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import AsyncIterator, Callable, Iterable

import trio

from ..errors import TorrentError, TorrentRemovedError, again
from ..limits import MAX_COPIES
from ..metainfo.metainfo import Info, InfoHashes, Metainfo
from ..metainfo.mutable import MutableLink
from ..net.url import TRACKER, parse_url
from ..stats import (
    FileStats,
    PeerStats,
    PieceStats,
    SourceStats,
    State,
    TorrentStats,
    TrackerStats,
    WebSeedStats,
    Why,
)
from ..strategy.peerlist import BY_HAND
from ..strategy.verdict import PATIENCE
from ..wire.address import Scope
from .discovery import check_port
from .eventstream import EventStream
from .life import Life
from .looks import peer_stats
from .reader import Reader
from .throttle import set_rates


class Torrent:
    """One shared thing in a session. Made by ``Session.add``."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def __repr__(self) -> str:
        return f"<Torrent {self.name!r} {self.info_hash[:8]} {self.state.value}>"

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name; a magnet's ``dn`` (or its info-hash) before the metadata."""
        return self._life.name

    @property
    def hashes(self) -> InfoHashes:
        """Its info-hashes."""
        return self._life.hashes

    @property
    def info_hash(self) -> str:
        """40 hex digits; of a torrent of version 2 alone 64."""
        return self._life.info_hash

    @property
    def metainfo(self) -> Metainfo | None:
        """What is shared; None until a magnet's metadata has come."""
        return self._life.metainfo

    @property
    def magnet(self) -> str:
        """A link to it, without our addresses: ``link`` has them too."""
        return self._life.magnet

    @property
    def save_to(self) -> pathlib.Path:
        """The folder in which its files lie."""
        return self._life.save_to

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._life.state

    @property
    def error(self) -> TorrentError | None:
        """Why its state is ERROR, or what holds it up for now (a full disk); None where all is well."""
        return self._life.error

    @property
    def sequential(self) -> bool:
        """Whether pieces are fetched in their order."""
        return self._life.reading.sequential

    # -- wishes ------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop: no peers, no announces. What is verified is kept."""
        self._life.pause()

    def resume(self) -> None:
        """Go on after a pause or an error."""
        self._life.resume()

    def recheck(self) -> None:
        """Hash everything again, without peers meanwhile. Changes no bytes of any file."""
        self._life.recheck()

    def select_files(self, files: Iterable[str | int] | None) -> None:
        """Want these files (None: all) and no others.

        Before the metadata nobody knows which there are. Where it then shows that one is not there the torrent fails
        (NoSuchFileError): select others, and ``resume``.

        Args:
            files: the path (as in ``files``, or without the torrent's name) or the index in ``metainfo.files`` of each.

        Raises:
            NoSuchFileError: there is no such file.
            TypeError: this is one text, or one of them is neither path nor index.
        """
        self._life.select_files(files)

    def set_sequential(self, sequential: bool) -> None:
        """Fetch the pieces in their order from now on, or the rarest first again."""
        self._life.reading.set_sequential(sequential)

    def prioritize(
        self, what: str | int | range, priority: int = 1, *, start: int = 0, stop: int | None = None
    ) -> None:
        """Fetch a file, a part of one, or some pieces before the others (or after them).

        It does not select: of files that are not wanted (``select_files``) nothing is fetched. What readers wait for
        comes before all priorities.

        Args:
            what: a file's path or its index in ``metainfo.files``, or a range of pieces.
            priority: the higher, the sooner: 0 is what everything has, those below come last. From -7 to 7.
            start: of the part of the file, in bytes.
            stop: its end; None for the file's.

        Raises:
            NoSuchFileError: there is no such file (once its files are known, as by ``wait_info``).
            ValueError: no such priority or part.
        """
        self._life.reading.prioritize(what, priority, start, stop)

    def open(self, file: str | int | None = None, *, read_ahead: int | None = None) -> Reader:
        """Read a file while it downloads: ``async with torrent.open("a/b.mkv") as file: await file.read(1000)``.

        Entering waits for the metadata.

        Args:
            file: its path (as in ``files``, or without the torrent's name) or index; None for the only one.
            read_ahead: bytes to fetch ahead of it; None to go by how it is read.
        """
        return Reader(self._life, file, read_ahead)

    def add_peer(self, host: str, port: int) -> None:
        """Name a peer by hand: an address or a host name. It may be anywhere.

        Raises:
            ValueError: the port is not between 1 and 65535.
        """
        port = check_port(port)
        if self.state is not State.CLOSED:
            self._life.discovery.add_named(host, port, BY_HAND, Scope.LOOPBACK)

    def add_tracker(self, url: str) -> None:
        """Announce to this tracker too.

        Raises:
            SourceError: it is no http(s) or udp URL.
        """
        parse_url(url, TRACKER)
        self._life.discovery.tiers.add(url, typed=True)
        self._life.tick_discovery()

    def add_web_seed(self, url: str) -> None:
        """Fetch from this URL too (BEP 19): of the file, or of the folder in which the torrent's lies.

        It may lead anywhere, also inside; one that a .torrent or link names leads to public addresses only.

        Raises:
            SourceError: it is no http(s) URL.
        """
        parse_url(url)
        self._life.swarm.web.add([url], Scope.LOOPBACK)
        self._life.wake()

    def announce(self) -> None:
        """Ask the DHT now, and the trackers (as soon as they allow); try peers and web seeds again that failed."""
        if self.state is not State.CLOSED:
            self._life.discovery.announce_now(trio.current_time())
            self._life.tick_discovery()

    def set_limits(self, *, upload: int | None = None, download: int | None = None) -> None:
        """Change this torrent's own rate limits, bytes per second; 0 is unlimited, None leaves as it is.

        Raises:
            ValueError: a limit is negative.
        """
        set_rates(self._life.up, self._life.down, upload, download)
        self._life.swarm.limits_changed()

    # -- waits -------------------------------------------------------------------------------------------------------

    async def publish(self, key: bytes, *, salt: bytes = b"") -> MutableLink:
        """Let a link that stays lead to this torrent (BEP 46), as long as it is in the session.

        Who has the key can let it lead to another one any time: publish that with the same key and salt. ``load`` of
        the link finds whichever came last. Waits until nodes of the DHT have stored it; they are told again each hour.

        Args:
            key: 32 secret bytes that only the owner knows (``secrets.token_bytes(32)``). Keep them: the link is made of
                the public key that belongs to them.
            salt: one key may own several links, each with another salt; at most 64 bytes.

        Raises:
            DhtError: the DHT is switched off, or no node took it; the torrent is private, or of v2 alone; the
                ``cryptography`` package is not installed.
            ValueError: the key has not 32 bytes.
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        metainfo = await self.wait_metadata()
        if self.state is State.ERROR and self.error is not None:
            raise again(self.error)
        return await self._life.discovery.publish(metainfo.info, key, salt)

    async def wait_info(self) -> Info:
        """Wait until it is known which files there are: enough to show them, and to select some.

        Of a magnet link of version 2 that is sooner than ``wait_metadata``: then the hashes of its pieces are still on
        their way (``Info.lacks_layers``). It returns also where what was selected is not among them: select others, and
        ``resume``.

        Raises:
            TorrentError: the torrent failed before that (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        beginning = self._life.beginning
        await self._wait_until(lambda: beginning.info is not None)
        assert beginning.info is not None
        return beginning.info

    async def wait_metadata(self) -> Metainfo:
        """Wait until it is known what is shared.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        await self._wait_until(lambda: self.metainfo is not None)
        assert self.metainfo is not None
        return self.metainfo

    async def wait_checked(self) -> None:
        """Wait until what lies on the disk has been looked at, and peers can be served.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        await self._wait_until(lambda: self.state in (State.DOWNLOADING, State.SEEDING))

    async def wait_complete(self) -> tuple[pathlib.Path, ...]:
        """Wait until everything wanted is verified, synced and under its final name; returns the top path(s).

        A full disk does not end the wait: it goes on when there is room.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        await self._wait_until(lambda: self.state is State.SEEDING)
        return self.paths()

    async def wait_copies(self, count: int = 1) -> None:
        """Wait until so many others have all of it, and we do: then a seed may go.

        Counted in ``TorrentStats.copies``: who is met with everything, or gets it, while all that we want is here.
        Peers say themselves what they have. Those it was fetched from count too, if still here or back again.

        Raises:
            ValueError: the count is below 1 or above 10,000 (no more are told apart).
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        if not 1 <= count <= MAX_COPIES:
            raise ValueError(f"count must be between 1 and {MAX_COPIES:,}")
        await self._wait_until(lambda: len(self._life.swarm.copies) >= count)

    async def _wait_until(self, done: Callable[[], bool]) -> None:
        await trio.lowlevel.checkpoint()
        while not done():
            if self.state is State.CLOSED:
                raise TorrentRemovedError(f"{self.name}: the torrent was removed")
            if self.state is State.ERROR and self.error is not None:
                raise again(self.error)
            await self._life.changed.wait()

    # -- looks -------------------------------------------------------------------------------------------------------

    def stats(self) -> TorrentStats:
        """Scalars only; cheap."""
        return self._life.stats()

    def peers(self) -> tuple[PeerStats, ...]:
        """The connected peers."""
        now = self._life.swarm.commons.now()
        return tuple(peer_stats(peer, now) for peer in self._life.swarm.peers)

    def files(self) -> tuple[FileStats, ...]:
        """The files and how far they are; empty before the metadata."""
        content = self._life.content
        return content.files() if content else ()

    def pieces(self) -> PieceStats:
        """All pieces at once."""
        content = self._life.content
        return content.piece_stats() if content else PieceStats(0, 0, 0, 0, 0, ())

    def trackers(self) -> tuple[TrackerStats, ...]:
        """The trackers and what they said."""
        return tuple(self._life.discovery.tiers.stats(self._life.swarm.commons.now()))

    def sources(self) -> tuple[SourceStats, ...]:
        """What besides trackers names peers: the DHT, the local network, other peers."""
        return tuple(self._life.discovery.sources(self._life.swarm.commons.now()))

    def web_seeds(self) -> tuple[WebSeedStats, ...]:
        """The web seeds, those of the .torrent included, and how they do."""
        return self._life.swarm.web.stats(self._life.swarm.commons.now())

    def why(self, *, patience: float = PATIENCE) -> Why:
        """Why it stands still, or that it does not.

        Args:
            patience: seconds without progress before it counts as standing still; 0 for who will wait no longer.
        """
        return self._life.why(patience=patience)

    def paths(self) -> tuple[pathlib.Path, ...]:
        """Where its data is, or will be, under final names: the file, or the folder of a multi-file torrent."""
        return self._life.paths()

    def link(self) -> str:
        """A magnet link to send to somebody: with the addresses of this machine (``x.pe``), so that within one network
        nothing else is needed, and with its trackers, those included that were added.

        Before the metadata, and of a private torrent, whose peers come from its trackers alone, without addresses.
        """
        metainfo, commons = self.metainfo, self._life.swarm.commons
        if metainfo is None:
            return self.magnet
        bound = [] if metainfo.private else [address.host for address in commons.own_addresses]
        hosts = commons.world.network.reachable_at(bound)
        named = dict.fromkeys(url for tier in metainfo.trackers for url in tier)
        added = tuple((entry.url,) for entry in self._life.discovery.tiers if entry.url not in named)
        whole = dataclasses.replace(metainfo, trackers=metainfo.trackers + added)
        return whole.to_magnet(peers=[(host, commons.port) for host in hosts])

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[EventStream]:
        """What happens from now on, as typed values: ``async with torrent.events() as events: async for event in …``.

        Bounded: a slow reader loses the oldest ``Progress``, and holds nobody up. Ends when the torrent is removed.
        """
        with self._life.streams.reading(EventStream()) as stream:
            yield stream


def selected_files(torrent: Torrent, info: Info) -> list[int]:
    """The indexes of the files that are wanted, which is known before the hashes of the pieces are.

    Raises:
        NoSuchFileError: one that was selected is not there.
    """
    return torrent._life.choice.real(info)


def was_fetched(torrent: Torrent, file: int) -> bool:
    """Whether a file came by this torrent, and did not lie there before; once it is complete."""
    content = torrent._life.content
    assert content is not None
    return file not in (content.lay_there or ())
