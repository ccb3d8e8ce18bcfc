"""Open files, lent out: a descriptor is closed by whoever gives it back last.

A cache that closes the least recently used descriptor while a thread still writes to it makes that thread write into
somebody else's file, because the system gives the number away again. So descriptors are borrowed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
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
    """

    __slots__ = ("device", "doomed", "fd", "ready", "users")

    def __init__(self) -> None:
        self.fd = -1
        self.device = 0
        self.users = 1
        self.doomed = False
        self.ready = threading.Event()


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
        self._files: OrderedDict[Key, OpenFile] = OrderedDict()  # the least recently used first
        self._claims: dict[Hashable, object] = {}
        self.cached = CachedReads()

    def __len__(self) -> int:
        return len(self._files)

    @contextlib.contextmanager
    def borrow(self, key: Key, opener: Callable[[], int]) -> Iterator[int]:
        """A descriptor for the length of a block; ``opener`` gives it if the pool has none."""
        file = self._take(key, opener)
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
        """The other half of ``peek``."""
        with self._lock:
            file.users -= 1
            idle = [file.fd] if file.doomed and not file.users else []
        _close(idle)

    def discard(self, owner: object, file: int) -> None:
        """The file has moved or changed its name: the next borrower opens it anew."""
        with self._lock:
            idle = [fd for write in (False, True) for fd in self._doom(Key(owner, file, write))]
        _close(idle)

    def discard_all(self, owner: object) -> None:
        """The owner's files are not needed any more."""
        with self._lock:
            idle = [fd for key in list(self._files) if key.owner is owner for fd in self._doom(key)]
        _close(idle)

    def trim(self, keep: int = 0) -> None:
        """Close idle descriptors, the least recently used first, until ``keep`` are open."""
        with self._lock:
            excess = len(self._files) - keep
            keys = [key for key, file in self._files.items() if not file.users] if excess > 0 else []
            idle = [fd for key in keys[:excess] for fd in self._doom(key)]
        _close(idle)

    def claim(self, path: Hashable, owner: object) -> None:
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

    def _take(self, key: Key, opener: Callable[[], int]) -> OpenFile:
        while True:
            with self._lock:
                file = self._files.get(key)
                opening = file is None
                if file is None:
                    file = self._files[key] = OpenFile()
                else:
                    file.users += 1
                    self._files.move_to_end(key)
            if opening:
                self._open(key, file, opener)
                self.trim(self.limit)
                return file
            file.ready.wait()
            if file.fd >= 0:
                return file
            # Whoever was opening it failed, and has raised the reason. Try for ourselves.

    def _open(self, key: Key, file: OpenFile, opener: Callable[[], int]) -> None:
        """Called without the lock: opening may take long, and must hold up only those who want this file."""
        try:
            file.fd = self.scarce(opener)
            file.device = os.fstat(file.fd).st_dev
        except BaseException:
            with self._lock:
                if self._files.get(key) is file:
                    del self._files[key]
            raise
        finally:
            file.ready.set()

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
