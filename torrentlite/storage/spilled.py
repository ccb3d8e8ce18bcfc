"""Parts of unfinished pieces that lie in the storage, so that their memory is free: nobody has verified them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import limits
from ..metainfo.info import Info
from .check import digests
from .journal import Journal
from .storage import Buffer, Room, Storage


class Spilled:
    """The spilled pieces of one torrent. Nothing here waits: ``write``, ``check`` and ``read`` belong in a thread.

    Unverified bytes must neither go into a finished file nor speak against it: where a piece has a part in one, all of
    it is kept *aside*, and goes to its place when it is right.

    Args:
        info: whose they are.
        storage: where they lie.
        journal: hears of what is written, if there is one.
    """

    def __init__(self, info: Info, storage: Storage, journal: Journal | None) -> None:
        self._info = info
        self._layout = info.layout
        self._storage = storage
        self._journal = journal
        self._real = frozenset(info.wanted_files)
        self._aside: set[int] = set()

    def place(self, piece: int) -> None:
        """Decide where the parts of a piece go; to be called before each ``write``."""
        if any(map(self._storage.final, self._layout.files_of_piece(piece))):
            self._aside.add(piece)

    def forget(self, pieces: Iterable[int]) -> None:
        """These are verified, and in their place."""
        self._aside.difference_update(pieces)

    def clear(self) -> None:
        """All that lies in the storage was looked at anew."""
        self._aside.clear()

    # -- in threads --------------------------------------------------------------------------------------------------

    def write(self, piece: int, runs: Sequence[tuple[int, Buffer]]) -> None:
        """Write parts of a piece, as (begin, data)."""
        aside = piece in self._aside
        if self._journal:
            self._journal.written([piece])
        for begin, data in runs:
            offset = self._layout.offset(piece, begin)
            self._storage.pwrite(offset, self._without_padding(offset, data), aside=aside)

    def _without_padding(self, offset: int, data: Buffer) -> Buffer:
        """Bytes that nobody has verified, with zeros where they belong: others are an error of the torrent's own."""
        padding, at = [], 0
        for span in self._layout.spans(offset, len(data)):
            if span.file not in self._real:
                padding.append((at, span.length))
            at += span.length
        if not padding:
            return data
        clean = bytearray(data)
        for at, length in padding:
            clean[at : at + length] = bytes(length)
        return clean

    def check(self, piece: int) -> bool:
        """Whether a whole piece is right; then it is in its place, too."""
        aside = piece in self._aside
        found = digests(self._storage, self._layout, self._info.hashing, range(piece, piece + 1), aside=aside)
        if found != self._info.piece_hash(piece):
            return False
        if aside:
            self._move(self._layout.offset(piece), self._layout.piece_size(piece))
        return True

    def _move(self, position: int, size: int) -> None:
        stop = position + size
        buffer = memoryview(bytearray(limits.READ_CHUNK))
        while position < stop:
            view = buffer[: stop - position]
            self._storage.pread_into(position, [view], aside=True)
            self._storage.pwrite(position, view)
            position += len(view)

    def read(self, piece: int, begin: int, buffer: Room) -> None:
        """Read bytes of a piece, verified or not."""
        self._storage.pread_into(self._layout.offset(piece, begin), [buffer], aside=piece in self._aside)
