"""What lies in a save folder before a torrent begins: which files, under which names, and which bytes of them.

Nothing here writes.
"""

from __future__ import annotations

import bisect
import enum
import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import FileInTheWayError
from ..metainfo.info import Info
from ..metainfo.layout import Layout
from ..metainfo.paths import system_path
from ..metainfo.text import display
from ..wire import bitfield
from . import platform
from .beneath import Beneath, Path
from .faults import fault
from .runs import Flags
from .storage import NOTHING, Found, Stamp


class Place(enum.Enum):
    """Where the bytes of a file lie, or will lie."""

    NOWHERE = "read as zeros, never written (pad files); symlinks, which have no bytes"
    FINAL = "under its final name; only read"
    PART = "in NAME.<hash8>.part"
    ASIDE = "in the one file beside them that keeps what borders on wanted pieces"


class Names:
    """The names that a torrent's files have in a save folder.

    Until a file is whole its name has the torrent's info-hash in it: so whatever else is fetched to, or lies, where it
    will lie is neither taken for ours nor written over. No final name looks like that (``metainfo/paths.py``).
    """

    def __init__(self, info: Info) -> None:
        self._files = info.files
        self._hash = info.hashes.hex
        mark = _mark(self._hash)
        self.top: Path = system_path((info.name,))
        self.aside: Path = (f".{self.top[0]}{mark}.parts",)
        self.temporary: Path = (f".{self.top[0]}{mark}.temp",)

    def final(self, file: int) -> Path:
        """A file's own name."""
        return system_path(self._files[file].path)

    def part(self, file: int) -> Path:
        """Its name while it is not whole."""
        path = self.final(file)
        return (*path[:-1], part_name(path[-1], self._hash))


def part_name(name: str, info_hash: str) -> str:
    """A file's name while it is not whole; ``info_hash`` in hex digits."""
    return f"{name}{_mark(info_hash)}.part"


def _mark(info_hash: str) -> str:
    return f".{info_hash[:8]}"


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        places: of each file.
        found: what the disk wants to know.
        exist: files in place PART that exist.
        aside: whether the file beside them exists.
        resized: files in place FINAL that have another length than they should (seen only with leave to overwrite).
        doubled: files in place FINAL whose ``.part`` is the same file: their renaming was interrupted.
    """

    places: list[Place]
    found: Found
    exist: set[int] = field(default_factory=set)
    aside: bool = False
    resized: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)


def survey(info: Info, names: Names, beneath: Beneath, wanted: frozenset[int], *, overwrite: bool) -> Survey:
    """Look at everything.

    Raises:
        FileInTheWayError: a finished file of another length, and no leave to overwrite.
        StorageError: something that is not a file, or cannot be read.
    """
    return _Surveyor(info, names, beneath, wanted, overwrite=overwrite).run()


class _Surveyor:
    def __init__(self, info: Info, names: Names, beneath: Beneath, wanted: frozenset[int], *, overwrite: bool) -> None:
        self._info = info
        self._layout = info.layout
        self._names = names
        self._beneath = beneath
        self._wanted = wanted
        self._overwrite = overwrite
        self._folders: dict[Path, bool] = {}  # whether they exist
        self._stamps: dict[int, Stamp] = {}
        self._allocated: dict[int, int] = {}
        self._survey = Survey([Place.NOWHERE] * len(info.files), NOTHING)

    def run(self) -> Survey:
        result = self._survey
        aside = self._status(self._names.aside)
        result.aside = aside is not None
        if aside is not None:
            self._stamps[len(self._info.files)] = platform.stamp(aside)
        for file in self._info.wanted_files:
            result.places[file] = self._place(file)
        result.found = Found(
            maybe=self._maybe(),
            vouched=0,
            stamps=self._stamps,
            finished=frozenset(
                file for file, place in enumerate(result.places) if place is Place.FINAL and file not in result.resized
            ),
            needed=max(0, self._needed() - (platform.allocated(aside) if aside else 0)),
            free=platform.free_space(self._beneath.root),
        )
        return result

    # -- files -------------------------------------------------------------------------------------------------------

    def _place(self, file: int) -> Place:
        wanted = file in self._wanted
        if not self._exists(self._names.final(file)[:-1]):
            return Place.PART if wanted and not self._survey.aside else Place.ASIDE
        final, part = self._status(self._names.final(file)), self._status(self._names.part(file))
        for status, path in ((final, self._names.final(file)), (part, self._names.part(file))):
            if status is not None and not stat.S_ISREG(status.st_mode):
                if wanted:
                    raise _not_a_file(status, self._beneath.name(path))
                return Place.ASIDE
        if final is not None:
            same = part is not None and os.path.samestat(final, part)
            right = final.st_size == self._info.files[file].length
            if right and (same or part is None or not self._overwrite):
                self._stamps[file] = platform.stamp(final)
                if same:
                    self._survey.doubled.add(file)
                return Place.FINAL
            if wanted and not self._overwrite:
                raise in_the_way(self._beneath.name(self._names.final(file)))
            if wanted and part is None:
                self._stamps[file] = platform.stamp(final)
                self._survey.resized.add(file)
                return Place.FINAL
        if part is not None:
            self._stamps[file] = platform.stamp(part)
            self._allocated[file] = platform.allocated(part)
            self._survey.exist.add(file)
            return Place.PART
        return Place.PART if wanted and not self._survey.aside else Place.ASIDE

    def _status(self, path: Path) -> os.stat_result | None:
        if not self._exists(path[:-1]):
            return None
        try:
            return self._beneath.stat(path)
        except OSError as error:
            raise fault(error, self._beneath.name(path), "look at") from error

    def _exists(self, folder: Path) -> bool:
        """Whether a folder is there: if not, nothing in it needs looking for."""
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = not folder or (
                self._exists(folder[:-1]) and self._status(folder) is not None
            )
        return known

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _maybe(self) -> int:
        """Pieces all of whose files have data where the piece is."""
        layout = self._layout
        flags = Flags(layout.piece_count)
        flags.set(range(layout.piece_count))
        keeper = len(self._info.files)
        aside = list(self._extents(keeper, self._names.aside)) if self._survey.aside else []
        for file, place in enumerate(self._survey.places):
            start, length = layout.file_offsets[file], layout.file_lengths[file]
            if not length or place is Place.NOWHERE:
                continue
            extents: Iterable[tuple[int, int]]  # in the torrent's bytes, as everything here
            if place is Place.FINAL:
                end = start + self._stamps[file].size  # of the file that has them
                extents = [(start, end)]
            elif file in self._survey.exist:
                end = start + self._stamps[file].size
                extents = ((start + first, start + last) for first, last in self._extents(file, self._names.part(file)))
            elif place is Place.ASIDE and aside:
                end = self._stamps[keeper].size
                extents = itertools.islice(aside, bisect.bisect_right(aside, start, key=lambda extent: extent[1]), None)
            else:
                flags.clear(layout.pieces_of_bytes(start, length))
                continue
            self._take_out_holes(flags, range(start, start + length), extents, end)
        return flags.bits()

    def _take_out_holes(self, flags: Flags, file: range, extents: Iterable[tuple[int, int]], end: int) -> None:
        """Clear the pieces of a file that no extent touches, or that are cut off by the end of what is there."""
        pieces = self._layout.pieces_of_bytes(file.start, len(file))
        position = pieces.start
        for first, last in extents:
            first, last = max(first, file.start), min(last, file.stop)
            if first >= last:
                break
            touched = self._layout.pieces_of_bytes(first, last - first)
            flags.clear(range(position, max(position, touched.start)))
            position = max(position, touched.stop)
        if end < file.stop:
            position = min(position, max(end, file.start) // self._layout.piece_length)
        flags.clear(range(position, pieces.stop))

    def _extents(self, file: int, path: Path) -> Iterator[tuple[int, int]]:
        """Where a file has data. Holes need no hashing: what we wrote has none, and a hole is no data."""
        try:
            fd = self._beneath.open(path, os.O_RDONLY).fd
            try:
                yield from platform.data_extents(fd, self._stamps[file].size)
            finally:
                os.close(fd)
        except OSError as error:
            raise fault(error, self._beneath.name(path), "read") from error

    def _needed(self) -> int:
        """Bytes that are still to be allocated: of wanted files all, of others what borders on wanted pieces."""
        layout = self._layout
        flags = Flags(layout.piece_count)
        for file in sorted(self._wanted):
            flags.set(layout.pieces_of_file(file))
        needed = 0
        for file in self._info.wanted_files:
            length = layout.file_lengths[file]
            if self._survey.places[file] is Place.FINAL and file not in self._survey.resized:
                continue
            if file in self._wanted:
                needed += max(0, length - self._allocated.get(file, 0))
                continue
            here = layout.pieces_of_file(file)
            for piece in {here.start, here.stop - 1} if here else set():
                if flags.has(piece):
                    start = max(layout.offset(piece), layout.file_offsets[file])
                    stop = min(layout.offset(piece) + layout.piece_size(piece), layout.file_offsets[file] + length)
                    needed += stop - start
        return needed


def suspects(layout: Layout, places: Sequence[Place], wrong: int) -> set[frozenset[int]]:
    """Groups of finished files, each with one at least that is not the torrent's: they make up a wrong piece."""
    found = set()
    for piece in bitfield.members(wrong):
        files = [file for file in layout.files_of_piece(piece) if places[file] is not Place.NOWHERE]
        if all(places[file] is Place.FINAL for file in files):
            found.add(frozenset(files))
    return found


def in_the_way(path: str) -> FileInTheWayError:
    """The error for a finished file that is not the torrent's."""
    return FileInTheWayError(
        f"'{display(path)}' exists and is a different file",
        path=path,
        hint="allow to overwrite it (--overwrite), or choose another folder",
    )


def _not_a_file(status: os.stat_result, path: str) -> Exception:
    if stat.S_ISLNK(status.st_mode):
        number, words = errno.ELOOP, "it is a link"
    elif stat.S_ISDIR(status.st_mode):
        number, words = errno.EISDIR, "it is a folder"
    else:
        number, words = errno.ENXIO, "it is not a regular file"
    return fault(OSError(number, words), path)
