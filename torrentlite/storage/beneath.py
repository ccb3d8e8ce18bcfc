"""A save folder, of which no path ever leads out: names are opened one by one, and links are not followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator

from . import platform

Path = tuple[str, ...]
"""Components below the save folder."""


class Beneath:
    """Files and folders below one folder. All methods raise OSError; threads may share it.

    Args:
        root: the folder, as the user named it; it need not exist before something is created in it.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._lock = threading.Lock()
        self._changed: set[Path] = set()  # folders with entries that are not on the disk yet

    def open(self, path: Path, flags: int, *, create: bool = False, executable: bool = False) -> int:
        """Open a regular file.

        Args:
            path: where.
            flags: ``os.O_RDONLY`` or ``os.O_RDWR``.
            create: it must not exist yet, and is made, with the folders above it.
            executable: give a new file the right to be executed.
        """
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        with self._folder(path[:-1], create=create) as folder:
            fd = platform.open_in(folder, path[-1], flags, 0o777 if executable else 0o666)
        try:
            _refuse_others(os.fstat(fd), writing=flags & os.O_RDWR != 0)
        except BaseException:
            os.close(fd)
            raise
        if create:
            self._note(path[:-1])
        return fd

    def stat(self, path: Path) -> os.stat_result | None:
        """The status of what is there (a link's own), or None when nothing is."""
        try:
            with self._folder(path[:-1]) as folder:
                return platform.stat_in(folder, path[-1])
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
                self._note(old[:-1])
                self._note(new[:-1])

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._folder(path[:-1]) as folder:
            platform.remove_in(folder, path[-1])

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

    @contextlib.contextmanager
    def _folder(self, path: Path, *, create: bool = False) -> Iterator[platform.Handle]:
        """Open a folder, from the root down. With ``create``, what is missing is made."""
        for name in path:
            if name in ("", ".", "..") or "/" in name or "\0" in name or os.sep in name:
                raise OSError(errno.EINVAL, "not a name")  # metainfo/paths.py lets none through; a second bolt
        if create and not os.path.isdir(self.root):
            os.makedirs(self.root, exist_ok=True)
            parent = platform.open_root(os.path.dirname(self.root))
            try:
                platform.flush_folder(parent)
            finally:
                platform.close_folder(parent)
        folder = platform.open_root(self.root)
        try:
            for depth, name in enumerate(path):
                try:
                    inner = platform.open_folder(folder, name)
                except FileNotFoundError:
                    if not create:
                        raise
                    try:
                        with contextlib.suppress(FileExistsError):  # another thread was faster
                            platform.make_folder(folder, name)
                    finally:  # as above
                        self._note(path[:depth])
                    inner = platform.open_folder(folder, name)
                platform.close_folder(folder)
                folder = inner
            yield folder
        finally:
            platform.close_folder(folder)

    def _note(self, folder: Path) -> None:
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
