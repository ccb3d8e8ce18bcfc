"""What fsspec asks of a torrent."""

from __future__ import annotations

import errno
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from .. import loading, session
from ..metainfo.magnet import Magnet
from ..metainfo.metainfo import Metainfo
from ..settings import Settings
from ..storage.memory import CacheStorage
from ..swarm.torrent import Torrent
from .engine import Engine
from .file import TorrentFile

if TYPE_CHECKING:

    class AbstractFileSystem:
        """fsspec has no types: this stands for what is used of it."""

        storage_options: dict[str, Any]

        def __init__(self, **options: Any) -> None: ...
        @classmethod
        def _strip_protocol(cls, path: str) -> str: ...

else:
    try:
        from fsspec.spec import AbstractFileSystem
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("fsspec"):
            raise
        raise ModuleNotFoundError(
            "torrentlite.filesystem needs the package fsspec: pip install 'torrentlite[fsspec]'", name="fsspec"
        ) from None

T = TypeVar("T")

_HASH: Final = re.compile(r"(?:torrent://)?/?([0-9a-fA-F]{64}|[0-9a-fA-F]{40})(?:/|$)")
_AT_ONCE: Final = 16
"""Parts of files that are read at the same time (``cat_ranges``)."""


class TorrentFileSystem(AbstractFileSystem):
    """The files of one torrent, read-only.

    Args:
        source: a .torrent (path, URL or bytes), a magnet link or an info-hash. Not needed where the URL has the hash.
        fo: the same, from a chained URL: ``torrent://a.csv::s3://bucket/a.torrent``.
        target_protocol: of ``fo``.
        target_options: of ``fo``.
        peers: (host, port) of peers known by other means.
        trackers: more trackers.
        web_seeds: URLs where the same data lies.
        save_to: a folder to keep what is read in; None keeps nothing but a cache.
        cache: bytes of that cache, in memory; at least eight pieces.
        timeout: seconds without any progress after which a call gives up (TimeoutError); None for never.
        settings: of the session: a ``Settings``, or a dict of its fields. (What ``fo`` names is opened by fsspec, in
            its own ways: by no proxy of ours.)

    Raises (from all that reads):
        FileNotFoundError: there is no such file in it.
        TimeoutError: no progress for so long; it says why.
        TorrentError: the torrent, or its source, cannot be used.
    """

    protocol = "torrent"
    root_marker = ""

    def __init__(
        self,
        source: str | bytes | os.PathLike[str] | None = None,
        *,
        fo: str | None = None,
        target_protocol: str | None = None,
        target_options: Mapping[str, Any] | None = None,
        peers: Iterable[tuple[str, int]] = (),
        trackers: Iterable[str] = (),
        web_seeds: Iterable[str] = (),
        save_to: str | os.PathLike[str] | None = None,
        cache: int = 256 << 20,
        timeout: float | None = 120,
        settings: Settings | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if getattr(self, "_ready", False):  # fsspec gives the same instance for the same arguments
            return
        super().__init__(**options)
        if source is None and fo is None:
            raise ValueError("which torrent? source=… (a .torrent, a link), or torrent://<info-hash>/path")
        self._source = source
        self._fo = (fo, target_protocol, dict(target_options or {}))
        self._places: dict[str, Any] = {
            "peers": [(host, port) for host, port in peers],
            "trackers": list(trackers),
            "web_seeds": list(web_seeds),
        }
        self._save_to = save_to
        self._cache = cache
        self._timeout = timeout
        self._settings = Settings(**settings) if isinstance(settings, Mapping) else settings or Settings()
        self._unlock()
        self._engine: Engine | None = None
        self._ready = True
        _MADE[id(self)] = self

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        path = path.removeprefix("torrent://").strip("/")
        found = _HASH.match(path)
        return path[found.end() :].strip("/") if found else path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        found = _HASH.match(path)
        return {"source": found[1].lower()} if found else {}

    # -- the engine --------------------------------------------------------------------------------------------------

    def _unlock(self) -> None:
        self._lock = threading.RLock()

    def _start(self) -> Engine:
        """The session in its thread, begun when it is first needed, and anew in a forked process."""
        engine = self._engine
        if engine is not None and engine.portal.inside:
            return engine  # not by the lock: who closes it holds that, and waits for this thread
        with self._lock:
            if self._engine is None or self._engine.pid != os.getpid():
                self._engine = Engine(self._settings, self._add, self._timeout)
                self._finalizer = weakref.finalize(self, self._engine.close)
            return self._engine

    async def _add(self, opened: session.Session[Torrent]) -> Torrent:
        found = await self._load()
        storage = None
        if self._save_to is None:
            cache = self._cache  # the torrent must not hold us, or nobody would ever be rid of its session
            storage = lambda info: CacheStorage(info, limit=max(cache, 8 * info.piece_length))  # noqa: E731
        return opened.add(found, self._save_to or ".", select=(), storage=storage, **self._places)

    async def _load(self) -> Metainfo | Magnet:
        fo, protocol, options = self._fo
        if fo is not None:
            import fsspec

            def read() -> bytes:
                with fsspec.open(fo, protocol=protocol, **options) as file:
                    return bytes(file.read())

            return Metainfo.from_bytes(await trio.to_thread.run_sync(read))
        assert self._source is not None
        if isinstance(self._source, bytes):
            return Metainfo.from_bytes(self._source)
        return await loading.load(self._source, settings=self._settings)

    @property
    def torrent(self) -> Torrent:
        """Its torrent, to be looked at (``fs.look(lambda: fs.torrent.stats())``)."""
        return self._start().torrent

    def look(self, function: Callable[[], T]) -> T:
        """Call something in the engine's thread, where the torrent lives."""
        return self._start().portal.look(function)

    def close(self) -> None:
        """Leave the session; it is opened again when it is needed. At the end of the process that is done anyway."""
        with self._lock:
            if self._engine is not None:
                try:
                    self._finalizer()
                finally:
                    self._engine = None

    # -- what is in it -----------------------------------------------------------------------------------------------

    def _entry(self, path: str) -> dict[str, Any]:
        entry = self._start().tree.find(self._strip_protocol(path))
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return entry

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Name, size and type of a file or folder."""
        return dict(self._entry(path))

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """What is in a folder; of a file, itself."""
        entry = self._entry(path)
        found = [entry]
        if entry["type"] == "directory":
            found = self._start().tree.inside(entry)
        return [dict(each) for each in found] if detail else [each["name"] for each in found]

    def ukey(self, path: str) -> str:
        """What changes when the file's content does: a torrent's never does."""
        entry = self._entry(path)
        return f"{self._start().metainfo.info_hash}/{entry['name']}"

    # -- reading -----------------------------------------------------------------------------------------------------

    def _open(self, path: str, mode: str = "rb", **options: Any) -> TorrentFile:
        if mode != "rb":
            raise OSError(errno.EROFS, "a torrent can only be read", path)
        return TorrentFile(self, self._start(), self._file(path), path)

    def _file(self, path: str) -> int:
        entry = self._entry(path)
        if entry["type"] != "file":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return int(entry["index"])

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """The bytes of a file, or a part of it (negative places count from the end)."""
        found = self.cat_ranges([path], [start], [end])[0]
        if isinstance(found, BaseException):
            raise found
        return bytes(found)

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **options: Any,
    ) -> list[Any]:
        """Parts of files, read at the same time: they wait for each other no longer than the line needs."""
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        parts = list(zip(paths, starts, ends, strict=True))
        engine = self._start()
        results: list[Any] = [b""] * len(parts)
        files: dict[int, int] = {}
        for number, (path, _, _) in enumerate(parts):
            try:
                files[number] = self._file(path)
            except OSError as error:
                results[number] = error
        limiter = trio.CapacityLimiter(_AT_ONCE)

        async def read(number: int, file: int, start: int | None, end: int | None) -> None:
            try:
                async with limiter, engine.torrent.open(file, read_ahead=0) as reader:
                    first, last, _ = slice(start, end).indices(reader.size)
                    reader.seek(first)
                    results[number] = await reader.read(max(0, last - first))
            except Exception as error:
                results[number] = error

        async def read_all() -> None:
            async with trio.open_nursery() as nursery:
                for number, file in files.items():
                    nursery.start_soon(read, number, file, *parts[number][1:])

        engine.run(read_all)
        failed = [each for each in results if isinstance(each, BaseException)]
        if failed and on_error == "raise":
            raise failed[0]
        return results


_MADE: Final[weakref.WeakValueDictionary[int, TorrentFileSystem]] = weakref.WeakValueDictionary()


def _unlock_all() -> None:
    # The thread that held a lock while it opened a torrent does not go along into a forked process, where who waited
    # for it would wait for ever.
    for each in list(_MADE.values()):
        each._unlock()


os.register_at_fork(after_in_child=_unlock_all)
