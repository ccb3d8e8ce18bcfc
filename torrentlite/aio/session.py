"""Session and Torrent for asyncio programs.

They are the library's own classes: in guest mode Trio shares the thread with asyncio, so wishes and looks are plain
calls, and only what waits is overridden here.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import threading
from collections.abc import AsyncIterator

from .. import session
from ..loops import require_asyncio, require_thread
from ..metainfo.metainfo import Info, Metainfo
from ..metainfo.mutable import MutableLink
from ..settings import Settings
from ..swarm import eventstream, torrent as torrent_module
from ..swarm.commons import Commons
from ..swarm.life import Life
from ..swarm.world import World
from .guest import guest
from .reader import Opening


class EventStream(eventstream.EventStream):
    """Events of one torrent, as an async iterator; it ends when the torrent does. See ``Torrent.events``."""

    def _new_wake(self) -> eventstream.Wake:
        return asyncio.Event()

    async def _checkpoint(self) -> None:
        # asyncio cancels where something is really waited for.
        pass


class Torrent(torrent_module.Torrent):
    """One shared thing in a session: ``torrentlite.Torrent``, its waits for asyncio. Made by ``Session.add``."""

    @property
    def _life(self) -> Life:
        # All that a torrent does goes by here, and web frameworks do call sync functions in other threads.
        if self._own.swarm.commons.closed_at is None:
            require_thread(self._thread)
        return self._own

    @_life.setter
    def _life(self, life: Life) -> None:
        self._own, self._thread = life, threading.get_ident()

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
        async with guest() as trio:
            return await trio.run(lambda: super(Torrent, self).publish(key, salt=salt))

    async def wait_info(self) -> Info:
        """Wait until it is known which files there are: enough to show them, and to select some.

        Of a magnet link of version 2 that is sooner than ``wait_metadata``: then the hashes of its pieces are still on
        their way (``Info.lacks_layers``). It returns also where what was selected is not among them: select others, and
        ``resume``.

        Raises:
            TorrentError: the torrent failed before that (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        async with guest() as trio:
            return await trio.run(super().wait_info)

    async def wait_metadata(self) -> Metainfo:
        """Wait until it is known what is shared.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        async with guest() as trio:
            return await trio.run(super().wait_metadata)

    async def wait_checked(self) -> None:
        """Wait until what lies on the disk has been looked at, and peers can be served.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        async with guest() as trio:
            await trio.run(super().wait_checked)

    async def wait_complete(self) -> tuple[pathlib.Path, ...]:
        """Wait until everything wanted is verified, synced and under its final name; returns the top path(s).

        A full disk does not end the wait: it goes on when there is room.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        async with guest() as trio:
            return await trio.run(super().wait_complete)

    async def wait_copies(self, count: int = 1) -> None:
        """Wait until so many others have all of it, and we do: then a seed may go.

        Counted in ``TorrentStats.copies``: who is met with everything, or gets it, while all that we want is here.
        Peers say themselves what they have. Those it was fetched from count too, if still here or back again.

        Raises:
            ValueError: the count is below 1 or above 10,000 (no more are told apart).
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
        """
        async with guest() as trio:
            await trio.run(lambda: super(Torrent, self).wait_copies(count))

    def open(self, file: str | int | None = None, *, read_ahead: int | None = None) -> Opening:  # type: ignore[override]
        """Read a file while it downloads: ``async with torrent.open("a/b.mkv") as file: await file.read(1000)``.

        Entering waits for the metadata. The file is a handle of aiofiles.

        Args:
            file: its path (as in ``files``, or without the torrent's name) or index; None for the only one.
            read_ahead: bytes to fetch ahead of it; None to go by how it is read.
        """
        return Opening(super().open(file, read_ahead=read_ahead))

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[EventStream]:
        """What happens from now on, as typed values: ``async with torrent.events() as events: async for event in …``.

        Bounded: a slow reader loses the oldest ``Progress``, and holds nobody up. Ends when the torrent is removed.
        """
        with self._life.streams.reading(EventStream()) as stream:
            yield stream


class Session(session.Session[Torrent]):
    """Torrents that share one port, one set of limits and one lifetime. Made by ``torrentlite.aio.open_session``.

    Attributes:
        settings: what it was opened with.
        addresses: where it listens.
    """

    _torrent_class = Torrent

    @property
    def _commons(self) -> Commons:
        if self._own.closed_at is None:
            require_thread(self._thread)
        return self._own

    @_commons.setter
    def _commons(self, commons: Commons) -> None:
        self._own, self._thread = commons, threading.get_ident()

    async def remove(self, torrent: Torrent) -> None:
        """Leave its swarm and forget it; its files stay. Takes 5 seconds at most, with slow trackers."""
        async with guest() as trio:
            await trio.run(lambda: super(Session, self).remove(torrent))


@contextlib.asynccontextmanager
async def open_session(settings: Settings | None = None, *, world: World | None = None) -> AsyncIterator[Session]:
    """Open a session; when the block is left, everything that it started has ended.

    Leaving says ``stopped`` to trackers and saves resume data, and takes 5 seconds at most with dead trackers; also
    when the block is left because its task was cancelled.

    Args:
        settings: choices; None for the defaults.
        world: what to stand on; None for the real network, threads and dice.

    Raises:
        ListenError: the port cannot be had.
        RuntimeError: no asyncio loop is running here; it says what to use instead.
    """
    require_asyncio("open_session")
    async with guest() as trio, trio.holding(session.open_session_of(Session, settings, world)) as opened:
        yield opened
