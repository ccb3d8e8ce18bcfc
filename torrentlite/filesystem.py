"""A torrent as a filesystem for fsspec, so that pandas, pyarrow, dask and zarr read straight from a share.

    pandas.read_parquet("torrent://sales/2024.parquet", columns=["price"], storage_options={"source": "sales.torrent"})
    pandas.read_parquet("torrent://<40 hex digits of the info-hash>/sales/2024.parquet")

Only the pieces that are touched are fetched. Needs the extra ``torrentlite[fsspec]``; the engine is Trio in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import re
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from . import loading, session
from .blocking.portal import Portal
from .errors import NoSuchFileError
from .metainfo.magnet import Magnet
from .metainfo.metainfo import Metainfo
from .settings import Settings
from .storage.memory import CacheStorage
from .swarm.reader import Reader
from .swarm.torrent import Torrent

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

_HASH: Final = re.compile(r"(?:torrent://)?/?([0-9a-fA-F]{40})(?:/|$)")
_BUFFER: Final = 16 << 10
"""What a small read brings along: a block of the wire."""
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
        settings: of the session: a ``Settings``, or a dict of its fields.

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
        self._engine: _Engine | None = None
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

    def _start(self) -> _Engine:
        """The session in its thread, begun when it is first needed, and anew in a forked process."""
        engine = self._engine
        if engine is not None and engine.portal.inside:
            return engine  # not by the lock: who closes it holds that, and waits for this thread
        with self._lock:
            if self._engine is None or self._engine.pid != os.getpid():
                self._engine = _Engine(self._settings, self._add, self._timeout)
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
        return await loading.load(self._source)

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
        engine = self._start()
        name = self._strip_protocol(path)
        entry = engine.entries.get(name) or engine.entries.get(f"{engine.metainfo.name}/{name}" if name else "")
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
            found = [self._start().entries[name] for name in self._start().children[entry["name"]]]
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


class _Engine:
    """A session with one torrent in a thread of its own.

    Attributes:
        portal: the way into it.
        metainfo: what is shared.
        entries: files and folders by their path; "" is the root.
        children: the paths of what is in each folder.
    """

    def __init__(
        self,
        settings: Settings,
        add: Callable[[session.Session[Torrent]], Awaitable[Torrent]],
        timeout: float | None,
    ) -> None:
        self.pid = os.getpid()
        self._timeout = timeout
        self._stack = contextlib.ExitStack()
        try:
            self.portal = self._stack.enter_context(Portal())
            opened = self._stack.enter_context(self.portal.holding(session.open_session(settings)))
            self.torrent = self.portal.run(functools.partial(add, opened))
            self.metainfo = self.run(self.torrent.wait_metadata)
        except BaseException:
            self._stack.close()
            raise
        self._index()

    def _index(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {"": {"name": "", "size": 0, "type": "directory"}}
        self.children: dict[str, dict[str, None]] = {"": {}}
        for index in self.metainfo.info.wanted_files:
            file = self.metainfo.files[index]
            for depth in range(1, len(file.path)):
                folder = "/".join(file.path[:depth])
                self.entries.setdefault(folder, {"name": folder, "size": 0, "type": "directory"})
                self.children.setdefault(folder, {})
                self.children["/".join(file.path[: depth - 1])][folder] = None
            name = "/".join(file.path)
            self.entries[name] = {"name": name, "size": file.length, "type": "file", "index": index}
            self.children["/".join(file.path[:-1])][name] = None

    def close(self) -> None:
        """Leave the session; not in a forked process, where there is none."""
        if self.pid == os.getpid():
            self._stack.close()

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await something in the engine's thread, for as long as anything comes.

        Raises:
            FileNotFoundError: there is no such file.
            TimeoutError: nothing came for too long.
        """
        try:
            return self.portal.run(functools.partial(self._patiently, function))
        except NoSuchFileError as error:
            raise FileNotFoundError(errno.ENOENT, str(error)) from error

    async def _patiently(self, function: Callable[[], Awaitable[T]]) -> T:
        if self._timeout is None:
            return await function()
        with trio.CancelScope(deadline=trio.current_time() + self._timeout) as scope:
            result: list[T] = []
            self._why = ""
            failures: list[Exception] = []

            async def call() -> None:
                try:
                    result.append(await function())
                except Exception as error:  # as itself, not in an ExceptionGroup
                    failures.append(error)
                nursery.cancel_scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                nursery.start_soon(self._extend, scope, self._timeout)
            if failures:
                raise failures[0]
            if result:
                return result[0]
        raise TimeoutError(f"{self.torrent.name}: nothing came for {self._timeout:g} s: {self._why}")

    async def _extend(self, scope: trio.CancelScope, patience: float) -> None:
        """Whenever something has come, wait longer."""
        seen = -1
        while True:
            stats = self.torrent.stats()
            moved = stats.downloaded - stats.wasted + stats.metadata_done + stats.checked
            self._why = self.torrent.why().message  # while it still waits
            if moved > seen:
                seen = moved
                scope.deadline = trio.current_time() + patience
            await trio.sleep(min(1.0, patience / 4))


class TorrentFile(io.BufferedIOBase):
    """A file of a torrent, as fsspec gives it out: for one thread at a time.

    What is asked for is read as it is, in one go: who reads a column's bytes wants no others. Only what is smaller than
    a block is read with what follows.

    Attributes:
        fs: the filesystem; it leaves its session when nobody has it any more.
        path: as it was opened.
        size: its bytes.
    """

    mode = "rb"

    def __init__(self, fs: TorrentFileSystem, engine: _Engine, file: int, path: str) -> None:
        self.fs = fs
        self._engine = engine
        self._reader: Reader = engine.run(functools.partial(self._enter, engine.torrent, file))
        self._position = 0
        self._buffer = b""  # what lies from _buffered on
        self._buffered = 0
        self.path = path
        self.size = self._reader.size

    @staticmethod
    async def _enter(torrent: Torrent, file: int) -> Reader:
        return await torrent.open(file).__aenter__()

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return f"torrent://{self.path}"

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position of the next byte to be read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning")
        self._position = base + offset
        return self._position

    def peek(self, size: int = 0) -> bytes:
        """Some of what comes next, at least a byte where there is one; the position stays."""
        return self._some(1)

    def read(self, size: int | None = -1) -> bytes:
        """Exactly so many bytes, fewer only at the end; all the rest without a size."""
        left = max(0, self.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._some(wanted)[:wanted]
        self._position += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        """Some bytes, with one read at most."""
        data = self._some(1)
        data = data if size < 0 else data[:size]
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; fewer bytes only at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close it; nothing more is fetched for it."""
        if not self.closed:
            super().close()
            # Not waited for: what nobody closed is closed by the collector, which may run in the loop's own thread.
            if hasattr(self, "_reader"):
                self._engine.portal.soon(self._reader.close)

    def _some(self, wanted: int) -> bytes:
        """So many bytes from the present position on, or more; fewer only at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        at = self._position - self._buffered
        if 0 <= at < len(self._buffer) and at + wanted <= len(self._buffer):
            return self._buffer[at:]
        if wanted <= 0:
            return b""
        position, size = self._position, max(wanted, _BUFFER)
        data = self._engine.run(lambda: self._read(position, size))
        self._buffer, self._buffered = (data, position) if wanted < _BUFFER else (b"", 0)
        return data

    async def _read(self, position: int, size: int) -> bytes:
        self._reader.seek(position)
        return await self._reader.read(size)
