"""Where each file of a torrent lies in its save folder, and opening it there: it has to be the file that it was."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading

from .. import limits
from ..metainfo.info import Info
from . import platform
from .beneath import Beneath, Opened, Path
from .pool import FilePool
from .survey import Names, Place, Survey


class Whereabouts:
    """Of the files of one torrent, and of the one beside them, which has the number after the last. Raises OSError.

    Args:
        info: what is stored.
        beneath: the save folder.
        names: that the files have in it.
        pool: where what is written to is claimed.
        owner: for whom.

    Attributes:
        places: of each file.
        exist: files in place PART, and maybe the one beside, that exist.
        inodes: of the files as they were last opened: by these they are known again.
        sized: files that had their full size, so that one that is shorter was cut.
        closed: whether nothing is opened any more.
        moving: a name must not change between looking up the place and opening it.
    """

    def __init__(self, info: Info, beneath: Beneath, names: Names, pool: FilePool, *, owner: object) -> None:
        self._info = info
        self._layout = info.layout
        self._beneath = beneath
        self._names = names
        self._pool = pool
        self._owner = owner
        self._aside = len(info.files)
        self._claimed = beneath.root
        self._making = [threading.Lock() for _ in range(limits.DISK_THREADS)]  # no two threads make one file
        self.places = [Place.NOWHERE] * len(info.files)
        self.exist: set[int] = set()
        self.inodes: dict[int, int] = {}
        self.sized: set[int] = set()
        self.closed = False
        self.moving = threading.Lock()

    def begin(self, seen: Survey) -> None:
        """From now on it is as it was found."""
        self.closed = False
        self.places, self.exist = seen.places, seen.exist
        if seen.aside:
            self.exist.add(self._aside)
        stamps = seen.found.stamps
        self.inodes = {file: stamp.inode for file, stamp in stamps.items()}
        lengths = self._layout.file_lengths
        self.sized = {file for file, stamp in stamps.items() if file != self._aside and stamp.size >= lengths[file]}
        self._claimed = os.path.realpath(self._beneath.root)  # once: for each file it was seven looks

    def open(self, file: int, *, write: bool) -> Opened:
        """Open a file where it is at the moment; to write, it is made if it does not exist."""
        # Without the lock that moving takes, as far as that can be: threads that open thousands of files stood in line.
        if write and file not in self.exist:
            with self._making[file % len(self._making)]:
                return self._open_there(file, write=True)
        if file in self.inodes:
            place = self.place(file)
            with contextlib.suppress(FileNotFoundError):
                opened = self._open_there(file, write=write)
                if self.place(file) is place and not self.closed:
                    return opened
                os.close(opened.fd)
        with self.moving:
            return self._open_there(file, write=write)

    def _open_there(self, file: int, *, write: bool) -> Opened:
        if self.closed:  # a read that was abandoned goes on for a while
            raise OSError(errno.EBADF, "the torrent is closed")
        path = self.path(file)
        if not write:
            return self._known(file, self._beneath.open(path, os.O_RDONLY))
        if file not in self.exist:
            fd = self._make(file, path)
            return self._known(file, Opened(fd, os.fstat(fd)))
        self.claim(file)
        return self._known(file, self._beneath.open(path, os.O_RDWR))

    def create(self, file: int) -> int | None:
        """Make a file and open it to be written, or return None if it exists. ``know`` it before closing it."""
        with self._making[file % len(self._making)]:
            if file in self.exist:
                return None
            if self.closed:
                raise OSError(errno.EBADF, "the torrent is closed")
            return self._make(file, self.path(file))

    def claim(self, file: int) -> None:
        """Nobody else may write a file that is to have this one's name, also from a save folder in or above ours."""
        if file != self._aside:
            self._pool.claim(os.path.join(self._claimed, *self._names.final(file)), self._owner)

    def _make(self, file: int, path: Path) -> int:
        self.claim(file)
        fd = self._beneath.create(path, executable=file != self._aside and self._info.files[file].executable)
        self.exist.add(file)
        return fd

    def open_to_write(self, file: int) -> int:
        """Open a file that parts are written to. It has its full size afterwards."""
        fd, status = self.open(file, write=True)
        try:
            self.check_size(file, status)
            if file != self._aside and file not in self.sized:
                if status.st_size < self._layout.file_lengths[file]:
                    os.ftruncate(fd, self._layout.file_lengths[file])  # sparse: what is not here yet reads as zeros
                self.sized.add(file)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _known(self, file: int, opened: Opened) -> Opened:
        """This descriptor, if it is of the file that was there before; one of another file is closed."""
        try:
            self.know(file, opened.status)
        except OSError:
            os.close(opened.fd)
            raise
        return opened

    def know(self, file: int, status: os.stat_result) -> None:
        """This is the file, from now on or since it was first opened."""
        inode = platform.inode(status)
        if self.inodes.setdefault(file, inode) != inode:
            raise OSError(errno.ESTALE, "it was replaced by another program")

    def check_size(self, file: int, status: os.stat_result) -> None:
        """Nobody has cut a file short that had its full size."""
        if file in self.sized and status.st_size < self._layout.file_lengths[file]:
            raise OSError(errno.ESTALE, "it was cut short by another program")

    def check_name(self, file: int, fd: int) -> None:
        """Nobody has put another file, or none, in the place of an open one, or cut it short."""
        status = os.fstat(fd)
        self.check_size(file, status)
        there = self._beneath.stat(self.path(file))
        if there is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.path.samestat(status, there):
            raise OSError(errno.ESTALE, "it was replaced by another program")

    def place(self, file: int) -> Place:
        """In which place a file is now."""
        return Place.ASIDE if file == self._aside else self.places[file]

    def path(self, file: int) -> Path:
        """Under which name it lies there."""
        if file == self._aside:
            return self._names.aside
        return self._names.final(file) if self.places[file] is Place.FINAL else self._names.part(file)

    def is_whole(self, file: int, status: os.stat_result | None) -> bool:
        """Whether this is the file that was flushed, with nothing left to do but give it its name."""
        return (
            status is not None
            and stat.S_ISREG(status.st_mode)
            and status.st_nlink == 1
            and status.st_size == self._layout.file_lengths[file]
            and platform.inode(status) == self.inodes.get(file)
        )
