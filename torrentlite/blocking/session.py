"""Session and Torrent for callers without a loop.

Each name is the library's own, called between two steps of Trio's thread: one line, with its arguments, result and
docstring taken over, so that nothing can drift. Only waits are written out, for their ``timeout``.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Concatenate, Generic, Never, ParamSpec, TypeVar, overload

from .. import session
from ..events import Event
from ..loops import require_no_loop
from ..metainfo.metainfo import Info, Metainfo
from ..metainfo.mutable import MutableLink
from ..settings import Settings
from ..swarm import torrent as torrent_module
from ..swarm.eventstream import EventStream
from ..swarm.world import World
from .portal import Portal
from .reader import Reader

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

_Session = session.Session[torrent_module.Torrent]
_Torrent = torrent_module.Torrent


class Face(Generic[T]):
    """What a caller holds of something that lives in Trio's thread."""

    def __init__(self, inner: T, portal: Portal) -> None:
        self._inner = inner
        self._portal = portal

    def __repr__(self) -> str:
        return self._portal.look(lambda: repr(self._inner))


class _Fact(Generic[T, R]):
    """A property that is looked up in Trio's thread."""

    def __init__(self, kind: type[T], look: Callable[[T], R]) -> None:
        self._kind = kind
        self._look = look

    def __set_name__(self, owner: type[Face[T]], name: str) -> None:
        self.__doc__ = getattr(self._kind, name).__doc__

    @overload
    def __get__(self, face: None, owner: type[Face[T]]) -> _Fact[T, R]: ...
    @overload
    def __get__(self, face: Face[T], owner: type[Face[T]]) -> R: ...
    def __get__(self, face: Face[T] | None, owner: type[Face[T]]) -> _Fact[T, R] | R:
        return self if face is None else face._portal.look(functools.partial(self._look, face._inner))

    def __set__(self, face: Face[T], value: Never) -> None:
        raise AttributeError("this can be looked at, not set")


def _call(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[Face[T], P], R]:
    """A sync method that is called in Trio's thread."""

    @functools.wraps(method)
    def call(face: Face[T], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return face._portal.look(functools.partial(method, face._inner, *args, **kwargs))

    return call


class Events:
    """Events of one torrent, as an iterator that waits for the next; it ends when the torrent does."""

    def __init__(self, stream: EventStream, portal: Portal) -> None:
        self._stream = stream
        self._portal = portal
        self._taken: list[Event] = []

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def next(self, *, timeout: float | None = None) -> Event | None:
        """The next event, or None when there will be no more.

        Raises:
            TimeoutError: none came within ``timeout`` seconds.
        """
        if not self._taken:
            self._taken = self._portal.run(self._some, timeout=timeout)[::-1]
        return self._taken.pop() if self._taken else None

    async def _some(self) -> list[Event]:
        """All that is there, once there is something: one visit to Trio's thread for many events."""
        async for event in self._stream:
            return [event, *self._stream.take()]
        return []


class Torrent(Face[_Torrent]):
    """One shared thing in a session: a wish, a wait, a look. Made by ``Session.add``; any thread may use it."""

    name = _Fact(_Torrent, lambda torrent: torrent.name)
    hashes = _Fact(_Torrent, lambda torrent: torrent.hashes)
    info_hash = _Fact(_Torrent, lambda torrent: torrent.info_hash)
    metainfo = _Fact(_Torrent, lambda torrent: torrent.metainfo)
    magnet = _Fact(_Torrent, lambda torrent: torrent.magnet)
    save_to = _Fact(_Torrent, lambda torrent: torrent.save_to)
    state = _Fact(_Torrent, lambda torrent: torrent.state)
    error = _Fact(_Torrent, lambda torrent: torrent.error)
    sequential = _Fact(_Torrent, lambda torrent: torrent.sequential)

    pause = _call(_Torrent.pause)
    resume = _call(_Torrent.resume)
    recheck = _call(_Torrent.recheck)
    select_files = _call(_Torrent.select_files)
    set_sequential = _call(_Torrent.set_sequential)
    prioritize = _call(_Torrent.prioritize)
    add_peer = _call(_Torrent.add_peer)
    add_tracker = _call(_Torrent.add_tracker)
    add_web_seed = _call(_Torrent.add_web_seed)
    announce = _call(_Torrent.announce)
    set_limits = _call(_Torrent.set_limits)

    stats = _call(_Torrent.stats)
    peers = _call(_Torrent.peers)
    files = _call(_Torrent.files)
    pieces = _call(_Torrent.pieces)
    trackers = _call(_Torrent.trackers)
    sources = _call(_Torrent.sources)
    web_seeds = _call(_Torrent.web_seeds)
    why = _call(_Torrent.why)
    paths = _call(_Torrent.paths)
    link = _call(_Torrent.link)

    def publish(self, key: bytes, *, salt: bytes = b"", timeout: float | None = None) -> MutableLink:
        """Let a link that stays lead to this torrent (BEP 46), as long as it is in the session.

        Who has the key can let it lead to another one any time: publish that with the same key and salt. ``load`` of
        the link finds whichever came last. Waits until nodes of the DHT have stored it; they are told again each hour.

        Args:
            key: 32 secret bytes that only the owner knows (``secrets.token_bytes(32)``). Keep them: the link is made of
                the public key that belongs to them.
            salt: one key may own several links, each with another salt; at most 64 bytes.
            timeout: seconds; None to wait as long as it takes.

        Raises:
            DhtError: the DHT is switched off, or no node took it; the torrent is private, or of v2 alone; the
                ``cryptography`` package is not installed.
            ValueError: the key has not 32 bytes.
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.publish")
        return self._portal.run(lambda: self._inner.publish(key, salt=salt), timeout=timeout)

    def wait_info(self, *, timeout: float | None = None) -> Info:
        """Wait until it is known which files there are: enough to show them, and to select some.

        Of a magnet link of version 2 that is sooner than ``wait_metadata``: then the hashes of its pieces are still on
        their way (``Info.lacks_layers``). It returns also where what was selected is not among them: select others, and
        ``resume``.

        Raises:
            TorrentError: the torrent failed before that (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.wait_info")
        return self._wait(self._inner.wait_info, timeout)

    def wait_metadata(self, *, timeout: float | None = None) -> Metainfo:
        """Wait until it is known what is shared.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.wait_metadata")
        return self._wait(self._inner.wait_metadata, timeout)

    def wait_checked(self, *, timeout: float | None = None) -> None:
        """Wait until what lies on the disk has been looked at, and peers can be served.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.wait_checked")
        self._wait(self._inner.wait_checked, timeout)

    def wait_complete(self, *, timeout: float | None = None) -> tuple[pathlib.Path, ...]:
        """Wait until everything wanted is verified, synced and under its final name; returns the top path(s).

        A full disk does not end the wait: it goes on when there is room.

        Raises:
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.wait_complete")
        return self._wait(self._inner.wait_complete, timeout)

    def wait_copies(self, count: int = 1, *, timeout: float | None = None) -> None:
        """Wait until so many others have all of it, and we do: then a seed may go.

        Counted in ``TorrentStats.copies``: who is met with everything, or gets it, while all that we want is here.
        Peers say themselves what they have. Those it was fetched from count too, if still here or back again.

        Args:
            count: of the others.
            timeout: seconds; None to wait as long as it takes.

        Raises:
            ValueError: the count is below 1 or above 10,000 (no more are told apart).
            TorrentError: the torrent failed (its ``error``).
            TorrentRemovedError: it was removed, or its session left.
            TimeoutError: not within ``timeout`` seconds.
        """
        require_no_loop("Torrent.wait_copies")
        self._portal.run(lambda: self._inner.wait_copies(count), timeout=timeout)

    def open(
        self, file: str | int | None = None, *, read_ahead: int | None = None, timeout: float | None = None
    ) -> Reader:
        """Read a file while it downloads: ``with torrent.open("a/b.mkv") as file: file.read(1000)``.

        It waits for the metadata.

        Args:
            file: its path (as in ``files``, or without the torrent's name) or index; None for the only one.
            read_ahead: bytes to fetch ahead of it; None to go by how it is read.
            timeout: seconds that opening and each read may take; None for as long as it takes.

        Raises:
            NoSuchFileError: the torrent has no such file.
            TimeoutError: the metadata did not come within ``timeout`` seconds.
        """
        require_no_loop("Torrent.open")
        return Reader(self._inner.open(file, read_ahead=read_ahead), self._portal, timeout)

    def _wait(self, wait: Callable[[], Awaitable[T]], timeout: float | None) -> T:
        """Wait for what this side is to have, and say why it has not."""
        try:
            return self._portal.run(wait, timeout=timeout)
        except TimeoutError as error:
            why = self._portal.look(lambda: self._inner.why(patience=0)).message
            raise TimeoutError(f"{self.name}: {error}: {why}") from None

    @contextlib.contextmanager
    def events(self) -> Iterator[Events]:
        """What happens from now on, as typed values: ``with torrent.events() as events: for event in events: …``.

        Bounded: a slow reader loses the oldest ``Progress``, and holds nobody up. Ends when the torrent is removed.
        """
        with self._portal.holding(self._inner.events()) as stream:
            yield Events(stream, self._portal)


def _adding(
    method: Callable[Concatenate[_Session, P], _Torrent],
) -> Callable[Concatenate[Session, P], Torrent]:
    """``Session.add``, for a Torrent of this face."""

    @functools.wraps(method)
    def add(session: Session, /, *args: P.args, **kwargs: P.kwargs) -> Torrent:
        return session._face(session._portal.look(lambda: method(session._inner, *args, **kwargs)))

    return add


class Session(Face[_Session]):
    """Torrents that share one port, one set of limits and one lifetime. Made by ``torrentlite.blocking.open_session``.

    Attributes:
        settings: what it was opened with.
        addresses: where it listens.
    """

    def __init__(self, inner: _Session, portal: Portal) -> None:
        super().__init__(inner, portal)
        self.settings = inner.settings
        self.addresses = inner.addresses
        self._faces: dict[_Torrent, Torrent] = {}

    port = _Fact(_Session, lambda session: session.port)
    stats = _call(_Session.stats)
    set_limits = _call(_Session.set_limits)
    add = _adding(_Session.add)

    @property
    def torrents(self) -> tuple[Torrent, ...]:
        """All torrents, in the order they were added."""
        return tuple(map(self._face, self._portal.look(lambda: self._inner.torrents)))

    def remove(self, torrent: Torrent) -> None:
        """Leave its swarm and forget it; its files stay. Takes 5 seconds at most, with slow trackers."""
        require_no_loop("Session.remove")
        self._portal.run(lambda: self._inner.remove(torrent._inner))
        self._faces.pop(torrent._inner, None)

    def _face(self, torrent: _Torrent) -> Torrent:
        return self._faces.setdefault(torrent, Torrent(torrent, self._portal))


@contextlib.contextmanager
def open_session(settings: Settings | None = None, *, world: World | None = None) -> Iterator[Session]:
    """Open a session; when the block is left, everything that it started has ended.

    Leaving says ``stopped`` to trackers and saves resume data, and takes 5 seconds at most with dead trackers; also
    when the block is left by Ctrl-C.

    Args:
        settings: choices; None for the defaults.
        world: what to stand on; None for the real network, threads and dice.

    Raises:
        ListenError: the port cannot be had.
        RuntimeError: an event loop runs in this thread; it says what to use instead.
    """
    require_no_loop("open_session")
    with Portal() as portal, portal.holding(session.open_session(settings, world=world)) as opened:
        yield Session(opened, portal)
