"""Taking what lies elsewhere on this machine: copied to where a torrent's files belong, to be hashed there.

A file appears whole, or not at all (``FileStorage.adopting``). Wrong bytes in it are what they are in any unfinished
file, so a donor that is changed meanwhile does no harm.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence

import trio

from .. import limits
from ..metainfo.info import Info
from . import platform
from .donors import LOOK, Donor, Donors
from .faults import FULL
from .files import FileStorage
from .offload import Offload

log = logging.getLogger("torrentlite")


class Adoption:
    """For one opening of one torrent.

    Args:
        info: what is stored.
        storage: where to.
        places: the folders and files to take from.
    """

    def __init__(self, info: Info, storage: FileStorage, places: Sequence[str]) -> None:
        self._info = info
        self._layout = info.layout
        self._storage = storage
        self._places = places
        self._done = self._total = 0
        self._adopted: list[int] = []

    def absent(self) -> list[int]:
        """The files that it would take: those that are wanted and not here, not even in part."""
        return self._storage.absent()

    async def run(
        self, files: Sequence[int], offload: Offload, progress: Callable[[int, int], None] | None = None
    ) -> list[int]:
        """Copy what is found for these files; returns for which of them there was something.

        Cancellation takes effect after the next step; what is not whole then goes away.

        Args:
            files: numbers of some that are absent.
            offload: where to do it.
            progress: called with the bytes of the files looked for, and twice those of all: what was copied is hashed.

        Raises:
            StorageError: it cannot be written here. What cannot be read is done without.
        """
        self._total = sum(self._layout.file_lengths[file] for file in files)
        self._done, self._adopted = 0, []
        work = self._adopt(files)
        try:
            while await offload.run(_go_on, work):
                if progress is not None:
                    progress(self._done, 2 * self._total)
        finally:
            with trio.CancelScope(shield=True):
                await offload.run(work.close)
        return self._adopted

    def then(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """For the hashing that follows: it goes on from there. One that began anew would look as if it stood still."""
        return lambda done, total: progress(self._total + done, self._total + total)

    def _adopt(self, files: Sequence[int]) -> Generator[int]:
        donors, done = Donors(self._info, self._places, files), 0
        for file in files:
            donor = yield from donors.find(file)
            if donor is not None:
                yield from self._copy(donor, file, donors)
                donors.took(donor)
            done += self._layout.file_lengths[file]
            self._done = done
            yield LOOK
        if donors.unreadable:
            log.warning("%d files or folders to reuse cannot be read: %s", donors.unreadable, donors.trouble)

    def _copy(self, donor: Donor, file: int, donors: Donors) -> Iterator[int]:
        try:
            source, status = donor.open()
        except OSError as error:
            donors.failed(donor.folder.name(donor.path), error)
            return
        try:
            size = min(status.st_size, self._layout.file_lengths[file])
            with self._storage.adopting(file, size) as target:
                _hide(target, status)
                position = 0
                while position < size:
                    try:
                        count = _copy_some(source, target, position, size - position)
                    except _UnreadableError as error:  # what there was of it may be right
                        donors.failed(donor.folder.name(donor.path), error.error)
                        break
                    if not count:
                        break
                    position += count
                    self._done += count
                    yield count
            self._adopted.append(file)
        finally:
            os.close(source)


def _hide(target: int, status: os.stat_result) -> None:
    """Nobody may read a copy who may not read the file itself: as long as it is not hashed, it may be anything."""
    mode = stat.S_IMODE(os.fstat(target).st_mode)
    hidden = mode & (status.st_mode | 0o711)  # that it may be executed is the torrent's to say
    if hidden != mode and hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # a file system that knows no permissions
            os.fchmod(target, hidden)


class _UnreadableError(Exception):
    """The fault is that of the file that is read."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


def _copy_some(source: int, target: int, offset: int, length: int) -> int:
    """Copy a bounded part of a file to the same place in another one; returns how much, which is 0 at its end.

    In the kernel where it can, which shares the blocks where the file system can (btrfs, XFS). What goes wrong there
    may be either file's fault, so it is done again in two steps.
    """
    if hasattr(os, "copy_file_range"):
        try:
            if count := os.copy_file_range(source, target, min(length, limits.HASH_BATCH), offset, offset):
                return count
        except OSError as error:
            if error.errno in FULL:
                raise
    view = memoryview(bytearray(min(length, limits.READ_CHUNK)))
    try:
        count = platform.pread_full(source, [view], offset)
    except OSError as error:
        raise _UnreadableError(error) from error
    platform.pwrite_all(target, view[:count], offset)
    return count


def _go_on(work: Iterator[int]) -> bool:
    """Do a part of it that does not take long, since nobody can interrupt it; False when there is no more."""
    done = 0
    for step in work:
        done += step
        if done >= limits.HASH_BATCH:
            return True
    return False
