"""What one torrent is doing: its states, and how one leads to the next.

    PAUSED → METADATA → CHECKING → DOWNLOADING → SEEDING, with ERROR and CLOSED from anywhere

Here the parts are put together (files, peers, trackers), and here they report. What users see is in ``torrent.py``.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterable, Mapping

import trio

from .. import events as ev
from ..errors import DiskTroubleError, MetainfoError, NoSuchFileError, StorageError, TorrentError
from ..limits import DOWNLOAD_BURST, PROGRESS_INTERVAL
from ..metainfo.magnet import Magnet
from ..metainfo.metainfo import Info, InfoHashes, Metainfo
from ..stats import State, TorrentStats, Why
from ..strategy.peerlist import BY_HAND, MAGNET, TRACKER
from ..strategy.rate import TokenBucket
from ..strategy.verdict import PATIENCE, why
from ..tracker.tiers import Tiers
from ..wire.address import Address, Scope
from ..wire.mse import marked
from .beginning import Beginning
from .commons import Commons
from .content import Content, DiskFactory
from .discovery import Discovery
from .eventstream import Streams
from .finding import Finding
from .finishing import Finishing
from .looks import torrent_facts, torrent_stats
from .opening import Opening
from .pieces import Pieces
from .reading import Reading
from .selection import Choice, files_of
from .swarm import Swarm
from .throttle import Throttle

log = logging.getLogger("torrentlite")


class Life:
    """One torrent from being added to being removed.

    Attributes:
        hashes: its info-hashes.
        mark: by what encrypted handshakes name it.
        metainfo: what is shared; None until a magnet's metadata has come.
        state: what it is doing.
        choice: which of its files are wanted.
        error: why its state is ERROR, or what holds it up for now (a full disk); None where all is well.
        beginning: what of it is known so far, and a magnet's way there.
        content: its files, once it is known which.
        swarm: its peers.
        reading: who reads from it, and the order in which pieces are fetched.
        finding, discovery: where its peers come from.
        streams: the readers of its events.
        up, down: its own rate limits.
        changed: set, and replaced, when its state changes.
        added_at, moved_at: when it was added, and when something last moved, on Trio's clock.
    """

    def __init__(
        self,
        source: Metainfo | Magnet,
        commons: Commons,
        make_disk: DiskFactory,
        save_to: pathlib.Path,
        *,
        select: tuple[str | int, ...] | None,
        sequential: bool,
        trackers: Iterable[str],
        web_seeds: Iterable[str],
    ) -> None:
        now = trio.current_time()
        magnet = source if isinstance(source, Magnet) else None
        self.metainfo: Metainfo | None = source if isinstance(source, Metainfo) else None
        self.hashes: InfoHashes = source.hashes
        self.mark = marked(self.hashes.wire)
        self.save_to = save_to
        self.state = State.PAUSED
        self.error: TorrentError | None = None
        self._magnet = magnet
        self._commons = commons
        self._make_disk = make_disk
        self.choice = Choice(select)
        if select is None and magnet is not None:
            self.choice = Choice(magnet.select, by_hand=False)
        self._crew = commons.crew(self.wake)
        self.up = TokenBucket(0, now)
        self.down = TokenBucket(0, now, burst=DOWNLOAD_BURST)
        throttle = Throttle((commons.up_bucket, self.up), (commons.down_bucket, self.down))
        self.swarm = Swarm(self, self.hashes.wire, commons, self._crew, throttle)
        self.beginning = Beginning(self.hashes, self.swarm, self.info)
        self.reading = Reading(self, self.swarm, sequential=sequential)
        self.finding = Finding(self)
        self.discovery = Discovery(self.finding, Tiers(self._tier_urls(), commons.world.rng), commons, self._crew)
        for url in trackers:
            self.discovery.tiers.add(url, typed=True)
        self.swarm.web.add(web_seeds, Scope.LOOPBACK)
        self.content: Content | None = None
        self._opening = Opening(self, self._crew)
        self._finishing = Finishing(self, self._opening, self._crew)
        self.changed = trio.Event()
        self.streams = Streams(self.wake)
        self.added_at = now
        self.moved_at = now
        self._next_progress = now
        if self.metainfo is not None:
            self._know(self.metainfo)

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name; a magnet's ``dn`` (or its info-hash) before the metadata."""
        info = self.beginning.info
        if info is not None:
            return info.display_name
        return (self._magnet.name if self._magnet else "") or self.info_hash

    @property
    def info_hash(self) -> str:
        """40 hex digits; of a v2-only torrent 64."""
        return self.hashes.hex

    @property
    def magnet(self) -> str:
        """A link to it."""
        return self.metainfo.magnet if self.metainfo is not None else str(self._magnet)

    @property
    def private(self) -> bool:
        """Whether only its trackers may name peers (BEP 27)."""
        return self.beginning.info is not None and self.beginning.info.private

    @property
    def info(self) -> Info | None:
        """The info dictionary, once it is here, with all hashes."""
        return self.metainfo.info if self.metainfo is not None else None

    def _tier_urls(self) -> tuple[tuple[str, ...], ...]:
        if self.metainfo is not None:
            return self.metainfo.trackers
        return tuple((url,) for url in self._magnet.trackers) if self._magnet else ()

    # -- wishes ------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """See ``Torrent.pause``."""
        if self.state in (State.PAUSED, State.CLOSED):
            return
        self._set_state(State.PAUSED)
        self.swarm.close_all("paused")
        self._opening.cancel()
        self.discovery.pause()

    def resume(self) -> None:
        """See ``Torrent.resume``."""
        self._opening.stays_paused = False
        if self.state in (State.PAUSED, State.ERROR):
            self.error = None
            self.discovery.announce_now(trio.current_time())
            self.go()

    def recheck(self) -> None:
        """See ``Torrent.recheck``."""
        if self.metainfo is not None and self.state is not State.CLOSED:
            if self.state is not State.CHECKING:
                self._opening.stays_paused = self.state is State.PAUSED
            self._opening.recheck = True
            self.error = None
            self.swarm.end()
            self._start_opening()

    def select_files(self, files: Iterable[str | int] | None) -> None:
        """See ``Torrent.select_files``."""
        choice = Choice(files_of("files", files))
        content, info = self.content, self.beginning.info
        indexes = choice.of(info) if info is not None else None
        self.choice = choice
        if content is not None:
            before = content.selection.files
            content.select(indexes)
            if content.left or not content.selection.files <= before:
                self._reopen()  # also where nothing is left: the disk has to give names to what is there
            if content.pieces is not None:
                self._finishing.reselect()

    def _reopen(self, message: str = "") -> None:
        """A torrent that was complete, or about to be, is not any more."""
        if self.state in (State.CHECKING, State.DOWNLOADING, State.SEEDING) and not self._opening.under_way:
            self.swarm.go_on()
            self._set_state(State.DOWNLOADING, message)

    # -- looks -------------------------------------------------------------------------------------------------------

    def stats(self) -> TorrentStats:
        """Scalars only; cheap."""
        return torrent_stats(self, self.content, self.swarm)

    def why(self, *, patience: float = PATIENCE) -> Why:
        """See ``Torrent.why``."""
        return why(torrent_facts(self, self.content, self.swarm), patience=patience)

    def paths(self) -> tuple[pathlib.Path, ...]:
        """See ``Torrent.paths``."""
        return (self.content.top(),) if self.content else ()

    # -- opening -----------------------------------------------------------------------------------------------------

    def _set_state(self, state: State, message: str = "") -> None:
        if state is not self.state:
            log.info("%s: %s%s", self.name, state.value, f" ({message})" if message else "")
            before, self.state = self.state, state
            self.streams.put(ev.StateChanged(before, state, message))
            self.discovery.follow(active=self.active)
        self.moved_at = trio.current_time()
        self.wake_waiters()

    def wake_waiters(self) -> None:
        """Whoever waits looks again at what it waits for."""
        self.changed.set()
        self.changed = trio.Event()
        self.reading.wake()
        self.wake()

    def _fail(self, error: TorrentError) -> None:
        """Stop, for a reason that does not pass by itself."""
        log.error("%s: %s", self.name, error)
        if self.state is State.CLOSED:
            return
        self.error = error
        self._opening.look_again = True
        self.swarm.end()
        self._set_state(State.ERROR, str(error))

    def _know(self, metainfo: Metainfo) -> None:
        chosen = self.choice.of(metainfo.info)
        self.metainfo = metainfo
        self.swarm.web.add(metainfo.web_seeds, Scope.PUBLIC)
        self.discovery.tiers.exclusive = metainfo.info.private
        self.content = Content(
            self, metainfo, self._make_disk, self.save_to, self._commons, self.reading, select=chosen
        )
        self.reading.know(self.content)

    def go(self) -> None:
        """Start, or go on, with whatever comes next."""
        self.swarm.open = True
        if self.metainfo is None:
            self._set_state(State.METADATA)
            if self.beginning.info is None:
                self.beginning.ask()
            else:  # what was to be selected of it was not there, or its hashes are not here yet
                self._begin_with(self.beginning.info)
            if self.state is State.METADATA:
                self._meet()
        elif self.content is not None and self.content.pieces is not None and not self._stale:
            self._run(self.content.pieces)
        else:
            self._start_opening()

    @property
    def _stale(self) -> bool:
        """Whether what is open is being closed, or is to be looked at anew before anything goes on."""
        return self._opening.look_again or self._opening.recheck or (self.content is not None and self.content.closing)

    def _meet(self) -> None:
        """Look for peers from now on."""
        if self._commons.dht is not None and self.metainfo is not None and not self.private:
            # Like a tracker over UDP, a node that a .torrent names may be anywhere.
            self._commons.dht.add_hosts(self.metainfo.nodes, Scope.LOOPBACK)
        if self._magnet is not None and not self.private:
            scope = Scope.LOOPBACK if self._commons.loopback else Scope.PRIVATE
            for host, port in self._magnet.peers:
                self.discovery.add_named(host, port, MAGNET, scope)
        self.swarm.dialler.dial_more(trio.current_time())
        self.tick_discovery()

    def _start_opening(self) -> None:
        self._set_state(State.CHECKING)
        self._opening.start()

    def opened(self, pieces: Pieces, *, stays_paused: bool) -> None:
        """It is known what lies on the disk: join the swarm."""
        if self.state is State.CHECKING:  # and no error or pause came meanwhile
            self._opening.succeeded()
            if stays_paused:
                self._set_state(State.PAUSED)
            else:
                self._run(pieces)

    def _run(self, pieces: Pieces) -> None:
        """The pieces are known: fetch, or share."""
        assert self.content is not None
        complete = not self.content.left
        self.swarm.open = True
        if self.reading.sated:
            self.swarm.complete, self.swarm.downloading = True, False
        else:
            self.swarm.go_on()
        pieces.resume()
        if self.swarm.pieces is not pieces:
            self.swarm.begin(pieces)
        if complete:
            # Found complete, not made so: trackers are not told of a completion.
            self.discovery.tiers.completed()
            if self.state is not State.CHECKING:  # after a pause
                self._set_state(State.DOWNLOADING)
            self._finishing.start()
        else:
            self._set_state(State.DOWNLOADING)
        self._meet()

    def reselected(self) -> None:
        """The disk knows which files are wanted: that may complete us, or leave peers nothing that we need."""
        assert self.content is not None
        for peer in list(self.swarm.peers):
            peer.reconsider_interest()
        self.want_requests()
        if not self.content.left:
            self._finishing.start()

    # -- what the swarm tells ----------------------------------------------------------------------------------------

    def metadata_received(self, raw: bytes) -> None:
        """The info dictionary came from a peer, and matches the info-hash."""
        try:
            self._begin_with(self.beginning.metadata_received(raw))
        except MetainfoError as error:
            self._fail(error)

    def layers_received(self, layers: Mapping[bytes, bytes]) -> None:
        """The hashes of the pieces came from peers, and lead to the roots in the info dictionary (BEP 52)."""
        self._begin_with(self.beginning.layers_received(layers))

    def _begin_with(self, info: Info) -> None:
        assert self._magnet is not None
        try:
            if info.lacks_layers:
                self.choice.of(info)  # who chose what is not there is told now: the hashes can take long
            else:
                self._know(Metainfo(info=info, trackers=self._tier_urls(), web_seeds=self._magnet.web_seeds))
        except (MetainfoError, NoSuchFileError) as error:
            self._fail(error)
            return
        if info.private:
            # What the DHT, the network around us and peers have heard is not to be taken back; but from here on only
            # the tracker says who belongs to the swarm (BEP 27).
            self.discovery.tiers.exclusive = True
            self.swarm.keep_only(TRACKER, BY_HAND)
            self.discovery.follow(active=self.active)
        if info.lacks_layers:
            self.beginning.ask()
            self.moved_at = trio.current_time()
            self.wake_waiters()
        else:
            self.streams.put(ev.MetadataReceived(self.name, info.total, len(info.wanted_files)))
            self._start_opening()

    def pieces_verified(self, pieces: list[int]) -> None:
        """These are right, and written."""
        assert self.content is not None
        self.moved_at = trio.current_time()
        self.content.verified(pieces)
        if self.streams:
            for piece in pieces:
                self.streams.put(ev.PieceVerified(piece))
        self.swarm.announce_pieces(pieces)
        self.reading.verified(pieces)
        self.reading.settle()
        if not self.content.left:
            self._finishing.start()

    def pieces_lost(self, error: StorageError) -> None:
        """A sync failed: what was not synced is not here any more."""
        assert self.content is not None
        log.error("%s: %s", self.name, error)
        self.content.recount()
        if self.content.left:
            self._reopen(str(error))
        self.want_requests()

    def piece_failed(self, piece: int, peers: list[str]) -> None:
        """A piece was wrong; who contributed."""
        self.streams.put(ev.PieceFailed(piece, tuple(peers)))

    def culprits_found(self, keys: list[str]) -> None:
        """These peers, or web seeds, sent wrong data."""
        peers = self.swarm.web.drop(keys, "it sent wrong data")
        for key in peers:
            self.streams.put(ev.PeerBanned(key, "sent wrong data"))
        self.swarm.ban(peers, "sent wrong data")

    def disk_trouble(self, error: DiskTroubleError | None) -> None:
        """The disk refuses for now (None: it works again)."""
        if self.state in (State.ERROR, State.CLOSED):
            return  # what stopped it still holds, whatever the disk does to who has not noticed yet
        self.error = error
        log.warning("%s: %s", self.name, error or "the disk works again")
        self.wake_waiters()

    def storage_failed(self, error: TorrentError) -> None:
        """The disk refuses for good."""
        self._fail(error)

    def left_alone(self) -> None:
        """The last peer is gone: others are looked for sooner."""
        self.discovery.left_alone(trio.current_time())
        self.wake()

    def want_requests(self) -> None:
        """There may be something new to ask for."""
        if self.swarm.downloading:
            self.swarm.request_idle(trio.current_time())

    def finished(self) -> None:
        """What was wanted is synced, and its files have their names: tell the world, if that is still all."""
        content = self.content
        assert content is not None
        if content.left or content.pieces is None or self._stale:
            return
        if self.state not in (State.DOWNLOADING, State.CHECKING):
            return
        if self.reading.sated:
            self.swarm.completed()
        self.discovery.tiers.completed()
        self._set_state(State.SEEDING)
        self.streams.put(ev.Completed(self.paths()))
        self.tick_discovery()

    def peers_found(self, addresses: tuple[Address, ...], source: str, within: Scope) -> None:
        """Somebody named peers."""
        self.finding.peers_found(addresses, source, within)

    def tick_discovery(self) -> None:
        """Announce where it is due."""
        self.wake()
        if self.active:
            self.discovery.tick(trio.current_time())

    # -- the session's side ------------------------------------------------------------------------------------------

    def knows(self) -> bool:
        """Whether somebody who connects can be taken in now."""
        return self.swarm.open and (self.swarm.pieces is not None or self.metainfo is None)

    @property
    def active(self) -> bool:
        """Whether peers are looked for."""
        return self.state in (State.METADATA, State.DOWNLOADING, State.SEEDING)

    @property
    def tasks(self) -> int:
        """Tasks of its own that run (but for the files')."""
        return len(self._crew)

    def wake(self) -> None:
        """There may be something to do at the next tick; see ``due.py``."""
        if self.state is not State.CLOSED:
            self._commons.naps.wake(self)

    def tick(self, now: float) -> None:
        """Called by the session's tick, twice a second while there is something to do; see ``due.py``."""
        self.tick_discovery()
        self.swarm.tick(now)
        if self.content is not None and self.content.pieces is not None:
            self.content.pieces.tick(now)
            if self.swarm.open:  # a bug ended who was to check them, and no other piece may come
                self.content.pieces.resume()
            self.reading.tick(now)
        if self.streams and now >= self._next_progress:
            self._next_progress = now + PROGRESS_INTERVAL
            stats = self.stats()
            self.streams.put(
                ev.Progress(stats.done, stats.total, stats.down_rate, stats.up_rate, stats.peers, self.why())
            )

    async def close(self) -> None:
        """Leave the swarm: say goodbye, save, let go of everything. Never raises for the outside's faults."""
        self._set_state(State.CLOSED)
        self._commons.naps.drop(self)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.discovery.leave())
                with trio.CancelScope(shield=True):  # half closed would be closed by nobody
                    await self.swarm.leave()
                    await self._crew.stop()
                    if self.content is not None:
                        try:
                            await self.content.close()
                        except StorageError as error:
                            log.error("%s: %s", self.name, error)
        finally:
            self.streams.close()
