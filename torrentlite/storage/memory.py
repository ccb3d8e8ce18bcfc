"""A torrent's bytes in memory: all of them, or as many as fit in."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from ..errors import StorageError
from ..metainfo.info import Info
from ..wire import bitfield
from .reader import cut
from .storage import Buffer, Found, Room, Stamp, Storage


class MemoryStorage(Storage):
    """Keeps pieces in a dictionary, so what was never written takes no memory.

        session.add(film, storage=MemoryStorage)

    Args:
        info: what is stored.

    Attributes:
        finished: files that were given their final names.
        syncs: how often ``sync`` was called.
    """

    def __init__(self, info: Info) -> None:
        self._info = info
        self._layout = info.layout
        self._pieces: dict[int, bytearray] = {}
        self.finished: set[int] = set()
        self.syncs = 0

    def prepare(self, wanted: frozenset[int]) -> Found:
        """See ``Storage.prepare``."""
        return Found(bitfield.of(self._pieces), 0, {}, frozenset(self.finished), 0, None)

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        self.pread_into(offset, buffers)
        return True

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """See ``Storage.pread_into``."""
        parts = self._cut(offset, sum(map(len, buffers)))
        for (piece, begin, _), views in zip(parts, cut(buffers, [length for _, _, length in parts]), strict=True):
            if piece not in self._pieces:
                raise StorageError(f"piece {piece} was never written", errno=errno.ENOENT)
            data = memoryview(self._pieces[piece])  # slices of a bytearray would be copies
            for view in views:
                view[:] = data[begin : begin + len(view)]
                begin += len(view)

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """See ``Storage.pwrite``."""
        view = memoryview(data)
        for piece, begin, length in self._cut(offset, len(view)):
            if piece not in self._pieces:
                self._pieces[piece] = self._new(self._layout.piece_size(piece))
            memoryview(self._pieces[piece])[begin : begin + length] = view[:length]
            view = view[length:]

    def _new(self, size: int) -> bytearray:
        return bytearray(size)

    def discard(self, pieces: Sequence[int]) -> None:
        """See ``Storage.discard``."""
        for piece in pieces:
            self._pieces.pop(piece, None)

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """See ``Storage.sync``."""
        self.syncs += 1
        return {}

    def finish(self, files: Iterable[int]) -> list[int]:
        """See ``Storage.finish``."""
        done = list(files)
        self.finished.update(done)
        return done

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """See ``Storage.select``."""

    def displace(self, file: int, have: int) -> None:
        """See ``Storage.displace``."""

    def final(self, file: int) -> bool:
        """See ``Storage.final``."""
        return file in self.finished

    def path(self, file: int) -> str:
        """See ``Storage.path``."""
        return "/".join(("memory:", *self._info.files[file].path))

    def top(self) -> str:
        """See ``Storage.top``."""
        return f"memory:/{self._info.name}"

    def close(self) -> None:
        """See ``Storage.close``."""

    def _cut(self, offset: int, size: int) -> list[tuple[int, int, int]]:
        """These bytes as (piece, begin, length)."""
        if offset < 0 or offset + size > self._layout.total:
            raise ValueError(f"bytes {offset}+{size} are outside a torrent of {self._layout.total}")
        parts = []
        while size:
            piece, begin = divmod(offset, self._layout.piece_length)
            length = min(size, self._layout.piece_size(piece) - begin)
            if length <= 0:
                raise ValueError(f"byte {offset} lies in a gap between two files")
            parts.append((piece, begin, length))
            offset += length
            size -= length
        return parts


class CacheStorage(MemoryStorage):
    """Keeps as many pieces in memory as fit in, for reading through something larger.

        session.add(film, storage=functools.partial(CacheStorage, limit=64 << 20))

    Such a torrent fetches only what is read (``Torrent.open``), and a little ahead. The pieces that were not used for
    the longest go first, and peers who understand that are told (BEP 54); others are not told of any piece.

    Args:
        info: what is stored.
        limit: bytes of the pieces that it keeps. Those on their way here come on top (``Settings.piece_memory``).

    Raises:
        StorageError: four pieces do not fit in.
    """

    def __init__(self, info: Info, *, limit: int = 64 << 20) -> None:
        super().__init__(info)
        needed = min(4 * info.layout.piece_length, info.layout.stored)
        if limit < needed:
            raise StorageError(
                f"a cache of {limit} bytes is too small for {info.name}",
                hint=f"its pieces have {info.layout.piece_length} bytes, and it has to hold four: {needed} bytes",
            )
        self.capacity = limit
        self._spare: list[bytearray] = []

    def discard(self, pieces: Sequence[int]) -> None:
        """See ``Storage.discard``. What is let go makes room for the next: memory that comes and goes has holes."""
        self._spare += [data for piece in pieces if (data := self._pieces.pop(piece, None)) is not None]

    def _new(self, size: int) -> bytearray:
        if self._spare and len(self._spare[-1]) == size:
            return self._spare.pop()
        self._spare.clear()
        return bytearray(size)

    def finish(self, files: Iterable[int]) -> list[int]:
        """See ``Storage.finish``: no file is ever whole for good."""
        return super().finish(files) if self._layout.stored <= (self.capacity or 0) else []
