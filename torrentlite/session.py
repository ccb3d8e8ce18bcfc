"""The door: open a session, share and fetch.

    async with torrentlite.open_session() as session:
        torrent = session.add(await torrentlite.load("debian.torrent"), save_to="downloads")
        await torrent.wait_complete()

``create`` and ``load`` need no session; ``fetch`` opens one for a single call.
"""

from __future__ import annotations

import contextlib
import logging
import math
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import trio

from . import __version__
from .checksum import check_sha256, parse_sha256, the_one_file
from .errors import DuplicateTorrentError, NoPeersError, TorrentError
from .given import folder_of, peers_of, places_of, torrent_of, urls_of
from .limits import LEAVE_TIMEOUT, PROGRESS_INTERVAL, TICK
from .loading import load_for
from .loops import require_trio
from .metainfo.magnet import Magnet
from .metainfo.metainfo import Metainfo
from .net.http import HttpClient
from .net.udp import UdpPort
from .net.url import TRACKER, parse_url
from .settings import USER_AGENT, Settings
from .stats import SessionStats, TorrentStats
from .strategy.peerlist import LOCAL
from .swarm.commons import Commons
from .swarm.discovery import check_port
from .swarm.disks import Disks
from .swarm.due import due
from .swarm.life import Life
from .swarm.presence import Presence
from .swarm.reception import Reception
from .swarm.selection import Choice, files_of
from .swarm.throttle import set_rates
from .swarm.torrent import Torrent
from .swarm.world import StorageFactory, World, real_world
from .tracker.client import TrackerClient
from .utp.port import Utp
from .wire import rc4
from .wire.address import Address, Scope, scope_of
from .wire.clients import make_peer_id

log = logging.getLogger("torrentlite")
log.addHandler(logging.NullHandler())  # else Python itself prints warnings


if TYPE_CHECKING:
    import typing_extensions

    TorrentT = typing_extensions.TypeVar("TorrentT", bound=Torrent, default=Torrent)
else:
    TorrentT = TypeVar("TorrentT", bound=Torrent)
SessionT = TypeVar("SessionT", bound="Session[Any]")


class Session(Generic[TorrentT]):
    """Torrents that share one port, one set of limits and one lifetime. Made by ``open_session``.

    Attributes:
        settings: what it was opened with.
        addresses: where it listens.
    """

    _torrent_class: type[Torrent] = Torrent

    def __init__(self, settings: Settings, commons: Commons, http: HttpClient, addresses: tuple[Address, ...]) -> None:
        self.settings = settings
        self.addresses = addresses
        self._commons = commons
        self._torrents: dict[bytes, tuple[TorrentT, Life]] = {}
        self._crew = commons.crew()
        self._reception = Reception(commons, self._crew, self._find, self._lives)
        self._presence = Presence(commons, http, got_peer=self._got_neighbour, moved=self._moved, back=self._back)
        self._disks = Disks(commons.world, settings.state_dir)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Session port {self.port}, {len(self._torrents)} torrents>"

    @property
    def port(self) -> int:
        """The TCP and UDP port; 0 where nobody can call us (``Settings.proxy``)."""
        return self._commons.port

    @property
    def torrents(self) -> tuple[TorrentT, ...]:
        """All torrents, in the order they were added."""
        return tuple(torrent for torrent, _ in self._torrents.values())

    def add(
        self,
        source: Metainfo | Magnet | str | bytes,
        save_to: str | PathLike[str] = ".",
        *,
        select: Iterable[str | int] | None = None,
        paused: bool = False,
        sequential: bool = False,
        overwrite: bool | None = None,
        reuse: Iterable[str | PathLike[str]] = (),
        peers: Iterable[tuple[str, int]] = (),
        trackers: Iterable[str] = (),
        web_seeds: Iterable[str] = (),
        storage: StorageFactory | None = None,
    ) -> TorrentT:
        """Share or fetch something; it starts by itself. What lies in ``save_to`` already is checked and kept.

        Args:
            source: a Metainfo, a Magnet, the bytes of a .torrent, or a magnet link or info-hash as text.
                (``load`` makes one of the first two from a path or URL.)
            save_to: the folder in which its file or folder lies or will lie.
            select: the files to want, each by path or index (as ``Torrent.select_files``); None for all, or those that
                the magnet link names. Where a magnet's metadata shows that there is no such file the torrent fails
                (NoSuchFileError).
            paused: wait for ``resume``.
            sequential: fetch the pieces in order.
            overwrite: may replace a different finished file; None: as in the settings.
            reuse: folders (and files) of this machine in which data of it may lie: an older version, what another
                program fetched. Of each wanted file of which nothing lies in ``save_to`` the likeliest one is copied,
                by path, else by size, and checked: what is right need not be fetched. They are only read. It is done
                when the torrent starts, and at a recheck: what is selected later is fetched.
            peers: (host, port) of peers known by other means.
            trackers: more trackers, wherever they are.
            web_seeds: URLs (http, https) of the file, or of the folder in which the torrent's lies, wherever they are.
            storage: makes what its bytes lie in, from its Info: ``MemoryStorage``, a ``CacheStorage`` with its limit
                filled in, or one of your own (a ``Storage``). Called once. None for files in ``save_to``.

        Raises:
            DuplicateTorrentError: it is here already.
            SourceError: a web seed is no http(s) URL, or a tracker no http(s) or udp URL.
            NoSuchFileError: there is no such file to select.
            StorageError: what is to be reused is not there, or may not be read.
            ValueError: there is no such port, no folder can have this name, or ``reuse`` is not for a ``storage``.
            MagnetError, MetainfoError: the text or bytes are no torrent; a Metainfo was made of an Info that lacks the
                hashes of its pieces (``Info.lacks_layers``).
            TypeError: the source is none of these (a path, a coroutine), the URLs are one text, a peer is no pair, or
                ``save_to`` is no path.
            RuntimeError: the session has been left.
        """
        source = torrent_of(source)
        key = source.hashes.wire
        if self._closed:
            raise RuntimeError("this session has been left")
        select = files_of("select", select)
        folder = folder_of("save_to", save_to)
        if storage is None:  # else it needs none, not even a working folder
            folder = folder.absolute()  # where it is now, wherever the program goes later
        if "\0" in str(folder):
            raise ValueError("save_to: embedded null character")
        peers = [(host, check_port(port)) for host, port in peers_of(peers)]
        web_seeds = urls_of("web_seeds", web_seeds)
        for url in web_seeds:
            parse_url(url)
        trackers = urls_of("trackers", trackers)
        for url in trackers:
            parse_url(url, TRACKER)
        reuse = places_of("reuse", reuse)
        if reuse and (storage or self._commons.world.storage):
            raise ValueError("reuse: it is for files in save_to, and storage= puts the data elsewhere")
        if isinstance(source, Metainfo):
            select = Choice(select).of(source.info)
        if key in self._torrents:
            raise DuplicateTorrentError(f"{self._torrents[key][0].name} is in this session already")
        if storage is None:
            overwrite = self.settings.overwrite if overwrite is None else overwrite
            make_disk = self._disks.of_files(folder, overwrite=overwrite, reuse=reuse)
        else:
            make_disk = self._disks.of_storage(storage)
        life = Life(
            source,
            self._commons,
            make_disk,
            folder,
            select=select,
            sequential=sequential,
            trackers=trackers,
            web_seeds=web_seeds,
        )
        torrent = cast(TorrentT, self._torrent_class(life))
        self._torrents[key] = torrent, life
        if not paused:
            life.go()
        for host, port in peers:
            torrent.add_peer(host, port)
        return torrent

    async def remove(self, torrent: TorrentT) -> None:
        """Leave its swarm and forget it; its files stay. Takes 5 seconds at most, with slow trackers."""
        known, life = self._torrents.get(torrent.hashes.wire, (None, None))
        if known is torrent and life is not None:  # not another one that was added since this was removed
            del self._torrents[torrent.hashes.wire]
            async with self._commons.leaving(torrent.hashes.wire):
                await life.close()

    def stats(self) -> SessionStats:
        """A snapshot of the whole."""
        commons, now = self._commons, self._commons.now()
        return SessionStats(
            port=commons.port,
            torrents=len(self._torrents),
            peers=commons.connected,
            half_open=commons.half_open,
            pending_handshakes=len(self._reception),
            down_rate=commons.down_meter.rate(now),
            up_rate=commons.up_meter.rate(now),
            downloaded=commons.down_meter.total,
            uploaded=commons.up_meter.total,
            piece_memory=commons.memory.used,
            internal_errors=commons.internal_errors + self._presence.internal_errors,
            dht=self._presence.dht_stats(),
            lsd=self._presence.lsd_stats(),
            port_map=self._presence.port_map_stats(),
            upload_limit=int(commons.up_bucket.rate),
            download_limit=int(commons.down_bucket.rate),
        )

    def set_limits(self, *, upload: int | None = None, download: int | None = None) -> None:
        """Change the session's rate limits, bytes per second; 0 is unlimited, None leaves as it is.

        Raises:
            ValueError: a limit is negative.
        """
        set_rates(self._commons.up_bucket, self._commons.down_bucket, upload, download)
        for _, life in self._torrents.values():
            life.swarm.limits_changed()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _find(self, info_hash: bytes) -> Life | None:
        _, life = self._torrents.get(info_hash, (None, None))
        return life if life is not None and life.knows() else None

    def _lives(self) -> Iterator[Life]:
        return (life for _, life in self._torrents.values())

    def _got_neighbour(self, info_hash: bytes, address: Address) -> None:
        """Somebody on the local network has this torrent, or wants it."""
        _, life = self._torrents.get(info_hash, (None, None))
        if life is not None and not life.private:
            life.peers_found((address,), LOCAL, address.scope)

    def _moved(self) -> None:
        """Others have to call us at another port or address than before, or may have forgotten us."""
        for life in self._lives():
            life.discovery.moved(trio.current_time())
            life.wake()

    def _back(self) -> None:
        """Somebody has been heard of after a long silence, which may have been our network's."""
        for life in self._lives():
            life.discovery.back(trio.current_time())
            life.wake()

    async def _tick(self) -> None:
        while True:
            self._tick_all(trio.current_time())
            await trio.sleep(TICK)

    def _tick_all(self, now: float) -> None:
        # Not in the loop above: its names would keep the torrent that was removed last.
        naps = self._commons.naps
        for life in naps.take(now):
            try:
                life.tick(now)
                naps.visited(life, due(life), now)
            except Exception as error:
                self._commons.report(f"the tick of {life.info_hash}", error)
        self._commons.memory.tick(now)
        self._presence.tick(now)

    async def _close(self) -> None:
        self._closed = True
        await self._crew.stop()
        async with trio.open_nursery() as watch:
            watch.start_soon(self._name_what_hangs)
            async with trio.open_nursery() as nursery:
                for _, life in self._torrents.values():
                    nursery.start_soon(life.close)
                nursery.start_soon(self._presence.close)
            watch.cancel_scope.cancel()
        self._commons.closed_at = trio.current_time()

    async def _name_what_hangs(self) -> None:
        """Only the disk can make leaving last longer: writes are waited for. Then at least say which."""
        while True:
            await trio.sleep(LEAVE_TIMEOUT)
            for call in self._commons.world.offload.running():
                log.warning("still waiting for the disk: %s, for %.0f s", call.name, call.seconds)


@contextlib.asynccontextmanager
async def open_session(settings: Settings | None = None, *, world: World | None = None) -> AsyncIterator[Session]:
    """Open a session; when the block is left, everything that it started has ended.

    Leaving says ``stopped`` to trackers and saves resume data, and takes 5 seconds at most with dead trackers. An
    exception of the block comes out as itself, not in an ExceptionGroup.

    Args:
        settings: choices; None for the defaults.
        world: what to stand on; None for the real network, threads and dice (others: ``torrentlite.testing``).

    Raises:
        ListenError: the port cannot be had, or there is no such interface.
        TorrentError: ``Settings.encryption`` asks for what is not installed.
    """
    require_trio("open_session")
    async with open_session_of(Session, settings, world) as session:
        yield session


@contextlib.asynccontextmanager
async def open_session_of(
    kind: type[SessionT], settings: Settings | None, world: World | None
) -> AsyncIterator[SessionT]:
    """The same, with a session of this class: ``torrentlite.aio`` has one of its own."""
    settings = settings or Settings()
    world = (world or real_world(settings.host, settings.interface)).behind(settings.proxy)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            # A nursery would wrap what is raised in it, so it is carried out by hand.
            try:
                async with _outside(kind, settings, world, nursery) as session:
                    yield session
            except BaseException as error:
                failure = error
            nursery.cancel_scope.cancel()
    except BaseException:
        if failure is None:
            raise
    if failure is not None:
        raise failure


@contextlib.asynccontextmanager
async def _outside(
    kind: type[SessionT], settings: Settings, world: World, nursery: trio.Nursery
) -> AsyncIterator[SessionT]:
    """The session with its sockets and clients, closed at the end."""
    if settings.encryption == "require" and not rc4.is_fast():
        message = "encryption='require' needs the cryptography package"
        raise TorrentError(message, hint="pip install 'torrentlite[crypto]'")
    agent = settings.user_agent or USER_AGENT
    listeners = await world.network.listen(settings.host, settings.port, fallback=settings.port_fallback)
    addresses = tuple(listener.address for listener in listeners)
    port = addresses[0].port if addresses else 0
    async with contextlib.AsyncExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        datagrams = await world.network.open_datagrams(settings.host, port)
        udp = UdpPort(datagrams)
        stack.callback(udp.close)
        http = HttpClient(world.network, user_agent=agent, proxies=world.proxies)
        stack.push_async_callback(_shielded, http.aclose)
        trackers = TrackerClient(world.network, http, udp if datagrams else None, secret=world.secret)
        peer_id = make_peer_id(__version__, world.secret(12))
        loopback = scope_of(settings.host) is Scope.LOOPBACK
        commons = Commons(world, settings, nursery, peer_id, trackers, port, agent, loopback=loopback)
        commons.own_addresses.update(dict.fromkeys(addresses))
        session = kind(settings, commons, http, addresses)
        await session._presence.open_dht(udp)
        # Not of the session's own crew: trackers that are told of our leaving have to answer.
        if datagrams:
            commons.crew().keep(udp.run, name="receive datagrams")
        if settings.utp != "off":
            commons.utp = Utp(udp, secret=world.secret, source=world.network.source_for, takes=commons.transport.takes)
            stack.callback(commons.utp.close)
            commons.crew().keep(commons.utp.run, name="uTP")
            session._crew.keep(session._reception.serve, commons.utp, name="listen by uTP")
        for listener in listeners:
            session._crew.keep(session._reception.serve, listener, name=f"listen on {listener.address}")
        session._crew.keep(session._tick, name="tick")
        stack.push_async_callback(_shielded, session._close)
        yield session


async def _shielded(close: Callable[[], Awaitable[None]]) -> None:
    with trio.CancelScope(shield=True):
        await close()


async def fetch(
    source: Metainfo | Magnet | str | bytes | PathLike[str],
    save_to: str | PathLike[str] = ".",
    *,
    web_seeds: Iterable[str] = (),
    sha256: str | None = None,
    settings: Settings | None = None,
    peers: Iterable[tuple[str, int]] = (),
    trackers: Iterable[str] = (),
    select: Iterable[str | int] | None = None,
    overwrite: bool | None = None,
    reuse: Iterable[str | PathLike[str]] = (),
    timeout: float | None = None,
    progress: Callable[[TorrentStats], None] | None = None,
) -> tuple[pathlib.Path, ...]:
    """Fetch something in one call; returns the path(s) of what is now there, verified.

    ``await fetch("https://host/model.bin.torrent", web_seeds=["https://host/model.bin"], sha256="9f86d0…")`` is a
    download over HTTP that peers make faster.

    Args:
        source: path or URL of a .torrent, magnet link or info-hash; or what ``load``, ``create`` and ``Magnet.parse``
            return, or the bytes of a .torrent.
        save_to: the folder.
        web_seeds: URLs (http, https) of the file, or of the folder in which the torrent's lies, besides the torrent's.
        sha256: what the file must have, in hex; of a torrent of one file, or of the one that is selected, here or by
            the link. If it has another one, what was fetched is put aside as ``NAME.wrong``; a file that was there
            before stays.
        settings: choices of the session; None for the defaults.
        peers: (host, port) of peers known by other means.
        trackers: more trackers, wherever they are.
        select: the files to want, each by path or index; None for all, or those that the magnet link names.
        overwrite: may replace a different finished file; None: as in the settings.
        reuse: folders (and files) in which data of it may lie, such as an older version; as for ``Session.add``.
        timeout: seconds; None for as long as it takes.
        progress: called with a snapshot at once, every second (while metadata is fetched, while what lies there is
            checked, while data comes), and at the end. What it raises ends the fetch.

    Raises:
        NoPeersError: not complete within ``timeout``; what came is kept.
        VerifyError: the file's SHA-256 is not ``sha256``, or there are several files.
        ValueError: ``sha256`` is no SHA-256; as ``Session.add``. TypeError: as there.
        NoSuchFileError: there is no such file to select.
        TorrentError: as ``load``, ``Session.add``, ``open_session`` and ``Torrent.wait_complete``.
    """
    require_trio("fetch")
    expected = parse_sha256(sha256) if sha256 is not None else None
    select = files_of("select", select)
    # Now, not after a minute of loading.
    peers, trackers, web_seeds = peers_of(peers), urls_of("trackers", trackers), urls_of("web_seeds", web_seeds)
    reuse = places_of("reuse", reuse)
    deadline = trio.current_time() + (math.inf if timeout is None else timeout)
    if isinstance(source, str | PathLike):
        found = await load_for(source, settings, timeout)
    else:
        found = torrent_of(source, "a path, URL, link or info-hash")
    async with open_session(settings) as session:
        torrent = session.add(
            found,
            save_to,
            peers=peers,
            trackers=trackers,
            web_seeds=web_seeds,
            select=select,
            overwrite=overwrite,
            reuse=reuse,
        )
        with trio.CancelScope(deadline=deadline):
            if expected is not None:
                the_one_file(torrent, await torrent.wait_info())
            paths = await _wait_and_tell(torrent, progress)
            if expected is not None:
                await check_sha256(torrent, session, expected)
            return paths
        raise NoPeersError(f"{torrent.name}: not complete after {timeout:g} s: {torrent.why(patience=0).message}")
    raise AssertionError("unreachable")


async def _wait_and_tell(torrent: Torrent, progress: Callable[[TorrentStats], None] | None) -> tuple[pathlib.Path, ...]:
    if progress is None:
        return await torrent.wait_complete()
    paths: tuple[pathlib.Path, ...] | None = None
    while paths is None:
        progress(torrent.stats())
        with trio.move_on_after(PROGRESS_INTERVAL):
            paths = await torrent.wait_complete()
    progress(torrent.stats())
    return paths
