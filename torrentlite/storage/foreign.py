"""A storage of somebody else's: whatever it raises is a fault of the disk, and not a bug of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from ..errors import StorageError, TorrentError
from ..metainfo.info import Info
from .storage import Buffer, Found, InTheWay, Room, Stamp, Storage, SyncFailure

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("torrentlite")


class ForeignStorage(Storage):
    """Its methods are those of the other; what they may not raise comes as StorageError.

    Args:
        make: makes the other.
        info: what is stored.

    Raises:
        StorageError: it could not be made.
    """

    def __init__(self, make: Callable[[Info], Storage], info: Info) -> None:
        self._theirs = _asked(make, info)
        self.read_only = self._theirs.read_only
        self.capacity = self._theirs.capacity

    def prepare(self, wanted: frozenset[int]) -> Found:
        """See ``Storage.prepare``."""
        return _asked(self._theirs.prepare, wanted)

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``: where there is an error a thread meets it again, and says so."""
        try:
            return self._theirs.read_cached(offset, buffers)
        except Exception:
            return False

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """See ``Storage.pread_into``."""
        _asked(self._theirs.pread_into, offset, buffers, aside=aside)

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """See ``Storage.pwrite``."""
        _asked(self._theirs.pwrite, offset, data, aside=aside)

    def discard(self, pieces: Sequence[int]) -> None:
        """See ``Storage.discard``."""
        _asked(self._theirs.discard, pieces)

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """See ``Storage.sync``."""
        return _asked(self._theirs.sync, files)

    def finish(self, files: Iterable[int]) -> list[int]:
        """See ``Storage.finish``."""
        return _asked(self._theirs.finish, files)

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """See ``Storage.select``."""
        _asked(self._theirs.select, wanted, have, wrong)

    def displace(self, file: int, have: int) -> None:
        """See ``Storage.displace``."""
        _asked(self._theirs.displace, file, have)

    def final(self, file: int) -> bool:
        """See ``Storage.final``."""
        return _asked(self._theirs.final, file)

    def path(self, file: int) -> str:
        """See ``Storage.path``."""
        return _asked(self._theirs.path, file)

    def top(self) -> str:
        """See ``Storage.top``."""
        return _asked(self._theirs.top)

    def close(self) -> None:
        """See ``Storage.close``."""
        try:
            self._theirs.close()
        except Exception as error:  # all that can be done about it
            log.warning("the storage failed to close: %r", error)


def _asked(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (TorrentError, InTheWay, SyncFailure):
        raise
    except Exception as error:
        raise StorageError(f"the storage failed: {error!r}") from error
