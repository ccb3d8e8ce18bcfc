"""Sharing files from where they were hashed: under their own names, and never written.

The names in a torrent are made safe (``metainfo/paths.py``), so a file may be called differently on the disk; and links
were followed. So the paths are those that ``create`` saw.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence

from ..errors import StorageError
from ..metainfo.info import Info
from ..metainfo.layout import Layout
from ..metainfo.metainfo import Origin
from ..metainfo.text import display
from . import platform
from .beneath import Beneath, Opened
from .faults import fault
from .files import FileStorage
from .pool import FilePool, Key
from .reader import Home, SpanReader
from .runs import Flags
from .storage import Buffer, Found, Room, Stamp, Storage


def open_storage(
    info: Info,
    folder: str | os.PathLike[str],
    *,
    origin: Origin | None = None,
    overwrite: bool = False,
    pool: FilePool | None = None,
) -> Storage:
    """The storage for a torrent in a save folder: if it was made from what lies there, then from that.

    Args:
        info: what is stored.
        folder: the save folder.
        origin: what the torrent was made from, if here and now.
        overwrite: a different finished file may be replaced.
        pool: of open files, one for the whole session.
    """
    if origin is not None and os.path.realpath(os.path.dirname(origin.root)) == os.path.realpath(folder):
        return OriginStorage(info.layout, origin, pool=pool)
    return FileStorage(info, folder, overwrite=overwrite, pool=pool)


class OriginStorage(Storage):
    """The files that a torrent was made from; see ``Storage``.

    A file that looks as it did then is vouched for. One that does not is hashed, and has to be right all the same.

    Args:
        layout: of the torrent.
        origin: its files, as they were.
        pool: of open files.
    """

    read_only = True

    def __init__(self, layout: Layout, origin: Origin, *, pool: FilePool | None = None) -> None:
        self._layout = layout
        self._origin = origin
        self._pool = FilePool() if pool is None else pool
        self._seen: dict[int, Stamp] = {}
        self._closed = False
        self._reader = SpanReader(layout, self._pool, self._home, self._open, self._failed)

    # -- looking -----------------------------------------------------------------------------------------------------

    def prepare(self, wanted: frozenset[int]) -> Found:
        """See ``Storage.prepare``."""
        self._pool.discard_all(self)
        self._closed = False
        layout = self._layout
        there, unchanged = Flags(layout.piece_count), Flags(layout.piece_count)
        for flags in (there, unchanged):
            flags.set(range(layout.piece_count))
        self._seen = {}
        for file, then in enumerate(self._origin.files):
            if then is None:
                continue
            now = self._look(file)
            if now is not None:
                self._seen[file] = now
            if now != (then.size, then.mtime_ns, then.inode):
                unchanged.clear(layout.pieces_of_file(file))
            size = now.size if now is not None else 0
            if size < layout.file_lengths[file]:
                there.clear(layout.pieces_of_bytes(layout.file_offsets[file] + size, layout.file_lengths[file] - size))
        maybe = there.bits()
        return Found(maybe, maybe & unchanged.bits(), self._seen, frozenset(self._seen), 0, None)

    def changed(self) -> str:
        """The path of a file that does not look any more as it did, or an empty string."""
        for file, then in enumerate(self._origin.files):
            if then is not None and self._look(file) != (then.size, then.mtime_ns, then.inode):
                return then.path
        return ""

    def _look(self, file: int) -> Stamp | None:
        path = self.path(file)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise fault(error, path, "look at") from error
        return platform.stamp(status) if stat.S_ISREG(status.st_mode) else None

    def final(self, file: int) -> bool:
        """See ``Storage.final``."""
        return True

    def path(self, file: int) -> str:
        """See ``Storage.path``."""
        entry = self._origin.files[file]
        return entry.path if entry is not None else ""

    def top(self) -> str:
        """See ``Storage.top``."""
        return self._origin.root

    # -- reading -----------------------------------------------------------------------------------------------------

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        return self._reader.read_cached(offset, buffers)

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """See ``Storage.pread_into``."""
        self._reader.pread_into(offset, buffers)

    def _home(self, file: int) -> Home | None:
        return None if self._origin.files[file] is None else Home(Key(self, file, write=False))

    def _failed(self, file: int, error: OSError) -> StorageError:
        return fault(error, self.path(file), "read")

    def _open(self, file: int) -> Opened:
        if self._closed:  # a read that was abandoned goes on for a while
            raise OSError(errno.EBADF, "the torrent is closed")
        opened = self._open_beneath(file)
        if platform.stamp(opened.status) != self._seen.get(file):
            os.close(opened.fd)
            raise OSError(errno.ESTALE, "the file was changed")
        return opened

    def _open_beneath(self, file: int) -> Opened:
        folder, name = os.path.split(self.path(file))
        return Beneath(folder).open((name,), os.O_RDONLY)

    # -- what is not done here ---------------------------------------------------------------------------------------

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """All or nothing: raises StorageError unless every piece is right."""
        file = self._incomplete(have)
        if file is not None:
            raise StorageError(
                f"'{display(self.path(file))}' was changed since the torrent was made",
                path=self.path(file),
                hint="make a new torrent of it",
            )

    def _incomplete(self, have: int) -> int | None:
        """A file of which a piece is not right."""
        for file, then in enumerate(self._origin.files):
            touched = self._layout.pieces_of_file(file)
            missing = ((1 << len(touched)) - 1) & ~(have >> touched.start) if touched else 0
            if then is not None and missing:
                return file
        return None

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """Refused with StorageError."""
        raise StorageError(f"'{display(self.top())}' is only shared, not written", path=self.top())

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """There is nothing to sync."""
        return {}

    def finish(self, files: Iterable[int]) -> list[int]:
        """Everything has its final name."""
        return list(files)

    def displace(self, file: int, have: int) -> None:
        """There is nothing to make way for."""

    def close(self) -> None:
        """See ``Storage.close``."""
        self._closed = True
        self._pool.discard_all(self)
