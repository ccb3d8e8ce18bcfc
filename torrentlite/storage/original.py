"""Sharing a .torrent from files that have their original names: those that are not safe everywhere.

A torrent's names are made safe (``metainfo/paths.py``), and what is fetched lies under the safe ones. Where it was made
from lies what it was made from: ``aux.c``, and not ``aux_.c``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from ..metainfo.info import Info
from ..metainfo.metainfo import Origin, OriginFile
from ..metainfo.paths import original_path, system_path
from . import platform
from .beneath import Beneath, Opened, Path
from .faults import about, fault
from .origin import OriginStorage
from .pool import FilePool
from .storage import Stamp
from .survey import in_the_way


def find_originals(info: Info, folder: str | os.PathLike[str]) -> list[Path] | None:
    """Where a torrent's files lie if that is under their original names: all of them, each with its size.

    None if they do not, or if those whose name is another one lie under the safe one too: those are what they were
    fetched as. Padding and links lie nowhere, and have an empty path. Nothing here is read, and no link is followed.

    Raises:
        StorageError: the folder was changed meanwhile.
    """
    paths: list[Path] = [()] * len(info.files)
    safe = [system_path(entry.path) for entry in info.files]
    for index in info.wanted_files:
        path = original_path(info.files[index].raw_path)
        if path is None:
            return None
        paths[index] = path
    changed = [index for index in info.wanted_files if paths[index] != safe[index]]
    if not changed:
        return None
    beneath = Beneath(os.fspath(folder))

    def there(index: int, path: Path) -> bool:
        try:
            status = beneath.stat(path)
        except OSError:  # a link on the way, a name that is too long
            return False
        return status is not None and stat.S_ISREG(status.st_mode) and status.st_size == info.files[index].length

    with about(beneath.root, "look at"), beneath.holding():
        if all(there(index, safe[index]) for index in changed):
            return None
        return paths if all(there(index, paths[index]) for index in info.wanted_files) else None


class OriginalStorage(OriginStorage):
    """Those files: hashed, since nobody vouches for them, and only read.

    Args:
        info: what is stored.
        folder: where it lies.
        paths: as they were found.
        pool: of open files.
    """

    def __init__(
        self, info: Info, folder: str | os.PathLike[str], paths: Sequence[Path], *, pool: FilePool | None = None
    ) -> None:
        self._beneath = Beneath(os.fspath(folder))
        self._paths = paths
        # No file has the inode 0, so none looks as it did then.
        files = (OriginFile(self._beneath.name(path), 0, 0, 0) if path else None for path in paths)
        first = next(path for path in paths if path)
        super().__init__(info.layout, Origin(self._beneath.name(first[:1]), tuple(files)), pool=pool)

    def _look(self, file: int) -> Stamp | None:
        try:
            status = self._beneath.stat(self._paths[file])
        except OSError as error:
            raise fault(error, self.path(file), "look at") from error
        return platform.stamp(status) if status is not None and stat.S_ISREG(status.st_mode) else None

    def _open_beneath(self, file: int) -> Opened:
        return self._beneath.open(self._paths[file], os.O_RDONLY)

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """All or nothing: raises FileInTheWayError unless every piece is right."""
        file = self._incomplete(have)
        if file is not None:
            raise in_the_way(self.path(file))
