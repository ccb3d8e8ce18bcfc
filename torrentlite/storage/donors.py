"""Files elsewhere on this machine that may be a torrent's: of an older version, or fetched by another program.

Nothing here is trusted or changed: what is found is copied, and what was copied is hashed. Looking takes long where
there is much, so it is done in steps: a generator gives how much work each was, counted as bytes that are copied.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import stat
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from .. import limits
from ..metainfo.info import Info
from ..metainfo.paths import is_provisional, system_path
from ..metainfo.text import display
from . import platform
from .beneath import Beneath, Opened, Path

log = logging.getLogger("torrentlite")

LOOK: Final = 1 << 20
"""What looking at a file, or at LOOK_NAMES names, counts as."""
LOOK_NAMES: Final = 64

Steps = Generator[int, None, bool]
Key = tuple[int | None, Path]


class Donor(NamedTuple):
    """A file as it was found."""

    folder: Beneath
    path: Path
    size: int

    def open(self) -> Opened:
        """Open it to be read, unless it is not what it was. Raises OSError."""
        status = self.folder.stat(self.path)
        if status is None or not stat.S_ISREG(status.st_mode):  # opening may be enough to disturb a FIFO or a device
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.folder.open(self.path, os.O_RDONLY)


class Donors:
    """Finds the one for each file.

    Args:
        info: whose files they are to be.
        places: folders to look in, and files to look at.
        files: for which of its files one is looked for.

    Attributes:
        names: how many were looked at to find one.
        unreadable: how many files and folders could not be read.
        trouble: the first of them, and why.
    """

    def __init__(self, info: Info, places: Iterable[str], files: Sequence[int]) -> None:
        self._info = info
        self._layout = info.layout
        self._folders: list[Beneath] = []
        self._named: list[Donor] = []
        self._sought = frozenset(
            key
            for file in files
            for size in (self._layout.file_lengths[file], None)
            for key in _keys_of(self._path(file), size)
        )
        self._most = limits.DONOR_TRIES + len(files)  # under one key: there are no more to be tried, or to be taken
        self._found: dict[Key, OrderedDict[Donor, None]] = {}
        self._walked = False
        self._taken: list[Donor] = []
        self._digests: dict[tuple[Donor, tuple[tuple[int, int], ...]], bytes] = {}
        self.names = self.unreadable = 0
        self.trouble = ""
        for place in places:
            try:
                status = os.stat(place)
            except OSError as error:
                self.failed(place, error)
                continue
            if stat.S_ISDIR(status.st_mode):
                self._folders.append(Beneath(place))
            elif stat.S_ISREG(status.st_mode):
                above, name = os.path.split(os.path.realpath(place))
                self._named.append(Donor(Beneath(above), (name,), status.st_size))

    def failed(self, path: str, error: OSError) -> None:
        """It could not be read."""
        self.unreadable += 1
        self.trouble = self.trouble or f"'{display(path)}': {error.strerror}"

    def find(self, file: int) -> Generator[int, None, Donor | None]:
        """The file to copy for this one: the likeliest, and None where there is none that is likely.

        A file of the same size is asked for a piece that lies wholly in this one. Only what lies under the same path
        need not have it: it may have been changed just there.
        """
        piece = self._telling_piece(file)
        length = self._layout.file_lengths[file]
        there = sorted(self._there(file), key=lambda donor: donor.size != length)
        if piece is None:
            if not there:
                yield from self._walk()
            return next(itertools.chain(there, self._likely(file, length)), None)
        for donor in there:
            if donor.size == length and (yield from self._fits(donor, file, piece)):
                return donor
        yield from self._walk()
        for donor in self._likely(file, length):
            if (yield from self._fits(donor, file, piece)):
                return donor
        if there:
            return there[0]
        for donor in self._likely(file, None):
            if (yield from self._fits(donor, file, piece)):
                return donor
        return None

    def took(self, donor: Donor) -> None:
        """It was of use to one file, so it is the last to be tried for others: of many of one size each has its own."""
        self._taken.append(donor)
        self._put_last(donor)

    # -- where to look -----------------------------------------------------------------------------------------------

    def _path(self, file: int) -> Path:
        return system_path(self._info.files[file].path)

    def _there(self, file: int) -> Iterator[Donor]:
        """What lies under its own path, from the torrent's name on or below that."""
        path = self._path(file)
        for folder in self._folders:
            for below in (path, path[1:]) if self._info.multi else (path,):
                try:
                    status = folder.stat(below)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # something else is called so
                        self.failed(folder.name(below), error)
                    continue
                if status is not None and stat.S_ISREG(status.st_mode) and status.st_size:
                    yield Donor(folder, below, status.st_size)
        if len(self._info.wanted_files) == 1:
            yield from (donor for donor in self._named if donor.size)

    def _likely(self, file: int, size: int | None) -> Iterator[Donor]:
        """Of this size, those first whose names are the most like its own; of any other (None) those that share it."""
        tried = set[Donor]()
        for donor in (donor for key in _keys_of(self._path(file), size) for donor in self._found.get(key, ())):
            if donor not in tried:
                tried.add(donor)
                yield donor
            if len(tried) == limits.DONOR_TRIES:
                return

    def _walk(self) -> Iterator[int]:
        """Look at all names, once: those near the top first, as they are likelier to be meant."""
        if self._walked:
            return
        self._walked = True
        for donor in self._named:
            self._enter(donor)
        for folder in self._folders:
            todo: deque[Path] = deque([()])
            while todo:
                inner, here = yield from self._list(folder, todo.popleft())
                todo += inner
                for donor in here:
                    self._enter(donor)
        if self.names > limits.MAX_DONOR_NAMES:
            log.warning("more than %d files to reuse: the others are not looked at", limits.MAX_DONOR_NAMES)
        for donor in self._taken:
            self._put_last(donor)

    def _list(self, folder: Beneath, above: Path) -> Generator[int, None, tuple[list[Path], list[Donor]]]:
        """The folders in a folder, and the files that may be of use, in the order of their names."""
        inner, here = list[Path](), list[Donor]()
        try:
            with os.scandir(folder.name(above)) as entries:
                for entry in entries:
                    self.names += 1
                    if self.names > limits.MAX_DONOR_NAMES:
                        break
                    if self.names % LOOK_NAMES == 0:
                        yield LOOK
                    path = (*above, entry.name)
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            if len(path) <= limits.MAX_FILE_DEPTH:
                                inner.append(path)
                        elif entry.is_file(follow_symlinks=False) and not is_provisional(entry.name):
                            donor = Donor(folder, path, entry.stat(follow_symlinks=False).st_size)
                            if donor.size and not self._sought.isdisjoint(_keys(donor)):
                                here.append(donor)
                    except OSError as error:
                        self.failed(entry.path, error)
        except OSError as error:
            self.failed(folder.name(above), error)
        return sorted(inner), sorted(here, key=lambda donor: donor.path)

    def _enter(self, donor: Donor) -> None:
        for key in self._sought.intersection(_keys(donor)):
            found = self._found.setdefault(key, OrderedDict())
            if len(found) < self._most:
                found[donor] = None

    def _put_last(self, donor: Donor) -> None:
        for key in _keys(donor):
            if donor in self._found.get(key, ()):
                self._found[key].move_to_end(donor)

    # -- what it is --------------------------------------------------------------------------------------------------

    def _telling_piece(self, file: int) -> int | None:
        """A piece that has bytes of this file and of no other, but for padding: the first or the second."""
        for piece in self._layout.pieces_of_file(file)[:2]:
            spans = self._layout.spans(self._layout.offset(piece), self._layout.piece_size(piece))
            if all(span.file == file or self._info.files[span.file].pad for span in spans):
                return piece
        return None

    def _fits(self, donor: Donor, file: int, piece: int) -> Steps:
        """Whether it has this piece of the file."""
        parts = tuple(
            (span.offset if span.file == file else -1, span.length)
            for span in self._layout.spans(self._layout.offset(piece), self._layout.piece_size(piece))
        )
        if any(offset + length > donor.size for offset, length in parts if offset >= 0):
            return False
        # Of torrents whose files begin at pieces all ask the same of it.
        if (donor, parts) not in self._digests:
            self._digests[donor, parts] = yield from self._digest(donor, parts)
        return self._digests[donor, parts] == self._info.piece_hash(piece)

    def _digest(self, donor: Donor, parts: Iterable[tuple[int, int]]) -> Generator[int, None, bytes]:
        digest, buffer = self._info.hashing.new(), memoryview(bytearray(limits.READ_CHUNK))
        try:
            fd = donor.open().fd
            try:
                for offset, length in parts:
                    for start in range(0, length, limits.READ_CHUNK):
                        view = buffer[: min(length - start, limits.READ_CHUNK)]
                        if offset < 0:
                            digest.update(bytes(len(view)))
                        elif platform.pread_full(fd, [view], offset + start) == len(view):
                            digest.update(view)
                        else:
                            return b""
                        yield len(view)
            finally:
                os.close(fd)
        except OSError as error:
            self.failed(donor.folder.name(donor.path), error)
            return b""
        return digest.digest()


def _keys_of(path: Path, size: int | None) -> list[Key]:
    """By what files are looked up, the closest first."""
    return [(size, path[-2:]), (size, path[-1:]), *([(size, ())] if size is not None else [])]


def _keys(donor: Donor) -> list[Key]:
    """By what it is looked up."""
    return _keys_of(donor.path, donor.size) + _keys_of(donor.path, None)
