"""A save folder, of which no path ever leads out: names are opened one by one, and links are not followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, TypeVar, TypeVarTuple

from .. import limits
from . import platform

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Path = tuple[str, ...]
"""Components below the save folder."""

_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL


class Opened(NamedTuple):
    """A descriptor, and the file's status as it was opened."""

    fd: int
    status: os.stat_result


class _Holding:
    """The folders that one thread holds open. The one above each is held too."""

    def __init__(self) -> None:
        self.folders: dict[Path, _Held] = {}
        self.lent = 0  # how many are in use, so that none may be closed

    def let_go(self) -> None:
        while self.folders:
            platform.close_folder(self.folders.popitem()[1].folder)


class _Held:
    """One of them, and what it looked like. With another one at the same time, it is lent for the length of a block."""

    __slots__ = ("_holding", "folder", "status")

    def __init__(self, holding: _Holding, folder: platform.Handle) -> None:
        self._holding = holding
        self.folder = folder
        self.status = platform.stat_folder(folder)

    def __enter__(self) -> platform.Handle:
        self._holding.lent += 1
        return self.folder

    def __exit__(self, *_: object) -> None:
        self._holding.lent -= 1


class Beneath:
    """Files and folders below one folder. All methods raise OSError; threads may share it.

    Args:
        root: the folder, as the user named it; it need not exist before something is created in it.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._lock = threading.Lock()
        self._changed: set[Path] = set()  # folders with entries that are not on the disk yet
        self._most = min(limits.HELD_FOLDERS, platform.open_files_limit() // (4 * limits.DISK_THREADS))
        self._local = threading.local()  # ``held``: the folders that this thread holds, by their paths

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Keep the folders that this thread comes through open for the length of a block.

        A walk for each call was 30 openings and 37 looks a file, half of the CPU of fetching 10,000 small files. No
        link is followed for it, since what is held was come to by walking. At the end, and when too many are held, the
        walk is repeated, and has to lead to the same folders.

        Raises:
            OSError: somebody has put something else in a folder's place meanwhile, so what was done in it is not here.
        """
        if self._held() is not None:
            yield
            return
        held = self._local.held = _Holding()
        try:
            yield
            self._check_held(held)
        finally:
            self._local.held = None
            held.let_go()

    def open(self, path: Path, flags: int) -> Opened:
        """Open a regular file that exists.

        Args:
            path: where.
            flags: ``os.O_RDONLY`` or ``os.O_RDWR``.
        """
        fd = self._do(platform.open_in, path, flags)
        try:
            status = os.fstat(fd)
            _refuse_others(status, writing=flags & os.O_RDWR != 0)
        except BaseException:
            os.close(fd)
            raise
        return Opened(fd, status)

    def create(self, path: Path, *, executable: bool = False) -> int:
        """Make a file that must not exist yet, with the folders above it, and open it to be read and written.

        Args:
            path: where.
            executable: give it the right to be executed.
        """
        fd = self._do(platform.open_in, path, _CREATE, 0o777 if executable else 0o666, create=True)
        self._note(path[:-1])
        return fd

    def stat(self, path: Path) -> os.stat_result | None:
        """The status of what is there (a link's own), or None when nothing is."""
        try:
            return self._do(platform.stat_in, path)
        except FileNotFoundError:
            return None

    def same(self, one: Path, other: Path) -> bool:
        """Whether these are two names of one file, as after a renaming that was interrupted."""
        first, second = self.stat(one), self.stat(other)
        return first is not None and second is not None and os.path.samestat(first, second)

    def rename(self, old: Path, new: Path, *, replace: bool) -> None:
        """Rename a file. Unless ``replace``, FileExistsError when the new name is taken."""
        with self._folder(old[:-1]) as folder, self._folder(new[:-1], create=True) as target:
            try:
                platform.rename_in(folder, old[-1], target, new[-1], replace=replace)
            finally:  # a call that was interrupted (EINTR) fails, and may have done it
                for above in {old[:-1], new[:-1]}:
                    self._note(above)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._do(platform.remove_in, path)

    def flush_names(self) -> None:
        """Put on the disk what names were created and changed: a file is safe only if the way to it is."""
        with self._lock:
            changed, self._changed = self._changed, set()
        todo = sorted(changed)
        while todo:
            try:
                with self._folder(todo[-1]) as folder:
                    platform.flush_folder(folder)
            except BaseException:
                with self._lock:
                    self._changed.update(todo)
                raise
            todo.pop()

    def name(self, path: Path) -> str:
        """This path as text."""
        return os.path.join(self.root, *path)

    def _do(self, call: Callable[[platform.Handle, str, *Ts], T], path: Path, *more: *Ts, create: bool = False) -> T:
        """Call something of ``platform`` for a name in its folder."""
        held = self._held()
        if held is not None:
            return call(self._lend(held, path[:-1], create=create).folder, path[-1], *more)
        with self._walk(path[:-1], create=create) as folder:
            return call(folder, path[-1], *more)

    def _folder(self, path: Path, *, create: bool = False) -> AbstractContextManager[platform.Handle]:
        """Open a folder, from the root down. With ``create``, what is missing is made."""
        held = self._held()
        return self._walk(path, create=create) if held is None else self._lend(held, path, create=create)

    @contextlib.contextmanager
    def _walk(self, path: Path, *, create: bool) -> Iterator[platform.Handle]:
        folder = self._root(create=create)
        try:
            for depth, name in enumerate(path):
                inner = self._step(folder, path[:depth], name, create=create)
                platform.close_folder(folder)
                folder = inner
            yield folder
        finally:
            platform.close_folder(folder)

    def _root(self, *, create: bool) -> platform.Handle:
        try:
            return platform.open_root(self.root)
        except FileNotFoundError:
            if not create:
                raise
        platform.make_folders(self.root)
        return platform.open_root(self.root)

    def _step(self, folder: platform.Handle, above: Path, name: str, *, create: bool) -> platform.Handle:
        if name in ("", ".", "..") or "/" in name or "\0" in name or os.sep in name:
            raise OSError(errno.EINVAL, "not a name")  # metainfo/paths.py lets none through; a second bolt
        try:
            return platform.open_folder(folder, name)
        except FileNotFoundError:
            if not create:
                raise
        try:
            with contextlib.suppress(FileExistsError):  # another thread was faster
                platform.make_folder(folder, name)
        finally:  # as above
            self._note(above)
        return platform.open_folder(folder, name)

    # -- folders that are held ---------------------------------------------------------------------------------------

    def _held(self) -> _Holding | None:
        held: _Holding | None = getattr(self._local, "held", None)
        return held

    def _lend(self, held: _Holding, path: Path, *, create: bool) -> _Held:
        return held.folders.get(path) or self._hold(held, path, create=create)

    def _hold(self, held: _Holding, path: Path, *, create: bool) -> _Held:
        if len(held.folders) + len(path) >= self._most and not held.lent:
            self._check_held(held)
            held.let_go()
        for depth in range(len(path) + 1):
            here = path[:depth]
            if here in held.folders:
                continue
            if depth:
                folder = self._step(held.folders[here[:-1]].folder, here[:-1], here[-1], create=create)
            else:
                folder = self._root(create=create)
            try:
                held.folders[here] = _Held(held, folder)
            except BaseException:
                platform.close_folder(folder)
                raise
        return held.folders[path]

    def _check_held(self, held: _Holding) -> None:
        """Each folder still lies in the one above it, and the topmost one where the user named it."""
        for path, here in held.folders.items():
            there = platform.stat_in(held.folders[path[:-1]].folder, path[-1]) if path else os.stat(self.root)
            if not os.path.samestat(there, here.status):
                raise OSError(errno.ESTALE, "a folder was replaced by another program", self.name(path))

    def _note(self, folder: Path) -> None:
        """After the change: if it is noted already, it is not flushed yet."""
        if folder not in self._changed:
            with self._lock:
                self._changed.add(folder)


def _refuse_others(status: os.stat_result, *, writing: bool) -> None:
    """Only plain files with one name: a planted link must not make us write somewhere else."""
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENXIO, "not a regular file")
    if writing and status.st_nlink > 1:
        raise OSError(errno.EMLINK, "it has a second name (a hard link), which would be written too")
