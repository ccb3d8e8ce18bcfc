"""Taking what lies elsewhere on this machine: copied to where a torrent's files belong, to be hashed there.

A file appears whole, or not at all (``FileStorage.adopting``). Wrong bytes in it are what they are in any unfinished
file, so a donor that is changed meanwhile does no harm.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

import trio

from .. import limits
from ..metainfo.info import Info
from . import platform
from .donors import LOOK, LOOK_NAMES, Donor, Donors
from .faults import FULL
from .files import FileStorage
from .offload import Offload

log = logging.getLogger("torrentlite")

NAME: Final = 1 << 10
"""What looking at a name counts as in progress: else a tree of a million on a slow disk looks like a hang."""


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
        self._done = 0
        self._adopted: list[int] = []

    def absent(self) -> list[int]:
        """The files that it would take: those that are wanted and not here, not even in part."""
        return self._storage.absent()

    async def run(
        self,
        files: Sequence[int],
        have: int,
        offload: Offload,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[list[int], int]:
        """Copy what is found for these files; returns for which of them there was something, and the work done.

        Cancellation takes effect after the next step; what is not whole then goes away.

        Args:
            files: numbers of some that are absent.
            have: pieces that were right, of which parts may lie beside the files.
            offload: where to do it.
            progress: called with the work done and to do. A byte of the files that are looked for counts twice, as what
                was copied is hashed, and a name that is looked at as NAME.

        Raises:
            StorageError: it cannot be written here. What cannot be read is done without.
        """
        total = sum(self._layout.file_lengths[file] for file in files)
        donors = await offload.run(Donors, self._info, self._places, files)
        work = self._adopt(files, have, donors)
        try:
            while await offload.run(_go_on, work):
                if progress is not None:
                    looked = donors.names * NAME
                    progress(looked + self._done, looked + 2 * total)
        finally:
            with trio.CancelScope(shield=True):
                await offload.run(work.close)
        return self._adopted, donors.names * NAME + total

    def _adopt(self, files: Sequence[int], have: int, donors: Donors) -> Generator[int]:
        self._done, self._adopted = 0, []
        done = 0
        for file in files:
            donor = yield from donors.find(file)
            if donor is not None:
                yield from self._copy(donor, file, have, donors)
                donors.took(donor)
            done += self._layout.file_lengths[file]
            self._done = done
            yield LOOK
        if donors.unreadable:
            log.warning("%d files or folders to reuse cannot be read: %s", donors.unreadable, donors.trouble)

    def _copy(self, donor: Donor, file: int, have: int, donors: Donors) -> Iterator[int]:
        try:
            source, status = donor.open()
        except OSError as error:
            donors.failed(donor.folder.name(donor.path), error)
            return
        try:
            with self._storage.adopting(file, have) as target:
                _hide(target, status)
                size = min(status.st_size, self._layout.file_lengths[file])
                position = 0
                while position < size:
                    count = _copy_in_kernel(source, target, position, size - position)
                    if not count:
                        view = memoryview(bytearray(min(size - position, limits.READ_CHUNK)))
                        try:
                            count = platform.pread_full(source, [view], position)
                        except OSError as error:  # what there was of it may be right
                            donors.failed(donor.folder.name(donor.path), error)
                            break
                        platform.pwrite_all(target, view[:count], position)
                    if not count:
                        break
                    position += count
                    self._done += count
                    yield count
                yield from self._mark_holes(target, file, position)
            self._adopted.append(file)
        finally:
            os.close(source)

    def _mark_holes(self, target: int, file: int, size: int) -> Iterator[int]:
        """Write a zero to each piece that lies in a hole, which else is taken for what is still to come (survey.py).

        In what was copied it stands for zeros. Only where blocks are shared there are any.
        """
        start, position = self._layout.file_offsets[file], 0
        for first, last in itertools.chain(platform.data_extents(target, size), [(size, size)]):
            for piece in self._layout.pieces_of_bytes(start + position, first - position):
                platform.pwrite_all(target, b"\0", max(self._layout.offset(piece) - start, position))
                yield LOOK // LOOK_NAMES
            position = last


def _hide(target: int, status: os.stat_result) -> None:
    """Nobody may read a copy who may not read the file itself: as long as it is not hashed, it may be anything."""
    mode = stat.S_IMODE(os.fstat(target).st_mode)
    hidden = mode & (status.st_mode | 0o711)  # that it may be executed is the torrent's to say
    if hidden != mode and hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # a file system that knows no permissions
            os.fchmod(target, hidden)


def _copy_in_kernel(source: int, target: int, offset: int, length: int) -> int:
    """Copy a bounded part of a file to the same place in another one; returns how much: 0 at the end, or if it fails.

    Blocks are shared where the file system can (btrfs, XFS). What goes wrong may be either file's fault.
    """
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, min(length, limits.HASH_BATCH), offset, offset)
        except OSError as error:
            if error.errno in FULL:
                raise
    return 0


def _go_on(work: Iterator[int]) -> bool:
    """Do a part of it that does not take long, since nobody can interrupt it; False when there is no more."""
    done = 0
    for step in work:
        done += step
        if done >= limits.HASH_BATCH:
            return True
    return False
