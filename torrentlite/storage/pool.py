"""Open files, lent out: a descriptor is closed by whoever gives it back last.

A cache that closes the least recently used descriptor while a thread still writes to it makes that thread write into
somebody else's file, because the system gives the number away again. So descriptors are borrowed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

from .. import limits
from . import platform
from .cached import CachedReads

T = TypeVar("T")


class Key(NamedTuple):
    """Which file of whom, and whether to write to it."""

    owner: object
    file: int
    write: bool


class OpenFile:
    """A descriptor and who has it.

    Attributes:
        fd: the descriptor.
        device: the number of the file system it is on.
        users: how many have it.
        doomed: whether whoever gives it back last closes it.
        failed: whether opening it failed.
    """

    __slots__ = ("device", "doomed", "failed", "fd", "users")

    def __init__(self) -> None:
        self.fd = -1
        self.device = 0
        self.users = 1
        self.doomed = self.failed = False


class FilePool:
    """At most ``limit`` idle descriptors, for all torrents of a session. Threads may share it.

    Args:
        limit: descriptors to keep; by default what ``limits.py`` and the system allow. Those that are lent out come on
            top, which are no more than there are threads.

    Attributes:
        cached: how files are read without waiting for a disk.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit: Final = min(limits.MAX_OPEN_FILES, platform.open_files_limit() // 4) if limit is None else limit
        self._lock = threading.Lock()
        self._opened = threading.Condition(self._lock)  # one for all: an event for each file took 4 µs to make
        self._files: OrderedDict[Key, OpenFile] = OrderedDict()  # the least recently used first
        self._claims: dict[str, object] = {}
        self.cached = CachedReads()

    def __len__(self) -> int:
        return len(self._files)

    @contextlib.contextmanager
    def borrow(self, key: Key, opener: Callable[[], int]) -> Iterator[int]:
        """A descriptor for the length of a block; ``opener`` gives it if the pool has none."""
        file = self.take(key, opener)
        try:
            yield file.fd
        finally:
            self.give_back(file)

    def scarce(self, opener: Callable[[], T]) -> T:
        """Call ``opener``; if there are no descriptors left, once more, without the idle ones.

        For who needs a file once: what the pool has open is of more use than this one would be.
        """
        try:
            return opener()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        self.trim()
        return opener()

    def take(self, key: Key, opener: Callable[[], int]) -> OpenFile:
        """Borrow, by a pair of calls. Goes with ``give_back``."""
        while True:
            with self._lock:
                file = self._files.get(key)
                if file is None:
                    file = self._files[key] = OpenFile()
                    break
                file.users += 1
                self._files.move_to_end(key)
                while file.fd < 0 and not file.failed:
                    self._opened.wait()
                if file.fd >= 0:
                    return file
            # Whoever was opening it failed, and has raised the reason. Try for ourselves.
        self._open(key, file, opener)
        return file

    def peek(self, key: Key) -> OpenFile | None:
        """Borrow without waiting: None unless the file is open. Goes with ``give_back``."""
        with self._lock:
            file = self._files.get(key)
            if file is None or file.fd < 0:
                return None
            self._files.move_to_end(key)
            file.users += 1
            return file

    def give_back(self, file: OpenFile) -> None:
        """The other half of ``take`` and ``peek``."""
        with self._lock:
            file.users -= 1
            idle = [file.fd] if file.doomed and not file.users else []
        _close(idle)

    def discard(self, owner: object, file: int) -> None:
        """The file has moved or changed its name: the next borrower opens it anew."""
        with self._lock:
            idle = self._doom(Key(owner, file, False)) + self._doom(Key(owner, file, True))
        _close(idle)

    def discard_all(self, owner: object) -> None:
        """The owner's files are not needed any more."""
        with self._lock:
            idle = [fd for key in list(self._files) if key.owner is owner for fd in self._doom(key)]
        _close(idle)

    def trim(self, keep: int = 0) -> None:
        """Close idle descriptors, the least recently used first, until ``keep`` are open."""
        with self._lock:
            idle = self._excess(keep)
        _close(idle)

    def claim(self, path: str, owner: object) -> None:
        """Only one torrent may write to a path.

        Raises:
            FileExistsError: another one does.
        """
        with self._lock:
            if self._claims.setdefault(path, owner) is not owner:
                raise FileExistsError(errno.EEXIST, "another torrent is being saved there")

    def release(self, owner: object) -> None:
        """Give up all claims of an owner."""
        with self._lock:
            self._claims = {path: other for path, other in self._claims.items() if other is not owner}

    def _open(self, key: Key, file: OpenFile, opener: Callable[[], int]) -> None:
        """Called without the lock: opening may take long, and must hold up only those who want this file."""
        fd = -1
        try:
            fd = self.scarce(opener)
            file.device = os.fstat(fd).st_dev
        except BaseException:
            with self._lock:
                if self._files.get(key) is file:
                    del self._files[key]
                file.failed = True
                self._opened.notify_all()
            if fd >= 0:
                os.close(fd)
            raise
        with self._lock:
            file.fd = fd
            self._opened.notify_all()
            idle = self._excess(self.limit)
        _close(idle)

    def _excess(self, keep: int) -> list[int]:
        """Take out idle files, the least recently used first, until ``keep`` are left; returns their descriptors."""
        excess = len(self._files) - keep
        if excess <= 0:
            return []
        idle = (key for key, file in self._files.items() if not file.users)
        return [fd for key in list(itertools.islice(idle, excess)) for fd in self._doom(key)]

    def _doom(self, key: Key) -> list[int]:
        """Take a file out; returns its descriptor if nobody has it."""
        file = self._files.pop(key, None)
        if file is None:
            return []
        file.doomed = True
        return [file.fd] if not file.users else []


def _close(descriptors: list[int]) -> None:
    """Outside the lock, because closing a file on a network may take its time."""
    for fd in descriptors:
        with contextlib.suppress(OSError):  # what was written is answered for by ``sync``
            os.close(fd)
